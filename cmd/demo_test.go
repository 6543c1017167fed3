package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/cmd/demo"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/state/desired"
)

func TestDemoDocumentIsValid(t *testing.T) {
	text := demoDocument("/opt/my tools/even\"keel", "/tmp/demo 1", "/tmp/demo 1/site", 3004, "http://127.0.0.1:4000/")
	set := desired.Parse([]byte(text), "site.yaml")
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	app := set.App(demoApp).App
	want := []string{"/opt/my tools/even\"keel", demo.PartSite, demo.FolderFlag, "/tmp/demo 1"}
	if got := app.Spec.Runtime.Exec.Command; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("command %q", got)
	}
	if app.Spec.Directory != "/tmp/demo 1/site" || app.Spec.Port != 3004 || app.Spec.Checks.Public.URL != "http://127.0.0.1:4000/" {
		t.Errorf("%+v", app.Spec)
	}
	if strings.Contains(text, "{") && strings.Contains(text, "{name}") {
		t.Errorf("a placeholder is left:\n%s", text)
	}
}

func lookOf(pid string, statuses map[string]metav1.ConditionStatus) *v1alpha1.Observation {
	o := &v1alpha1.Observation{}
	for _, name := range []string{"local", "port", "process", "workers"} {
		status, ok := statuses[name]
		if !ok {
			status = metav1.ConditionTrue
		}
		r := v1alpha1.CheckResult{Check: name, Status: status, Message: name + " says so", Required: true, Leading: name == "local"}
		if name == "process" {
			r.Facts = facts.Raw(facts.Process{Life: pid})
		}
		o.Results = append(o.Results, r)
	}
	return o
}

func TestSayings(t *testing.T) {
	no := metav1.ConditionFalse
	event := func(reason, message string, change func(*v1alpha1.Event)) fed {
		e := v1alpha1.Event{Reason: reason, Message: message, Type: v1alpha1.EventWarning}
		if change != nil {
			change(&e)
		}
		return fed{event: &e}
	}
	step := func(outcome v1alpha1.StepOutcome) func(*v1alpha1.Event) {
		return func(e *v1alpha1.Event) {
			e.Step, e.Outcome, e.Took = "stop", string(outcome), metav1.Duration{Duration: 30 * time.Millisecond}
		}
	}
	for name, c := range map[string]struct {
		in   fed
		want string
	}{
		"the first pass":  {fed{pass: lookOf("7:70", nil)}, ""},
		"nothing new":     {fed{before: lookOf("7:70", nil), pass: lookOf("7:70", nil)}, ""},
		"another process": {fed{before: lookOf("7:70", nil), pass: lookOf("8:80", nil)}, "seen process 7 is gone; process 8 has taken its place"},
		"a process that is gone": {
			fed{before: lookOf("7:70", nil), pass: lookOf("", map[string]metav1.ConditionStatus{"process": no, "local": no, "workers": no})},
			"seen process 7 is gone|seen ✗ process, local, workers: process says so",
		},
		"well again": {
			fed{before: lookOf("7:70", map[string]metav1.ConditionStatus{"local": no, "port": no}), pass: lookOf("7:70", nil)}, "seen ✓ port, local",
		},
		"blame": {event(v1alpha1.ReasonVerdict, "App: Hung → Recover: it hangs", nil), "blamed App: Hung → Recover: it hangs"},
		"too early to say": {
			event(v1alpha1.ReasonVerdict, "App: Starting → Wait: it starts", func(e *v1alpha1.Event) { e.Type = v1alpha1.EventNormal }),
			"noted App: Starting → Wait: it starts",
		},
		"the next plan": {event(v1alpha1.ReasonVerdict, "it goes on with plan Clean", nil), "decided it goes on with plan Clean"},
		"a phase": {
			event(v1alpha1.ReasonPhaseChanged, "…", func(e *v1alpha1.Event) { e.From, e.Phase = v1alpha1.PhaseHealthy, v1alpha1.PhaseDegraded }),
			"phase Healthy → Degraded",
		},
		"a recovery":     {event(v1alpha1.ReasonRecoveryStarted, "recovery 1-1 begins with plan Plain: it hangs", nil), "decided recovery 1-1 begins with plan Plain"},
		"a step":         {event(v1alpha1.ReasonStepFinished, "step stop: Done: it has ended: 7", step(v1alpha1.StepDone)), "done stop    it has ended: 7 (30ms)"},
		"a step skipped": {event(v1alpha1.ReasonStepFinished, "step stop: Skipped: why", step(v1alpha1.StepSkipped)), ""},
		"a step failed":  {event(v1alpha1.ReasonStepFinished, "step stop: Failed: why", step(v1alpha1.StepFailed)), "failed stop    why (30ms)"},
		"what nobody has to be told": {
			event(v1alpha1.ReasonStepStarted, "step stop begins", nil), "",
		},
		"an alert": {fed{alert: &v1alpha1.Alert{Kind: v1alpha1.AlertFailed, Message: "it waits"}}, "told alert: Failed: it waits"},
		"what a terminal would obey": {
			event(v1alpha1.ReasonHeld, "held\x1b[2J\nand more", nil), "noted held[2J and more",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range sayings(c.in) {
				got = append(got, s.tag+" "+s.text)
			}
			if text := strings.Join(got, "|"); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

func TestSayingText(t *testing.T) {
	at := time.Date(2026, 11, 27, 3, 4, 5, 0, time.UTC)
	s := tagSeen.say("✗ %s", "no answer in time")
	if got := sayingText(at, s, style{}, 0); got != "  03:04:05  seen     ✗ no answer in time" {
		t.Errorf("%q", got)
	}
	if got := sayingText(at, s, style{}, 30); got != "  03:04:05  seen     ✗ no ans…" {
		t.Errorf("%q", got)
	}
	if got := sayingText(at, s, style{on: true}, 0); !strings.Contains(got, "\x1b[33mseen   \x1b[0m") {
		t.Errorf("%q", got)
	}
}

func TestSaveAs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.yaml")
	if err := os.WriteFile(path, []byte("phase: Failed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := saveAs(path, func(text string) string { return strings.Replace(text, "Failed", "Healthy", 1) }); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(path)
	if string(data) != "phase: Healthy\n" {
		t.Errorf("%q", data)
	}
	if err := saveAs(path, func(text string) string { return text }); err == nil {
		t.Error("an edit that changes nothing was taken for one")
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("left over: %v", list)
	}
}

// The desired file and its edit by the tour must not drift apart.
func TestPauseCanBeEdited(t *testing.T) {
	text := demoDocument("/x", "/d", "/d/site", 3003, "http://127.0.0.1:4000/")
	paused := strings.Replace(text, pausedText(false), pausedText(true), 1)
	set := desired.Parse([]byte(paused), "site.yaml")
	if err := set.Err(); err != nil || !set.App(demoApp).App.Spec.Paused {
		t.Errorf("%v: %s", err, paused)
	}
}
