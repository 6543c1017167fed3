package main

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// The way from the application to the world. Each of its faults looks in one of several ways, which the fault's number draws.

const day = 24 * time.Hour

// breaks is a fault of the way: a switch, and how it looks.
func breaks(which func(w *world) *bool, how func(w *world) *int) (begin func(s *sim, e *Entry) bool, end func(s *sim, e *Entry)) {
	on, off := switched(which)
	return func(s *sim, e *Entry) bool { *how(s.w) = int(e.N % 60); return on(s, e) }, off
}

func addWay() {
	way := func(name, blame string, which func(w *world) *bool, how func(w *world) *int) {
		k := kind{name: name, whose: foreign, expect: held, blame: blame, least: 5 * time.Minute, most: 4 * time.Hour}
		k.begin, k.end = breaks(which, how)
		add(k)
	}
	way("proxy-down", "Proxy", func(w *world) *bool { return &w.env.proxy }, func(w *world) *int { return &w.env.how.proxy })
	way("proxy-wrong", "Proxy", func(w *world) *bool { return &w.env.proxyBad }, func(w *world) *int { return &w.env.how.proxyBad })
	way("dns", "DNS", func(w *world) *bool { return &w.env.dns }, func(w *world) *int { return &w.env.how.dns })
	way("certificate", "Certificate", func(w *world) *bool { return &w.env.cert }, func(w *world) *int { return &w.env.how.cert })
	way("network", "Network", func(w *world) *bool { return &w.env.network }, func(w *world) *int { return &w.env.how.network })
	add(kind{name: "certificate-expires", whose: foreign, expect: nothing, least: 10 * time.Minute, most: 3 * day,
		begin: always(func(s *sim, e *Entry) {
			s.w.env.certUntil = s.w.wall().Add(time.Duration(3+e.N%9) * day)
			s.w.note("")
		}),
		end: func(s *sim, _ *Entry) { s.w.env.certUntil = time.Time{}; s.w.note("") }})
}

// public is what the world gets, and, where that fails, what is behind it.
func (e *eyes) public(l *look, local v1alpha1.CheckResult) (v1alpha1.CheckResult, time.Duration) {
	env := &e.w.env
	f := facts.Public{HTTP: facts.HTTP{URL: l.app.Spec.Checks.Public.URL, Class: facts.Answered, Status: 200, Took: 60 * time.Millisecond}}
	f.Proven = l.app.Status.Learned != nil && facts.Marker{}.Is(l.app.Status.Learned.PublicGreenURL, f.URL)
	f.Here = facts.HereYes
	proxy := e.proxy(local.Status != metav1.ConditionTrue)
	proxy.URL = f.URL
	f.Class, f.Status, f.Page, f.Loop = proxy.Class, proxy.Status, proxy.Page, proxy.Loop
	switch {
	case env.dns:
		f.HTTP = facts.HTTP{URL: f.URL, Class: facts.DNS, Took: f.Took}
	case env.network:
		f.HTTP = facts.HTTP{URL: f.URL, Class: facts.Timeout, Took: 10 * time.Second}
		if env.how.network%3 == 0 { // a delivery network cannot reach this machine
			f.Class, f.Status, f.CDN, f.Took = facts.Answered, 522, "Cloudflare", time.Second
		}
	case env.cert && !env.proxy:
		f.HTTP = facts.HTTP{URL: f.URL, Class: facts.Certificate, Took: f.Took}
		proxy.Class = facts.Certificate
	}
	if f.Class == facts.Answered && !env.certUntil.IsZero() {
		f.Certificate = &facts.Cert{NotBefore: env.certUntil.Add(-90 * day), NotAfter: env.certUntil}
	}
	expected := l.app.Spec.Checks.Public.ExpectStatus
	if f.Good(expected) {
		return result(metav1.ConditionTrue, "Answers", "200", f), f.Took
	}
	if local.Status == metav1.ConditionFalse {
		proxy = facts.HTTP{URL: f.URL, Class: facts.NotAsked}
	} else {
		e.behind(&f)
	}
	f.Proxy = &proxy
	if !f.Proven && (proxy.Good(expected) || proxy.Class == facts.NotAsked) {
		return result(metav1.ConditionUnknown, "NeverSeen", "has never answered as expected", f), f.Took
	}
	return result(metav1.ConditionFalse, string(f.Class), fmt.Sprintf("%s %d", f.Class, f.Status), f), f.Took
}

// proxy is what the proxy on this machine answers.
func (e *eyes) proxy(localDown bool) facts.HTTP {
	env := &e.w.env
	h := facts.HTTP{Class: facts.Answered, Status: 200}
	switch {
	case env.proxy && env.how.proxy%4 == 0:
		h.Class, h.Status = facts.Timeout, 0
	case env.proxy:
		h.Class, h.Status = facts.Refused, 0
	case env.proxyBad:
		switch env.how.proxyBad % 5 {
		case 0:
			h.Page = facts.PageNginxDefault
		case 1:
			h.Class, h.Status, h.Loop = facts.Redirects, 301, true
		case 2:
			h.Status = 504
		default:
			h.Status = 502
		}
	case localDown:
		h.Status = 502
	}
	return h
}

// behind is what else is asked where the public check fails.
func (e *eyes) behind(f *facts.Public) {
	env := &e.w.env
	f.Names = &facts.Names{Host: "www.example.test", Outcome: facts.Resolved, Addrs: []string{"203.0.113.10"}, Own: true}
	f.Network = &facts.Network{Known: true, Route: true, Up: []string{"eth0"}}
	f.Passes = &facts.Passes{At: "/etc/nginx/sites-enabled/site:9", To: []string{"127.0.0.1:3003"}, Named: true, Ours: true}
	if f.Class == facts.Answered {
		f.App = &facts.HTTP{Class: facts.Answered, Status: 200}
	}
	if env.proxyBad && env.how.proxyBad%5 == 3 {
		f.Passes.To, f.Passes.Ours = []string{"127.0.0.1:3999"}, false
	}
	if env.dns {
		outcomes := []facts.Lookup{facts.NotFound, facts.NoServer, facts.ServerFails, facts.LookupTooLate, facts.LookupUnknown}
		*f.Names = facts.Names{Host: f.Names.Host, Outcome: outcomes[env.how.dns%len(outcomes)]}
	}
	if env.network && env.how.network%3 == 1 {
		f.Network.Route = false
	}
	if f.Class == facts.Certificate {
		now := e.w.wall()
		f.Certificate = &facts.Cert{NotBefore: now.Add(-90 * day), NotAfter: now.Add(-day), Problem: facts.Expired}
		switch env.how.cert % 3 {
		case 0:
			f.Certificate.File = &facts.CertFile{Path: "/etc/ssl/site.pem", Newer: true, NotAfter: now.Add(80 * day)}
		case 1:
			f.Certificate.Problem, f.Certificate.NotAfter = facts.WrongName, now.Add(80*day)
		}
	}
}
