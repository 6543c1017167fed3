package main

import (
	"fmt"
	"os"
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
		{"hold with a limit at which nothing is done", metav1.ConditionFalse, v(v1alpha1.RemedyHold, func(v *v1alpha1.Verdict) {
			v.Rule, v.Blame, v.Certain, v.HoldLimit = "told", v1alpha1.BlameRuntime, true, limit
		})},
		{"an operator's stop", metav1.ConditionFalse, v(v1alpha1.RemedyHold, func(v *v1alpha1.Verdict) {
			v.Rule, v.Blame, v.Certain, v.HoldLimit, v.ActAtLimit = "stopped", v1alpha1.BlameOperator, true, metav1.Duration{Duration: 15 * time.Minute}, true
		})},
		{"hold without", metav1.ConditionFalse, v(v1alpha1.RemedyHold, func(v *v1alpha1.Verdict) { v.Rule, v.Blame, v.Certain = "open", v1alpha1.BlamePort, true })},
		{"too early", metav1.ConditionUnknown, v(v1alpha1.RemedyWait, func(v *v1alpha1.Verdict) { v.Rule = "early" })},
	}
}

func tinyApp(paused bool, leave v1alpha1.LeaveFailed, mode v1alpha1.Mode) *v1alpha1.App {
	app := newApp("default")
	app.Spec.Paused, app.Spec.Recovery.LeaveFailed, app.Spec.FailureThreshold, app.Spec.Mode = paused, leave, 2, mode
	return app
}

func tinyLook(at v1alpha1.Instant, c *class) v1alpha1.Observation {
	return v1alpha1.Observation{At: at, Results: []v1alpha1.CheckResult{{
		Check: v1alpha1.CheckLocal, Status: c.status, Reason: "Test", At: at, Required: true, Leading: true,
	}}}
}

// question is one case that Decide is asked about.
type question struct {
	phase                                                       v1alpha1.Phase
	class                                                       *class
	spent                                                       int32
	paused, observes, byHealth, proven                          bool
	cooling, holding, otherRule, over, limitSpent, stood, twice bool
	recovery                                                    string
}

// questions are all of them: every phase, class of verdict, budget, pause, mode, hold, cooldown, stand-down and recovery.
func questions(ask func(q *question)) {
	kindsOf := classes()
	for _, phase := range v1alpha1.Phases() {
		recoveries := []string{"none", "verified", "not verified"}
		if phase == v1alpha1.PhaseRecovering {
			recoveries = []string{"open"}
		}
		for _, rec := range recoveries {
			for n := range kindsOf {
				for _, spent := range []int32{2, 3} { // of three
					for mask := range 1 << 11 {
						bit := func(n int) bool { return mask>>n&1 == 1 }
						q := question{phase: phase, class: &kindsOf[n], spent: spent, recovery: rec,
							paused: bit(0), observes: bit(1), byHealth: bit(2), proven: bit(3), cooling: bit(4), holding: bit(5),
							stood: bit(6), twice: bit(7), over: bit(8), limitSpent: bit(9), otherRule: bit(10)}
						if !q.holding && mask>>8 != 0 || q.otherRule && !q.over { // there is no hold of which this could be so; it says no more
							continue
						}
						ask(&q)
					}
				}
			}
		}
	}
}

// TestEveryDecision asks Decide all questions, and checks what comes out against what the design allows, and demands.
func TestEveryDecision(t *testing.T) {
	w := newWorld()
	w.now = 100 * time.Hour
	now := w.instant()
	apps := map[[3]bool]*v1alpha1.App{}
	for mask := range 8 {
		key := [3]bool{mask&1 == 1, mask&2 == 2, mask&4 == 4}
		leave, mode := v1alpha1.LeaveFailedByOperator, v1alpha1.ModeActive
		if key[1] {
			leave = v1alpha1.LeaveFailedWhenHealthy
		}
		if key[2] {
			mode = v1alpha1.ModeObserve
		}
		apps[key] = tinyApp(key[0], leave, mode)
	}
	asked, would := 0, 0
	events := map[fsm.Event]int{}
	questions(func(q *question) {
		app := apps[[3]bool{q.paused, q.byHealth, q.observes}]
		r := v1alpha1.AppStatus{Phase: q.phase, StoodDown: q.stood, Incident: &v1alpha1.Incident{Number: 1, Spent: q.spent}}
		if q.proven {
			r.Incident.Proven.Duration = time.Hour
		}
		if q.cooling {
			r.Cooldown = v1alpha1.NewWait(w.instantAt(w.now-time.Minute), 5*time.Minute)
		}
		if q.holding {
			since := w.now - time.Minute
			if q.over {
				since = w.now - time.Hour
			}
			r.Hold = &v1alpha1.Hold{Rule: q.class.verdict.Rule, Since: w.instantAt(since), LimitSpent: q.limitSpent}
			if q.otherRule {
				r.Hold.Rule = "another"
			}
		}
		if q.recovery != "none" {
			began, ended := w.instantAt(w.now-90*time.Second), w.instantAt(w.now-70*time.Second)
			if q.recovery == "verified" { // before the hold: one that has worked since would have ended it
				began, ended = w.instantAt(w.now-3*time.Hour), w.instantAt(w.now-2*time.Hour)
			}
			r.Recovery = &v1alpha1.Recovery{ID: "1-1", Trigger: v1alpha1.TriggerAutomatic, StartedAt: began, Verified: q.recovery == "verified"}
			if q.recovery != "open" {
				r.Recovery.FinishedAt = &ended
			}
		}
		recent := []v1alpha1.Observation{tinyLook(now, q.class)}
		if q.twice {
			recent = append([]v1alpha1.Observation{tinyLook(w.instantAt(w.now-5*time.Second), q.class)}, recent...)
		}
		verdict := q.class.verdict
		d := controller.Decide(tinyJudge{verdict}, &pass.Case{App: app, Record: r, Recent: recent, Now: now}, &verdict)
		asked++
		events[d.Event]++
		if d.Would {
			would++
		}
		if why := q.against(&d); why != "" {
			t.Fatalf("%+v (%s): %q: %s", *q, q.class.name, d.Event, why)
		}
	})
	t.Logf("%d decisions: %v, and %d that mode Observe keeps back", asked, events, would)
	for _, e := range []fsm.Event{fsm.Degrade, fsm.Heal, fsm.Recover, fsm.Stabilize, fsm.Relapse, fsm.GiveUp, fsm.Restore} {
		if events[e] == 0 {
			t.Errorf("%s is never decided", e)
		}
	}
	if would == 0 {
		t.Error("nothing is kept back in mode Observe")
	}
}

// atLimit says that the verdict holds, and that the hold's limit is over and one recovery is to be tried.
func (q *question) atLimit() bool {
	v := &q.class.verdict
	inherits := !q.otherRule || !q.answered() && v.Blame != v1alpha1.BlameOperator // else the hold begins now
	return v.Remedy == v1alpha1.RemedyHold && v.ActAtLimit && q.holding && q.over && !q.limitSpent && inherits
}

// answered says that the look before this one found it well.
func (q *question) answered() bool { return q.twice && q.class.status == metav1.ConditionTrue }

// confirmed is what the design says of it: certain by itself, seen often enough since the last recovery, or the own failure
// of a recovery that has just looked for long.
func (q *question) confirmed() bool {
	v := &q.class.verdict
	fails := v.Remedy == v1alpha1.RemedyHold || v.Remedy == v1alpha1.RemedyRecover
	return fails && (v.Certain || q.twice || q.phase == v1alpha1.PhaseCooldown && q.recovery == "not verified" && v.OwnFault)
}

// wanted is what the design demands.
func (q *question) wanted() (event fsm.Event, would bool) {
	left, holds, idle := q.spent < 3, q.class.status == metav1.ConditionTrue, q.paused || q.observes
	acts := q.class.verdict.Remedy == v1alpha1.RemedyRecover && q.confirmed()
	switch q.phase {
	case v1alpha1.PhaseHealthy:
		if q.confirmed() {
			return fsm.Degrade, false
		}
	case v1alpha1.PhaseDegraded:
		switch {
		case holds:
			return fsm.Heal, false
		case q.paused:
		case acts && !left:
			event = fsm.GiveUp
		case (acts || q.atLimit()) && left && !q.cooling:
			event = fsm.Recover
		}
		if event != "" && q.observes {
			return "", true
		}
	case v1alpha1.PhaseCooldown:
		switch {
		case acts && !left && !idle:
			return fsm.GiveUp, false
		case q.cooling:
		case holds:
			return fsm.Stabilize, false
		case q.confirmed():
			return fsm.Relapse, false
		}
	case v1alpha1.PhaseFailed:
		if holds && !q.stood && q.byHealth && q.proven {
			return fsm.Restore, false
		}
	case v1alpha1.PhaseRecovering:
	}
	return event, false
}

// against says what speaks against a decision; nothing if it is as the design wants it.
func (q *question) against(d *controller.Decision) string {
	event, would := q.wanted()
	switch {
	case d.Confirmed != q.confirmed():
		return fmt.Sprintf("confirmed is %v", d.Confirmed)
	case d.Event != event:
		return fmt.Sprintf("the design wants %q", event)
	case d.Would != would:
		return fmt.Sprintf("kept back by mode Observe: %v", d.Would)
	case d.HoldLimitReached != (event == fsm.Recover && q.class.verdict.Remedy == v1alpha1.RemedyHold):
		return fmt.Sprintf("at a hold's limit: %v", d.HoldLimitReached)
	case (event == fsm.Recover) && len(d.Plan.Steps) == 0:
		return "without a plan"
	}
	if event != "" {
		if _, err := fsm.Next(q.phase, event); err != nil {
			return err.Error()
		}
		return ""
	}
	acts := q.class.verdict.Remedy == v1alpha1.RemedyHold || q.class.verdict.Remedy == v1alpha1.RemedyRecover && d.Confirmed
	if q.phase == v1alpha1.PhaseDegraded && acts && d.Blocked == nil || q.phase == v1alpha1.PhaseFailed && d.Blocked == nil {
		return "nothing is done, and nothing is said to stand against it"
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

// key names all about a record that matters for what may follow. A hold has its time; while a recovery is open it says
// nothing, and of a recovery that has ended only its outcome does, until its cooldown is over.
func (x *reached) key() string {
	r := &x.record
	k := fmt.Sprint(r.Phase, r.StoodDown, r.Demand != nil, x.app.Spec.Paused, r.Cooldown.Left(x.now) > 0)
	if i := r.Incident; i != nil {
		k += fmt.Sprint(" i", min(i.Spent, 3), min(i.Flaps, 1))
		if n := len(i.Attempts); n > 0 && i.Attempts[n-1].Outcome == v1alpha1.AttemptPending {
			k += fmt.Sprint(" pending", i.Attempts[n-1].AtHoldLimit)
		}
	}
	if h := r.Hold; h != nil && r.Phase != v1alpha1.PhaseRecovering {
		k += fmt.Sprint(" h", h.Rule, h.LimitSpent, x.now.Since(h.Since) >= 30*time.Minute)
	}
	switch rec := r.Recovery; {
	case rec.Open():
		k += fmt.Sprint(" r", rec.Trigger, rec.Step, len(rec.Pending), rec.Stopped, rec.Verified, rec.Undecided)
	case rec != nil && r.Phase == v1alpha1.PhaseCooldown:
		k += fmt.Sprint(" was", rec.Verified)
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
// restart and a pause, until no other one is found, and shows of each that it leads on: to Healthy where all is well from then
// on, and to Failed where a fault of the application's own lasts. With SIM_FULL=1 it is all classes of verdicts, else three.
func TestEveryReachableRecord(t *testing.T) {
	kindsOf := classes()
	well, own := &kindsOf[0], &kindsOf[1]
	if os.Getenv("SIM_FULL") == "" { // the classes that differ most: a smaller model, and all of it
		kindsOf = []class{kindsOf[0], kindsOf[1], kindsOf[3]}
	}
	apps := map[bool]*v1alpha1.App{}
	for _, paused := range []bool{false, true} {
		apps[paused] = tinyApp(paused, v1alpha1.LeaveFailedByOperator, v1alpha1.ModeActive)
	}
	w := newWorld()
	w.now = 100 * time.Hour
	start := &reached{app: apps[false], now: w.instant()}
	seen := map[string]bool{}
	phases := map[v1alpha1.Phase]int{}
	var queue []*reached
	reach := func(x *reached) {
		if k := x.key(); !seen[k] {
			seen[k] = true
			phases[x.record.Phase]++
			queue = append(queue, x)
		}
	}
	reach(start.step(well, controller.Input{Started: true}, 0))
	paths := &paths{toHealthy: map[string]bool{}, toFailed: map[string]bool{}}
	const most = 200_000 // far above what there is
	for len(queue) > 0 && len(seen) < most {
		x := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		paths.leadOn(t, x, well, own)
		for n := range kindsOf {
			for _, after := range []time.Duration{5 * time.Second, 6 * time.Minute, 31 * time.Minute} {
				reach(x.look(&kindsOf[n], after))
			}
		}
		for _, phase := range []v1alpha1.Phase{v1alpha1.PhaseHealthy, v1alpha1.PhaseFailed, v1alpha1.PhaseRecovering} {
			busy := x.record.Recovery.Open() && x.record.Recovery.Step != ""
			reach(x.step(well, controller.Input{Order: &state.Order{Phase: phase}, Busy: busy}, time.Second))
		}
		reach(x.step(well, controller.Input{Started: true}, time.Minute))
		toggled := *x
		toggled.app = apps[!x.app.Spec.Paused]
		reach(&toggled)
	}
	t.Logf("%d records, by phase %v", len(seen), phases)
	if len(queue) > 0 {
		t.Errorf("%d records are left that were not looked at", len(queue))
	}
	for _, phase := range v1alpha1.Phases() {
		if phases[phase] == 0 {
			t.Errorf("%s cannot be reached", phase)
		}
	}
}

// paths remembers of which records it was shown that they lead on.
type paths struct{ toHealthy, toFailed map[string]bool }

// follow looks at the same class every two minutes until the phase is reached, or a record of which that is known.
func follow(x *reached, c *class, to v1alpha1.Phase, known map[string]bool, most int) (*reached, bool) {
	var passed []string
	for range most {
		k := x.key()
		if x.record.Phase == to || known[k] {
			for _, k := range passed {
				known[k] = true
			}
			return x, true
		}
		passed = append(passed, k)
		x = x.look(c, 2*time.Minute)
	}
	return x, false
}

func (p *paths) leadOn(t *testing.T, x *reached, well, own *class) {
	t.Helper()
	r := &x.record
	if stays := r.Demand == nil && (r.Phase == v1alpha1.PhaseFailed || r.StoodDown); stays {
		y := x
		for range 40 {
			if y = y.look(well, 2*time.Minute); y.record.Phase == v1alpha1.PhaseHealthy {
				t.Fatalf("Failed is left without an operator: %s", x.key())
			}
		}
		if y.record.Phase != v1alpha1.PhaseFailed {
			t.Fatalf("stood down, and all is well for long, and %s is in %s", x.key(), y.record.Phase)
		}
	} else if y, ok := follow(x, well, v1alpha1.PhaseHealthy, p.toHealthy, 60); !ok {
		t.Fatalf("all is well for two hours, and %s is in %s (%s)", x.key(), y.record.Phase, y.key())
	}
	if x.app.Spec.Paused {
		return
	}
	if y, ok := follow(x, own, v1alpha1.PhaseFailed, p.toFailed, 400); !ok {
		t.Fatalf("a fault that nothing mends lasts for thirteen hours, and %s is in %s (%s)", x.key(), y.record.Phase, y.key())
	}
}
