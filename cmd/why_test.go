package cmd

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/verdict"
)

func event(d time.Duration, reason, message string) v1alpha1.Event {
	return v1alpha1.Event{Time: metav1.NewMicroTime(at(d).Wall.Time), Type: v1alpha1.EventNormal, Reason: reason, Message: message, App: "bbyatch", Incident: 4}
}

func incident() []v1alpha1.Event {
	return []v1alpha1.Event{
		event(-20*time.Minute, v1alpha1.ReasonPhaseChanged, "Healthy → Degraded (Degrade): the application does not answer"),
		event(-19*time.Minute, v1alpha1.ReasonStepStarted, "step stop begins"),
		event(-18*time.Minute, v1alpha1.ReasonRecoveryFinished, "recovery 4-1 took 41s: the application did not come up"),
		event(-3*time.Minute, v1alpha1.ReasonPhaseChanged, "Cooldown → Failed (GiveUp): 3 of 3 attempts are spent"),
	}
}

func TestWhyText(t *testing.T) {
	proving := healthy(t)
	proving.Status.LastIncident = 4
	proving.Status.Incident = cooling(t).Status.Incident
	unconfirmed := healthy(t)
	unconfirmed.Pass, unconfirmed.Status.Verdict = failed(t).Pass, failed(t).Status.Verdict
	fresh := healthy(t)
	fresh.Status.LastIncident = 0
	for name, test := range map[string]struct {
		view   view
		events []v1alpha1.Event
	}{
		"healthy":     {healthy(t), incident()},
		"fresh":       {fresh, nil},
		"proving":     {proving, incident()[:1]},
		"unconfirmed": {unconfirmed, nil},
		"held":        {held(t), incident()[:1]},
		"failed":      {failed(t), incident()},
		"cooling":     {cooling(t), nil},
		"recovering":  {recovering(t), nil},
		"orphaned":    {orphaned(t), nil},
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, "why/"+name, whyText(&test.view, test.events, noon, style{}))
		})
	}
}

func TestWhyReadsTheJournal(t *testing.T) {
	b := newBench(t)
	b.supervise(b.desire(siteYAML))
	b.keep(failed(t))
	b.journal(incident()...)
	b.wants(b.run(nil, "why"), exitNotWell, "Cooldown → Failed (GiveUp)", "pm2 logs bbyatch --lines 50", "evenkeel reset bbyatch", b.dir+"/monitor.log")
}

func TestWhyRulesShowsEveryRule(t *testing.T) {
	b := newBench(t)
	code := b.run(nil, "why", "--rules")
	for _, rule := range verdict.Rules() {
		b.wants(code, exitWell, rule.Name, rule.Sees)
	}
	if strings.Count(b.out.String(), "\n") != len(verdict.Rules())+3 {
		t.Errorf("want a line for each rule:\n%s", b.out.String())
	}
}

func TestOfIncidentTakesTheEventThatOpenedIt(t *testing.T) {
	opening, later := event(-4*time.Minute, v1alpha1.ReasonPhaseChanged, "Healthy → Degraded"), event(0, v1alpha1.ReasonRecoveryStarted, "begins")
	opening.Incident = 0
	old := event(-time.Hour, v1alpha1.ReasonPhaseChanged, "of another one")
	old.Incident = 3
	open := held(t).Status.Incident
	for name, test := range map[string]struct {
		all  []v1alpha1.Event
		open *v1alpha1.Incident
		want int
	}{
		"with what follows":   {[]v1alpha1.Event{old, opening, later}, nil, 2},
		"alone":               {[]v1alpha1.Event{old, opening}, open, 1},
		"long before it":      {[]v1alpha1.Event{{Time: old.Time, Reason: v1alpha1.ReasonPhaseChanged}}, open, 0},
		"of another incident": {[]v1alpha1.Event{old}, open, 0},
	} {
		if got := ofIncident(test.all, 4, test.open); len(got) != test.want {
			t.Errorf("%s: got %d events, want %d", name, len(got), test.want)
		}
	}
}
