package recovery

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// Looker asks the checks; *checks.Prober is one.
type Looker interface {
	Observe(ctx context.Context, app *v1alpha1.App, due []string) v1alpha1.Observation
}

// Hands carries out the steps.
type Hands struct {
	// FS is the proc file system, Runtime the process manager, Looker asks the checks, Clock tells the moment.
	FS      procfs.FS
	Runtime runtime.Runtime
	Looker  Looker
	Clock   func() v1alpha1.Instant
	// Swap switches swap off and on again; nil leaves swap alone.
	Swap Switcher
	// Evidence keeps what is seen before the first process of a recovery is ended. It is given a deadline, and a recovery
	// waits no longer than that for it, whatever becomes of it. nil keeps nothing.
	Evidence func(ctx context.Context, app *v1alpha1.App, step pass.Step)
	// Log is told what became of work that no step waits for; nil tells nobody.
	Log logrus.FieldLogger

	mu sync.Mutex
	// gathering are the Apps of which evidence is being kept: of each at most once at a time, should a disk hang.
	gathering map[string]bool
	// hanging are the steps that have not come back in their time, by App and step.
	hanging map[string]bool
	// tidies are the applications' folders in which Tidy is at work, each with what is closed at its end.
	tidies  map[string]chan struct{}
	tidying sync.WaitGroup
	// families are kept by App, of its last recovery: descent is a proof that is gone with the parent.
	families map[string]family
}

// outcome is what a step function gives.
type outcome struct {
	v1alpha1.StepOutcome
	message string
}

func done(format string, args ...any) outcome {
	return outcome{v1alpha1.StepDone, fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) outcome {
	return outcome{v1alpha1.StepSkipped, fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) outcome {
	return outcome{v1alpha1.StepFailed, fmt.Sprintf(format, args...)}
}

// Act carries out one step within its timeout.
func (h *Hands) Act(ctx context.Context, app *v1alpha1.App, step pass.Step) pass.StepResult {
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, step.Timeout)
	defer cancel()
	run := map[string]func(context.Context, *v1alpha1.App, pass.Step) outcome{
		StepStop: h.stop, StepLinger: h.linger, StepPort: h.port, StepCaches: h.caches,
		StepMemory: h.memory, StepStart: h.start, StepVerify: h.verify,
	}[step.Name]
	out := failed("there is no step of this name")
	switch {
	case app.Spec.Observes():
		out = failed("evenkeel only observes this application; nothing is done")
	case step.Name == StepCaches, step.Name == StepStart:
		out = h.notHeldUp(bounded, app, step, run)
	case run != nil:
		out = run(bounded, app, step)
	}
	if ctx.Err() != nil && out.StepOutcome == v1alpha1.StepFailed {
		out.StepOutcome = v1alpha1.StepInterrupted
	}
	return pass.StepResult{Step: step.Name, Outcome: out.StepOutcome, Message: out.message, Took: time.Since(began)}
}

// stopTimeout is how long a graceful stop may take.
func stopTimeout(app *v1alpha1.App, step pass.Step) time.Duration {
	d := app.Spec.Recovery.StopTimeout.Duration
	if step.Recovery.Hung {
		d = min(d, hungStop)
	}
	return d
}
