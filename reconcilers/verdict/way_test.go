package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// wayCases are failures between the application and the world.
var wayCases = []struct {
	name   string
	public facts.Public
	rule   string
	blame  v1alpha1.Blame
	says   []string // in the message or the hints
}{
	{"no network", facts.Public{
		HTTP: facts.HTTP{Class: facts.Unreachable}, Network: &facts.Network{Known: true}, Names: &facts.Names{Outcome: facts.NoServer},
	}, "no-network", v1alpha1.BlameNetwork, []string{"has no network", "ip route"}},
	{"no network, as the name servers show it", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Network: &facts.Network{Known: true, Route: true}},
		"no-network", v1alpha1.BlameNetwork, nil},
	{"it cannot be told whether there is a network", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Network: &facts.Network{}}, "dns", v1alpha1.BlameDNS, nil},
	{"no network, and the proxy on this machine is down", facts.Public{
		HTTP: facts.HTTP{Class: facts.Refused}, Network: &facts.Network{Known: true}, Proxy: &facts.HTTP{Class: facts.Refused},
	}, "proxy", v1alpha1.BlameProxy, nil},

	{"expired", facts.Public{HTTP: expired(nil), Clock: &facts.Clock{Known: true, Kept: true}}, "certificate", v1alpha1.BlameCertificate,
		[]string{"expired on 2026-11-22 03:00 UTC", "certbot renew", "systemctl reload nginx"}},
	{"expired, and nobody keeps the clock", facts.Public{HTTP: expired(nil), Clock: &facts.Clock{Known: true}}, "certificate", v1alpha1.BlameCertificate,
		[]string{"no time service keeps this machine's clock right"}},
	{"expired, and what is on disk too", facts.Public{HTTP: expired(&facts.CertFile{Path: "/etc/ssl/site.pem"})}, "certificate", v1alpha1.BlameCertificate,
		[]string{"/etc/ssl/site.pem on disk is no newer one"}},
	{"expired, and nobody may read what is on disk", facts.Public{HTTP: expired(&facts.CertFile{Path: "/etc/ssl/site.pem", Error: "permission denied"})},
		"certificate", v1alpha1.BlameCertificate, nil},
	{"renewed and not loaded", facts.Public{HTTP: expired(&facts.CertFile{Path: "/etc/ssl/site.pem", Newer: true, NotAfter: wallAt(90 * day)})},
		"certificate-not-loaded", v1alpha1.BlameCertificate, []string{"/etc/ssl/site.pem is a newer one, good until 2027-02-21", "nginx -t && systemctl reload nginx"}},
	{"another machine says that the clock is wrong", facts.Public{HTTP: expired(nil), Clock: &facts.Clock{Compared: true, Ahead: 48 * time.Hour}},
		"clock-wrong", v1alpha1.BlameHost, []string{"is 48h0m0s ahead of", "timedatectl"}},
	{"another machine's clock says the same", facts.Public{HTTP: expired(nil), Clock: &facts.Clock{Compared: true, Ahead: time.Minute}}, "certificate", v1alpha1.BlameCertificate, nil},
	{"the clock is wrong, and the certificate is too", facts.Public{HTTP: expired(nil), Clock: &facts.Clock{Compared: true, Ahead: 10 * time.Minute}}, "certificate", v1alpha1.BlameCertificate, nil},
	{"the clock is behind, and the certificate is from later all the same", facts.Public{
		HTTP: cert(facts.NotYetValid, 10*day, 90*day), Clock: &facts.Clock{Compared: true, Ahead: -24 * time.Hour, Known: true, Kept: true},
	}, "certificate", v1alpha1.BlameCertificate, []string{"good from 2026-12-03"}},
	{"the clock is behind", facts.Public{
		HTTP: cert(facts.NotYetValid, day, 90*day), Clock: &facts.Clock{Compared: true, Ahead: -48 * time.Hour, Known: true, Kept: true},
	}, "clock-wrong", v1alpha1.BlameHost, []string{"it is 48h0m0s behind that of the machine that answers"}},
	{"the clock stands before this program was written", facts.Public{HTTP: cert(facts.NotYetValid, day, 90*day), Clock: &facts.Clock{Before: true}}, "clock-wrong", v1alpha1.BlameHost, nil},
	{"not yet valid, and nobody keeps the clock", facts.Public{HTTP: cert(facts.NotYetValid, day, 90*day), Clock: &facts.Clock{Known: true}}, "clock-wrong", v1alpha1.BlameHost, nil},
	{"not yet valid, and the clock is kept", facts.Public{HTTP: cert(facts.NotYetValid, day, 90*day), Clock: &facts.Clock{Known: true, Kept: true}}, "certificate", v1alpha1.BlameCertificate, []string{"good from 2026-11-24"}},
	{"another name", facts.Public{HTTP: cert(facts.WrongName, -day, day)}, "certificate", v1alpha1.BlameCertificate, []string{"for another name: other.test", "server_name"}},
	{"no chain", facts.Public{HTTP: cert(facts.IncompleteChain, -day, day)}, "certificate", v1alpha1.BlameCertificate, []string{"fullchain.pem"}},
	{"nobody's authority", facts.Public{HTTP: cert(facts.UnknownAuthority, -day, day)}, "certificate", v1alpha1.BlameCertificate, []string{"does not trust: CN=somebody"}},

	{"no name server", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Names: &facts.Names{Outcome: facts.NoServer}}, "name-servers", v1alpha1.BlameDNS, []string{"no name server can be reached", "resolv.conf"}},
	{"silent name servers", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Names: &facts.Names{Outcome: facts.LookupTooLate}}, "name-servers", v1alpha1.BlameDNS, nil},
	{"failing name servers", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Names: &facts.Names{Outcome: facts.ServerFails}}, "name-servers", v1alpha1.BlameDNS, nil},
	{"no such name", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Names: &facts.Names{Outcome: facts.NotFound}}, "dns", v1alpha1.BlameDNS, []string{"no such name", "dig +trace"}},
	{"it resolves when it is asked again", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Names: &facts.Names{Outcome: facts.Resolved}}, "dns", v1alpha1.BlameDNS, nil},

	{"the page that Nginx comes with", facts.Public{
		HTTP: facts.HTTP{Class: facts.Answered, Status: 200, Page: facts.PageNginxDefault}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 200, Page: facts.PageNginxDefault},
		App: &facts.HTTP{Class: facts.Answered, Status: 200}, Passes: &facts.Passes{},
	}, "default-page", v1alpha1.BlameProxy, []string{"no server block", "server_name"}},
	{"plain HTTP where HTTPS should be", facts.Public{HTTP: facts.HTTP{Class: facts.Protocol}}, "wrong-protocol", v1alpha1.BlameProxy, []string{"listen 443 ssl"}},
	{"HTTPS where plain HTTP should be", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 400, Page: facts.PagePlainToTLS}}, "wrong-protocol", v1alpha1.BlameProxy, []string{"it speaks HTTPS"}},
	{"redirects in a circle", facts.Public{HTTP: facts.HTTP{Class: facts.Redirects, Loop: true}, Proxy: &facts.HTTP{Class: facts.Redirects}}, "redirect-loop", v1alpha1.BlameProxy, []string{"X-Forwarded-Proto"}},
	{"a password before it", facts.Public{
		HTTP: facts.HTTP{Class: facts.Answered, Status: 401, Server: "nginx"}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 401}, App: &facts.HTTP{Class: facts.Answered, Status: 200},
	}, "access-denied", v1alpha1.BlameConfig, []string{"by nginx", "auth_basic", "itself answered 200"}},
	{"a delivery network shuts us out", facts.Public{
		HTTP: facts.HTTP{Class: facts.Answered, Status: 403, CDN: "Cloudflare"}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 200}, App: &facts.HTTP{Class: facts.Answered, Status: 200},
	}, "access-denied", v1alpha1.BlameConfig, []string{"by Cloudflare"}},
	{"the application itself asks for a password", facts.Public{
		HTTP: facts.HTTP{Class: facts.Answered, Status: 401}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 401}, App: &facts.HTTP{Class: facts.Answered, Status: 401},
	}, "not-as-expected", v1alpha1.BlameConfig, []string{"expectStatus"}},
	{"the application itself does not hold the text", facts.Public{
		HTTP: facts.HTTP{Class: facts.Answered, Status: 200, Unmet: "no text"}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 200, Unmet: "no text"},
		App: &facts.HTTP{Class: facts.Answered, Status: 200, Unmet: "no text"},
	}, "not-as-expected", v1alpha1.BlameConfig, nil},
	{"somebody before it does not hold the text", facts.Public{
		HTTP: facts.HTTP{Class: facts.Answered, Status: 200, Unmet: "no text"}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 200, Unmet: "no text"},
		App: &facts.HTTP{Class: facts.Answered, Status: 200},
	}, "proxy", v1alpha1.BlameProxy, []string{"answered 200, but no text"}},
	{"the page that the world asks for is broken", facts.Public{
		HTTP: facts.HTTP{Class: facts.Answered, Status: 500}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 500}, App: &facts.HTTP{Class: facts.Answered, Status: 500},
	}, "public-page-fails", v1alpha1.BlameApp, []string{"spec.checks.local.path"}},

	{"the proxy is down", facts.Public{HTTP: facts.HTTP{Class: facts.Refused}, Proxy: &facts.HTTP{Class: facts.Refused, Error: "refused"}}, "proxy", v1alpha1.BlameProxy, []string{"nginx -t"}},
	{"the proxy leads elsewhere", facts.Public{
		HTTP: facts.HTTP{Class: facts.Answered, Status: 502}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 502}, App: &facts.HTTP{Class: facts.Answered, Status: 200},
		Passes: &facts.Passes{At: "/etc/nginx/x:7", To: []string{"127.0.0.1:3999"}, Named: true},
	}, "wrong-upstream", v1alpha1.BlameProxy, []string{"/etc/nginx/x:7 leads to 127.0.0.1:3999, and the application listens on [::]:3003"}},
	{"the proxy leads rightly, and answers 502", facts.Public{
		HTTP: facts.HTTP{Class: facts.Answered, Status: 502}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 502}, App: &facts.HTTP{Class: facts.Answered, Status: 200},
		Passes: &facts.Passes{At: "/etc/nginx/x:7", To: []string{"127.0.0.1:3003"}, Named: true, Ours: true},
	}, "proxy", v1alpha1.BlameProxy, nil},
	{"the proxy says that the application is too late", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 504}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 504}}, "proxy-slow", v1alpha1.BlameProxy, nil},
	{"the proxy is too late", facts.Public{HTTP: facts.HTTP{Class: facts.Timeout}, Proxy: &facts.HTTP{Class: facts.Timeout}}, "proxy-slow", v1alpha1.BlameProxy, []string{"worker_connections"}},

	{"a delivery network, and the proxy is down", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 521, CDN: "Cloudflare"}, Proxy: &facts.HTTP{Class: facts.Refused}}, "proxy", v1alpha1.BlameProxy, nil},
	{"a delivery network is refused", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 521, CDN: "Cloudflare"}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 200}}, "delivery", v1alpha1.BlameNetwork, []string{"by Cloudflare", "it was refused", "ufw"}},
	{"a delivery network gets no answer in time", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 524}, Proxy: &facts.HTTP{Class: facts.NotAsked, Error: "elsewhere"}}, "delivery", v1alpha1.BlameNetwork, nil},
	{"a delivery network does not take the certificate", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 526, CDN: "Cloudflare"}, Proxy: &facts.HTTP{Class: facts.NotAsked}}, "delivery-certificate", v1alpha1.BlameCertificate, nil},
	{"the proxy is elsewhere", facts.Public{
		HTTP: facts.HTTP{Class: facts.Refused}, Here: facts.HereNo, Proxy: &facts.HTTP{Class: facts.NotAsked, Error: "it stands for 192.0.2.1"},
		Names: &facts.Names{Host: "site.test", Outcome: facts.Resolved, Addrs: []string{"192.0.2.1"}},
	}, "network", v1alpha1.BlameNetwork, []string{"it stands for 192.0.2.1", "curl -sv"}},
	{"the name may lead elsewhere", facts.Public{
		HTTP: facts.HTTP{Class: facts.Timeout}, Here: facts.HereYes, Proxy: &facts.HTTP{Class: facts.Answered, Status: 200},
		Names: &facts.Names{Host: "site.test", Outcome: facts.Resolved, Addrs: []string{"192.0.2.1"}},
	}, "network", v1alpha1.BlameNetwork, []string{"answers as it should; site.test stands for 192.0.2.1, which is no address of this machine"}},
}

const day = 24 * time.Hour

func wallAt(d time.Duration) time.Time { return instant(d).Wall.Time }

func cert(problem facts.Problem, from, to time.Duration) facts.HTTP {
	return facts.HTTP{Class: facts.Certificate, Certificate: &facts.Cert{
		NotBefore: wallAt(from), NotAfter: wallAt(to), Problem: problem, Names: []string{"other.test"}, Issuer: "CN=somebody",
	}}
}

func expired(file *facts.CertFile) facts.HTTP {
	h := cert(facts.Expired, -90*day, -day)
	h.Certificate.File = file
	return h
}

func TestTheWayToTheWorld(t *testing.T) {
	reached := map[string]bool{}
	for _, tc := range wayCases {
		t.Run(tc.name, func(t *testing.T) {
			w := well()
			w.public, w.status["public"] = tc.public, no
			w.public.Proven, w.public.URL = true, "https://www.example.test/"
			v := Diagnose(twice(w))
			reached[v.Rule] = true
			if v.Rule != tc.rule || v.Blame != tc.blame {
				t.Fatalf("%s, blame %s: %s", v.Rule, v.Blame, v.Message)
			}
			if v.Remedy != v1alpha1.RemedyHold || v.OwnFault || v.ActAtLimit || v.HoldLimit.Duration != 0 {
				t.Errorf("it may cost the application its life: %+v", v)
			}
			said := v.Message + "\n" + strings.Join(v.Next, "\n")
			for _, want := range tc.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
				}
			}
			if strings.Contains(said, "{") || strings.Contains(said, ";;") || strings.Contains(said, "; ;") {
				t.Errorf("it is not filled in: %s", said)
			}

			// An application that does not run is started, whatever is wrong with the way to it.
			w.gone(runtime.Errored)
			w.public = tc.public
			if v := Diagnose(twice(w)); v.Rule != "process-gone" || v.Remedy != v1alpha1.RemedyRecover {
				t.Errorf("while the application is down: %s, %s", v.Rule, v.Remedy)
			}
		})
	}
	for _, r := range Rules() {
		if len(r.When) > 1 && r.When[0].yes == "the check public is False" && !reached[r.Name] {
			t.Errorf("no case reaches rule %s", r.Name)
		}
	}
}

func TestTheWarningOfACertificate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		edit   func(w *world)
		within time.Duration
		want   string // status and words
	}{
		{"for long", func(w *world) {
			w.public.Certificate = &facts.Cert{NotBefore: wallAt(-30 * day), NotAfter: wallAt(60 * day)}
		}, 14 * day, "False"},
		{"soon", func(w *world) {
			w.public.Certificate = &facts.Cert{NotBefore: wallAt(-80 * day), NotAfter: wallAt(10 * day)}
		}, 14 * day, "True expires on 2026-12-03 03:00 UTC"},
		{"soon, and renewed", func(w *world) {
			w.public.Certificate = &facts.Cert{NotBefore: wallAt(-80 * day), NotAfter: wallAt(10 * day), File: &facts.CertFile{Path: "/c.pem", Newer: true, NotAfter: wallAt(89 * day)}}
		}, 14 * day, "True /c.pem is a newer one, good until 2027-02-20, and is not loaded"},
		{"for as long as was asked for", func(w *world) {
			w.public.Certificate = &facts.Cert{NotBefore: wallAt(-80 * day), NotAfter: wallAt(10 * day)}
		}, 9 * day, "False"},
		{"one of six days, which is young", func(w *world) { w.public.Certificate = &facts.Cert{NotBefore: wallAt(-day), NotAfter: wallAt(5 * day)} }, 14 * day, "False"},
		{"one of six days, which is old", func(w *world) { w.public.Certificate = &facts.Cert{NotBefore: wallAt(-5 * day), NotAfter: wallAt(day)} }, 14 * day, "True"},
		{"without TLS", func(*world) {}, 14 * day, "False"},
		{"what fails now", func(w *world) { w.public.HTTP, w.status["public"] = expired(nil), no }, 14 * day, "Unknown"},
		{"what could not be asked", func(w *world) { w.status["public"] = maybe }, 14 * day, "Unknown"},
	} {
		w := well()
		tc.edit(w)
		c := twice(w)
		c.App.Spec.Checks.Public.CertificateWarning.Duration = tc.within
		list := Warn(c)
		status, words, _ := strings.Cut(tc.want, " ")
		if len(list) != len(warnings) || string(list[0].Status) != status || !strings.Contains(list[0].Message, words) || (status == "True") != (list[0].Message != "") {
			t.Errorf("%s: %+v, want %s", tc.name, list, tc.want)
		}
	}
	c := twice(well())
	c.App.Spec.Checks.Public.URL = ""
	if list := Warn(c); list[0].Status != no {
		t.Errorf("there is no public check any more: %+v", list[0])
	}
}
