package controller

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

// answers are the answers of one check, the oldest first: + well, - not, ? not asked, . the last one carried over, and a
// blank where the check was not there.
func answers(text string) []v1alpha1.Observation {
	var list []v1alpha1.Observation
	last := v1alpha1.CheckResult{}
	for n, r := range text {
		now := at(time.Duration(n) * time.Second)
		o := v1alpha1.Observation{At: now}
		status := map[rune]metav1.ConditionStatus{'+': yes, '-': no, '?': maybe}[r]
		switch r {
		case '.':
			o.Results = append(o.Results, last)
		case ' ':
		default:
			last = v1alpha1.CheckResult{Check: "local", Status: status, At: now, Required: true, Leading: true}
			o.Results = append(o.Results, last)
		}
		list = append(list, o)
	}
	return list
}

func TestWhenACheckIsFailing(t *testing.T) {
	for text, want := range map[string]bool{
		"":             false,
		"-":            false,
		"--":           false,
		"---":          true,
		"+---":         true,
		"--+":          false, // it succeeds now
		"---+":         false,
		"--+-":         false,
		"-.-.":         false, // carried over: asked twice
		"-...":         false,
		"-.-.-":        true,
		"-?-?-":        true, // not asked neither breaks a row
		"--??":         false,
		"--?":          false, // nor lengthens it
		"- - -":        true,
		"+-+-+-+-+-":   true,  // half of the last ten
		"-+-+-+-+--":   true,  // more than half, and two in a row
		"++++++++--":   false, // two of ten
		"+++++----":    true,
		"++-+-+-+-+-":  true, // eleven: the oldest does not count
		"-+++-+-+-+-":  false,
		"---------+":   false,
		"+-+-+-+-+":    false,
		"-+-+-+-+-":    false, // nine times asked: not ten yet
		"+?-?+?-?+?-":  false,
		"-++-++-++-++": false,
	} {
		if got := failing(answers(text), "local", 3); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if !failing(answers("+-"), "local", 1) || failing(answers("---"), "other", 1) {
		t.Error("one in a row, or another check")
	}
}

func TestWhenAFailureIsNotTheOneThatWasHeldFor(t *testing.T) {
	for _, tc := range []struct {
		reasons string // of each look, the oldest first; + is well, ? not asked, and a blank where the check was not there
		want    bool
	}{
		{"AAAB", false}, {"AAABB", false}, {"AAABBB", true}, {"BBB", true}, {"BB", false},
		{"AB?BB", true}, {"+BB", false}, {"B+BB", false}, {"ABAB", true}, {"AABAAB", true}, {"AAB", false}, {"BAB", false},
		{"A?AA", true}, {"A AA", true}, {"B+B+B", false},
	} {
		var recent []v1alpha1.Observation
		var now v1alpha1.CheckResult
		for n, r := range tc.reasons {
			o := seen(at(time.Duration(n)*time.Second), no, yes)
			res := &o.Results[0]
			switch res.Reason = string(r); r {
			case '+':
				res.Status = yes
			case '?':
				res.Status = maybe
			case ' ':
				o.Results = nil
				recent = append(recent, o)
				continue
			}
			now = *res
			recent = append(recent, o, o) // each carried over once
		}
		if got := failingAnew(recent, &now, 3); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.reasons, got, tc.want)
		}
	}
}

// decideOn asks Decide of a record on one look that is certain.
func decideOn(r v1alpha1.AppStatus, v v1alpha1.Verdict, change func(c *pass.Case)) Decision {
	v.Certain = true
	c := &pass.Case{App: newApp(), Record: r, Now: at(time.Hour), Recent: []v1alpha1.Observation{seen(at(time.Hour), no, no)}}
	if change != nil {
		change(c)
	}
	return Decide(&fakeJudge{verdict: v}, c, &v)
}

// TestWhatStandsAgainstActingIsSaid: nothing is held back in silence.
func TestWhatStandsAgainstActingIsSaid(t *testing.T) {
	ago := at(time.Hour).Add(-time.Hour)
	last := v1alpha1.NewWait(at(time.Hour).Add(1-5*time.Minute), 5*time.Minute) // its last moment
	cooling := v1alpha1.NewWait(at(time.Hour).Add(-time.Minute), 5*time.Minute)
	until := metav1.NewTime(epoch.Add(2 * time.Hour))
	over := &v1alpha1.Hold{Rule: downAndHeld.Rule, Since: ago}
	tried := &v1alpha1.Hold{Rule: downAndHeld.Rule, Since: ago, LimitSpent: true}
	endless := proxyDown
	endless.AtLimit = "no limit: it heals by itself; the alert is repeated every hour"
	spent := &v1alpha1.Incident{Spent: 3}
	paused := func(c *pass.Case) { c.App.Spec.Paused, c.App.Spec.PauseReason = true, "moving house" }
	for _, tc := range []struct {
		name   string
		record v1alpha1.AppStatus
		v      v1alpha1.Verdict
		change func(c *pass.Case)
		reason string
		says   string
	}{
		{"the cooldown", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Cooldown: cooling, CooldownUntil: &until}, crashed, nil, BlockedCooldown, "5m0s"},
		{"the cooldown, at the end of a hold", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Cooldown: cooling, Hold: over}, downAndHeld, nil, BlockedCooldown, "5m0s"},
		{"the cooldown, in Cooldown", v1alpha1.AppStatus{Phase: v1alpha1.PhaseCooldown, Cooldown: cooling}, crashed, nil, BlockedCooldown, "5m0s"},
		{"the last moment of the cooldown", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Cooldown: last}, crashed, nil, BlockedCooldown, "5m0s"},
		{"the last moment of the cooldown, at the end of a hold", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Cooldown: last, Hold: over}, downAndHeld, nil, BlockedCooldown, "5m0s"},
		{"a pause", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded}, crashed, paused, BlockedPaused, "moving house"},
		{"a pause, at the end of a hold", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Hold: over}, downAndHeld, paused, BlockedPaused, "moving house"},
		{"a hold", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded}, downAndHeld, nil, BlockedHold, "or at its limit, when one plain recovery is tried"},
		{"a hold without a limit", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded}, proxyDown, nil, BlockedHold, "it ends when its cause ends"},
		{"a hold without a limit, in its rule's words", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded}, endless, nil, BlockedHold, "; the alert is repeated every hour"},
		{"a hold whose limit is over", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Hold: tried}, downAndHeld, nil, BlockedHold, "at which one recovery was tried"},
		{"a hold with no attempts left", v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Hold: over, Incident: spent}, downAndHeld, nil, BlockedHold, "no attempt is left"},
		{"the budget", v1alpha1.AppStatus{Phase: v1alpha1.PhaseFailed, Incident: spent}, crashed, nil, BlockedFailed, "after a reset"},
		{"a stand-down", v1alpha1.AppStatus{Phase: v1alpha1.PhaseFailed, StoodDown: true}, crashed, nil, BlockedStoodDown, "stood evenkeel down"},
	} {
		d := decideOn(tc.record, tc.v, tc.change)
		if d.Event != "" || d.Blocked == nil || d.Blocked.Reason != tc.reason || !strings.Contains(d.Blocked.Message, tc.says) {
			t.Errorf("%s: event %q, blocked %+v", tc.name, d.Event, d.Blocked)
		}
	}
}

// TestAHoldWithoutALimitNeverEndsInARecovery, also where the verdict speaks of one at its limit.
func TestAHoldWithoutALimitNeverEndsInARecovery(t *testing.T) {
	v := downAndHeld
	v.HoldLimit.Duration = 0
	for _, since := range []time.Duration{0, time.Hour} {
		d := decideOn(v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Hold: &v1alpha1.Hold{Rule: v.Rule, Since: at(since)}}, v, nil)
		if d.Event != "" || d.Hold == nil || d.Hold.Until != nil {
			t.Errorf("held for %s: event %q, hold %+v", time.Hour-since, d.Event, d.Hold)
		}
	}
}

// TestAHoldThatIsOverIsLetGo, but for one whose limit is spent: that is not tried twice.
func TestAHoldThatIsOverIsLetGo(t *testing.T) {
	for _, spent := range []bool{false, true} {
		d := decideOn(v1alpha1.AppStatus{Phase: v1alpha1.PhaseDegraded, Hold: &v1alpha1.Hold{Rule: "r", Since: at(0), LimitSpent: spent}}, crashed, nil)
		if (d.Hold != nil) != spent || d.Event != "Recover" {
			t.Errorf("limit spent %v: hold %v, event %q", spent, d.Hold, d.Event)
		}
	}
}

// TestFailedIsRestoredAtTheEdge of what has to be proven.
func TestFailedIsRestoredAtTheEdge(t *testing.T) {
	for _, short := range []time.Duration{0, 1} {
		c := &pass.Case{App: newApp(), Now: at(time.Hour), Recent: []v1alpha1.Observation{seen(at(time.Hour), yes, yes)}}
		c.App.Spec.Recovery.LeaveFailed = v1alpha1.LeaveFailedWhenHealthy
		proven := metav1.Duration{Duration: c.App.Spec.Recovery.ProvenAfter.Duration - short}
		c.Record = v1alpha1.AppStatus{Phase: v1alpha1.PhaseFailed, Incident: &v1alpha1.Incident{Spent: 3, Proven: proven}}
		if d := Decide(&fakeJudge{}, c, &v1alpha1.Verdict{}); (d.Event == "Restore") != (short == 0) {
			t.Errorf("%s are proven: event %q", proven.Duration, d.Event)
		}
	}
}

// TestOnlyRequiredChecksConfirm what is not the application's own fault.
func TestOnlyRequiredChecksConfirm(t *testing.T) {
	for _, required := range []bool{true, false} {
		c := &pass.Case{App: newApp(), Now: at(time.Minute)}
		for n := range 3 {
			o := seen(at(time.Duration(n)*time.Second), yes, no)
			o.Results[1].Required = required
			c.Recent = append(c.Recent, o)
		}
		if got := confirmed(c, &proxyDown); got != required {
			t.Errorf("required %v: confirmed %v", required, got)
		}
	}
	if confirmed(&pass.Case{App: newApp()}, &hangs) || confirmed(&pass.Case{App: newApp()}, &tooEarly) {
		t.Error("confirmed without a look")
	}
}
