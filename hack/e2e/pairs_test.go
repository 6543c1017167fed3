//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/hack/e2e/table"
)

// pairSeconds is what one pair takes, the reset of the stack included.
const pairSeconds = 45

// pairsDrawn is how many pairs a run draws.
func pairsDrawn() uint64 { return number("E2E_PAIRS", 2) }

// TestPairs runs E2E_PAIRS pairs of faults that E2E_SEED draws, or those that are named: TestPairs/hang-and-dns.
func TestPairs(t *testing.T) {
	all := table.Pairs()
	drawn := all
	if !strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		random := rand.New(rand.NewPCG(seed(), 1))
		random.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
		drawn = all[:min(int(pairsDrawn()), len(all))]
		fmt.Printf("e2e: %d of %d pairs of faults, drawn with E2E_SEED=%d\n", len(drawn), len(all), seed())
	}
	var list []testCase
	for _, p := range drawn {
		list = append(list, testCase{Name: pairName(p), Seconds: pairSeconds, Run: func(w *world) { testPair(w, p) }})
	}
	runAll(t, list)
}

func pairName(p table.Pair) string {
	return strings.ReplaceAll(p[0].Fault+"-and-"+p[1].Fault, " ", "-")
}

// testPair has two faults at once for some passes. One of both is told of, where it shows; nobody else is harmed; when both have
// gone it ends Healthy by itself, after a reset where it has given up, for which it must have had its reasons.
func testPair(w *world, p table.Pair) {
	w.touches(append(slices.Clone(p[0].Lost), p[1].Lost...)...)
	w.pm2("save") // what a resurrect brings back
	d := w.reference().Set("spec.interval", "1s").Set("spec.recovery.cooldown", "5s").
		Set("spec.recovery.deadline", "5s").Set("spec.recovery.startupGrace", "5s").Set("spec.checks.local.timeout", "2s")
	in := w.inbox(d)
	s := w.supervise(d)
	old := w.mustSite()
	t0 := w.unseenAll(p[0].Fault, p[1].Fault)
	stranger := procOf(pidIn(w.dirOf("run", "stranger")))

	s.waitPasses(10, 5*time.Minute) // one in which both the public URL and the database stay silent takes 20 s
	if stranger.PID != 0 && !stranger.alive() {
		w.Error("the stranger was ended")
	}
	w.pairTold(in, p, t0)
	lifted := time.Now()
	for _, part := range p.Lifted() {
		w.clear(faultArgs(part.Fault)[0])
	}
	reset := ""
	w.eventually(2*time.Minute, "Healthy, with the site's own 200 through Nginx", func() (string, bool) {
		if st := s.state(); st.Phase == v1alpha1.PhaseFailed && reset == "" {
			spent := s.events(t0, v1alpha1.ReasonAttemptSpent)
			if len(spent) < 3 {
				w.Errorf("Failed after %d attempts: %s", len(spent), s.summary())
			}
			reset = fmt.Sprintf("; Failed after %d attempts, reset", len(spent))
			if out, errs, code := s.cli("reset", s.App); code != 0 {
				w.Errorf("reset: exit code %d\n%s%s", code, out, errs)
			}
		}
		code := w.public()
		well := s.state().Phase == v1alpha1.PhaseHealthy && s.pass().Holds()
		return fmt.Sprintf("public %d; %s", code, s.summary()), well && code == http.StatusOK && w.site().PID != 0
	})
	took := time.Since(lifted)
	begun := s.events(t0, v1alpha1.ReasonRecoveryStarted)
	if p[0].Outside && p[1].Outside {
		if len(begun) > 0 {
			w.Errorf("nobody could blame the site, and something was done: %s", begun[0].Message)
		}
		if now := w.site(); now != old {
			w.Errorf("the site was %s and is %s", old, now)
		}
	}
	if n := count(w.pm2List(), "bbyatch"); n != 1 {
		w.Errorf("PM2 lists the site %d times", n)
	}
	if daemons := w.pm2Daemons(); len(daemons) != 1 {
		w.Errorf("PM2's daemons: %v", daemons)
	}
	w.within(15*time.Second, func() (string, bool) {
		list := in.byProgram()
		return "", len(list) == 0 || list[len(list)-1].Kind == v1alpha1.AlertResolved
	})
	if list := in.byProgram(); len(list) > 0 && list[len(list)-1].Kind != v1alpha1.AlertResolved {
		w.Errorf("the end was not told: %q", words(list))
	}
	for _, a := range in.byProgram() {
		w.note("%s %s %s: %s", a.Time.Format("15:04:05"), a.Kind, a.Blame, a.Message)
	}
	w.measure.add("Healthy %.0f s after both were lifted, %d recoveries, %q%s", took.Seconds(), len(begun), words(in.byProgram()), reset)
}

// pairTold waits for an alert that blames somebody whom one of both faults is blamed on, where one of them shows alone.
func (w *world) pairTold(in *inbox, p table.Pair, t0 time.Time) {
	w.Helper()
	blame, within := p.Told()
	if within == 0 {
		return
	}
	// where the machine that runs the tests is itself starved, that is a true verdict, too
	blame = append(blame, v1alpha1.BlameHost)
	_, told := w.within(time.Until(t0.Add(within+2*noise)), func() (string, bool) {
		return "", slices.ContainsFunc(in.byProgram(), func(a v1alpha1.Alert) bool {
			return a.Kind == v1alpha1.AlertDegraded && slices.Contains(blame, a.Blame)
		})
	})
	if !told {
		w.Errorf("no alert blames one of %v within %s and %s of noise: %q", blame, within, 2*noise, words(in.byProgram()))
	}
}

// unseenAll injects several faults while nobody looks, so that all are there at the first look.
func (w *world) unseenAll(faults ...string) time.Time {
	w.Helper()
	for _, s := range w.runs {
		_ = syscall.Kill(s.pid(), syscall.SIGSTOP)
		defer func() { _ = syscall.Kill(s.pid(), syscall.SIGCONT) }()
	}
	for _, f := range faults {
		w.fault(faultArgs(f)...)
	}
	return time.Now()
}
