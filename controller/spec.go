package controller

import (
	"cmp"
	"fmt"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// adopt brings pending news of the desired state into force, unless a recovery stands between stop and start: then it
// takes effect after that. It says whether to look at once.
func (l *Loop) adopt() bool {
	if l.pending == nil || !MayEnd(&l.status) {
		return false
	}
	update := *l.pending
	l.pending = nil
	changed := update.App != nil && l.accept(update.App)
	if update.Rejected != nil {
		l.rejectSpec(update.Rejected)
	}
	return changed
}

// accept brings a spec into force; it tells whether it differs from the one before. What was seen under the old one says
// nothing about the new one, and what is being looked at just now does not either.
func (l *Loop) accept(app *v1alpha1.App) bool {
	old := l.app
	if apiequality.Semantic.DeepEqual(old.Spec, app.Spec) {
		l.describeSpec(nil)
		return false
	}
	app.UID, app.CreationTimestamp = old.UID, old.CreationTimestamp
	app.Generation = max(app.Generation, old.Generation+1)
	l.app = app
	if app.Spec.Observes() && !l.looking {
		l.interrupt() // a verification, at most: nothing is stopped now
	}
	l.attend() // a pause counts from now on, not only once it is written down
	if asksOtherwise(&old.Spec, &app.Spec) {
		l.recent = nil
		if l.looking {
			l.cut = true
			l.cancelOp()
		}
	}
	l.describeSpec(old)
	return true
}

// asksOtherwise tells whether two specs differ in more than whether to act and whom to tell.
func asksOtherwise(a, b *v1alpha1.AppSpec) bool {
	a, b = a.DeepCopy(), b.DeepCopy()
	for _, s := range []*v1alpha1.AppSpec{a, b} {
		s.Mode, s.Paused, s.PauseReason, s.PausedUntil, s.Alerts, s.Heartbeat = "", false, "", nil, nil, nil
	}
	return !apiequality.Semantic.DeepEqual(a, b)
}

// takeUpSpec begins with the spec in force. Where the file is refused as it stands now, that is said from the first write on;
// what an earlier run of evenkeel has told of it already is not told again.
func (l *Loop) takeUpSpec() {
	if c := meta.FindStatusCondition(l.status.Conditions, v1alpha1.ConditionSpecAccepted); c != nil && c.Status == metav1.ConditionFalse {
		l.refused = c.Message
	}
	select {
	case update := <-l.Specs:
		l.pending = &update
		l.describeAlerts()
		l.adopt()
	default:
		l.describeSpec(nil)
	}
}

// describeSpec puts the spec in force into the record's conditions, and journals what changed.
func (l *Loop) describeSpec(old *v1alpha1.App) {
	now := l.Clock()
	before := l.status.DeepCopy()
	l.status.ObservedGeneration = l.app.Generation
	SetCondition(&l.status, metav1.Condition{
		Type: v1alpha1.ConditionSpecAccepted, Status: metav1.ConditionTrue, Reason: "Accepted", ObservedGeneration: l.app.Generation,
	}, now)
	l.refused = ""
	l.describeAlerts()
	if old != nil {
		l.event(v1alpha1.EventNormal, v1alpha1.ReasonSpecAccepted, fmt.Sprintf("generation %d of the desired state is in force", l.app.Generation))
		switch observed, observes := old.Spec.Observes(), l.app.Spec.Observes(); {
		case !observed && observes:
			l.event(v1alpha1.EventNormal, v1alpha1.ReasonObserving, "from now on evenkeel only observes; it says what it would do, and does nothing")
		case observed && !observes:
			l.event(v1alpha1.EventNormal, v1alpha1.ReasonActing, "evenkeel acts again")
		}
		was, is := Paused(old, now), Paused(l.app, now)
		switch {
		case !was && is:
			l.event(v1alpha1.EventNormal, v1alpha1.ReasonPaused, pauseBlocks(&l.app.Spec).Message)
		case was && !is:
			l.event(v1alpha1.EventNormal, v1alpha1.ReasonResumed, "the pause is over")
		}
	}
	if !apiequality.Semantic.DeepEqual(*before, l.status) {
		l.dirty = true // the next step writes it
	}
}

// describeAlerts says whether somebody would be told.
func (l *Loop) describeAlerts() {
	alerts := metav1.Condition{
		Type: v1alpha1.ConditionAlertsConfigured, Status: metav1.ConditionTrue, Reason: "Configured", ObservedGeneration: l.app.Generation,
	}
	if len(l.app.Spec.Alerts) == 0 {
		alerts.Status, alerts.Reason = metav1.ConditionFalse, "NoneConfigured"
		alerts.Message = "nobody would be told; add spec.alerts, for example an exec, a webhook or a shoutrrr address"
	}
	SetCondition(&l.status, alerts, l.Clock())
}

// rejectSpec says that a desired-state file was refused; the last good spec stays in force.
func (l *Loop) rejectSpec(why error) {
	now := l.Clock()
	message := fmt.Sprintf("%v (the last good spec stays in force)", why)
	SetCondition(&l.status, metav1.Condition{
		Type: v1alpha1.ConditionSpecAccepted, Status: metav1.ConditionFalse, Reason: "Invalid", Message: message,
		ObservedGeneration: l.app.Generation,
	}, now)
	l.dirty = true
	l.event(v1alpha1.EventWarning, v1alpha1.ReasonSpecRejected, message)
	if l.refused == message {
		return
	}
	l.refused = message
	l.tell(v1alpha1.Alert{
		Time: now.Wall, Kind: noticeSpecRejected.Kind, App: l.app.Name, Phase: l.status.Phase, Reason: "Invalid", Message: message,
	})
}

func sortResults(results []v1alpha1.CheckResult) {
	slices.SortFunc(results, func(a, b v1alpha1.CheckResult) int { return cmp.Compare(a.Check, b.Check) })
}
