package recovery

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

// TestAStepThatHangsIsLeftToItself: the kernel holds it up, whatever its context says.
func TestAStepThatHangsIsLeftToItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, app := &Hands{}, v1alpha1.NewApp()
		app.Name, app.Spec.Directory = "site", "/srv/site"
		gate := make(chan struct{})
		stuck := func(context.Context, *v1alpha1.App, pass.Step) outcome { <-gate; return done("late") }
		quick := func(context.Context, *v1alpha1.App, pass.Step) outcome { return done("well") }
		run := func(name string, what func(context.Context, *v1alpha1.App, pass.Step) outcome) outcome {
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			return h.notHeldUp(ctx, app, pass.Step{Name: name}, what)
		}
		began := time.Now()
		if o := run(StepCaches, stuck); o.StepOutcome != v1alpha1.StepFailed || !strings.Contains(o.message, "/srv/site") || time.Since(began) != 15*time.Second+hangGrace {
			t.Errorf("%s after %s: %s", o.StepOutcome, time.Since(began), o.message)
		}
		if o := run(StepCaches, quick); o.StepOutcome != v1alpha1.StepFailed || !strings.Contains(o.message, "still hangs") {
			t.Errorf("a second one beside it: %s %s", o.StepOutcome, o.message)
		}
		if o := run(StepStart, quick); o.StepOutcome != v1alpha1.StepDone {
			t.Errorf("the start waits for it: %s %s", o.StepOutcome, o.message)
		}
		close(gate)
		synctest.Wait()
		if o := run(StepCaches, quick); o.StepOutcome != v1alpha1.StepDone || o.message != "well" {
			t.Errorf("it has come back: %s %s", o.StepOutcome, o.message)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		slow := func(ctx context.Context, _ *v1alpha1.App, _ pass.Step) outcome {
			time.Sleep(time.Second)
			return skipped("ended")
		}
		if o := h.notHeldUp(ctx, app, pass.Step{Name: StepStart}, slow); o.StepOutcome != v1alpha1.StepSkipped {
			t.Errorf("one that comes back in the grace: %s %s", o.StepOutcome, o.message)
		}
		defer func() {
			if recover() == nil {
				t.Error("a panic in a step is lost")
			}
		}()
		run(StepStart, func(context.Context, *v1alpha1.App, pass.Step) outcome { panic("x") })
	})
}
