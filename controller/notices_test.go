package controller

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state/machine"
)

var update = flag.Bool("update", false, "write docs/alerts.md anew")

const noticesHead = `# What is told

This page is made by ` + "`hack/generate`" + ` from the table in ` + "`controller/notices.go`" + `, out of which evenkeel tells. How to be told:
[operating.md](operating.md#alerts).

| kind | on | when | how often |
| --- | --- | --- | --- |
`

// TestDocumentationHoldsEveryNotice keeps docs/alerts.md the same as the table.
func TestDocumentationHoldsEveryNotice(t *testing.T) {
	const path = "../docs/alerts.md"
	var b strings.Builder
	b.WriteString(noticesHead)
	for _, n := range Notices() {
		var on []string
		for _, e := range n.Events {
			on = append(on, string(e))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", n.Kind, strings.Join(on, ", "), n.When, n.Again)
	}
	b.WriteString("\nThese transitions tell nobody:\n\n| on | why |\n| --- | --- |\n")
	for _, e := range machine.Events() {
		if why, ok := Silent()[e]; ok {
			fmt.Fprintf(&b, "| %s | %s |\n", e, why)
		}
	}
	b.WriteString("\nThe kind `Test` is sent by `evenkeel alert test`. What a failure costs, and what is held for, stands in " +
		"[verdicts.md](verdicts.md); the transitions in [state-machine.md](state-machine.md).\n")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != b.String() {
		t.Errorf("docs/alerts.md is not what the table says; run hack/generate (%v)", err)
	}
}

// TestEveryTransitionTellsOrIsSilent: none is forgotten in the table.
func TestEveryTransitionTellsOrIsSilent(t *testing.T) {
	for _, e := range machine.Events() {
		_, silent := Silent()[e]
		tells := slices.ContainsFunc(Notices(), func(n *Notice) bool { return slices.Contains(n.Events, e) })
		if silent == tells {
			t.Errorf("%s: tells %v, silent %v", e, tells, silent)
		}
	}
}

// TestEveryNoticeIsTold, as the table says: what is told when it comes about, and in the time in which it is not told again.
func TestEveryNoticeIsTold(t *testing.T) {
	certain := func(v v1alpha1.Verdict) v1alpha1.Verdict {
		v.Certain = true
		return v
	}
	down := certain(downAndHeld)
	scenes := map[*Notice]func(*rig){
		noticeDegraded: func(r *rig) {
			r.judge.verdict = certain(proxyDown)
			r.see(0, yes, no)
		},
		noticeFlapping: func(r *rig) {
			r.judge.verdict = certain(proxyDown)
			r.see(0, yes, no)
			r.see(time.Minute, yes, yes)
			r.alerts = nil
			r.see(time.Minute, yes, no)
		},
		noticeStillDown: func(r *rig) {
			r.judge.verdict = down
			r.see(0, no, no)
			r.record.Hold.LimitSpent = true
			r.alerts = nil
			r.see(time.Hour, no, no)
		},
		noticeFailed: func(r *rig) {
			r.record.Phase = v1alpha1.PhaseDegraded
			r.record.Incident = &v1alpha1.Incident{Number: 1, Spent: 3, StartedAt: at(0)}
			r.see(0, no, no)
		},
		noticeUnprotected: func(r *rig) {
			r.record.Phase = v1alpha1.PhaseFailed
			r.record.Incident = &v1alpha1.Incident{Number: 1, Spent: 3, StartedAt: at(0)}
			r.see(0, yes, yes)
			r.alerts = nil
			r.see(time.Hour, yes, yes)
		},
		noticeResolved: func(r *rig) {
			r.judge.verdict = certain(proxyDown)
			r.see(0, yes, no)
			r.alerts = nil
			r.see(time.Minute, yes, yes)
		},
		noticeUnknown: func(r *rig) {
			r.see(0, yes, maybe)
			r.see(10*time.Minute, yes, maybe)
		},
		noticeStillUnknown: func(r *rig) {
			r.see(0, yes, maybe)
			r.see(10*time.Minute, yes, maybe)
			r.see(49*time.Minute, yes, maybe)
			r.alerts = nil
			r.see(time.Minute, yes, maybe)
		},
		noticeStillPaused: func(r *rig) {
			r.app.Spec.Paused = true
			r.see(0, yes, yes)
			r.see(24*time.Hour, yes, yes)
		},
		noticeWarning: func(r *rig) {
			r.judge.warnings = []pass.Warning{{Reason: "CertificateExpires", Status: yes, Message: "soon"}}
			r.see(0, yes, yes)
		},
		noticeWarningOver: func(r *rig) {
			r.judge.warnings = []pass.Warning{{Reason: "CertificateExpires", Status: yes, Message: "soon"}}
			r.see(0, yes, yes)
			r.alerts = nil
			r.judge.warnings = nil
			r.see(time.Minute, yes, yes)
		},
	}
	for _, n := range Notices() {
		scene := scenes[n]
		if scene == nil {
			if n != noticeSpecRejected && n != noticeStateNotPersisted { // the loop's; its own tests see them
				t.Errorf("%s (%s) is told in no scene", n.Kind, n.When)
			}
			continue
		}
		r := newRig()
		r.app.Spec.Recovery.Tell = v1alpha1.TellWhenNotMended
		scene(r)
		if len(r.alerts) != 1 || r.alerts[0].Kind != n.Kind {
			t.Errorf("%s (%s): told %q", n.Kind, n.When, r.told())
			continue
		}
		r.alerts = nil
		last := r.recent[len(r.recent)-1].Results
		if n.Every > 0 {
			r.see(n.Every-time.Minute, last[0].Status, last[1].Status)
			if got := r.told(); got != "" {
				t.Errorf("%s (%s): %s later told %q", n.Kind, n.When, n.Every-time.Minute, got)
			}
		}
		if n.Every > 0 && n != noticeFlapping {
			r.see(time.Minute, last[0].Status, last[1].Status)
			if len(r.alerts) != 1 || r.alerts[0].Kind != n.Kind {
				t.Errorf("%s (%s): %s later told %q", n.Kind, n.When, n.Every, r.told())
			}
		}
	}
}

// quiet is a rig whose operator has not asked for what is mended at once.
func quiet() *rig {
	r := newRig()
	r.app.Spec.Recovery.Tell = v1alpha1.TellWhenNotMended
	return r
}

func TestWhatTheFirstRecoveryMendsIsToldToNobody(t *testing.T) {
	r := quiet()
	r.see(0, no, no)
	r.recover(v1alpha1.StepDone)
	for range 10 {
		r.see(time.Minute, yes, yes)
	}
	if r.record.Phase != v1alpha1.PhaseHealthy || r.record.Incident == nil {
		t.Fatalf("%s %+v", r.record.Phase, r.record.Incident)
	}
	r.wantTold(t, "mended", "")
	r.see(time.Minute, no, no)
	if r.record.Phase != v1alpha1.PhaseRecovering {
		t.Fatal(r.record.Phase)
	}
	r.wantTold(t, "it fails again", "Degraded/App")
	r.recover(v1alpha1.StepDone)
	for range 15 {
		r.see(time.Minute, yes, yes)
	}
	r.wantTold(t, "mended once more", "Resolved/App")
}

func TestWhatTheFirstRecoveryDoesNotMendIsToldAtOnce(t *testing.T) {
	r := quiet()
	r.see(0, no, no)
	r.recover(v1alpha1.StepFailed)
	r.wantTold(t, "at work", "")
	r.see(time.Second, no, no)
	r.wantTold(t, "it did not help", "Degraded/App")
	r.see(time.Second, no, no)
	r.wantTold(t, "still so", "")
}

func TestWhatIsNotActedOnIsToldAtOnce(t *testing.T) {
	for name, change := range map[string]func(*rig){
		"paused":        func(r *rig) { r.app.Spec.Paused = true },
		"only observed": func(r *rig) { r.app.Spec.Mode = v1alpha1.ModeObserve },
		"in a cooldown": func(r *rig) { r.record.Cooldown = v1alpha1.NewWait(r.now, time.Hour) },
	} {
		r := quiet()
		change(r)
		r.see(0, no, no)
		r.wantTold(t, name, "Degraded/App")
	}
}

func TestWhoWaitsForItsTurnForLongIsTold(t *testing.T) {
	r := quiet()
	see := func(d time.Duration) {
		r.now = r.now.Add(d)
		r.recent = Remember(r.recent, seen(r.now, no, no), r.judge.Checks(r.app))
		r.step(Input{Observed: true, NoTurn: true})
	}
	see(0)
	see(30 * time.Second)
	r.wantTold(t, "for half a minute", "")
	see(31 * time.Second)
	r.wantTold(t, "for longer", "Degraded/App")
}
