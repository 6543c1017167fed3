package main

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pass"
)

// steadiness finds quiet stretches: passes in which evenkeel looks, sees the same as before, and does nothing.
//
// Such passes are jumped over, and only then: what was seen is the same for longer than anything that Step looks back on
// (the last 16 observations), nothing is under way, and neither in the world nor in the record something falls due before
// the end of the jump. The observations that were kept are moved along, as if every pass had been made. A test runs the
// same schedules with and without jumps and compares the journals.
type steadiness struct {
	last    signature
	calm    int
	writes  int              // when the last pass was seen
	periods [3]time.Duration // between the last passes
	passAt  time.Duration
}

// signature is all of a record that Step could act upon, but for the times in it.
type signature struct {
	changed, alerts                                int
	phase                                          v1alpha1.Phase
	rule, blocked, heldBy                          string
	incident                                       int64
	spent, flaps                                   int32
	holdSpent, proving, resolved, well, low, open_ bool
	unknown, unknownTold                           int
	warnings, warned                               int
	generation                                     int64
	dbErrors                                       bool
}

// settled is told of every step.
func (k *keeper) settled(in controller.Input, commands []controller.Command) {
	if !in.Observed {
		if in != (controller.Input{}) {
			k.calm = 0
		}
		return
	}
	r, w := &k.status, k.s.w
	now := signature{changed: w.changed, phase: r.Phase, generation: k.app.Generation, dbErrors: w.cond.dbErrors}
	if r.Verdict != nil {
		now.rule = r.Verdict.Rule
	}
	if r.Blocked != nil {
		now.blocked = r.Blocked.Reason
	}
	if r.Hold != nil {
		now.heldBy, now.holdSpent = r.Hold.Rule, r.Hold.LimitSpent
	}
	if i := r.Incident; i != nil {
		now.incident, now.spent, now.flaps, now.alerts = i.Number, i.Spent, i.Flaps, len(i.Alerts)
		now.proving, now.resolved = i.ProvenAt != nil, i.ResolvedAt != nil
	}
	now.well, now.open_ = r.WellSince != nil, r.Recovery.Open()
	now.low = r.Learned != nil && r.Learned.LowMemorySince != nil
	now.unknown = len(r.Unknown)
	for _, u := range r.Unknown {
		if u.Alerted {
			now.unknownTold++
		}
	}
	now.warnings = len(r.Warnings)
	for n := range r.Warnings {
		if r.Warnings[n].Told {
			now.warned++
		}
	}
	quiet := k.s.writes == k.writes
	k.writes = k.s.writes
	for _, c := range commands {
		if _, ok := c.(controller.Observe); !ok {
			quiet = false
		}
	}
	switch {
	case now != k.last || now.open_:
		k.calm = 0
	case !quiet: // a reminder, say: all is as before, but what is said or written again at a rate is not jumped over
		k.calm = min(k.calm, pass.Recent-4)
	default:
		k.calm++
	}
	k.last = now
	at := k.recent[len(k.recent)-1].At.Boot.Duration + w.bootAt
	k.periods[0], k.periods[1], k.periods[2] = k.periods[1], k.periods[2], at-k.passAt
	k.passAt = at
}

// jump moves evenkeel over passes that would do nothing, as far as something is due. It is called when nothing is under way, or
// during a pass that takes as long as the interval, as where an application hangs: then there never is a time with nothing.
func (k *keeper) jump() {
	if k.s.noJumps || k.calm <= pass.Recent || k.last.changed != k.s.w.changed || k.deed != nil || k.cut || k.failing || k.dirty || k.pending != nil || k.ending || k.s.killIn > 0 {
		return
	}
	period := k.periods[2]
	if period <= 0 || k.periods[0] != period || k.periods[1] != period || k.nextAt() <= k.s.w.now || k.seen != nil && k.seen.Took.Duration < period {
		return
	}
	passes := (k.nextDue() - k.nextAt() - 2*period) / period
	if passes < 1 {
		return
	}
	by := passes * period
	for n := range k.recent {
		later(&k.recent[n], by)
	}
	if k.seen != nil {
		later(k.seen, by)
		k.seenAt += by
	} else {
		k.wakeAt += by
	}
	k.passAt += by
	k.s.jumped += int(passes)
}

func later(o *v1alpha1.Observation, by time.Duration) {
	o.At = o.At.Add(by)
	for m := range o.Results {
		o.Results[m].At = o.Results[m].At.Add(by)
	}
}

// nextDue is when, in true time, something changes in the world or something falls due in the record.
func (k *keeper) nextDue() time.Duration {
	w, r, spec := k.s.w, &k.status, &k.app.Spec
	now := w.instantAt(k.passAt) // what has fallen due since the last pass is still to be seen
	due := min(w.upcoming(), k.s.armedAt(), k.s.sched.Length)
	in := func(left time.Duration) {
		if left > 0 {
			due = min(due, k.passAt+left)
		}
	}
	since := func(at *v1alpha1.Instant, length time.Duration) {
		if at != nil {
			in(length - now.Since(*at))
		}
	}
	in(r.Cooldown.Left(now))
	if h, v := r.Hold, r.Verdict; h != nil && v != nil && v.HoldLimit.Duration > 0 {
		since(&h.Since, v.HoldLimit.Duration)
	}
	if until := spec.PausedUntil; spec.Paused && until != nil {
		in(until.Sub(now.Wall.Time))
	}
	if i := r.Incident; i != nil {
		for n := range i.Alerts {
			since(&i.Alerts[n].At, time.Hour)
		}
		if i.ProvenAt != nil {
			since(i.ProvenAt, spec.Recovery.ProvenAfter.Duration-i.Proven.Duration)
			if i.Proven.Duration < spec.Recovery.ProvenAfter.Duration { // it is written down
				since(i.ProvenAt, spec.Recovery.ProvenAfter.Duration/10)
			}
		}
	}
	since(r.PausedSince, day)
	since(r.PauseToldAt, day)
	since(r.WellSince, time.Hour)
	since(r.NotWellSince, 10*time.Minute)
	for n := range r.Unknown {
		since(&r.Unknown[n].Since, 10*time.Minute)
		since(&r.Unknown[n].Since, time.Hour)
		since(r.Unknown[n].RemindedAt, day)
	}
	for n := range r.Warnings {
		since(&r.Warnings[n].ToldAt, day)
	}
	if l := r.Learned; l != nil {
		since(l.LowMemorySince, spec.Checks.Memory.For.Duration)
	}
	if w.app != nil {
		age := k.passAt - w.app.born
		in(spec.Recovery.StartupGrace.Duration - age)
		in(spec.Checks.Memory.BaselineAfter.Duration - age)
		in(11*time.Minute - age)
	}
	return due
}

func caseOf(app *v1alpha1.App, status v1alpha1.AppStatus, recent []v1alpha1.Observation, now v1alpha1.Instant) pass.Case {
	return pass.Case{App: app, Record: status, Recent: recent, Now: now}
}

func interruptedAt(w *world, at, began time.Duration, name string) func() (*pass.StepResult, time.Duration) {
	return func() (*pass.StepResult, time.Duration) {
		if w.now < at {
			return nil, at
		}
		return &pass.StepResult{Step: name, Outcome: v1alpha1.StepInterrupted, Message: "interrupted", Took: w.now - began}, 0
	}
}
