//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "failed-http-500", Seconds: 75, Run: func(w *world) { testFailed(w, "http-500-for-good", "http-500-forever") }})
	register(testCase{Name: "failed-crash-loop", Seconds: 80, Run: func(w *world) { testFailed(w, "crash-loop-for-good", "crash-loop") }})
}

// testFailed lets three recoveries fail, looks that nothing is done after them, and leads out as an operator does.
func testFailed(w *world, name, fault string) {
	const cooldown = 20 * time.Second
	d := w.quick(cooldown).
		Set("spec.recovery.deadline", "3s").
		Set("spec.recovery.startupGrace", "3s")
	in := w.inbox(d)
	s := w.supervise(d)

	p := s.proof(name, in)
	at := w.fault(fault)
	gaveUp := s.waitPhase(4*time.Minute, at, v1alpha1.PhaseFailed)
	took := gaveUp.Time.Sub(at)
	events := s.events(at)

	// Through which phases it went, and how far apart the recoveries were.
	want := slices.Repeat([]v1alpha1.Phase{v1alpha1.PhaseDegraded, v1alpha1.PhaseRecovering, v1alpha1.PhaseCooldown}, 3)
	want = append(want, v1alpha1.PhaseFailed)
	if got := phasesOf(events); !slices.Equal(got, want) {
		w.Errorf("phases: %v, want %v", got, want)
	}
	starts := ofReason(events, v1alpha1.ReasonRecoveryStarted)
	least := time.Hour
	for n := 1; n < len(starts); n++ {
		least = min(least, starts[n].Time.Sub(starts[n-1].Time.Time))
	}
	if least < cooldown {
		w.Errorf("two recoveries began within %s; the cooldown is %s", least, cooldown)
	}
	if n := len(ofReason(events, v1alpha1.ReasonAttemptSpent)); n != 3 {
		w.Errorf("%d attempts were spent, want 3", n)
	}
	ends := ofReason(events, v1alpha1.ReasonRecoveryFinished)
	if last := ends[len(ends)-1]; gaveUp.Time.Sub(last.Time.Time) > 5*time.Second {
		w.Errorf("it gave up only %s after the third recovery had ended", gaveUp.Time.Sub(last.Time.Time))
	}

	// Nothing is done from now on, but looking.
	mark, site := w.pm2Mark(), w.site()
	s.waitPasses(12, time.Minute)
	did := w.pm2Since(mark)
	switch {
	case did.Stops != 0:
		w.Errorf("in Failed something was still stopped: %s", did)
	case fault != "crash-loop" && did != (pm2Did{}):
		w.Errorf("in Failed something was still done: %s", did)
	}
	if now := w.site(); fault != "crash-loop" && (now != site || site.PID == 0) {
		w.Errorf("the site was %s when it gave up, and is %s", site, now)
	}
	if more := s.events(gaveUp.Time.Time, v1alpha1.ReasonStepStarted, v1alpha1.ReasonRecoveryStarted); len(more) > 0 {
		w.Errorf("in Failed something was begun: %v", more)
	}
	for _, p := range s.trace.since(gaveUp.Time.Time) {
		if p.Holds() {
			w.Errorf("a pass in Failed holds: %v", p)
		}
	}

	// Who was told of it, and what.
	for name, list := range map[string][]v1alpha1.Alert{"program": in.byProgram(), "webhook": in.byWebhook()} {
		if !sameKinds(list, v1alpha1.AlertDegraded, v1alpha1.AlertFailed) {
			w.Fatalf("alerts by %s: %v, want Degraded and Failed", name, words(list))
		}
		a := list[1]
		text := strings.Join(append(append([]string{a.Message}, a.Evidence...), a.Next...), "\n")
		found := "500"
		if fault == "crash-loop" {
			found = "lives"
		}
		for _, part := range []string{"3 of 3", found, s.StateDir + "/monitor.log", "pm2 ls", "pm2 logs bbyatch", "free -m", "df -h", "evenkeel reset bbyatch"} {
			if !strings.Contains(text, part) {
				w.Errorf("the alert Failed by %s says nothing of %q:\n%s", name, part, text)
			}
		}
		if a.Incident != 1 || a.Blame != v1alpha1.BlameApp || a.Phase != v1alpha1.PhaseFailed {
			w.Errorf("the alert Failed: incident %d, blame %s, phase %s", a.Incident, a.Blame, a.Phase)
		}
	}
	why, errs, code := s.cli("why")
	for _, part := range []string{"Failed", "3 of 3 attempts", "monitor.log", "pm2 ls", "pm2 logs bbyatch", "free -m", "df -h", "evenkeel reset bbyatch"} {
		if !strings.Contains(why, part) {
			w.Errorf("why says nothing of %q", part)
		}
	}
	if code != 1 {
		w.Errorf("why: exit code %d, want 1", code)
	}
	w.Logf("$ evenkeel why\n%s%s", why, errs)

	// Mended by hand; then the reset, with a real editor.
	w.clear(fault)
	if fault == "crash-loop" {
		w.pm2("restart", "bbyatch")
	}
	w.eventually(30*time.Second, "the site is well by itself, and evenkeel stays in Failed", func() (string, bool) {
		return s.summary(), s.pass().Holds() && s.state().Phase == v1alpha1.PhaseFailed && s.state().WellSince != nil
	})
	reset := s.save(vim, v1alpha1.PhaseHealthy, "")
	s.mustBeReset(2)
	if list := in.waitKinds(3); !sameKinds(list, v1alpha1.AlertDegraded, v1alpha1.AlertFailed, v1alpha1.AlertResolved) {
		w.Errorf("alerts after the reset: %v", words(list))
	}

	p.over()

	// The budget is full: the next failure is a new incident, with its first attempt, and nothing makes it wait.
	site = w.hang()
	again := time.Now()
	s.waitPhase(30*time.Second, again, v1alpha1.PhaseCooldown)
	st := s.state()
	if i := st.Incident; i == nil || i.Number != 2 || len(i.Attempts) != 1 || i.Attempts[0].Number != 1 {
		w.Errorf("after the reset and one more failure: incident %+v", i)
	}
	if now := s.waitSettled(30 * time.Second); now == site {
		w.Error("the site that hangs was not replaced")
	}
	w.measure.add("Failed after %.0f s; recoveries began %.1f s apart at least (cooldown %.0f s); alerts %v; reset by vim in %.2f s",
		took.Seconds(), least.Seconds(), cooldown.Seconds(), words(in.byProgram()), reset.Seconds())
}

// waitKinds waits until so many alerts have come by both ways, and gives those of the program.
func (in *inbox) waitKinds(n int) []v1alpha1.Alert {
	in.w.Helper()
	in.w.within(15*time.Second, func() (string, bool) { return "", len(in.byProgram()) >= n && len(in.byWebhook()) >= n })
	return in.byProgram()
}
