package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// inPublicView is what was seen in public, while everything on this machine is well.
func inPublicView(p facts.Public) *view {
	v := look(twice(well()))
	v.public = p
	return v
}

// TestWhatTheWorldWasAnswered: which statuses each condition is about, at their edges; who did not answer has none.
func TestWhatTheWorldWasAnswered(t *testing.T) {
	for _, tc := range []struct {
		name      string
		condition condition
		yes, no   []int
	}{
		{"server error", serverError, []int{500, 599}, []int{200, 499}},
		{"bad gateway", badGateway, []int{502, 503}, []int{501, 504}},
		{"forbidden", forbidden, []int{401, 403, 407}, []int{400, 402, 404, 406, 408}},
		{"delivery fails", deliveryFails, []int{520, 523, 526}, []int{519, 527, 200}},
		{"delivery refuses", deliveryRefuses, []int{525, 526}, []int{524, 527}},
	} {
		for want, list := range map[bool][]int{true: tc.yes, false: tc.no} {
			for _, status := range list {
				v := inPublicView(facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: status}})
				if tc.condition.met(v) != want {
					t.Errorf("%s: %d gives %v", tc.name, status, !want)
				}
				v.public.Class = facts.Timeout
				if tc.condition.met(v) {
					t.Errorf("%s: what did not answer has a status", tc.name)
				}
			}
		}
	}
}

// TestWhatIsSeenOfAHop: each condition about a hop, where what it looks at is there, is another, or was not asked.
func TestWhatIsSeenOfAHop(t *testing.T) {
	answered := func(status int) *facts.HTTP { return &facts.HTTP{Class: facts.Answered, Status: status} }
	passes := func(p facts.Passes) facts.Public { return facts.Public{Passes: &p} }
	wrong := facts.Passes{Named: true, At: "/etc/nginx/x:7", To: []string{"127.0.0.1:1"}}
	same := facts.HTTP{Class: facts.Answered, Status: 404, Page: "p", Unmet: "u"}
	otherStatus, otherPage, otherUnmet, otherClass := same, same, same, same
	otherStatus.Status, otherPage.Page, otherUnmet.Unmet, otherClass.Class = 405, "q", "w", facts.Timeout
	file := func(c *facts.Cert) facts.Public { return facts.Public{HTTP: facts.HTTP{Certificate: c}} }
	ended := func(class facts.Class) facts.Public { return facts.Public{HTTP: facts.HTTP{Class: class}} }
	names := func(l facts.Lookup) facts.Public { return facts.Public{Names: &facts.Names{Outcome: l}} }
	for _, tc := range []struct {
		name      string
		condition condition
		public    facts.Public
		want      bool
	}{
		{"no proxy is here", tooSlow, facts.Public{}, false},
		{"the proxy was not asked", tooSlow, facts.Public{Proxy: &facts.HTTP{Class: facts.NotAsked, Status: 504}}, false},
		{"the proxy is too late", tooSlow, facts.Public{Proxy: &facts.HTTP{Class: facts.Timeout}}, true},
		{"the proxy says 504", tooSlow, facts.Public{Proxy: answered(504)}, true},
		{"the proxy says 502", tooSlow, facts.Public{Proxy: answered(502)}, false},
		{"no proxy was asked", proxyFails, facts.Public{}, false},
		{"it could not be asked", proxyFails, facts.Public{Proxy: &facts.HTTP{Class: facts.NotAsked}}, false},
		{"the proxy answers", proxyFails, facts.Public{Proxy: answered(200)}, false},
		{"the proxy answers otherwise", proxyFails, facts.Public{Proxy: answered(404)}, true},
		{"it leads elsewhere", leadsWrong, passes(wrong), true},
		{"it is not known where it leads", leadsWrong, facts.Public{}, false},
		{"it does not name the site", leadsWrong, passes(facts.Passes{At: wrong.At, To: wrong.To}), false},
		{"it leads to the application", leadsWrong, passes(facts.Passes{Named: true, Ours: true, At: wrong.At, To: wrong.To}), false},
		{"no line says so", leadsWrong, passes(facts.Passes{Named: true, To: wrong.To}), false},
		{"it leads nowhere", leadsWrong, passes(facts.Passes{Named: true, At: wrong.At}), false},
		{"the application says the same", fromAnApp, facts.Public{HTTP: same, App: &same}, true},
		{"the application was not asked", fromAnApp, facts.Public{HTTP: same}, false},
		{"another status", fromAnApp, facts.Public{HTTP: same, App: &otherStatus}, false},
		{"another page", fromAnApp, facts.Public{HTTP: same, App: &otherPage}, false},
		{"it lacks something else", fromAnApp, facts.Public{HTTP: same, App: &otherUnmet}, false},
		{"the application did not answer", fromAnApp, facts.Public{HTTP: same, App: &otherClass}, false},
		{"the world got no answer", fromAnApp, facts.Public{HTTP: otherClass, App: &same}, false},
		{"neither did", fromAnApp, facts.Public{HTTP: otherClass, App: &otherClass}, false},
		{"it speaks the wrong protocol", wrongProtocol, ended(facts.Protocol), true},
		{"it says that it wants HTTPS", wrongProtocol, facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Page: facts.PagePlainToTLS}}, true},
		{"neither of them", wrongProtocol, ended(facts.Answered), false},
		{"a newer certificate", notLoaded, file(&facts.Cert{File: &facts.CertFile{Newer: true}}), true},
		{"no newer one", notLoaded, file(&facts.Cert{File: &facts.CertFile{}}), false},
		{"no file", notLoaded, file(&facts.Cert{}), false},
		{"no certificate", notLoaded, file(nil), false},
		{"no name", cannotBeReached, ended(facts.DNS), true},
		{"no route", cannotBeReached, ended(facts.Unreachable), true},
		{"no answer", cannotBeReached, ended(facts.Timeout), true},
		{"refused", cannotBeReached, ended(facts.Refused), false},
		{"no server of names", nameServersFail, names(facts.NoServer), true},
		{"one that fails", nameServersFail, names(facts.ServerFails), true},
		{"one that is late", nameServersFail, names(facts.LookupTooLate), true},
		{"no such name", nameServersFail, names(facts.NotFound), false},
		{"nobody was asked", nameServersFail, facts.Public{}, false},
	} {
		if got := tc.condition.met(inPublicView(tc.public)); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestWhatIsSaidOfAHop: a sentence says what is known, and is silent of what is not.
func TestWhatIsSaidOfAHop(t *testing.T) {
	answered := func(status int) facts.HTTP { return facts.HTTP{Class: facts.Answered, Status: status} }
	page := facts.HTTP{Class: facts.Answered, Status: 200, Page: facts.PageNginxDefault}
	elsewhere := &facts.Names{Host: "site.test", Outcome: facts.Resolved, Addrs: []string{"192.0.2.1"}}
	refused := facts.HTTP{Class: facts.Refused}
	named := func(change func(n *facts.Names)) *facts.Names { n := *elsewhere; change(&n); return &n }
	const noBlock, itself, stands = "no server block", "the application itself", "stands for 192.0.2.1"
	for _, tc := range []struct {
		name   string
		public facts.Public
		rule   *Rule
		says   string // with ! before it: it does not
	}{
		{"no block names it", facts.Public{HTTP: page, Passes: &facts.Passes{}}, &ruleDefaultPage, noBlock},
		{"a block names it", facts.Public{HTTP: page, Passes: &facts.Passes{Named: true}}, &ruleDefaultPage, "!" + noBlock},
		{"the configuration could not be read", facts.Public{HTTP: page, Passes: &facts.Passes{Error: "denied"}}, &ruleDefaultPage, "!" + noBlock},
		{"it was not looked at", facts.Public{HTTP: page}, &ruleDefaultPage, "!" + noBlock},
		{"its name leads elsewhere", facts.Public{HTTP: page, Names: elsewhere}, &ruleDefaultPage, stands},
		{"its name leads here", facts.Public{HTTP: page, Names: named(func(n *facts.Names) { n.Own = true })}, &ruleDefaultPage, "!" + stands},
		{"its name leads nowhere", facts.Public{HTTP: page, Names: named(func(n *facts.Names) { n.Addrs = nil })}, &ruleDefaultPage, "!stands for"},
		{"its name did not resolve", facts.Public{HTTP: page, Names: named(func(n *facts.Names) { n.Outcome = facts.NotFound })}, &ruleDefaultPage, "!" + stands},
		{"a delivery network stands before it", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, CDN: "Cloudflare"}, Names: elsewhere}, &ruleDefaultPage, "!" + stands},
		{"HTTPS at that port", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Page: facts.PagePlainToTLS}}, &ruleWrongProtocol, "it speaks HTTPS"},
		{"HTTP at that port", facts.Public{HTTP: facts.HTTP{Class: facts.Protocol}}, &ruleWrongProtocol, "!it speaks HTTPS"},
		{"the application lets one in", facts.Public{HTTP: answered(403), App: &facts.HTTP{Class: facts.Answered, Status: 200}}, &ruleForbidden, itself},
		{"the application was not asked", facts.Public{HTTP: answered(403)}, &ruleForbidden, "!" + itself},
		{"the application could not be asked", facts.Public{HTTP: answered(403), App: &facts.HTTP{Class: facts.NotAsked}}, &ruleForbidden, "!" + itself},
		{"520", facts.Public{HTTP: answered(520)}, &ruleDelivery, "empty or odd"},
		{"521", facts.Public{HTTP: answered(521)}, &ruleDelivery, "it was refused"},
		{"522", facts.Public{HTTP: answered(522)}, &ruleDelivery, "could not connect in time"},
		{"523", facts.Public{HTTP: answered(523)}, &ruleDelivery, "could not be reached"},
		{"524", facts.Public{HTTP: answered(524)}, &ruleDelivery, "got no answer in time"},
		{"no proxy is known", facts.Public{HTTP: refused, Names: elsewhere}, &ruleNetwork, "!proxy on this machine"},
		{"no proxy, and the name leads elsewhere", facts.Public{HTTP: refused, Names: elsewhere}, &ruleNetwork, stands},
		{"the proxy was not asked", facts.Public{HTTP: refused, Proxy: &facts.HTTP{Class: facts.NotAsked, Error: "nothing listens"}}, &ruleNetwork, "nothing listens"},
		{"the proxy answers", facts.Public{HTTP: refused, Proxy: &facts.HTTP{Class: facts.Answered}}, &ruleNetwork, "answers as it should"},
		{"the proxy is elsewhere", facts.Public{HTTP: refused, Here: facts.HereNo, Names: elsewhere}, &ruleNetwork, "!" + stands},
		{"by a delivery network", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, CDN: "Cloudflare", Server: "nginx"}}, &ruleDelivery, "(by Cloudflare)"},
		{"by a server", facts.Public{HTTP: facts.HTTP{Class: facts.Redirects, Server: "nginx"}}, &ruleRedirectLoop, "(by nginx)"},
		{"by nobody who said so", facts.Public{HTTP: answered(403)}, &ruleForbidden, "!(by"},
		{"who did not answer said nothing", facts.Public{HTTP: facts.HTTP{Class: facts.Refused, Server: "nginx"}}, &ruleNetwork, "!(by"},
		{"no such name", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Names: &facts.Names{Outcome: facts.NotFound}}, &ruleDNS, "no such name"},
		{"a name that resolves now", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Names: elsewhere}, &ruleDNS, "!no such name"},
		{"a name that was not looked up", facts.Public{HTTP: facts.HTTP{Class: facts.DNS}}, &ruleDNS, "!no such name"},
	} {
		v := inPublicView(tc.public)
		said, not := strings.CutPrefix(tc.says, "!")
		if got := tc.rule.says(v); strings.Contains(got, said) == not {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.says)
		}
	}
}

// TestEachConditionOfAHopIsNeeded: what leads wrong is to blame for what looks like it, and only where the proxy here fails.
func TestEachConditionOfAHopIsNeeded(t *testing.T) {
	answered := func(status int) *facts.HTTP { return &facts.HTTP{Class: facts.Answered, Status: status} }
	wrong := &facts.Passes{At: "/x:7", To: []string{"127.0.0.1:1"}, Named: true}
	for _, tc := range []struct {
		name   string
		public facts.Public
		rule   string
	}{
		{"not found, and it leads elsewhere", facts.Public{HTTP: *answered(404), Proxy: answered(404), Passes: wrong}, "proxy"},
		{"502 before a proxy that answers, and it leads elsewhere", facts.Public{HTTP: *answered(502), Proxy: answered(200), Passes: wrong}, "network"},
		{"502, and a newer certificate lies on disk", facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 502, Certificate: &facts.Cert{
			File: &facts.CertFile{Newer: true},
		}}, Proxy: answered(502)}, "proxy"},
		{"no answer, and no name server either", facts.Public{HTTP: facts.HTTP{Class: facts.Timeout}, Names: &facts.Names{Outcome: facts.NoServer}}, "network"},
		{"504 is as it should be, and the world gets something else", facts.Public{HTTP: *answered(302), Proxy: answered(504)}, "network"},
	} {
		w := well()
		w.public, w.status["public"] = tc.public, no
		c := twice(w)
		c.App.Spec.Checks.Public.ExpectStatus = []int32{200, 504}
		if v := Diagnose(c); v.Rule != tc.rule {
			t.Errorf("%s: rule %s, want %s", tc.name, v.Rule, tc.rule)
		}
	}
}

// TestWhereTheProxyLeads is said as far as it is known.
func TestWhereTheProxyLeads(t *testing.T) {
	for want, p := range map[string]*facts.Passes{
		"/x:7 leads to 127.0.0.1:1, 127.0.0.1:2, and the application listens on [::]:3003": {At: "/x:7", To: []string{"127.0.0.1:1", "127.0.0.1:2"}},
		"": {To: []string{"127.0.0.1:1"}},
	} {
		v := inPublicView(facts.Public{Passes: p})
		if got := v.led(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		v.port.Listeners = nil
		if got := v.led(); strings.Contains(got, "listens") {
			t.Errorf("nobody listens: %q", got)
		}
	}
	for _, p := range []*facts.Passes{nil, {At: "/x:7"}} {
		if got := inPublicView(facts.Public{Passes: p}).led(); got != "" {
			t.Errorf("it is not known where it leads: %q", got)
		}
	}
}

// TestTheClockIsDoubtedOnItsOwnEvidence: it is said so from before this program was written, by another machine's clock if the
// certificate were good by that, or where nobody keeps it and the certificate is of the future.
func TestTheClockIsDoubtedOnItsOwnEvidence(t *testing.T) {
	for _, tc := range []struct {
		name   string
		public facts.Public
		says   string
	}{
		{"ahead by more than clocks differ", facts.Public{HTTP: cert(facts.Expired, -time.Hour, -time.Second), Clock: &facts.Clock{Compared: true, Ahead: 5*time.Minute + time.Second}}, "it is 5m0s ahead of"},
		{"ahead by as much as clocks differ", facts.Public{HTTP: cert(facts.Expired, -time.Hour, -time.Second), Clock: &facts.Clock{Compared: true, Ahead: 5 * time.Minute}}, ""},
		{"behind", facts.Public{HTTP: cert(facts.NotYetValid, time.Hour, 2*time.Hour), Clock: &facts.Clock{Compared: true, Ahead: -90 * time.Minute, Known: true, Kept: true}}, "it is 1h30m0s behind"},
		{"not compared", facts.Public{HTTP: cert(facts.Expired, -time.Hour, -time.Second), Clock: &facts.Clock{Ahead: time.Hour}}, ""},
		{"by the other clock it is good from now on", facts.Public{HTTP: cert(facts.NotYetValid, time.Hour+5*time.Second, 2*time.Hour), Clock: &facts.Clock{Compared: true, Ahead: -time.Hour, Known: true, Kept: true}}, "behind"},
		{"by the other clock it ends now", facts.Public{HTTP: cert(facts.Expired, -2*time.Hour, 5*time.Second-time.Hour), Clock: &facts.Clock{Compared: true, Ahead: time.Hour}}, ""},
		{"it is not the certificate", facts.Public{HTTP: facts.HTTP{Class: facts.DNS, Certificate: &facts.Cert{}}, Clock: &facts.Clock{Before: true}}, ""},
		{"no certificate was seen", facts.Public{HTTP: facts.HTTP{Class: facts.Certificate}, Clock: &facts.Clock{Before: true}}, ""},
		{"no clock was looked at", facts.Public{HTTP: cert(facts.NotYetValid, day, 2*day)}, ""},
		{"of the future, and the clock is kept", facts.Public{HTTP: cert(facts.NotYetValid, day, 2*day), Clock: &facts.Clock{Known: true, Kept: true}}, ""},
		{"of the future, and whether it is kept is not known", facts.Public{HTTP: cert(facts.NotYetValid, day, 2*day), Clock: &facts.Clock{}}, ""},
		{"of the future, and nobody keeps it", facts.Public{HTTP: cert(facts.NotYetValid, day, 2*day), Clock: &facts.Clock{Known: true}}, "no time service"},
		{"expired, and nobody keeps it", facts.Public{HTTP: expired(nil), Clock: &facts.Clock{Known: true}}, ""},
	} {
		if got := inPublicView(tc.public).clockIsWrong(); (got == "") != (tc.says == "") || !strings.Contains(got, tc.says) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.says)
		}
	}
}
