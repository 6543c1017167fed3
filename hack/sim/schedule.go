package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Entry is one thing that goes wrong, or that somebody does.
type Entry struct {
	Kind string
	// At is when it happens; with a Phase it happens Delay after evenkeel is next in that phase.
	At    time.Duration
	Phase v1alpha1.Phase
	Delay time.Duration
	// For is how long it lasts; N varies it.
	For time.Duration
	N   uint64
	// Alone says that nothing else happens around it, so that what evenkeel makes of it can be judged.
	Alone bool

	missed int // how often its phase was over before its delay was
	vain   int // how often nothing came of it
}

// Schedule is an episode: replaying it gives the same journal.
type Schedule struct {
	Variant string
	Length  time.Duration
	Entries []Entry
}

// combosPerEpisode says how many groups of faults of an episode are aimed at each phase. Healthy is hit by many others, too.
var combosPerEpisode = []struct {
	phase  v1alpha1.Phase
	combos int
}{
	{v1alpha1.PhaseHealthy, 2}, {v1alpha1.PhaseDegraded, 3}, {v1alpha1.PhaseRecovering, 2}, {v1alpha1.PhaseCooldown, 2}, {v1alpha1.PhaseFailed, 2},
}

const (
	targetsPerCombo = 6
	alonePerEpisode = 10
)

// generate makes the n-th episode of a campaign. For every phase the kinds of faults are gone through in turn, so that all
// pairs of kind and phase come about equally often.
func generate(seed uint64, n int) Schedule {
	r := newRand(seed, uint64(n))
	s := Schedule{Variant: "default"}
	if r.IntN(2) == 0 {
		s.Variant = variants()[r.IntN(len(variants()))]
	}
	switch n % 10 {
	case 0, 5:
		s.alone(r, seed, n/5)
	case 3:
		s.storm(r)
	case 4:
		s.drill(r, n/10)
	default:
		m := n - n/10*4 - []int{0, 1, 1, 1, 2, 3, 4, 4, 4, 4}[n%10]
		for at, group := range combosPerEpisode {
			for combo := range group.combos {
				s.combine(r, group.phase, kindsInTurn(seed, at, (m*group.combos+combo)*targetsPerCombo))
			}
		}
	}
	s.Length += 12 * time.Hour
	return s
}

// kindsInTurn are the kinds that the turn of a phase comes to, from its first-th on. Every round is in another order.
func kindsInTurn(seed uint64, phase, first int) []string {
	var all, list []string
	for _, name := range names() {
		for range max(kinds[name].turns, 1) {
			all = append(all, name)
		}
	}
	for n := first; n < first+targetsPerCombo; n++ {
		round := n / len(all)
		order := newRand(seed, uint64(1<<40|phase<<32|round)).Perm(len(all))
		list = append(list, all[order[n%len(all)]])
	}
	return list
}

func newRand(seed, n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) } // #nosec G404 -- it has to be repeatable

func span(r *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return (least + time.Duration(r.Int64N(int64(most-least)))).Truncate(100 * time.Millisecond)
}

func entry(r *rand.Rand, name string, at time.Duration) Entry {
	k := kinds[name]
	return Entry{Kind: name, At: at, For: span(r, k.least, k.most), N: r.Uint64N(1 << 20)}
}

func (s *Schedule) add(e Entry) { s.Entries = append(s.Entries, e) }

// alone: one fault after the other, each with time to be mended and to be forgotten.
func (s *Schedule) alone(r *rand.Rand, seed uint64, n int) {
	var list []string
	for _, name := range names() {
		if kinds[name].expect != anything {
			list = append(list, name)
		}
	}
	perm := newRand(seed, 1<<41).Perm(len(list))
	at := 2 * time.Hour
	for j := range alonePerEpisode {
		name := list[perm[(n*alonePerEpisode+j)%len(list)]]
		e := entry(r, name, at+span(r, 0, time.Hour))
		e.Alone = true
		if name == "deploy-fails" {
			e.N &^= 1 // the one that takes the application down
		}
		s.add(e)
		at = e.At + e.For
		if kinds[name].expect == failed || slices.Contains([]string{"database-down", "service-down", "names-down", "cache-server-down"}, name) {
			s.add(entry(r, "reset", at+25*time.Minute))
		}
		at += span(r, 6*time.Hour, 15*24*time.Hour)
	}
	// An operator who stands evenkeel down while all is well: health does not lead out of that, whatever the spec says.
	if n%2 == 1 {
		s.Variant = "patient"
	}
	s.add(entry(r, "stand-down", at))
	at += 2 * time.Hour
	s.add(entry(r, "reset", at))
	s.Length = at
}

// combine lets faults strike in a phase. Each comes after something that leads into the phase: in Recovering and Cooldown,
// which pass, after one of its own; in the others after one that stays for a while. Then an operator tidies up.
func (s *Schedule) combine(r *rand.Rand, phase v1alpha1.Phase, targets []string) {
	at := s.Length + span(r, time.Hour, 3*time.Hour)
	pick := func(list ...string) {
		e := entry(r, list[r.IntN(len(list))], at)
		e.For = max(e.For, min(kinds[e.Kind].most, targetsPerCombo*10*time.Minute))
		s.add(e)
	}
	switch phase {
	case v1alpha1.PhaseDegraded:
		pick("proxy-down", "dns", "hog", "stranger", "deploy-fails", "pm2-gone", "database-down", "not-listed", "network")
	case v1alpha1.PhaseFailed:
		pick("crash-loop", "hang-always", "errors-always", "stand-down", "stand-down")
	}
	for _, name := range targets {
		e := entry(r, name, at+time.Second)
		if r.IntN(4) > 0 { // what lasts for hours is left to the other kinds of episodes
			e.For = min(e.For, max(kinds[name].least, 20*time.Minute))
		}
		apart := 12 * time.Minute
		switch phase {
		case v1alpha1.PhaseHealthy:
			apart = 2 * time.Hour
		case v1alpha1.PhaseDegraded:
			e.Phase, e.Delay = phase, span(r, 0, 4*time.Minute)
		case v1alpha1.PhaseRecovering:
			pick("exit-for-good", "hang", "orphan", "cache-corrupt", "deaf", "lie", "errored", "errors", "hang-always", "demand")
			e.Phase, e.Delay = phase, span(r, 0, 9*time.Second)
		case v1alpha1.PhaseCooldown:
			pick("hang", "errors", "errored", "exit-for-good", "deaf", "cache-corrupt", "crash-loop", "demand")
			e.Phase, e.Delay = phase, span(r, 0, 90*time.Second)
		case v1alpha1.PhaseFailed:
			e.Phase, e.Delay = phase, span(r, 0, 5*time.Minute)
		}
		s.add(e)
		at += apart
		if phase == v1alpha1.PhaseRecovering || phase == v1alpha1.PhaseCooldown {
			s.add(entry(r, "reset", at-time.Minute)) // the next recovery need not wait for the end of a cooldown
		}
	}
	at += span(r, time.Hour, 3*time.Hour)
	s.add(entry(r, "reset", at))
	if r.IntN(4) > 0 { // what waited in vain for its phase strikes now; mostly somebody tidies up after that, too
		s.add(entry(r, "reset", at+14*time.Hour))
	}
	s.Length = at + span(r, 2*time.Hour, 24*24*time.Hour)
}

// drill kills evenkeel in one recovery after the other, each time one point later: before and after every write, between two
// commands, at the beginning and at the end of every step. Sometimes an operator has just saved an order.
func (s *Schedule) drill(r *rand.Rand, n int) {
	const rounds, points = 20, 90
	at := time.Hour
	for j := range rounds {
		first := []string{"exit-for-good", "errored", "deaf", "cache-corrupt"}[r.IntN(4)]
		s.add(entry(r, first, at))
		kill := Entry{Kind: "killed", At: at + time.Second, Phase: v1alpha1.PhaseRecovering, N: uint64((n*rounds + j*7) % points)}
		s.add(kill)
		if r.IntN(3) == 0 {
			e := entry(r, []string{"stand-down", "reset", "demand"}[r.IntN(3)], at+time.Second)
			e.Phase, e.N = v1alpha1.PhaseRecovering, 0
			e.Delay = span(r, 0, 4*time.Second)
			s.add(e)
		}
		at += 40 * time.Minute
		s.add(entry(r, "reset", at))
		at += span(r, 20*time.Minute, time.Hour)
	}
	s.Length = s.siege(r, at)
}

// siege: a fault that nothing mends, and in every recovery or cooldown evenkeel is restarted, killed or rebooted, or the clock
// is set; and a hold with a limit, in which the clock is set.
func (s *Schedule) siege(r *rand.Rand, at time.Duration) (end time.Duration) {
	lasts := func(name string, length time.Duration) {
		e := entry(r, name, at)
		e.For = length
		s.add(e)
	}
	lasts([]string{"hang-always", "errors-always"}[r.IntN(2)], 3*time.Hour)
	disturb := [][]string{{"restarted"}, {"killed"}, {"restarted", "killed", "clock-forward", "clock-back", "reboot"}}[r.IntN(3)]
	for range 9 {
		e := entry(r, disturb[r.IntN(len(disturb))], at+time.Minute)
		e.Phase, e.Delay, e.N = v1alpha1.PhaseRecovering, span(r, time.Second, 12*time.Second), e.N%30
		s.add(e)
		at += 6 * time.Minute
	}
	at += 3 * time.Hour
	s.add(entry(r, "reset", at))
	at += time.Hour
	lasts("hang-always", time.Hour)
	s.add(Entry{Kind: "clock-forward", At: at + time.Minute, Phase: v1alpha1.PhaseCooldown, Delay: span(r, 0, time.Minute), N: 1 + r.Uint64N(3)})
	at += 2 * time.Hour
	s.add(entry(r, "reset", at))
	at += time.Hour
	lasts("database-down", 100*time.Minute)
	s.add(Entry{Kind: "clock-forward", At: at + span(r, 3*time.Minute, 20*time.Minute), N: 1 + r.Uint64N(3)})
	at += 3 * time.Hour
	s.add(entry(r, "reset", at))
	return at + 20*time.Minute
}

// storm: many things at once, for a day.
func (s *Schedule) storm(r *rand.Rand) {
	list := names()
	at := 30 * time.Minute
	for range 30 {
		at += span(r, 0, 45*time.Minute)
		s.add(entry(r, list[r.IntN(len(list))], at))
		if r.IntN(4) == 0 {
			s.add(entry(r, "reset", at+span(r, time.Minute, time.Hour)))
		}
	}
	s.add(entry(r, "reset", at+5*time.Hour))
	s.Length = at + span(r, 8*time.Hour, 40*24*time.Hour)
}

// String prints a schedule as Go.
func (s Schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Schedule{Variant: %q, Length: %s, Entries: []Entry{\n", s.Variant, goDuration(s.Length))
	for _, e := range s.Entries {
		fmt.Fprintf(&b, "\t{Kind: %q, At: %s", e.Kind, goDuration(e.At))
		if e.Phase != "" {
			fmt.Fprintf(&b, ", Phase: %q, Delay: %s", e.Phase, goDuration(e.Delay))
		}
		if e.For != 0 {
			fmt.Fprintf(&b, ", For: %s", goDuration(e.For))
		}
		if e.N != 0 {
			fmt.Fprintf(&b, ", N: %d", e.N)
		}
		if e.Alone {
			b.WriteString(", Alone: true")
		}
		b.WriteString("},\n")
	}
	b.WriteString("}}")
	return b.String()
}

func goDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d%time.Hour == 0:
		return fmt.Sprintf("%d * time.Hour", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d * time.Minute", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%d * time.Second", d/time.Second)
	}
	return fmt.Sprintf("%d * time.Millisecond", d/time.Millisecond)
}
