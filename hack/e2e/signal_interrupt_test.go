//go:build e2e && linux

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "signals-healthy", Seconds: 5, Run: testSignalsHealthy})
	register(testCase{Name: "restart-in-cooldown", Seconds: 115, Run: testRestartInCooldown})
}

// testSignalsHealthy ends evenkeel while all is well.
func testSignalsHealthy(w *world) {
	s := w.supervise(w.reference())
	site, mark := w.mustSite(), w.pm2Mark()
	var said []string
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM} {
		at := time.Now()
		s.expect = true
		if err := syscall.Kill(s.pid(), signal); err != nil {
			w.Fatal(err)
		}
		code := s.wait(10 * time.Second)
		took := time.Since(at)
		if code != 0 || took > 2*time.Second {
			w.Errorf("%s: exit code %d after %s", signal, code, took)
		}
		said = append(said, fmt.Sprintf("%s %.2f s", signal, took.Seconds()))
		if stopped := s.events(at, v1alpha1.ReasonStopped); len(stopped) != 1 {
			w.Errorf("%s: the journal tells %d times that supervision ended", signal, len(stopped))
		}
		began := s.mustRestart(10 * time.Second)
		s.waitEvent(time.Second, began, "it has begun", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonStarted })
		s.waitPasses(1, 20*time.Second)
		if st := s.state(); st.Phase != v1alpha1.PhaseHealthy {
			w.Errorf("%s: after the restart it is %s", signal, st.Phase)
		}
	}
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s", site, now)
	}
	if did := w.pm2Since(mark); did != (pm2Did{}) {
		w.Errorf("PM2 did something: %s", did)
	}
	w.measure.add("exit 0: %s; the site is untouched", strings.Join(said, ", "))
}

// testRestartInCooldown restarts evenkeel in a cooldown, by SIGTERM and by SIGKILL, and lets the site fail once more in it.
func testRestartInCooldown(w *world) {
	const cooldown = 40 * time.Second // long enough to look into it, however slow the machine is
	var said []string
	for name, end := range map[string]func(*supervisor){
		"SIGTERM": func(s *supervisor) {
			if code := s.term(); code != 0 {
				w.Errorf("exit code %d after SIGTERM", code)
			}
		},
		"SIGKILL": func(s *supervisor) { s.kill() },
	} {
		s := w.prepare(name, w.quick(cooldown))
		s.begin()
		s.waitHealthy(20 * time.Second)
		broke := time.Now()
		w.hang()
		s.waitPhase(40*time.Second, broke, v1alpha1.PhaseCooldown)
		s.waitSettled(20 * time.Second)
		before := s.state()
		end(s)
		s.mustRestart(10 * time.Second)
		again := w.hang()
		s.waitEvent(20*time.Second, broke, "the attempt is spent", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonAttemptSpent })
		after := s.state()
		if after.Phase != v1alpha1.PhaseCooldown || after.Cooldown == nil || *after.Cooldown != *before.Cooldown {
			w.Errorf("%s: phase %s, cooldown %+v before and %+v after the restart", name, after.Phase, before.Cooldown, after.Cooldown)
		}
		s.waitEvent(cooldown+30*time.Second, broke, "a second recovery", func(e v1alpha1.Event) bool {
			return e.Reason == v1alpha1.ReasonRecoveryStarted && e.Attempt == 2
		})
		starts := s.events(broke, v1alpha1.ReasonRecoveryStarted)
		if len(starts) != 2 {
			w.Fatalf("%s: %d recoveries were begun: %v", name, len(starts), starts)
		}
		apart := starts[1].Time.Sub(starts[0].Time.Time)
		if apart < cooldown {
			w.Errorf("%s: the second recovery began %s after the first; the cooldown is %s", name, apart, cooldown)
		}
		if now := s.waitSettled(30 * time.Second); now == again {
			w.Errorf("%s: the site that hangs was not replaced", name)
		}
		if i := s.state().Incident; i == nil || len(i.Attempts) != 2 || i.Spent != 1 || i.Number != 1 {
			w.Errorf("%s: incident %+v", name, i)
		}
		said = append(said, fmt.Sprintf("%s: recoveries %.1f s apart", name, apart.Seconds()))
		if code := s.term(); code != 0 {
			w.Errorf("exit code %d at the end", code)
		}
	}
	slices.Sort(said)
	w.measure.add("%s (cooldown %.0f s), attempts kept", strings.Join(said, "; "), cooldown.Seconds())
}
