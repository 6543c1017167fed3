package main

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// hands are what reconcilers/recovery is on a real machine: the seven steps, with what they may do and how long they take.
type hands struct {
	w    *world
	eyes *eyes
	// touched is told of everything that a step is about to end or to clear, and of the mark that a process bears.
	touched func(step pass.Step, what, mark string)
}

// deed is a step under way: poll says whether it has ended, and else when to ask again.
type deed struct {
	step  pass.Step
	began time.Duration
	poll  func() (*pass.StepResult, time.Duration)
}

// act begins a step.
func (h *hands) act(app *v1alpha1.App, step pass.Step) *deed {
	d := &deed{step: step, began: h.w.now}
	after := func(takes time.Duration, outcome v1alpha1.StepOutcome, message string) {
		end := h.w.now + takes
		d.poll = func() (*pass.StepResult, time.Duration) {
			if h.w.now < end {
				return nil, end
			}
			return &pass.StepResult{Step: step.Name, Outcome: outcome, Message: message, Took: takes}, 0
		}
	}
	switch step.Name {
	case recovery.StepStop:
		h.stop(app, step, after)
	case recovery.StepLinger:
		h.linger(step, after)
	case recovery.StepPort:
		h.port(step, after)
	case recovery.StepCaches:
		h.caches(step, after)
	case recovery.StepMemory:
		after(5*time.Millisecond, v1alpha1.StepSkipped, "swap is left alone")
	case recovery.StepStart:
		h.start(app, step, after)
	case recovery.StepVerify:
		h.verify(app, d)
	default:
		after(0, v1alpha1.StepFailed, "there is no step of this name")
	}
	return d
}

type ending func(takes time.Duration, outcome v1alpha1.StepOutcome, message string)

func (h *hands) stop(app *v1alpha1.App, step pass.Step, after ending) {
	w := h.w
	limit := app.Spec.Recovery.StopTimeout.Duration
	if step.Recovery.Hung {
		limit = min(limit, time.Second)
	}
	switch {
	case !w.pm2.up || !w.pm2.listed && !w.pm2.hung:
		after(20*time.Millisecond, v1alpha1.StepSkipped, "nothing to stop")
	case w.pm2.hung || w.env.starved:
		after(limit, v1alpha1.StepFailed, "it could not be stopped: PM2 did not answer in time")
	case w.app == nil && w.pm2.state == runtime.Stopped:
		after(20*time.Millisecond, v1alpha1.StepSkipped, "it was stopped already")
	default:
		l := w.app
		if l != nil {
			h.touched(step, "app", w.pm2.mark)
		}
		takes := w.orderStop(true)
		if takes > limit { // what outlives the time given is killed
			takes = limit
			w.in(limit, func() { w.stopped(l) })
		}
		after(takes+50*time.Millisecond, v1alpha1.StepDone, "stopped")
	}
}

// free ends what holds the port, if its mark proves that it is the application's: by the mark alone, as on a real machine.
func (h *hands) free(step pass.Step) bool {
	w := h.w
	if w.pm2.hung || w.env.starved {
		return false
	}
	freed := false
	for _, held := range []*holder{w.orphan, w.strange} {
		if held == nil || !slices.Contains(step.Learned.Marks, held.mark) && w.pm2.mark != held.mark {
			continue
		}
		freed = true
		h.touched(step, "what holds the port", held.mark)
		w.in(200*time.Millisecond, func() { w.end(held) })
	}
	return freed
}

// end ends a process that holds the port.
func (w *world) end(held *holder) {
	switch {
	case held == w.strange:
		w.strange = nil
		w.note("the stranger is ended")
	case held == w.orphan && held.under != 0:
		w.orphan = &holder{pid: w.pid(), mark: held.mark, born: w.now, under: held.under}
		w.note("the orphan is ended, and its daemon brings it back")
	case held == w.orphan:
		w.orphan = nil
		w.note("the orphan is ended")
	}
}

func (h *hands) linger(step pass.Step, after ending) {
	if h.free(step) {
		after(250*time.Millisecond, v1alpha1.StepDone, "left over: ended")
		return
	}
	after(30*time.Millisecond, v1alpha1.StepSkipped, "none are left over")
}

func (h *hands) port(step pass.Step, after ending) {
	switch {
	case h.free(step):
		after(300*time.Millisecond, v1alpha1.StepDone, "held the port: ended")
	case h.w.orphan != nil || h.w.strange != nil || h.w.app != nil:
		after(2*time.Second, v1alpha1.StepFailed, "the port is held by another, which is left alone")
	default:
		after(5*time.Millisecond, v1alpha1.StepDone, "the port is free")
	}
}

func (h *hands) caches(step pass.Step, after ending) {
	w := h.w
	h.touched(step, "caches", "")
	if w.app != nil || w.pm2.hung {
		after(20*time.Millisecond, v1alpha1.StepSkipped, "the application runs")
		return
	}
	w.cond.cache, w.cond.cacheFull = false, false
	w.note("the caches are cleared")
	after(80*time.Millisecond, v1alpha1.StepDone, "cleared")
}

func (h *hands) start(app *v1alpha1.App, step pass.Step, after ending) {
	w := h.w
	var since v1alpha1.Instant
	since = step.Recovery.StartedAt
	for _, s := range step.Recovery.Steps {
		if s.Step == recovery.StepStop && s.Outcome != v1alpha1.StepInterrupted {
			since = s.StartedAt
		}
	}
	switch {
	case !w.pm2.up && w.pm2.lost:
		after(50*time.Millisecond, v1alpha1.StepFailed, "it could not be started: no PM2 daemon runs")
	case !w.pm2.up:
		w.resurrect()
		after(2*time.Second, v1alpha1.StepDone, "PM2's daemon was brought back by pm2 resurrect")
	case w.pm2.hung || w.env.starved:
		after(10*time.Second, v1alpha1.StepFailed, "it could not be started: PM2 did not answer in time")
	case !w.pm2.listed && app.Spec.Runtime.PM2.Start == "":
		after(50*time.Millisecond, v1alpha1.StepFailed, "it could not be started: PM2 does not list it")
	case w.app != nil && !w.instantAt(w.app.born).Before(since):
		after(20*time.Millisecond, v1alpha1.StepSkipped, "it runs already")
	default:
		if w.app != nil {
			h.touched(step, "app", w.pm2.mark)
		}
		w.pm2.listed = true
		w.orderStart()
		after(200*time.Millisecond, v1alpha1.StepDone, "PM2 was told to start it")
	}
}

// verify is the watcher of reconcilers/recovery: the same process answers, and still does three seconds later.
func (h *hands) verify(app *v1alpha1.App, d *deed) {
	w := h.w
	began, grace := w.now, app.Spec.Recovery.StartupGrace.Duration
	graceEnds, goodAt, goneAt := time.Duration(-1), time.Duration(-1), time.Duration(-1)
	firstRestarts, lives, good := int64(-1), map[string]bool{}, ""
	nextLook, pause := w.now, 100*time.Millisecond
	end := func(outcome v1alpha1.StepOutcome, message string) (*pass.StepResult, time.Duration) {
		return &pass.StepResult{Step: recovery.StepVerify, Outcome: outcome, Message: message, Took: w.now - began}, 0
	}
	due := []string{}
	for _, name := range []string{v1alpha1.CheckLocal, v1alpha1.CheckPort, v1alpha1.CheckProcess} {
		if !settingsOff(app, name) {
			due = append(due, name)
		}
	}
	var seen v1alpha1.Observation
	d.poll = func() (*pass.StepResult, time.Duration) {
		if w.now-began >= d.step.Timeout {
			return end(v1alpha1.StepFailed, "ran out of time")
		}
		if nextLook >= 0 {
			if w.now < nextLook {
				return nil, nextLook
			}
			var took time.Duration
			seen, took = h.eyes.observe(app, due)
			took = min(took, began+d.step.Timeout-w.now)
			nextLook = -1
			pause = min(pause*3/2, time.Second)
			return nil, w.now + took
		}
		o := &seen
		p, _ := facts.Of[facts.Process](o, v1alpha1.CheckProcess)
		if p.Life != "" {
			if len(lives) == 0 {
				graceEnds = w.now + grace - p.Age
			}
			lives[p.Life] = true
		}
		if firstRestarts < 0 && len(p.Rows) > 0 {
			firstRestarts = p.Restarts()
		}
		if holdsForVerify(o) {
			if good != p.Life || goodAt < 0 {
				good, goodAt = p.Life, w.now
			}
			if held := w.now - goodAt; held < 3*time.Second {
				nextLook = w.now + 3*time.Second - held
				return nil, nextLook
			}
			return end(v1alpha1.StepDone, "it answers, and still does 3s later")
		}
		goodAt = -1
		gone := len(lives)
		if p.Life != "" {
			gone--
		}
		if firstRestarts >= 0 {
			gone = max(gone, int(p.Restarts()-firstRestarts))
		}
		state := runtime.State(p.State)
		if p.Life == "" && (state == runtime.Stopped || state == runtime.Errored || state == runtime.Missing) {
			if goneAt < 0 {
				goneAt = w.now
			}
			if w.now-goneAt >= 2*time.Second || state == runtime.Errored {
				return end(v1alpha1.StepFailed, "the process is gone, and nobody brings it back")
			}
			nextLook = w.now + 500*time.Millisecond
			return nil, nextLook
		}
		goneAt = -1
		deadline := max(began+app.Spec.Recovery.Deadline.Duration, graceEnds)
		switch {
		case gone >= 3:
			return end(v1alpha1.StepFailed, "three processes have come and gone without one good answer")
		case w.now >= deadline:
			return end(v1alpha1.StepFailed, "no good answer in time")
		}
		nextLook = w.now + pause
		return nil, nextLook
	}
}

func settingsOff(app *v1alpha1.App, name string) bool {
	switch name {
	case v1alpha1.CheckLocal:
		return app.Spec.Checks.Local.Disabled
	case v1alpha1.CheckPort:
		return app.Spec.Checks.Port.Disabled
	}
	return app.Spec.Checks.Process.Disabled
}

func holdsForVerify(o *v1alpha1.Observation) bool {
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
