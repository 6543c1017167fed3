// Package recovery is the mission's seven steps, made safe: stop, linger, port, caches, memory, start, verify. Each can be
// begun again after evenkeel was ended in it, and each looks for itself whether it may act: a process is ended only on
// proof that it is the application's, a folder is cleared only while the application is stopped.
package recovery

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
)

// The steps, in the order that never changes.
const (
	StepStop   = "stop"
	StepLinger = "linger"
	StepPort   = "port"
	StepCaches = "caches"
	StepMemory = "memory"
	StepStart  = "start"
	StepVerify = checks.StepVerify
)

// Plain is the plan that is tried first.
func Plain() []string {
	return []string{StepStop, StepLinger, StepPort, StepMemory, StepStart, StepVerify}
}

// Clean is the plan for an application that does not come up: it clears the caches too.
func Clean() []string {
	return []string{StepStop, StepLinger, StepPort, StepCaches, StepMemory, StepStart, StepVerify}
}

// hungStop is how long a graceful stop may take for an application that does not answer anyway.
const hungStop = time.Second

// Traits tells what the engine must know of a step.
func Traits(app *v1alpha1.App, name string) pass.StepTraits {
	spec := &app.Spec.Recovery
	const margin = 15 * time.Second // for the runtime's own work
	switch name {
	case StepStop:
		return pass.StepTraits{Stops: true, Timeout: spec.StopTimeout.Duration + margin}
	case StepLinger, StepPort:
		return pass.StepTraits{Stops: true, Timeout: spec.StopTimeout.Duration + margin}
	case StepStart:
		return pass.StepTraits{Starts: true, Timeout: 2 * margin}
	case StepVerify:
		return pass.StepTraits{Proves: true, Timeout: max(spec.Deadline.Duration, spec.StartupGrace.Duration) + 2*margin}
	}
	return pass.StepTraits{Stops: true, Timeout: margin}
}
