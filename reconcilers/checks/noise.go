package checks

import (
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// An application may log all day that it could not reach its telemetry, and serve. When it fails one day that is not why.

const (
	// noiseAfter is between the first and the last time that a need was named by an application that answers, without a failure
	// in between, before it counts for nothing: one that pages go on to do without for minutes may well be why they fail next.
	noiseAfter = 10 * time.Minute
	// noiseKept is after which time without a word of it a need counts again.
	noiseKept = time.Hour
	// noiseMost bounds how many are kept.
	noiseMost = 32
)

// noise is what an application names as out of reach while it answers.
type noise map[facts.Need]struct{ first, last v1alpha1.Instant }

// heard takes in what was named while all was well. A need without a port cannot be told from another one, and is not kept.
func (n noise) heard(needs []facts.Need, now v1alpha1.Instant) {
	for _, need := range needs {
		h, known := n[need]
		if need.Port == 0 || (!known && len(n) >= noiseMost) {
			continue
		}
		if h.last = now; !known {
			h.first = now
		}
		n[need] = h
	}
	for need, h := range n {
		if now.Since(h.last) > noiseKept {
			delete(n, need)
		}
	}
}

// failed forgets what was not named for long enough before a failure: it may have begun it.
func (n noise) failed() {
	for need, h := range n {
		if h.last.Since(h.first) < noiseAfter {
			delete(n, need)
		}
	}
}

// without are the needs that are none of it.
func (n noise) without(needs []facts.Need) []facts.Need {
	return slices.DeleteFunc(needs, func(need facts.Need) bool {
		h, known := n[need]
		return known && h.last.Since(h.first) >= noiseAfter
	})
}
