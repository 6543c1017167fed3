package controller

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

func TestAWarningIsToldOnceThenOnceADay(t *testing.T) {
	r := newRig()
	warn := func(status metav1.ConditionStatus) {
		r.judge.warnings = []pass.Warning{{Reason: "Expiring", Blame: v1alpha1.BlameCertificate, Status: status, Message: "it expires", Next: []string{"renew"}}}
	}
	told := func(when, want string) {
		t.Helper()
		var got []string
		for _, a := range r.alerts {
			got = append(got, string(a.Kind))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: told %q, want %q", when, got, want)
		}
	}
	r.see(0, yes, yes)
	told("nothing to warn of", "")
	warn(yes)
	r.see(time.Minute, yes, yes)
	told("it stands", "Warning")
	if a := r.alerts[0]; a.Blame != v1alpha1.BlameCertificate || a.Reason != "Expiring" || a.Message != "it expires" || len(a.Next) != 1 || a.Incident != 0 {
		t.Errorf("%+v", a)
	}
	if r.record.Phase != v1alpha1.PhaseHealthy || r.record.Incident != nil || r.record.Hold != nil {
		t.Errorf("a warning is no failure: %+v", r.record)
	}
	for range 23 {
		r.see(time.Hour, yes, yes)
	}
	told("for 23 hours", "Warning")
	r.see(time.Hour, yes, yes)
	told("for a day", "Warning Warning")
	if d := r.alerts[1].Duration.Duration; d != 24*time.Hour {
		t.Errorf("it is said to have lasted %s", d)
	}
	warn(maybe)
	r.see(time.Minute, yes, maybe)
	told("it could not be told", "Warning Warning")
	if w := r.record.Warnings; len(w) != 1 || w[0].EndedAt != nil {
		t.Errorf("%+v", w)
	}
	warn(no)
	r.see(time.Minute, yes, yes)
	told("over", "Warning Warning WarningOver")
	warn(yes)
	r.see(time.Minute, yes, yes)
	warn(no)
	r.see(time.Minute, yes, yes)
	told("it comes and goes", "Warning Warning WarningOver")
	warn(yes)
	r.see(24*time.Hour, yes, yes)
	told("back a day later", "Warning Warning WarningOver Warning")
	r.judge.warnings = nil
	r.see(time.Minute, yes, yes)
	told("nobody asks any more", "Warning Warning WarningOver Warning WarningOver")
	r.see(24*time.Hour, yes, yes)
	if len(r.record.Warnings) != 0 {
		t.Errorf("kept for ever: %+v", r.record.Warnings)
	}
}

func TestAWarningIsNotToldAnewAfterARestartOrAReboot(t *testing.T) {
	r := newRig()
	r.judge.warnings = []pass.Warning{{Reason: "Expiring", Status: yes, Message: "it expires"}}
	r.see(0, yes, yes)
	r.now = v1alpha1.Instant{Wall: metav1.NewMicroTime(r.now.Wall.Add(time.Hour)), Boot: metav1.Duration{Duration: time.Minute}, BootID: "boot-2"}
	r.recent = nil
	r.step(Input{Started: true})
	r.see(time.Second, yes, yes)
	if len(r.alerts) != 1 {
		t.Errorf("told %d times", len(r.alerts))
	}
}
