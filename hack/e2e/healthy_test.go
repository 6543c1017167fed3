//go:build e2e

package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "healthy", Seconds: 10, Run: testHealthy})
	register(testCase{Name: "second-supervisor", Seconds: 8, Run: testSecondSupervisor})
}

// sevenChecks are the mission's.
var sevenChecks = []string{
	v1alpha1.CheckProcess, v1alpha1.CheckPort, v1alpha1.CheckLocal, v1alpha1.CheckPublic, v1alpha1.CheckMemory,
	v1alpha1.CheckDatabase, v1alpha1.CheckWorkers,
}

func testHealthy(w *world) {
	site := w.mustSite()
	start := time.Now()
	s := w.supervise(w.reference())
	w.measure.add("Healthy after %.1f s", time.Since(start).Seconds())

	app := s.get()
	if app.Status.Phase != v1alpha1.PhaseHealthy || app.Status.ObservedPhase != v1alpha1.PhaseHealthy {
		w.Errorf("status -o json: phase %q, observed %q", app.Status.Phase, app.Status.ObservedPhase)
	}
	if app.Spec.Port != 3003 || app.Spec.Directory != w.env["APP_DIR"] {
		w.Errorf("status -o json: spec is not the file's: %+v", app.Spec)
	}
	for _, name := range sevenChecks {
		r, ok := app.Status.LastPass.Result(name)
		if !ok || r.Status != metav1.ConditionTrue {
			w.Errorf("check %s: %+v", name, r)
		}
	}
	for _, c := range app.Status.Conditions {
		want := metav1.ConditionTrue
		switch c.Type {
		case v1alpha1.ConditionPaused, v1alpha1.ConditionObserving, v1alpha1.ConditionAlertsConfigured:
			want = metav1.ConditionFalse
		}
		if c.Status != want {
			w.Errorf("condition %s is %s: %s", c.Type, c.Status, c.Message)
		}
	}

	say := func(args ...string) string {
		w.Helper()
		out, errs, code := s.cli(args...)
		w.Logf("$ evenkeel %s   (exit %d)\n%s%s", strings.Join(args, " "), code, out, errs)
		if code != 0 {
			w.Errorf("evenkeel %s: exit code %d", strings.Join(args, " "), code)
		}
		return out
	}
	contains := func(what, text string, wanted ...string) {
		w.Helper()
		for _, want := range wanted {
			if !strings.Contains(text, want) {
				w.Errorf("%s says nothing of %q", what, want)
			}
		}
	}
	contains("status", say("status", "-o", "wide"), append([]string{"bbyatch", "Healthy"}, sevenChecks...)...)
	contains("why", say("why"), "bbyatch", "Healthy")
	contains("events", say("events"), "SupervisionStarted", s.File)
	var list v1alpha1.AppList
	if err := json.Unmarshal([]byte(say("check", "-f", s.File, "-o", "json")), &list); err != nil {
		w.Errorf("check -o json: %v", err)
	} else {
		held := []string{}
		for _, r := range list.Items[0].Status.LastPass.Results {
			if r.Status == metav1.ConditionTrue {
				held = append(held, r.Check)
			}
		}
		for _, name := range sevenChecks {
			if !slices.Contains(held, name) {
				w.Errorf("check -o json: %s does not hold", name)
			}
		}
	}
	contains("check", say("check", "-f", s.File), sevenChecks...)
	for line := range strings.Lines(say("events", "-o", "json")) {
		var e v1alpha1.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.App != "bbyatch" || e.Reason == "" || e.Message == "" {
			w.Errorf("events -o json: %v in %s", err, line)
		}
	}

	// it looks and looks, and does nothing
	s.waitPasses(3, time.Minute)
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s", site, now)
	}
	if did := s.events(start, v1alpha1.ReasonPhaseChanged, v1alpha1.ReasonRecoveryStarted, v1alpha1.ReasonVerdict); len(did) > 0 {
		w.Errorf("something was done: %v", did)
	}
}

func testSecondSupervisor(w *world) {
	s := w.supervise(w.reference())
	first := s.pid()
	began := time.Now()
	out, errs, code := s.as("deploy", s.binary, "run", "-f", s.File, "--state-dir", s.StateDir)
	took := time.Since(began)
	text := out + errs
	w.Logf("the second: exit %d\n%s", code, text)
	if code != 1 {
		w.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{itoa(first), "deploy", "bbyatch"} {
		if !strings.Contains(text, want) {
			w.Errorf("the second does not name the first: %q is missing", want)
		}
	}
	// the first goes on
	s.waitPasses(2, 30*time.Second)
	if s.pid() != first || s.state().Phase != v1alpha1.PhaseHealthy {
		w.Errorf("the first was disturbed: pid %d, %s", s.pid(), s.summary())
	}
	w.measure.add("refused after %.1f s", took.Seconds())
}
