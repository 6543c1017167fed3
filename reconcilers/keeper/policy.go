//go:build linux

package keeper

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pace"
)

const (
	// firstWait is the wait before the second start in a row; the first is at once. mostWait bounds the waits.
	firstWait = 500 * time.Millisecond
	mostWait  = 30 * time.Second
	// waitJitter spreads the waits, so that applications that died together do not come back together.
	waitJitter = 0.1
	// stableAfter is how long a life must have lasted for its end to count as the first in a row.
	stableAfter = 30 * time.Second
)

// forbids says why a process that is gone is not to be brought back now; empty where nothing stands against it.
func forbids(app *v1alpha1.App, now v1alpha1.Instant) string {
	switch {
	case app.Status.Recovery.Open():
		return "a recovery is under way"
	case app.Spec.Observes():
		return "evenkeel only observes"
	case app.Spec.PausedAt(now.Wall.Time):
		return "evenkeel is paused"
	case app.Status.Phase == v1alpha1.PhaseFailed:
		return "evenkeel has been told to leave it, or has given up; it waits for a reset"
	}
	return ""
}

// waits gives the time between the end of a process and the next start.
type waits struct {
	pace  *pace.Pace
	again bool // the next end is not the first in a row
}

// after is the wait after a life of that length.
func (w *waits) after(lived time.Duration) time.Duration {
	if lived >= stableAfter {
		w.reset()
	}
	if !w.again {
		w.again = true
		return 0
	}
	return w.pace.Next()
}

func (w *waits) reset() {
	w.again = false
	w.pace.Reset()
}

// move is what is to be done for an application that does not run.
type move struct {
	start bool          // now
	in    time.Duration // or then, if it is not 0
}

// next decides. due is when the next start is due.
func next(wanted bool, forbidden string, due, now time.Duration) move {
	switch {
	case !wanted || forbidden != "":
		return move{}
	case due <= now:
		return move{start: true}
	}
	return move{in: due - now}
}
