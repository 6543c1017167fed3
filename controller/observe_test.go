package controller

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

func newObserver() *rig {
	r := newRig()
	r.app.Spec.Mode = v1alpha1.ModeObserve
	return r
}

// journalled are the messages of the events with a reason.
func (r *rig) journalled(reason string) []string {
	var list []string
	for _, e := range r.events {
		if e.Reason == reason {
			list = append(list, e.Message)
		}
	}
	return list
}

func TestObservingSaysWhatItWouldDoAndHowItWentWithout(t *testing.T) {
	r := newObserver()
	r.see(0, no, no)
	wantPhase(t, r, v1alpha1.PhaseDegraded)
	if would := r.journalled(v1alpha1.ReasonWouldRecover); len(would) != 1 || !strings.Contains(would[0], "plan Plain (stop, start, verify): it crashed") {
		t.Fatalf("journalled %q, want the plan, its steps and why", would)
	}
	if b := r.record.Blocked; b == nil || b.Reason != BlockedObserving {
		t.Fatalf("blocked = %+v, want that it only observes", b)
	}
	for range 11 {
		r.see(10*time.Minute, no, no)
	}
	if would := r.journalled(v1alpha1.ReasonWouldRecover); len(would) != 2 || !strings.Contains(would[1], "has not healed without that for 1h0m0s") {
		t.Fatalf("journalled %q, want one reminder in 110 minutes", would)
	}
	r.see(10*time.Minute, yes, yes)
	wantPhase(t, r, v1alpha1.PhaseHealthy)
	if healed := r.journalled(v1alpha1.ReasonHealedWithoutUs); len(healed) != 1 || !strings.Contains(healed[0], "holds again 2h0m0s after") {
		t.Fatalf("journalled %q, want that it healed without us, and when", healed)
	}
	if r.record.Would != nil || len(r.acts) > 0 {
		t.Fatalf("would = %+v, acts = %v; want neither", r.record.Would, r.acts)
	}
	if want := []v1alpha1.AlertKind{v1alpha1.AlertDegraded, v1alpha1.AlertReminder, v1alpha1.AlertResolved}; !slices.Equal(r.kinds(), want) {
		t.Fatalf("alerts = %v, want %v", r.kinds(), want)
	}
	for _, a := range r.alerts {
		if !a.Observing || !strings.HasPrefix(a.Message, observingOnly) {
			t.Errorf("alert %q is not marked", a.Message)
		}
	}
	if next := r.alerts[0].Next; len(next) != 1 || !strings.Contains(next[0], "would recover it with plan Plain") {
		t.Errorf("the alert says %q, want what would be done", next)
	}
}

func TestNothingThatHappenedWhileObservingCountsAfterwards(t *testing.T) {
	r := newObserver()
	for range 30 {
		r.see(time.Minute, no, no)
	}
	i := r.record.Incident
	if i == nil || len(i.Attempts) > 0 || i.Spent > 0 || i.Flaps > 0 || r.record.Cooldown != nil || r.record.CooldownUntil != nil || r.record.Recovery != nil {
		t.Fatalf("incident %+v, cooldown %+v, recovery %+v; want nothing that counts", i, r.record.Cooldown, r.record.Recovery)
	}
	r.app.Spec.Mode = v1alpha1.ModeActive
	r.see(time.Second, no, no)
	wantPhase(t, r, v1alpha1.PhaseRecovering)
	if got := r.record.Incident.Attempts[0].Number; got != 1 || r.record.Would != nil {
		t.Fatalf("attempt %d, would %+v; want the first of all attempts, at once", got, r.record.Would)
	}
	if told := r.journalled(v1alpha1.ReasonActing); len(told) != 1 || !strings.Contains(told[0], "did not heal in the 29m") {
		t.Fatalf("journalled %q, want that it had not healed", told)
	}
}

func TestObservingDoesNotSpendTheLimitOfAHold(t *testing.T) {
	r := newObserver()
	r.judge.verdict = downAndHeld
	r.judge.verdict.Certain = true
	for range 8 {
		r.see(5*time.Minute, no, no)
	}
	if would := r.journalled(v1alpha1.ReasonWouldRecover); len(would) != 1 || !strings.Contains(would[0], "which is its limit") {
		t.Fatalf("journalled %q, want the recovery at the limit", would)
	}
	if h := r.record.Hold; h == nil || h.LimitSpent {
		t.Fatalf("hold = %+v, want one whose limit is not spent", h)
	}
	r.app.Spec.Mode = v1alpha1.ModeActive
	r.see(time.Second, no, no)
	wantPhase(t, r, v1alpha1.PhaseRecovering)
}

// What was only observed spends nothing; an attempt from before has failed, whoever looks on.
func TestObservingNeitherGivesUpNorSpends(t *testing.T) {
	for _, tc := range []struct {
		verify v1alpha1.StepOutcome // of the attempt from before
		want   int32
	}{{v1alpha1.StepDone, 0}, {v1alpha1.StepFailed, 1}} {
		r := newRig()
		r.see(0, no, no)
		r.recover(tc.verify)
		r.app.Spec.Mode = v1alpha1.ModeObserve // within the cooldown
		for range 20 {
			r.see(time.Minute, no, no)
		}
		wantPhase(t, r, v1alpha1.PhaseDegraded)
		if spent := r.record.Incident.Spent; spent != tc.want {
			t.Fatalf("after an attempt that was %s: %d are spent, want %d", tc.verify, spent, tc.want)
		}
		r.record.Incident.Spent = 3
		r.record.Would = nil
		r.see(time.Minute, no, no)
		wantPhase(t, r, v1alpha1.PhaseDegraded)
		if would := r.journalled(v1alpha1.ReasonWouldRecover); !strings.Contains(would[len(would)-1], "would give up now") {
			t.Fatalf("journalled %q, want that it would give up", would)
		}
	}
}

func TestObservingRefusesARecoveryThatIsDemanded(t *testing.T) {
	r := newObserver()
	r.see(0, yes, yes)
	r.step(Input{Order: &state.Order{Phase: v1alpha1.PhaseRecovering}})
	r.see(time.Second, yes, yes)
	wantPhase(t, r, v1alpha1.PhaseHealthy)
	if refused := r.journalled(v1alpha1.ReasonOrderRefused); len(refused) != 1 || !strings.Contains(refused[0], "spec.mode to Active") {
		t.Fatalf("journalled %q, want a refusal that says what to do", refused)
	}
	// One that was taken before, and waits for its turn, is refused too.
	r.record.Demand = &v1alpha1.Demand{At: r.now, Force: true}
	r.see(time.Second, no, no)
	if r.record.Demand != nil || r.record.Recovery.Open() {
		t.Fatalf("demand %+v, recovery %+v; want neither", r.record.Demand, r.record.Recovery)
	}
}

func TestNoStepIsEverOrderedInModeObserve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig()
		verdicts := []v1alpha1.Verdict{crashed, hangs, proxyDown, downAndHeld, tooEarly}
		statuses := []metav1.ConditionStatus{yes, no, maybe}
		for range rapid.IntRange(1, 60).Draw(t, "inputs") {
			if MayEnd(&r.record) { // a spec that says Observe is not in force otherwise: see InForce
				r.app.Spec.Mode = rapid.SampledFrom([]v1alpha1.Mode{v1alpha1.ModeActive, v1alpha1.ModeObserve}).Draw(t, "mode")
			}
			r.judge.verdict = rapid.SampledFrom(verdicts).Draw(t, "verdict")
			wait := time.Duration(rapid.IntRange(0, 3600).Draw(t, "seconds")) * time.Second
			switch what := rapid.IntRange(0, 3).Draw(t, "what"); {
			case r.record.Recovery.Open() && r.record.Recovery.Step != "":
				r.finish(wait, rapid.SampledFrom([]v1alpha1.StepOutcome{v1alpha1.StepDone, v1alpha1.StepFailed, v1alpha1.StepInterrupted}).Draw(t, "outcome"))
			case what == 0:
				r.now = r.now.Add(wait)
				phase := rapid.SampledFrom(v1alpha1.Phases()).Draw(t, "order")
				r.step(Input{Order: &state.Order{Phase: phase, Force: true}})
			case what == 1:
				r.now = r.now.Add(wait)
				r.step(Input{Started: true})
			default:
				local := rapid.SampledFrom(statuses).Draw(t, "local")
				r.see(wait, local, yes)
			}
			if r.app.Spec.Observes() && (len(r.acts) > 0 || r.record.Recovery.Open() && r.record.Recovery.Step != "") {
				t.Fatalf("step %v is ordered in mode Observe", r.acts)
			}
		}
	})
}

// watching is a stage on which nobody may act while the App is only observed.
type watching struct {
	stage
	t *testing.T
}

func (w *watching) Act(ctx context.Context, app *v1alpha1.App, step pass.Step) pass.StepResult {
	if app.Spec.Observes() {
		w.t.Errorf("step %s is carried out in mode Observe", step.Name)
	}
	if step.Name == "verify" { // for as long as it is let
		w.note("act verify")
		select {
		case <-ctx.Done():
			return pass.StepResult{Step: step.Name, Outcome: v1alpha1.StepInterrupted}
		case <-time.After(time.Minute):
		}
	}
	return w.stage.Act(ctx, app, step)
}

func (w *watching) Event(e v1alpha1.Event) { w.note(e.Reason) }

// all are the notes so far; last is the newest.
func (w *watching) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.notes)
}

func (w *watching) last() string {
	all := w.all()
	return all[len(all)-1]
}

// runWatching runs a loop over a crashed application until the context ends; the specs are handed to it.
func runWatching(ctx context.Context, w *watching, app *v1alpha1.App, status v1alpha1.AppStatus, specs chan SpecUpdate) chan struct{} {
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	loop := &Loop{
		Domain: w, Store: w, Sink: w, Clock: stageNow, Log: quiet, Random: rand.New(rand.NewPCG(1, 1)), Specs: specs,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		loop.Run(ctx, app, status, Input{})
	}()
	return ended
}

func observed(generation int64) *v1alpha1.App {
	app := newApp()
	app.Spec.Mode, app.Generation = v1alpha1.ModeObserve, generation
	return app
}

func TestTheModeTakesEffectAtOnceAndMidIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watching{stage{fakeJudge: fakeJudge{verdict: crashed}, local: no}, t}
		specs := make(chan SpecUpdate, 1)
		ctx, stop := context.WithCancel(t.Context())
		ended := runWatching(ctx, w, observed(1), v1alpha1.AppStatus{}, specs)
		time.Sleep(2 * time.Hour) // virtual
		if slices.ContainsFunc(w.all(), func(n string) bool { return strings.HasPrefix(n, "act ") }) {
			t.Fatalf("something was done: %q", w.all())
		}
		active := newApp()
		active.Generation = 2
		specs <- SpecUpdate{App: active}
		time.Sleep(time.Second)
		if w.last() != "act verify" {
			t.Fatalf("it did not act within a second: %q", w.all())
		}
		specs <- SpecUpdate{App: observed(3)} // mid-verification: that ends at once
		time.Sleep(time.Second)
		if !slices.Contains(w.all(), v1alpha1.ReasonRecoveryFinished) {
			t.Fatalf("the recovery goes on: %q", w.all())
		}
		stop()
		<-ended
	})
}

func TestAnApplicationThatWeHaveStoppedIsStartedBeforeItIsOnlyObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := stageNow()
		left := v1alpha1.AppStatus{
			Phase: v1alpha1.PhaseRecovering, LastIncident: 1, Incident: &v1alpha1.Incident{Number: 1, StartedAt: now},
			Recovery: &v1alpha1.Recovery{
				ID: "1-1", Trigger: v1alpha1.TriggerAutomatic, StartedAt: now, Plan: "Plain", Step: "stop", StepAt: &now,
				Pending: []string{"start", "verify"}, Stopped: true,
			},
		}
		w := &watching{stage{fakeJudge: fakeJudge{verdict: crashed}, local: no}, t}
		ctx, stop := context.WithCancel(t.Context())
		ended := runWatching(ctx, w, observed(1), left, make(chan SpecUpdate, 1))
		time.Sleep(10 * time.Minute) // virtual
		if !slices.Contains(w.all(), "act start") || slices.Contains(w.all(), "act stop") {
			t.Fatalf("want it started, and nothing stopped: %q", w.all())
		}
		if !slices.Contains(w.all(), v1alpha1.ReasonObserving) {
			t.Fatalf("it is not observed afterwards: %q", w.all())
		}
		stop()
		<-ended
	})
}
