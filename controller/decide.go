package controller

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state/machine"
)

// Reasons of status.blocked.
const (
	BlockedPaused    = "Paused"
	BlockedCooldown  = "Cooldown"
	BlockedHold      = "Hold"
	BlockedTurn      = "Turn"
	BlockedFailed    = "Failed"
	BlockedStoodDown = "StoodDown"
	BlockedObserving = "Observing"
)

// Decision is what follows from a case and its verdict.
type Decision struct {
	// Event is the machine's next event; empty where nothing changes.
	Event machine.Event
	// Why says why, in a sentence.
	Why string
	// Plan is the plan to begin, where Event is Recover.
	Plan pass.Plan
	// Confirmed says that the verdict's failure is confirmed.
	Confirmed bool
	// Hold is the hold in force, if any.
	Hold *v1alpha1.Hold
	// HoldLimitReached says that the hold's limit has just ended and an attempt is made at it.
	HoldLimitReached bool
	// Blocked is what stands against the next action.
	Blocked *v1alpha1.Blocked
	// Would says that, but for mode Observe, Plan would be begun now, or, without steps in it, evenkeel would give up; Why
	// says why. Event is empty then.
	Would bool
}

// Decide is pure: it says what follows from a case and its verdict. It never begins anything in a phase that does not
// allow it; the machine would refuse.
func Decide(judge pass.Judge, c *pass.Case, v *v1alpha1.Verdict) Decision {
	r := &c.Record
	// A hold's time goes on through whatever is not health: through a recovery, and through looks that say nothing.
	d := Decision{Confirmed: confirmed(c, v), Hold: standing(c)}
	if h := d.Hold; h != nil && h.LimitSpent && h.Blame == v1alpha1.BlameOperator && h.Rule != v.Rule {
		d.Hold = nil // it was started for him, and something came of that: if he stops it again, that is a new matter
	}
	holds := c.Latest().Holds()
	switch r.Phase {
	case v1alpha1.PhaseHealthy:
		if d.Confirmed {
			d.Event, d.Why = machine.Degrade, v.Message
		}
	case v1alpha1.PhaseDegraded:
		if holds {
			d.Event, d.Why = machine.Heal, "everything holds again"
			return d
		}
		return degraded(judge, c, v, d)
	case v1alpha1.PhaseCooldown:
		return cooling(c, v, d, holds)
	case v1alpha1.PhaseFailed:
		return failed(c, d, holds)
	case v1alpha1.PhaseRecovering:
	}
	return d
}

// degraded: something is confirmed to be wrong. May, and should, we act?
func degraded(judge pass.Judge, c *pass.Case, v *v1alpha1.Verdict, d Decision) Decision {
	r, spec := &c.Record, &c.App.Spec
	switch v.Remedy {
	case v1alpha1.RemedyHold:
		d.Hold = holding(c, v)
		if !holdIsOver(c, v, d.Hold) || noAttemptsLeft(c) || Paused(c.App, c.Now) {
			d.Blocked = holdBlocks(c, v, d.Hold)
			return d
		}
		if left := r.Cooldown.Left(c.Now); left > 0 {
			d.Blocked = cooldownBlocks(c)
			return d
		}
		d.Why = fmt.Sprintf("held for %s because of %s, which is its limit; one plain recovery is tried", v.HoldLimit.Duration, v.Reason)
		d.Plan, _ = judge.Plan(c, v, nil)
		if spec.Observes() {
			return d.onlyWould()
		}
		d.Hold.LimitSpent = true
		d.HoldLimitReached = true
		d.Event = machine.Recover
		return d
	case v1alpha1.RemedyRecover:
		switch {
		case !d.Confirmed:
			return d
		case r.Hold != nil && !r.Hold.LimitSpent:
			d.Hold = nil // what was held for is over
		}
		switch {
		case Paused(c.App, c.Now):
			d.Blocked = pauseBlocks(spec)
			return d
		case noAttemptsLeft(c):
			d.Event, d.Why = machine.GiveUp, gaveUp(c, v)
			if spec.Observes() {
				return d.onlyWould()
			}
			return d
		}
		if left := r.Cooldown.Left(c.Now); left > 0 {
			d.Blocked = cooldownBlocks(c)
			return d
		}
		if plan, ok := judge.Plan(c, v, nil); ok {
			d.Event, d.Why, d.Plan = machine.Recover, v.Message, plan
			if spec.Observes() {
				return d.onlyWould()
			}
		}
		return d
	default:
		return d
	}
}

// onlyWould turns what would be begun into what is only said.
func (d Decision) onlyWould() Decision {
	d.Event, d.Would, d.Blocked = "", true, observingBlocks()
	return d
}

// cooling: a recovery has ended. Has it held, has it failed, and is the least time to the next over?
func cooling(c *pass.Case, v *v1alpha1.Verdict, d Decision, holds bool) Decision {
	act := v.Remedy == v1alpha1.RemedyRecover
	if act && d.Confirmed && noAttemptsLeft(c) && !idle(c.App, c.Now) {
		// Nobody waits out a cooldown after which nothing could be done.
		d.Event, d.Why = machine.GiveUp, gaveUp(c, v)
		return d
	}
	if left := c.Record.Cooldown.Left(c.Now); left > 0 {
		d.Blocked = cooldownBlocks(c)
		return d
	}
	switch {
	case holds:
		d.Event, d.Why = machine.Stabilize, "everything holds, and the cooldown is over"
	case d.Confirmed && (act || v.Remedy == v1alpha1.RemedyHold):
		d.Event, d.Why = machine.Relapse, v.Message
	}
	return d
}

// failed: only the operator leads out, or, where he allowed it, health that has been proven.
func failed(c *pass.Case, d Decision, holds bool) Decision {
	r, rec := &c.Record, &c.App.Spec.Recovery
	if holds && !r.StoodDown && rec.LeaveFailed == v1alpha1.LeaveFailedWhenHealthy && proven(r.Incident, c.Now) >= rec.ProvenAfter.Duration {
		d.Event = machine.Restore
		d.Why = fmt.Sprintf("the application has been well for %s", rec.ProvenAfter.Duration)
		return d
	}
	d.Blocked = &v1alpha1.Blocked{Reason: BlockedFailed, Message: "the attempts are spent; evenkeel acts again after a reset"}
	if r.StoodDown {
		d.Blocked = &v1alpha1.Blocked{Reason: BlockedStoodDown, Message: "an operator stood evenkeel down; it acts again after a reset"}
	}
	return d
}

// confirmed tells whether a verdict's failure needs no more looks: its own evidence says so, a required check has failed
// often enough, or the recovery that has just ended has already looked for long.
func confirmed(c *pass.Case, v *v1alpha1.Verdict) bool {
	if v.Remedy != v1alpha1.RemedyHold && v.Remedy != v1alpha1.RemedyRecover {
		return false
	}
	if v.Certain {
		return true
	}
	r := &c.Record
	if r.Phase == v1alpha1.PhaseCooldown && r.Recovery != nil && !r.Recovery.Verified && (v.OwnFault || atHoldLimit(r.Incident)) {
		return true
	}
	latest := c.Latest()
	if latest == nil {
		return false
	}
	// A proxy that has failed for an hour does not confirm that the application fails now.
	lead, _ := latest.Leading()
	if v.OwnFault && lead.Status == metav1.ConditionFalse {
		if r.Hold != nil && !failingAnew(c.SinceRecovery(), &lead, int(c.App.Spec.FailureThreshold)) {
			return false
		}
		return failing(c.SinceRecovery(), lead.Check, int(c.App.Spec.FailureThreshold))
	}
	for _, res := range latest.Results {
		if res.Required && failing(c.SinceRecovery(), res.Check, int(c.App.Spec.FailureThreshold)) {
			return true
		}
	}
	return false
}

// atHoldLimit tells whether the last attempt was made at a hold's limit.
func atHoldLimit(i *v1alpha1.Incident) bool {
	return i != nil && len(i.Attempts) > 0 && i.Attempts[len(i.Attempts)-1].AtHoldLimit
}

// failing tells whether a check has failed `threshold` times in a row, or fails now and has failed at half of the last ten
// times of asking. Unknown answers neither break a row nor lengthen it.
func failing(recent []v1alpha1.Observation, check string, threshold int) bool {
	const window = 10
	var asked, failures, streak int
	var last v1alpha1.Instant
	broken := false
	for n := len(recent) - 1; n >= 0 && asked < window; n-- {
		res, ok := recent[n].Result(check)
		if !ok || (asked > 0 && res.At == last) {
			continue // carried over from an earlier pass
		}
		switch res.Status {
		case metav1.ConditionFalse:
			failures++
			if !broken {
				streak++
			}
		case metav1.ConditionTrue:
			if asked == 0 {
				return false
			}
			broken = true
		default:
			continue
		}
		asked, last = asked+1, res.At
	}
	return streak >= threshold || (asked == window && failures*2 >= window)
}

// failingAnew tells whether a check has failed in the same way `threshold` times in a row, or in ways that come and go. What
// was held for, a database that is down say, confirms no other failure: one slow answer meanwhile is one slow answer.
func failingAnew(recent []v1alpha1.Observation, now *v1alpha1.CheckResult, threshold int) bool {
	streak, changes := 0, 0
	last := v1alpha1.CheckResult{Reason: now.Reason}
	for n := len(recent) - 1; n >= 0; n-- {
		res, ok := recent[n].Result(now.Check)
		if !ok || res.At == last.At || res.Status == metav1.ConditionUnknown {
			continue
		}
		if res.Status == metav1.ConditionTrue {
			break
		}
		if res.Reason != last.Reason {
			changes++
		}
		if changes == 0 {
			streak++
		}
		last = res
	}
	return streak >= threshold || changes >= threshold
}

// holding gives the hold in force: a change from one hold to another does not begin its time anew, so that rules that
// take turns cannot hold an application for ever. But a hold whose limit is spent says nothing of the next one's, and what
// an operator has just done has its own time. Neither does time in which the application answered count towards the limit
// of another hold: a proxy that was down for hours is no reason to act on a deploy that has just begun.
func holding(c *pass.Case, v *v1alpha1.Verdict) *v1alpha1.Hold {
	h := &v1alpha1.Hold{Rule: v.Rule, Blame: v.Blame, Reason: v.Reason, Since: c.Now}
	old := standing(c)
	if old != nil && (old.Rule == v.Rule || (!answeredBefore(c) && !old.LimitSpent && v.Blame != v1alpha1.BlameOperator)) {
		h.Since, h.LimitSpent = old.Since, old.LimitSpent
	}
	if v.HoldLimit.Duration > 0 && v.ActAtLimit && !h.LimitSpent {
		left := v.HoldLimit.Duration - c.Now.Since(h.Since)
		until := metav1.NewTime(c.Now.Wall.Add(max(left, 0)).Truncate(time.Second))
		if old != nil && old.Until != nil && old.Rule == v.Rule {
			until = *old.Until
		}
		h.Until = &until
	}
	return h
}

// standing is the hold that stands from the last look. Where the application has answered until now and does not any more,
// that is a new matter, and so is what it is held for.
func standing(c *pass.Case) *v1alpha1.Hold {
	h := c.Record.Hold
	if lead, _ := c.Latest().Leading(); h == nil || lead.Status != metav1.ConditionTrue && (answeredBefore(c) || answeredSince(c, h.Since)) {
		return nil
	}
	return h
}

// answeredSince tells whether a recovery has ended since then, and the application answered: whoever has started evenkeel anew knows
// of no looks in between.
func answeredSince(c *pass.Case, since v1alpha1.Instant) bool {
	rec := c.Record.Recovery
	return rec != nil && rec.Verified && rec.FinishedAt != nil && c.Now.Since(since) > c.Now.Since(*rec.FinishedAt)
}

// answeredBefore tells whether the leading check held at the look before this one.
func answeredBefore(c *pass.Case) bool {
	if len(c.Recent) < 2 {
		return false
	}
	lead, _ := c.Recent[len(c.Recent)-2].Leading()
	return lead.Status == metav1.ConditionTrue
}

func holdIsOver(c *pass.Case, v *v1alpha1.Verdict, h *v1alpha1.Hold) bool {
	return v.ActAtLimit && !h.LimitSpent && v.HoldLimit.Duration > 0 && c.Now.Since(h.Since) >= v.HoldLimit.Duration
}

func noAttemptsLeft(c *pass.Case) bool {
	return c.Record.Incident != nil && c.Record.Incident.Spent >= c.App.Spec.Recovery.MaxAttempts
}

// Paused tells whether the operator has paused evenkeel for the App at that moment.
func Paused(app *v1alpha1.App, now v1alpha1.Instant) bool {
	return app.Spec.PausedAt(now.Wall.Time)
}

// idle tells whether evenkeel begins nothing of its own for the App at that moment: it is paused, or only observes.
func idle(app *v1alpha1.App, now v1alpha1.Instant) bool {
	return Paused(app, now) || app.Spec.Observes()
}

func observingBlocks() *v1alpha1.Blocked {
	return &v1alpha1.Blocked{Reason: BlockedObserving, Message: "evenkeel only observes (spec.mode: Observe, or run --dry-run); it would act now"}
}

func gaveUp(c *pass.Case, v *v1alpha1.Verdict) string {
	return fmt.Sprintf("%d of %d attempts are spent, and still: %s", c.Record.Incident.Spent, c.App.Spec.Recovery.MaxAttempts, v.Message)
}

func pauseBlocks(spec *v1alpha1.AppSpec) *v1alpha1.Blocked {
	b := &v1alpha1.Blocked{Reason: BlockedPaused, Message: "paused by the operator", Until: spec.PausedUntil}
	if spec.PauseReason != "" {
		b.Message += ": " + spec.PauseReason
	}
	return b
}

func turnBlocks() *v1alpha1.Blocked {
	return &v1alpha1.Blocked{Reason: BlockedTurn, Message: "another application on this machine is being recovered; one at a time"}
}

func cooldownBlocks(c *pass.Case) *v1alpha1.Blocked {
	return &v1alpha1.Blocked{
		Reason: BlockedCooldown, Until: c.Record.CooldownUntil,
		Message: fmt.Sprintf("at least %s lie between the starts of two recoveries", c.Record.Cooldown.Length.Duration),
	}
}

func holdBlocks(c *pass.Case, v *v1alpha1.Verdict, h *v1alpha1.Hold) *v1alpha1.Blocked {
	if Paused(c.App, c.Now) {
		return pauseBlocks(&c.App.Spec)
	}
	return &v1alpha1.Blocked{
		Reason: BlockedHold, Until: h.Until,
		Message: fmt.Sprintf("acting would not help (%s); %s", v.Reason, HoldEnds(h, v, !noAttemptsLeft(c))),
	}
}

// HoldEnds says in words what ends a hold, and what happens at its limit; when that is, Hold.Until says. attempts says whether
// there are any left. v is the verdict that holds; nil where it is not known.
func HoldEnds(h *v1alpha1.Hold, v *v1alpha1.Verdict, attempts bool) string {
	const cause = "it ends when its cause ends"
	switch {
	case h.Until != nil && !attempts:
		return cause + ", since no attempt is left for its limit"
	case h.Until != nil:
		return cause + ", or at its limit, when one plain recovery is tried"
	case h.LimitSpent:
		return cause + "; its limit is over, at which one recovery was tried"
	case v == nil || v.AtLimit == "":
		return cause
	case v.HoldLimit.Duration > 0:
		return fmt.Sprintf("%s; at its limit of %s: %s", cause, v.HoldLimit.Duration, v.AtLimit)
	}
	return cause + "; " + v.AtLimit
}
