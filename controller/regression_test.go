package controller

import (
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

// TestLooksFromBeforeARecoveryDoNotCountAgainstIt pins a bug: three failed looks, a recovery that held, and one slow answer
// right after it made a failure.
func TestLooksFromBeforeARecoveryDoNotCountAgainstIt(t *testing.T) {
	r := newRig()
	r.judge.verdict = hangs
	for range 3 {
		r.see(5*time.Second, no, no)
	}
	wantPhase(t, r, v1alpha1.PhaseRecovering)
	r.recover(v1alpha1.StepDone)
	r.see(0, no, yes)
	if got := r.record.Incident.Attempts[0].Outcome; got != v1alpha1.AttemptPending {
		t.Fatalf("attempt = %s after one slow answer, want Pending", got)
	}
}

// TestAnAttemptThatOthersMadeFailIsNeitherSpentNorHeld pins a bug: it was booked as held.
func TestAnAttemptThatOthersMadeFailIsNeitherSpentNorHeld(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.judge.verdict = downAndHeld
	r.recover(v1alpha1.StepFailed)
	for range 4 {
		r.see(2*time.Minute, no, no)
	}
	if got := r.record.Incident; got.Attempts[0].Outcome != v1alpha1.AttemptExcused || got.Spent != 0 {
		t.Fatalf("attempts = %+v, spent %d", got.Attempts, got.Spent)
	}
}

// TestNothingClimbsIntoADeploy pins a bug: a plan that failed because a deploy had begun went on to clear the caches.
func TestNothingClimbsIntoADeploy(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	for r.record.Recovery.Step != "verify" {
		r.finish(time.Second, v1alpha1.StepDone)
	}
	r.judge.verdict = downAndHeld
	r.finish(time.Second, v1alpha1.StepFailed)
	r.see(0, no, no)
	if r.record.Recovery.Open() || r.record.Recovery.Plan != "Plain" {
		t.Fatalf("recovery = %+v, want it ended with the plain plan", r.record.Recovery)
	}
}

// TestTheRecoveryAtAHoldsLimitIsOnePlainOne pins two bugs: it climbed, and the limit began anew after it.
func TestTheRecoveryAtAHoldsLimitIsOnePlainOne(t *testing.T) {
	r := newRig()
	r.judge.verdict = downAndHeld
	recoveries := map[string]bool{}
	for range 600 {
		r.see(time.Minute, no, no)
		if r.record.Recovery != nil {
			recoveries[r.record.Recovery.ID] = true
		}
		r.recover(v1alpha1.StepFailed)
		if r.record.Recovery != nil && r.record.Recovery.Plan != "Plain" {
			t.Fatal("it climbed")
		}
	}
	if len(recoveries) != 1 {
		t.Fatalf("%d recoveries for one hold, want 1", len(recoveries))
	}
}

// TestAnInterruptedRecoveryStopsNothingThatIsNotToBlameNow pins a bug: it was taken up at its stop whatever was true by then.
func TestAnInterruptedRecoveryStopsNothingThatIsNotToBlameNow(t *testing.T) {
	for name, tc := range map[string]struct {
		verdict v1alpha1.Verdict
		later   time.Duration
		times   int
	}{
		"only the proxy is down by now":          {proxyDown, time.Second, 1},
		"it is starting":                         {tooEarly, time.Second, 1},
		"it is starting, two days later":         {tooEarly, 48 * time.Hour, 1},
		"it hangs, but that was two days ago":    {hangs, 48 * time.Hour, 1},
		"it hangs, and we were killed too often": {hangs, time.Second, 5},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			r.see(0, no, no)
			r.judge.verdict = tc.verdict
			stops := 0
			for range tc.times {
				r.recent = nil
				r.now = r.now.Add(tc.later)
				r.step(Input{Started: true})
				if !r.record.Recovery.Open() {
					break
				}
				r.see(0, no, no)
				for _, a := range r.acts {
					if a.Name == "stop" {
						stops++
					}
				}
			}
			if stops > maxInterrupted {
				t.Fatalf("stopped %d times", stops)
			}
			if tc.times == 1 && stops > 0 {
				t.Fatal("it stopped what is not to blame now")
			}
		})
	}
}

// TestWhoDoesNotGetTheTurnLooksAgain: two Apps on one machine are not recovered at the same time, and nobody waits with his
// application stopped.
func TestWhoDoesNotGetTheTurnLooksAgain(t *testing.T) {
	r := newRig()
	r.recent = []v1alpha1.Observation{seen(r.now, no, no)}
	r.step(Input{Observed: true, NoTurn: true})
	wantPhase(t, r, v1alpha1.PhaseDegraded)
	if r.record.Blocked == nil || r.record.Blocked.Reason != BlockedTurn || len(r.acts) > 0 {
		t.Fatalf("blocked %+v, acts %v", r.record.Blocked, r.acts)
	}
	if wait := r.next.Since(r.now); wait > 5*time.Second {
		t.Fatalf("looks again after %v", wait)
	}
	r.see(5*time.Second, no, no)
	wantPhase(t, r, v1alpha1.PhaseRecovering)
}

// TestNothingBeginsOnAPatchedLook: a check that was not due stands with an old result; before a recovery begins all are asked.
func TestNothingBeginsOnAPatchedLook(t *testing.T) {
	r := newRig()
	r.see(0, yes, yes)
	r.now = r.now.Add(10 * time.Second)
	partial := seen(r.now, no, no)
	partial.Results = partial.Results[:1]
	r.recent = Remember(r.recent, partial, r.judge.Checks(r.app))
	r.step(Input{Observed: true})
	if len(r.acts) > 0 || r.looks != 1 {
		t.Fatalf("acts %v, looks %d; want one whole look first", r.acts, r.looks)
	}
	r.see(0, no, no)
	wantPhase(t, r, v1alpha1.PhaseRecovering)
}

// TestAWaitEndsInAHold: an application that is for ever about to start is told of.
func TestAWaitEndsInAHold(t *testing.T) {
	r := newRig()
	r.judge.verdict = tooEarly
	for range 15 {
		r.see(time.Minute, no, no)
	}
	wantPhase(t, r, v1alpha1.PhaseDegraded)
	if len(r.alerts) != 1 || len(r.acts) > 0 {
		t.Fatalf("alerts %v, acts %v", r.kinds(), r.acts)
	}
}

var _ pass.Judge = (*fakeJudge)(nil)
