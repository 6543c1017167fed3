package controller

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

// looked is a case with that many looks in a row, one a second, all the same; the last one is now.
func looked(record v1alpha1.AppStatus, looks int, local, public metav1.ConditionStatus) *pass.Case {
	c := &pass.Case{App: newApp(), Record: record, Now: at(time.Hour)}
	for n := range looks {
		c.Recent = append(c.Recent, seen(c.Now.Add(time.Duration(n-looks+1)*time.Second), local, public))
	}
	return c
}

// TestWhatFollowsInCooldown: after a recovery evenkeel gives up only for what it would act on, and what is confirmed.
func TestWhatFollowsInCooldown(t *testing.T) {
	waits := v1alpha1.NewWait(at(time.Hour), 5*time.Minute)
	instant := v1alpha1.NewWait(at(time.Hour).Add(1-5*time.Minute), 5*time.Minute)
	for _, tc := range []struct {
		name          string
		v             v1alpha1.Verdict
		looks         int
		local, public metav1.ConditionStatus
		spent         int32
		cooldown      *v1alpha1.Wait
		paused        bool
		event         string
		blocked       bool
	}{
		{"everything holds", v1alpha1.Verdict{}, 1, yes, yes, 0, nil, false, "Stabilize", false},
		{"it has crashed", crashed, 1, no, no, 0, nil, false, "Relapse", false},
		{"it has crashed, and the cooldown is not over", crashed, 1, no, no, 0, waits, false, "", true},
		{"it has crashed, in the last moment of the cooldown", crashed, 1, no, no, 0, instant, false, "", true},
		{"it has crashed, and no attempt is left", crashed, 1, no, no, 3, waits, false, "GiveUp", false},
		{"it has crashed, no attempt is left, and it is paused", crashed, 1, no, no, 3, waits, true, "", true},
		{"one slow answer", hangs, 1, no, no, 0, nil, false, "", false},
		{"one slow answer, and no attempt is left", hangs, 1, no, no, 3, waits, false, "", true},
		{"the proxy fails, and no attempt is left", proxyDown, 3, yes, no, 3, waits, false, "", true},
		{"the proxy fails, and the cooldown is over", proxyDown, 3, yes, no, 3, nil, false, "Relapse", false},
		{"too early to say", tooEarly, 3, no, no, 0, nil, false, "", false},
	} {
		c := looked(v1alpha1.AppStatus{Phase: v1alpha1.PhaseCooldown, Cooldown: tc.cooldown, Incident: &v1alpha1.Incident{Spent: tc.spent}}, tc.looks, tc.local, tc.public)
		c.App.Spec.Paused = tc.paused
		if d := Decide(&fakeJudge{}, c, &tc.v); string(d.Event) != tc.event || (d.Blocked != nil) != tc.blocked {
			t.Errorf("%s: event %q, blocked %+v", tc.name, d.Event, d.Blocked)
		}
	}
}

// TestAWaitNeitherEndsAHoldNorBeginsItsTimeAnew.
func TestAWaitNeitherEndsAHoldNorBeginsItsTimeAnew(t *testing.T) {
	hold := &v1alpha1.Hold{Rule: "held", Since: at(time.Minute)}
	d := Decide(&fakeJudge{}, looked(v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Hold: hold}, 2, no, no), &tooEarly)
	if d.Event != "" || d.Hold == nil || d.Hold.Since != hold.Since {
		t.Errorf("event %q, hold %+v", d.Event, d.Hold)
	}
}

// TestWhatConfirmsAFailure: whose failure it is says which check has to fail, and a recovery that has looked for long needs
// no more looks, where what it was for is still to blame.
func TestWhatConfirmsAFailure(t *testing.T) {
	failed, worked := &v1alpha1.Recovery{StartedAt: at(0)}, &v1alpha1.Recovery{StartedAt: at(0), Verified: true}
	atLimit := &v1alpha1.Incident{Attempts: []v1alpha1.Attempt{{AtHoldLimit: true}}}
	const cooldown, degraded = v1alpha1.PhaseCooldown, v1alpha1.PhaseDegraded
	certain := tooEarly
	certain.Certain = true
	for _, tc := range []struct {
		name          string
		record        v1alpha1.AppStatus
		v             v1alpha1.Verdict
		looks         int
		local, public metav1.ConditionStatus
		want          bool
	}{
		{"a wait, however long", v1alpha1.AppStatus{}, tooEarly, 5, no, no, false},
		{"a wait that is certain", v1alpha1.AppStatus{}, certain, 5, no, no, false},
		{"after a recovery that failed, one look", v1alpha1.AppStatus{Phase: cooldown, Recovery: failed}, hangs, 1, no, no, true},
		{"after one that worked, one look", v1alpha1.AppStatus{Phase: cooldown, Recovery: worked}, hangs, 1, no, no, false},
		{"after its cooldown, one look", v1alpha1.AppStatus{Phase: degraded, Recovery: failed}, hangs, 1, no, no, false},
		{"in Cooldown, without a recovery in the record", v1alpha1.AppStatus{Phase: cooldown}, hangs, 1, no, no, false},
		{"after a recovery that failed, another is to blame", v1alpha1.AppStatus{Phase: cooldown, Recovery: failed}, proxyDown, 1, yes, no, false},
		{"the same, at the limit of its hold", v1alpha1.AppStatus{Phase: cooldown, Recovery: failed, Incident: atLimit}, proxyDown, 1, yes, no, true},
		{"another's, and it fails itself for the first time", v1alpha1.AppStatus{}, proxyDown, 1, no, no, false},
		{"its own, and it cannot be asked", v1alpha1.AppStatus{}, hangs, 3, maybe, no, true},
		{"its own, and only the proxy was asked before", v1alpha1.AppStatus{}, hangs, 2, maybe, no, false},
	} {
		if got := confirmed(looked(tc.record, tc.looks, tc.local, tc.public), &tc.v); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}

	c := looked(v1alpha1.AppStatus{}, 3, no, no)
	c.Recent[0].Results[0].Status, c.Recent[1].Results[0].Status = yes, yes
	if !confirmed(c, &proxyDown) || confirmed(c, &hangs) {
		t.Error("three failures of the proxy and one of its own: only the proxy's is confirmed")
	}
	c = looked(v1alpha1.AppStatus{}, 3, no, no)
	c.Recent[1].Results[0].Reason = "Other"
	if !confirmed(c, &hangs) {
		t.Error("in other ways each time, and nothing is held: not confirmed")
	}
}

func TestWhetherTheLastAttemptWasAtAHoldsLimit(t *testing.T) {
	if atHoldLimit(nil) || atHoldLimit(&v1alpha1.Incident{}) {
		t.Error("at a limit without an attempt")
	}
	for _, last := range []bool{true, false} {
		if got := atHoldLimit(&v1alpha1.Incident{Attempts: []v1alpha1.Attempt{{AtHoldLimit: !last}, {AtHoldLimit: last}}}); got != last {
			t.Errorf("%v, want %v", got, last)
		}
	}
}

// TestWhichHoldsEndInARecovery: those with a limit, however short, at which something is tried.
func TestWhichHoldsEndInARecovery(t *testing.T) {
	for _, tc := range []struct {
		limit time.Duration
		tried bool
		event string
		until bool
	}{{0, true, "", false}, {1, true, "Recover", true}, {time.Minute, true, "Recover", true}, {time.Minute, false, "", false}} {
		v := downAndHeld
		v.HoldLimit.Duration, v.ActAtLimit = tc.limit, tc.tried
		d := Decide(&fakeJudge{}, looked(v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Hold: &v1alpha1.Hold{Rule: v.Rule, Since: at(0)}}, 2, no, no), &v)
		if string(d.Event) != tc.event || d.Hold == nil || (d.Hold.Until != nil) != tc.until {
			t.Errorf("limit %s, tried %v: event %q, hold %+v", tc.limit, tc.tried, d.Event, d.Hold)
		}
	}
}

// TestFailedIsNotLeftByWhatWasProvenBefore it fails now, nor where nothing was.
func TestFailedIsNotLeftByWhatWasProvenBefore(t *testing.T) {
	for _, tc := range []struct {
		incident *v1alpha1.Incident
		local    metav1.ConditionStatus
	}{{&v1alpha1.Incident{Proven: metav1.Duration{Duration: 24 * time.Hour}}, no}, {nil, yes}} {
		c := looked(v1alpha1.AppStatus{Phase: v1alpha1.PhaseFailed, Incident: tc.incident}, 1, tc.local, tc.local)
		c.App.Spec.Recovery.LeaveFailed = v1alpha1.LeaveFailedWhenHealthy
		if d := Decide(&fakeJudge{}, c, &crashed); d.Event != "" || d.Blocked == nil {
			t.Errorf("incident %+v: event %q, blocked %+v", tc.incident, d.Event, d.Blocked)
		}
	}
}

// TestWhoSpendsAnAttempt: a crash within the cooldown of a recovery that worked does; after evenkeel was stood down nothing does.
func TestWhoSpendsAnAttempt(t *testing.T) {
	for _, standsDown := range []bool{false, true} {
		r := newRig()
		r.see(0, no, no)
		r.recover(v1alpha1.StepDone)
		r.see(time.Second, yes, yes)
		want := int32(1)
		if standsDown {
			r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseFailed}})
			want = 0
		}
		r.see(time.Second, no, no)
		if got := r.record.Incident.Spent; got != want {
			t.Errorf("stood down %v: %d spent, want %d (phase %s)", standsDown, got, want, r.record.Phase)
		}
	}
}

// TestWhatWasProvenDoesNotOutliveWhatTheOperatorMends, nor does time count in which it answers and is to blame.
func TestWhatWasProvenDoesNotOutliveWhatTheOperatorMends(t *testing.T) {
	proved := func() *rig {
		r := afterAnAttempt()
		for range 21 {
			r.see(time.Minute, yes, yes)
		}
		r.judge.verdict = hangs
		return r
	}
	r := proved()
	r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseRecovering}})
	r.see(time.Minute, no, no)
	if got := proven(r.record.Incident, r.now); got != 0 || r.record.Phase != v1alpha1.PhaseRecovering {
		t.Errorf("%s are proven in %s, want nothing", got, r.record.Phase)
	}
	r = proved()
	r.see(time.Minute, yes, no)
	r.see(time.Minute, yes, no)
	if got := proven(r.record.Incident, r.now); got != 21*time.Minute {
		t.Errorf("%s are proven, want what was before the second failure", got)
	}
}

// TestWhatWasSeenBeforeTheClockRanProvesNothing.
func TestWhatWasSeenBeforeTheClockRanProvesNothing(t *testing.T) {
	r := newRig()
	from := at(10 * time.Second)
	r.record.Phase, r.record.Incident = v1alpha1.PhaseHealthy, &v1alpha1.Incident{Number: 1, ProvenAt: &from}
	r.recent, r.now = []v1alpha1.Observation{seen(at(5*time.Second), yes, yes)}, at(20*time.Second)
	r.step(Input{Ending: true})
	if got := proven(r.record.Incident, r.now); got != 10*time.Second {
		t.Errorf("%s are proven, want 10s", got)
	}
}

// TestNotAskedIsToldOnlyOfWhatIsRequired and was asked again since.
func TestNotAskedIsToldOnlyOfWhatIsRequired(t *testing.T) {
	for _, tc := range []struct {
		name              string
		required, carried bool
		want              int
	}{{"required", true, false, 1}, {"not required", false, false, 0}, {"asked once", true, true, 0}} {
		r := newRig()
		r.judge.verdict = tooEarly
		for n := range 12 {
			r.now = at(time.Duration(n) * time.Minute)
			o := seen(r.now, yes, maybe)
			o.Results[1].Required = tc.required
			if tc.carried {
				o.Results[1].At = at(0)
			}
			r.recent = append(r.recent, o)
			r.step(Input{Observed: true})
		}
		if len(r.alerts) != tc.want {
			t.Errorf("%s: told %+v", tc.name, r.alerts)
		}
	}
}

// TestInCooldownNothingIsToldThatIsMendedAfterIt: only what is held.
func TestInCooldownNothingIsToldThatIsMendedAfterIt(t *testing.T) {
	r := newRig()
	r.see(0, yes, yes)
	r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseRecovering}})
	r.see(time.Second, yes, yes)
	r.recover(v1alpha1.StepDone)
	r.see(time.Second, no, no)
	if r.record.Phase != v1alpha1.PhaseCooldown {
		t.Fatalf("phase %s", r.record.Phase)
	}
	r.wantTold(t, "a crash in the cooldown", "")
	r.see(time.Hour, no, no)
	r.wantTold(t, "when the cooldown is over", "Degraded/App")
}

// TestNobodyIsRemindedAsItIsMended: "nothing is done" would not be true.
func TestNobodyIsRemindedAsItIsMended(t *testing.T) {
	r := newRig()
	r.app.Spec.Paused = true
	r.see(0, no, no)
	r.wantTold(t, "a crash", "Degraded/App")
	r.app.Spec.Paused = false
	r.see(time.Hour, no, no)
	if r.record.Phase != v1alpha1.PhaseRecovering {
		t.Fatalf("phase %s", r.record.Phase)
	}
	r.wantTold(t, "the pause is over", "")
}

func TestRecoveriesAreCountedInWords(t *testing.T) {
	for n, want := range []string{"0 recoveries", "1 recovery", "2 recoveries"} {
		if got := recoveries(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestAnAlertSaysWhatWouldBeDone in mode Observe, where there is something to do.
func TestAnAlertSaysWhatWouldBeDone(t *testing.T) {
	for steps, want := range map[string]int{"": 0, "start": 1, "stop start": 1} {
		c := pass.Case{App: newApp()}
		c.App.Spec.Mode = v1alpha1.ModeObserve
		s := &stepper{c: c, r: &v1alpha1.AppStatus{Would: &v1alpha1.Would{Plan: "Plain", Steps: strings.Fields(steps)}}}
		if a := s.alertOf(&crashed, crashed.Message); len(a.Next) != want {
			t.Errorf("steps %q: %q", steps, a.Next)
		}
		s.tell(noticeDegraded, v1alpha1.Alert{Message: "it crashed"})
		if a := s.commands[0].(Tell).Alert; a.Message != observingOnly+"it crashed" {
			t.Errorf("told %q", a.Message)
		}
	}
}
