package cmd

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// mendedRecord is what a scene looks like in which a hang was mended: broken at 0 s, confirmed at 2 s, answering at 3 s.
func mendedRecord() sceneRecord {
	zero := time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)
	r := sceneRecord{broken: zero, before: 7, after: 8}
	add := func(after time.Duration, e v1alpha1.Event) {
		e.Time = metav1.NewMicroTime(zero.Add(after))
		if e.Type == "" {
			e.Type = v1alpha1.EventNormal
		}
		r.events = append(r.events, e)
	}
	phase := func(after time.Duration, p v1alpha1.Phase) {
		add(after, v1alpha1.Event{Reason: v1alpha1.ReasonPhaseChanged, Phase: p, Blame: v1alpha1.BlameApp})
	}
	add(time.Second, v1alpha1.Event{Reason: v1alpha1.ReasonVerdict, Type: v1alpha1.EventWarning, Message: "App: Hung → Recover: it hangs"})
	phase(2*time.Second, v1alpha1.PhaseDegraded)
	phase(2*time.Second, v1alpha1.PhaseRecovering)
	add(2*time.Second, v1alpha1.Event{Reason: v1alpha1.ReasonRecoveryStarted, Recovery: "1-1", Message: "recovery 1-1 begins with plan Plain: it hangs"})
	add(2*time.Second, v1alpha1.Event{Reason: v1alpha1.ReasonStepFinished, Step: "stop", Outcome: "Done", Message: "step stop: Done: it has ended"})
	phase(6*time.Second, v1alpha1.PhaseCooldown)
	phase(6*time.Second, v1alpha1.PhaseHealthy)
	for after, pid := range map[time.Duration]int{0: 7, time.Second: 0, 3 * time.Second: 8} {
		r.answers = append(r.answers, visit{zero.Add(after), pid})
	}
	r.alerts = []v1alpha1.Alert{{Kind: v1alpha1.AlertDegraded}, {Kind: v1alpha1.AlertResolved}}
	return r
}

func mendedScene() *scene {
	return &scene{name: "hang", want: wanted{
		phases: toMended, blame: v1alpha1.BlameApp, reason: "Hung", recoveries: 1, alerts: toldAndOver, plans: []string{"Plain"},
	}}
}

func TestReportOfWhatWentAsItMust(t *testing.T) {
	r := mendedRecord()
	got := r.report(mendedScene())
	if len(got.problems) > 0 {
		t.Fatal(got.problems)
	}
	if got.seen != 2*time.Second || got.mended != 3*time.Second || got.since || got.kept || got.blame != "App" {
		t.Errorf("%+v", got)
	}
	if want := "App blamed; recovered: Plain; seen after 2s; answers after 3s"; got.summary() != want {
		t.Errorf("%s, want %s", got.summary(), want)
	}
}

func TestReportSaysWhatIsWrong(t *testing.T) {
	for want, change := range map[string]func(*sceneRecord, *scene){
		"phases: Degraded":                                  func(r *sceneRecord, _ *scene) { r.events = r.events[:2] },
		"blamed: App, and it should have been Proxy":        func(_ *sceneRecord, s *scene) { s.want.blame = v1alpha1.BlameProxy },
		"reason: Hung, and it should have been ServerError": func(_ *sceneRecord, s *scene) { s.want.reason = "ServerError" },
		"nobody was blamed, and it should have been App":    func(r *sceneRecord, _ *scene) { r.events = nil },
		"recoveries: 1, and it should have been 0":          func(_ *sceneRecord, s *scene) { s.want.recoveries = 0 },
		"attempts spent: 1, and it should have been 0": func(r *sceneRecord, _ *scene) {
			r.events = append(r.events, v1alpha1.Event{Reason: v1alpha1.ReasonAttemptSpent})
		},
		"plans: Plain Clean, and it should have been Plain": func(r *sceneRecord, _ *scene) {
			r.events = append(r.events, v1alpha1.Event{Reason: v1alpha1.ReasonVerdict, Recovery: "1-1", Message: "it goes on with plan Clean"})
		},
		"cache cleared: true, and it should have been false": func(r *sceneRecord, _ *scene) {
			r.events = append(r.events, v1alpha1.Event{Reason: v1alpha1.ReasonStepFinished, Step: "caches", Outcome: "Done"})
		},
		"alerts: Degraded Resolved Flapping, and it should have been Degraded Resolved": func(r *sceneRecord, _ *scene) {
			r.alerts = append(r.alerts, v1alpha1.Alert{Kind: v1alpha1.AlertFlapping})
		},
		"process 7 has been replaced by process 8": func(_ *sceneRecord, s *scene) { s.want.kept = true },
		"process 8 is still the same":              func(r *sceneRecord, _ *scene) { r.before = 8 },
		"it is not known which process":            func(r *sceneRecord, _ *scene) { r.after = 0 },
		"no visitor got a good answer afterwards":  func(r *sceneRecord, _ *scene) { r.answers = r.answers[:0] },
	} {
		t.Run(want, func(t *testing.T) {
			r, s := mendedRecord(), mendedScene()
			change(&r, s)
			if got := strings.Join(r.report(s).problems, "\n"); !strings.Contains(got, want) {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestTourText(t *testing.T) {
	r := mendedRecord()
	good := r.report(mendedScene())
	held := sceneReport{name: "proxy", blame: "Proxy", action: "held: told, and left alone", seen: time.Second, mended: 30 * time.Millisecond, since: true, kept: true}
	text := tourText([]sceneReport{good, held}, 2, 58*time.Second, true, style{})
	for _, want := range []string{
		"✓  hang   App     recovered: Plain            2s    3s       another\n",
		"✓  proxy  Proxy   held: told, and left alone  1s    30ms *   kept\n",
		"2 of 2 scenes went as they must, in 58s; nothing is left behind.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	held.problems = []string{"it was killed"}
	text = tourText([]sceneReport{good, held}, 3, 58*time.Second, false, style{})
	for _, want := range []string{"✗  proxy", "✗ proxy: it was killed\n", "1 of 3 scenes went as they must, in 58s.\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if allWell([]sceneReport{good, held}, 2) || allWell([]sceneReport{good}, 2) || !allWell([]sceneReport{good}, 1) {
		t.Error("allWell")
	}
}
