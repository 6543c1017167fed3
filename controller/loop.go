package controller

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

// Store is what the loop needs of the state file; *state.Store is one.
type Store interface {
	Write(status v1alpha1.AppStatus, generation int64) error
	TakeOrder() (state.Order, error)
	Refuse(why string) *state.RejectedError
}

// Sink is fed with finished passes, events and alerts. Its methods must not block.
type Sink interface {
	Pass(app *v1alpha1.App, observation *v1alpha1.Observation)
	Event(event v1alpha1.Event)
	// Alert is handed what somebody is to be told. It calls kept, which does not block, once the alert is where no kill takes
	// it away, or where nobody keeps it: until then it goes on standing in the state file.
	Alert(app *v1alpha1.App, alert v1alpha1.Alert, kept func())
}

// SpecUpdate is news from the desired state.
type SpecUpdate struct {
	// App is the last good App; nil where there is nothing new about it.
	App *v1alpha1.App
	// Rejected says why the file, as it stands now, was refused. The last good spec stays in force.
	Rejected error
}

// Turns lets the recoveries on one machine happen one at a time (or as many as it has room for).
type Turns chan struct{}

// Loop drives one App: it owns timers and concurrency, and the order of writing.
type Loop struct {
	Domain pass.Domain
	Store  Store
	Sink   Sink
	Clock  func() v1alpha1.Instant
	Log    logrus.FieldLogger
	Random *rand.Rand
	Turns  Turns
	// Specs brings news from the desired state; Edited says that the state file may have been edited; Wake asks for a look.
	Specs  <-chan SpecUpdate
	Edited <-chan struct{}
	Wake   <-chan struct{}
	// Removed ends supervision of the App, not the App.
	Removed <-chan struct{}
	// Attend is handed the App as it stands, status included: when a spec comes into force, and after each step, before the
	// step's commands are carried out. It must neither block nor change it. Whoever acts between two passes (a runtime that starts a crashed process again)
	// learns by it what is allowed. nil where there is nobody.
	Attend func(app *v1alpha1.App)
	// File is handed an incident whenever there is something new to tell of it, and, with why, when it is closed; it calls kept
	// when that is on disk. It must not block. nil where nobody keeps them.
	File func(app *v1alpha1.App, incident v1alpha1.Incident, closed string, now v1alpha1.Instant, kept func())

	app     *v1alpha1.App
	status  v1alpha1.AppStatus
	recent  []v1alpha1.Observation
	pending *SpecUpdate
	unkept  unkept
	words   Words

	results  chan result
	busy     bool
	looking  bool // what is under way is a pass
	cut      bool // what is under way was interrupted: what it saw does not count
	cancelOp context.CancelFunc
	myTurn   bool

	retry   *pace.Pace
	retryAt v1alpha1.Instant // when a write that failed is tried again
	failing bool             // the last write failed
	dirty   bool             // something changed outside of a step
	// refused is what was last told of a desired-state file that was refused; nothing while it is accepted.
	refused string
}

// longestSleep bounds a sleep: Go's timers stand still while the machine is suspended, and waits that end by the wall
// clock move with it.
const longestSleep = 30 * time.Second

type result struct {
	observation *v1alpha1.Observation
	step        *pass.StepResult
}

// Run supervises the App until the context ends or it is removed. What status.Telling holds is told first: the caller has left
// out of it what an earlier run has told. It returns when nothing is under way any more and the
// application, if we had stopped it, has been started again.
func (l *Loop) Run(ctx context.Context, app *v1alpha1.App, status v1alpha1.AppStatus, first Input) {
	telling := status.Telling
	status.Telling = nil
	l.app, l.status = InForce(app, &status), status
	l.results = make(chan result, 1)
	l.retry = pace.New(time.Second, time.Minute, 2, pace.WithJitter(0.1, l.Random))
	defer l.endTurn()
	first.Started = true
	l.tellAgain(telling)
	l.takeUpSpec()
	if l.app.Spec.Observes() != app.Spec.Observes() && l.pending == nil {
		l.pending = &SpecUpdate{App: app}
	}
	in, ending := first, false
	done := ctx.Done()
	for {
		in.Busy, in.Ending = l.busy, ending
		next, idle := l.step(in)
		if ending && idle {
			return
		}
		in = Input{}
		timer := time.NewTimer(min(next, longestSleep))
		select {
		case <-timer.C:
		case r := <-l.results:
			in = l.take(r)
		case update := <-l.Specs:
			l.pending = &update
			in.Look = l.adopt()
		case <-l.Edited:
			in.Order = l.takeOrder()
		case <-l.Wake:
			in.Look = true
		case <-done:
			ending, done = true, nil
		case <-l.Removed:
			ending, l.Removed = true, nil
		}
		timer.Stop()
		if ending || ordersFailed(in.Order) {
			l.interrupt()
		}
		if l.pending != nil && !in.Look {
			in.Look = l.adopt()
		}
	}
}

// step takes one step of the brain, writes what it knows, and carries out what it wants. It gives the time to sleep, and
// whether nothing is under way.
func (l *Loop) step(in Input) (time.Duration, bool) {
	now := l.Clock()
	c := pass.Case{App: l.app, Record: l.status, Recent: l.recent, Now: now}
	status, commands, next := Step(l.Domain, c, in)
	if !l.status.Recovery.Open() && status.Recovery.Open() && !l.takeTurn() {
		in.NoTurn = true
		status, commands, next = Step(l.Domain, c, in)
	}
	commands = l.save(status, now, commands)
	l.attend()
	for _, command := range commands {
		switch command := command.(type) {
		case Record:
			l.Sink.Event(command.Event)
		case Tell:
			l.tell(command.Alert)
		case File:
			l.file(command, now)
		case Refuse:
			if rejected := l.Store.Refuse(command.Why); rejected != nil {
				l.edited(metav1.ConditionFalse, "Refused", rejected.Error())
			}
		case Observe:
			l.observe(command.Due, command.Since)
		case Act:
			l.act(command.Step)
		}
	}
	if !l.status.Recovery.Open() {
		l.endTurn()
	}
	sleep := time.Hour
	if !next.IsZero() {
		sleep = next.Since(now)
	}
	if l.failing {
		sleep = min(sleep, l.retryAt.Since(now))
	}
	return sleep, !l.busy
}

func (l *Loop) attend() {
	if l.Attend != nil {
		l.Attend(l.snapshot())
	}
}

// working tells whether commands begin an operation.
func working(commands []Command) bool {
	return slices.ContainsFunc(commands, func(c Command) bool {
		switch c.(type) {
		case Observe, Act:
			return true
		}
		return false
	})
}

// observe begins a pass that is due since a moment.
func (l *Loop) observe(due []string, since v1alpha1.Instant) {
	app := l.snapshot()
	l.looking = true
	l.begin(func(ctx context.Context) result {
		o := l.Domain.Observe(ctx, app, due)
		o.Delay.Duration = max(o.At.Since(since), 0).Round(10 * time.Microsecond)
		return result{observation: &o}
	}, func(why string) result {
		now := l.Clock()
		o := v1alpha1.Observation{At: now}
		for _, name := range due {
			o.Results = append(o.Results, v1alpha1.CheckResult{
				Check: name, Status: metav1.ConditionUnknown, Reason: "InternalError", Message: why, At: now,
			})
		}
		return result{observation: &o}
	})
}

// act begins a recovery step.
func (l *Loop) act(step pass.Step) {
	app := l.snapshot()
	if app.Spec.Observes() { // the brain orders none; should it ever, none is carried out
		l.busy, l.cancelOp = true, func() {}
		l.results <- result{step: &pass.StepResult{Step: step.Name, Outcome: v1alpha1.StepFailed, Message: refuseObserving}}
		return
	}
	l.begin(func(ctx context.Context) result {
		r := l.Domain.Act(ctx, app, step)
		return result{step: &r}
	}, func(why string) result {
		return result{step: &pass.StepResult{Step: step.Name, Outcome: v1alpha1.StepFailed, Message: why}}
	})
}

// takeTurn takes this App's turn to recover, if no other App has it. Nobody waits for a turn: who does not get it looks
// again, and decides on what he sees then. A recovery that is resumed goes on without one.
func (l *Loop) takeTurn() bool {
	if l.Turns == nil || l.myTurn {
		return true
	}
	select {
	case l.Turns <- struct{}{}:
		l.myTurn = true
		return true
	default:
		return false
	}
}

func (l *Loop) endTurn() {
	if l.myTurn {
		<-l.Turns
		l.myTurn = false
	}
}

// begin runs one operation; a panic in it is an answer like any other.
func (l *Loop) begin(run func(context.Context) result, panicked func(string) result) {
	ctx, cancel := context.WithCancel(context.Background())
	l.busy, l.cut, l.cancelOp = true, false, cancel
	go func() {
		defer func() {
			if p := recover(); p != nil {
				l.Log.WithField("panic", p).Error("panic in the domain")
				l.results <- panicked(fmt.Sprintf("panic: %v", p))
			}
		}()
		l.results <- run(ctx)
	}()
}

// interrupt ends what is under way, unless the application has been stopped by it and not yet started again.
func (l *Loop) interrupt() {
	if l.busy && MayEnd(&l.status) {
		l.cut = true
		l.cancelOp()
	}
}

// take takes up how an operation ended.
func (l *Loop) take(r result) Input {
	l.busy, l.looking = false, false
	l.cancelOp()
	switch {
	case r.step != nil:
		return Input{Done: r.step}
	case l.cut:
		return Input{Look: true}
	}
	l.recent = Remember(l.recent, *r.observation, l.Domain.Checks(l.app))
	latest := l.recent[len(l.recent)-1]
	l.Sink.Pass(l.app, &latest)
	return Input{Observed: true}
}

// Remember adds an observation to the recent ones. Checks that were not due stand with their last result.
func Remember(recent []v1alpha1.Observation, o v1alpha1.Observation, checks []pass.Check) []v1alpha1.Observation {
	merged := v1alpha1.Observation{At: o.At, Took: o.Took, Delay: o.Delay}
	var last *v1alpha1.Observation
	if len(recent) > 0 {
		last = &recent[len(recent)-1]
	}
	for _, check := range checks {
		if res, ok := o.Result(check.Name); ok {
			merged.Results = append(merged.Results, res)
		} else if res, ok := last.Result(check.Name); ok {
			merged.Results = append(merged.Results, res)
		}
	}
	sortResults(merged.Results)
	kept := append(append([]v1alpha1.Observation(nil), recent...), merged)
	if over := len(kept) - pass.Recent; over > 0 {
		kept = kept[over:]
	}
	return kept
}

// snapshot is the App with its status, for those who look and act while the loop goes on.
func (l *Loop) snapshot() *v1alpha1.App {
	app := l.app.DeepCopy()
	l.status.DeepCopyInto(&app.Status)
	return app
}

func (l *Loop) event(kind, reason, message string) {
	e := v1alpha1.Event{
		Time: l.Clock().Wall, Type: kind, Reason: reason, Message: message, App: l.app.Name, UID: l.app.UID, Phase: l.status.Phase,
	}
	if i := l.status.Incident; i != nil {
		e.Incident = i.Number
	}
	l.Sink.Event(e)
}
