package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// replay runs a schedule and says which invariant it breaks; empty means none. A panic counts as one.
func replay(s Schedule) (broken string) {
	broken, _ = replayUntil(s)
	return broken
}

// replayUntil also says how far the schedule went.
func replayUntil(schedule Schedule) (broken string, lasted time.Duration) {
	s := newSim(schedule)
	defer func() {
		if p := recover(); p != nil {
			broken, lasted = fmt.Sprintf("panic: %v", p), s.w.now
		}
	}()
	if err := s.run(); err != nil {
		return err.Error(), s.w.now
	}
	return "", s.w.now
}

var digits = regexp.MustCompile(`[0-9][0-9.:a-zµ-]*`)

// kindOf is what a broken invariant says, without the numbers in it.
func kindOf(broken string) string {
	if len(broken) > 18 && broken[3] == ' ' {
		broken = broken[17:]
	}
	return strings.TrimSpace(digits.ReplaceAllString(broken, "#"))
}

// shrink makes a schedule that breaks an invariant as short as it can, within a number of tries: entries are left out,
// long ones are made short, and what comes after the break is cut off.
func shrink(s Schedule, tries int) Schedule {
	broken, lasted := replayUntil(s)
	want := kindOf(broken)
	if want == "" {
		return s
	}
	fails := func(t Schedule) bool {
		if tries == 0 {
			return false
		}
		tries--
		return kindOf(replay(t)) == want
	}
	t := s
	t.Entries = slices.DeleteFunc(slices.Clone(s.Entries), func(e Entry) bool { return e.At > lasted })
	t.Length = (lasted + 2*time.Minute).Truncate(time.Minute)
	if fails(t) {
		s = t
	}
	for size := max(len(s.Entries)/2, 1); size > 0; size /= 2 {
		for from := 0; from < len(s.Entries); {
			t := s
			t.Entries = append(append([]Entry(nil), s.Entries[:from]...), s.Entries[min(from+size, len(s.Entries)):]...)
			if fails(t) {
				s = t
			} else {
				from += size
			}
		}
	}
	for n := range s.Entries {
		for _, change := range []func(e *Entry){
			func(e *Entry) { e.N = 0 }, func(e *Entry) { e.Delay = 0 }, func(e *Entry) { e.Phase, e.Delay = "", 0 },
			func(e *Entry) { e.For = e.For.Truncate(time.Minute) }, func(e *Entry) { e.At = e.At.Truncate(time.Minute) },
		} {
			t := s
			t.Entries = append([]Entry(nil), s.Entries...)
			change(&t.Entries[n])
			if t.Entries[n] != s.Entries[n] && fails(t) {
				s = t
			}
		}
	}
	if t := s; len(s.Entries) > 0 { // nothing happens before the first entry
		t.Entries = append([]Entry(nil), s.Entries...)
		by := max(t.Entries[0].At-time.Hour, 0).Truncate(time.Hour)
		for n := range t.Entries {
			t.Entries[n].At -= by
		}
		t.Length -= by
		if fails(t) {
			s = t
		}
	}
	if t := s; s.Variant != "default" {
		if t.Variant = "default"; fails(t) {
			s = t
		}
	}
	return s
}

// asTest prints a schedule as a row of a Go table test.
func asTest(s Schedule, broken string) string {
	return fmt.Sprintf("// breaks: %s\n{%q, %s},", broken, kindOf(broken), s)
}
