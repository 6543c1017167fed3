// Package machine is the state machine that guards an App: which event leads from which phase to which, and nothing
// else. It holds no state of its own, so every function may be called at any time from anywhere. Whether an event is
// wanted is decided by the engine; whether it is possible is decided here.
package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/looplab/fsm"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Event is what moves the machine.
type Event string

// The events.
const (
	// Degrade: a failure is confirmed.
	Degrade Event = "Degrade"
	// Heal: everything holds again without a plan of ours.
	Heal Event = "Heal"
	// Recover: a recovery begins by itself.
	Recover Event = "Recover"
	// Demand: a recovery begins because an operator wants it.
	Demand Event = "Demand"
	// Settle: the plan has ended, verified or not.
	Settle Event = "Settle"
	// Stabilize: the cooldown is over and everything holds.
	Stabilize Event = "Stabilize"
	// Relapse: the cooldown is over and something does not hold.
	Relapse Event = "Relapse"
	// GiveUp: no attempts are left.
	GiveUp Event = "GiveUp"
	// Reset: an operator declares the incident closed.
	Reset Event = "Reset"
	// Restore: health has proven itself after GiveUp, where the App allows that to count.
	Restore Event = "Restore"
	// StandDown: an operator wants no more recoveries.
	StandDown Event = "StandDown"
)

// row is one line of the table.
type row struct {
	event Event
	from  []v1alpha1.Phase
	to    v1alpha1.Phase
}

// table is the whole machine. No (event, phase) pair may stand in it twice: the library would take the last one.
var table = []row{
	{Degrade, []v1alpha1.Phase{v1alpha1.PhaseHealthy}, v1alpha1.PhaseDegraded},
	{Heal, []v1alpha1.Phase{v1alpha1.PhaseDegraded}, v1alpha1.PhaseHealthy},
	{Recover, []v1alpha1.Phase{v1alpha1.PhaseDegraded}, v1alpha1.PhaseRecovering},
	{Demand, []v1alpha1.Phase{v1alpha1.PhaseHealthy, v1alpha1.PhaseDegraded, v1alpha1.PhaseCooldown, v1alpha1.PhaseFailed},
		v1alpha1.PhaseRecovering},
	{Settle, []v1alpha1.Phase{v1alpha1.PhaseRecovering}, v1alpha1.PhaseCooldown},
	{Stabilize, []v1alpha1.Phase{v1alpha1.PhaseCooldown}, v1alpha1.PhaseHealthy},
	{Relapse, []v1alpha1.Phase{v1alpha1.PhaseCooldown}, v1alpha1.PhaseDegraded},
	{GiveUp, []v1alpha1.Phase{v1alpha1.PhaseDegraded, v1alpha1.PhaseCooldown}, v1alpha1.PhaseFailed},
	{Reset, []v1alpha1.Phase{v1alpha1.PhaseFailed, v1alpha1.PhaseCooldown, v1alpha1.PhaseDegraded}, v1alpha1.PhaseHealthy},
	{Restore, []v1alpha1.Phase{v1alpha1.PhaseFailed}, v1alpha1.PhaseHealthy},
	{StandDown, v1alpha1.Phases(), v1alpha1.PhaseFailed},
}

// Events lists every event, in the order of the table.
func Events() []Event {
	events := make([]Event, len(table))
	for i, r := range table {
		events[i] = r.event
	}
	return events
}

// Next is the phase into which an event leads. An event that leads to the phase itself (StandDown in Failed) is no
// error. An event that is not possible gives a *RefusedError, and the phase unchanged.
func Next(phase v1alpha1.Phase, event Event) (v1alpha1.Phase, error) {
	m := start(phase)
	// A context that has ended would lock the machine for good; this one cannot end.
	err := m.Event(context.Background(), string(event))
	var same fsm.NoTransitionError
	switch {
	case err == nil:
		return v1alpha1.Phase(m.Current()), nil
	case errors.As(err, &same) && same.Err == nil:
		return phase, nil
	}
	var invalid fsm.InvalidEventError
	var unknown fsm.UnknownEventError
	if errors.As(err, &invalid) || errors.As(err, &unknown) {
		return phase, &RefusedError{Phase: phase, Event: event}
	}
	return phase, fmt.Errorf("event %s in phase %s: %w", event, phase, err)
}

// Allowed lists the events that are possible in a phase, in the order of the table; none for what is no phase.
func Allowed(phase v1alpha1.Phase) []Event {
	possible := start(phase).AvailableTransitions()
	var events []Event
	for _, r := range table {
		if slices.Contains(possible, string(r.event)) {
			events = append(events, r.event)
		}
	}
	return events
}

// Mermaid draws the machine as a Mermaid state diagram.
func Mermaid() string {
	drawing, err := fsm.VisualizeForMermaidWithGraphType(start(v1alpha1.PhaseHealthy), fsm.StateDiagram)
	if err != nil { // only for a type of diagram that it does not know
		panic(err)
	}
	return drawing
}

// RefusedError says that an event is not possible in a phase.
type RefusedError struct {
	Phase v1alpha1.Phase
	Event Event
}

// Error says what was refused, and what would be possible.
func (e *RefusedError) Error() string {
	allowed := Allowed(e.Phase)
	if len(allowed) == 0 {
		phases := make([]string, 0, len(v1alpha1.Phases()))
		for _, p := range v1alpha1.Phases() {
			phases = append(phases, string(p))
		}
		return fmt.Sprintf("%s is refused: %q is no phase; the phases are %s", e.Event, e.Phase, strings.Join(phases, ", "))
	}
	names := make([]string, len(allowed))
	for i, event := range allowed {
		names[i] = string(event)
	}
	return fmt.Sprintf("%s is not possible in phase %s; possible are %s", e.Event, e.Phase, strings.Join(names, ", "))
}

// start makes a machine that stands in a phase. It is made anew for each question: that takes microseconds, and leaves
// nothing that two callers could share.
func start(phase v1alpha1.Phase) *fsm.FSM {
	return fsm.NewFSM(string(phase), transitions, nil)
}

// transitions is the table as the library wants it; it is only ever read.
var transitions = func() fsm.Events {
	events := make(fsm.Events, len(table))
	for i, r := range table {
		from := make([]string, len(r.from))
		for j, p := range r.from {
			from[j] = string(p)
		}
		events[i] = fsm.EventDesc{Name: string(r.event), Src: from, Dst: string(r.to)}
	}
	return events
}()
