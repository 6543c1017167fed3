package main

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// mayBegin: an automatic recovery is about to begin. May it?
func (c *checker) mayBegin(before, after *v1alpha1.AppStatus) {
	s, w, k := c.s, c.s.w, c.s.k
	app := k.appOr(s)
	now := w.instant()
	spec := &app.Spec
	i := after.Incident
	attempt := i.Attempts[len(i.Attempts)-1]
	if before.Phase == v1alpha1.PhaseFailed || before.Phase == v1alpha1.PhaseRecovering {
		s.fail("an automatic recovery begins in %s", before.Phase)
	}
	if c.stood {
		s.fail("an automatic recovery begins although an operator stood evenkeel down")
	}
	if spec.Paused && (spec.PausedUntil == nil || w.wall().Before(spec.PausedUntil.Time)) {
		s.fail("an automatic recovery begins while paused")
	}
	if spec.Observes() {
		s.fail("an automatic recovery begins in mode Observe")
	}
	if i.Spent >= spec.Recovery.MaxAttempts {
		s.fail("an automatic recovery begins with %d of %d attempts spent", i.Spent, spec.Recovery.MaxAttempts)
	}
	if n := c.attempts.failed(i.Number); n >= int(spec.Recovery.MaxAttempts) {
		s.fail("%d of %d recoveries of incident %d have failed, by our own count, and another begins", n, spec.Recovery.MaxAttempts, i.Number)
	}
	// Within one boot the time that has passed in truth can be measured, whatever is done to the clock on the wall.
	if passed := w.now - c.lastStartAt; c.lastStart != nil && passed < c.lastCooldown && (w.bootAt <= c.lastStartAt || now.Since(*c.lastStart) < c.lastCooldown) {
		s.fail("an automatic recovery begins %s after the last one; its cooldown is %s", passed, c.lastCooldown)
	}
	v := after.Verdict
	if v == nil || c.latest == nil {
		s.fail("an automatic recovery begins without a verdict on something seen")
		return
	}
	if v.Remedy != v1alpha1.RemedyRecover && v.Remedy != v1alpha1.RemedyHold {
		s.fail("an automatic recovery begins on a verdict that says %s", v.Remedy)
	}
	if v.Remedy == v1alpha1.RemedyHold {
		if held := w.now - c.heldFrom; c.heldFrom == forever || held+time.Second < v.HoldLimit.Duration && w.bootAt < w.now-held {
			s.fail("held for %s only, and the limit of %s is taken to be over (%s)", held, v.HoldLimit.Duration, v.Reason)
		}
		if !attempt.AtHoldLimit {
			s.fail("an automatic recovery begins on a hold, and not at its limit")
		}
	}
	if deploy, _ := facts.Of[facts.Deploy](c.latest, v1alpha1.CheckDeploy); len(deploy.AtWork) > 0 && !attempt.AtHoldLimit {
		s.fail("an automatic recovery begins while a deploy is at work")
	}
	c.mayCost(after, attempt.AtHoldLimit)
}

// mayCost: is the application itself to blame, so that it may lose its process?
func (c *checker) mayCost(after *v1alpha1.AppStatus, atLimit bool) {
	s, w := c.s, c.s.w
	seen := c.latest.At.Boot.Duration + w.bootAt
	memory := after.Verdict.Rule == "memory-app-grew" || after.Verdict.Rule == "disk-cache" && w.cond.cacheFull
	unseen := s.k.appOr(s).Spec.Checks.Local.Disabled && w.env.blind // nothing is left that would say that it is well
	// Where more is expected than it ever answers, nobody can see that it is well: at the limit, or after it has come and gone, one
	// is tried.
	local, _ := facts.Of[facts.HTTP](c.latest, v1alpha1.CheckLocal)
	unseen = unseen || local.Wants != "" && (atLimit || after.Verdict.Rule == "crash-loop")
	loops := after.Verdict.Rule == "crash-loop-answering" && w.now-c.loopedUntil < 10*time.Minute
	if !unseen && w.well() && w.wellSince < seen-15*time.Second && !memory && !loops {
		s.fail("the application is well, and a recovery begins (%s, %s)", after.Verdict.Rule, after.Verdict.Message)
	}
	if memory && !w.env.leak && !w.cond.cacheFull && s.k.appOr(s).Spec.Checks.Memory.Restart != v1alpha1.MemoryRestartAlways {
		s.fail("the application is restarted for memory that another program has taken")
	}
	unasked := w.env.noEnv && after.Verdict.Rule == "hung" // nobody can ask a database whose address is gone
	if a := w.app; a != nil && !atLimit && !unasked && a.ready != forever && w.now > a.ready+15*time.Second && !a.hung && !a.errors && !a.deaf && !memory &&
		w.orphan == nil && w.cond.diesIn == 0 && !w.cond.cache && !w.cond.noBuild && after.Verdict.Rule != "crash-loop" && (w.cond.dbErrors || w.cond.needErrors || w.env.starved || w.env.squeezed) && !w.env.flaky && w.faultSince < seen {
		s.fail("the fault is another's (database %v, machine %v), and the application is restarted (%s)", w.cond.dbErrors || w.cond.needErrors, w.env.starved || w.env.squeezed, after.Verdict.Rule)
	}
	respect := s.k.appOr(s).Spec.Recovery.RespectStop.Duration
	p := &w.pm2
	asked := c.latest.Status(v1alpha1.CheckProcess) != metav1.ConditionUnknown // else nobody could know of the stop
	if asked && p.up && p.standing && !p.byKeeper && c.stopAt == p.stopTrue && w.now-c.stopAt < respect && c.stopAt < seen &&
		c.lastClockSet < c.stopAt && w.bootAt < c.stopAt && w.strange == nil && w.orphan == nil {
		s.fail("the operator stopped the application %s ago, and it is started again (%s)", w.now-c.stopAt, after.Verdict.Rule)
	}
}
