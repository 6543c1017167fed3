package verdict

import (
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestWhatHasNotMoved is as old as the last look that said something else of the process.
func TestWhatHasNotMoved(t *testing.T) {
	for name, before := range map[string]func(w *world){
		"":                   func(*world) {},
		"another state":      func(w *world) { w.process.State = string(runtime.Waiting) },
		"another count":      func(w *world) { w.process.Rows[0].Restarts = 1 },
		"another life":       func(w *world) { w.process.Life = "7:7" },
		"another daemon":     func(w *world) { w.process.DaemonPID = 11 },
		"no daemon":          func(w *world) { w.process.Daemon = false },
		"it was not asked":   nil,
		"before a recovery":  func(*world) {},
		"a recovery's start": func(*world) {},
	} {
		c := &pass.Case{App: app(), Now: instant(time.Minute)}
		first := v1alpha1.Observation{At: instant(0)}
		if before != nil {
			w := well()
			before(w)
			first = w.observation(instant(0))
		}
		c.Recent = []v1alpha1.Observation{first, well().observation(instant(time.Second)), well().observation(instant(time.Minute))}
		want := 59 * time.Second
		switch name {
		case "":
			want = time.Minute
		case "before a recovery":
			c.Record.Recovery = &v1alpha1.Recovery{StartedAt: instant(1)}
		case "a recovery's start":
			c.Record.Recovery = &v1alpha1.Recovery{StartedAt: instant(0)}
			want = time.Minute
		}
		if got := look(c).unmoved(); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
		if c.Record.Recovery == nil {
			c.Recent, c.Now = c.Recent[2:], instant(time.Minute+3*time.Second)
			if got := look(c).unmoved(); got != 3*time.Second {
				t.Errorf("one look of three seconds ago: %s", got)
			}
		}
		c.Record.Recovery = &v1alpha1.Recovery{StartedAt: instant(time.Hour)}
		if got := look(c).unmoved(); got != 0 {
			t.Errorf("%q: no look since the recovery, and it has not moved for %s", name, got)
		}
	}
}

// TestWhatWasNeverAskedHasNotStayed: where no look says anything of the process, nothing is known to be as it was.
func TestWhatWasNeverAskedHasNotStayed(t *testing.T) {
	c := &pass.Case{App: app(), Now: instant(time.Minute), Recent: []v1alpha1.Observation{{At: instant(0)}, {At: instant(time.Second)}}}
	if got := look(c).unmoved(); got != 0 {
		t.Errorf("it has not moved for %s", got)
	}
}

// TestTheLongestOfSeveralRowsCounts: their lives, their bounds, and the first of them that has a process.
func TestTheLongestOfSeveralRowsCounts(t *testing.T) {
	c := &pass.Case{App: app(), Now: instant(time.Minute)}
	for n := range 2 {
		w := well()
		w.status["local"], w.process.Life = no, ""
		w.process.Rows = []facts.Row{
			{ID: "0", Restarts: int64(4 * n), Bound: 5 * time.Second}, {ID: "1", Restarts: int64(n), Bound: 2 * time.Second, PID: 7}, {ID: "2", PID: 8},
		}
		c.Recent = append(c.Recent, w.observation(instant(time.Duration(n)*time.Second)))
	}
	v := look(c)
	if v.lives() != 5 || v.bound() != 15*time.Second || v.mainPID() != 7 {
		t.Errorf("%d lives, bound %s, pid %d", v.lives(), v.bound(), v.mainPID())
	}
	v.process.Rows = nil
	if v.mainPID() != 0 || v.bound() != 10*time.Second {
		t.Errorf("without rows: pid %d, bound %s", v.mainPID(), v.bound())
	}
}

// TestWhoIsRunElsewhere: something answers, and who was asked has nothing of the application, now or ever.
func TestWhoIsRunElsewhere(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(w *world)
		marks  []string
		want   bool
	}{
		{"not listed", func(*world) {}, nil, true},
		{"not listed any more", func(*world) {}, []string{"m"}, true},
		{"no daemon, and none was ever known", func(w *world) { w.process.Daemon = false }, nil, true},
		{"no daemon any more", func(w *world) { w.process.Daemon = false }, []string{"m"}, false},
		{"it could not be asked", func(w *world) { w.status["process"] = maybe }, nil, false},
		{"it has a row", func(w *world) { w.process.Rows = well().process.Rows }, nil, false},
		{"nothing answers", func(w *world) { w.status["local"] = no }, nil, false},
		{"it is about to be started", func(w *world) { w.process.State = string(runtime.Waiting) }, nil, false},
	} {
		w := well()
		w.process.State, w.process.Life, w.process.Rows, w.status["process"] = string(runtime.Missing), "", nil, no
		tc.change(w)
		c := twice(w)
		c.Record.Learned = &v1alpha1.Learned{Marks: tc.marks}
		if got := look(c).runElsewhere(); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestWhatAVerdictSaysBeside: a deploy, a stranger, and what it begins with.
func TestWhatAVerdictSaysBeside(t *testing.T) {
	w := well()
	w.timesOut()
	if v := Diagnose(twice(w)); v.Deploy || v.Stranger || v.Plan != PlanPlain || !v.Hung {
		t.Errorf("%+v", v)
	}
	w.port.Listeners, w.deploy.AtWork = []facts.Listener{{Whose: facts.Stranger, PID: 9}}, []facts.Work{{}}
	if v := Diagnose(twice(w)); !v.Deploy || !v.Stranger || v.Plan != "" || v.Rule != "deploy-at-work" || v.Message != "a deploy is at work in the application's folder: something is at work there" {
		t.Errorf("%+v", v)
	}
}

// TestADeployOfAnUnknownBuildIsRememberedForLong: nobody knows when it is there.
func TestADeployOfAnUnknownBuildIsRememberedForLong(t *testing.T) {
	for build, want := range map[facts.Build]string{{Present: true}: "npm ci", {Kind: "next"}: "npm ci", {Kind: "next", Present: true}: ""} {
		working, done := well(), well()
		working.deploy.AtWork = []facts.Work{{What: "npm ci"}}
		working.build, done.build = build, build
		c := lasting(done, 20*time.Second)
		c.Recent[0] = working.observation(instant(0))
		if got := look(c).deployLately(); got != want {
			t.Errorf("%+v: %q, want %q", build, got, want)
		}
	}
}

// TestWordsOfTheCase are filled in as they are known.
func TestWordsOfTheCase(t *testing.T) {
	words := []string{"{rival}", "{at}", "{url}", "{host}", "{list}", "{log}", "{errors}", "{rows}", "{pid}", "{port}", "{deploy}", "{elsewhere}"}
	for name, tc := range map[string]struct {
		change func(w *world)
		edit   func(c *pass.Case)
		want   map[string]string
	}{
		"under PM2": {func(*world) {}, func(*pass.Case) {}, map[string]string{
			"{at}": "www.example.test:443", "{host}": "www.example.test", "{list}": "pm2 ls", "{log}": "pm2 logs site --lines 50",
			"{errors}": "pm2 logs site --err --lines 50", "{pid}": "100", "{port}": "3003", "{rival}": "", "{rows}": "", "{deploy}": "", "{elsewhere}": "",
		}},
		"kept by evenkeel": {func(w *world) { w.process.Output = "/o.log" }, keptByEvenkeel, map[string]string{
			"{list}": "evenkeel status site", "{log}": "tail -n 50 /o.log", "{errors}": "tail -n 50 /o.log",
		}},
		"a service that writes to a file": {func(w *world) { w.process.Output = "/o.log" }, func(c *pass.Case) { ofSystemd(c) }, map[string]string{
			"{list}": "systemctl status site.service", "{log}": "tail -n 50 /o.log", "{errors}": "tail -n 50 /o.log",
		}},
		"it listens elsewhere": {func(w *world) { w.elsewhere(3013) }, func(*pass.Case) {}, map[string]string{"{elsewhere}": "3013"}},
		"at another port": {func(*world) {}, func(c *pass.Case) { c.App.Spec.Checks.Public.URL = "https://site.test:8443/x" },
			map[string]string{"{at}": "site.test:8443", "{url}": "https://site.test:8443/x"}},
		"no address": {func(*world) {}, func(c *pass.Case) { c.App.Spec.Checks.Public.URL = ":" }, map[string]string{"{at}": "", "{url}": "", "{host}": ""}},
		"two daemons": {func(w *world) {
			w.port.Listeners, w.process.Rivals = []facts.Listener{{Whose: facts.OurOrphan, Under: 88}}, []int{77}
		}, func(*pass.Case) {}, map[string]string{"{rival}": "88"}},
		"a second daemon": {func(w *world) {
			w.port.Listeners, w.process.Rivals = []facts.Listener{{Whose: facts.OurOrphan}}, []int{77, 78}
		}, func(*pass.Case) {}, map[string]string{"{rival}": "77"}},
		"given up": {func(w *world) {
			w.process.Rows = []facts.Row{{ID: "3", State: string(runtime.Errored)}, {ID: "4"}, {ID: "5", State: string(runtime.Errored)}}
		}, func(*pass.Case) {}, map[string]string{"{rows}": "3 5", "{pid}": "0"}},
		"a deploy": {func(w *world) { w.deploy.AtWork = []facts.Work{{PID: 7}} }, func(*pass.Case) {}, map[string]string{"{deploy}": "7"}},
	} {
		w := well()
		tc.change(w)
		c := twice(w)
		tc.edit(c)
		filled := expand(words, look(c))
		for n, word := range words {
			if want, asked := tc.want[word]; asked && filled[n] != want {
				t.Errorf("%s: %s is %q, want %q", name, word, filled[n], want)
			}
		}
	}
}

// TestHowAnAnswerIsTold, with what is odd about it.
func TestHowAnAnswerIsTold(t *testing.T) {
	for want, h := range map[string]facts.HTTP{
		"answered 200 with the page that Nginx comes with": {Class: facts.Answered, Status: 200, Page: facts.PageNginxDefault, Unmet: "no text"},
		"answered 200, but no text":                        {Class: facts.Answered, Status: 200, Unmet: "no text"},
	} {
		if got := outcome(&h); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for public, want := range map[*facts.Public]string{
		{HTTP: facts.HTTP{Class: facts.Timeout, Status: 502}}:  "it does not answer 502 or 503: Timeout",
		{HTTP: facts.HTTP{Class: facts.Answered, Status: 502}}: "it answers 502 or 503: 502",
	} {
		if got := badGateway.found(inPublicView(*public)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	v := inPublicView(facts.Public{})
	if got := proxyFails.found(v); got != proxyFails.no {
		t.Errorf("no proxy: %q", got)
	}
	v.public.Proxy = &facts.HTTP{Class: facts.Refused, Error: "why"}
	if got := proxyFails.found(v); got != proxyFails.yes+": refused (why)" {
		t.Errorf("%q", got)
	}
}

// TestWhatIsWrongWithACertificate is said with what is known of the clock and of the file, and only of one that has expired
// or lies there unchanged.
func TestWhatIsWrongWithACertificate(t *testing.T) {
	const ended, unkept, same = "its certificate has expired on 2026-11-22 03:00 UTC", "; no time service keeps this machine's clock right", "; /c.pem on disk is no newer one"
	file := &facts.CertFile{Path: "/c.pem"}
	with := func(h facts.HTTP, f *facts.CertFile) facts.HTTP { h.Certificate.File = f; return h }
	for _, tc := range []struct {
		name  string
		http  facts.HTTP
		clock *facts.Clock
		want  string
	}{
		{"expired", expired(nil), nil, ended},
		{"and the clock is kept", expired(nil), &facts.Clock{Known: true, Kept: true}, ended},
		{"and it is not known whether it is", expired(nil), &facts.Clock{}, ended},
		{"and it is not", expired(nil), &facts.Clock{Known: true}, ended + unkept},
		{"and on disk is the same", expired(file), nil, ended + same},
		{"and on disk is a newer one", expired(&facts.CertFile{Path: "/c.pem", Newer: true}), nil, ended},
		{"and nobody may read it", expired(&facts.CertFile{Path: "/c.pem", Error: "denied"}), nil, ended},
		{"and nobody knows where it lies", expired(&facts.CertFile{}), nil, ended},
		{"of another name, and the clock is not kept", cert(facts.WrongName, -day, day), &facts.Clock{Known: true}, "its certificate is for another name: other.test"},
		{"wrong in a way that has no words", with(cert("Odd", -day, day), file), &facts.Clock{Known: true}, ""},
		{"none was seen", facts.HTTP{Class: facts.Certificate}, nil, ""},
	} {
		if got := inPublicView(facts.Public{HTTP: tc.http, Clock: tc.clock}).certificate(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
