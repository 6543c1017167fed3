package verdict

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// lasting is a case in which the world has been seen like this for exactly so long.
func lasting(w *world, d time.Duration) *pass.Case {
	return &pass.Case{App: app(), Now: instant(d), Recent: []v1alpha1.Observation{w.observation(instant(0)), w.observation(instant(d))}}
}

// TestWaitsEndAtTheirEdge asks just before and exactly at the end of each wait.
func TestWaitsEndAtTheirEdge(t *testing.T) {
	daemonGone := func(leftover bool) func(w *world) {
		return func(w *world) {
			w.gone(runtime.Missing)
			w.process.Daemon, w.process.Leftover, w.process.Rows = false, leftover, nil
		}
	}
	for _, tc := range []struct {
		name          string
		change        func(w *world)
		edit          func(c *pass.Case)
		edge          time.Duration
		before, after string
	}{
		{"the process is gone", func(w *world) { w.gone(runtime.Stopped) }, nil, 2 * time.Second, "process-going", "process-gone"},
		{"somebody stopped it", func(w *world) { w.gone(runtime.Stopped); w.process.StopOrdered = true }, nil, 2 * time.Second, "process-going", "operator-stop"},
		{"its log names its cache", func(w *world) { w.gone(runtime.Errored); w.process.Signs = []facts.Sign{facts.SignCache} }, nil,
			2 * time.Second, "process-going", "cache-signature"},
		{"PM2 was killed", daemonGone(true), nil, 2 * time.Second, "runtime-going", "runtime-lost"},
		{"PM2 was ended", daemonGone(false), nil, 10 * time.Second, "runtime-going", "runtime-lost"},
		{"PM2 was ended by hand", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.process.Leftover, w.process.StopOrdered = false, true
		}, nil, 2 * time.Second, "runtime-going", "operator-stop"},
		{"it is not listed", func(w *world) { w.gone(runtime.Missing); w.process.Rows = nil },
			func(c *pass.Case) { c.App.Spec.Runtime.PM2.Start = "" }, 2 * time.Second, "process-going", "not-listed"},
		{"it was taken out of the list by hand, and nobody knows how to start it",
			func(w *world) { w.gone(runtime.Missing); w.process.Rows, w.process.StopOrdered = nil, true },
			func(c *pass.Case) { c.App.Spec.Runtime.PM2.Start = "" }, 2 * time.Second, "process-going", "not-listed"},
		{"it was taken out of the list by hand", func(w *world) { w.gone(runtime.Missing); w.process.Rows, w.process.StopOrdered = nil, true }, nil,
			2 * time.Second, "process-going", "operator-stop"},
		{"the list was emptied, and nobody stopped it", func(w *world) { w.gone(runtime.Missing); w.process.Rows = nil }, nil,
			2 * time.Second, "process-going", "process-gone"},
		{"PM2 is about to start it", func(w *world) { w.gone(runtime.Waiting); w.process.Rows[0].Bound = 5 * time.Second }, nil,
			15 * time.Second, "runtime-busy", "local-fails"},
		{"what is kept by evenkeel waits for nobody", func(w *world) { w.gone(runtime.Stopped); w.process.Runtime = v1alpha1.RuntimeExec }, keptByEvenkeel,
			0, "", "process-gone"},
	} {
		ask := func(d time.Duration) string {
			w := well()
			tc.change(w)
			c := lasting(w, d)
			if tc.edit != nil {
				tc.edit(c)
			}
			return Diagnose(c).Rule
		}
		if got := ask(tc.edge); got != tc.after {
			t.Errorf("%s, for %s: rule %s, want %s", tc.name, tc.edge, got, tc.after)
		}
		if tc.edge == 0 {
			continue
		}
		if got := ask(tc.edge - time.Millisecond); got != tc.before {
			t.Errorf("%s, a moment before: rule %s, want %s", tc.name, got, tc.before)
		}
	}
}

// TestWhatIsSaidOfTheProcess: Down and Up are said only where the runtime was asked, and Up not of what is being stopped.
func TestWhatIsSaidOfTheProcess(t *testing.T) {
	for _, tc := range []struct {
		name     string
		change   func(w *world)
		down, up bool
	}{
		{"it runs", func(w *world) {
			w.status["public"], w.public = no, facts.Public{HTTP: facts.HTTP{Class: facts.DNS}, Proven: true}
		}, false, true},
		{"it is being stopped", func(w *world) {
			w.process.State, w.status["process"], w.status["local"] = string(runtime.Stopping), no, no
		}, false, false},
		{"it does not run", func(w *world) { w.gone(runtime.Stopped) }, true, false},
		{"it could not be asked, though it was seen", func(w *world) { w.status["process"], w.status["local"] = maybe, no }, false, false},
		{"it could not be asked, nor seen", func(w *world) { w.gone(runtime.Unknown); w.status["process"] = maybe }, false, false},
	} {
		w := well()
		tc.change(w)
		if v := Diagnose(twice(w)); v.Down != tc.down || v.Up != tc.up {
			t.Errorf("%s: down %v, up %v (%s)", tc.name, v.Down, v.Up, v.Rule)
		}
	}
}

func TestWhatCouldNotBeAskedIsNotTakenForGone(t *testing.T) {
	w := well()
	w.gone(runtime.Stopped)
	w.status["process"] = maybe
	if v := Diagnose(twice(w)); v.Rule != "cannot-see" {
		t.Errorf("rule %s", v.Rule)
	}
	w = well() // it has a life, whatever the word for its state
	w.process.State = string(runtime.Stopped)
	w.status["local"], w.local = no, facts.HTTP{Class: facts.Timeout}
	if v := Diagnose(twice(w)); v.Rule != "hung" {
		t.Errorf("rule %s", v.Rule)
	}
}

// TestEvidenceSaysWhatIsWrongFirst, and there is none where nothing is.
func TestEvidenceSaysWhatIsWrongFirst(t *testing.T) {
	if v := Diagnose(twice(well())); len(v.Evidence) != 0 {
		t.Errorf("of an application that is well: %q", v.Evidence)
	}
	w := well()
	w.status["local"], w.local, w.status["workers"] = no, facts.HTTP{Class: facts.Timeout}, maybe
	v := Diagnose(twice(w))
	want := []string{
		"local=False: local says so", "workers=Unknown: workers says so", "build=True: build says so", "database=True: database says so",
		"deploy=True: deploy says so", "disk=True: disk says so", "environment=True: environment says so", "host=True: host says so", "memory=True: memory says so", "port=True: port says so", "process=True: process says so",
		"public=True: public says so",
	}
	if !slices.Equal(v.Evidence, want) {
		t.Errorf("%q", v.Evidence)
	}
	c := twice(w)
	for n := range c.Recent[1].Results {
		c.Recent[1].Results[n].Message = ""
	}
	if v := Diagnose(c); v.Evidence[0] != "local=False" {
		t.Errorf("without a message: %q", v.Evidence[0])
	}
}

// TestADeployIsActedUponAtItsLimitOnlyOnAFinishedBuild, and only where nobody answers.
func TestADeployIsActedUponAtItsLimitOnlyOnAFinishedBuild(t *testing.T) {
	for _, tc := range []struct {
		name  string
		build facts.Build
		local metav1.ConditionStatus
		act   bool
	}{
		{"a finished build", facts.Build{Kind: "next", Present: true}, no, true},
		{"none of a known kind", facts.Build{}, no, true},
		{"one that is missing", facts.Build{Kind: "next"}, no, false},
		{"it answers", facts.Build{Kind: "next", Present: true}, yes, false},
	} {
		w := well()
		w.deploy, w.status["deploy"] = facts.Deploy{AtWork: []facts.Work{{PID: 7, What: "npm ci"}}}, no
		w.build, w.status["local"], w.status["public"] = tc.build, tc.local, no
		if v := Diagnose(twice(w)); v.Rule != "deploy-at-work" || v.ActAtLimit != tc.act || v.HoldLimit.Duration != 30*time.Minute {
			t.Errorf("%s: %s, act %v at %s", tc.name, v.Rule, v.ActAtLimit, v.HoldLimit.Duration)
		}
	}
}

// TestWhoLooksAgainSoon: what is too early to say is looked at again, each in its time.
func TestWhoLooksAgainSoon(t *testing.T) {
	young := func(w *world) {
		w.process.Crashes, w.process.Age, w.status["process"], w.reason["process"] = 5, time.Second, no, facts.ReasonCrashLoop
	}
	for _, tc := range []struct {
		rule   string
		change func(w *world)
		look   time.Duration
	}{
		{"runtime-going", func(w *world) { w.gone(runtime.Missing); w.process.Daemon, w.process.Rows = false, nil }, 2 * time.Second},
		{"outlives-its-crashes", young, time.Minute},
		{"runtime-busy", func(w *world) { w.gone(runtime.Waiting) }, 2 * time.Second},
		{"process-going", func(w *world) { w.gone(runtime.Stopped) }, 2 * time.Second},
	} {
		w := well()
		tc.change(w)
		if v := Diagnose(lasting(w, time.Second)); v.Rule != tc.rule || v.LookAgain.Duration != tc.look {
			t.Errorf("rule %s looks again after %s, want %s after %s", v.Rule, v.LookAgain.Duration, tc.rule, tc.look)
		}
	}
}

// TestOneHalfOfWhatARuleNeedsIsNotEnough takes one half of a rule's evidence away.
func TestOneHalfOfWhatARuleNeedsIsNotEnough(t *testing.T) {
	for _, tc := range []struct {
		name, rule string
		change     func(w *world)
	}{
		{"its log names its cache, and it is gone since a moment ago", "process-going", func(w *world) {
			w.gone(runtime.Stopped)
			w.process.Signs = []facts.Sign{facts.SignCache}
		}},
		{"it answers and is old, and the proxy fails", "proxy", func(w *world) {
			w.status["public"] = no
			w.public = facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 502}, Proven: true, Proxy: &facts.HTTP{Class: facts.Refused}}
		}},
		{"it runs and its leading check is False, and it is no longer starting", "hung", func(w *world) {
			w.status["local"], w.local, w.reason["local"] = no, facts.HTTP{Class: facts.Timeout}, "Starting"
		}},
		{"the port is open, and it does not answer", "hung", func(w *world) { w.status["local"], w.local = no, facts.HTTP{Class: facts.Timeout} }},
		{"nobody can say who listens, and it refuses", "local-fails", func(w *world) {
			w.status["port"], w.port.Listeners = maybe, nil
			w.status["local"], w.local = no, facts.HTTP{Class: facts.Refused}
		}},
	} {
		w := well()
		tc.change(w)
		if v := Diagnose(lasting(w, time.Second)); v.Rule != tc.rule {
			t.Errorf("%s: rule %s, want %s", tc.name, v.Rule, tc.rule)
		}
	}
}

// TestWhoIsBlamedWhereNothingCouldBeSeen: this machine where answers time out, else the process manager.
func TestWhoIsBlamedWhereNothingCouldBeSeen(t *testing.T) {
	for class, blame := range map[facts.Class]v1alpha1.Blame{facts.Timeout: v1alpha1.BlameHost, facts.Refused: v1alpha1.BlameRuntime} {
		w := well()
		w.process, w.status["process"] = facts.Process{}, maybe
		w.status["local"], w.local = no, facts.HTTP{Class: class}
		if v := Diagnose(twice(w)); v.Rule != "cannot-see" || v.Blame != blame || !v.ActAtLimit || v.HoldLimit.Duration != 10*time.Minute {
			t.Errorf("%s: %s blames %s, and acts %v at %s", class, v.Rule, v.Blame, v.ActAtLimit, v.HoldLimit.Duration)
		}
	}
}

// TestWhatExitsForWantOfAnotherIsStartedAllTheSame: a hold for another's fault needs the application's process alive. What exits at
// its start because its database or another service does not answer does not run, whatever its log or the database says.
func TestWhatExitsForWantOfAnotherIsStartedAllTheSame(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"the process manager tries on": func(w *world) { w.gone(runtime.Waiting); w.process.Crashes = crashExits },
		"it has given up":              func(w *world) { w.gone(runtime.Errored); w.process.Crashes = crashExits },
		"it is up at this moment": func(w *world) {
			w.process.Crashes, w.process.Answered = crashExits, false
			w.status["local"], w.reason["local"] = maybe, "Starting"
		},
	} {
		w := well()
		change(w)
		w.process.Needs = []facts.Need{{Kind: facts.NeedDatabase, End: facts.NeedRefused, Port: 6379}}
		w.process.Signs = []facts.Sign{facts.SignDatabase}
		w.database.Class, w.database.Where, w.status["database"] = facts.DatabaseRefused, "127.0.0.1:5432", no
		if v := Diagnose(lasting(w, time.Minute)); v.Remedy != v1alpha1.RemedyRecover || v.Blame != v1alpha1.BlameApp || !v.OwnFault {
			t.Errorf("%s: rule %s blames %s, remedy %s", name, v.Rule, v.Blame, v.Remedy)
		}
	}
}
