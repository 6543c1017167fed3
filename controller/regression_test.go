package controller

import (
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
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

// TestAStartThatFailsIsTriedAgainWhateverArrives pins a bug: a start that had failed counted as one that was made. A pause
// or a SIGTERM that came then left the application stopped by us.
func TestAStartThatFailsIsTriedAgainWhateverArrives(t *testing.T) {
	for name, in := range map[string]Input{"a pause": {}, "the end of evenkeel": {Ending: true}, "an order to stand down": {}} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			r.see(0, no, no)
			for r.record.Recovery.Step != "start" {
				r.finish(time.Second, v1alpha1.StepDone)
			}
			switch name {
			case "a pause":
				r.app.Spec.Paused = true
			case "an order to stand down":
				r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseFailed}, Busy: true})
			}
			failed := in
			failed.Done = &pass.StepResult{Step: "start", Outcome: v1alpha1.StepFailed, Message: "refused"}
			r.step(failed)
			if len(r.acts) != 1 || r.acts[0].Name != "start" || MayEnd(&r.record) {
				t.Fatalf("after a start that failed: %v, may end %v", r.acts, MayEnd(&r.record))
			}
			r.step(failed)
			if !MayEnd(&r.record) || (len(r.acts) > 0 && r.acts[0].Name == "start") {
				t.Fatalf("after two that failed: %v, may end %v; nobody tries for ever", r.acts, MayEnd(&r.record))
			}
		})
	}
}

// TestAPausedPassSpendsNothing pins a bug: what the operator broke while he had paused evenkeel spent an attempt.
func TestAPausedPassSpendsNothing(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.recover(v1alpha1.StepDone)
	r.see(0, yes, yes)
	r.app.Spec.Paused = true
	r.see(10*time.Second, no, no)
	if r.record.Incident.Spent != 0 {
		t.Fatalf("paused, and spent %d (phase %s)", r.record.Incident.Spent, r.record.Phase)
	}
}

// TestAResumedRecoveryStopsNothingWhilePaused pins a bug: killed in the step stop, with a pause saved meanwhile, evenkeel
// went on and stopped an application that ran.
func TestAResumedRecoveryStopsNothingWhilePaused(t *testing.T) {
	r := newRig()
	r.judge.verdict = hangs
	for range 3 {
		r.see(5*time.Second, no, no)
	}
	if r.record.Recovery.Step != "stop" {
		t.Fatalf("step %q, want stop", r.record.Recovery.Step)
	}
	r.app.Spec.Paused = true
	r.now, r.recent = r.now.Add(5*time.Second), nil
	r.step(Input{Started: true})
	r.see(time.Second, no, no)
	if len(r.acts) > 0 || r.record.Recovery.Open() {
		t.Fatalf("paused, the application not stopped yet, and: %v", r.acts)
	}
}

// TestWhatIsBeingStoppedIsStartedWhateverArrives pins a bug: killed in the step stop after the runtime had got the order,
// and stood down or paused meanwhile, evenkeel took the process that was about to end for one that runs.
func TestWhatIsBeingStoppedIsStartedWhateverArrives(t *testing.T) {
	stopping := tooEarly
	stopping.Up = false
	cannotSee := proxyDown
	cannotSee.Up = false
	for name, v := range map[string]v1alpha1.Verdict{"it is stopping": stopping, "it cannot be seen": cannotSee} {
		for _, arrived := range []string{"a pause", "an order to stand down"} {
			t.Run(name+", "+arrived, func(t *testing.T) {
				r := newRig()
				r.see(0, no, no)
				first := Input{Started: true}
				if arrived == "a pause" {
					r.app.Spec.Paused = true
				} else {
					first.Order = &state.Order{Phase: v1alpha1.PhaseFailed}
				}
				r.now, r.recent, r.judge.verdict = r.now.Add(time.Second), nil, v
				r.step(first)
				r.see(time.Second, no, no)
				if len(r.acts) != 1 || r.acts[0].Name != "start" {
					t.Fatalf("acts %v, recovery %+v", r.acts, r.record.Recovery)
				}
			})
		}
	}
}

// TestWhatIsBeingStoppedIsStartedThoughItStillAnswers pins a bug: killed in the step stop, evenkeel found that everything
// held, because the process had not ended yet, or could not be seen, and ended the recovery.
func TestWhatIsBeingStoppedIsStartedThoughItStillAnswers(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.now, r.recent, r.judge.ending = r.now.Add(time.Second), nil, true
	r.step(Input{Started: true})
	r.see(time.Second, yes, yes)
	if len(r.acts) != 1 || r.acts[0].Name != "start" {
		t.Errorf("acts %v, recovery %+v", r.acts, r.record.Recovery)
	}
}

// TestAnOperatorsRecoveryWaitsForItsTurn pins a bug: it began beside another application's.
func TestAnOperatorsRecoveryWaitsForItsTurn(t *testing.T) {
	r := newRig()
	r.see(0, yes, yes)
	r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseRecovering}})
	r.recent = Remember(r.recent, seen(r.now, yes, yes), r.judge.Checks(r.app))
	r.step(Input{Observed: true, NoTurn: true})
	if len(r.acts) > 0 || r.looks > 0 || r.record.Blocked == nil || r.record.Blocked.Reason != BlockedTurn {
		t.Fatalf("acts %v, looks %d, blocked %+v", r.acts, r.looks, r.record.Blocked)
	}
	if wait := r.next.Since(r.now); wait != r.app.Spec.ConfirmInterval.Duration {
		t.Errorf("it looks again after %s", wait)
	}
	r.see(5*time.Second, yes, yes)
	if len(r.acts) != 1 || r.acts[0].Name != "stop" {
		t.Fatalf("its turn, and: %v", r.acts)
	}
}

// TestARestartForgetsLittleOfWhatWasProven pins a bug: whoever restarted evenkeel every twenty minutes kept an incident
// open for good.
func TestARestartForgetsLittleOfWhatWasProven(t *testing.T) {
	for _, end := range []bool{true, false} {
		r := newRig()
		r.see(0, no, no)
		r.recover(v1alpha1.StepDone)
		writes := 0
		for range 3 {
			for range 20 {
				before := r.record.Incident.DeepCopy()
				r.see(time.Minute, yes, yes)
				if r.record.Incident != nil && before.Proven != r.record.Incident.Proven {
					writes++
				}
			}
			if end {
				r.step(Input{Ending: true})
			}
			r.recent = nil
			r.step(Input{Started: true})
		}
		r.see(time.Minute, yes, yes)
		if r.record.Incident != nil {
			t.Errorf("an hour of health, and %s are proven", proven(r.record.Incident, r.now))
		}
		if writes > 20 {
			t.Errorf("it was written down at %d of 60 passes", writes)
		}
	}
}

// TestOnlyWhatWasSeenWellIsProven pins a bug: the time up to the first look at which it was not well counted too.
func TestOnlyWhatWasSeenWellIsProven(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.recover(v1alpha1.StepDone)
	r.judge.verdict = tooEarly
	for range 100 {
		r.see(time.Second, yes, yes)
		r.see(59*time.Second, no, yes)
	}
	if i := r.record.Incident; i == nil || proven(i, r.now) > time.Second {
		t.Fatalf("incident %+v", i)
	}
}

// A stop that was ordered while PM2 hung may still come true. Nobody can see whether it has, so it is answered by a start.
func TestAStopThatNobodyCouldSeeIsFollowedByTheStart(t *testing.T) {
	unseen := v1alpha1.Verdict{Rule: "unseen", Blame: v1alpha1.BlameRuntime, Reason: "CannotSee", Remedy: v1alpha1.RemedyHold}
	for _, stoodDown := range []bool{false, true} {
		r := newRig()
		r.step(Input{Started: true})
		r.see(0, no, no)
		if r.record.Recovery.Step != "stop" {
			t.Fatalf("step %q, want stop", r.record.Recovery.Step)
		}
		r.now = r.now.Add(time.Minute)
		r.record.StoodDown = stoodDown
		r.step(Input{Started: true})
		r.judge.verdict = unseen
		r.see(time.Second, no, no)
		if rec := r.record.Recovery; !rec.Open() || rec.Step != "start" {
			t.Errorf("stood down %v: open %v, step %q; want the start", stoodDown, rec.Open(), rec.Step)
		}
	}
}

// Errors that were held for, because of a database say, do not confirm that the application hangs: that takes its own looks.
func TestWhatWasHeldForConfirmsNothingElse(t *testing.T) {
	r := newRig()
	r.judge.verdict = v1alpha1.Verdict{Rule: "database", Blame: v1alpha1.BlameDatabase, Reason: "Down", Remedy: v1alpha1.RemedyHold}
	look := func(reason string) {
		r.now = r.now.Add(5 * time.Second)
		o := seen(r.now, no, yes)
		for n := range o.Results {
			o.Results[n].Reason = reason
		}
		r.recent = Remember(r.recent, o, r.judge.Checks(r.app))
		r.step(Input{Observed: true})
	}
	for range 6 {
		look("BadStatus")
	}
	if r.record.Hold == nil {
		t.Fatal("nothing is held")
	}
	r.judge.verdict = hangs
	for n := range 3 {
		wantPhase(t, r, v1alpha1.PhaseDegraded)
		if n > 0 && r.next.Since(r.now) > 5*time.Second {
			t.Errorf("after %d looks it looks again in %s only", n, r.next.Since(r.now))
		}
		look("Timeout")
	}
	wantPhase(t, r, v1alpha1.PhaseRecovering)

	r.recover(v1alpha1.StepDone) // ways that come and go are bad enough
	r.record.Recovery.StartedAt = at(0)
	r.record.Phase, r.record.Hold, r.record.Cooldown = v1alpha1.PhaseDegraded, &v1alpha1.Hold{Rule: "database", Since: r.now}, nil
	r.recent = nil
	for n, reason := range []string{"Timeout", "BadStatus", "Timeout", "BadStatus"} {
		if r.record.Phase != v1alpha1.PhaseDegraded {
			t.Errorf("%s after %d looks", r.record.Phase, n)
		}
		look(reason)
	}
	wantPhase(t, r, v1alpha1.PhaseRecovering)
}

// TestHealthInFailedIsNotWrittenDownForEver pins a bug: while it waited in Failed for its operator, with a site that was
// well again, evenkeel wrote the state file every three minutes, for good.
func TestHealthInFailedIsNotWrittenDownForEver(t *testing.T) {
	r := newRig()
	r.record.Phase = v1alpha1.PhaseFailed
	r.record.Incident = &v1alpha1.Incident{Number: 1, Spent: 3, StartedAt: at(0)}
	for range 60 {
		r.see(time.Minute, yes, yes)
	}
	before := r.record.Incident.Proven
	for range 24 * 60 {
		r.see(time.Minute, yes, yes)
	}
	if r.record.Incident.Proven != before || before.Duration < r.app.Spec.Recovery.ProvenAfter.Duration {
		t.Errorf("proven %s after an hour, %s after a day", before.Duration, r.record.Incident.Proven.Duration)
	}
}

// TestAnOperatorsRecoveryClimbsWhilePaused pins a bug: whoever had paused evenkeel and asked for a recovery got half of one.
func TestAnOperatorsRecoveryClimbsWhilePaused(t *testing.T) {
	r := newRig()
	r.app.Spec.Paused = true
	r.see(0, no, no)
	r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseRecovering}})
	r.see(0, no, no)
	for r.record.Recovery.Open() && !r.record.Recovery.Undecided {
		outcome := v1alpha1.StepDone
		if r.record.Recovery.Step == "verify" {
			outcome = v1alpha1.StepFailed
		}
		r.finish(time.Second, outcome)
	}
	r.see(time.Second, no, no)
	if rec := r.record.Recovery; !rec.Open() || rec.Plan != "Clean" {
		t.Fatalf("recovery %+v", rec)
	}
}

// TestAPauseExcusesNoRecoveryThatFailed pins a bug: paused right after a recovery that did not bring the application up, its
// attempt was not spent, and a fourth one followed.
func TestAPauseExcusesNoRecoveryThatFailed(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.app.Spec.Paused = true
	r.recover(v1alpha1.StepFailed)
	r.see(time.Second, no, no)
	if r.record.Incident.Spent != 1 {
		t.Errorf("%d spent, want one", r.record.Incident.Spent)
	}
}
