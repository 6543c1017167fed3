package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// ofSystemd makes a service of the application.
func ofSystemd(c *pass.Case) *pass.Case {
	c.App.Spec.Runtime = v1alpha1.RuntimeSpec{Systemd: &v1alpha1.SystemdRuntime{Unit: "site.service"}}
	return c
}

func TestTheOperatorOfAServiceIsToldSystemdsCommands(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(w *world)
		rule   string
		remedy v1alpha1.Remedy
		next   string
	}{
		"gone":        {func(w *world) { w.gone(runtime.Stopped) }, "process-gone", v1alpha1.RemedyRecover, "journalctl -n 50 -u site.service"},
		"given up":    {func(w *world) { w.gone(runtime.Errored) }, "process-gone", v1alpha1.RemedyRecover, "journalctl -n 50 -u site.service"},
		"coming back": {func(w *world) { w.gone(runtime.Waiting) }, "runtime-busy", v1alpha1.RemedyWait, ""},
		"stopped by hand": {func(w *world) {
			w.gone(runtime.Stopped)
			w.process.StopOrdered, w.process.StopOrderedFor = true, time.Minute
		}, "operator-stop", v1alpha1.RemedyHold, "start it: systemctl start site.service"},
		"masked": {func(w *world) { w.gone(runtime.Missing) }, "not-listed", v1alpha1.RemedyHold, "systemctl unmask site.service"},
		"systemd does not answer": {func(w *world) {
			w.process = facts.Process{State: string(runtime.Unknown)}
			w.local = facts.HTTP{Class: facts.Timeout}
			w.status["process"], w.status["local"] = maybe, no
		}, "cannot-see", v1alpha1.RemedyHold, "see what keeps it: systemctl status site.service"},
		"little room":     {func(w *world) { w.short(100<<20, 0) }, "disk-short", v1alpha1.RemedyHold, "the journal: journalctl --disk-usage; journalctl --vacuum-size=200M"},
		"another runs it": {func(w *world) { w.gone(runtime.Stopped); w.serves(facts.Listener{Whose: facts.CannotTell}) }, "answers-elsewhere", v1alpha1.RemedyHold, "spec.runtime.systemd: unit, user"},
	} {
		w := well()
		w.process.Home, w.process.Runtime = "", v1alpha1.RuntimeSystemd
		c.set(w)
		v := Diagnose(ofSystemd(twice(w)))
		said := v.Message + "\n" + strings.Join(v.Next, "\n")
		if v.Rule != c.rule || v.Remedy != c.remedy || !strings.Contains(said, c.next) {
			t.Errorf("%s: %s, %s: %s", name, v.Rule, v.Remedy, said)
		}
		if strings.Contains(strings.ToLower(said), "pm2") || strings.Contains(said, " in  ") {
			t.Errorf("%s: %s", name, said)
		}
	}
}

func TestTheCommandsForAUsersServiceSayUser(t *testing.T) {
	w := well()
	w.gone(runtime.Stopped)
	c := ofSystemd(twice(w))
	c.App.Spec.Runtime.Systemd.User = true
	if next := strings.Join(Diagnose(c).Next, "\n"); !strings.Contains(next, "journalctl --user -n 50 -u site.service") {
		t.Error(next)
	}
}
