package main

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
	fsm "github.com/evenkeel/evenkeel/state/machine"
)

// tinyJudge is the smallest domain: one check, three steps, and the verdict that a test says.
type tinyJudge struct{ verdict v1alpha1.Verdict }

func (tinyJudge) Checks(app *v1alpha1.App) []pass.Check {
	return []pass.Check{{Name: v1alpha1.CheckLocal, Interval: app.Spec.Interval.Duration}}
}
func (j tinyJudge) Diagnose(*pass.Case) v1alpha1.Verdict { return j.verdict }
func (tinyJudge) Learn(*pass.Case) v1alpha1.Learned      { return v1alpha1.Learned{} }
func (tinyJudge) Warn(*pass.Case) []pass.Warning         { return nil }
func (tinyJudge) Plan(_ *pass.Case, _ *v1alpha1.Verdict, failed *v1alpha1.Recovery) (pass.Plan, bool) {
	return pass.Plan{Name: "Plain", Steps: []string{"stop", "start", "verify"}}, failed == nil
}
func (tinyJudge) Step(_ *v1alpha1.App, name string) pass.StepTraits {
	return pass.StepTraits{Stops: name == "stop", Starts: name == "start", Proves: name == "verify", Timeout: time.Minute}
}

// class is a class of verdicts, with what the leading check says beside it.
type class struct {
	name    string
	status  metav1.ConditionStatus
	verdict v1alpha1.Verdict
}

func classes() []class {
	limit := metav1.Duration{Duration: 30 * time.Minute}
	v := func(remedy v1alpha1.Remedy, change func(*v1alpha1.Verdict)) v1alpha1.Verdict {
		out := v1alpha1.Verdict{Rule: "r", Blame: v1alpha1.BlameApp, Reason: "R", Message: "m", Remedy: remedy}
		if change != nil {
			change(&out)
		}
		return out
	}
	return []class{
		{"well", metav1.ConditionTrue, v(v1alpha1.RemedyNone, nil)},
		{"own, certain", metav1.ConditionFalse, v(v1alpha1.RemedyRecover, func(v *v1alpha1.Verdict) { v.OwnFault, v.Certain, v.Down = true, true, true })},
		{"own, to be confirmed", metav1.ConditionFalse, v(v1alpha1.RemedyRecover, func(v *v1alpha1.Verdict) { v.OwnFault = true })},
		{"hold with a limit", metav1.ConditionFalse, v(v1alpha1.RemedyHold, func(v *v1alpha1.Verdict) {
			v.Rule, v.Blame, v.Certain, v.HoldLimit, v.ActAtLimit = "limited", v1alpha1.BlameHost, true, limit, true
		})},
		{"hold without", metav1.ConditionFalse, v(v1alpha1.RemedyHold, func(v *v1alpha1.Verdict) { v.Rule, v.Blame, v.Certain = "open", v1alpha1.BlamePort, true })},
		{"too early", metav1.ConditionUnknown, v(v1alpha1.RemedyWait, func(v *v1alpha1.Verdict) { v.Rule = "early" })},
	}
}

func tinyApp(paused bool, leave v1alpha1.LeaveFailed) *v1alpha1.App {
	app := newApp("default")
	app.Spec.Paused, app.Spec.Recovery.LeaveFailed, app.Spec.FailureThreshold = paused, leave, 2
	return app
}

func tinyLook(at v1alpha1.Instant, c *class) v1alpha1.Observation {
	return v1alpha1.Observation{At: at, Results: []v1alpha1.CheckResult{{
		Check: v1alpha1.CheckLocal, Status: c.status, Reason: "Test", At: at, Required: true, Leading: true,
	}}}
}

// TestEveryDecision asks Decide for every phase, class of verdict, budget, pause, hold, cooldown and stand-down, and checks
// what comes out against what the design allows.
func TestEveryDecision(t *testing.T) {
	w := newWorld()
	w.now = 100 * time.Hour
	now := w.instant()
	asked := 0
	events := map[fsm.Event]int{}
	for _, phase := range v1alpha1.Phases() {
		for _, c := range classes() {
			for spent := range int32(5) {
				for mask := range 1 << 7 {
					bit := func(n int) bool { return mask>>n&1 == 1 }
					paused, cooling, holding, over, limitSpent, stood, twice := bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6)
					leave := v1alpha1.LeaveFailedWhenHealthy
					app := tinyApp(paused, leave)
					proven := metav1.Duration{Duration: time.Duration(mask&1) * time.Hour}
					r := v1alpha1.AppStatus{Phase: phase, StoodDown: stood, Incident: &v1alpha1.Incident{Number: 1, Spent: spent, Proven: proven}}
					if cooling {
						r.Cooldown = v1alpha1.NewWait(w.instantAt(w.now-time.Minute), 5*time.Minute)
					}
					if holding {
						since := w.now - time.Minute
						if over {
							since = w.now - time.Hour
						}
						r.Hold = &v1alpha1.Hold{Rule: c.verdict.Rule, Since: w.instantAt(since), LimitSpent: limitSpent}
					}
					recent := []v1alpha1.Observation{tinyLook(now, &c)}
					if twice {
						recent = append([]v1alpha1.Observation{tinyLook(w.instantAt(w.now-5*time.Second), &c)}, recent...)
					}
					verdict := c.verdict
					d := controller.Decide(tinyJudge{c.verdict}, &pass.Case{App: app, Record: r, Recent: recent, Now: now}, &verdict)
					asked++
					events[d.Event]++
					if why := against(d, phase, &c, app, &r, cooling, over && holding, proven.Duration); why != "" {
						t.Fatalf("%s, %s, %d spent, paused %v, cooling %v, hold %v over %v spent %v, stood down %v: %q: %s",
							phase, c.name, spent, paused, cooling, holding, over, limitSpent, stood, d.Event, why)
					}
				}
			}
		}
	}
	t.Logf("%d decisions: %v", asked, events)
	for _, e := range []fsm.Event{fsm.Degrade, fsm.Heal, fsm.Recover, fsm.Stabilize, fsm.Relapse, fsm.GiveUp, fsm.Restore} {
		if events[e] == 0 {
			t.Errorf("%s is never decided", e)
		}
	}
}

// against says what speaks against a decision; nothing if it is as the design wants it.
func against(d controller.Decision, phase v1alpha1.Phase, c *class, app *v1alpha1.App, r *v1alpha1.AppStatus, cooling, over bool, proven time.Duration) string {
	left := r.Incident.Spent < app.Spec.Recovery.MaxAttempts
	if d.Event == "" {
		acts := c.verdict.Remedy == v1alpha1.RemedyRecover && d.Confirmed
		if phase == v1alpha1.PhaseDegraded && acts && d.Blocked == nil {
			return "nothing is done, and nothing is said to stand against it"
		}
		if phase == v1alpha1.PhaseHealthy && c.verdict.Certain {
			return "what is certain is passed over"
		}
		if phase == v1alpha1.PhaseDegraded && c.status == metav1.ConditionTrue {
			return "it is well and stays Degraded"
		}
		return ""
	}
	if _, err := fsm.Next(phase, d.Event); err != nil {
		return err.Error()
	}
	switch d.Event {
	case fsm.Recover:
		atLimit := d.HoldLimitReached && over && !r.Hold.LimitSpent
		switch {
		case app.Spec.Paused, !left, cooling:
			return "a pause, the budget or the cooldown forbids it"
		case c.verdict.Remedy != v1alpha1.RemedyRecover && !atLimit:
			return "the verdict does not ask for it"
		case !d.Confirmed:
			return "it is not confirmed"
		case len(d.Plan.Steps) == 0:
			return "without a plan"
		}
	case fsm.GiveUp:
		if left || c.verdict.Remedy != v1alpha1.RemedyRecover || app.Spec.Paused {
			return "attempts are left, it is a hold, or it is paused"
		}
	case fsm.Restore:
		if r.StoodDown || c.status != metav1.ConditionTrue || proven < app.Spec.Recovery.ProvenAfter.Duration {
			return "an operator stood it down, or health is not proven"
		}
	case fsm.Heal, fsm.Stabilize:
		if c.status != metav1.ConditionTrue || (d.Event == fsm.Stabilize && cooling) {
			return "it is not well, or the cooldown is not over"
		}
	case fsm.Degrade, fsm.Relapse:
		if !d.Confirmed || (d.Event == fsm.Relapse && cooling) {
			return "it is not confirmed, or the cooldown is not over"
		}
	}
	return ""
}

// reached is a record on a virtual clock, as the search below finds it.
type reached struct {
	app    *v1alpha1.App
	record v1alpha1.AppStatus
	recent []v1alpha1.Observation
	now    v1alpha1.Instant
}

// key names all about a record that matters for what may follow.
func (x *reached) key() string {
	r := &x.record
	k := fmt.Sprint(r.Phase, r.StoodDown, r.Demand != nil, x.app.Spec.Paused, r.Cooldown.Left(x.now) > 0)
	if i := r.Incident; i != nil {
		k += fmt.Sprint(" i", min(i.Spent, 3), min(i.Flaps, 1), len(i.Attempts) > 0 && i.Attempts[len(i.Attempts)-1].Outcome == v1alpha1.AttemptPending)
	}
	if h := r.Hold; h != nil {
		k += fmt.Sprint(" h", h.Rule, h.LimitSpent, x.now.Since(h.Since) >= 30*time.Minute)
	}
	if rec := r.Recovery; rec != nil {
		k += fmt.Sprint(" r", rec.Trigger, rec.Open(), rec.Step, rec.Stopped, rec.Open() && rec.Verified)
	}
	if n := len(x.recent); n > 0 {
		lead, _ := x.recent[n-1].Leading()
		k += " " + string(lead.Status)
	}
	return k
}

func (x reached) step(c *class, in controller.Input, after time.Duration) *reached {
	x.now = x.now.Add(after)
	if in.Observed {
		x.recent = controller.Remember(x.recent, tinyLook(x.now, c), tinyJudge{}.Checks(x.app))
	}
	record, _, _ := controller.Step(tinyJudge{c.verdict}, pass.Case{App: x.app, Record: x.record, Recent: x.recent, Now: x.now}, in)
	x.record = record
	return &x
}

// look lets time pass and looks; a step under way ends first.
func (x *reached) look(c *class, after time.Duration) *reached {
	if rec := x.record.Recovery; rec.Open() && rec.Step != "" {
		outcome := v1alpha1.StepDone
		if rec.Step == "verify" && c.status != metav1.ConditionTrue {
			outcome = v1alpha1.StepFailed
		}
		return x.step(c, controller.Input{Done: &pass.StepResult{Step: rec.Step, Outcome: outcome, Took: time.Second}}, time.Second)
	}
	return x.step(c, controller.Input{Observed: true}, after)
}

// TestEveryReachableRecord searches all records that can be reached through Step, by every class of verdict, every order, a
// restart and a pause, and shows of each that it leads on: to Healthy where all is well from then on, and to Failed where a
// fault of the application's own lasts.
func TestEveryReachableRecord(t *testing.T) {
	kindsOf := classes()
	well, own := &kindsOf[0], &kindsOf[1]
	w := newWorld()
	w.now = 100 * time.Hour
	start := &reached{app: tinyApp(false, v1alpha1.LeaveFailedByOperator), now: w.instant()}
	seen := map[string]bool{}
	phases := map[v1alpha1.Phase]int{}
	queue := []*reached{start.step(well, controller.Input{Started: true}, 0)}
	most := 3000
	if testing.Short() {
		most = 400
	}
	for len(queue) > 0 && len(seen) < most {
		x := queue[0]
		queue = queue[1:]
		if seen[x.key()] {
			continue
		}
		seen[x.key()] = true
		phases[x.record.Phase]++
		leadsOn(t, x, well, own)
		for n := range kindsOf {
			for _, after := range []time.Duration{5 * time.Second, 6 * time.Minute, 31 * time.Minute} {
				queue = append(queue, x.look(&kindsOf[n], after))
			}
		}
		for _, phase := range []v1alpha1.Phase{v1alpha1.PhaseHealthy, v1alpha1.PhaseFailed, v1alpha1.PhaseRecovering} {
			busy := x.record.Recovery.Open() && x.record.Recovery.Step != ""
			queue = append(queue, x.step(well, controller.Input{Order: &state.Order{Phase: phase}, Busy: busy}, time.Second))
		}
		queue = append(queue, x.step(well, controller.Input{Started: true}, time.Minute))
		toggled := *x
		toggled.app = tinyApp(!x.app.Spec.Paused, v1alpha1.LeaveFailedByOperator)
		queue = append(queue, &toggled)
	}
	t.Logf("%d records, by phase %v, %d more in the queue", len(seen), phases, len(queue))
	for _, phase := range v1alpha1.Phases() {
		if phases[phase] == 0 {
			t.Errorf("%s cannot be reached", phase)
		}
	}
}

func leadsOn(t *testing.T, x *reached, well, own *class) {
	t.Helper()
	y := x
	for range 60 {
		y = y.look(well, 2*time.Minute)
		if y.record.Phase == v1alpha1.PhaseHealthy || y.record.Phase == v1alpha1.PhaseFailed {
			break
		}
	}
	if p := y.record.Phase; p != v1alpha1.PhaseHealthy && p != v1alpha1.PhaseFailed {
		t.Fatalf("all is well for two hours, and %s stays %s", x.key(), p)
	}
	if p := x.record.Phase; p == v1alpha1.PhaseFailed && y.record.Phase == v1alpha1.PhaseHealthy && x.record.Demand == nil {
		t.Fatalf("Failed is left without an operator: %s", x.key())
	}
	if x.app.Spec.Paused {
		return
	}
	y = x
	for range 400 {
		y = y.look(own, 2*time.Minute)
		if y.record.Phase == v1alpha1.PhaseFailed {
			return
		}
	}
	t.Fatalf("a fault that nothing mends lasts for thirteen hours, and %s is in %s (%s)", x.key(), y.record.Phase, y.key())
}
