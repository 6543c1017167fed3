// Command sim drives evenkeel's brain through years of trouble: the real Step, machine, rules and store, on a simulated
// machine and disk, on virtual time, without a goroutine. A seed gives the same run, byte for byte.
//
//	go run ./hack/sim --seed 1 --years 100        exit status 1 on a broken invariant
//	go run ./hack/sim show --seed 1 --episode 7   one episode's journal
//	go run ./hack/sim compare                     the policies side by side
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) > 0 && args[0] == "show" {
		return show(args[1:])
	}
	if len(args) > 0 && args[0] == "compare" {
		return compare(args[1:])
	}
	f := flag.NewFlagSet("sim", flag.ExitOnError)
	seed := f.Uint64("seed", uint64(time.Now().UnixNano()%1e9), "seed")
	years := f.Float64("years", 0, "simulated years after which to stop")
	episodes := f.Int("episodes", 0, "episodes after which to stop")
	seconds := f.Int("seconds", 0, "seconds after which to stop")
	cpu := f.Int("cpu", 0, "seconds of processor time after which to stop")
	workers := f.Int("workers", 1, "episodes side by side")
	enough := f.Int("findings", 1, "findings after which to stop")
	table := f.Bool("table", false, "print how often each fault struck in each phase")
	each := f.Bool("each", false, "print what every episode has cost")
	brief := f.Bool("brief", false, "do not shrink what is found")
	_ = f.Parse(args)
	c := &campaign{seed: *seed, years: *years, episodes: *episodes, workers: *workers, cpu: time.Duration(*cpu) * time.Second}
	if *seconds > 0 {
		c.until = time.Now().Add(time.Duration(*seconds) * time.Second)
	} else if *years == 0 && *episodes == 0 && *cpu == 0 {
		c.years = 1
	}
	if *each {
		c.each = os.Stdout
	}
	c.run(*enough)
	c.report(os.Stdout)
	if *table {
		c.table(os.Stdout)
	}
	for _, b := range c.broken {
		fmt.Printf("\nBROKEN in episode %d: %s\n", b.episode, b.broken)
		if *brief {
			continue
		}
		s := shrink(b.schedule, 150)
		fmt.Println(asTest(s, replay(s)))
	}
	if len(c.broken) > 0 {
		return 1
	}
	if missed := c.missed(); *table && time.Duration(*seconds)*time.Second >= fullLength && missed != "" {
		fmt.Println("too little for a full length:", missed)
		return 1
	}
	return 0
}

func show(args []string) int {
	f := flag.NewFlagSet("show", flag.ExitOnError)
	seed := f.Uint64("seed", 1, "seed")
	episode := f.Int("episode", 0, "episode")
	every := f.Bool("every", false, "make every pass, and jump over none")
	short := f.Bool("shrink", false, "shrink it first")
	_ = f.Parse(args)
	schedule := generate(*seed, *episode)
	if *short {
		schedule = shrink(schedule, 300)
	}
	fmt.Println(schedule)
	s := newSim(schedule)
	s.out = os.Stdout
	s.noJumps = *every
	if err := s.run(); err != nil {
		fmt.Println("BROKEN", err)
		return 1
	}
	return 0
}
