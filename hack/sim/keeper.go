package main

import (
	"errors"
	"fmt"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/reconcilers"
	"github.com/evenkeel/evenkeel/state"
)

// keeper is one run of evenkeel: controller.Loop without its goroutines. It calls the real Step, with the real rules, and
// writes by way of the real Store, in the order in which Loop does. What it holds in memory is gone when it is killed.
type keeper struct {
	s      *sim
	judge  reconcilers.Judge
	app    *v1alpha1.App
	status v1alpha1.AppStatus
	recent []v1alpha1.Observation
	store  *state.Store
	eyes   *eyes
	hands  *hands

	pending *controller.SpecUpdate
	ending  bool
	ended   bool

	seen   *v1alpha1.Observation // a pass under way, and when it is over
	seenAt time.Duration
	deed   *deed // a step under way, and when to ask it again
	deedAt time.Duration
	cut    bool

	wakeAt  time.Duration
	retry   *pace.Pace
	retryAt v1alpha1.Instant
	failing bool
	dirty   bool
	words   controller.Words

	steadiness
}

// killed is the panic with which evenkeel dies at a point.
type killed struct{ where string }

// newKeeper starts evenkeel: it reads what is on disk and takes the first step.
func newKeeper(s *sim) *keeper {
	k := &keeper{s: s, eyes: &eyes{w: s.w}}
	k.hands = &hands{w: s.w, eyes: k.eyes, touched: s.check.touched}
	store, err := state.NewStore("/state", appName, state.Options{FS: s.w.disk, Settle: func() {}, Now: s.w.wall})
	if err != nil {
		panic(err)
	}
	k.store = store
	k.retry = pace.New(time.Second, time.Minute, 2)
	loaded := store.Load()
	k.status = loaded.State.AppStatus
	k.app = controller.InForce(s.desired, &k.status).DeepCopy()
	if k.app.Spec.Observes() != s.desired.Spec.Observes() {
		k.pending = &controller.SpecUpdate{App: s.desired.DeepCopy()}
	}
	first := controller.Input{Lost: loaded.Lost, Started: true}
	if loaded.Order.IsOrder() {
		first.Order = &loaded.Order
	}
	for _, w := range loaded.Warnings {
		s.journal("warning: %v", w)
	}
	s.journal("evenkeel starts: phase %s, lost %v, restored %v, order %q", k.status.Phase, loaded.Lost, loaded.Restored, loaded.Order.Phase)
	telling := k.status.Telling
	k.status.Telling = nil
	s.check.started(&loaded)
	s.tellAgain(telling)
	k.describe()
	k.turn(first)
	return k
}

// describe is Loop.describeSpec, as far as the record is concerned.
func (k *keeper) describe() {
	now := k.s.w.instant()
	before := k.status.DeepCopy()
	k.status.ObservedGeneration = k.app.Generation
	controller.SetCondition(&k.status, metav1.Condition{
		Type: v1alpha1.ConditionSpecAccepted, Status: metav1.ConditionTrue, Reason: "Accepted", ObservedGeneration: k.app.Generation,
	}, now)
	k.dirty = k.dirty || !apiequality.Semantic.DeepEqual(*before, k.status)
}

func (k *keeper) busy() bool { return k.seen != nil || k.deed != nil }

// nextAt is when evenkeel wants to be called.
func (k *keeper) nextAt() time.Duration {
	switch {
	case k.seen != nil:
		return k.seenAt
	case k.deed != nil:
		return k.deedAt
	}
	return k.wakeAt
}

// poll lets evenkeel do what is due.
func (k *keeper) poll() {
	now := k.s.w.now
	switch {
	case k.ended || now < k.nextAt():
	case k.seen != nil:
		k.turn(k.takeSeen())
	case k.deed != nil:
		result, next := k.deed.poll()
		if result == nil {
			k.deedAt = max(next, now+time.Millisecond)
			return
		}
		k.s.point("step " + result.Step + " has ended")
		k.deed = nil
		k.turn(k.adoptAfter(controller.Input{Done: result}))
	default:
		k.turn(k.adoptAfter(controller.Input{}))
	}
}

func (k *keeper) takeSeen() controller.Input {
	o := *k.seen
	k.seen = nil
	if k.cut {
		k.cut = false
		return k.adoptAfter(controller.Input{Look: true})
	}
	k.recent = controller.Remember(k.recent, o, k.judge.Checks(k.app))
	k.s.check.observed(k.recent)
	return k.adoptAfter(controller.Input{Observed: true})
}

// adoptAfter is the end of Loop.Run's loop: news of the desired state comes into force as soon as it may.
func (k *keeper) adoptAfter(in controller.Input) controller.Input {
	if k.pending != nil && !in.Look {
		in.Look = k.adopt()
	}
	return in
}

func (k *keeper) adopt() bool {
	if k.pending == nil || !controller.MayEnd(&k.status) {
		return false
	}
	update := *k.pending
	k.pending = nil
	if update.App == nil {
		controller.SetCondition(&k.status, metav1.Condition{
			Type: v1alpha1.ConditionSpecAccepted, Status: metav1.ConditionFalse, Reason: "Invalid", Message: update.Rejected.Error(),
			ObservedGeneration: k.app.Generation,
		}, k.s.w.instant())
		k.dirty = true
		return false
	}
	if apiequality.Semantic.DeepEqual(k.app.Spec, update.App.Spec) {
		k.describe()
		return false
	}
	update.App.Generation = max(update.App.Generation, k.app.Generation+1)
	k.app = update.App
	if k.app.Spec.Observes() && k.seen == nil {
		k.interrupt()
	}
	k.describe()
	k.s.journal("generation %d is in force: paused %v", k.app.Generation, k.app.Spec.Paused)
	return true
}

// turn is one round of Loop.Run.
func (k *keeper) turn(in controller.Input) {
	in.Busy, in.Ending = k.busy(), k.ending
	sleep, idle := k.step(in)
	if k.ending && idle {
		k.ended = true
		return
	}
	k.wakeAt = k.s.w.now + sleep
}

// stimulate is what comes from outside: a stimulus leads to a turn, as one of the cases of Loop.Run's select.
func (k *keeper) stimulate(in controller.Input) {
	if k.ending || (in.Order != nil && in.Order.Phase == v1alpha1.PhaseFailed) {
		k.interrupt()
	}
	k.turn(k.adoptAfter(in))
}

func (k *keeper) interrupt() {
	if !k.busy() || !controller.MayEnd(&k.status) {
		return
	}
	soon := k.s.w.now + 10*time.Millisecond
	if k.seen != nil {
		k.cut, k.seenAt = true, min(k.seenAt, soon)
	}
	if k.deed != nil {
		began, name := k.deed.began, k.deed.step.Name
		k.deed.poll = interruptedAt(k.s.w, soon, began, name)
		k.deedAt = soon
	}
}

// step is Loop.step: the brain's step, the record, and only then the commands.
func (k *keeper) step(in controller.Input) (time.Duration, bool) {
	k.s.point("before a step")
	now := k.s.w.instant()
	c := caseOf(k.app, k.status, k.recent, now)
	before := k.status
	k.s.steps++
	status, commands, next := controller.Step(k.judge, c, in)
	k.s.check.stepped(&before, &status, commands, in)
	commands = k.save(status, now, commands)
	k.settled(in, commands)
	for _, command := range commands {
		k.s.point("before a command")
		switch command := command.(type) {
		case controller.Record:
			k.s.event(command.Event)
		case controller.Tell:
			k.s.alert(command.Alert)
		case controller.Refuse:
			if rejected := k.store.Refuse(command.Why); rejected != nil {
				k.noteEdit(metav1.ConditionFalse, "Refused", rejected.Error())
			}
		case controller.Observe:
			o, took := k.eyes.observe(k.snapshot(), command.Due)
			k.seen, k.seenAt, k.cut = &o, k.s.w.now+took, false
			k.s.passes++
		case controller.Act:
			if k.app.Spec.Observes() {
				k.s.fail("step %s is ordered in mode Observe", command.Step.Name)
			}
			k.s.check.acts(command.Step, &k.status)
			k.s.journal("act %s", command.Step.Name)
			if k.s.onAct != nil {
				k.s.onAct(command.Step.Name)
			}
			k.deed = k.hands.act(k.snapshot(), command.Step)
			k.s.point("step " + command.Step.Name + " has begun")
			_, k.deedAt = k.deed.poll()
			k.deedAt = max(k.deedAt, k.s.w.now)
		}
	}
	sleep := time.Hour
	if !next.IsZero() {
		sleep = next.Since(now)
	}
	k.s.check.waits(next, sleep, k.busy(), k.ending)
	if k.failing {
		sleep = min(sleep, k.retryAt.Since(now))
	}
	return sleep, !k.busy()
}

// working tells whether commands begin an operation.
func working(commands []controller.Command) bool {
	for _, c := range commands {
		switch c.(type) {
		case controller.Observe, controller.Act:
			return true
		}
	}
	return false
}

// save is Loop.save: an order that is met while writing goes into what is written.
func (k *keeper) save(status v1alpha1.AppStatus, now v1alpha1.Instant, commands []controller.Command) []controller.Command {
	changed := k.words.Due(&k.status, &status, commands, now) || k.dirty
	k.status, k.dirty = status, false
	if !changed && (!k.failing || k.retryAt.Since(now) > 0) {
		return commands
	}
	err := k.write(now, commands)
	for try := 0; errors.Is(err, state.ErrEdited) && try < 3; try++ {
		if order := k.takeOrder(); order != nil {
			in := controller.Input{Order: order, Busy: k.busy() || working(commands)}
			before := k.status
			var more []controller.Command
			k.status, more, _ = controller.Step(k.judge, caseOf(k.app, k.status, k.recent, now), in)
			k.s.check.stepped(&before, &k.status, more, in)
			commands = append(commands, more...)
			if order.Phase == v1alpha1.PhaseFailed {
				k.interrupt()
			}
		}
		k.dirty = false
		err = k.write(now, commands)
	}
	k.noteWrite(err, now)
	return commands
}

func (k *keeper) write(now v1alpha1.Instant, commands []controller.Command) error {
	controller.SetCondition(&k.status, metav1.Condition{
		Type: v1alpha1.ConditionStatePersisted, Status: metav1.ConditionTrue, Reason: "Written", ObservedGeneration: k.app.Generation,
	}, now)
	k.s.writes++
	k.s.check.writtenSoon(&k.status, commands)
	status := k.status
	status.Telling = controller.Telling(controller.Waiting{}, commands, now)
	before := k.store.Meta().ResourceVersion
	err := k.store.Write(status, k.app.Generation)
	if err == nil && k.store.Meta().ResourceVersion == before { // there was nothing to write
		k.s.check.owedSoon = nil
	}
	return err
}

func (k *keeper) noteWrite(err error, now v1alpha1.Instant) {
	if err == nil {
		k.failing = false
		k.retry.Reset()
		k.words.Written(now)
		k.s.check.written(&k.status)
		return
	}
	controller.SetCondition(&k.status, metav1.Condition{
		Type: v1alpha1.ConditionStatePersisted, Status: metav1.ConditionFalse, Reason: "WriteFailed", Message: err.Error(),
		ObservedGeneration: k.app.Generation,
	}, now)
	k.retryAt = now.Add(k.retry.Next())
	k.s.check.notWritten(err)
	if !k.failing {
		k.failing = true
		k.s.alert(v1alpha1.Alert{Kind: v1alpha1.AlertStateNotPersisted, Reason: "WriteFailed", Phase: k.status.Phase, Message: err.Error()})
	}
}

func (k *keeper) takeOrder() *state.Order {
	order, err := k.store.TakeOrder()
	k.dirty = k.dirty || order.Rewrite
	var rejected *state.RejectedError
	if errors.As(err, &rejected) {
		k.noteEdit(metav1.ConditionFalse, "Rejected", rejected.Error())
	}
	if err != nil {
		k.s.journal("state file: %v", firstLine(err.Error()))
	}
	if !order.IsOrder() {
		return nil
	}
	k.noteEdit(metav1.ConditionTrue, "Taken", "")
	return &order
}

// noteEdit is Loop.edited.
func (k *keeper) noteEdit(status metav1.ConditionStatus, reason, message string) {
	controller.SetCondition(&k.status, metav1.Condition{
		Type: v1alpha1.ConditionEditAccepted, Status: status, Reason: reason, Message: message, ObservedGeneration: k.app.Generation,
	}, k.s.w.instant())
	k.dirty = true
}

func (k *keeper) snapshot() *v1alpha1.App {
	app := k.app.DeepCopy()
	k.status.DeepCopyInto(&app.Status)
	return app
}

// edited is the watcher's word that the state file may have been edited.
func (k *keeper) edited() {
	k.stimulate(controller.Input{Order: k.takeOrder()})
}

func firstLine(s string) string {
	for n := range s {
		if s[n] == '\n' {
			return s[:n]
		}
	}
	return fmt.Sprintf("%.160s", s)
}
