package controller

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state/machine"
)

// begin opens a recovery. From here on, until its cooldown is over, it is an attempt, unless the operator asked for it.
func (s *stepper) begin(trigger v1alpha1.Trigger, d Decision, v *v1alpha1.Verdict) {
	if len(d.Plan.Steps) == 0 {
		return
	}
	event := machine.Recover
	if trigger == v1alpha1.TriggerOperator {
		event = machine.Demand
	}
	wasFailed := s.r.Phase == v1alpha1.PhaseFailed
	if !s.fire(event, d.Why) {
		return
	}
	s.openIncident(v.Blame, v.Reason)
	i := s.r.Incident
	if wasFailed {
		s.r.StoodDown = false
	}
	length := cooldownFor(&s.c.App.Spec.Recovery, i.Flaps)
	if trigger == v1alpha1.TriggerAutomatic {
		i.Proven, i.ProvenAt = metav1.Duration{}, nil // what was proven before it does not close it
		number := int32(1)
		if n := len(i.Attempts); n > 0 {
			number = i.Attempts[n-1].Number + 1
		}
		i.Attempts = append(i.Attempts, v1alpha1.Attempt{
			Number: number, StartedAt: s.c.Now, Outcome: v1alpha1.AttemptPending, Reason: v.Reason, AtHoldLimit: d.HoldLimitReached,
		})
		if over := len(i.Attempts) - maxAttemptsListed; over > 0 {
			i.Attempts = i.Attempts[over:]
		}
	}
	s.r.Cooldown = v1alpha1.NewWait(s.c.Now, length)
	until := metav1.NewTime(s.c.Now.Wall.Add(length).Truncate(time.Second))
	s.r.CooldownUntil = &until
	s.r.Recovery = &v1alpha1.Recovery{
		ID: fmt.Sprintf("%d-%d", i.Number, s.recoveryNumber()), Trigger: trigger, Blame: v.Blame, Reason: v.Reason,
		StartedAt: s.c.Now, Plan: d.Plan.Name, Pending: d.Plan.Steps, Hung: v.Hung,
	}
	s.event(v1alpha1.EventNormal, v1alpha1.ReasonRecoveryStarted,
		fmt.Sprintf("recovery %s begins with plan %s: %s", s.r.Recovery.ID, d.Plan.Name, d.Why))
}

// maxAttemptsListed and maxStepsListed bound the lists in the record.
const (
	maxAttemptsListed = 32
	maxStepsListed    = 64
)

// recoveryNumber counts the recoveries of an incident, the operator's included.
func (s *stepper) recoveryNumber() int {
	if rec := s.r.Recovery; rec != nil {
		var incident int64
		var n int
		if _, err := fmt.Sscanf(rec.ID, "%d-%d", &incident, &n); err == nil && incident == s.r.Incident.Number {
			return n + 1
		}
	}
	return 1
}

// nextStep orders the next step of the open recovery, or ends its plan.
func (s *stepper) nextStep() {
	rec := s.r.Recovery
	if rec.Step != "" {
		return
	}
	if s.r.StoodDown && !rec.Stopped {
		s.settle(false, "ended by the operator's order to stand down")
		s.afterSettle()
		return
	}
	if len(rec.Pending) == 0 {
		s.planDone()
		if !s.r.Recovery.Open() {
			s.afterSettle()
		} else if !s.in.Ending {
			s.observe(s.allChecks())
		}
		return
	}
	name := rec.Pending[0]
	traits := s.judge.Step(s.c.App, name)
	now := s.c.Now
	rec.Pending, rec.Step, rec.StepAt = rec.Pending[1:], name, &now
	rec.Stopped = rec.Stopped || traits.Stops
	e := s.newEvent(v1alpha1.EventNormal, v1alpha1.ReasonStepStarted, fmt.Sprintf("step %s begins", name))
	e.Step = name
	s.commands = append(s.commands, Record{e})
	var learned v1alpha1.Learned
	if s.r.Learned != nil {
		learned = *s.r.Learned.DeepCopy()
	}
	step := pass.Step{Name: name, Recovery: *rec.DeepCopy(), Learned: learned, Timeout: traits.Timeout}
	if len(rec.Steps) == 0 {
		step.Recent = s.c.Recent
	}
	s.commands = append(s.commands, Act{step})
	s.next = now.Add(time.Hour)
}

// stepDone takes up how a step ended.
func (s *stepper) stepDone(result pass.StepResult) {
	rec := s.r.Recovery
	if !rec.Open() || rec.Step == "" || rec.Step != result.Step {
		return
	}
	s.finishStep(result)
}

// finishStep writes a step's end into the record. A step that failed does not end the plan: what was stopped has to be
// started again, and whether the whole has helped is for the proving step to say.
func (s *stepper) finishStep(result pass.StepResult) {
	rec := s.r.Recovery
	traits := s.judge.Step(s.c.App, result.Step)
	rec.Steps = append(rec.Steps, v1alpha1.StepRecord{
		Step: result.Step, Plan: rec.Plan, StartedAt: *rec.StepAt, Took: metav1.Duration{Duration: result.Took},
		Outcome: result.Outcome, Message: result.Message,
	})
	if over := len(rec.Steps) - maxStepsListed; over > 0 {
		rec.Steps = rec.Steps[over:]
	}
	rec.Step, rec.StepAt = "", nil
	switch {
	case result.Outcome == v1alpha1.StepInterrupted:
		rec.Pending = append([]string{result.Step}, rec.Pending...) // it is begun again
	case traits.Starts && result.Outcome == v1alpha1.StepFailed && !s.startFailedBefore():
		// What we have stopped is not left so for want of another try, whatever has arrived meanwhile.
		rec.Pending = append([]string{result.Step}, rec.Pending...)
	case traits.Starts:
		rec.Stopped = false
	case traits.Proves:
		rec.Verified = result.Outcome == v1alpha1.StepDone
	}
	kind := v1alpha1.EventNormal
	if result.Outcome == v1alpha1.StepFailed {
		kind = v1alpha1.EventWarning
	}
	e := s.newEvent(kind, v1alpha1.ReasonStepFinished, fmt.Sprintf("step %s: %s: %s", result.Step, result.Outcome, result.Message))
	e.Step, e.Outcome, e.Took = result.Step, string(result.Outcome), metav1.Duration{Duration: result.Took}
	s.commands = append(s.commands, Record{e})
}

// startFailedBefore tells whether a start has failed in this plan before the step that has just ended.
func (s *stepper) startFailedBefore() bool {
	rec := s.r.Recovery
	for _, done := range rec.Steps[:max(len(rec.Steps)-1, 0)] {
		if done.Plan == rec.Plan && done.Outcome == v1alpha1.StepFailed && s.judge.Step(s.c.App, done.Step).Starts {
			return true
		}
	}
	return false
}

// planDone ends a plan. Where it did not help and another one could follow, that is decided on a fresh look: a deploy may
// have begun meanwhile.
func (s *stepper) planDone() {
	rec := s.r.Recovery
	if rec.Verified {
		s.settle(true, "the application came up and answers")
		return
	}
	if _, more := s.nextPlan(); more {
		rec.Undecided = true
		return
	}
	s.settle(false, "the application did not come up")
}

// nextPlan is the plan that follows in the same attempt on one that did not help. The recovery at the end of a hold's limit
// is one plain one.
func (s *stepper) nextPlan() (pass.Plan, bool) {
	rec := s.r.Recovery
	if a := s.pendingAttempt(); a != nil && a.AtHoldLimit {
		return pass.Plan{}, false
	}
	v := v1alpha1.Verdict{Blame: rec.Blame, Reason: rec.Reason, Remedy: v1alpha1.RemedyRecover}
	return s.judge.Plan(&s.c, &v, rec)
}

// climb goes on with the next plan of the same attempt, if what is seen now still asks for it.
func (s *stepper) climb(v *v1alpha1.Verdict) {
	rec := s.r.Recovery
	rec.Undecided = false
	plan, more := s.nextPlan()
	wanted := v.Remedy == v1alpha1.RemedyRecover || v.Remedy == v1alpha1.RemedyWait
	if !more || !wanted || v.Deploy || s.r.StoodDown || s.pauseForbids() {
		s.settle(false, "the application did not come up")
		s.standDown()
		return
	}
	s.event(v1alpha1.EventWarning, v1alpha1.ReasonVerdict,
		fmt.Sprintf("the application did not come up after plan %s; the same recovery goes on with plan %s", rec.Plan, plan.Name))
	rec.Plan, rec.Pending = plan.Name, plan.Steps
	if plan.Blame != "" {
		rec.Blame, rec.Reason = plan.Blame, plan.Reason
	}
}

const (
	// staleAfter is how old a recovery may be that is taken up again as it was.
	staleAfter = 10 * time.Minute
	// maxInterrupted is how often a recovery may be interrupted and taken up again.
	maxInterrupted = 3
)

// goOn takes up an open recovery on a look: one whose plan did not help, or one that evenkeel's own end has interrupted.
// What was true when it began may not be true any more: nothing is stopped that is not to blame now, or while evenkeel is
// paused. What we may have stopped, and do not see running, is started in any case.
func (s *stepper) goOn(latest *v1alpha1.Observation, v *v1alpha1.Verdict) {
	rec := s.r.Recovery
	interrupted := 0
	for _, step := range rec.Steps {
		if step.Outcome == v1alpha1.StepInterrupted {
			interrupted++
		}
	}
	stale := s.c.Now.Since(rec.StartedAt) >= staleAfter || interrupted >= maxInterrupted
	forbidden := s.r.StoodDown || s.pauseForbids()
	starts := func(t pass.StepTraits) bool { return t.Starts }
	switch {
	case latest.Holds() && (v.Up || !rec.Stopped || rec.Undecided):
		s.settle(true, "everything holds; nothing more to do")
		s.standDown()
	case latest.Holds(): // for as long as what we may have stopped has not ended
		s.skipTo(starts)
	case rec.Undecided:
		s.climb(v)
	case rec.Stopped && !v.Up:
		if stale || forbidden || v.Remedy == v1alpha1.RemedyHold {
			s.skipTo(starts)
		}
	case v.Down && !forbidden:
		if stale {
			s.skipTo(starts)
		}
	case stale || forbidden || v.Remedy == v1alpha1.RemedyHold || v.Remedy == v1alpha1.RemedyNone:
		s.settle(false, "it was interrupted, and what runs now is not what it was begun for")
		s.standDown()
	case v.Remedy == v1alpha1.RemedyWait:
		rec.Stopped = false // a process runs, and it is young
		s.skipTo(func(t pass.StepTraits) bool { return t.Proves })
	}
}

// pauseForbids tells whether evenkeel is paused, and the open recovery is not the operator's own: that goes on.
func (s *stepper) pauseForbids() bool {
	return s.r.Recovery.Trigger != v1alpha1.TriggerOperator && Paused(s.c.App, s.c.Now)
}

// skipTo drops the steps before the first one that is meant; all stay where there is none.
func (s *stepper) skipTo(meant func(pass.StepTraits) bool) {
	rec := s.r.Recovery
	for n, name := range rec.Pending {
		if meant(s.judge.Step(s.c.App, name)) {
			rec.Pending = rec.Pending[n:]
			return
		}
	}
}

// settle ends the recovery and lets the cooldown begin.
func (s *stepper) settle(verified bool, message string) {
	rec := s.r.Recovery
	now := s.c.Now
	took := now.Since(rec.StartedAt)
	rec.FinishedAt, rec.Verified, rec.Message = &now, verified, message
	rec.Step, rec.StepAt, rec.Pending, rec.Stopped, rec.Undecided = "", nil, nil, false, false
	if a := s.pendingAttempt(); a != nil && rec.Trigger == v1alpha1.TriggerAutomatic {
		a.Took, a.Message = metav1.Duration{Duration: took}, message
	}
	kind, outcome := v1alpha1.EventNormal, v1alpha1.OutcomeVerified
	if !verified {
		kind, outcome = v1alpha1.EventWarning, v1alpha1.OutcomeNotVerified
	}
	e := s.newEvent(kind, v1alpha1.ReasonRecoveryFinished,
		fmt.Sprintf("recovery %s took %s: %s", rec.ID, took.Round(time.Millisecond), message))
	e.Recovery, e.Outcome, e.Took = rec.ID, outcome, metav1.Duration{Duration: took}
	s.commands = append(s.commands, Record{e})
	s.fire(machine.Settle, message)
}

// afterSettle looks at the outcome at once, and lets an order that had to wait take effect.
func (s *stepper) afterSettle() {
	s.standDown()
	if !s.in.Ending {
		s.observe(s.allChecks())
	}
}

// standDown lets an order to stand down take effect that had to wait for the end of a recovery.
func (s *stepper) standDown() {
	if s.r.StoodDown {
		s.fire(machine.StandDown, "stood down by the operator")
	}
}
