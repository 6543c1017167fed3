package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers"
	"github.com/evenkeel/evenkeel/state"
	"github.com/sirupsen/logrus"
)

// rig is the real Loop, with its goroutines and timers, around a simulated world, store and sink, in a synctest bubble:
// time stands still while anybody works, and a race or a wait that does not end shows.
type rig struct {
	reconcilers.Judge
	t      *testing.T
	mu     sync.Mutex
	w      *world
	began  time.Time
	eyes   *eyes
	hands  *hands
	store  *state.Store
	events []v1alpha1.Event
	alerts []v1alpha1.Alert
	acts   []string
	last   *v1alpha1.AppStatus
	starts []time.Duration
	specs  chan controller.SpecUpdate
	edited chan struct{}
	paused bool

	wake, removed chan struct{}
	turns         controller.Turns
	looks         int
	panics        bool // the next look does
	done          <-chan struct{}

	// shell is a sim around the same world, without a keeper: its kinds of faults break the world, and its checker judges.
	shell *sim
	log   []happening
}

// happening is an event, an alert or a step, without what differs by milliseconds.
type happening struct {
	at   time.Duration
	what string
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, w: newWorld(), began: time.Now(), specs: make(chan controller.SpecUpdate, 1), edited: make(chan struct{}, 1),
		wake: make(chan struct{}, 1), removed: make(chan struct{}), turns: make(controller.Turns, 1)}
	r.eyes = &eyes{w: r.w}
	r.hands = &hands{w: r.w, eyes: r.eyes, touched: func(pass.Step, string, string) {}}
	r.w.disk.save(statePath, firstState())
	store, err := state.NewStore("/state", appName, state.Options{FS: r.w.disk, Settle: func() {}, Now: r.w.wall})
	if err != nil {
		t.Fatal(err)
	}
	r.store = store
	r.shell = newSim(Schedule{Variant: "default", Length: forever})
	r.shell.w = r.w
	t.Cleanup(func() {
		if r.shell.broken != "" {
			t.Error(r.shell.broken)
		}
	})
	return r
}

// sync brings the world's time up to the bubble's. The caller holds mu.
func (r *rig) sync() {
	for now := time.Since(r.began); r.w.now < now; {
		r.w.now = min(r.w.upcoming(), now)
		r.w.happen()
		r.w.reckon()
	}
}

func (r *rig) clock() v1alpha1.Instant {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sync()
	return r.w.instant()
}

// Observe looks, for as long as that takes, or until it is interrupted.
func (r *rig) Observe(ctx context.Context, app *v1alpha1.App, due []string) v1alpha1.Observation {
	r.mu.Lock()
	r.sync()
	r.looks++
	if r.panics {
		r.panics = false
		r.mu.Unlock()
		panic("a look went wrong")
	}
	o, took := r.eyes.observe(app, due)
	r.mu.Unlock()
	select {
	case <-time.After(took):
	case <-ctx.Done():
	}
	return o
}

// Act carries out a step.
func (r *rig) Act(ctx context.Context, app *v1alpha1.App, step pass.Step) pass.StepResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sync()
	r.acts = append(r.acts, step.Name)
	r.note("act %s", step.Name)
	r.shell.check.acts(step, r.last)
	if r.last == nil || r.last.Recovery == nil || r.last.Recovery.Step != step.Name {
		r.t.Errorf("step %s begins before its intent is written", step.Name)
	}
	if step.Name == "stop" && step.Recovery.Trigger == v1alpha1.TriggerAutomatic {
		if n := len(r.starts); n > 0 && r.w.now-r.starts[n-1] < 5*time.Minute && step.Recovery.Plan == "Plain" {
			r.t.Errorf("two recoveries begin %s apart", r.w.now-r.starts[n-1])
		}
		if step.Recovery.Plan == "Plain" {
			r.starts = append(r.starts, r.w.now)
		}
		if r.paused {
			r.t.Error("a recovery begins while paused")
		}
	}
	d := r.hands.act(app, step)
	for {
		result, next := d.poll()
		if result != nil {
			return *result
		}
		wait := max(next-r.w.now, time.Millisecond)
		r.mu.Unlock()
		select {
		case <-time.After(wait):
			r.mu.Lock()
		case <-ctx.Done():
			r.mu.Lock()
			return pass.StepResult{Step: step.Name, Outcome: v1alpha1.StepInterrupted, Message: "interrupted"}
		}
		r.sync()
	}
}

// Write and TakeOrder are the store's.
func (r *rig) Write(status v1alpha1.AppStatus, generation int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sync()
	c := r.shell.check
	if rec, was := status.Recovery, r.before(); rec.Open() && rec.Trigger == v1alpha1.TriggerAutomatic && (was.Recovery == nil || was.Recovery.ID != rec.ID) {
		c.mayBegin(was, &status)
	}
	c.noteHold(&status)
	c.writtenSoon(&status, nil)
	if err := r.store.Write(status, generation); err != nil {
		return err
	}
	r.last = status.DeepCopy()
	c.written(&status)
	return nil
}

// before is what was written last; nothing before the first time.
func (r *rig) before() *v1alpha1.AppStatus {
	if r.last == nil {
		return &v1alpha1.AppStatus{Phase: v1alpha1.PhaseHealthy}
	}
	return r.last
}

// note keeps what happens. The caller holds mu.
func (r *rig) note(format string, args ...any) {
	r.log = append(r.log, happening{r.w.now, fmt.Sprintf(format, args...)})
}

func (r *rig) TakeOrder() (state.Order, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sync()
	return r.store.TakeOrder()
}

func (r *rig) Refuse(why string) *state.RejectedError {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.store.Refuse(why)
}

// Pass, Event and Alert are the sink's.
func (r *rig) Pass(_ *v1alpha1.App, o *v1alpha1.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shell.check.observed([]v1alpha1.Observation{*o})
}

func (r *rig) Event(e v1alpha1.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sync()
	r.events = append(r.events, e)
	r.note("event %s %s [%s]", e.Reason, e.Phase, e.Blame)
}

func (r *rig) Alert(_ *v1alpha1.App, a v1alpha1.Alert, kept func()) {
	defer kept()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sync()
	r.alerts = append(r.alerts, a)
	r.note("alert %s %s [%s] %s", a.Kind, a.Phase, a.Blame, a.Reason)
	r.shell.check.alert(a)
}

// run starts the loop; the result ends it and waits.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	log := logrus.New()
	log.SetOutput(io.Discard)
	loaded := r.store.Load()
	r.shell.check.started(&loaded)
	l := &controller.Loop{
		Domain: r, Store: r, Sink: r, Clock: r.clock, Log: log, Random: rand.New(rand.NewPCG(1, 1)), Turns: r.turns, // #nosec G404
		Specs: r.specs, Edited: r.edited, Wake: r.wake, Removed: r.removed,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx, newApp("default"), loaded.State.AppStatus, controller.Input{Lost: loaded.Lost})
	}()
	r.done = done
	return func() { cancel(); <-done }
}

// do changes the world.
func (r *rig) do(change func(w *world)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sync()
	change(r.w)
}

func (r *rig) phase() v1alpha1.Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.Phase
}

func (r *rig) order(phase v1alpha1.Phase) {
	r.do(func(w *world) {
		w.disk.save(statePath, phaseValue.ReplaceAll(w.disk.content(statePath), []byte("phase: "+string(phase))))
	})
	r.edited <- struct{}{}
}

func (r *rig) begun() int { r.mu.Lock(); defer r.mu.Unlock(); return len(r.starts) }
func (r *rig) steps() int { r.mu.Lock(); defer r.mu.Unlock(); return len(r.acts) }
func (r *rig) told() int  { r.mu.Lock(); defer r.mu.Unlock(); return len(r.alerts) }

func TestLoopMendsAndComesToRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		stop := r.run()
		time.Sleep(10 * time.Minute)
		r.do(func(w *world) { w.app.hung = true })
		time.Sleep(3 * time.Minute)
		if p := r.phase(); p != v1alpha1.PhaseCooldown {
			t.Errorf("phase %s after three minutes, want Cooldown", p)
		}
		time.Sleep(4 * time.Minute)
		if p := r.phase(); p != v1alpha1.PhaseHealthy || r.told() != 2 {
			t.Errorf("phase %s, %d alerts; want Healthy and two", p, r.told())
		}
		stop()
	})
}

func TestLoopGivesUpAndObeysItsOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		stop := r.run()
		time.Sleep(5 * time.Minute)
		r.do(func(w *world) { w.cond.hangs, w.app.hung = true, true })
		time.Sleep(time.Hour)
		if p := r.phase(); p != v1alpha1.PhaseFailed || r.begun() != 3 {
			t.Errorf("phase %s after %d recoveries, want Failed after three", p, r.begun())
		}
		r.do(func(w *world) { w.cond.hangs = false })
		r.order(v1alpha1.PhaseHealthy)
		time.Sleep(10 * time.Minute)
		if p := r.phase(); p != v1alpha1.PhaseHealthy {
			t.Errorf("phase %s after a reset, want Healthy", p)
		}
		r.order(v1alpha1.PhaseFailed)
		r.do(func(w *world) { w.app.hung = true })
		before := r.steps()
		time.Sleep(time.Hour)
		if p := r.phase(); p != v1alpha1.PhaseFailed || r.steps() != before {
			t.Errorf("phase %s and %d steps after a stand-down", p, r.steps()-before)
		}
		stop()
	})
}

func TestLoopIsQuietWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		stop := r.run()
		time.Sleep(5 * time.Minute)
		app := newApp("default")
		app.Spec.Paused = true
		r.do(func(*world) { r.paused, r.shell.desired = true, app })
		r.specs <- controller.SpecUpdate{App: app}
		r.do(func(w *world) { w.app.hung = true })
		time.Sleep(30 * time.Minute)
		if r.steps() != 0 || r.phase() != v1alpha1.PhaseDegraded {
			t.Errorf("%d steps in phase %s while paused", r.steps(), r.phase())
		}
		r.do(func(*world) { r.paused, r.shell.desired = false, newApp("default") })
		r.specs <- controller.SpecUpdate{App: newApp("default")}
		time.Sleep(2 * time.Minute)
		if r.begun() != 1 {
			t.Errorf("%d recoveries after the pause, want one", r.begun())
		}
		stop()
	})
}

// TestLoopEndsOnlyAfterTheStart ends the loop at many moments of a recovery: the application is never left stopped by it, and
// the next run takes up what is left.
func TestLoopEndsOnlyAfterTheStart(t *testing.T) {
	for n := range 24 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				stop := r.run()
				time.Sleep(5 * time.Minute)
				r.do(func(w *world) { w.app.errors = true })
				for r.begun() == 0 {
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(time.Duration(n*n) * 9 * time.Millisecond)
				stop()
				time.Sleep(time.Second)
				r.do(func(w *world) {
					if w.app == nil {
						t.Error("the loop has ended, and the application is stopped")
					}
				})
				stop = r.run()
				time.Sleep(10 * time.Minute)
				r.do(func(w *world) {
					if !w.well() {
						t.Error("the application is not well")
					}
				})
				if p := r.phase(); p != v1alpha1.PhaseHealthy || r.begun() != 1 {
					t.Errorf("phase %s after %d recoveries, want Healthy after one", p, r.begun())
				}
				stop()
			})
		})
	}
}
