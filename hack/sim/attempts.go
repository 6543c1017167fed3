package main

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// attemptBook counts the automatic recoveries of each incident that have failed, by the truth and not by what evenkeel
// counts, so that it would show where attempts are forgotten over restarts, reboots and changes of the clock.
type attemptBook struct {
	byID map[string]*attempt
	open *attempt // the last one that has ended, until evenkeel has looked at what came of it
	last *attempt // the last one that was looked at
}

// attempt is an automatic recovery that ended without being verified.
type attempt struct {
	incident int64
	began    time.Duration
	counts   bool
}

func (b *attemptBook) forget() { *b = attemptBook{} }

// ends notes the end of a recovery. One whose end was lost with evenkeel ends again, perhaps otherwise.
func (b *attemptBook) ends(rec *v1alpha1.Recovery, began time.Duration) {
	delete(b.byID, rec.ID)
	if b.open = nil; rec.Verified {
		return
	}
	if b.byID == nil {
		b.byID = map[string]*attempt{}
	}
	b.open = &attempt{began: began}
	b.byID[rec.ID] = b.open
}

func (b *attemptBook) failed(incident int64) (n int) {
	for _, a := range b.byID {
		if a.counts && a.incident == incident {
			n++
		}
	}
	return n
}

// countAttempt decides, at the first look after the end of a recovery that was not verified, whether it has failed: the
// fault is the application's own, and nothing of somebody else's has stood since it began. What somebody else does before the
// cooldown is over may be blamed for it all the same: who comes late cannot tell.
func (c *checker) countAttempt(after *v1alpha1.AppStatus) {
	stopped := c.s.w.pm2.standing && !c.s.w.pm2.byKeeper // by an operator
	if last := c.attempts.last; last != nil && after.Phase == v1alpha1.PhaseCooldown && (stopped || c.s.foreignStands() || seesNothing(c.s.k.appOr(c.s), c.s.w)) {
		last.counts = false
	}
	a := c.attempts.open
	if a == nil || after.Recovery.Open() || after.Incident == nil {
		return
	}
	c.attempts.open, c.attempts.last = nil, a
	a.incident = after.Incident.Number
	w, app := c.s.w, c.s.k.appOr(c.s)
	own := w.cond.hangs || w.cond.errors || w.cond.diesIn > 0
	a.counts = own && !c.s.foreignStands() && w.faultSince < a.began && !stopped && !seesNothing(app, w)
}
