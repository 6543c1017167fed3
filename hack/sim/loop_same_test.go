package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// sameForBoth are short schedules for the real Loop and for keeper.go, which is Loop without its goroutines.
var sameForBoth = map[string]Schedule{
	"what a recovery mends": {Length: time.Hour, Entries: []Entry{
		{Kind: "hang", At: 10 * time.Minute}, {Kind: "crash", At: 30 * time.Minute}, {Kind: "exit-for-good", At: 40 * time.Minute, For: time.Second},
	}},
	"what nothing mends, and a reset": {Length: 100 * time.Minute, Entries: []Entry{
		{Kind: "hang-always", At: 10 * time.Minute, For: 50 * time.Minute}, {Kind: "reset", At: 70 * time.Minute},
	}},
	"a database that does not serve": {Length: 100 * time.Minute, Entries: []Entry{
		{Kind: "database-down", At: 10 * time.Minute, For: 50 * time.Minute},
	}},
	"orders, good ones and bad ones": {Length: 70 * time.Minute, Entries: []Entry{
		{Kind: "order-nonsense", At: 10 * time.Minute}, {Kind: "demand", At: 15 * time.Minute}, {Kind: "stand-down", At: 30 * time.Minute},
		{Kind: "order-nonsense", At: 35 * time.Minute}, {Kind: "hang", At: 40 * time.Minute}, {Kind: "reset", At: 50 * time.Minute},
	}},
	"a broken state file, and a proxy that is down": {Length: 90 * time.Minute, Entries: []Entry{
		{Kind: "garbage-save", At: 10 * time.Minute}, {Kind: "proxy-down", At: 20 * time.Minute, For: 20 * time.Minute},
		{Kind: "cache-corrupt", At: 60 * time.Minute},
	}},
	"a disk that is full, and a deploy": {Length: 90 * time.Minute, Entries: []Entry{
		{Kind: "disk-full", At: 10 * time.Minute, For: 10 * time.Minute}, {Kind: "deploy", At: 40 * time.Minute, For: 8 * time.Minute},
	}},
}

// TestLoopAndKeeperDoTheSame runs schedules through both: the same events, steps and alerts, in the same order and phase, at
// the same time but for a second. What was written for a full disk is tried again with jitter by the one.
func TestLoopAndKeeperDoTheSame(t *testing.T) {
	for name, schedule := range sameForBoth {
		schedule.Variant = "default"
		t.Run(name, func(t *testing.T) {
			want := byKeeper(t, schedule)
			got := byLoop(t, schedule)
			for n := range max(len(want), len(got)) {
				switch {
				case n >= len(want):
					t.Fatalf("only the loop: %s %s", stamp(got[n].at), got[n].what)
				case n >= len(got):
					t.Fatalf("only the keeper: %s %s", stamp(want[n].at), want[n].what)
				case got[n].what != want[n].what || (got[n].at-want[n].at).Abs() > time.Second:
					t.Fatalf("the loop: %s %s\nthe keeper: %s %s", stamp(got[n].at), got[n].what, stamp(want[n].at), want[n].what)
				}
			}
			if len(want) < 8 {
				t.Errorf("%d things have happened only", len(want))
			}
		})
	}
}

func byKeeper(t *testing.T, schedule Schedule) []happening {
	t.Helper()
	s := newSim(schedule)
	var list []happening
	note := func(format string, args ...any) {
		list = append(list, happening{s.w.now, fmt.Sprintf(format, args...)})
	}
	s.noJumps = true
	s.onAct = func(step string) { note("act %s", step) }
	s.onEvent = func(e *v1alpha1.Event) { note("event %s %s [%s]", e.Reason, e.Phase, e.Blame) }
	s.onAlert = func(a *v1alpha1.Alert) { note("alert %s %s [%s] %s", a.Kind, a.Phase, a.Blame, a.Reason) }
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
	return list
}

func byLoop(t *testing.T, schedule Schedule) (list []happening) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		stop := r.run()
		type deed struct {
			at time.Duration
			do func()
		}
		var deeds []deed
		for n := range schedule.Entries {
			e := &schedule.Entries[n]
			k := kinds[e.Kind]
			deeds = append(deeds, deed{e.At, func() {
				r.do(func(*world) { k.begin(r.shell, e) })
				if k.whose == operator { // inotify
					time.Sleep(100 * time.Millisecond)
					r.edited <- struct{}{}
				}
			}})
			if k.end != nil {
				deeds = append(deeds, deed{e.At + e.For, func() { r.do(func(*world) { k.end(r.shell, e) }) }})
			}
		}
		slices.SortStableFunc(deeds, func(a, b deed) int { return int(a.at - b.at) })
		for _, d := range deeds {
			time.Sleep(d.at - time.Since(r.began))
			d.do()
		}
		time.Sleep(schedule.Length - time.Since(r.began))
		r.do(func(*world) {
			for _, h := range r.log {
				if !strings.HasPrefix(h.what, "event "+v1alpha1.ReasonStateRejected) && !strings.HasPrefix(h.what, "event "+v1alpha1.ReasonStateNotWritten) {
					list = append(list, h) // which are the loop's own words
				}
			}
		})
		stop()
	})
	return list
}
