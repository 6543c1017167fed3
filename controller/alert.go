package controller

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// alert tells what a person should know, once: a transition and its blame are told one time in an incident, until it is
// resolved. After that the same incident is told of again only at the floor rate.
func (s *stepper) alert(v *v1alpha1.Verdict) {
	i := s.r.Incident
	holds := s.c.Latest().Holds()
	switch s.r.Phase {
	case v1alpha1.PhaseDegraded, v1alpha1.PhaseRecovering:
		sudden := s.sudden && s.r.Phase == v1alpha1.PhaseDegraded // what is acted upon is told
		if i != nil && !holds && !sudden && v.Remedy != v1alpha1.RemedyWait && v.Remedy != v1alpha1.RemedyNone {
			s.tellDegraded(v)
		}
	case v1alpha1.PhaseHealthy:
		s.resolved("everything holds again")
	case v1alpha1.PhaseFailed:
		s.alertFailed(v, holds)
	case v1alpha1.PhaseCooldown:
		if confirmed(&s.c, v) && (v.Remedy == v1alpha1.RemedyHold || i != nil && len(i.Alerts) == 0 && len(i.Attempts) > 0) {
			s.tellDegraded(v) // the first recovery has not mended it
		}
	}
}

func (s *stepper) tellDegraded(v *v1alpha1.Verdict) {
	i := s.r.Incident
	lead, _ := s.c.Latest().Leading()
	key := string(v1alpha1.AlertDegraded) + "/" + string(v.Blame)
	if v.OwnFault {
		// The application's own failures are one thing to its owner, whichever rule names them.
		key = string(v1alpha1.AlertDegraded) + "/" + string(v1alpha1.BlameApp)
	}
	switch {
	case i.ResolvedAt != nil && s.everSent(key):
		if s.tellAtFloorRate(string(v1alpha1.AlertFlapping)+key, noticeFlapping, v, "failing again, after it had been well: "+v.Message) {
			i.ResolvedAt = nil
			s.markSent(key)
			s.markSent(keyReminder) // its hour begins with the alert
		}
	case !s.sent(key) && s.mayMend(v):
	case !s.sent(key):
		i.ResolvedAt = nil
		s.markSent(key)
		s.markSent(keyReminder) // its hour begins with the alert
		s.tell(noticeDegraded, s.alertOf(v, v.Message))
	case s.r.Phase == v1alpha1.PhaseDegraded && (v.Down || v.Stranger || lead.Status != metav1.ConditionTrue):
		s.tellAtFloorRate(keyReminder, noticeStillDown, v, "still down, and nothing is done: "+v.Message)
	}
}

// mayMend tells whether the first recovery of an incident has just begun, or is about to: what it mends is told to nobody
// who has not asked for that.
func (s *stepper) mayMend(v *v1alpha1.Verdict) bool {
	i := s.r.Incident
	if s.c.App.Spec.Recovery.Tell == v1alpha1.TellAlways || v.Remedy != v1alpha1.RemedyRecover || len(i.Alerts) > 0 || idle(s.c.App, s.c.Now) {
		return false
	}
	switch s.r.Phase {
	case v1alpha1.PhaseRecovering:
		return s.r.Recovery.Open() && len(i.Attempts) <= 1
	case v1alpha1.PhaseDegraded:
		// It waits for its turn, or for one look at everything.
		waits := s.lookAll || s.r.Blocked != nil && s.r.Blocked.Reason == BlockedTurn
		return waits && len(i.Attempts) == 0 && s.c.Now.Since(i.StartedAt) < mendWithin
	}
	return false
}

// mendWithin is for how long a recovery may be about to begin before somebody is told that it has not.
const mendWithin = time.Minute

// keyReminder is the key of the reminder that an application is down and held.
const keyReminder = "Reminder/Down"

// lastFailure says what the last plan failed of first, where a step of it failed: what comes after follows from that.
func (s *stepper) lastFailure() string {
	rec := s.r.Recovery
	if rec == nil || rec.Verified {
		return ""
	}
	for _, done := range rec.Steps {
		if done.Plan == rec.Plan && done.Outcome == v1alpha1.StepFailed && done.Message != "" {
			return fmt.Sprintf("the last attempt, step %s: %s", done.Step, done.Message)
		}
	}
	return ""
}

func (s *stepper) alertFailed(v *v1alpha1.Verdict, holds bool) {
	i := s.r.Incident
	key := string(v1alpha1.AlertFailed)
	if i != nil && !s.r.StoodDown && !s.sent(key) {
		s.markSent(key)
		a := s.alertOf(v, s.r.Message)
		if failed := s.lastFailure(); failed != "" {
			a.Evidence = slices.Insert(a.Evidence, 0, failed)
		}
		a.Next = append(a.Next, "when it is mended: evenkeel reset "+s.c.App.Name)
		s.tell(noticeFailed, a)
	}
	if !holds {
		s.r.WellSince = nil
		return
	}
	if s.r.WellSince == nil {
		now := s.c.Now
		s.r.WellSince = &now
		s.event(v1alpha1.EventNormal, v1alpha1.ReasonHeld, "everything holds again, but evenkeel stays in Failed until a reset: nobody protects this site")
	}
	if s.c.Now.Since(*s.r.WellSince) >= noticeUnprotected.Every && i != nil {
		s.tellAtFloorRate("Reminder/Well", noticeUnprotected, v,
			"everything holds again, but evenkeel is in Failed: nobody protects this site. Reset: evenkeel reset "+s.c.App.Name)
	}
}

// resolved tells that what was told before is over.
func (s *stepper) resolved(why string) {
	i := s.r.Incident
	if i == nil {
		return
	}
	open := false
	for n := range i.Alerts {
		open = open || !i.Alerts[n].Resolved
		i.Alerts[n].Resolved = true
	}
	if !open {
		return
	}
	now := s.c.Now
	i.ResolvedAt = &now
	d := now.Since(i.StartedAt)
	s.tell(noticeResolved, v1alpha1.Alert{
		Blame: i.Blame, Reason: i.Reason, Duration: metav1.Duration{Duration: d},
		Message: fmt.Sprintf("%s (incident %d began %s ago; %s)", why, i.Number, d.Round(time.Second), recoveries(len(i.Attempts))),
	})
}

// recoveries is a number of them, in words.
func recoveries(n int) string {
	if n == 1 {
		return "1 recovery"
	}
	return fmt.Sprintf("%d recoveries", n)
}

func (s *stepper) everSent(key string) bool {
	return slices.ContainsFunc(s.r.Incident.Alerts, func(a v1alpha1.SentAlert) bool { return a.Key == key })
}

func (s *stepper) sent(key string) bool {
	return slices.ContainsFunc(s.r.Incident.Alerts, func(a v1alpha1.SentAlert) bool { return a.Key == key && !a.Resolved })
}

func (s *stepper) markSent(key string) {
	i := s.r.Incident
	i.Alerts = slices.DeleteFunc(i.Alerts, func(a v1alpha1.SentAlert) bool { return a.Key == key })
	i.Alerts = append(i.Alerts, v1alpha1.SentAlert{Key: key, At: s.c.Now})
}

// tellAtFloorRate tells something that is told again and again, but not more often than the floor rate. It says whether
// it was told.
func (s *stepper) tellAtFloorRate(key string, n *Notice, v *v1alpha1.Verdict, message string) bool {
	for _, a := range s.r.Incident.Alerts {
		if a.Key == key && s.c.Now.Since(a.At) < n.Every {
			return false
		}
	}
	s.markSent(key)
	s.tell(n, s.alertOf(v, message))
	return true
}

func (s *stepper) alertOf(v *v1alpha1.Verdict, message string) v1alpha1.Alert {
	a := v1alpha1.Alert{
		Blame: v.Blame, Reason: v.Reason, Message: message,
		Evidence: slices.Clone(v.Evidence), Next: slices.Clone(v.Next),
	}
	if w := s.r.Would; w != nil && len(w.Steps) > 0 {
		a.Next = append(a.Next, "evenkeel would recover it with plan "+w.Plan+"; to let it: spec.mode: Active")
	}
	if i := s.r.Incident; i != nil {
		a.Duration = metav1.Duration{Duration: s.c.Now.Since(i.StartedAt)}
	}
	return a
}

// tellUnknown tells that a required check cannot be asked: once, and again at the floor rate.
func (s *stepper) tellUnknown(u *v1alpha1.UnknownCheck, res *v1alpha1.CheckResult) {
	lasted := s.c.Now.Since(u.Since)
	a := v1alpha1.Alert{
		Reason: res.Reason, Duration: metav1.Duration{Duration: lasted},
		Message: fmt.Sprintf("the check %q could not be asked for %s: %s", res.Check, lasted.Round(time.Minute), res.Message),
	}
	now := s.c.Now
	switch {
	case !u.Alerted:
		s.tell(noticeUnknown, a)
	case u.RemindedAt == nil && lasted >= stillUnknownAfter, u.RemindedAt != nil && now.Since(*u.RemindedAt) >= noticeStillUnknown.Every:
		u.RemindedAt = &now
		a.Reason = v1alpha1.ReasonStillUnknown
		s.tell(noticeStillUnknown, a)
	}
}

// notePause keeps since when evenkeel is paused, and reminds the operator of a pause that lasts.
func (s *stepper) notePause() {
	now := s.c.Now
	switch {
	case !Paused(s.c.App, now):
		s.r.PausedSince, s.r.PauseToldAt = nil, nil
		return
	case s.r.PausedSince == nil:
		s.r.PausedSince = &now
	}
	told := s.r.PausedSince
	if s.r.PauseToldAt != nil {
		told = s.r.PauseToldAt
	}
	if now.Since(*told) < noticeStillPaused.Every {
		return
	}
	s.r.PauseToldAt = &now
	lasted := now.Since(*s.r.PausedSince)
	s.tell(noticeStillPaused, v1alpha1.Alert{
		Reason: v1alpha1.ReasonStillPaused, Duration: metav1.Duration{Duration: lasted},
		Message: fmt.Sprintf("evenkeel has been paused for %s (%s): nobody protects this site", lasted.Round(time.Minute), pauseBlocks(&s.c.App.Spec).Message),
		Next:    []string{"to end the pause: evenkeel resume " + s.c.App.Name},
	})
}

// tell tells what stands in the table of notices.
func (s *stepper) tell(n *Notice, a v1alpha1.Alert) {
	a.Kind = n.Kind
	a.Time, a.App, a.Phase = s.c.Now.Wall, s.c.App.Name, s.r.Phase
	if s.c.App.Spec.Observes() {
		a.Observing, a.Message = true, observingOnly+a.Message
	}
	if i := s.r.Incident; i != nil {
		a.Incident = i.Number
	}
	s.commands = append(s.commands, Tell{a})
}
