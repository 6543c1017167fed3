package checks

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// hereEvery is how often it is found out, while the site answers, whether its proxy is on this machine; certEvery how often
// the certificate on disk is looked at while the one that is shown soon expires.
const (
	hereEvery = time.Hour
	certEvery = 10 * time.Minute
)

// way is what is kept of an App's public path between two looks.
type way struct {
	url    string
	hereAt time.Time
	file   *facts.CertFile
	fileAt time.Time
}

// askPublic asks for the site as the world does, and, where that fails although the application itself is not known to
// fail, what is behind it, hop by hop: then it matters at which one it is lost.
func (p *Prober) askPublic(ctx context.Context, l *look, appMayBeWell func() bool) v1alpha1.CheckResult {
	spec := &l.app.Spec.Checks.Public
	q := question{url: spec.URL, limit: timeout(l.app, v1alpha1.CheckPublic), follow: true, want: &spec.Expectations}
	now := time.Now()
	p.public.renew(now)
	f := facts.Public{HTTP: ask(ctx, p.public.Client, q)}
	learned := l.app.Status.Learned
	f.Proven = learned != nil && p.Marks.Is(learned.PublicGreenURL, spec.URL)
	r := v1alpha1.CheckResult{Took: metav1.Duration{Duration: f.Took}}
	appMayBeWell = sync.OnceValue(appMayBeWell)
	if f.Page == facts.PageNginxDefault && appMayBeWell() && l.localPage == f.Page {
		f.Page = "" // the application itself serves that page
	}
	if f.Good(spec.ExpectStatus) {
		p.findHere(ctx, l, q, &f, now)
		p.readExpiring(l, &f, now)
		r.Status, r.Reason = metav1.ConditionTrue, "Answers"
		r.Message = fmt.Sprintf("%d in %s", f.Status, f.Took.Round(time.Millisecond))
		r.Facts = facts.Raw(f)
		return r
	}
	if appMayBeWell() {
		p.askBehind(ctx, l, q, &f)
	} else {
		f.Proxy = &facts.HTTP{URL: shown(spec.URL), Class: facts.NotAsked, Error: "the application itself does not answer"}
	}
	r.Facts = facts.Raw(f)
	r.Status, r.Reason, r.Message = metav1.ConditionFalse, string(f.Class), f.Error
	switch {
	case f.Class == facts.Answered && f.Page == facts.PageNginxDefault:
		r.Reason, r.Message = "DefaultPage", "what answers is the page that Nginx comes with, and not the site"
	case f.Class == facts.Answered && f.Unmet != "":
		r.Reason, r.Message = reasonUnmet, fmt.Sprintf("answered %d, but %s", f.Status, f.Unmet)
	case f.Class == facts.Answered:
		r.Reason, r.Message = "BadStatus", fmt.Sprintf("answered %d, expected %v", f.Status, spec.ExpectStatus)
	case f.Class == facts.Redirects:
		r.Message += ": " + strings.Join(f.Hops[max(len(f.Hops)-3, 0):], " → ")
	}
	if f.Final != "" && f.Class == facts.Answered {
		r.Message += ", at " + f.Final
	}
	if !f.Proven && (f.Proxy.Class == facts.NotAsked || f.Proxy.Good(spec.ExpectStatus)) {
		r.Status, r.Reason = metav1.ConditionUnknown, "NeverSeen"
		r.Message = "has never answered as expected since this URL was configured; is the URL right? " + r.Message
		if f.Proxy.Class == facts.Answered && (f.Class == facts.Refused || f.Class == facts.Timeout || f.Class == facts.Unreachable) {
			r.Message += "; the proxy on this machine answers for it, so perhaps it is only from here that it cannot be reached " +
				"(no hairpin NAT): ask from elsewhere, or name it in /etc/hosts"
		}
	}
	return r
}

// askBehind asks what is behind the public URL, side by side: what its name stands for, whether this machine has a network,
// and what the proxy on this machine answers.
func (p *Prober) askBehind(ctx context.Context, l *look, q question, f *facts.Public) {
	var wg conc.WaitGroup
	wg.Go(func() { f.Names = p.lookUp(ctx, q.url) })
	var passes *facts.Passes
	var certificate string
	wg.Go(func() { f.Network = p.network(); passes, certificate = p.passes(l, q.url) })
	if f.Class == facts.Answered {
		wg.Go(func() { f.App = p.askApp(ctx, l, q) })
	}
	_, err := listenerOn(ctx, portOf(q.url))
	hop := facts.HTTP{URL: shown(q.url), Class: facts.NotAsked}
	if err == nil {
		hop = p.askProxy(ctx, q)
	}
	wg.Wait()
	f.Passes = passes
	spec := &l.app.Spec.Checks.Public
	learned := l.app.Status.Learned
	known := learned != nil && p.Marks.Is(learned.ProxyHereURL, spec.URL)
	f.Here = hereOf(hop.Good(spec.ExpectStatus) && itsName(&hop), known, f.Names, f.Passes)
	switch {
	case err != nil && f.Here == facts.HereYes:
		hop.Class, hop.Error = facts.Refused, err.Error()
	case err != nil:
		hop.Error = err.Error() + ", and no proxy is known to be on it"
	case f.Here == facts.HereNo:
		hop = facts.HTTP{URL: hop.URL, Class: facts.NotAsked, Error: elsewhere(f.Names, portOf(q.url))}
	case badCertificate(f, &hop):
		hop.Class, hop.Error = facts.Certificate, "its certificate is not good: "+string(hop.Certificate.Problem)
	}
	f.Proxy = &hop
	cert := f.Certificate
	if cert == nil || cert.Problem == "" {
		return
	}
	if cert.Problem == facts.Expired || cert.Problem == facts.NotYetValid {
		away := f.Names.Outcome == facts.Resolved && !f.Names.Own
		f.Clock = p.clock(ctx, q.url, away, q.limit)
	}
	if f.Here != facts.HereNo && f.CDN == "" {
		cert.File = p.fileOf(l, certificate, cert)
	}
}

// askApp puts the same question to the application itself: then it is known whether what the world got is its own answer.
func (p *Prober) askApp(ctx context.Context, l *look, q question) *facts.HTTP {
	u, err := url.Parse(q.url)
	if err != nil {
		return nil
	}
	addr := l.localAddr()
	q.host, q.forwarded = u.Host, u.Scheme
	u.Scheme, u.Host, u.User = "http", addr.String(), nil
	q.url, q.follow = u.String(), false
	h := ask(ctx, p.local, q)
	h.Addr = addr.String()
	return &h
}

// badCertificate tells whether the certificate that this machine's proxy shows is what is wrong. Behind a network that
// delivers the site, or another machine, it need not be one that the world trusts.
func badCertificate(f *facts.Public, hop *facts.HTTP) bool {
	if hop.Class != facts.Answered || hop.Certificate == nil || hop.Certificate.Problem == "" {
		return false
	}
	between := f.CDN != "" || f.Names.Outcome == facts.Resolved && !f.Names.Own
	return f.Class == facts.Certificate || !between || originRefused(f.Status)
}

// originRefused tells whether a status is that of a delivery network that does not like the certificate behind it.
func originRefused(status int) bool { return status == 525 || status == 526 }

// hereOf weighs what tells whether the site's proxy is on this machine: it answers for the site as it should; it was seen to;
// the name stands for this machine; its configuration leads the name to the application.
func hereOf(answers, known bool, names *facts.Names, passes *facts.Passes) facts.Here {
	switch {
	case answers, known, names.Own, passes.Named && passes.Ours:
		return facts.HereYes
	case names.Outcome == facts.Resolved:
		return facts.HereNo
	}
	return ""
}

// itsName tells whether what answers has a certificate for the name: another site's does not, whatever it answers.
func itsName(h *facts.HTTP) bool {
	return h.Certificate == nil || h.Certificate.Problem != facts.WrongName
}

// findHere finds out once an hour, while the site answers, whether its proxy is on this machine: behind NAT or a delivery
// network its name does not tell. A connection that the check makes is no proof that what listens here is what answered.
func (p *Prober) findHere(ctx context.Context, l *look, q question, f *facts.Public, now time.Time) {
	w := p.wayOf(l)
	if now.Sub(w.hereAt) < hereEvery {
		return
	}
	w.hereAt = now
	_, err := listenerOn(ctx, portOf(q.url))
	hop := facts.HTTP{Class: facts.NotAsked}
	if err == nil {
		hop = p.askProxy(ctx, q)
	}
	answers := hop.Good(l.app.Spec.Checks.Public.ExpectStatus) && itsName(&hop)
	names, passes := &facts.Names{}, &facts.Passes{}
	if !answers {
		names = p.lookUp(ctx, q.url)
		passes, _ = p.passes(l, q.url)
	}
	f.Here = hereOf(answers, false, names, passes)
}

// readExpiring reads the certificate on disk where the one that is shown soon expires: perhaps a newer one only waits to be
// loaded.
func (p *Prober) readExpiring(l *look, f *facts.Public, now time.Time) {
	c := f.Certificate
	if c == nil || !c.Expiring(now, l.app.Spec.Checks.Public.CertificateWarning.Duration) {
		return
	}
	w := p.wayOf(l)
	if w.file == nil || now.Sub(w.fileAt) >= certEvery {
		_, certificate := p.passes(l, l.app.Spec.Checks.Public.URL)
		w.file, w.fileAt = p.fileOf(l, certificate, c), now
	}
	c.File = w.file
}

var errNoFile = errors.New("the proxy's configuration, as far as it can be read, names none for this site")

func (p *Prober) fileOf(l *look, path string, shown *facts.Cert) *facts.CertFile {
	if path == "" {
		return &facts.CertFile{Error: errNoFile.Error()}
	}
	limit, seen := timeout(l.app, v1alpha1.CheckPublic), *shown
	f := p.certs.ask(l.question(path), limit, func() *facts.CertFile { return certFile(path, &seen, time.Now()) })
	if f == nil {
		return &facts.CertFile{Path: path, Error: hangs(path, limit)}
	}
	return *f
}

// wayOf is what is kept for an App. One look at a time is under way for each.
func (p *Prober) wayOf(l *look) *way {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.ways[l.app.Name]
	if w == nil || w.url != l.app.Spec.Checks.Public.URL {
		w = &way{url: l.app.Spec.Checks.Public.URL}
		p.ways[l.app.Name] = w
	}
	return w
}
