package verdict

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestTheDatabaseIsBlamedOnlyOnItsOwnEvidence, and a hang is a hang whatever its log says.
func TestTheDatabaseIsBlamedOnlyOnItsOwnEvidence(t *testing.T) {
	failing := func(class facts.Class, signs ...facts.Sign) func(w *world) {
		return func(w *world) {
			w.status["local"], w.local, w.process.Signs = no, facts.HTTP{Class: class, Status: 500}, signs
		}
	}
	for _, tc := range []struct {
		name, rule string
		change     func(w *world)
		hung       bool
	}{
		{"errors, and its log names it", "database-down", failing(facts.Answered, facts.SignDatabase), false},
		{"errors alone", "server-error", failing(facts.Answered), false},
		{"no answer, and its log names it", "hung", failing(facts.Timeout, facts.SignDatabase), true},
		{"refused, and its log names it", "local-fails", failing(facts.Refused, facts.SignDatabase), false},
		{"the proxy fails, and an old log names it", "proxy", func(w *world) {
			w.process.Signs, w.status["public"] = []facts.Sign{facts.SignDatabase}, no
			w.public = facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 502}, Proven: true, Proxy: &facts.HTTP{Class: facts.Refused}}
		}, false},
		{"its configuration lacks, and it answers", "database-configuration", func(w *world) { w.unconfigured() }, false},
		{"its configuration lacks, and it answers errors", "database-configuration", func(w *world) {
			failing(facts.Answered)(w)
			w.unconfigured()
		}, false},
		{"its configuration lacks, and it hangs", "hung", func(w *world) {
			failing(facts.Timeout)(w)
			w.unconfigured()
		}, true},
	} {
		w := well()
		tc.change(w)
		if v := Diagnose(twice(w)); v.Rule != tc.rule || v.Hung != tc.hung {
			t.Errorf("%s: rule %s, hung %v; want %s", tc.name, v.Rule, v.Hung, tc.rule)
		}
	}
}

// TestWhatIsUnknownForLong counts for the check that leads, and from ten minutes on.
func TestWhatIsUnknownForLong(t *testing.T) {
	for _, tc := range []struct {
		check string
		since time.Duration
		rule  string
	}{
		{v1alpha1.CheckLocal, 10 * time.Minute, "lead-unknown-long"},
		{v1alpha1.CheckLocal, 10*time.Minute - 1, "lead-unknown"},
		{v1alpha1.CheckPort, time.Hour, "lead-unknown"},
	} {
		w := well()
		w.status["local"] = maybe
		c := twice(w)
		c.Record.Unknown = []v1alpha1.UnknownCheck{{Check: tc.check, Since: c.Now.Add(-tc.since)}}
		if v := Diagnose(c); v.Rule != tc.rule {
			t.Errorf("%s unknown for %s: rule %s, want %s", tc.check, tc.since, v.Rule, tc.rule)
		}
	}
}

// TestMemoryIsTheApplicationsFaultOnlyOnWhatIsKnownOfIt: there is a baseline, and it is this life's.
func TestMemoryIsTheApplicationsFaultOnlyOnWhatIsKnownOfIt(t *testing.T) {
	base := func(life string) *v1alpha1.Learned {
		return &v1alpha1.Learned{Baseline: &v1alpha1.Baseline{Incarnation: life, Bytes: 20 << 20}}
	}
	for _, tc := range []struct {
		name    string
		learned *v1alpha1.Learned
		life    string
		low     time.Duration
		rule    string
	}{
		{"its own baseline", base("100:1"), "100:1", 3 * time.Minute, "memory-app-grew"},
		{"for a moment less than the time", base("100:1"), "100:1", 3*time.Minute - 1, "memory-low-briefly"},
		{"none", &v1alpha1.Learned{}, "100:1", 3 * time.Minute, "memory-hog"},
		{"another life's", base("99:9"), "100:1", 3 * time.Minute, "memory-hog"},
		{"no life, and a baseline of none", base(""), "", 3 * time.Minute, "memory-hog"},
		{"nothing is known at all", nil, "100:1", 0, "memory-low-briefly"},
	} {
		w := well()
		w.status["memory"], w.memory.Available, w.memory.Life = no, 50<<20, tc.life
		c := twice(w)
		if c.Record.Learned = tc.learned; tc.learned != nil {
			since := c.Now.Add(-tc.low)
			c.Record.Learned.LowMemorySince = &since
		}
		if v := Diagnose(c); v.Rule != tc.rule {
			t.Errorf("%s: rule %s, want %s", tc.name, v.Rule, tc.rule)
		}
	}
}

// TestLivesAreCountedAsTheyCameAndWent goes by the lives that were seen, and by PM2's counts where more came than were seen;
// what somebody had ordered is not counted.
func TestLivesAreCountedAsTheyCameAndWent(t *testing.T) {
	type glimpse struct {
		life     string
		restarts int64
		unknown  bool
	}
	for _, tc := range []struct {
		name    string
		looks   []glimpse
		ordered int
		want    int
	}{
		{"one life", []glimpse{{"1:1", 0, false}, {"1:1", 0, false}}, 0, 1},
		{"none was seen, none was counted", []glimpse{{"", 0, false}, {"", 0, false}}, 0, 0},
		{"two seen", []glimpse{{"1:1", 0, false}, {"2:2", 0, false}}, 0, 2},
		{"two counted between two looks", []glimpse{{"", 4, false}, {"", 5, false}}, 0, 2},
		{"three counted between two looks", []glimpse{{"", 4, false}, {"", 6, false}}, 0, 3},
		{"three counted, one ordered", []glimpse{{"", 4, false}, {"", 6, false}}, 1, 2},
		{"more ordered than seen", []glimpse{{"1:1", 0, false}}, 5, 0},
		{"a count that went back", []glimpse{{"", 9, false}, {"", 1, false}}, 0, 0},
		{"what could not be asked says nothing", []glimpse{{"1:1", 0, false}, {"2:2", 9, true}, {"3:3", 0, false}}, 0, 2},
	} {
		c := &pass.Case{App: app(), Now: instant(time.Minute)}
		for n, l := range tc.looks {
			w := well()
			w.status["local"] = no
			w.process.Life, w.process.Ordered = l.life, tc.ordered
			w.process.Rows[0].Restarts = l.restarts
			if l.unknown {
				w.status["process"] = maybe
			}
			c.Recent = append(c.Recent, w.observation(instant(time.Duration(n)*time.Second)))
		}
		if got := look(c).lives(); got != tc.want {
			t.Errorf("%s: %d lives, want %d", tc.name, got, tc.want)
		}
	}
}

// TestAManagerThatHasJustComeIntoBeingSaysSomethingNew: what it said before it died has no age.
func TestAManagerThatHasJustComeIntoBeingSaysSomethingNew(t *testing.T) {
	for name, before := range map[string]func(w *world){
		"another daemon": func(w *world) { w.process.DaemonPID = 9 },
		"none":           func(w *world) { w.process.Daemon = false },
	} {
		now := well()
		now.gone(runtime.Stopped)
		then := well()
		then.gone(runtime.Stopped)
		before(then)
		c := &pass.Case{App: app(), Now: instant(time.Minute), Recent: []v1alpha1.Observation{then.observation(instant(0)), now.observation(instant(time.Minute))}}
		if v := Diagnose(c); v.Rule != "process-going" {
			t.Errorf("%s before: rule %s, want process-going", name, v.Rule)
		}
	}
}

// TestWhoeverStoppedItIsBelievedOnlyWhereItIsStopped.
func TestWhoeverStoppedItIsBelievedOnlyWhereItIsStopped(t *testing.T) {
	for _, tc := range []struct {
		name, rule string
		change     func(w *world)
	}{
		{"errored after a stop", "process-gone", func(w *world) { w.gone(runtime.Errored) }},
		{"errored after a stop, and PM2 could be brought back", "process-gone", func(w *world) { w.gone(runtime.Errored); w.process.Revival = "pm2 resurrect" }},
		{"a process of its is left", "hung", func(w *world) { w.timesOut(); w.process.State = string(runtime.Stopped) }},
		{"it runs again", "hung", func(w *world) { w.status["local"], w.local = no, facts.HTTP{Class: facts.Timeout} }},
		{"not listed any more, and PM2 lives", "operator-stop", func(w *world) { w.gone(runtime.Missing); w.process.Rows = nil }},
		{"PM2 was ended with it", "operator-stop", func(w *world) {
			w.gone(runtime.Missing)
			w.process.Daemon, w.process.Revival, w.process.Rows = false, "pm2 resurrect", nil
		}},
		{"PM2 was ended, and cannot be brought back", "runtime-lost", func(w *world) {
			w.gone(runtime.Missing)
			w.process.Daemon, w.process.Rows = false, nil
		}},
	} {
		w := well()
		tc.change(w)
		w.process.StopOrdered = true
		if v := Diagnose(lasting(w, time.Minute)); v.Rule != tc.rule {
			t.Errorf("%s: rule %s, want %s", tc.name, v.Rule, tc.rule)
		}
	}
}

// TestAYoungProcessIsOneOfACrashLoop, and not any process of which the check says no.
func TestAYoungProcessIsOneOfACrashLoop(t *testing.T) {
	w := well()
	w.status["process"], w.reason["process"] = no, "Odd"
	if v := Diagnose(twice(w)); v.Rule != "anything-else" {
		t.Errorf("another reason: rule %s", v.Rule)
	}
	w = well()
	w.reason["process"], w.status["workers"] = facts.ReasonCrashLoop, no
	if v := Diagnose(twice(w)); v.Rule != "anything-else" {
		t.Errorf("the reason alone: rule %s", v.Rule)
	}
	w = well()
	w.status["process"], w.reason["process"] = no, facts.ReasonCrashLoop
	w.status["local"], w.local = no, facts.HTTP{Class: facts.Timeout}
	if v := Diagnose(twice(w)); v.Rule != "hung" {
		t.Errorf("young, and it does not answer: rule %s", v.Rule)
	}
}

// TestNextStepsNameWhatIsMeant fills in what was seen.
func TestNextStepsNameWhatIsMeant(t *testing.T) {
	w := well()
	w.deploy, w.status["deploy"], w.status["public"] = facts.Deploy{AtWork: []facts.Work{{PID: 4711, What: "npm ci"}}}, no, no
	if v := Diagnose(twice(w)); v.Rule != "deploy-at-work" || !strings.Contains(strings.Join(v.Next, "\n"), "4711") {
		t.Errorf("%s: %q", v.Rule, v.Next)
	}
	w = well()
	w.unconfigured()
	c := twice(w)
	for n := range c.Recent[1].Results {
		if r := &c.Recent[1].Results[n]; r.Check == v1alpha1.CheckDatabase {
			r.Facts = facts.Raw(facts.Database{Missing: []string{"DATABASE_URL"}})
		}
	}
	if v := Diagnose(c); !strings.Contains(strings.Join(v.Next, "\n"), "DATABASE_URL") {
		t.Errorf("%s: %q", v.Rule, v.Next)
	}
	w = well()
	w.gone(runtime.Stopped)
	if v := Diagnose(twice(w)); !strings.Contains(strings.Join(v.Next, "\n"), "pm2 logs site --err --lines 50") {
		t.Errorf("under PM2: %q", v.Next)
	}
	w.process.Output = "/var/log/site.log"
	c = twice(w)
	keptByEvenkeel(c)
	if v := Diagnose(c); !strings.Contains(strings.Join(v.Next, "\n"), "tail -n 50 /var/log/site.log") {
		t.Errorf("under exec: %q", v.Next)
	}
}

// TestWhatElseDoesNotHoldIsNamed, as far as it is required.
func TestWhatElseDoesNotHoldIsNamed(t *testing.T) {
	w := well()
	w.status["workers"], w.status["build"] = metav1.ConditionFalse, metav1.ConditionFalse
	v := Diagnose(twice(w))
	if v.Rule != "anything-else" || !strings.Contains(v.Message, "workers: workers says so") || strings.Contains(v.Message, "local") || strings.Contains(v.Message, "build") {
		t.Errorf("%s: %s", v.Rule, v.Message)
	}
}

// TestWhoeverRestartsItOftenMakesNoCrashLoop: three lives that answered, and the one that runs is believed.
func TestWhoeverRestartsItOftenMakesNoCrashLoop(t *testing.T) {
	c := &pass.Case{App: app(), Now: instant(time.Minute)}
	for n, life := range []string{"1:1", "2:2", "3:3"} {
		w := well()
		w.process.Life, w.status["public"] = life, no
		w.public = facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Proven: true}
		c.Recent = append(c.Recent, w.observation(instant(time.Duration(n)*20*time.Second)))
	}
	if v := Diagnose(c); v.Rule != "dns" {
		t.Errorf("rule %s, want dns", v.Rule)
	}
}

// TestWithoutAPortCheckACrashLoopIsSeenAllTheSame: who is not asked about holds no port.
func TestWithoutAPortCheckACrashLoopIsSeenAllTheSame(t *testing.T) {
	w := well()
	w.gone(runtime.Waiting)
	w.process.Crashes = crashExits
	c := twice(w)
	for n := range c.Recent {
		c.Recent[n].Results = slices.DeleteFunc(c.Recent[n].Results, func(r v1alpha1.CheckResult) bool { return r.Check == v1alpha1.CheckPort })
	}
	if v := Diagnose(c); v.Rule != "crash-loop" {
		t.Errorf("rule %s, want crash-loop", v.Rule)
	}
}

// TestAManagerThatNeverHadItWasTheWrongOneToAsk: no PM2 runs, something answers, and nothing was ever learned of a row.
func TestAManagerThatNeverHadItWasTheWrongOneToAsk(t *testing.T) {
	for _, marks := range [][]string{nil, {"m1"}} {
		w := well()
		w.process = facts.Process{Runtime: "pm2", Home: "/home/deploy/.pm2", State: string(runtime.Missing)}
		w.status["process"] = no
		c := lasting(w, time.Minute)
		c.Record.Learned = &v1alpha1.Learned{Marks: marks}
		v := Diagnose(c)
		if elsewhere := v.Rule == "answers-elsewhere"; !elsewhere {
			t.Errorf("marks %v: rule %s", marks, v.Rule)
		}
		if got := look(c).runElsewhere(); got != (marks == nil) {
			t.Errorf("marks %v: run elsewhere %v", marks, got)
		}
	}
}
