package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// seconds is how long the campaign may take: SIM_SECONDS. Without it a fixed number of episodes is run.
func seconds(t *testing.T) time.Duration {
	text := os.Getenv("SIM_SECONDS")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Second
}

// TestCampaign runs episodes; no invariant is broken in any of them. Without settings these are always the same few, so
// that a red test says something about the change and not about the dice. SIM_SECONDS runs others, from a seed that is
// printed, for as long as it may; SIM_SEED repeats a run. With SIM_SECONDS=600, on two free cores, it has to come to a
// hundred years, twenty thousand faults, and fifty of every fault in every phase.
func TestCampaign(t *testing.T) {
	c := &campaign{seed: 1, workers: 1, episodes: 2}
	limit := seconds(t)
	if limit > 0 {
		c = &campaign{seed: uint64(time.Now().UnixNano() % 1e9), workers: 2, until: time.Now().Add(limit)}
	}
	if text := os.Getenv("SIM_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		c.seed = n
	}
	t.Logf("again: SIM_SEED=%d go test ./hack/sim -run Campaign (or: go run ./hack/sim --seed %d)", c.seed, c.seed)
	c.run(1)
	var report bytes.Buffer
	c.report(&report)
	c.table(&report)
	t.Log("\n" + report.String())
	for _, b := range c.broken {
		short := shrink(b.schedule, 100)
		t.Errorf("seed %d, episode %d: %s\n%s", c.seed, b.episode, b.broken, asTest(short, replay(short)))
	}
	if missed := c.missed(); limit >= fullLength && missed != "" {
		t.Errorf("too little for a full length: %s", missed)
	}
}

// TestASeedGivesTheSameJournal runs episodes twice and compares every line.
func TestASeedGivesTheSameJournal(t *testing.T) {
	for episode := range 4 {
		s := generate(7, episode)
		s.Length = min(s.Length, 20*24*time.Hour)
		first, second := journalOf(t, s, false), journalOf(t, s, false)
		if !bytes.Equal(first, second) {
			t.Errorf("episode %d: %s", episode, difference(first, second))
		}
		if len(first) < 2000 {
			t.Errorf("episode %d: a journal of %d bytes only", episode, len(first))
		}
	}
}

// TestACampaignGivesTheSameJournals runs a whole campaign twice, one episode after the other and two side by side, and
// compares the digests of every episode's journal.
func TestACampaignGivesTheSameJournals(t *testing.T) {
	sums := map[string]bool{}
	for _, workers := range []int{1, 2} {
		c := &campaign{seed: 7, first: 3, episodes: 3, workers: workers} // a storm, a drill, and faults that strike alone
		c.run(1)
		if len(c.broken) > 0 || c.total.episodes != 3 {
			t.Fatalf("%d episodes, broken %+v", c.total.episodes, c.broken)
		}
		sums[c.sum()] = true
	}
	if len(sums) != 1 {
		t.Errorf("two runs of one seed differ: %v", sums)
	}
}

// TestJumpsLeaveNothingOut runs episodes with every single pass and compares the journals with those of the jumps.
func TestJumpsLeaveNothingOut(t *testing.T) {
	if testing.Short() {
		t.Skip("makes every pass")
	}
	// What hangs keeps every pass for as long as the interval of this spec, so that one follows on the other.
	schedules := []Schedule{{Variant: "brisk", Length: 12 * time.Hour, Entries: []Entry{{Kind: "hang-always", At: time.Hour, For: 9 * time.Hour}}}}
	for episode := range 4 {
		s := generate(11, episode)
		s.Length = min(s.Length, 36*time.Hour)
		schedules = append(schedules, s)
	}
	for n, s := range schedules {
		with, without := journalOf(t, s, false), journalOf(t, s, true)
		if !bytes.Equal(with, without) {
			t.Errorf("schedule %d: %s", n, difference(without, with))
		}
	}
}

func journalOf(t *testing.T, schedule Schedule, everyPass bool) []byte {
	t.Helper()
	var out bytes.Buffer
	s := newSim(schedule)
	s.out, s.noJumps = &out, everyPass
	_ = s.run()
	if jumps := s.jumped > 0; jumps == everyPass {
		t.Errorf("passes were jumped over: %d", s.jumped)
	}
	return out.Bytes()
}

func difference(a, b []byte) string {
	left, right := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for n := range left {
		if n >= len(right) || left[n] != right[n] {
			other := "(the end)"
			if n < len(right) {
				other = right[n]
			}
			return "line " + strconv.Itoa(n+1) + " differs:\n" + left[n] + "\n" + other
		}
	}
	return "one is longer"
}
