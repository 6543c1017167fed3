package recovery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// start starts the application through its runtime. What this recovery has started already is left alone, so that the
// step can be begun again.
func (h *Hands) start(ctx context.Context, app *v1alpha1.App, step pass.Step) outcome {
	since := step.Recovery.StartedAt
	for _, s := range step.Recovery.Steps {
		if s.Step == StepStop && s.Outcome != v1alpha1.StepInterrupted {
			since = s.StartedAt // the last stop: what was started before it was stopped by it
		}
	}
	wait := pace.New(time.Second, 4*time.Second, 2)
	result, err := h.Runtime.Start(ctx, app, since)
	// What we have stopped is not left stopped for want of a second try.
	for try := 1; err != nil && try < startTries && !errors.Is(err, runtime.ErrNoDaemon); try++ {
		if !runtime.Pause(ctx, wait.Next()) {
			break
		}
		result, err = h.Runtime.Start(ctx, app, since)
	}
	if err != nil {
		return failed("it could not be started: %v", err)
	}
	if result.How == runtime.AlreadyRunning {
		return skipped("%s", result.Message)
	}
	return done("%s", result.Message)
}

const (
	// startTries is how often a start is tried that the runtime refuses.
	startTries = 3
	// proofAfter is how much later the same process must still answer.
	proofAfter = 3 * time.Second
	// goneAfter is how long a process must stay gone before nobody is taken to bring it back.
	goneAfter = 2 * time.Second
	// livesLost is how many processes may come and go without one good answer.
	livesLost = 3
)

// verify watches the start prove itself: process, port and local HTTP hold, and the same process still answers a few
// seconds later. The public path is asked too; it is reported, and fails nothing.
func (h *Hands) verify(ctx context.Context, app *v1alpha1.App, _ pass.Step) outcome {
	defer h.Tidy(app)
	w := &watcher{app: app, began: h.Clock(), lives: map[string]bool{}, restarts: map[string]int64{}}
	wait := pace.New(100*time.Millisecond, time.Second, 1.5)
	for {
		o := h.Looker.Observe(ctx, app, w.due())
		if ctx.Err() != nil {
			return failed("ran out of time; last seen: %s", w.last)
		}
		verdict := w.take(&o, h.Clock())
		switch {
		case verdict.proved:
			took := h.Clock().Since(w.began)
			return done("it answers, and process %s still does %s later; after %s%s", w.good, proofAfter, took.Round(10*time.Millisecond), h.public(ctx, app))
		case verdict.lost != "":
			return failed("%s; last seen: %s", verdict.lost, w.last)
		}
		pause := wait.Next()
		if verdict.again > 0 {
			pause = verdict.again
		}
		if !runtime.Pause(ctx, pause) {
			return failed("ran out of time; last seen: %s", w.last)
		}
	}
}

// public asks for the site as the world sees it, and says so.
func (h *Hands) public(ctx context.Context, app *v1alpha1.App) string {
	if app.Spec.Checks.Public.URL == "" || app.Spec.Checks.Public.Disabled {
		return ""
	}
	o := h.Looker.Observe(ctx, app, []string{v1alpha1.CheckPublic})
	r, _ := o.Result(v1alpha1.CheckPublic)
	return fmt.Sprintf("; public: %s (%s)", r.Status, r.Message)
}

// watcher is what a verification remembers from look to look.
type watcher struct {
	app      *v1alpha1.App
	began    v1alpha1.Instant
	end      v1alpha1.Instant // of the start-up grace of the first process
	lives    map[string]bool
	restarts map[string]int64 // the runtime's count for each row at the first look
	good     string
	goodAt   v1alpha1.Instant
	goneAt   v1alpha1.Instant
	last     string
}

// ruling is what one look means: proved, lost (why), or go on, in again if that is set.
type ruling struct {
	proved bool
	lost   string
	again  time.Duration
}

func (w *watcher) due() []string {
	var due []string
	for _, name := range checks.Enabled(w.app) {
		switch name {
		case v1alpha1.CheckProcess, v1alpha1.CheckPort, v1alpha1.CheckLocal:
			due = append(due, name)
		}
	}
	return due
}

func (w *watcher) take(o *v1alpha1.Observation, now v1alpha1.Instant) ruling {
	p, _ := facts.Of[facts.Process](o, v1alpha1.CheckProcess)
	w.note(o)
	if p.Life != "" {
		if len(w.lives) == 0 {
			w.end = now.Add(w.app.Spec.Recovery.StartupGrace.Duration - p.Age)
		}
		w.lives[p.Life] = true
	}
	for _, row := range p.Rows {
		if _, known := w.restarts[row.ID]; !known {
			w.restarts[row.ID] = row.Restarts
		}
	}
	if w.holds(o) {
		if w.good != p.Life || w.goodAt.IsZero() {
			w.good, w.goodAt = p.Life, now
		}
		if held := now.Since(w.goodAt); held < proofAfter {
			return ruling{again: proofAfter - held}
		}
		return ruling{proved: true}
	}
	w.goodAt = v1alpha1.Instant{}
	return w.lost(&p, now)
}

// lost tells whether the start has failed for good.
func (w *watcher) lost(p *facts.Process, now v1alpha1.Instant) ruling {
	gone := len(w.lives)
	if p.Life != "" {
		gone--
	}
	for _, row := range p.Rows {
		if before, known := w.restarts[row.ID]; known {
			gone = max(gone, int(row.Restarts-before))
		}
	}
	switch runtime.State(p.State) {
	case runtime.Stopped, runtime.Errored, runtime.Missing:
		if p.Life != "" {
			break
		}
		if w.goneAt.IsZero() {
			w.goneAt = now
		}
		own := p.Runtime == v1alpha1.RuntimeExec // what evenkeel itself keeps does not come back unless it says so
		if own || now.Since(w.goneAt) >= goneAfter || runtime.State(p.State) == runtime.Errored {
			return ruling{lost: "the process is gone, and nobody brings it back"}
		}
		return ruling{again: goneAfter / 4}
	default:
	}
	w.goneAt = v1alpha1.Instant{}
	deadline := w.began.Add(w.app.Spec.Recovery.Deadline.Duration)
	if deadline.Before(w.end) {
		deadline = w.end // a process that is still starting is waited for, never killed
	}
	switch {
	case gone >= livesLost:
		return ruling{lost: fmt.Sprintf("%d processes have come and gone without one good answer", gone)}
	case !now.Before(deadline):
		return ruling{lost: fmt.Sprintf("no good answer within %s", now.Since(w.began).Round(time.Second))}
	}
	return ruling{}
}

// holds tells whether a look is good: the leading check is True and nothing is False. What could not be asked, such as whose
// socket it is that answers, fails nothing.
func (w *watcher) holds(o *v1alpha1.Observation) bool {
	lead, ok := o.Leading()
	if !ok || lead.Status != metav1.ConditionTrue {
		return false
	}
	for _, r := range o.Results {
		if r.Status == metav1.ConditionFalse {
			return false
		}
	}
	return true
}

func (w *watcher) note(o *v1alpha1.Observation) {
	var wrong []string
	for _, r := range o.Results {
		if r.Status != metav1.ConditionTrue {
			wrong = append(wrong, r.Check+": "+r.Message)
		}
	}
	w.last = "all well"
	if len(wrong) > 0 {
		w.last = strings.Join(wrong, "; ")
	}
}
