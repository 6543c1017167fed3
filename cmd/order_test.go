package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers"
	"github.com/evenkeel/evenkeel/state"
)

// brain is what a supervisor does with an order, without its loop.
func (b *bench) brain(store *state.Store, v view) func() {
	return func() {
		b.t.Helper()
		b.now = at(time.Second)
		order, err := store.TakeOrder()
		b.must(err)
		c := pass.Case{App: v.App, Record: v.Status, Recent: []v1alpha1.Observation{*v.Pass}, Now: b.now}
		status, commands, _ := controller.Step(reconcilers.Judge{}, c, controller.Input{Order: &order})
		if status.Demand != nil { // the look that was asked for
			c.Record = status
			var more []controller.Command
			status, more, _ = controller.Step(reconcilers.Judge{}, c, controller.Input{Observed: true})
			commands = append(commands, more...)
		}
		b.must(store.Write(status, v.Meta.Generation))
		for _, command := range commands {
			if record, ok := command.(controller.Record); ok {
				b.journal(record.Event)
			}
		}
	}
}

func TestResetIsTaken(t *testing.T) {
	b, v := newBench(t), failed(t)
	b.supervise(b.desire(siteYAML))
	store := b.keep(v)
	b.wants(b.run(b.brain(store, v), "reset"), exitWell, "bbyatch: Failed → Healthy, 3 attempts available\n")
	st, err := state.ReadState(b.dir, "bbyatch")
	b.must(err)
	if st.Phase != v1alpha1.PhaseHealthy || st.Incident != nil {
		t.Errorf("got phase %s, incident %v", st.Phase, st.Incident)
	}
	b.wants(b.run(nil, "reset", "bbyatch"), exitWell, "Healthy already")
}

func TestResetIsRefusedDuringARecovery(t *testing.T) {
	b, v := newBench(t), recovering(t)
	b.supervise(b.desire(siteYAML))
	store := b.keep(v)
	b.wants(b.run(b.brain(store, v), "reset"), exitNotWell, "refused", "a recovery is under way; reset when it has ended")
	b.wants(b.run(nil, "recover"), exitNotWell, "refused", "a recovery is under way already")
}

func TestRecoverBegins(t *testing.T) {
	b, v := newBench(t), healthy(t)
	v.Status.Verdict = nil
	b.supervise(b.desire(siteYAML))
	store := b.keep(v)
	b.wants(b.run(b.brain(store, v), "recover"), exitWell, "bbyatch: Healthy → Recovering: recovery 4-1 (plan Plain) is under way")
}

func TestRecoverIsRefusedDuringADeployUnlessForced(t *testing.T) {
	for _, force := range []bool{false, true} {
		b, v := newBench(t), healthy(t)
		v.Pass = results(v1alpha1.CheckResult{
			Check: "deploy", Status: metav1.ConditionFalse, Reason: "AtWork", Facts: []byte(`{"atWork":[{"pid":7,"what":"npm ci"}]}`),
		}, failing("local", "Refused", "refused"))
		b.supervise(b.desire(siteYAML))
		store := b.keep(v)
		if force {
			b.wants(b.run(b.brain(store, v), "recover", "--force"), exitWell, "is under way")
		} else {
			b.wants(b.run(b.brain(store, v), "recover"), exitNotWell, "refused", "a deploy is at work")
		}
	}
}

func TestAnOrderWithoutASupervisorStandsInTheFile(t *testing.T) {
	b := newBench(t)
	b.desire(siteYAML)
	b.keep(failed(t))
	path := filepath.Join(b.dir, "bbyatch.yaml")
	before, err := os.ReadFile(path)
	b.must(err)
	b.wants(b.run(nil, "reset"), exitNoSupervisor, "the order stands in "+path+" (phase: Healthy) and counts when evenkeel starts")
	after, err := os.ReadFile(path)
	b.must(err)
	if want := strings.Replace(string(before), "\nphase: Failed\n", "\nphase: Healthy\n", 1); string(after) != want {
		t.Errorf("more than the phase was changed:\n%s", after)
	}
	b.wants(b.run(nil, "status"), exitNoSupervisor, "phase Healthy stands in the state file")
	b.wants(b.run(nil, "recover", "--force"), exitNoSupervisor, "phase: Recovering")
	store, err := state.NewStore(b.dir, "bbyatch", state.Options{Settle: func() {}})
	b.must(err)
	if order := store.Load().Order; order.Phase != v1alpha1.PhaseRecovering || !order.Force {
		t.Errorf("got order %+v", order)
	}
	listing, err := os.ReadDir(b.dir)
	b.must(err)
	for _, e := range listing {
		if strings.Contains(e.Name(), ".order") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestAnOrderThatNobodyTakesIsAnError(t *testing.T) {
	b := newBench(t)
	b.supervise(b.desire(siteYAML))
	b.keep(failed(t))
	b.wants(b.run(nil, "reset"), exitNotWell, "has not taken the order within 5s", "it stays Failed", "monitor.log")
}

func TestSpliceOrderChangesThePhaseOnly(t *testing.T) {
	for name, test := range map[string]struct {
		before, after string
		phase         v1alpha1.Phase
		force         bool
	}{
		"plain":       {"a: 1\nphase: Failed\nobservedPhase: Failed\n", "a: 1\nphase: Healthy\nobservedPhase: Failed\n", "Healthy", false},
		"comment":     {"phase: Failed # x\nobservedPhase: Failed\n", "phase: Healthy # x\nobservedPhase: Failed\n", "Healthy", false},
		"quoted":      {"phase: \"Failed\"\n", "phase: Healthy\n", "Healthy", false},
		"empty":       {"phase:\n", "phase: Healthy\n", "Healthy", false},
		"force":       {"phase: Failed # x\nb: 1\n", "phase: Recovering # x\nforce: true\nb: 1\n", "Recovering", true},
		"force again": {"phase: Recovering\nforce: true\nb: 1\n", "phase: Recovering\nforce: true\nb: 1\n", "Recovering", true},
		"no force":    {"phase: Recovering\nforce: true\nb: 1\n", "phase: Healthy\nb: 1\n", "Healthy", false},
		"in a text":   {"phase: Failed\nmessage: |\n  phase: x\n", "phase: Healthy\nmessage: |\n  phase: x\n", "Healthy", false},
	} {
		got, err := spliceOrder([]byte(test.before), test.phase, test.force)
		if err != nil || string(got) != test.after {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, test.after)
		}
	}
	if _, err := spliceOrder([]byte("a: 1\n"), "Healthy", false); err == nil {
		t.Errorf("a file without a phase was taken")
	}
}
