// Package pass is what the engine and the domain hand each other: observations, cases, plans, steps and their results.
// It is a leaf: plain data and the interfaces between the two. The engine decides when and whether; the domain knows what.
package pass

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Recent is how many observations a Case holds.
const Recent = 16

// Case is all that a decision may look at.
type Case struct {
	// App is the object with the spec in force. Its status is not looked at: Record is.
	App *v1alpha1.App
	// Record is what is known and persisted.
	Record v1alpha1.AppStatus
	// Recent are the last observations, oldest first; the last one is the newest.
	Recent []v1alpha1.Observation
	// Now is the moment of the decision.
	Now v1alpha1.Instant
}

// Latest is the newest observation, or nil.
func (c *Case) Latest() *v1alpha1.Observation {
	if len(c.Recent) == 0 {
		return nil
	}
	return &c.Recent[len(c.Recent)-1]
}

// SinceRecovery are the recent observations that began after the last recovery had ended (after its start, while it is
// under way): what was seen before it says nothing about what came of it.
func (c *Case) SinceRecovery() []v1alpha1.Observation {
	rec := c.Record.Recovery
	if rec == nil {
		return c.Recent
	}
	from := rec.StartedAt
	if rec.FinishedAt != nil {
		from = *rec.FinishedAt
	}
	for n := range c.Recent {
		if !c.Recent[n].At.Before(from) {
			return c.Recent[n:]
		}
	}
	return nil
}

// Check is a check as the engine sees it: a name, and how often it is due.
type Check struct {
	Name     string
	Interval time.Duration
}

// Plan is a named sequence of steps.
type Plan struct {
	Name  string
	Steps []string
	// Blame and Reason are what a plan that follows on a failed one says about its cause; empty where nothing new is known.
	Blame  v1alpha1.Blame
	Reason string
}

// Step is one step to be carried out.
type Step struct {
	// Name is the step's name.
	Name string
	// Recovery is the run to which it belongs, as it is on disk.
	Recovery v1alpha1.Recovery
	// Learned is what the domain had remembered when the step was ordered.
	Learned v1alpha1.Learned
	// Recent are the last observations, oldest first, with the first step of a recovery: they are what it was begun for.
	Recent []v1alpha1.Observation
	// Timeout is the step's own deadline, from its start.
	Timeout time.Duration
}

// StepResult is how a step ended.
type StepResult struct {
	Step    string
	Outcome v1alpha1.StepOutcome
	Message string
	Took    time.Duration
}

// Warning is what the domain has to say of one thing that may be well now and not stay so.
type Warning struct {
	// Reason is one CamelCase word, and tells warnings apart; Blame says whose it is.
	Reason string
	Blame  v1alpha1.Blame
	// Status is True where there is something to warn of, False where there is not, and Unknown where that could not be told:
	// then what was known stays.
	Status metav1.ConditionStatus
	// Message is a sentence; Next says where to look and what to do, where Status is True.
	Message string
	Next    []string
}

// Judge is the pure half of the domain: no I/O, no clock, no randomness, no memory.
type Judge interface {
	// Checks lists the checks of an App.
	Checks(app *v1alpha1.App) []Check
	// Diagnose says who is to blame. It is total: there is a verdict for every case.
	Diagnose(c *Case) v1alpha1.Verdict
	// Warn says of each thing that may be well now and not stay so, how it stands. A warning is told; it is no failure, opens
	// no incident and holds nothing.
	Warn(c *Case) []Warning
	// Learn gives what is to be remembered after the newest observation.
	Learn(c *Case) v1alpha1.Learned
	// Plan is what to do for a verdict. failed is nil at the beginning of a recovery; afterwards it is the run whose plan did
	// not verify, and no further plan (false) ends the recovery.
	Plan(c *Case, v *v1alpha1.Verdict, failed *v1alpha1.Recovery) (Plan, bool)
	// Step tells what the engine must know of a step.
	Step(app *v1alpha1.App, name string) StepTraits
}

// StepTraits are what the engine must know of a step.
type StepTraits struct {
	// Stops says that from the beginning of this step on the application may be down by our doing.
	Stops bool
	// Starts says that after this step it is not.
	Starts bool
	// Proves says that the plan stands or falls with this step's outcome.
	Proves bool
	// Timeout bounds the step.
	Timeout time.Duration
}

// Domain is what a controller needs of the world: to see, to judge and to act.
type Domain interface {
	Judge
	// Observe asks the due checks side by side, each with its own timeout. app.Status is the record at that time. It does
	// not fail: what could not be asked is Unknown.
	Observe(ctx context.Context, app *v1alpha1.App, due []string) v1alpha1.Observation
	// Act carries out one step. Steps are idempotent: a step may be begun again after evenkeel itself was ended in it.
	Act(ctx context.Context, app *v1alpha1.App, step Step) StepResult
}
