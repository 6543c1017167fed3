package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// campaign is a row of episodes, which may run side by side: each has its own world.
type campaign struct {
	seed    uint64
	first   int
	workers int
	// It ends when one of these is reached; 0 means that it does not count.
	years    float64
	episodes int
	until    time.Time
	cpu      time.Duration // of the whole process
	each     io.Writer     // a line for every episode, if somebody wants to see which is dear

	mu     sync.Mutex
	next   int
	total  totals
	broken []finding
	digest map[int]string
}

// finding is an episode that broke an invariant.
type finding struct {
	episode  int
	schedule Schedule
	broken   string
}

// totals are what a campaign has come to.
type totals struct {
	episodes, faults, judged, passes, jumped, steps, writes, events, alerts, kills int
	years                                                                          float64 // a time.Duration holds 292 of them
	hits                                                                           map[hit]int
}

// run runs episodes until the end, or until findings enough are made.
func (c *campaign) run(enough int) {
	// An episode is small and makes much garbage: it is collected when there is much of it.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	c.next = c.first
	c.total.hits, c.digest = map[hit]int{}, map[int]string{}
	var wg sync.WaitGroup
	for range max(c.workers, 1) {
		wg.Go(func() {
			for {
				c.mu.Lock()
				n := c.next
				over := c.episodes > 0 && n >= c.first+c.episodes || c.years > 0 && c.total.years >= c.years ||
					!c.until.IsZero() && time.Now().After(c.until) ||
					c.cpu > 0 && cpuTime() >= c.cpu || len(c.broken) >= enough
				c.next++
				c.mu.Unlock()
				if over {
					return
				}
				c.episode(n)
			}
		})
	}
	wg.Wait()
	slices.SortFunc(c.broken, func(a, b finding) int { return a.episode - b.episode })
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func (c *campaign) episode(n int) {
	schedule := generate(c.seed, n)
	s := newSim(schedule)
	broken, began := "", time.Now()
	func() {
		defer func() {
			if p := recover(); p != nil {
				broken = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		if err := s.run(); err != nil {
			broken = err.Error()
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.total
	t.episodes++
	t.faults += s.faults
	t.judged += s.judged
	t.passes += s.passes
	t.jumped += s.jumped
	t.steps += s.steps
	t.writes += s.writes
	t.events += s.events
	t.alerts += s.alerts
	t.kills += s.kills
	t.years += s.w.now.Hours() / 24 / 365.25
	for h, times := range s.hits {
		t.hits[h] += times
	}
	c.digest[n] = s.digest()
	if c.each != nil {
		fmt.Fprintf(c.each, "episode %d %s: %.1f days, %d faults, %d passes made and %d jumped over, %.2f s\n",
			n, schedule.Variant, s.w.now.Hours()/24, s.faults, s.passes, s.jumped, time.Since(began).Seconds())
	}
	if broken != "" {
		c.broken = append(c.broken, finding{n, schedule, broken})
	}
}

// sum is one digest over the journals of all episodes, in order.
func (c *campaign) sum() string {
	h := sha256.New()
	for n := c.first; n < c.next; n++ {
		if d, ok := c.digest[n]; ok {
			fmt.Fprintf(h, "%d %s\n", n, d)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func (c *campaign) report(w io.Writer) {
	t := &c.total
	fmt.Fprintf(w, "%.1f s of processor time; seed %d, episodes %d to %d: %.1f years, %d faults (%d of them judged alone), %d passes made and %d jumped over, "+
		"%d steps, %d writes, %d events, %d alerts, evenkeel killed %d times; journals %s\n",
		cpuTime().Seconds(), c.seed, c.first, c.first+t.episodes-1, t.years, t.faults, t.judged, t.passes, t.jumped, t.steps, t.writes, t.events, t.alerts, t.kills, c.sum())
}

// What a campaign of full length, ten minutes on two cores, has to come to.
const (
	fullLength  = 600 * time.Second
	wantYears   = 100
	wantFaults  = 20000
	wantOfAPair = 50
)

// missed says which of the bounds for a full length were not met; empty if all were.
func (c *campaign) missed() string {
	var list []string
	if y := c.total.years; y < wantYears {
		list = append(list, fmt.Sprintf("%.1f years of %d", y, wantYears))
	}
	if f := c.total.faults; f < wantFaults {
		list = append(list, fmt.Sprintf("%d faults of %d", f, wantFaults))
	}
	for _, name := range names() {
		for _, phase := range v1alpha1.Phases() {
			if n := c.total.hits[hit{name, phase}]; n < wantOfAPair {
				list = append(list, fmt.Sprintf("%s in %s %d times of %d", name, phase, n, wantOfAPair))
			}
		}
	}
	return strings.Join(list, ", ")
}

// table prints how often each kind of fault struck in each phase; least is the smallest number.
func (c *campaign) table(w io.Writer) (least int) {
	least = 1 << 30
	sum := map[v1alpha1.Phase]int{}
	fmt.Fprintf(w, "%-24s", "fault \\ phase")
	for _, phase := range v1alpha1.Phases() {
		fmt.Fprintf(w, "%12s", phase)
	}
	fmt.Fprintln(w)
	for _, name := range names() {
		fmt.Fprintf(w, "%-24s", name)
		for _, phase := range v1alpha1.Phases() {
			n := c.total.hits[hit{name, phase}]
			least = min(least, n)
			sum[phase] += n
			fmt.Fprintf(w, "%12d", n)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%-24s", "all")
	for _, phase := range v1alpha1.Phases() {
		fmt.Fprintf(w, "%12d", sum[phase])
	}
	fmt.Fprintf(w, "\n%d kinds of faults in %d phases: %d pairs, each at least %d times\n",
		len(names()), len(v1alpha1.Phases()), len(names())*len(v1alpha1.Phases()), least)
	return least
}
