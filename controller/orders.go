package controller

import (
	"fmt"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/machine"
)

// ordered takes up an operator's order.
func (s *stepper) ordered(o state.Order) {
	s.event(v1alpha1.EventNormal, v1alpha1.ReasonOrderTaken, fmt.Sprintf("the operator asks for phase %s", o.Phase))
	switch o.Phase {
	case v1alpha1.PhaseHealthy:
		s.reset()
	case v1alpha1.PhaseFailed:
		s.r.Demand = nil
		s.r.StoodDown = true
		s.openIncident(v1alpha1.BlameOperator, "StoodDown")
		if s.r.Recovery.Open() {
			s.event(v1alpha1.EventNormal, v1alpha1.ReasonHeld, "a recovery is under way: the order takes effect when the application has been started again")
			return
		}
		s.fire(machine.StandDown, "stood down by the operator")
	case v1alpha1.PhaseRecovering:
		if s.r.Recovery.Open() {
			s.refuse("a recovery is under way already")
			return
		}
		if s.c.App.Spec.Observes() {
			s.refuse(refuseObserving)
			return
		}
		s.r.Demand = &v1alpha1.Demand{At: s.c.Now, Force: o.Force}
	default:
		s.refuse(fmt.Sprintf("%s cannot be ordered: Healthy resets, Failed stands down, Recovering recovers now", o.Phase))
	}
}

// refuseObserving is why no recovery is begun, whoever asks for it.
const refuseObserving = "evenkeel only observes this application; set spec.mode to Active first (where it runs with --dry-run, run it without)"

func (s *stepper) refuse(why string) {
	s.event(v1alpha1.EventWarning, v1alpha1.ReasonOrderRefused, "order refused: "+why)
	if s.in.Order != nil {
		s.commands = append(s.commands, Refuse{Why: why})
	}
}

// reset begins anew: full budget, no cooldown.
func (s *stepper) reset() {
	s.r.NotWellSince = nil
	if s.r.Recovery.Open() {
		s.refuse("a recovery is under way; reset when it has ended")
		return
	}
	if s.r.Phase == v1alpha1.PhaseHealthy {
		s.closeIncident("reset by the operator")
		s.r.Cooldown, s.r.CooldownUntil = nil, nil
		s.event(v1alpha1.EventNormal, v1alpha1.ReasonIncidentClosed, "reset by the operator: all attempts are available again")
		return
	}
	if !s.fire(machine.Reset, "reset by the operator: all attempts are available again") {
		return
	}
	if s.c.Latest().Holds() {
		s.resolved("reset by the operator; everything holds")
		s.mended("by the operator, or by itself; it was reset")
	}
	s.closeIncident("reset by the operator")
	s.r.Demand, s.r.StoodDown = nil, false
	s.r.Cooldown, s.r.CooldownUntil = nil, nil
}

// demanded begins the recovery that the operator asked for, on fresh evidence.
func (s *stepper) demanded() {
	demand := s.r.Demand
	if demand == nil {
		return
	}
	if s.in.NoTurn {
		return // it stays, and is looked at again soon
	}
	s.r.Demand = nil
	v := *s.verdict
	switch {
	case s.c.App.Spec.Observes():
		s.refuse(refuseObserving)
		return
	case v.Stranger:
		s.refuse("another program holds the port; starting the application would not help. " + v.Message)
		return
	case v.Deploy && !demand.Force:
		s.refuse("a deploy is at work in the application's folder; set force to overrule it")
		return
	}
	if v.Remedy == v1alpha1.RemedyNone {
		v.Blame, v.Reason, v.Message = v1alpha1.BlameOperator, "Demanded", "the operator asked for a recovery"
	}
	plan, ok := s.judge.Plan(&s.c, &v, nil)
	if !ok {
		s.refuse("there is no plan for " + v.Reason)
		return
	}
	s.begin(v1alpha1.TriggerOperator, Decision{Why: "the operator asked for a recovery", Plan: plan}, &v)
}
