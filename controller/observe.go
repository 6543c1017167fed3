package controller

import (
	"fmt"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// observingOnly opens every alert of an App that is only observed.
const observingOnly = "observing only, nothing is done: "

// wouldAct notes and journals what mode Observe keeps evenkeel from doing: once, and then at the floor rate for as long as
// it lasts. Nothing of it counts when the mode is Active again.
func (s *stepper) wouldAct(d Decision, v *v1alpha1.Verdict) {
	if !s.coherent() {
		return
	}
	what := "evenkeel would give up now, and wait for a reset"
	if len(d.Plan.Steps) > 0 {
		what = fmt.Sprintf("evenkeel would recover now with plan %s (%s)", d.Plan.Name, strings.Join(d.Plan.Steps, ", "))
	}
	w := s.r.Would
	switch {
	case w == nil:
		s.r.Would = &v1alpha1.Would{
			At: s.c.Now, Blame: v.Blame, Reason: v.Reason, Plan: d.Plan.Name, Steps: d.Plan.Steps, ToldAt: s.c.Now,
		}
		s.event(v1alpha1.EventWarning, v1alpha1.ReasonWouldRecover, what+": "+d.Why)
	case s.c.Now.Since(w.ToldAt) >= wouldEvery:
		w.ToldAt = s.c.Now
		s.event(v1alpha1.EventWarning, v1alpha1.ReasonWouldRecover,
			fmt.Sprintf("it has not healed without that for %s; %s: %s", s.c.Now.Since(w.At).Round(time.Second), what, d.Why))
	}
}

// wouldEvery is the least time between two lines of the journal that say what would be done.
const wouldEvery = time.Hour

// wouldEnd says how the world went on without what would have been done: it healed, or the mode is Active again first.
func (s *stepper) wouldEnd() {
	w := s.r.Would
	if w == nil {
		return
	}
	after := s.c.Now.Since(w.At).Round(time.Second)
	switch {
	case !s.c.App.Spec.Observes():
		s.event(v1alpha1.EventNormal, v1alpha1.ReasonActing,
			fmt.Sprintf("it did not heal in the %s in which evenkeel would have recovered it (%s) and only observed", after, w.Reason))
	case s.in.Observed && s.c.Latest().Holds():
		s.event(v1alpha1.EventNormal, v1alpha1.ReasonHealedWithoutUs,
			fmt.Sprintf("everything holds again %s after evenkeel would have recovered it (%s): healed without us", after, w.Reason))
	default:
		return
	}
	s.r.Would = nil
}

// observing ends an open recovery that has nothing stopped, once the mode is Observe; it tells whether it did.
func (s *stepper) observing() bool {
	if !s.c.App.Spec.Observes() || !s.r.Recovery.Open() {
		return false
	}
	s.settle(false, "ended: evenkeel was told to observe only (spec.mode)")
	s.afterSettle()
	return true
}

// InForce is the App as it may come into force with a record: Observe waits while a recovery stands between the stop and
// the start of the application, which is never left stopped by us. Until then it is paused.
func InForce(app *v1alpha1.App, r *v1alpha1.AppStatus) *v1alpha1.App {
	if !app.Spec.Observes() || MayEnd(r) {
		return app
	}
	app = app.DeepCopy()
	app.Spec.Mode = v1alpha1.ModeActive
	app.Spec.Paused, app.Spec.PausedUntil = true, nil
	app.Spec.PauseReason = "it will only be observed, once it has been started again"
	return app
}
