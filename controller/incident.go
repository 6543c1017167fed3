package controller

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
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
// the application. What is blamed on others spends nothing, but for an attempt at a hold's limit; and neither does what fails while
// evenkeel is paused or only observes, or what an operator stops. But an attempt that did not bring the application up has failed,
// whatever came after it.
func (s *stepper) account(v *v1alpha1.Verdict) {
	a := s.pendingAttempt()
	if a == nil || s.r.Phase != v1alpha1.PhaseCooldown || !confirmed(&s.c, v) || (!v.OwnFault && !a.AtHoldLimit) {
		return
	}
	if rec := s.r.Recovery; (rec == nil || rec.Verified) && (idle(s.c.App, s.c.Now) || v.Blame == v1alpha1.BlameOperator) {
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
		if s.c.Now.Since(u.Since) >= unknownAfter && u.Since.Before(res.At) {
			if !res.Leading { // that one is told as a failure of its own
				s.tellUnknown(&u, &res)
			}
			u.Alerted = true
		}
		list = append(list, u)
	}
	s.r.Unknown = list
}
