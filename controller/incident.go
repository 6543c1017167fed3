package controller

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

const (
	// reminderEvery is the floor rate at which something that lasts is told again.
	reminderEvery = time.Hour
	// unknownAfter is how long a required check may go unasked before the operator is told.
	unknownAfter = 10 * time.Minute
)

// openIncident opens an incident if none is open.
func (s *stepper) openIncident(blame v1alpha1.Blame, reason string) {
	if s.r.Incident != nil {
		return
	}
	s.r.LastIncident++
	s.r.Incident = &v1alpha1.Incident{Number: s.r.LastIncident, StartedAt: s.c.Now, Blame: blame, Reason: reason}
}

// pendingAttempt is the attempt whose outcome is open.
func (s *stepper) pendingAttempt() *v1alpha1.Attempt {
	i := s.r.Incident
	if i == nil || len(i.Attempts) == 0 {
		return nil
	}
	if a := &i.Attempts[len(i.Attempts)-1]; a.Outcome == v1alpha1.AttemptPending {
		return a
	}
	return nil
}

// account spends the pending attempt when, within its cooldown, something is confirmed to have failed that is blamed on
// the application. What is blamed on others spends nothing, and neither does what fails while evenkeel is paused; but an
// attempt that did not bring the application up has failed, paused or not.
func (s *stepper) account(v *v1alpha1.Verdict) {
	a := s.pendingAttempt()
	if a == nil || s.r.Phase != v1alpha1.PhaseCooldown || !confirmed(&s.c, v) || (!v.OwnFault && !a.AtHoldLimit) {
		return
	}
	if rec := s.r.Recovery; idle(s.c.App, s.c.Now) && (rec == nil || rec.Verified || s.c.App.Spec.Observes()) {
		return
	}
	i := s.r.Incident
	a.Outcome = v1alpha1.AttemptFailed
	a.Message = v.Message
	i.Spent++
	s.event(v1alpha1.EventWarning, v1alpha1.ReasonAttemptSpent,
		fmt.Sprintf("attempt %d failed (%s); %d of %d are spent", a.Number, v.Reason, i.Spent, s.c.App.Spec.Recovery.MaxAttempts))
}

// closeAttempt is called when the cooldown is over: an attempt that is still pending has held, or its failure was others'.
func (s *stepper) closeAttempt() {
	a := s.pendingAttempt()
	if a == nil {
		return
	}
	s.r.Incident.Flaps++ // either way the next cooldown is longer
	if rec := s.r.Recovery; rec != nil && !rec.Verified {
		a.Outcome = v1alpha1.AttemptExcused
		s.event(v1alpha1.EventNormal, v1alpha1.ReasonAttemptHeld,
			fmt.Sprintf("attempt %d did not bring the application up, and that is blamed on others; it is not spent", a.Number))
		return
	}
	a.Outcome = v1alpha1.AttemptHeld
	s.event(v1alpha1.EventNormal, v1alpha1.ReasonAttemptHeld, fmt.Sprintf("attempt %d held for its cooldown", a.Number))
}

// cooldownFor is the cooldown of a recovery that begins after so many flaps: doubled for each, at most an hour, and
// never less than what was configured.
func cooldownFor(spec *v1alpha1.RecoverySpec, flaps int32) time.Duration {
	const most = time.Hour
	d := spec.Cooldown.Duration
	for range flaps {
		d = max(d, min(2*d, most))
	}
	return d
}

// proven is for how long the application has been well since the last failure of its own.
func proven(i *v1alpha1.Incident, now v1alpha1.Instant) time.Duration {
	if i == nil {
		return 0
	}
	d := i.Proven.Duration
	if i.ProvenAt != nil {
		d += now.Since(*i.ProvenAt)
	}
	return d
}

// prove runs the clock of provenAfter: it counts while the leading check is True and nothing is blamed on the
// application, stands still otherwise, and begins anew after a failure of the application's own. When it is over and
// nothing is wrong the incident is closed, and with it its attempts are forgotten.
func (s *stepper) prove(v *v1alpha1.Verdict) {
	i := s.r.Incident
	if i == nil {
		return
	}
	after := s.c.App.Spec.Recovery.ProvenAfter.Duration
	lead, _ := s.c.Latest().Leading()
	own := v.OwnFault && v.Remedy != v1alpha1.RemedyNone && v.Remedy != v1alpha1.RemedyWait
	switch {
	case own && (confirmed(&s.c, v) || s.r.Recovery.Open()): // what has just begun was confirmed
		i.Proven, i.ProvenAt = metav1.Duration{}, nil
	case own || lead.Status != metav1.ConditionTrue:
		s.noteProven()
		i.ProvenAt = nil
	case i.ProvenAt == nil:
		now := s.c.Now
		i.ProvenAt = &now
	case i.Proven.Duration < after && s.c.Now.Since(*i.ProvenAt) >= after/provenParts:
		s.noteProven()
	}
	if s.r.Phase == v1alpha1.PhaseHealthy && proven(i, s.c.Now) >= after {
		s.event(v1alpha1.EventNormal, v1alpha1.ReasonIncidentClosed,
			fmt.Sprintf("incident %d is closed: the application has been well for %s", i.Number, after))
		s.closeIncident(fmt.Sprintf("the application has been well for %s", after))
	}
}

// provenParts is in how many parts provenAfter is written down, so that an end of evenkeel costs no more than one of them,
// and not every pass is a write.
const provenParts = 10

// noteProven takes what has been proven up to the newest look at which the application was well.
func (s *stepper) noteProven() {
	i := s.r.Incident
	if i == nil || i.ProvenAt == nil {
		return
	}
	for n := len(s.c.Recent) - 1; n >= 0; n-- {
		lead, _ := s.c.Recent[n].Leading()
		if lead.Status != metav1.ConditionTrue || lead.At.Before(*i.ProvenAt) {
			continue
		}
		i.Proven.Duration += lead.At.Since(*i.ProvenAt)
		*i.ProvenAt = lead.At
		return
	}
}

// isSudden tells whether a confirmed failure is somebody else's fault all at once. What fails, and what comes back, does so
// one thing after the other: a look in between may blame whoever comes first, so that another blame is believed at its second
// look. That an application is down is never kept back.
func (s *stepper) isSudden(v *v1alpha1.Verdict) bool {
	old := s.r.Verdict
	return s.r.Phase == v1alpha1.PhaseDegraded && old != nil && old.Blame != v.Blame && !v.Certain && !v.Down
}

// noteVerdict keeps the verdict in the record while something does not hold, and journals a new one.
func (s *stepper) noteVerdict(v v1alpha1.Verdict) {
	old := s.r.Verdict
	if v.Remedy == v1alpha1.RemedyNone {
		s.r.Verdict = nil
		return
	}
	s.r.Verdict = &v
	if old == nil || old.Rule != v.Rule || old.Blame != v.Blame || old.Remedy != v.Remedy {
		kind := v1alpha1.EventWarning
		if v.Remedy == v1alpha1.RemedyWait {
			kind = v1alpha1.EventNormal
		}
		s.event(kind, v1alpha1.ReasonVerdict, fmt.Sprintf("%s: %s → %s: %s", v.Blame, v.Reason, v.Remedy, v.Message))
	}
}

// noteUnknown keeps since when required checks could not be asked.
func (s *stepper) noteUnknown(latest *v1alpha1.Observation) {
	var list []v1alpha1.UnknownCheck
	for _, res := range latest.Results {
		if !res.Required || res.Status != metav1.ConditionUnknown {
			continue
		}
		n := slices.IndexFunc(s.r.Unknown, func(u v1alpha1.UnknownCheck) bool { return u.Check == res.Check })
		u := v1alpha1.UnknownCheck{Check: res.Check, Since: s.c.Now}
		if n >= 0 {
			u = s.r.Unknown[n]
		}
		if !u.Alerted && s.c.Now.Since(u.Since) >= unknownAfter && u.Since.Before(res.At) {
			u.Alerted = true
			if res.Leading { // that is told as a failure of its own
				list = append(list, u)
				continue
			}
			s.tell(v1alpha1.Alert{
				Kind: v1alpha1.AlertUnknown, Reason: res.Reason,
				Message:  fmt.Sprintf("the check %q could not be asked for %s: %s", res.Check, unknownAfter, res.Message),
				Duration: metav1.Duration{Duration: s.c.Now.Since(u.Since)},
			})
		}
		list = append(list, u)
	}
	s.r.Unknown = list
}

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
		if v.Remedy == v1alpha1.RemedyHold && confirmed(&s.c, v) {
			s.tellDegraded(v)
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
		if s.tellAtFloorRate(string(v1alpha1.AlertFlapping)+key, v1alpha1.AlertFlapping, v, "failing again, after it had been well: "+v.Message) {
			i.ResolvedAt = nil
			s.markSent(key)
			s.markSent(keyReminder) // its hour begins with the alert
		}
	case !s.sent(key):
		i.ResolvedAt = nil
		s.markSent(key)
		s.markSent(keyReminder) // its hour begins with the alert
		s.tell(s.alertOf(v1alpha1.AlertDegraded, v, v.Message))
	case s.r.Phase == v1alpha1.PhaseDegraded && (v.Down || v.Stranger || lead.Status != metav1.ConditionTrue):
		s.tellAtFloorRate(keyReminder, v1alpha1.AlertReminder, v, "still down, and nothing is done: "+v.Message)
	}
}

// keyReminder is the key of the reminder that an application is down and held.
const keyReminder = "Reminder/Down"

func (s *stepper) alertFailed(v *v1alpha1.Verdict, holds bool) {
	i := s.r.Incident
	key := string(v1alpha1.AlertFailed)
	if i != nil && !s.r.StoodDown && !s.sent(key) {
		s.markSent(key)
		a := s.alertOf(v1alpha1.AlertFailed, v, s.r.Message)
		a.Next = append(a.Next, "when it is mended: evenkeel reset "+s.c.App.Name)
		s.tell(a)
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
	if s.c.Now.Since(*s.r.WellSince) >= reminderEvery && i != nil {
		s.tellAtFloorRate("Reminder/Well", v1alpha1.AlertReminder, v,
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
	s.tell(v1alpha1.Alert{
		Kind: v1alpha1.AlertResolved, Blame: i.Blame, Reason: i.Reason, Duration: metav1.Duration{Duration: d},
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
func (s *stepper) tellAtFloorRate(key string, kind v1alpha1.AlertKind, v *v1alpha1.Verdict, message string) bool {
	for _, a := range s.r.Incident.Alerts {
		if a.Key == key && s.c.Now.Since(a.At) < reminderEvery {
			return false
		}
	}
	s.markSent(key)
	s.tell(s.alertOf(kind, v, message))
	return true
}

func (s *stepper) alertOf(kind v1alpha1.AlertKind, v *v1alpha1.Verdict, message string) v1alpha1.Alert {
	a := v1alpha1.Alert{
		Kind: kind, Blame: v.Blame, Reason: v.Reason, Message: message,
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

func (s *stepper) tell(a v1alpha1.Alert) {
	a.Time, a.App, a.Phase = s.c.Now.Wall, s.c.App.Name, s.r.Phase
	if s.c.App.Spec.Observes() {
		a.Observing, a.Message = true, observingOnly+a.Message
	}
	if i := s.r.Incident; i != nil {
		a.Incident = i.Number
	}
	s.commands = append(s.commands, Tell{a})
}
