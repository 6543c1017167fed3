package story

import (
	"slices"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestDifferences(t *testing.T) {
	events := []v1alpha1.Event{
		{Reason: v1alpha1.ReasonPhaseChanged, From: v1alpha1.PhaseHealthy, Phase: v1alpha1.PhaseDegraded},
		{Reason: v1alpha1.ReasonRecoveryStarted, Phase: v1alpha1.PhaseRecovering},
		{Reason: v1alpha1.ReasonRecoveryFinished, Phase: v1alpha1.PhaseCooldown, Outcome: v1alpha1.OutcomeVerified},
		{Reason: v1alpha1.ReasonAlertSent, Phase: v1alpha1.PhaseDegraded},
	}
	const same = `# TYPE evenkeel_recoveries_total counter
evenkeel_transitions_total{app="site",from="Healthy",to="Degraded"} 1
evenkeel_recoveries_total{app="site"} 1
evenkeel_recoveries_finished_total{app="site",outcome="Verified"} 1
evenkeel_recoveries_finished_total{app="site",outcome="NotVerified"} 0
evenkeel_alerts_total{app="site",outcome="sent"} 1
evenkeel_alerts_total{app="other",outcome="sent"} 7
evenkeel_passes_total{app="site"} 1.8e+09
evenkeel_app_phase{app="site",phase="Cooldown"} 1
`
	if got := Differences(same, "site", events); len(got) > 0 {
		t.Errorf("%q", got)
	}
	if got := Value(same, `evenkeel_passes_total{app="site"}`); got != 1.8e9 {
		t.Errorf("%v", got)
	}
	// One that is not counted, one that is counted twice, one that never was, and another phase.
	const other = `evenkeel_transitions_total{app="site",from="Healthy",to="Degraded"} 1
evenkeel_recoveries_total{app="site"} 2
evenkeel_attempts_spent_total{app="site"} 1
evenkeel_alerts_total{app="site",outcome="sent"} 1
evenkeel_app_phase{app="site",phase="Cooldown"} 0
`
	want := []string{
		`evenkeel_attempts_spent_total{app="site"} is 1, the journal tells of 0`,
		`evenkeel_recoveries_finished_total{app="site",outcome="Verified"} is 0, the journal tells of 1`,
		`evenkeel_recoveries_total{app="site"} is 2, the journal tells of 1`,
		`evenkeel_app_phase{app="site",phase="Cooldown"} is not 1, and it is the last of which the journal tells`,
	}
	if got := Differences(other, "site", events); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
