package controller

import (
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// TestAPassIsDueSinceAMoment: how late it begins is told from there.
func TestAPassIsDueSinceAMoment(t *testing.T) {
	const late = 3 * time.Second
	r := newRig()
	r.step(Input{Started: true})
	wanted := func(when string, since v1alpha1.Instant) {
		t.Helper()
		if r.looks != 1 || r.since != since {
			t.Errorf("%s: %d passes, due since %s, want %s", when, r.looks, r.since.Wall, since.Wall)
		}
	}
	wanted("at the start", r.now)
	r.see(0, yes, yes)
	for when, next := range map[string]func(){
		"after an interval": func() {},
		"to confirm a failure": func() {
			r.judge.verdict = hangs
			r.see(0, no, no)
		},
	} {
		next()
		due := r.next
		if due.Since(r.now) <= 0 || r.looks != 0 {
			t.Fatalf("%s: it is not waited", when)
		}
		r.now = due.Add(late)
		r.step(Input{})
		wanted(when, due)
		r.see(0, yes, yes)
	}
	r.now = r.now.Add(time.Second)
	r.step(Input{Look: true})
	wanted("when somebody asks", r.now)

	// A pass that took longer than the interval is followed by one that is late already.
	r = newRig()
	r.step(Input{Started: true})
	seen := seen(r.now, yes, yes)
	r.recent = Remember(nil, seen, r.judge.Checks(r.app))
	r.now = r.now.Add(r.app.Spec.Interval.Duration + late)
	r.step(Input{Observed: true})
	wanted("after a long pass", seen.At.Add(r.app.Spec.Interval.Duration))
}
