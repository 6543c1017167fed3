package controller

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

func wantPhase(t *testing.T, r *rig, want v1alpha1.Phase) {
	t.Helper()
	if r.record.Phase != want {
		t.Fatalf("phase = %s, want %s (%s)", r.record.Phase, want, r.record.Message)
	}
}

func TestFirstStepLooks(t *testing.T) {
	r := newRig()
	r.step(Input{Started: true})
	wantPhase(t, r, v1alpha1.PhaseHealthy)
	if r.looks != 1 {
		t.Fatalf("looks = %d, want 1", r.looks)
	}
}

func TestACertainFailureIsMendedAndHealthIsProvenByTheCooldown(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	wantPhase(t, r, v1alpha1.PhaseRecovering)
	if len(r.acts) != 1 || r.acts[0].Name != "stop" || !r.record.Recovery.Stopped {
		t.Fatalf("acts = %v, want stop, with the intent in the record", r.acts)
	}
	r.recover(v1alpha1.StepDone)
	wantPhase(t, r, v1alpha1.PhaseCooldown)
	if r.looks != 1 {
		t.Fatal("it did not look at the outcome at once")
	}
	r.see(0, yes, yes)
	wantPhase(t, r, v1alpha1.PhaseCooldown)
	r.see(5*time.Minute, yes, yes)
	wantPhase(t, r, v1alpha1.PhaseHealthy)
	if got := r.record.Incident.Attempts[0].Outcome; got != v1alpha1.AttemptHeld {
		t.Fatalf("attempt = %s, want Held", got)
	}
	if want := []v1alpha1.AlertKind{v1alpha1.AlertDegraded, v1alpha1.AlertResolved}; !slices.Equal(r.kinds(), want) {
		t.Fatalf("alerts = %v, want %v", r.kinds(), want)
	}
	r.see(30*time.Minute, yes, yes)
	if r.record.Incident != nil {
		t.Fatalf("incident = %+v, want closed after provenAfter", r.record.Incident)
	}
}

func TestThreeFailedRecoveriesEndInFailedWithTwoAlerts(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	var starts []v1alpha1.Instant
	for n := range 3 {
		wantPhase(t, r, v1alpha1.PhaseRecovering)
		starts = append(starts, r.record.Recovery.StartedAt)
		r.recover(v1alpha1.StepFailed)
		if r.record.Recovery.Plan != "Clean" {
			t.Fatalf("plan = %s, want the clean one after the plain one", r.record.Recovery.Plan)
		}
		r.see(0, no, no)
		if n < 2 {
			wantPhase(t, r, v1alpha1.PhaseCooldown)
			r.see(5*time.Minute, no, no)
		}
	}
	wantPhase(t, r, v1alpha1.PhaseFailed)
	for n := 1; n < len(starts); n++ {
		if d := starts[n].Since(starts[n-1]); d < 5*time.Minute {
			t.Fatalf("recoveries %d and %d start %v apart", n, n+1, d)
		}
	}
	if want := []v1alpha1.AlertKind{v1alpha1.AlertDegraded, v1alpha1.AlertFailed}; !slices.Equal(r.kinds(), want) {
		t.Fatalf("alerts = %v, want %v", r.kinds(), want)
	}
	if last := r.alerts[1].Evidence; len(last) == 0 || last[0] != "the last attempt, step verify: test" {
		t.Fatalf("evidence = %q, want first of what the last attempt has failed", last)
	}
	want := []v1alpha1.Phase{"Degraded", "Recovering", "Cooldown", "Degraded", "Recovering", "Cooldown", "Degraded", "Recovering", "Cooldown", "Failed"}
	if !slices.Equal(r.path(), want) {
		t.Fatalf("path = %v, want %v", r.path(), want)
	}
	for range 20 {
		r.see(time.Minute, no, no)
		if len(r.acts) > 0 {
			t.Fatal("something was done in Failed")
		}
	}
}

func TestAnUnconfirmedFailureChangesNothing(t *testing.T) {
	r := newRig()
	r.judge.verdict = hangs
	r.see(0, yes, yes)
	r.see(time.Minute, no, yes)
	if want := 5 * time.Second; r.next.Since(r.now) != want {
		t.Fatalf("next look in %v, want the confirm interval, %v", r.next.Since(r.now), want)
	}
	r.see(5*time.Second, no, yes)
	r.see(5*time.Second, yes, yes)
	wantPhase(t, r, v1alpha1.PhaseHealthy)
	if len(r.alerts) != 0 || r.record.Incident != nil {
		t.Fatalf("alerts %v, incident %v; want none", r.alerts, r.record.Incident)
	}
}

func TestUnknownNeitherBreaksNorProves(t *testing.T) {
	r := newRig()
	r.judge.verdict = tooEarly
	for range 9 {
		r.see(time.Minute, maybe, yes)
		wantPhase(t, r, v1alpha1.PhaseHealthy)
	}
	if len(r.alerts) != 0 {
		t.Fatalf("alerts = %v, want none before ten minutes", r.kinds())
	}
	r.see(2*time.Minute, maybe, yes)
	r.see(time.Minute, maybe, yes)
	wantPhase(t, r, v1alpha1.PhaseDegraded)
	if len(r.acts) > 0 || r.record.Hold == nil {
		t.Fatalf("acts %v, hold %v; want a hold", r.acts, r.record.Hold)
	}
	if want := []v1alpha1.AlertKind{v1alpha1.AlertDegraded}; !slices.Equal(r.kinds(), want) {
		t.Fatalf("alerts = %v, want %v, once", r.kinds(), want)
	}
}

func TestAnothersFaultIsHeldAndSpendsNothing(t *testing.T) {
	r := newRig()
	r.judge.verdict = proxyDown
	for range 30 {
		r.see(time.Minute, yes, no)
		if len(r.acts) > 0 {
			t.Fatal("something was done")
		}
	}
	wantPhase(t, r, v1alpha1.PhaseDegraded)
	if r.record.Hold == nil || r.record.Blocked == nil || r.record.Blocked.Reason != BlockedHold {
		t.Fatalf("hold %v, blocked %v", r.record.Hold, r.record.Blocked)
	}
	r.see(time.Minute, yes, yes)
	wantPhase(t, r, v1alpha1.PhaseHealthy)
	if want := []v1alpha1.AlertKind{v1alpha1.AlertDegraded, v1alpha1.AlertResolved}; !slices.Equal(r.kinds(), want) {
		t.Fatalf("alerts = %v, want %v", r.kinds(), want)
	}
}

func TestAHoldOnAnAppThatIsDownEndsAtItsLimitWithOneRecovery(t *testing.T) {
	r := newRig()
	r.judge.verdict = downAndHeld
	for range 3 {
		r.see(5*time.Second, no, no)
	}
	wantPhase(t, r, v1alpha1.PhaseDegraded)
	for r.record.Phase == v1alpha1.PhaseDegraded {
		if r.now.Since(at(0)) > 31*time.Minute {
			t.Fatal("the hold has no end")
		}
		r.see(time.Minute, no, no)
	}
	wantPhase(t, r, v1alpha1.PhaseRecovering)
	if d := r.now.Since(at(0)); d < 30*time.Minute {
		t.Fatalf("acted after %v, before the limit", d)
	}
	r.recover(v1alpha1.StepFailed)
	r.see(0, no, no)
	if r.record.Incident.Spent != 1 {
		t.Fatalf("spent = %d, want 1: a recovery at a hold's limit spends its attempt", r.record.Incident.Spent)
	}
}

func TestPauseHoldsEverythingButTheOperator(t *testing.T) {
	r := newRig()
	r.app.Spec.Paused = true
	for range 100 {
		r.see(time.Minute, no, no)
	}
	wantPhase(t, r, v1alpha1.PhaseDegraded)
	if r.record.Blocked == nil || r.record.Blocked.Reason != BlockedPaused {
		t.Fatalf("blocked = %+v, want Paused", r.record.Blocked)
	}
	if got := r.kinds(); got[0] != v1alpha1.AlertDegraded || len(got) != 2 || got[1] != v1alpha1.AlertReminder {
		t.Fatalf("alerts = %v, want one and a reminder after an hour", got)
	}
	r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseRecovering}})
	r.see(0, no, no)
	wantPhase(t, r, v1alpha1.PhaseRecovering)
	if r.record.Recovery.Trigger != v1alpha1.TriggerOperator || len(r.record.Incident.Attempts) != 0 {
		t.Fatal("an operator's order spends nothing")
	}
	r.recover(v1alpha1.StepDone)
	r.see(0, yes, yes)
	r.app.Spec.Paused = false
	r.see(5*time.Minute, yes, yes)
	wantPhase(t, r, v1alpha1.PhaseHealthy)
}

func TestPausedUntilEndsByItself(t *testing.T) {
	r := newRig()
	until := metav1.NewTime(epoch.Add(10 * time.Minute))
	r.app.Spec.Paused, r.app.Spec.PausedUntil = true, &until
	r.see(0, no, no)
	wantPhase(t, r, v1alpha1.PhaseDegraded)
	r.now = r.now.Add(10*time.Minute + time.Second)
	r.step(Input{})
	if r.looks != 1 {
		t.Fatal("the end of a pause is a reason to look")
	}
	r.see(0, no, no)
	wantPhase(t, r, v1alpha1.PhaseRecovering)
}

func TestWhateverArrivesBetweenStopAndStartTheAppIsStarted(t *testing.T) {
	for name, arrive := range map[string]func(*rig) Input{
		"pause":      func(r *rig) Input { r.app.Spec.Paused = true; return Input{Busy: true} },
		"stand down": func(*rig) Input { return Input{Order: &state.Order{Phase: v1alpha1.PhaseFailed}, Busy: true} },
		"reset":      func(*rig) Input { return Input{Order: &state.Order{Phase: v1alpha1.PhaseHealthy}, Busy: true} },
		"demand":     func(*rig) Input { return Input{Order: &state.Order{Phase: v1alpha1.PhaseRecovering}, Busy: true} },
		"the end":    func(*rig) Input { return Input{Ending: true, Busy: true} },
		"a restart":  func(*rig) Input { return Input{Started: true} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			r.see(0, no, no)
			r.finish(time.Second, v1alpha1.StepDone) // stop is done, start is under way
			in := arrive(r)
			r.step(in)
			if MayEnd(&r.record) {
				t.Fatal("it may end between stop and start")
			}
			if in.Started {
				r.see(0, no, no)
			}
			if r.record.Recovery.Step != "start" {
				t.Fatalf("step = %q, want start", r.record.Recovery.Step)
			}
			r.now = r.now.Add(time.Second)
			r.step(Input{Done: &pass.StepResult{Step: "start", Outcome: v1alpha1.StepDone}, Ending: in.Ending})
			if !MayEnd(&r.record) {
				t.Fatal("it may not end after the start")
			}
			if in.Ending && len(r.acts) > 0 {
				t.Fatalf("acts = %v, want none at the end", r.acts)
			}
		})
	}
}

func TestStandDownTakesEffectAfterTheStart(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseFailed}, Busy: true})
	wantPhase(t, r, v1alpha1.PhaseRecovering)
	r.finish(time.Second, v1alpha1.StepDone)
	r.finish(time.Second, v1alpha1.StepDone)
	wantPhase(t, r, v1alpha1.PhaseFailed)
	if !r.record.StoodDown || r.record.Recovery.Open() {
		t.Fatalf("stood down %v, recovery %+v", r.record.StoodDown, r.record.Recovery)
	}
}

func TestAnInterruptedRecoveryGoesOnAndIsNotForgotten(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.recent = nil // evenkeel dies and starts again
	r.now = r.now.Add(2 * time.Second)
	r.step(Input{Started: true})
	if r.looks != 1 {
		t.Fatal("it did not look before it went on")
	}
	r.see(0, no, no)
	if r.record.Recovery.Step != "stop" || len(r.record.Incident.Attempts) != 1 {
		t.Fatalf("recovery %+v, attempts %v", r.record.Recovery, r.record.Incident.Attempts)
	}
	r.recover(v1alpha1.StepDone)
	wantPhase(t, r, v1alpha1.PhaseCooldown)
}

func TestAnInterruptedRecoveryWhosePurposeIsMetEnds(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.recent = nil
	r.now = r.now.Add(48 * time.Hour)
	r.step(Input{Started: true})
	r.see(0, yes, yes)
	if r.record.Recovery.Open() || len(r.acts) > 0 {
		t.Fatalf("recovery %+v goes on although everything holds", r.record.Recovery)
	}
	wantPhase(t, r, v1alpha1.PhaseCooldown)
}

func TestResetGivesTheFullBudget(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	for range 3 {
		r.recover(v1alpha1.StepFailed)
		r.see(0, no, no)
		r.see(5*time.Minute, no, no)
	}
	wantPhase(t, r, v1alpha1.PhaseFailed)
	r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseHealthy}})
	wantPhase(t, r, v1alpha1.PhaseHealthy)
	if r.record.Incident != nil || r.record.Cooldown != nil {
		t.Fatalf("incident %v, cooldown %v; want none", r.record.Incident, r.record.Cooldown)
	}
	r.see(0, no, no)
	wantPhase(t, r, v1alpha1.PhaseRecovering)
	if got := r.record.Incident; got.Spent != 0 || got.Attempts[0].Number != 1 {
		t.Fatalf("incident = %+v, want a new one", got)
	}
}

func TestDemandIsRefusedForAStrangerAndForADeployUnlessForced(t *testing.T) {
	stranger, deploy := crashed, downAndHeld
	stranger.Stranger = true
	for _, tc := range []struct {
		name    string
		verdict v1alpha1.Verdict
		force   bool
		want    bool
	}{
		{"stranger", stranger, false, false}, {"stranger, forced", stranger, true, false},
		{"deploy", deploy, false, false}, {"deploy, forced", deploy, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig()
			r.judge.verdict = tc.verdict
			r.record.Phase, r.record.StoodDown = v1alpha1.PhaseFailed, true
			r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseRecovering, Force: tc.force}})
			r.see(0, no, no)
			if got := r.record.Phase == v1alpha1.PhaseRecovering; got != tc.want {
				t.Fatalf("phase = %s", r.record.Phase)
			}
		})
	}
}

func TestFlapsDoubleTheCooldownUpToAnHourAndAlertAtTheFloorRate(t *testing.T) {
	r := newRig()
	want := []time.Duration{5, 10, 20, 40, 60, 60}
	for _, w := range want {
		r.see(time.Second, no, no)
		wantPhase(t, r, v1alpha1.PhaseRecovering)
		if got := r.record.Cooldown.Length.Duration; got != w*time.Minute {
			t.Fatalf("cooldown = %v, want %v", got, w*time.Minute)
		}
		r.recover(v1alpha1.StepDone)
		r.see(w*time.Minute, yes, yes)
		wantPhase(t, r, v1alpha1.PhaseHealthy)
	}
	flapping := 0
	for _, k := range r.kinds() {
		if k == v1alpha1.AlertFlapping {
			flapping++
		}
	}
	if flapping == 0 || flapping > 4 {
		t.Fatalf("alerts = %v, want flapping at most once an hour", r.kinds())
	}
}

func TestTheCooldownSurvivesRebootAndClockJumps(t *testing.T) {
	for name, wall := range map[string]time.Duration{"a year back": -365 * 24 * time.Hour, "a minute on": time.Minute, "a year on": 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRig()
			r.see(0, no, no)
			r.recover(v1alpha1.StepDone)
			r.recent = nil
			r.now = v1alpha1.Instant{Wall: metav1.NewMicroTime(r.now.Wall.Add(wall)), Boot: metav1.Duration{Duration: time.Second}, BootID: "boot-2"}
			r.step(Input{Started: true})
			left := r.record.Cooldown.Left(r.now)
			if left > 5*time.Minute || left < 0 {
				t.Fatalf("left = %v, want at most the whole length", left)
			}
			if name == "a year back" && left != 5*time.Minute {
				t.Fatalf("left = %v, want the whole length when nothing is known", left)
			}
			before := left
			r.now = r.now.Add(time.Minute)
			if got := r.record.Cooldown.Left(r.now); got != max(before-time.Minute, 0) {
				t.Fatalf("after a minute of this boot left = %v, want %v", got, before-time.Minute)
			}
		})
	}
}

func TestLostStateLeavesOneAttempt(t *testing.T) {
	r := newRig()
	r.step(Input{Started: true, Lost: true})
	r.see(0, no, no)
	wantPhase(t, r, v1alpha1.PhaseRecovering)
	r.recover(v1alpha1.StepFailed)
	r.see(0, no, no)
	wantPhase(t, r, v1alpha1.PhaseFailed)
}

func TestFailedIsLeftByHealthOnlyWhereItIsAllowed(t *testing.T) {
	for _, tc := range []struct {
		leave  v1alpha1.LeaveFailed
		stood  bool
		phase  v1alpha1.Phase
		reason string
	}{
		{v1alpha1.LeaveFailedByOperator, false, v1alpha1.PhaseFailed, "the operator alone"},
		{v1alpha1.LeaveFailedWhenHealthy, false, v1alpha1.PhaseHealthy, "health suffices"},
		{v1alpha1.LeaveFailedWhenHealthy, true, v1alpha1.PhaseFailed, "never after standing down"},
	} {
		r := newRig()
		r.app.Spec.Recovery.LeaveFailed = tc.leave
		r.record.Phase, r.record.StoodDown = v1alpha1.PhaseFailed, tc.stood
		r.record.Incident = &v1alpha1.Incident{Number: 1, Spent: 3, StartedAt: at(0)}
		for range 40 {
			r.see(time.Minute, yes, yes)
		}
		if r.record.Phase != tc.phase {
			t.Errorf("%s: phase = %s, want %s", tc.reason, r.record.Phase, tc.phase)
		}
	}
}

// TestStepKeepsItsPromises drives the brain through random worlds and checks, after every step, what must never happen.
func TestStepKeepsItsPromises(t *testing.T) {
	verdicts := []v1alpha1.Verdict{crashed, hangs, proxyDown, downAndHeld, tooEarly}
	rapid.Check(t, func(t *rapid.T) {
		r := newRig()
		var automatic []v1alpha1.Recovery
		var cooldowns []time.Duration
		stopped := false // by us, and not started again
		check := func() {
			rec := r.record.Recovery
			if rec.Open() && rec.Trigger == v1alpha1.TriggerAutomatic && (len(automatic) == 0 || automatic[len(automatic)-1].ID != rec.ID) {
				if n := len(automatic); n > 0 {
					if d := rec.StartedAt.Since(automatic[n-1].StartedAt); d < cooldowns[n-1] && r.record.Incident.Number == incidentOf(automatic[n-1]) {
						t.Fatalf("recoveries %s and %s start %v apart", automatic[n-1].ID, rec.ID, d)
					}
				}
				if Paused(r.app, r.now) {
					t.Fatal("a plan was begun while paused")
				}
				automatic = append(automatic, *rec)
				cooldowns = append(cooldowns, r.record.Cooldown.Length.Duration)
			}
			if i := r.record.Incident; i != nil && i.Spent > r.app.Spec.Recovery.MaxAttempts {
				t.Fatalf("%d attempts spent", i.Spent)
			}
			for _, a := range r.acts {
				switch a.Name {
				case "stop":
					stopped = true
				case "start":
					if !stopped {
						t.Fatal("two starts without a stop")
					}
				}
				if r.record.Phase != v1alpha1.PhaseRecovering {
					t.Fatalf("step %s in phase %s", a.Name, r.record.Phase)
				}
			}
			if r.record.Phase != r.record.ObservedPhase {
				t.Fatal("phase and observedPhase differ")
			}
			if stopped && MayEnd(&r.record) {
				t.Fatal("it may end although it has stopped the application")
			}
		}
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			r.judge.verdict = verdicts[rapid.IntRange(0, len(verdicts)-1).Draw(t, "verdict")]
			if stopped && !r.judge.verdict.Down {
				r.judge.verdict = crashed // what was stopped is down
			}
			wait := time.Duration(rapid.IntRange(0, 400).Draw(t, "wait")) * time.Second
			switch rapid.SampledFrom([]string{"look", "look", "look", "work", "work", "order", "pause", "die", "end"}).Draw(t, "what") {
			case "look":
				if r.record.Recovery.Open() {
					continue
				}
				status := []metav1.ConditionStatus{yes, no, maybe}
				r.see(wait, rapid.SampledFrom(status).Draw(t, "local"), rapid.SampledFrom(status).Draw(t, "public"))
			case "work":
				if rec := r.record.Recovery; rec.Open() && rec.Step != "" {
					step := rec.Step
					outcome := rapid.SampledFrom([]v1alpha1.StepOutcome{v1alpha1.StepDone, v1alpha1.StepFailed, v1alpha1.StepSkipped}).Draw(t, "outcome")
					r.finish(wait/10, outcome)
					if step == "start" && (outcome != v1alpha1.StepFailed || r.record.Recovery.Step != "start") {
						stopped = false // or it was tried twice in vain
					}
				}
			case "order":
				phase := rapid.SampledFrom([]v1alpha1.Phase{v1alpha1.PhaseHealthy, v1alpha1.PhaseFailed, v1alpha1.PhaseRecovering}).Draw(t, "order")
				r.step(Input{Order: &state.Order{Phase: phase, Force: wait > time.Minute}, Busy: r.record.Recovery.Open()})
			case "pause":
				r.app.Spec.Paused = !r.app.Spec.Paused
				r.step(Input{Look: true, Busy: r.record.Recovery.Open()})
			case "die":
				open := r.record.Recovery.Open()
				r.recent = nil
				r.now = r.now.Add(wait)
				r.step(Input{Started: true})
				check()
				if open {
					r.see(0, no, no)
				}
			case "end":
				r.step(Input{Ending: true, Busy: r.record.Recovery.Open()})
			}
			check()
		}
	})
}

func incidentOf(rec v1alpha1.Recovery) int64 {
	var n int64
	for _, c := range rec.ID {
		if c == '-' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

func TestStepChangesNothingThatItIsGiven(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	before := r.record.DeepCopy()
	Step(r.judge, pass.Case{App: r.app, Record: r.record, Recent: r.recent, Now: r.now.Add(time.Second)},
		Input{Done: &pass.StepResult{Step: "stop", Outcome: v1alpha1.StepDone}})
	if before.Recovery.Step != r.record.Recovery.Step || len(before.Recovery.Steps) != len(r.record.Recovery.Steps) {
		t.Fatal("Step changed the record that it was given")
	}
}
