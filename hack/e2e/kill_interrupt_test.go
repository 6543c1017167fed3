//go:build e2e && linux

package e2e

import (
	"fmt"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "kill-at-every-write", Seconds: 330, Run: testKillAtEveryWrite})
}

// killDoc confirms at once and recovers in some seconds, so that every point costs little.
func (w *world) killDoc() *desired {
	return w.quick(killCooldown).
		Set("spec.interval", "500ms").
		Set("spec.failureThreshold", 1).
		Set("spec.checks.local.timeout", "1500ms")
}

const killCooldown = 8 * time.Second

// testKillAtEveryWrite kills evenkeel with SIGKILL at each system call by which the state file is committed in one
// recovery, and looks each time what the next run makes of what is left.
func testKillAtEveryWrite(w *world) {
	there := w.recoverOnce(0)
	w.note("%d points: %s", len(there), strings.Join(there, "; "))
	hit, longest := 0, time.Duration(0)
	phases := map[v1alpha1.Phase]int{}
	for n := 1; n <= len(there); n++ {
		s := w.prepare(fmt.Sprintf("kill-%d", n), w.killDoc())
		s.begin()
		s.waitHealthy(20 * time.Second)
		mark := w.pm2Mark()
		tr := attach(w.T, s.pid(), s.StateDir, tracerKill+"="+itoa(n))
		broke := time.Now()
		site := w.hang()
		line := tr.line(w.T, 40*time.Second)
		if !strings.HasPrefix(line, "killed ") {
			w.Fatalf("point %d: the tracer says %q", n, line)
		}
		if code := s.wait(5 * time.Second); code != -1 {
			w.Fatalf("point %d: exit code %d, want an end by SIGKILL", n, code)
		}
		tr.end()
		hit++
		left := s.state()
		phases[left.Phase]++
		at := time.Now()
		s.mustRestart(10 * time.Second)
		now := s.waitSettledAfter(n, site)
		longest = max(longest, time.Since(at))
		stable := s.waitPhase(killCooldown+20*time.Second, broke, v1alpha1.PhaseHealthy)

		// The attempt counts, once, from when it began; its cooldown was kept; the site was started once.
		st := s.state()
		where := fmt.Sprintf("%s, in phase %s", strings.TrimPrefix(line, "killed "), left.Phase)
		switch {
		case st.Incident == nil || len(st.Incident.Attempts) != 1 || st.Incident.Spent != 0 || st.LastIncident != 1:
			w.Errorf("killed at %s: incident %+v, want one attempt", where, st.Incident)
		case left.Recovery != nil && st.Incident.Attempts[0].StartedAt != left.Recovery.StartedAt:
			w.Errorf("killed at %s: the attempt began at %+v and is remembered as of %+v", where, left.Recovery.StartedAt, st.Incident.Attempts[0].StartedAt)
		default:
			began := st.Incident.Attempts[0].StartedAt.Wall
			if kept := stable.Time.Sub(began.Time); kept < killCooldown {
				w.Errorf("killed at %s: the cooldown lasted %s, want %s", where, kept, killCooldown)
			}
		}
		if starts := s.events(broke, v1alpha1.ReasonRecoveryStarted); len(starts) > 1 {
			w.Errorf("killed at %s: %d recoveries were begun", where, len(starts))
		}
		if did := w.pm2Since(mark); did.Starts != 1 || did.Exits != 1 {
			w.Errorf("killed at %s: %s, want one start and one exit", where, did)
		}
		if later := w.site(); later != now {
			w.Errorf("killed at %s: the site was %s and is %s", where, now, later)
		}
		if code := s.term(); code != 0 {
			w.Errorf("killed at %s: exit code %d at the end", where, code)
		}
		s.trace.stop()
		if w.Failed() {
			w.Fatalf("killed at %s; the others are left out", where)
		}
	}
	w.measure.add("%d points there are, %d hit (phase on disk: %v); after the restart the site answered within %.1f s at the latest; one attempt, one start, cooldown kept each time",
		len(there), hit, phases, longest.Seconds())
}

// recoverOnce lets one recovery pass without a kill, and gives the points by which its states were committed.
func (w *world) recoverOnce(n int) []string {
	w.Helper()
	s := w.prepare(fmt.Sprintf("kill-%d", n), w.killDoc())
	s.begin()
	s.waitHealthy(20 * time.Second)
	mark := w.pm2Mark()
	tr := attach(w.T, s.pid(), s.StateDir)
	broke := time.Now()
	site := w.hang()
	s.waitPhase(40*time.Second, broke, v1alpha1.PhaseCooldown)
	points := tr.passed() // the event is journalled after its state was committed
	tr.end()
	s.waitSettledAfter(n, site)
	s.waitPhase(killCooldown+20*time.Second, broke, v1alpha1.PhaseHealthy)
	if did := w.pm2Since(mark); did.Starts != 1 || did.Exits != 1 {
		w.Fatalf("without a kill: %s, want one start and one exit", did)
	}
	if code := s.term(); code != 0 {
		w.Errorf("exit code %d at the end", code)
	}
	if len(points) < 8 {
		w.Fatalf("only %d points were seen: %v", len(points), points)
	}
	return points
}

// waitSettledAfter waits until the site that hung is replaced by one that answers, and the recovery is closed.
func (s *supervisor) waitSettledAfter(n int, hung proc) proc {
	s.Helper()
	s.eventually(40*time.Second, fmt.Sprintf("point %d: the site is replaced, and the recovery closed", n), func() (string, bool) {
		st := s.state()
		return fmt.Sprintf("site %s answers %d; %s", s.site(), s.local(), s.summary()),
			!hung.alive() && s.site().PID != 0 && s.local() == 200 && st.Recovery != nil && !st.Recovery.Open()
	})
	return s.mustSite()
}
