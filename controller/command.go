package controller

import (
	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

// Input is what has come in since the last step. Its zero value means that nothing has: only time has passed.
type Input struct {
	// Started says that evenkeel has just started: what was under way was interrupted.
	Started bool
	// Lost says that the record of what was done before is lost: one attempt is left.
	Lost bool
	// Observed says that the last of Case.Recent is a pass that has just finished.
	Observed bool
	// Done is how a step ended.
	Done *pass.StepResult
	// Order is an operator's order.
	Order *state.Order
	// Look asks for a pass at once.
	Look bool
	// NoTurn says that another App on this machine is being recovered: no recovery is begun beside it.
	NoTurn bool
	// Busy says that a pass or a step is under way; nothing else is begun then.
	Busy bool
	// Ending says that supervision of the App is about to end: nothing is begun that may be left for later.
	Ending bool
}

// Command is something that the loop has to do after a step, in the order given, once the record is on disk.
type Command interface{ command() }

// Observe asks for a pass over the due checks. Since is the moment from which on it is due: that of the step, where it is
// asked for then.
type Observe struct {
	Due   []string
	Since v1alpha1.Instant
}

// Act asks for a recovery step.
type Act struct{ Step pass.Step }

// Record asks for a line in the journal.
type Record struct{ Event v1alpha1.Event }

// Tell asks for an alert.
type Tell struct{ Alert v1alpha1.Alert }

// Refuse asks that the order that this step was given be kept as one that cannot be obeyed; Why says why not.
type Refuse struct{ Why string }

func (Observe) command() {}
func (Act) command()     {}
func (Record) command()  {}
func (Tell) command()    {}
func (Refuse) command()  {}
