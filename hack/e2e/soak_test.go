//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/hack/e2e/table"
	"github.com/evenkeel/evenkeel/hack/story"
)

const (
	soakLasts = 8 * time.Second // a fault, at most
	soakRest  = 3 * time.Second // between two, at most
	soakMend  = 90 * time.Second
	// soakRoom is for connections that are kept, with their goroutines: they come and go. A leak of one a fault soon passes it.
	soakRoom = 8
)

// soakFaults are those of the pairs that leave other applications alone, and some that pass by themselves.
func soakFaults() []table.Part {
	list := []table.Part{{Fault: "kill9"}, {Fault: "exit"}, {Fault: "slow-once", Outside: true}}
	for _, p := range table.Parts() {
		if !slices.Contains(p.Lost, "shop") {
			list = append(list, p)
		}
	}
	return list
}

// TestSoak breaks the site in one way after the other for SOAK_SECONDS (60), drawn with E2E_SEED: a fault comes, stays for some
// seconds, and goes. It is mended each time, nothing is restarted that is not to blame, nobody else is harmed, and evenkeel is
// in the end as it was at the beginning.
func TestSoak(t *testing.T) {
	w := newWorld(t)
	s := newSoak(w)
	lasts := time.Duration(number("SOAK_SECONDS", 60)) * time.Second
	random := rand.New(rand.NewPCG(seed(), 2))
	fmt.Printf("e2e: %s of faults, drawn with E2E_SEED=%d\n", lasts, seed())
	var faults []table.Part // those that are still to come, before all come again
	for time.Since(s.begun) < lasts {
		if len(faults) == 0 {
			faults = soakFaults()
			random.Shuffle(len(faults), func(a, b int) { faults[a], faults[b] = faults[b], faults[a] })
		}
		s.round(faults[0], part(random, soakLasts), part(random, soakRest))
		faults = faults[1:]
	}
	s.report()
}

func part(random *rand.Rand, most time.Duration) time.Duration {
	return most/8 + time.Duration(random.Int64N(int64(most-most/8)))
}

// soak is one long run.
type soak struct {
	*world
	sup   *supervisor
	begun time.Time
	watch *watcher

	rounds, refused, resets int
	repairs, needless       int
	sizes                   []size
}

// size is what evenkeel takes of the machine, at rest.
type size struct{ goroutines, descriptors, memory int64 }

func newSoak(w *world) *soak {
	w.Helper()
	for _, f := range soakFaults() {
		w.touches(f.Lost...)
	}
	d := w.reference().Set("spec.interval", "1s").Set("spec.recovery.cooldown", "2s").Set("spec.recovery.deadline", "5s").
		Set("spec.recovery.startupGrace", "5s").Set("spec.recovery.provenAfter", "2s").Set("spec.checks.local.timeout", "2s")
	w.inbox(d)
	s := &soak{world: w, sup: w.prepare("evenkeel", d)}
	s.sup.Args = []string{"--metrics", "unix:" + s.socket()}
	s.sup.begin()
	s.sup.waitHealthy(30 * time.Second)
	w.settled(s.sup)
	s.begun = time.Now()
	s.watch = s.look()
	w.Cleanup(func() { s.watch.stop() })
	s.measured()
	return s
}

func (s *soak) socket() string { return filepath.Join(s.sup.StateDir, "metrics.sock") }

// round is one fault: it comes, stays, goes, and is mended.
func (s *soak) round(f table.Part, stays, rest time.Duration) {
	s.Helper()
	s.pm2("save") // what a resurrect brings back
	site, t0 := s.mustSite(), time.Now()
	name := faultArgs(f.Fault)[0]
	if out, err := s.command(append([]string{"fault"}, faultArgs(f.Fault)...)...).CombinedOutput(); err != nil {
		// a fault from within wants an answer of the site at this very moment
		s.refused++
		s.note("%s could not be injected: %s", f.Fault, bytes.TrimSpace(out))
	}
	s.rounds++
	s.within(stays, func() (string, bool) { return "", false })
	s.clear(name)
	lifted := time.Now()
	s.mended(f)

	begun := s.sup.events(t0, v1alpha1.ReasonRecoveryStarted)
	s.repairs += len(begun)
	if f.Outside {
		s.needless += len(begun)
		if now := s.site(); now != site {
			s.Errorf("%s is nobody's fault, the site was %s and is %s", f.Fault, site, now)
		}
	}
	s.note("%-24s for %4.1f s, well %4.1f s after it had gone, %d recoveries", f.Fault, lifted.Sub(t0).Seconds(), time.Since(lifted).Seconds(), len(begun))
	s.within(rest, func() (string, bool) { return "", false })
	if late := s.sup.events(lifted, v1alpha1.ReasonRecoveryStarted); len(late) > 0 && late[len(late)-1].Time.After(begunLast(begun)) {
		s.needless++
		s.Errorf("a recovery was begun after all was well again: %s", late[len(late)-1].Message)
	}
	s.measured()
}

func begunLast(list []v1alpha1.Event) time.Time {
	if len(list) == 0 {
		return time.Time{}
	}
	return list[len(list)-1].Time.Time
}

// mended waits until all is well; where evenkeel has given up, an operator resets it.
func (s *soak) mended(f table.Part) {
	s.Helper()
	s.eventually(soakMend, "all well after "+f.Fault, func() (string, bool) {
		if s.sup.state().Phase == v1alpha1.PhaseFailed {
			s.resets++
			if out, errs, code := s.sup.cli("reset", s.sup.App); code != 0 {
				s.Errorf("reset: exit code %d\n%s%s", code, out, errs)
			}
		}
		code := s.public()
		well := s.sup.state().Phase == v1alpha1.PhaseHealthy && s.sup.pass().Holds()
		return fmt.Sprintf("public %d; %s", code, s.sup.summary()), well && code == http.StatusOK && s.site().PID != 0
	})
}

// report prints what came of it, and holds what may not be against it.
func (s *soak) report() {
	s.Helper()
	s.eventually(30*time.Second, "evenkeel is at rest, as at the beginning", func() (string, bool) {
		now := s.size()
		return fmt.Sprintf("%+v, at the beginning %+v", now, s.sizes[0]), now.goroutines <= s.sizes[0].goroutines+soakRoom && now.descriptors <= s.sizes[0].descriptors+soakRoom
	})
	s.measured()
	up, asked := s.watch.stop()
	s.measure.add("%s: %d faults, %d repairs, %d of them needless, %d resets; available %.1f %% of the time", time.Since(s.begun).Round(time.Second),
		s.rounds-s.refused, s.repairs, s.needless, s.resets, 100*float64(up)/float64(max(asked, 1)))
	first, last := s.sizes[0], s.sizes[len(s.sizes)-1]
	s.measure.add("goroutines %d → %d, descriptors %d → %d, memory %d → %d KiB", first.goroutines, last.goroutines,
		first.descriptors, last.descriptors, first.memory>>10, last.memory>>10)
	if s.needless > 0 {
		s.Errorf("%d recoveries were needless", s.needless)
	}
	s.sameStory()
	if s.rounds-s.refused < s.rounds/2+1 || s.repairs == 0 {
		s.Errorf("%d of %d faults could not be injected, %d repairs: the test proves little", s.refused, s.rounds, s.repairs)
	}
	s.noGrowth()
}

// sameStory compares what evenkeel has counted with what it has journalled: recoveries with their outcomes, changes of the phase,
// attempts, alerts.
func (s *soak) sameStory() {
	s.Helper()
	counted := 0
	s.eventually(30*time.Second, "what is counted is what is journalled", func() (string, bool) {
		events := s.sup.events(time.Time{})
		counted = len(events)
		other := story.Differences(s.metrics(), s.sup.App, events)
		return strings.Join(other, "\n"), len(other) == 0
	})
	s.measure.add("metrics and journal tell the same of %d events", counted)
}

func (s *soak) metrics() string {
	s.Helper()
	text, err := story.Scrape(s.Context(), s.socket())
	if err != nil {
		s.Fatal(err)
	}
	return text
}

// noGrowth compares the middle of the first and of the last third. What is read and kept at the first failure of a kind is no
// growth, so that memory has some room.
func (s *soak) noGrowth() {
	s.Helper()
	third := max(len(s.sizes)/3, 1)
	median := func(list []size, of func(size) int64) int64 {
		var values []int64
		for _, v := range list {
			values = append(values, of(v))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	for _, what := range []struct {
		name string
		of   func(size) int64
		most int64
	}{
		{"goroutines", func(v size) int64 { return v.goroutines }, soakRoom},
		{"descriptors", func(v size) int64 { return v.descriptors }, soakRoom},
		{"bytes of memory", func(v size) int64 { return v.memory }, 12 << 20},
	} {
		before, after := median(s.sizes[:third], what.of), median(s.sizes[len(s.sizes)-third:], what.of)
		if after > before+what.most {
			s.Errorf("%s grew from %d to %d", what.name, before, after)
		}
	}
}

func (s *soak) measured() { s.sizes = append(s.sizes, s.size()) }

// size asks evenkeel for its goroutines, and the kernel for the rest.
func (s *soak) size() size {
	s.Helper()
	var v size
	v.goroutines = int64(story.Value(s.metrics(), "go_goroutines"))
	pid := s.sup.pid()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil || v.goroutines == 0 {
		s.Fatalf("evenkeel cannot be measured: %v", err)
	}
	v.descriptors = int64(len(entries))
	for line := range strings.Lines(s.read(fmt.Sprintf("/proc/%d/smaps_rollup", pid))) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss_Anon:" {
			v.memory, _ = strconv.ParseInt(f[1], 10, 64)
			v.memory <<= 10
		}
	}
	return v
}

// watcher asks for the site, through Nginx, over and over.
type watcher struct {
	up, asked int
	end       context.CancelFunc
	done      chan struct{}
	once      sync.Once
}

func (s *soak) look() *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	v := &watcher{end: cancel, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			v.asked++
			if s.public() == http.StatusOK {
				v.up++
			}
		}
	}()
	return v
}

// stop gives how often the site was there, and how often it was asked for.
func (v *watcher) stop() (up, asked int) {
	v.once.Do(func() {
		v.end()
		<-v.done
	})
	return v.up, v.asked
}
