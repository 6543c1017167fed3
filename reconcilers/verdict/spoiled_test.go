package verdict

import (
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestWhatOthersDidIsNoCrashLoop pins two bugs: the application was restarted the moment that the stranger on its port had left,
// and the moment that its build had come back.
func TestWhatOthersDidIsNoCrashLoop(t *testing.T) {
	noBuild := func(w *world) { w.build.Present, w.status["build"] = false, no }
	for _, tc := range []struct {
		name      string
		spoil     func(w *world)
		builtOnce bool
		rule      string
	}{
		{"a stranger had the port", func(w *world) {
			w.port.Listeners = []facts.Listener{{Whose: facts.Stranger, PID: 9}}
			w.status["port"] = no
		}, false, "starting"},
		{"its build was missing, as was seen", noBuild, true, "starting"},
		{"its build was missing, as its log said", func(w *world) {
			noBuild(w)
			w.process.Signs = []facts.Sign{facts.SignBuildMissing}
		}, false, "starting"},
		{"it never had a build", noBuild, false, "crash-loop"},
		{"it needs no build", func(w *world) { noBuild(w); w.build.Kind = "" }, true, "crash-loop"},
		{"nothing was wrong but itself", func(*world) {}, true, "crash-loop"},
	} {
		for _, lives := range []bool{true, false} { // that were seen, or exits that were counted
			c := &pass.Case{App: app()}
			c.Record.Learned = &v1alpha1.Learned{BuildSeen: tc.builtOnce}
			for n := range 6 {
				w := well()
				w.build.Kind = "next"
				w.process.Life, w.process.Answered, w.process.Age = "a:1", false, time.Second
				if lives {
					w.process.Life = string(rune('a'+n)) + ":1"
					w.process.Rows[0].Restarts = int64(n)
				} else {
					w.process.Crashes = crashExits
				}
				w.status["local"], w.reason["local"], w.status["public"] = maybe, "Starting", no
				if n < 5 {
					tc.spoil(w)
				}
				c.Now = instant(time.Duration(n) * 2 * time.Second)
				c.Recent = append(c.Recent, w.observation(c.Now))
			}
			if v := Diagnose(c); v.Rule != tc.rule {
				t.Errorf("%s (lives %v): rule %s, want %s", tc.name, lives, v.Rule, tc.rule)
			}
		}
	}
}

// TestNoHoldsLimitUndoesAnOperatorsStop pins a bug: the limit of a deploy's hold, which had begun before, started an application
// that somebody had stopped a few minutes ago.
func TestNoHoldsLimitUndoesAnOperatorsStop(t *testing.T) {
	for _, tc := range []struct {
		name    string
		ordered bool
		since   time.Duration
		act     bool
	}{
		{"it was stopped just now", true, 15*time.Minute - time.Second, false},
		{"it was stopped long ago", true, 15 * time.Minute, true},
		{"nobody has stopped it", false, 0, true},
	} {
		w := well()
		w.gone(runtime.Stopped)
		w.process.StopOrdered, w.process.StopOrderedFor = tc.ordered, tc.since
		w.deploy.AtWork = []facts.Work{{PID: 5, What: "npm ci"}}
		c := twice(w)
		v := Diagnose(c)
		if v.Rule != "deploy-at-work" || v.ActAtLimit != tc.act || (v.AtLimit == ruleDeployAtWork.AtLimit) != tc.act {
			t.Errorf("%s: %s, acts at its limit: %v, want %v (%s)", tc.name, v.Rule, v.ActAtLimit, tc.act, v.AtLimit)
		}
	}
	w := well()
	w.gone(runtime.Stopped)
	w.process.StopOrdered, w.process.StopOrderedFor = true, time.Minute
	if v := Diagnose(twice(w)); v.Rule != "operator-stop" || !v.ActAtLimit {
		t.Errorf("%s, acts at its limit: %v", v.Rule, v.ActAtLimit)
	}
	w.process.FolderMissing = true
	if v := Diagnose(twice(w)); v.Rule != "folder-missing" || v.ActAtLimit || v.AtLimit != ruleFolderMissing.AtLimit {
		t.Errorf("%s, acts at its limit: %v (%s)", v.Rule, v.ActAtLimit, v.AtLimit)
	}
}
