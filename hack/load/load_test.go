//go:build load

package load

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

const (
	// late is how much later than on the idle machine ninety-nine of a hundred passes may begin.
	late = 50 * time.Millisecond
	// interval is that of every App.
	interval = time.Second
	// patience bounds every wait for a fact.
	patience = 2 * time.Minute
)

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: want a whole number above 0", name, text)
	}
	return n
}

// TestManyApps is the whole of it.
func TestManyApps(t *testing.T) {
	apps, window := number(t, "LOAD_APPS", 100), time.Duration(number(t, "LOAD_SECONDS", 20))*time.Second
	c := newCrowd(t, apps)
	c.run()
	c.until("all are watched and well", func() bool { return c.well(c.names) })
	before := c.lives(c.healthy)

	idle := c.measure(window)
	t.Log("all well:         ", idle)
	c.fail()
	c.until("all that fail are seen to", func() bool { return c.degraded(c.failing) })
	// each heartbeat hangs once before what is taken of the machine has come to rest
	c.until("sinks hang", func() bool { return c.hung.Load() >= int64(apps+len(c.failing)) })
	busy := c.measure(window)
	t.Log("a tenth is failing:", busy)

	for name, life := range c.lives(c.healthy) {
		if life != before[name] {
			t.Errorf("%s was well, its process was %s and is %s", name, before[name], life)
		}
		if n := c.recoveries(name); n > 0 {
			t.Errorf("%s was well, and %d recoveries were made of it", name, n)
		}
	}
	mended := 0
	for _, name := range c.failing {
		mended += c.recoveries(name)
	}
	if mended == 0 {
		t.Error("nothing was done about those that fail: the test proves nothing")
	}
	t.Logf("%d recoveries of %d that fail, %d requests that nobody answered", mended, len(c.failing), c.hung.Load())

	more := busy.p99 - idle.p99
	verdict := fmt.Sprintf("99 of 100 passes of those that are well begin within %s, with failing ones within %s: %s more", idle.p99, busy.p99, more)
	t.Log(verdict)
	if more > late && os.Getenv("LOAD_ASSERT") == "1" {
		t.Errorf("%s; at most %s", verdict, late)
	}
	busy.bounded(t, idle, apps)
}

// window is what was measured for a time.
type window struct {
	passes          int
	p50, p99, most  time.Duration
	pss, goroutines series
	descriptors     series
	cpu             float64
	apps            int
}

// series are samples in their order.
type series []int64

func (s series) max() int64 { return slices.Max(s) }

// halves are the medians of the first and the second half.
func (s series) halves() (first, second int64) {
	median := func(part series) int64 {
		part = slices.Clone(part)
		slices.Sort(part)
		return part[len(part)/2]
	}
	return median(s[:len(s)/2]), median(s[len(s)/2:])
}

func (w *window) String() string {
	return fmt.Sprintf("%5d passes, late by %s (median) %s (99 %%) %s (most); %d MiB PSS, %d descriptors, %d goroutines; %.1f %% of a processor, %.2f s a minute and App",
		w.passes, w.p50, w.p99, w.most, w.pss.max()>>20, w.descriptors.max(), w.goroutines.max(), w.cpu*100, w.cpu*60/float64(w.apps))
}

// bounded tells whether what is taken of the machine has a bound: that of the failing ones' own business, and no growth.
func (w *window) bounded(t *testing.T, idle *window, apps int) {
	t.Helper()
	for _, what := range []struct {
		name       string
		idle, busy series
		more, grow int64 // at most so much more than idle; at most so much growth from one half to the other
	}{
		// each App may have a heartbeat, and each failing one alerts, that nobody answers
		{"descriptors", idle.descriptors, w.descriptors, int64(2*apps + 50), int64(apps / 4)},
		{"goroutines", idle.goroutines, w.goroutines, int64(8*apps + 100), int64(apps)},
		{"bytes of memory", idle.pss, w.pss, 48 << 20, 8 << 20},
	} {
		first, second := what.busy.halves()
		if what.busy.max() > what.idle.max()+what.more || second > first+what.grow {
			t.Errorf("%s: %d at most while all were well, then %d, in the second half %d after %d; at most %d more, and %d growth",
				what.name, what.idle.max(), what.busy.max(), second, first, what.more, what.grow)
		}
	}
}
