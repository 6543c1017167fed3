package controller

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// File asks that an incident be kept: as it stands, or, where Closed says why, as it ended.
type File struct {
	Incident v1alpha1.Incident
	Closed   string
}

func (File) command() {}

// closeIncident closes the open incident, if there is one: its attempts are forgotten.
func (s *stepper) closeIncident(why string) {
	i := s.r.Incident
	if i == nil {
		return
	}
	now := s.c.Now
	for n := range i.Downtime {
		endDowntime(&i.Downtime[n], now)
	}
	s.commands = append(s.commands, File{Incident: *i.DeepCopy(), Closed: why})
	s.r.Incident = nil
}

// fileIncident asks that the open incident be kept, where it has changed since before.
func (s *stepper) fileIncident(before *v1alpha1.Incident) {
	i := s.r.Incident
	if i == nil || before != nil && sameReport(before, i) {
		return
	}
	s.commands = append(s.commands, File{Incident: *i.DeepCopy()})
}

// sameReport tells whether two states of an incident tell the same: what is proven meanwhile, and which alerts went out, is
// for the state file alone.
func sameReport(a, b *v1alpha1.Incident) bool {
	return a.Number == b.Number && a.Spent == b.Spent && a.Flaps == b.Flaps && slices.Equal(a.Blames, b.Blames) &&
		slices.Equal(a.Attempts, b.Attempts) && slices.EqualFunc(a.Downtime, b.Downtime, func(x, y v1alpha1.CheckDowntime) bool {
		return x.Check == y.Check && x.Total == y.Total && (x.Since == nil) == (y.Since == nil)
	}) && (a.Mended == nil) == (b.Mended == nil) && (a.Mended == nil || *a.Mended == *b.Mended)
}

// noteBlame keeps whom confirmed verdicts of an incident have blamed.
func (s *stepper) noteBlame(v *v1alpha1.Verdict) {
	if i := s.r.Incident; i != nil && v.Blame != v1alpha1.BlameNone && v.Blame != "" && !slices.Contains(i.Blames, v.Blame) {
		i.Blames = append(i.Blames, v.Blame)
	}
}

// mended keeps what brought health back.
func (s *stepper) mended(by string) {
	if i := s.r.Incident; i != nil {
		i.Mended = &v1alpha1.Mended{At: s.c.Now, By: by}
	}
}

// mendedBy says in a few words what a recovery was that has helped.
func mendedBy(rec *v1alpha1.Recovery) string {
	if rec == nil || !rec.Verified {
		return "by itself, after a recovery that did not bring it up"
	}
	by := "recovery " + rec.ID + " (plan " + rec.Plan + ")"
	if rec.Trigger == v1alpha1.TriggerOperator {
		by += ", asked for by the operator"
	}
	return by
}

// healedBy says in a few words how an application came to be well without a recovery.
func (s *stepper) healedBy() string {
	switch {
	case s.c.App.Spec.Observes():
		return "by itself; evenkeel only observed"
	case s.r.Hold != nil:
		return "its cause went away (" + string(s.r.Hold.Blame) + "); evenkeel held"
	}
	return "by itself"
}

// noteDowntime counts for how long each check has not held in the open incident. Nobody looks during a recovery: that time is
// the application's too, up to the first look after it. So is the time in which evenkeel itself did not run, if it was down
// before and after.
func (s *stepper) noteDowntime(latest *v1alpha1.Observation) {
	i := s.r.Incident
	if i == nil {
		return
	}
	for _, res := range latest.Results {
		if !res.Required && !res.Leading {
			continue
		}
		n := slices.IndexFunc(i.Downtime, func(d v1alpha1.CheckDowntime) bool { return d.Check == res.Check })
		switch down := isDown(&res); {
		case n < 0 && down:
			since := s.downSince(&res)
			i.Downtime = append(i.Downtime, v1alpha1.CheckDowntime{Check: res.Check, Leading: res.Leading, Since: &since})
		case n >= 0 && down && i.Downtime[n].Since == nil:
			since := res.At
			i.Downtime[n].Since = &since
		case n >= 0 && res.Status == metav1.ConditionTrue:
			endDowntime(&i.Downtime[n], res.At)
		}
	}
}

func isDown(res *v1alpha1.CheckResult) bool {
	return res.Status == metav1.ConditionFalse || res.Leading && res.Status != metav1.ConditionTrue
}

// downSince is the first of the looks in a row at which a check has not held.
func (s *stepper) downSince(res *v1alpha1.CheckResult) v1alpha1.Instant {
	since := res.At
	for n := len(s.c.Recent) - 1; n >= 0; n-- {
		r, ok := s.c.Recent[n].Result(res.Check)
		if !ok || !isDown(&r) {
			break
		}
		since = r.At
	}
	return since
}

func endDowntime(d *v1alpha1.CheckDowntime, at v1alpha1.Instant) {
	if d.Since != nil {
		d.Total.Duration += at.Since(*d.Since)
		d.Since = nil
	}
}
