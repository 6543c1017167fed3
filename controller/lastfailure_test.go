package controller

import (
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// TestWhatTheLastAttemptFailedOf is the first step of its last plan that failed, and nothing where it came up.
func TestWhatTheLastAttemptFailedOf(t *testing.T) {
	step := func(plan, name string, outcome v1alpha1.StepOutcome, message string) v1alpha1.StepRecord {
		return v1alpha1.StepRecord{Plan: plan, Step: name, Outcome: outcome, Message: message}
	}
	steps := []v1alpha1.StepRecord{
		step("Plain", "start", v1alpha1.StepFailed, "it was busy"),
		step("Clean", "stop", v1alpha1.StepDone, "stopped"),
		step("Clean", "caches", v1alpha1.StepFailed, ""),
		step("Clean", "start", v1alpha1.StepFailed, "no node"),
		step("Clean", "verify", v1alpha1.StepFailed, "nobody listens"),
	}
	for name, tc := range map[string]struct {
		recovery *v1alpha1.Recovery
		want     string
	}{
		"there was none":       {nil, ""},
		"it came up":           {&v1alpha1.Recovery{Plan: "Clean", Steps: steps, Verified: true}, ""},
		"it did not":           {&v1alpha1.Recovery{Plan: "Clean", Steps: steps}, "the last attempt, step start: no node"},
		"no step of it failed": {&v1alpha1.Recovery{Plan: "Clean", Steps: steps[:2]}, ""},
	} {
		s := &stepper{r: &v1alpha1.AppStatus{Recovery: tc.recovery}}
		if got := s.lastFailure(); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
