package recovery

import (
	"context"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

const (
	// evidenceTime is how long evidence may be gathered; writeTime how much longer its keeping may take before the recovery
	// goes on without waiting for it.
	evidenceTime = 1500 * time.Millisecond
	writeTime    = 400 * time.Millisecond
)

// evidence lets what is seen now be kept, before the first process is ended. A recovery never fails for want of it, and waits
// at most two seconds.
func (h *Hands) evidence(ctx context.Context, app *v1alpha1.App, step pass.Step) {
	begun := slices.ContainsFunc(step.Recovery.Steps, func(s v1alpha1.StepRecord) bool { return s.Outcome != v1alpha1.StepInterrupted })
	if h.Evidence == nil || begun || !h.gather(app.Name) {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, evidenceTime)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer h.gathered(app.Name)
		defer func() {
			if p := recover(); p != nil && h.Log != nil {
				h.Log.WithField("app", app.Name).Errorf("evidence was not kept: panic: %v", p)
			}
		}()
		h.Evidence(bounded, app, step)
	}()
	late := time.NewTimer(evidenceTime + writeTime)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		if h.Log != nil {
			h.Log.WithField("app", app.Name).Warn("evidence takes too long to be kept; the recovery goes on")
		}
	}
}

// gather begins to keep the evidence of an App; it is false where that is at work already.
func (h *Hands) gather(app string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gathering[app] {
		return false
	}
	if h.gathering == nil {
		h.gathering = map[string]bool{}
	}
	h.gathering[app] = true
	return true
}

func (h *Hands) gathered(app string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.gathering, app)
}
