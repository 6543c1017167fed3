package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

// files gives one input to the brain, and what it wants to have filed.
func (r *rig) files(in Input) []File {
	_, commands, _ := Step(r.judge, pass.Case{App: r.app, Record: r.record, Recent: r.recent, Now: r.now}, in)
	var list []File
	for _, c := range commands {
		if f, ok := c.(File); ok {
			list = append(list, f)
		}
	}
	r.step(in)
	return list
}

// seeFiles lets a pass finish after d.
func (r *rig) seeFiles(d time.Duration, local, public metav1.ConditionStatus) []File {
	r.now = r.now.Add(d)
	r.recent = Remember(r.recent, seen(r.now, local, public), r.judge.Checks(r.app))
	return r.files(Input{Observed: true})
}

func downtime(i *v1alpha1.Incident, check string) time.Duration {
	n := slices.IndexFunc(i.Downtime, func(d v1alpha1.CheckDowntime) bool { return d.Check == check })
	if n < 0 || i.Downtime[n].Since != nil {
		return -1
	}
	return i.Downtime[n].Total.Duration
}

func TestAnIncidentIsFiledAsItGoesAndAsItEnded(t *testing.T) {
	r := newRig()
	r.judge.verdict = hangs
	r.see(0, yes, yes)
	r.see(time.Minute, no, no)
	r.see(5*time.Second, no, no)
	opened := r.seeFiles(5*time.Second, no, no)
	if len(opened) != 1 || opened[0].Closed != "" || opened[0].Incident.Number != 1 {
		t.Fatalf("filed %+v, want the open incident", opened)
	}
	r.recover(v1alpha1.StepDone)
	r.see(0, yes, yes)
	if again := r.seeFiles(time.Minute, yes, yes); len(again) != 0 {
		t.Errorf("filed %+v though nothing is new", again)
	}
	r.see(5*time.Minute, yes, yes) // the cooldown is over
	var closed []File
	for range 40 {
		closed = append(closed, r.seeFiles(time.Minute, yes, yes)...)
	}
	if len(closed) == 0 || closed[len(closed)-1].Closed == "" {
		t.Fatalf("filed %+v, want the closed incident", closed)
	}
	i := closed[len(closed)-1].Incident
	// From the first failing look, at one minute, to the first good one after the recovery.
	if got, want := downtime(&i, "local"), 10*time.Second+r.record.Recovery.FinishedAt.Since(r.record.Recovery.StartedAt); got != want {
		t.Errorf("down for %s, want %s", got, want)
	}
	if i.Mended == nil || i.Mended.At != *r.record.Recovery.FinishedAt || i.Mended.By != "recovery 1-1 (plan Plain)" || !slices.Equal(i.Blames, []v1alpha1.Blame{v1alpha1.BlameApp}) {
		t.Errorf("mended %+v, blames %v", i.Mended, i.Blames)
	}
	if r.record.Incident != nil {
		t.Error("it is still open")
	}
}

func TestAHoldIsAnIncidentToo(t *testing.T) {
	r := newRig()
	r.judge.verdict = proxyDown
	r.see(0, yes, yes)
	for range 10 {
		r.see(time.Minute, yes, no)
	}
	r.see(time.Minute, yes, yes)
	i := r.record.Incident
	if i == nil || i.Mended == nil || i.Mended.By != "its cause went away (Proxy); evenkeel held" {
		t.Fatalf("incident %+v", i)
	}
	if local, public := downtime(i, "local"), downtime(i, "public"); local != -1 || public != 10*time.Minute {
		t.Errorf("local down for %s, public for %s; want never, and ten minutes", local, public)
	}
	r.judge.verdict = crashed
	r.see(time.Minute, no, no)
	if !slices.Equal(r.record.Incident.Blames, []v1alpha1.Blame{v1alpha1.BlameProxy, v1alpha1.BlameApp}) {
		t.Errorf("blames = %v, want both in their order", r.record.Incident.Blames)
	}
}

func TestAResetClosesTheIncident(t *testing.T) {
	r := newRig()
	r.judge.verdict = downAndHeld
	r.judge.verdict.Certain = true
	r.see(0, no, no)
	r.now = r.now.Add(time.Minute)
	filed := r.files(Input{Order: &state.Order{Phase: v1alpha1.PhaseHealthy}})
	if len(filed) != 1 || !strings.Contains(filed[0].Closed, "reset by the operator") || filed[0].Incident.Mended != nil {
		t.Fatalf("filed %+v, want it closed, and not mended", filed)
	}
	if got := downtime(&filed[0].Incident, "local"); got != time.Minute {
		t.Errorf("down for %s, want up to the reset", got)
	}
}

func TestDowntimeGoesOnWhileEvenkeelDoesNotRun(t *testing.T) {
	r := newRig()
	r.judge.verdict = proxyDown
	r.judge.verdict.Certain = true
	r.see(0, maybe, no)
	r.now = v1alpha1.Instant{Wall: at(time.Hour).Wall, BootID: "boot-2"}
	r.recent = nil
	r.step(Input{Started: true})
	r.see(time.Minute, yes, yes)
	if got := downtime(r.record.Incident, "local"); got != time.Hour+time.Minute {
		t.Errorf("down for %s, want 1h1m: over the reboot", got)
	}
}

func TestOnlyTheFirstStepIsHandedTheObservations(t *testing.T) {
	r := newRig()
	r.see(0, no, no)
	if len(r.acts) != 1 || len(r.acts[0].Recent) != 1 {
		t.Fatalf("acts %+v, want the first step with what was seen", r.acts)
	}
	r.finish(time.Second, v1alpha1.StepDone)
	if len(r.acts) != 1 || r.acts[0].Recent != nil {
		t.Fatalf("acts %+v, want the next without", r.acts)
	}
}
