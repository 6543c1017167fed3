package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The names of the checks, as they stand in spec.checks and in every result.
const (
	CheckProcess  = "process"
	CheckPort     = "port"
	CheckLocal    = "local"
	CheckPublic   = "public"
	CheckMemory   = "memory"
	CheckDatabase = "database"
	CheckWorkers  = "workers"
	CheckDeploy   = "deploy"
	CheckBuild    = "build"
	// CheckDisk is the space where application, logs and state lie. CheckHost and CheckEnvironment are facts like deploy and
	// build: how the machine is, and what a restart would change in the application's environment.
	CheckDisk        = "disk"
	CheckHost        = "host"
	CheckEnvironment = "environment"
)

// Observation is what one pass of the checks saw: plain data, with the results sorted by the check's name. A check that
// was not due on this pass stands with its last result, whose At is older.
type Observation struct {
	// At is when the pass began.
	At Instant `json:"at"`
	// Took is how long the pass took.
	Took metav1.Duration `json:"took"`
	// Delay is how long after it was due the pass began: how late evenkeel itself is. Next to nothing, unless the machine is
	// too busy, or a step or the pass before took longer than the interval.
	Delay metav1.Duration `json:"delay,omitzero"`
	// Results, one for each check, sorted by name.
	Results []CheckResult `json:"results"`
}

// CheckResult is one check's answer.
type CheckResult struct {
	// Check is the check's name.
	Check string `json:"check"`
	// Status is True (as it should be), False (not so) or Unknown (could not be asked; never a failure).
	Status metav1.ConditionStatus `json:"status"`
	// Reason is one CamelCase word.
	Reason string `json:"reason,omitempty"`
	// Message is a sentence for the operator.
	Message string `json:"message,omitempty"`
	// At is when it was asked.
	At Instant `json:"at"`
	// Took is how long the answer took.
	Took metav1.Duration `json:"took,omitzero"`
	// Required says that health needs this check.
	Required bool `json:"required,omitempty"`
	// Leading marks the check that must be True for the application to be well.
	Leading bool `json:"leading,omitempty"`
	// Facts are what the domain saw; the engine does not look into them.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Facts json.RawMessage `json:"facts,omitempty"`
}

// Result finds the result of a check.
func (o *Observation) Result(check string) (CheckResult, bool) {
	if o == nil {
		return CheckResult{}, false
	}
	for _, r := range o.Results {
		if r.Check == check {
			return r, true
		}
	}
	return CheckResult{}, false
}

// Status is the status of a check; Unknown where there is no result.
func (o *Observation) Status(check string) metav1.ConditionStatus {
	if r, ok := o.Result(check); ok {
		return r.Status
	}
	return metav1.ConditionUnknown
}

// Leading finds the result of the leading check.
func (o *Observation) Leading() (CheckResult, bool) {
	if o == nil {
		return CheckResult{}, false
	}
	for _, r := range o.Results {
		if r.Leading {
			return r, true
		}
	}
	return CheckResult{}, false
}

// Holds tells whether everything holds: the leading check is True and no required check is False.
func (o *Observation) Holds() bool {
	lead, ok := o.Leading()
	if !ok || lead.Status != metav1.ConditionTrue {
		return false
	}
	for _, r := range o.Results {
		if r.Required && r.Status == metav1.ConditionFalse {
			return false
		}
	}
	return true
}
