package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestAFaultIsRememberedWhereAStartHasFailedOfIt, and for as long as that start is the last one; a sign in the log alone may
// be of anything that the application had caught.
func TestAFaultIsRememberedWhereAStartHasFailedOfIt(t *testing.T) {
	tried := func(verified bool) func(c *pass.Case) {
		return func(c *pass.Case) {
			end := instant(3 * time.Second)
			c.Record.Incident = &v1alpha1.Incident{StartedAt: instant(0)}
			c.Record.Recovery = &v1alpha1.Recovery{ID: "1-1", StartedAt: instant(time.Second), FinishedAt: &end, Verified: verified}
		}
	}
	module := func(w *world) {
		w.gone(runtime.Stopped)
		w.process.Cause, w.process.Signs = "a", []facts.Sign{facts.SignOutOfMemory, facts.SignModuleNotFound}
	}
	for _, tc := range []struct {
		name   string
		change func(w *world)
		edit   func(c *pass.Case)
		sign   string
	}{
		{"PM2 gave it up", func(w *world) { module(w); w.gone(runtime.Errored); w.process.Cause = "a" }, nil, "ModuleNotFound"},
		{"our recovery failed", module, tried(false), "ModuleNotFound"},
		{"our recovery worked, and now it is gone", module, tried(true), ""},
		{"our recovery failed, and was of an earlier incident", module, func(c *pass.Case) {
			tried(false)(c)
			c.Record.Incident.StartedAt = instant(2 * time.Second)
		}, ""},
		{"our recovery failed, and its incident is closed", module, func(c *pass.Case) {
			tried(false)(c)
			c.Record.Incident = nil
		}, ""},
		{"a recovery is under way", module, func(c *pass.Case) { tried(false)(c); c.Record.Recovery.FinishedAt = nil }, ""},
		{"it is gone for the first time", module, nil, ""},
		{"it comes and goes", func(w *world) { module(w); w.process.Crashes = 5 }, nil, "ModuleNotFound"},
		{"it was stopped by hand", func(w *world) { module(w); w.process.StopOrdered = true }, tried(false), ""},
		{"it answers", func(w *world) { w.process.Signs, w.process.Cause = []facts.Sign{facts.SignModuleNotFound}, "a" }, tried(false), ""},
		{"PM2 could not be asked", func(w *world) { module(w); w.status["process"] = maybe }, tried(false), ""},
		{"it had come and gone, and PM2 could not be asked", func(w *world) {
			module(w)
			w.process.Crashes, w.status["process"] = 5, maybe
		}, nil, ""},
		{"nothing is known of what it reads", func(w *world) { module(w); w.process.Cause = "" }, tried(false), ""},
		{"its log says nothing that is known", func(w *world) { module(w); w.process.Signs = nil }, tried(false), ""},
		{"variables are missing, and our recovery failed", func(w *world) {
			module(w)
			w.process.Signs, w.status["database"] = nil, no
		}, tried(false), "Environment"},
		{"our recovery failed, and now it runs without an answer", func(w *world) {
			w.status["local"], w.process.Cause, w.process.Signs = no, "a", []facts.Sign{facts.SignModuleNotFound}
		}, tried(false), ""},
		{"variables are missing, our recovery failed, and it comes and goes", func(w *world) {
			w.status["local"], w.status["database"], w.process.Cause, w.process.Crashes = no, no, "a", 5
		}, tried(false), ""},
		{"a database that does not serve is no variable that is missing", func(w *world) {
			module(w)
			w.process.Signs = nil
			w.asked(facts.DatabaseRefused)
		}, tried(false), ""},
		{"variables are missing, and nobody has tried yet", func(w *world) {
			module(w)
			w.process.Signs, w.status["database"] = nil, no
		}, nil, ""},
		{"variables are missing, and it comes and goes before anybody has tried", func(w *world) {
			module(w)
			w.process.Signs, w.status["database"], w.process.Crashes = nil, no, 5
		}, nil, ""},
	} {
		w := well()
		tc.change(w)
		if tc.name == "PM2 gave it up" {
			w.process.Signs = []facts.Sign{facts.SignModuleNotFound}
		}
		c := twice(w)
		if tc.edit != nil {
			tc.edit(c)
		}
		if f := LearnFault(c); (f == nil) != (tc.sign == "") || f != nil && f.Sign != tc.sign {
			t.Errorf("%s: remembered %+v, want %q", tc.name, f, tc.sign)
		}
	}
}

// TestAHoldForAKnownFaultEndsWithItsCause: held until what a start reads is another; then one start, and held again only if
// that one has failed too.
func TestAHoldForAKnownFaultEndsWithItsCause(t *testing.T) {
	var fault *v1alpha1.Fault
	var recovery *v1alpha1.Recovery
	look := func(cause string, change func(w *world)) v1alpha1.Verdict {
		t.Helper()
		w := well()
		w.gone(runtime.Errored)
		w.process.Cause, w.process.Signs = cause, []facts.Sign{facts.SignModuleNotFound}
		if change != nil {
			change(w)
		}
		c := twice(w)
		c.Record.Learned = &v1alpha1.Learned{Fault: fault}
		c.Record.Recovery, c.Record.Incident = recovery, &v1alpha1.Incident{StartedAt: instant(-time.Hour)}
		fault = LearnFault(c)
		c.Record.Learned.Fault = fault
		return Diagnose(c)
	}
	recovered := func(id string) {
		end := instant(-time.Minute)
		recovery = &v1alpha1.Recovery{ID: id, StartedAt: instant(-2 * time.Minute), FinishedAt: &end}
	}
	v := look("a", nil)
	if v.Rule != "known-fault" || !v.ActAtLimit || v.HoldLimit.Duration != holdLimit || !strings.Contains(v.Message, "a module was not found") ||
		!strings.Contains(v.Next[0], "npm ci") {
		t.Fatalf("%+v", v)
	}
	if v = look("a", func(w *world) { w.process.Signs = nil }); v.Rule != "known-fault" {
		t.Errorf("the log has grown old: %s", v.Rule)
	}
	if v = look("b", nil); v.Rule != "process-gone" || fault == nil || fault.Cause != "a" {
		t.Errorf("modules were installed: %s, and remembered is %+v", v.Rule, fault)
	}
	recovered("1-1")
	if v = look("b", nil); v.Rule != "known-fault" {
		t.Errorf("the start after that has failed of the same: %s", v.Rule)
	}
	if v = look("c", func(w *world) { w.process.Signs = nil }); v.Rule != "process-gone" {
		t.Errorf("modules were installed again: %s", v.Rule)
	}
	look("c", func(w *world) { *w = *well() })
	if fault != nil {
		t.Errorf("it answers, and %+v is remembered", fault)
	}
}
