package recovery

import (
	"context"
	"time"

	"github.com/sourcegraph/conc/panics"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

// hangGrace is what a step is given beyond its time to come back by itself.
const hangGrace = 2 * time.Second

// notHeldUp carries out a step that touches the application's files: where these lie on a disk that hangs, or a file system of
// a network, the kernel holds it up whatever its context says, and an application that we have stopped has to be started all
// the same. One that does not come back is left to itself, and not begun again before it has.
func (h *Hands) notHeldUp(ctx context.Context, app *v1alpha1.App, step pass.Step, run func(context.Context, *v1alpha1.App, pass.Step) outcome) outcome {
	key := app.Name + "\x00" + step.Name
	h.mu.Lock()
	held := h.hanging[key]
	if h.hanging == nil {
		h.hanging = map[string]bool{}
	}
	h.hanging[key] = true
	h.mu.Unlock()
	if held {
		return failed("an earlier %s still hangs in the kernel: does %s answer? (timeout 5 ls %s)", step.Name, app.Spec.Directory, app.Spec.Directory)
	}
	type end struct {
		outcome
		panicked *panics.Recovered
	}
	ended := make(chan end, 1)
	go func() {
		var e end
		e.panicked = panics.Try(func() { e.outcome = run(ctx, app, step) })
		h.mu.Lock()
		delete(h.hanging, key)
		h.mu.Unlock()
		ended <- e
	}()
	take := func(e end) outcome {
		if e.panicked != nil {
			panic(e.panicked)
		}
		return e.outcome
	}
	select {
	case e := <-ended:
		return take(e)
	case <-ctx.Done():
	}
	late := time.NewTimer(hangGrace)
	defer late.Stop()
	select {
	case e := <-ended:
		return take(e)
	case <-late.C:
		return failed("it hangs in the kernel: %s, or the disk below it, does not answer (timeout 5 ls %s; dmesg)", app.Spec.Directory, app.Spec.Directory)
	}
}
