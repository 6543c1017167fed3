package controller

import (
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

// What the loop has to do with the state file: it writes what is known, and takes what an operator has saved.

func ordersFailed(o *state.Order) bool { return o != nil && o.Phase == v1alpha1.PhaseFailed }

// save writes the record if it has changed, at once where more than its words has (see [Words]). A file that was edited in the
// meantime is read first, and what it orders goes into what is written: an order stays on disk until its effect does. Where
// nothing can be written, evenkeel goes on in memory, and tries again. What the commands have to tell goes with the record. It
// gives the commands, with those that follow from an order.
func (l *Loop) save(status v1alpha1.AppStatus, now v1alpha1.Instant, commands []Command) []Command {
	changed := l.words.Due(&l.status, &status, commands, now) || l.dirty
	l.status, l.dirty = status, false
	if !changed && (!l.failing || l.retryAt.Since(now) > 0) {
		return commands
	}
	err := l.write(now, commands)
	for try := 0; errors.Is(err, state.ErrEdited) && try < 3; try++ {
		if order := l.takeOrder(); order != nil {
			in := Input{Order: order, Busy: l.busy || working(commands)}
			var more []Command
			l.status, more, _ = Step(l.Domain, pass.Case{App: l.app, Record: l.status, Recent: l.recent, Now: now}, in)
			commands = append(commands, more...)
			if ordersFailed(order) {
				l.interrupt()
			}
		}
		l.dirty = false
		err = l.write(now, commands)
	}
	l.noteWrite(err, now)
	return commands
}

func (l *Loop) write(now v1alpha1.Instant, commands []Command) error {
	SetCondition(&l.status, metav1.Condition{
		Type: v1alpha1.ConditionStatePersisted, Status: metav1.ConditionTrue, Reason: "Written", ObservedGeneration: l.app.Generation,
	}, now)
	status := l.status
	status.Telling = Telling(l.unkept.list(), commands, now)
	return l.Store.Write(status, l.app.Generation)
}

// noteWrite keeps whether the record is on disk, and tells when it is not.
func (l *Loop) noteWrite(err error, now v1alpha1.Instant) {
	if err == nil {
		l.failing = false
		l.retry.Reset()
		l.words.Written(now)
		return
	}
	SetCondition(&l.status, metav1.Condition{
		Type: v1alpha1.ConditionStatePersisted, Status: metav1.ConditionFalse, Reason: "WriteFailed", Message: err.Error(),
		ObservedGeneration: l.app.Generation,
	}, now)
	l.retryAt = now.Add(l.retry.Next())
	if l.failing {
		return
	}
	l.failing = true
	l.event(v1alpha1.EventWarning, v1alpha1.ReasonStateNotWritten, err.Error())
	l.tell(v1alpha1.Alert{
		Time: now.Wall, Kind: noticeStateNotPersisted.Kind, App: l.app.Name, Phase: l.status.Phase, Reason: "WriteFailed",
		Message: "the state file cannot be written; healing goes on in memory, but attempts would be forgotten at a restart: " + err.Error(),
	})
}

// takeOrder reads what somebody else has saved in the state file. Where the file has to be written anew, the next step
// does it.
func (l *Loop) takeOrder() *state.Order {
	order, err := l.Store.TakeOrder()
	l.dirty = l.dirty || order.Rewrite
	var rejected *state.RejectedError
	switch {
	case errors.As(err, &rejected):
		l.event(v1alpha1.EventWarning, v1alpha1.ReasonStateRejected, rejected.Error())
		l.edited(metav1.ConditionFalse, "Rejected", rejected.Error())
	case err != nil:
		l.Log.WithError(err).Warn("state file cannot be read")
	}
	if !order.IsOrder() {
		return nil
	}
	l.edited(metav1.ConditionTrue, "Taken", "")
	return &order
}

// edited keeps what became of the last edit of the state file.
func (l *Loop) edited(status metav1.ConditionStatus, reason, message string) {
	SetCondition(&l.status, metav1.Condition{
		Type: v1alpha1.ConditionEditAccepted, Status: status, Reason: reason, Message: message, ObservedGeneration: l.app.Generation,
	}, l.Clock())
	l.dirty = true
}
