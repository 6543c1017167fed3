package recovery

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// stopOf stops an application that is stopped already, with evidence kept as given, and tells how long that took.
func stopOf(t *testing.T, evidence func(context.Context, *v1alpha1.App, pass.Step), steps ...v1alpha1.StepRecord) time.Duration {
	t.Helper()
	h := &Hands{Runtime: &orders{stops: []stopAnswer{{result: runtime.StopResult{Already: true}}}}, Evidence: evidence}
	began := time.Now()
	step := pass.Step{Name: StepStop, Timeout: time.Minute, Recovery: v1alpha1.Recovery{ID: "1-1", Steps: steps}}
	if out := h.Act(t.Context(), v1alpha1.NewApp(), step); out.Outcome != v1alpha1.StepSkipped {
		t.Fatalf("the stop: %s: %s", out.Outcome, out.Message)
	}
	return time.Since(began)
}

func TestEvidenceNeverStopsARecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if took := stopOf(t, func(context.Context, *v1alpha1.App, pass.Step) { panic("no evidence") }); took != 0 {
			t.Errorf("a panic took %s", took)
		}
		if took := stopOf(t, func(ctx context.Context, _ *v1alpha1.App, _ pass.Step) { <-ctx.Done() }); took != evidenceTime {
			t.Errorf("what takes long took %s", took)
		}
		free := make(chan struct{})
		if took := stopOf(t, func(context.Context, *v1alpha1.App, pass.Step) { <-free }); took > 2*time.Second {
			t.Errorf("what hangs took %s, want 2s at most", took)
		}
		close(free)
	})
}

func TestEvidenceIsKeptOnceBeforeTheFirstKill(t *testing.T) {
	kept := 0
	keep := func(context.Context, *v1alpha1.App, pass.Step) { kept++ }
	stopOf(t, keep)
	stopOf(t, keep, v1alpha1.StepRecord{Step: StepStop, Outcome: v1alpha1.StepInterrupted}) // whoever keeps it knows what he has
	if kept != 2 {
		t.Errorf("kept %d times, want 2", kept)
	}
	stopOf(t, keep, v1alpha1.StepRecord{Step: StepStop, Outcome: v1alpha1.StepDone}) // of the plan that did not help
	if kept != 2 {
		t.Error("kept again within the same recovery")
	}
}

// TestTheEvidenceOfOneAppWaitsForNobodyElses: that of one hangs, and another's is kept; its own is not begun a second time.
func TestTheEvidenceOfOneAppWaitsForNobodyElses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		kept := map[string]int{}
		var mu sync.Mutex
		h := &Hands{Evidence: func(_ context.Context, app *v1alpha1.App, _ pass.Step) {
			mu.Lock()
			kept[app.Name]++
			mu.Unlock()
			if app.Name == "hangs" {
				<-free
			}
		}}
		keep := func(name string) {
			app := v1alpha1.NewApp()
			app.Name = name
			h.evidence(t.Context(), app, pass.Step{})
		}
		for _, name := range []string{"hangs", "other", "hangs", "other"} {
			keep(name)
		}
		if kept["hangs"] != 1 || kept["other"] != 2 {
			t.Errorf("kept %v", kept)
		}
		close(free)
		synctest.Wait()
		if keep("hangs"); kept["hangs"] != 2 {
			t.Errorf("kept %v once the disk was back", kept)
		}
	})
}
