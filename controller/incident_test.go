package controller

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

// afterAnAttempt is a rig in Healthy whose incident has one attempt that held.
func afterAnAttempt() *rig {
	r := newRig()
	r.see(0, no, no)
	r.recover(v1alpha1.StepDone)
	r.see(time.Second, yes, yes)
	r.see(5*time.Minute, yes, yes)
	if r.record.Phase != v1alpha1.PhaseHealthy || r.record.Incident == nil {
		panic("it is not Healthy with an open incident")
	}
	r.record.Incident.Proven, r.record.Incident.ProvenAt = metav1.Duration{}, nil
	return r
}

// said tells whether an event with that reason holds that text.
func (r *rig) said(reason, text string) bool {
	for _, e := range r.events {
		if e.Reason == reason && strings.Contains(e.Message, text) {
			return true
		}
	}
	return false
}

func TestAnIncidentIsClosedWhenHealthIsProven(t *testing.T) {
	for _, after := range []time.Duration{30 * time.Minute, 31 * time.Minute} { // written down in tenths; the rest counts, too
		r := afterAnAttempt()
		r.app.Spec.Recovery.ProvenAfter.Duration = after
		r.see(time.Minute, yes, yes) // from here on
		for n := range int(after / time.Minute) {
			if r.record.Incident == nil {
				t.Fatalf("closed after %d minutes of %s", n, after)
			}
			if p := r.record.Incident.Proven.Duration; n == 3 && after == 30*time.Minute && p != 3*time.Minute {
				t.Errorf("%s are written down after three minutes", p)
			}
			r.see(time.Minute, yes, yes)
		}
		if r.record.Incident != nil || !r.said(v1alpha1.ReasonIncidentClosed, "is closed") {
			t.Errorf("not closed after %s", after)
		}
	}
}

func TestWhatWasProvenIsLostByAFailureOfItsOwnOnly(t *testing.T) {
	own := tooEarly
	own.OwnFault = true
	for _, tc := range []struct {
		name    string
		verdict v1alpha1.Verdict
		local   metav1.ConditionStatus
		looks   int
		want    time.Duration // of the twenty minutes before, and of the looks
	}{
		{"a crash", crashed, no, 1, 0},
		{"a hang that is confirmed", hangs, no, 3, 0},
		{"one slow answer", hangs, no, 1, 20 * time.Minute},
		{"a proxy that fails", proxyDown, yes, 3, 23 * time.Minute},
		{"a proxy that fails, and no answer", proxyDown, no, 3, 20 * time.Minute},
		{"too early to say, though it answers", own, yes, 3, 23 * time.Minute},
	} {
		r := afterAnAttempt()
		r.app.Spec.Paused = true // nothing begins, which would begin anew by itself
		for range 21 {
			r.see(time.Minute, yes, yes)
		}
		r.judge.verdict = tc.verdict
		for range tc.looks {
			r.see(time.Minute, tc.local, no)
		}
		if got := proven(r.record.Incident, r.now); got != tc.want {
			t.Errorf("%s: %s are proven, want %s", tc.name, got, tc.want)
		}
	}
}

func TestWhatBecameOfAnAttemptIsJournalled(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.recover(v1alpha1.StepFailed)
	r.see(time.Second, no, no)
	if !r.said(v1alpha1.ReasonAttemptSpent, "1 of 3 are spent") {
		t.Error("nothing is said of the attempt that failed")
	}
	r = newRig()
	r.see(0, no, no)
	r.recover(v1alpha1.StepDone)
	r.see(6*time.Minute, yes, yes)
	if !r.said(v1alpha1.ReasonAttemptHeld, "held for its cooldown") {
		t.Error("nothing is said of the attempt that held")
	}
	r = newRig()
	r.see(0, no, no)
	r.judge.verdict = proxyDown
	r.recover(v1alpha1.StepFailed)
	r.see(6*time.Minute, yes, yes)
	if !r.said(v1alpha1.ReasonAttemptHeld, "blamed on others") {
		t.Error("nothing is said of the attempt that was excused")
	}
}

func TestACheckThatCannotBeAskedIsToldAfterTenMinutes(t *testing.T) {
	r := newRig()
	r.judge.verdict = tooEarly
	r.see(0, yes, maybe)
	for n := range 10 {
		if len(r.alerts) > 0 {
			t.Fatalf("told after %d minutes", n)
		}
		r.see(time.Minute, yes, maybe)
	}
	if len(r.alerts) != 1 || r.alerts[0].Kind != v1alpha1.AlertUnknown || r.alerts[0].Duration.Duration != 10*time.Minute {
		t.Errorf("after ten minutes: %+v", r.alerts)
	}
	for range 49 {
		r.see(time.Minute, yes, maybe)
	}
	if len(r.alerts) != 1 {
		t.Errorf("told %d times", len(r.alerts))
	}
	for range 24 * 60 {
		r.see(time.Minute, yes, maybe)
	}
	if len(r.alerts) != 2 || r.alerts[1].Reason != v1alpha1.ReasonStillUnknown || r.alerts[1].Duration.Duration != time.Hour {
		t.Errorf("within the day after an hour: %+v", r.alerts)
	}
}

// TestAnOperatorsStopIsRespectedOnceMore after the application was started at the limit of that hold: until something has come of
// that start the limit stays spent.
func TestAnOperatorsStopIsRespectedOnceMore(t *testing.T) {
	stop := downAndHeld
	stop.Rule, stop.Blame = "operator-stop", v1alpha1.BlameOperator
	for _, tc := range []struct {
		name string
		v    v1alpha1.Verdict
		old  v1alpha1.Hold
		kept bool
	}{
		{"nothing has come of the start", stop, v1alpha1.Hold{Rule: stop.Rule, Blame: stop.Blame, LimitSpent: true}, true},
		{"it comes and goes now", crashed, v1alpha1.Hold{Rule: stop.Rule, Blame: stop.Blame, LimitSpent: true}, false},
		{"its limit is not spent", crashed, v1alpha1.Hold{Rule: stop.Rule, Blame: stop.Blame}, true},
		{"it comes and goes under a hold of another's", crashed, v1alpha1.Hold{Rule: "held", Blame: v1alpha1.BlameDatabase, LimitSpent: true}, true},
	} {
		c := &pass.Case{App: newApp(), Now: at(0), Recent: []v1alpha1.Observation{seen(at(0), no, no)},
			Record: v1alpha1.AppStatus{Phase: v1alpha1.PhaseCooldown, Hold: &tc.old, Cooldown: v1alpha1.NewWait(at(0), time.Minute)}}
		if d := Decide(&fakeJudge{verdict: tc.v}, c, &tc.v); (d.Hold != nil) != tc.kept {
			t.Errorf("%s: hold %+v, want it kept: %v", tc.name, d.Hold, tc.kept)
		}
	}
}

// TestAHoldFromBeforeARecoveryThatWorkedIsOver once the application fails again, though nobody has seen it well meanwhile: evenkeel
// may have been started anew.
func TestAHoldFromBeforeARecoveryThatWorkedIsOver(t *testing.T) {
	ended := at(0)
	for _, tc := range []struct {
		name  string
		since time.Duration // of the hold, after the recovery has ended
		rec   v1alpha1.Recovery
		lead  metav1.ConditionStatus
		kept  bool
	}{
		{"from before it", -time.Nanosecond, v1alpha1.Recovery{FinishedAt: &ended, Verified: true}, no, false},
		{"since its end", 0, v1alpha1.Recovery{FinishedAt: &ended, Verified: true}, no, true},
		{"from before one that failed", -time.Hour, v1alpha1.Recovery{FinishedAt: &ended}, no, true},
		{"from before one that has not ended", -time.Hour, v1alpha1.Recovery{Verified: true}, no, true},
		{"it still answers", -time.Hour, v1alpha1.Recovery{FinishedAt: &ended, Verified: true}, yes, true},
	} {
		now := ended.Add(time.Minute)
		c := &pass.Case{App: newApp(), Now: now, Recent: []v1alpha1.Observation{seen(now, tc.lead, no)}, Record: v1alpha1.AppStatus{
			Phase: v1alpha1.PhaseCooldown, Recovery: &tc.rec, Hold: &v1alpha1.Hold{Rule: downAndHeld.Rule, Since: ended.Add(tc.since)},
		}}
		if d := Decide(&fakeJudge{verdict: downAndHeld}, c, &downAndHeld); (d.Hold != nil) != tc.kept {
			t.Errorf("%s: hold %+v, want it kept: %v", tc.name, d.Hold, tc.kept)
		}
	}
}

func TestWhatEndsAHoldIsSaid(t *testing.T) {
	until := metav1.NewTime(at(0).Wall.Time)
	limited := &v1alpha1.Verdict{AtLimit: "evenkeel says so again"}
	limited.HoldLimit.Duration = time.Nanosecond
	for _, tc := range []struct {
		hold     v1alpha1.Hold
		v        *v1alpha1.Verdict
		attempts bool
		want     string
	}{
		{v1alpha1.Hold{Until: &until}, limited, false, "it ends when its cause ends, since no attempt is left for its limit"},
		{v1alpha1.Hold{Until: &until}, limited, true, "it ends when its cause ends, or at its limit, when one plain recovery is tried"},
		{v1alpha1.Hold{LimitSpent: true}, limited, false, "it ends when its cause ends; its limit is over, at which one recovery was tried"},
		{v1alpha1.Hold{}, nil, false, "it ends when its cause ends"},
		{v1alpha1.Hold{}, &v1alpha1.Verdict{}, false, "it ends when its cause ends"},
		{v1alpha1.Hold{}, &v1alpha1.Verdict{HoldLimit: limited.HoldLimit}, true, "it ends when its cause ends"},
		{v1alpha1.Hold{}, limited, true, "it ends when its cause ends; at its limit of 1ns: evenkeel says so again"},
		{v1alpha1.Hold{}, &v1alpha1.Verdict{AtLimit: limited.AtLimit}, true, "it ends when its cause ends; evenkeel says so again"},
	} {
		if got := HoldEnds(&tc.hold, tc.v, tc.attempts); got != tc.want {
			t.Errorf("%+v, %+v, %v: %q, want %q", tc.hold, tc.v, tc.attempts, got, tc.want)
		}
	}
}

// TestAHoldEndsAtItsLimit, to the millisecond, and says until when it lasts.
func TestAHoldEndsAtItsLimit(t *testing.T) {
	decide := func(now v1alpha1.Instant, v v1alpha1.Verdict, old *v1alpha1.Hold, before, local metav1.ConditionStatus) Decision {
		v.Certain = true
		c := &pass.Case{App: newApp(), Now: now, Record: v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Hold: old},
			Recent: []v1alpha1.Observation{seen(now.Add(-time.Second), before, no), seen(now, local, no)}}
		return Decide(&fakeJudge{verdict: v}, c, &v)
	}
	other, spent := &v1alpha1.Hold{Rule: "other", Since: at(0)}, &v1alpha1.Hold{Rule: "other", Since: at(0), LimitSpent: true}
	noBuild := downAndHeld
	noBuild.ActAtLimit = false
	operator := downAndHeld
	operator.Blame = v1alpha1.BlameOperator
	later := at(10 * time.Minute)
	for _, tc := range []struct {
		name          string
		now           v1alpha1.Instant
		v             v1alpha1.Verdict
		old           *v1alpha1.Hold
		before, local metav1.ConditionStatus
		event         string
		since         v1alpha1.Instant
		until         time.Duration // from the beginning; 0: nothing is said
	}{
		{"the first look", later, downAndHeld, nil, no, no, "", later, 40 * time.Minute},
		{"it goes on", later, downAndHeld, &v1alpha1.Hold{Rule: "held", Since: at(0)}, no, no, "", at(0), 30 * time.Minute},
		{"a moment before its limit", at(30*time.Minute - 1), downAndHeld, &v1alpha1.Hold{Rule: "held", Since: at(0)}, no, no, "", at(0), 30 * time.Minute},
		{"at its limit", at(30 * time.Minute), downAndHeld, &v1alpha1.Hold{Rule: "held", Since: at(0)}, no, no, "Recover", at(0), 30 * time.Minute},
		{"its limit is spent", at(time.Hour), downAndHeld, &v1alpha1.Hold{Rule: "held", Since: at(0), LimitSpent: true}, no, no, "", at(0), 0},
		{"another rule takes its turn", later, downAndHeld, other, no, no, "", at(0), 30 * time.Minute},
		{"another's limit is spent", later, downAndHeld, spent, no, no, "", later, 40 * time.Minute},
		{"it has answered under the other", later, downAndHeld, other, yes, yes, "", later, 40 * time.Minute},
		{"it does not answer any more", later, downAndHeld, &v1alpha1.Hold{Rule: "held", Since: at(0)}, yes, no, "", later, 40 * time.Minute},
		{"an operator has his own time", later, operator, other, no, no, "", later, 40 * time.Minute},
		{"a limit at which nothing is tried", later, noBuild, nil, no, no, "", later, 0},
		{"without a limit", later, proxyDown, nil, no, no, "", later, 0},
	} {
		d := decide(tc.now, tc.v, tc.old, tc.before, tc.local)
		if string(d.Event) != tc.event || d.Hold == nil || d.Hold.Since != tc.since {
			t.Errorf("%s: event %q, hold %+v", tc.name, d.Event, d.Hold)
			continue
		}
		switch until := d.Hold.Until; {
		case tc.until == 0 && until != nil, tc.until != 0 && (until == nil || !until.Time.Equal(epoch.Add(tc.until))):
			t.Errorf("%s: until %v, want %s from the beginning", tc.name, until, tc.until)
		}
	}
	kept := metav1.NewTime(epoch.Add(31 * time.Minute)) // what was said once is not said otherwise by a second
	if d := decide(later, downAndHeld, &v1alpha1.Hold{Rule: "held", Since: at(0), Until: &kept}, no, no); !d.Hold.Until.Equal(&kept) {
		t.Errorf("until %v, want %v", d.Hold.Until, kept)
	}
	if d := decide(later, downAndHeld, &v1alpha1.Hold{Rule: "other", Since: at(0), Until: &kept}, no, no); d.Hold.Until.Equal(&kept) {
		t.Error("another's end is kept")
	}
}

// TestACooldownGrowsToAnHour, and one that was configured for longer neither grows nor shrinks.
func TestACooldownGrowsToAnHour(t *testing.T) {
	for _, tc := range []struct {
		configured time.Duration
		flaps      int32
		want       time.Duration
	}{
		{5 * time.Minute, 0, 5 * time.Minute}, {5 * time.Minute, 1, 10 * time.Minute}, {5 * time.Minute, 3, 40 * time.Minute},
		{5 * time.Minute, 4, time.Hour}, {time.Hour, 3, time.Hour}, {2 * time.Hour, 0, 2 * time.Hour}, {2 * time.Hour, 3, 2 * time.Hour},
	} {
		spec := &v1alpha1.RecoverySpec{Cooldown: metav1.Duration{Duration: tc.configured}}
		if got := cooldownFor(spec, tc.flaps); got != tc.want {
			t.Errorf("%s after %d flaps: %s, want %s", tc.configured, tc.flaps, got, tc.want)
		}
	}
}

// What an operator stops in the cooldown of an attempt has not failed by it, unless the attempt has brought nothing up.
func TestWhatAnOperatorStopsSpendsNothing(t *testing.T) {
	for _, tc := range []struct {
		name    string
		blame   v1alpha1.Blame
		outcome v1alpha1.StepOutcome
		want    int32
	}{
		{"it had come up, and an operator stopped it", v1alpha1.BlameOperator, v1alpha1.StepDone, 0},
		{"it had not come up, and stands stopped", v1alpha1.BlameOperator, v1alpha1.StepFailed, 1},
		{"it had come up, and is held for again", v1alpha1.BlameDeploy, v1alpha1.StepDone, 1},
	} {
		r := newRig()
		r.judge.verdict = downAndHeld
		r.judge.verdict.Certain = true
		for n := 0; n < 40 && !r.record.Recovery.Open(); n++ {
			r.see(time.Minute, no, no)
		}
		wantPhase(t, r, v1alpha1.PhaseRecovering)
		r.recover(tc.outcome)
		r.judge.verdict.Rule, r.judge.verdict.Blame = "again", tc.blame
		r.see(time.Second, no, no)
		if a := r.record.Incident.Attempts; len(a) != 1 || !a[0].AtHoldLimit || r.record.Incident.Spent != tc.want {
			t.Errorf("%s: %+v, %d spent, want %d", tc.name, a, r.record.Incident.Spent, tc.want)
		}
	}
}
