package controller

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

// fakeJudge is a domain with two checks and the plans stop-start-verify and stop-wipe-start-verify. Its verdict is what a
// test says.
type fakeJudge struct {
	verdict  v1alpha1.Verdict
	warnings []pass.Warning
	// ending: though all holds, its process is about to end, or cannot be seen.
	ending bool
}

func (j *fakeJudge) Warn(*pass.Case) []pass.Warning { return j.warnings }

func (j *fakeJudge) Checks(app *v1alpha1.App) []pass.Check {
	return []pass.Check{{Name: "local", Interval: app.Spec.Interval.Duration}, {Name: "public", Interval: app.Spec.Interval.Duration}}
}

func (j *fakeJudge) Diagnose(c *pass.Case) v1alpha1.Verdict {
	if c.Latest().Holds() {
		return v1alpha1.Verdict{Rule: "healthy", Blame: v1alpha1.BlameNone, Reason: "AllHold", Remedy: v1alpha1.RemedyNone, Up: !j.ending}
	}
	return j.verdict
}

func (j *fakeJudge) Learn(c *pass.Case) v1alpha1.Learned {
	if c.Record.Learned == nil {
		return v1alpha1.Learned{}
	}
	return *c.Record.Learned
}

func (j *fakeJudge) Plan(_ *pass.Case, _ *v1alpha1.Verdict, failed *v1alpha1.Recovery) (pass.Plan, bool) {
	switch {
	case failed == nil:
		return pass.Plan{Name: "Plain", Steps: []string{"stop", "start", "verify"}}, true
	case failed.Plan == "Plain":
		return pass.Plan{Name: "Clean", Steps: []string{"stop", "wipe", "start", "verify"}}, true
	}
	return pass.Plan{}, false
}

func (j *fakeJudge) Step(_ *v1alpha1.App, name string) pass.StepTraits {
	return pass.StepTraits{Stops: name == "stop" || name == "wipe", Starts: name == "start", Proves: name == "verify", Timeout: time.Minute}
}

// The verdicts that tests use.
var (
	crashed = v1alpha1.Verdict{
		Rule: "crashed", Blame: v1alpha1.BlameApp, Reason: "Crashed", Message: "it crashed", Remedy: v1alpha1.RemedyRecover,
		OwnFault: true, Certain: true, Down: true,
	}
	hangs = v1alpha1.Verdict{
		Rule: "hangs", Blame: v1alpha1.BlameApp, Reason: "Hangs", Message: "it hangs", Remedy: v1alpha1.RemedyRecover, OwnFault: true,
		Up: true,
	}
	proxyDown = v1alpha1.Verdict{
		Rule: "proxy", Blame: v1alpha1.BlameProxy, Reason: "ProxyDown", Message: "the proxy is down", Remedy: v1alpha1.RemedyHold,
		Up: true,
	}
	downAndHeld = v1alpha1.Verdict{
		Rule: "held", Blame: v1alpha1.BlameDeploy, Reason: "DeployAtWork", Message: "a deploy is at work", Remedy: v1alpha1.RemedyHold,
		Down: true, Deploy: true, HoldLimit: metav1.Duration{Duration: 30 * time.Minute}, ActAtLimit: true,
	}
	tooEarly = v1alpha1.Verdict{Rule: "early", Blame: v1alpha1.BlameApp, Reason: "Starting", Remedy: v1alpha1.RemedyWait, Up: true}
)

func newApp() *v1alpha1.App {
	app := v1alpha1.NewApp()
	app.Name, app.Generation = "site", 1
	app.Spec.Directory = "/srv/site"
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "site"}
	app.Spec.Recovery.Tell = v1alpha1.TellAlways
	return app
}

var epoch = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// at is a moment of the test's boot.
func at(d time.Duration) v1alpha1.Instant {
	return v1alpha1.Instant{Wall: metav1.NewMicroTime(epoch.Add(d)), Boot: metav1.Duration{Duration: time.Hour + d}, BootID: "boot-1"}
}

// seen is an observation of the two checks.
func seen(now v1alpha1.Instant, local, public metav1.ConditionStatus) v1alpha1.Observation {
	return v1alpha1.Observation{At: now, Results: []v1alpha1.CheckResult{
		{Check: "local", Status: local, At: now, Required: true, Leading: true, Reason: "Test"},
		{Check: "public", Status: public, At: now, Required: true, Reason: "Test"},
	}}
}

const (
	yes   = metav1.ConditionTrue
	no    = metav1.ConditionFalse
	maybe = metav1.ConditionUnknown
)

// rig drives Step by hand, as Loop would, on virtual instants.
type rig struct {
	app    *v1alpha1.App
	judge  *fakeJudge
	record v1alpha1.AppStatus
	recent []v1alpha1.Observation
	now    v1alpha1.Instant
	events []v1alpha1.Event
	alerts []v1alpha1.Alert
	acts   []pass.Step
	looks  int
	since  v1alpha1.Instant // when the last look that was asked for was due
	next   v1alpha1.Instant
}

func newRig() *rig { return &rig{app: newApp(), judge: &fakeJudge{verdict: crashed}, now: at(0)} }

// step gives one input to the brain and keeps what it wants.
func (r *rig) step(in Input) {
	status, commands, next := Step(r.judge, pass.Case{App: r.app, Record: r.record, Recent: r.recent, Now: r.now}, in)
	r.record, r.next = status, next
	r.acts, r.looks = nil, 0
	for _, c := range commands {
		switch c := c.(type) {
		case Record:
			r.events = append(r.events, c.Event)
		case Tell:
			r.alerts = append(r.alerts, c.Alert)
		case Act:
			r.acts = append(r.acts, c.Step)
		case Observe:
			r.looks++
			r.since = c.Since
		}
	}
}

// see lets a pass finish after d.
func (r *rig) see(d time.Duration, local, public metav1.ConditionStatus) {
	r.now = r.now.Add(d)
	r.recent = Remember(r.recent, seen(r.now, local, public), r.judge.Checks(r.app))
	r.step(Input{Observed: true})
}

// finish lets the step under way end after d.
func (r *rig) finish(d time.Duration, outcome v1alpha1.StepOutcome) {
	r.now = r.now.Add(d)
	r.step(Input{Done: &pass.StepResult{Step: r.record.Recovery.Step, Outcome: outcome, Message: "test", Took: d}})
}

// recover lets the recovery under way run to its end, with the proving step ending as given.
func (r *rig) recover(verify v1alpha1.StepOutcome) {
	for r.record.Recovery.Open() {
		if r.record.Recovery.Undecided {
			if r.looks != 1 {
				panic("it did not look before it decided whether to go on with another plan")
			}
			r.see(0, no, no)
			continue
		}
		if r.record.Recovery.Step == "verify" {
			r.finish(5*time.Second, verify)
		} else {
			r.finish(time.Second, v1alpha1.StepDone)
		}
	}
}

// kinds lists the kinds of the alerts.
func (r *rig) kinds() []v1alpha1.AlertKind {
	var list []v1alpha1.AlertKind
	for _, a := range r.alerts {
		list = append(list, a.Kind)
	}
	return list
}

// path lists the phases that were entered.
func (r *rig) path() []v1alpha1.Phase {
	var list []v1alpha1.Phase
	for _, e := range r.events {
		if e.Reason == v1alpha1.ReasonPhaseChanged {
			list = append(list, e.Phase)
		}
	}
	return list
}
