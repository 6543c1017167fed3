package cmd

import (
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/desired"
)

// adopt is what a supervisor does with a new desired-state file.
func (b *bench) adopt(store *state.Store, v *view, file string) func() {
	return func() {
		b.t.Helper()
		app := desired.Load([]string{file}).App("bbyatch").App
		v.Status.ObservedGeneration++
		paused := metav1.Condition{Type: v1alpha1.ConditionPaused, Status: metav1.ConditionFalse, Reason: "NotPaused"}
		if controller.Paused(app, b.now) {
			paused.Status, paused.Reason = metav1.ConditionTrue, "Paused"
		}
		controller.SetCondition(&v.Status, paused, b.now)
		b.must(store.Write(v.Status, v.Status.ObservedGeneration))
	}
}

func TestPauseAndResumeAreTaken(t *testing.T) {
	b, v := newBench(t), healthy(t)
	file := b.desire(siteYAML)
	b.supervise(file)
	store := b.keep(v)
	b.wants(b.run(b.adopt(store, &v, file), "pause", "--reason", "moving the disk", "--for", "2h"), exitWell,
		"bbyatch is paused by the operator: moving the disk; until 14:00:00, 2h left", file)
	text, err := os.ReadFile(file)
	b.must(err)
	if !strings.Contains(string(text), "paused: true   # edit and save\n") || !strings.Contains(string(text), "2026-11-23T14:00:00Z") {
		t.Errorf("got\n%s", text)
	}
	b.wants(b.run(nil, "pause", "bbyatch", "--reason", "moving the disk", "--until", "2h"), exitWell, "is paused already")
	b.wants(b.run(b.adopt(store, &v, file), "resume"), exitWell, "bbyatch is no longer paused")
	text, err = os.ReadFile(file)
	b.must(err)
	if string(text) != siteYAML {
		t.Errorf("resume left\n%s", text)
	}
	b.wants(b.run(nil, "resume"), exitWell, "was not paused")
}

func TestPauseWithoutASupervisorCountsLater(t *testing.T) {
	b := newBench(t)
	file := b.desire(siteYAML)
	b.wants(b.run(nil, "pause", "-f", file), exitNoSupervisor, "bbyatch is paused in "+file, "it counts when one starts")
	b.wants(b.run(nil, "resume", "nosuch", "-f", file), exitUsage, `no such App "nosuch"`)
}

func TestPauseThatIsNotTaken(t *testing.T) {
	b, v := newBench(t), healthy(t)
	file := b.desire(siteYAML)
	b.supervise(file)
	b.keep(v)
	b.wants(b.run(nil, "pause"), exitNotWell, "has not taken it within 3s", "monitor.log")
}

func TestPauseRefusesWhatMakesNoSense(t *testing.T) {
	b := newBench(t)
	file := b.desire(siteYAML)
	b.wants(b.run(nil, "pause", "-f", file, "--until", "yesterday"), exitUsage, "--until yesterday", "want a duration such as")
	b.wants(b.run(nil, "pause", "-f", file, "--until", "2020-01-01T00:00:00Z"), exitUsage, "in the past")
	b.wants(b.run(nil, "pause", "-f", file, "--for", "soon"), exitUsage, "--for soon", "want a duration such as")
	b.wants(b.run(nil, "pause", "-f", file, "--for", "2h", "--until", "2h"), exitUsage, "want one of them")
	b.wants(b.run(nil, "pause", "-f", file, "--reason", strings.Repeat("x", 600)), exitUsage, "at most 512 characters")
	b.must(os.WriteFile(file, []byte("kind: Ap\n"), 0o644))
	b.wants(b.run(nil, "pause", "-f", file, "bbyatch"), exitUsage, file+":1")
	if text, err := os.ReadFile(file); err != nil || string(text) != "kind: Ap\n" {
		t.Errorf("a broken file was changed: %q, %v", text, err)
	}
}

func TestParseMoment(t *testing.T) {
	now := noon.Wall.Time
	for text, want := range map[string]time.Duration{"90m": 90 * time.Minute, "1d": 24 * time.Hour, "1d12h": 36 * time.Hour} {
		if got, err := parseMoment(text, now, 1); err != nil || got.Sub(now) != want {
			t.Errorf("%s: %s, %v", text, got.Sub(now), err)
		}
		if got, err := parseMoment(text, now, -1); err != nil || now.Sub(got) != want {
			t.Errorf("-%s: %s, %v", text, got.Sub(now), err)
		}
	}
	for _, text := range []string{"", "-1h", "0s", "d", "1dx", "99999999d", "now"} {
		if got, err := parseMoment(text, now, 1); err == nil {
			t.Errorf("%q was taken for %s", text, got)
		}
	}
}
