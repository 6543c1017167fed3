package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// compare lets the policies meet the same schedules, and writes a table and a plot into docs/simulation.md and
// docs/simulation.svg.
func compare(args []string) int {
	f := flag.NewFlagSet("compare", flag.ExitOnError)
	seed := f.Uint64("seed", 2027, "seed")
	episodes := f.Int("episodes", 60, "episodes")
	docs := f.String("docs", "docs", "the folder to write to; empty prints only")
	_ = f.Parse(args)
	total := []score{{Policy: "nobody (PM2 alone)"}, {Policy: "the shell script"}, {Policy: "restart on any failure"}, {Policy: "evenkeel"}}
	faults := 0
	for n := range *episodes {
		schedule := plainLife(*seed, n)
		faults += len(schedule.Entries) / 2 // the other half are the operator who looks after it
		for p := range total {
			play(schedule, p, &total[p])
		}
	}
	table := scoreTable(total)
	fmt.Printf("%d faults in %.1f years, seed %d\n\n%s", faults, total[0].Lasted.Hours()/24/365.25, *seed, table)
	if *docs == "" {
		return 0
	}
	err := os.WriteFile(*docs+"/simulation.svg", []byte(plot(total)), 0o644) // #nosec G306 -- documentation
	if err == nil {
		err = writeBetween(*docs+"/simulation.md", fmt.Sprintf("%d faults in %.1f simulated years, seed %d, `go run ./hack/sim compare`:\n\n%s",
			faults, total[0].Lasted.Hours()/24/365.25, *seed, table))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 0
}

// plainLife is an episode of what happens to a site in a few months: faults of its own, of others, deploys, now and then an
// operator's stop or a reboot. Nobody looks after Failed for four hours; then the operator resets.
func plainLife(seed uint64, n int) Schedule {
	r := newRand(seed, 1<<50+uint64(n))
	s := Schedule{Variant: "default"}
	often := []string{
		"crash", "crash", "crash", "hang", "hang", "errors", "exit-for-good", "errored", "orphan", "leak", "cache-corrupt", "crash-loop", "hang-always",
		"pause-3s", "slow-start", "lie", "proxy-down", "proxy-wrong", "dns", "certificate", "network", "hog", "starved", "database-down", "stranger",
		"deploy", "deploy", "deploy", "deploy", "deploy-fails", "deploy-hangs", "pm2-gone", "pm2-hangs", "pm2-stop", "pm2-restart", "reboot", "restarted", "flaky",
	}
	at := 2 * time.Hour
	for range 40 {
		name := often[r.IntN(len(often))]
		e := entry(r, name, at)
		s.add(e)
		s.add(entry(r, "reset", at+4*time.Hour))
		at += span(r, 8*time.Hour, 96*time.Hour)
	}
	s.Length = at
	return s
}

// play lets one policy live through a schedule.
func play(schedule Schedule, policy int, sum *score) {
	s := newSim(schedule)
	s.check.silent = true
	var g guard
	switch policy {
	case 1:
		g = &shell{score: sum}
	case 2:
		g = &anyFailure{score: sum}
	case 3:
		s.onAct = func(step string) {
			if step == "stop" {
				sum.note(s.w)
			}
		}
	}
	down := time.Duration(0)
	mark := time.Duration(0)
	account := func() {
		// Time in which the site cannot be served whatever anybody does is nobody's: the way to it is broken, or its
		// database, its build or PM2 is gone, or the operator wants it down.
		w := s.w
		e := &w.env
		excused := e.proxy || e.proxyBad || e.dns || e.cert || e.network || e.starved || e.squeezed || w.cond.dbErrors || w.cond.noBuild || !w.pm2.up || w.pm2.hung ||
			w.strange != nil || s.off || (w.pm2.standing && !w.pm2.byKeeper) || w.cond.diesIn > 0 || w.cond.hangs || e.flaky || e.deploying
		if !w.well() && w.orphan == nil && !excused {
			down += w.now - mark
		}
		mark = w.now
	}
	if policy == 3 {
		s.onTick = account
		if err := s.run(); err != nil {
			panic(err)
		}
		sum.Alerts += s.alerts
	} else {
		s.onReset = func() { // he mends what he finds, as he does before he resets evenkeel
			w := s.w
			w.cond.cache, w.orphan, w.pm2.noRestart, w.pm2.lying = false, nil, false, false
			if p := &w.pm2; p.up && !p.hung && (!w.well() || w.app == nil) {
				p.listed = true
				w.orderStart()
			}
			switch g := g.(type) {
			case *shell:
				g.attempts, g.gaveUp = 0, false
			case *anyFailure:
				g.backoff = 0
			}
		}
		next := time.Minute
		for s.w.now < schedule.Length {
			at := min(s.w.upcoming(), schedule.Length)
			if g != nil {
				at = min(at, next)
			}
			s.w.now = max(at, s.w.now)
			account()
			s.w.happen()
			s.w.reckon()
			s.strike()
			if g != nil && s.w.now >= next {
				if s.off {
					next = s.w.now + time.Minute
				} else {
					next = s.w.now + g.look(s.w)
				}
			}
		}
	}
	sum.Down += down
	sum.Lasted += schedule.Length
}

func scoreTable(list []score) string {
	var b strings.Builder
	b.WriteString("| policy | down by its own fault, per year | restarts | of a site that was well | for another's fault | in a deploy | against an operator's stop | alerts |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, s := range list {
		years := s.Lasted.Hours() / 24 / 365.25
		fmt.Fprintf(&b, "| %s | %s (%.3f %% up) | %d | %d | %d | %d | %d | %d |\n", s.Policy,
			time.Duration(float64(s.Down)/years).Round(time.Minute), s.availability(), s.Restarts, s.Needless, s.Foreign, s.Deploy, s.Hit, s.Alerts)
	}
	return b.String()
}

// plot draws two bars for each policy: hours down in a year, and restarts that should not have been.
func plot(list []score) string {
	var b strings.Builder
	const width, row, left = 720, 64, 200
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n", width, row*len(list)+50)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, row*len(list)+50)
	most, worst := 1.0, 1
	harm := func(s score) int { return s.Needless + s.Foreign + s.Deploy + s.Hit }
	hours := func(s score) float64 { return s.Down.Hours() / (s.Lasted.Hours() / 24 / 365.25) }
	for _, s := range list {
		most, worst = max(most, hours(s)), max(worst, harm(s))
	}
	for n, s := range list {
		y := 20 + n*row
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-12, y+26, s.Policy)
		w := hours(s) / most * (width - left - 150)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="18" fill="#3b6ea5"/><text x="%.1f" y="%d">%.1f h down a year</text>`+"\n", left, y+4, w, left+w+6, y+18, hours(s))
		w = float64(harm(s)) / float64(worst) * (width - left - 150)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="18" fill="#b5533c"/><text x="%.1f" y="%d">%d harmful restarts</text>`+"\n", left, y+26, w, left+w+6, y+40, harm(s))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#555">the same faults for all; downtime that only another could end is left out</text>`+"\n</svg>\n", left, row*len(list)+36)
	return b.String()
}

const (
	beginMark = "<!-- compare: begin -->"
	endMark   = "<!-- compare: end -->"
)

// writeBetween puts text between the marks of a document.
func writeBetween(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), beginMark)
	_, after, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks to write between", path)
	}
	return os.WriteFile(path, []byte(before+beginMark+"\n"+text+endMark+after), 0o644) // #nosec G306 -- documentation
}
