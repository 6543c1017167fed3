package controller

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func (s *stepper) allChecks() []string {
	var names []string
	for _, c := range s.judge.Checks(s.c.App) {
		names = append(names, c.Name)
	}
	return names
}

// due lists the checks that are due now, and since when; where none is, when the next one will be. While something is wrong
// and not yet confirmed, everything is asked again soon, so that a verdict always rests on one coherent look.
func (s *stepper) due() ([]string, v1alpha1.Instant) {
	now, latest := s.c.Now, s.c.Latest()
	if latest == nil || s.lookAll || s.in.Look || s.in.Order != nil || (s.r.Demand != nil && !s.in.NoTurn) {
		return s.allChecks(), now
	}
	in := now.Add
	age := now.Since(latest.At)
	if soon, ok := s.lookSoon(); ok {
		if age >= soon {
			return s.allChecks(), in(soon - age)
		}
		return nil, in(soon - age)
	}
	// An end of a wait is a reason to look: what follows is decided on fresh evidence only.
	for _, left := range s.ends() {
		if left <= age { // it ended after the last look
			return s.allChecks(), in(left - age)
		}
	}
	var due []string
	next, longest := time.Hour, time.Duration(0)
	for _, check := range s.judge.Checks(s.c.App) {
		res, ok := latest.Result(check.Name)
		left := time.Duration(0)
		if ok {
			left = check.Interval - now.Since(res.At)
		}
		if left <= 0 {
			due, longest = append(due, check.Name), min(longest, left)
			continue
		}
		next = min(next, left)
	}
	for _, left := range s.ends() {
		next = min(next, left-age)
	}
	if len(due) > 0 {
		return due, in(longest)
	}
	return nil, in(max(next, 0))
}

// ends lists the ends of the waits under way, as the time from the last look to each of them. An end that lies before the
// last look has been seen already and is left out.
func (s *stepper) ends() []time.Duration {
	now, at := s.c.Now, s.c.Latest().At
	age := now.Since(at)
	var list []time.Duration
	add := func(leftAtLook time.Duration) {
		if leftAtLook > 0 {
			list = append(list, leftAtLook)
		}
	}
	if w := s.r.Cooldown; w != nil {
		add(w.Left(at))
	}
	if h, v := s.r.Hold, s.r.Verdict; h != nil && v != nil && v.ActAtLimit && !h.LimitSpent {
		add(v.HoldLimit.Duration - at.Since(h.Since))
	}
	if until := s.c.App.Spec.PausedUntil; s.c.App.Spec.Paused && until != nil {
		add(until.Sub(now.Wall.Time) + age)
	}
	return list
}

// lookSoon tells whether, and after which time, to look again sooner than the interval.
func (s *stepper) lookSoon() (time.Duration, bool) {
	v, latest, spec := s.r.Verdict, s.c.Latest(), &s.c.App.Spec
	soon := spec.ConfirmInterval.Duration
	lead, _ := latest.Leading()
	switch {
	case s.r.Blocked != nil && s.r.Blocked.Reason == BlockedTurn:
		return min(soon, spec.Interval.Duration), true
	case v == nil:
		return 0, false
	case v.LookAgain.Duration > 0:
		return min(v.LookAgain.Duration, spec.Interval.Duration), true
	case v.Remedy == v1alpha1.RemedyWait:
		return min(soon, spec.Interval.Duration), true
	case !confirmed(&s.c, v) && (lead.Status != metav1.ConditionTrue || !latest.Holds()):
		return min(soon, spec.Interval.Duration), true
	}
	return 0, false
}
