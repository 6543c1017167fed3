// Package pace spaces things in time. It is the only importer of cenkalti/backoff, so that its traps are met in one place:
// no elapsed limit (the default stops for good after 15 minutes), and jitter only from a source that was passed in, never
// from the library's own.
package pace

import (
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Pace gives growing delays: First, then each Factor times the one before, at most Most. It never stops by itself. Not safe
// for concurrent use.
type Pace struct {
	policy *backoff.ExponentialBackOff
	most   time.Duration
	jitter float64
	random *rand.Rand
}

// Option changes a Pace.
type Option func(*Pace)

// WithJitter spreads every delay by up to the given part of itself to both sides (0 to 1), from the given source.
func WithJitter(part float64, random *rand.Rand) Option {
	return func(p *Pace) { p.jitter, p.random = part, random }
}

// New makes a pace. A factor below 1 is taken as 1.
func New(first, most time.Duration, factor float64, options ...Option) *Pace {
	p := &Pace{most: most}
	p.policy = backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(first),
		backoff.WithMaxInterval(most),
		backoff.WithMultiplier(max(factor, 1)),
		backoff.WithRandomizationFactor(0),
		backoff.WithMaxElapsedTime(0),
	)
	for _, o := range options {
		o(p)
	}
	return p
}

// Next is the next delay.
func (p *Pace) Next() time.Duration {
	d := p.policy.NextBackOff()
	if d == backoff.Stop {
		d = p.most
	}
	if p.jitter > 0 && p.random != nil {
		d += time.Duration((2*p.random.Float64() - 1) * p.jitter * float64(d))
	}
	return min(max(d, 0), p.most)
}

// Reset begins anew. Call it after a stable stretch, not after the first success.
func (p *Pace) Reset() { p.policy.Reset() }
