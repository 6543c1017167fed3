package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// told takes what was told since the last time, as kind and blame.
func (r *rig) told() string {
	var list []string
	for _, a := range r.alerts {
		list = append(list, string(a.Kind)+"/"+string(a.Blame))
	}
	r.alerts = nil
	return strings.Join(list, " ")
}

func (r *rig) wantTold(t *testing.T, when, want string) {
	t.Helper()
	if got := r.told(); got != want {
		t.Errorf("%s: told %q, want %q", when, got, want)
	}
}

// degradedBy is a rig in Degraded because of that verdict, with its alert told already.
func degradedBy(v v1alpha1.Verdict, local metav1.ConditionStatus) *rig {
	r := newRig()
	v.Certain = true
	r.judge.verdict = v
	r.see(0, local, no)
	r.alerts = nil
	return r
}

func TestOneTransitionAndBlameIsToldOnce(t *testing.T) {
	r := newRig()
	r.app.Spec.Paused = true
	r.see(0, no, no)
	r.wantTold(t, "a crash", "Degraded/App")
	r.see(time.Minute, no, no)
	r.wantTold(t, "still the same", "")
	other := hangs
	other.Blame, other.Certain = v1alpha1.BlamePort, true // its own orphan, say
	r.judge.verdict = other
	r.see(time.Minute, no, no)
	r.wantTold(t, "another failure of its own", "")
	r.judge.verdict = proxyDown
	for range 3 {
		r.see(time.Minute, yes, no)
	}
	r.wantTold(t, "the proxy", "Degraded/Proxy")
	r.judge.verdict = tooEarly
	r.see(time.Minute, no, no)
	r.wantTold(t, "too early to say", "")
	r.see(time.Minute, yes, yes)
	if len(r.alerts) != 1 || r.alerts[0].Duration.Duration != 7*time.Minute || r.alerts[0].Incident != 1 || !strings.Contains(r.alerts[0].Message, "began 7m0s ago; 0 recoveries") {
		t.Errorf("%+v", r.alerts)
	}
	r.wantTold(t, "well again", "Resolved/App")
	r.see(time.Minute, yes, yes)
	r.wantTold(t, "still well", "")
}

// TestAnAlertSaysOfWhomAndWhenAndInWhichPhase it is.
func TestAnAlertSaysOfWhomAndWhenAndInWhichPhase(t *testing.T) {
	r := newRig()
	r.app.Spec.Paused = true
	r.see(time.Minute, no, no)
	if len(r.alerts) != 1 {
		t.Fatalf("%d alerts", len(r.alerts))
	}
	if a := r.alerts[0]; a.App != "site" || a.Time != at(time.Minute).Wall || a.Phase != v1alpha1.PhaseDegraded {
		t.Errorf("%+v", a)
	}
}

func TestFlapsAreToldOnceAnHour(t *testing.T) {
	r := newRig()
	r.app.Spec.Paused = true
	r.app.Spec.Recovery.ProvenAfter.Duration = 24 * time.Hour
	var told []string
	for range 10 { // every twenty minutes it fails and is well again
		r.judge.verdict = crashed
		r.see(10*time.Minute, no, no)
		r.see(10*time.Minute, yes, yes)
		told = append(told, r.told())
	}
	want := []string{
		"Degraded/App Resolved/App", "Flapping/App Resolved/App", "", "", "Flapping/App Resolved/App", "", "", "Flapping/App Resolved/App", "", "",
	}
	if !slices.Equal(told, want) {
		t.Errorf("%q", told)
	}
}

func TestOnlyAnApplicationThatIsDownIsRemindedOf(t *testing.T) {
	stranger := proxyDown
	stranger.Stranger = true
	for _, tc := range []struct {
		name  string
		v     v1alpha1.Verdict
		local metav1.ConditionStatus
		want  string
	}{
		{"down and held", downAndHeld, no, "Reminder/Deploy"},
		{"down and held, though something answers", downAndHeld, yes, "Reminder/Deploy"},
		{"it does not answer", proxyDown, no, "Reminder/Proxy"},
		{"a stranger answers", stranger, yes, "Reminder/Proxy"},
		{"it answers", proxyDown, yes, ""},
	} {
		r := degradedBy(tc.v, tc.local)
		r.record.Hold.LimitSpent = true // nothing is tried
		for minutes := range 119 {
			if minutes == 58 {
				r.wantTold(t, tc.name+", a minute before the hour", "")
			}
			r.see(time.Minute, tc.local, no)
			if minutes == 59 {
				r.wantTold(t, tc.name+", after an hour", tc.want)
			}
		}
		r.wantTold(t, tc.name+", until the next hour", "")
		r.see(time.Minute, tc.local, no)
		r.wantTold(t, tc.name+", after two hours", tc.want)
	}
}

func TestAHoldInCooldownIsToldWhenItIsConfirmed(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	r.recover(v1alpha1.StepDone)
	r.told()
	r.judge.verdict = proxyDown
	for n := range 2 {
		r.see(time.Second, yes, no)
		r.wantTold(t, "after "+string(rune('1'+n))+" looks", "")
	}
	r.see(time.Second, yes, no)
	r.wantTold(t, "after three looks", "Degraded/Proxy")
	if r.record.Phase != v1alpha1.PhaseCooldown {
		t.Errorf("phase %s", r.record.Phase)
	}
	r.judge.verdict = tooEarly
	r.see(time.Second, no, no)
	r.wantTold(t, "too early to say", "")
}

func TestInFailedNobodyIsToldTwiceAndHealthIsRemindedOf(t *testing.T) {
	r := newRig()
	r.record.LastIncident = 1
	r.record.Phase = v1alpha1.PhaseDegraded
	r.record.Incident = &v1alpha1.Incident{Number: 1, Spent: 3, StartedAt: at(0), Blame: v1alpha1.BlameApp}
	r.see(time.Minute, no, no)
	if len(r.alerts) != 1 || r.alerts[0].Duration.Duration != time.Minute || !slices.ContainsFunc(r.alerts[0].Next, func(n string) bool { return strings.Contains(n, "evenkeel reset site") }) {
		t.Errorf("%+v", r.alerts)
	}
	r.wantTold(t, "given up", "Failed/App")
	for range 100 {
		r.see(time.Minute, no, no)
	}
	r.wantTold(t, "still failing", "")
	well := func(minutes int) {
		for range minutes {
			r.see(time.Minute, yes, yes)
		}
	}
	well(30)
	if !r.said(v1alpha1.ReasonHeld, "nobody protects this site") {
		t.Error("nothing is journalled")
	}
	r.see(time.Minute, no, no)
	well(60)
	r.wantTold(t, "well for less than an hour, twice", "")
	well(1)
	r.wantTold(t, "well for an hour", "Reminder/None")
	well(59)
	r.wantTold(t, "until the next hour", "")
	well(1)
	r.wantTold(t, "well for two hours", "Reminder/None")

	r = newRig() // stood down: he knows
	r.record.Phase, r.record.StoodDown = v1alpha1.PhaseFailed, true
	r.record.Incident = &v1alpha1.Incident{Number: 1, StartedAt: at(0)}
	r.see(time.Minute, no, no)
	r.wantTold(t, "stood down", "")

	r = newRig() // without an incident there is nothing to tell of
	r.record.Phase = v1alpha1.PhaseFailed
	for range 70 {
		r.see(time.Minute, yes, yes)
	}
	r.wantTold(t, "no incident", "")
}

func TestAVerdictIsJournalledWhenItChanges(t *testing.T) {
	count := func(r *rig, kind string) int {
		n := 0
		for _, e := range r.events {
			if e.Reason == v1alpha1.ReasonVerdict && e.Type == kind {
				n++
			}
		}
		return n
	}
	r := newRig()
	r.app.Spec.Paused = true
	r.judge.verdict = tooEarly
	for range 3 {
		r.see(time.Minute, no, no)
	}
	if n := count(r, v1alpha1.EventNormal); n != 1 || r.record.Verdict == nil {
		t.Errorf("a wait: %d times, verdict %v", n, r.record.Verdict)
	}
	otherBlame, otherRemedy, otherRule := proxyDown, proxyDown, proxyDown
	otherBlame.Blame, otherRemedy.Remedy, otherRule.Rule = v1alpha1.BlameDNS, v1alpha1.RemedyRecover, "dns"
	for n, v := range []v1alpha1.Verdict{proxyDown, otherBlame, proxyDown, otherRemedy, proxyDown, otherRule} {
		for range 2 {
			r.judge.verdict = v
			r.see(time.Minute, yes, no)
		}
		if got := count(r, v1alpha1.EventWarning); got != n+1 {
			t.Errorf("after %d changes it was journalled %d times", n+1, got)
		}
	}
	r.see(time.Minute, yes, yes)
	if r.record.Verdict != nil {
		t.Errorf("well, and the verdict is %+v", r.record.Verdict)
	}
}

// TestWhatWasWellIsToldOfAsAFlap, for its own blame, once in a failure; another blame is told as what it is.
func TestWhatWasWellIsToldOfAsAFlap(t *testing.T) {
	r := newRig()
	r.app.Spec.Paused = true
	r.app.Spec.Recovery.ProvenAfter.Duration = 24 * time.Hour
	proxy := proxyDown
	proxy.Certain = true
	see := func(v v1alpha1.Verdict, local, public metav1.ConditionStatus) {
		r.judge.verdict = v
		r.see(time.Minute, local, public)
	}
	for _, step := range []struct {
		when   string
		v      v1alpha1.Verdict
		status metav1.ConditionStatus // of local; public does not hold where something is wrong
		want   string
	}{
		{"it crashes", crashed, no, "Degraded/App"},
		{"it is well", crashed, yes, "Resolved/App"},
		{"it crashes again", crashed, no, "Flapping/App"},
		{"still down", crashed, no, ""},
		{"the proxy fails, too", proxy, no, "Degraded/Proxy"},
		{"all is well", proxy, yes, "Resolved/App"},
		{"the proxy again", proxy, no, "Flapping/Proxy"},
		{"all is well once more", proxy, yes, "Resolved/App"},
	} {
		public := no
		if step.status == yes {
			public = yes
		}
		see(step.v, step.status, public)
		r.wantTold(t, step.when, step.want)
	}
	see(crashed, no, no) // within the hour: nothing is said of it
	r.wantTold(t, "it crashes within the hour", "")
	for range 70 {
		see(crashed, no, no)
	}
	if got := r.told(); got != "Flapping/App" {
		t.Errorf("down for longer than the hour: told %q", got)
	}
	for range 60 {
		see(crashed, no, no)
	}
	r.wantTold(t, "down for an hour since then", "Reminder/App")
	for range 24 * 60 {
		see(crashed, no, no)
	}
	if n := len(r.record.Incident.Alerts); n > 6 {
		t.Errorf("%d alerts are kept of five kinds", n)
	}
}

func TestANewBlameAfterHealthIsNoFlap(t *testing.T) {
	r := newRig()
	r.app.Spec.Paused = true
	proxy := proxyDown
	proxy.Certain = true
	for _, step := range []struct {
		v     v1alpha1.Verdict
		local metav1.ConditionStatus
		want  string
	}{{crashed, no, "Degraded/App"}, {crashed, yes, "Resolved/App"}, {proxy, no, "Degraded/Proxy"}, {crashed, no, "Degraded/App"}} {
		r.judge.verdict = step.v
		r.see(time.Minute, step.local, step.local)
		r.wantTold(t, string(step.v.Blame)+" is "+string(step.local), step.want)
	}
	busy := tooEarly
	busy.Blame = v1alpha1.BlameRuntime
	r.judge.verdict = busy
	r.see(time.Minute, no, no)
	r.wantTold(t, "too early to say", "")
}

// TestALeadingCheckThatCannotBeAskedIsNotForgotten once it was ten minutes.
func TestALeadingCheckThatCannotBeAskedIsNotForgotten(t *testing.T) {
	r := newRig()
	r.judge.verdict = tooEarly
	for range 30 {
		r.see(time.Minute, maybe, yes)
	}
	if u := r.record.Unknown; len(u) != 1 || r.now.Since(u[0].Since) != 29*time.Minute {
		t.Errorf("%+v", u)
	}
}

// TestAnotherBlameIsToldAtItsSecondLook: as things come back one after the other, a look may blame whoever comes first.
func TestAnotherBlameIsToldAtItsSecondLook(t *testing.T) {
	network := proxyDown
	network.Blame, network.Reason = v1alpha1.BlameNetwork, "NotReachableFromOutside"
	r := degradedBy(proxyDown, yes)
	r.judge.verdict = network
	r.see(time.Minute, yes, no)
	r.wantTold(t, "for one look", "")
	r.judge.verdict = proxyDown
	r.see(time.Minute, yes, no)
	r.wantTold(t, "the proxy again", "")
	if got := r.record.Incident.Blames; !slices.Equal(got, []v1alpha1.Blame{v1alpha1.BlameProxy}) {
		t.Errorf("blamed %v", got)
	}
	r.judge.verdict = network
	r.see(time.Minute, yes, no)
	r.wantTold(t, "the network, at first", "")
	r.see(time.Minute, yes, no)
	r.wantTold(t, "the network, once more", "Degraded/Network")
	if got := r.record.Incident.Blames; !slices.Equal(got, []v1alpha1.Blame{v1alpha1.BlameProxy, v1alpha1.BlameNetwork}) {
		t.Errorf("blamed %v", got)
	}

	down := proxyDown
	down.Blame, down.Down = v1alpha1.BlameConfig, true
	r = degradedBy(proxyDown, yes)
	r.judge.verdict = down
	r.see(time.Minute, no, no)
	r.wantTold(t, "down", "Degraded/Config")

	r = newRig()
	r.judge.verdict = proxyDown
	r.see(0, yes, no)
	r.see(time.Minute, yes, no)
	r.wantTold(t, "not confirmed", "")
	r.judge.verdict = network
	r.see(time.Minute, yes, no)
	r.wantTold(t, "what is wrong is told first, whoever was blamed before", "Degraded/Network")
}
