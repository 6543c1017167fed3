//go:build linux

// Package runtimetest says in tests what every runtime must do, whoever keeps the processes: [Run] is passed by each of
// them against the real thing, and by the fake.
package runtimetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// Subject is a runtime with two applications that it has not started yet, and a hand on their processes from outside.
type Subject struct {
	Runtime runtime.Runtime
	// App's program lives until it is asked to end, and then ends. Stubborn's takes no notice of being asked. Both may be
	// started and brought back: they are neither paused nor Failed.
	App, Stubborn *v1alpha1.App
	// Signal sends a process a signal, past the runtime.
	Signal func(id procfs.Identity, sig unix.Signal)
	// Alive tells whether a process lives, and Marked whether it bears the runtime's badge with one of these marks.
	Alive  func(id procfs.Identity) bool
	Marked func(badge runtime.Badge, id procfs.Identity, marks []string) bool
	// Ready tells whether a process has come as far as taking no notice of being asked to end, if it is such a one.
	Ready func(p runtime.Process) bool
	// Now is the moment by the clock that start times are compared with.
	Now func() v1alpha1.Instant
}

// patience bounds every wait for a fact; it is long because the machine may be busy, and costs nothing otherwise.
const patience = 40 * time.Second

// calm is how long something must not happen.
const calm = 400 * time.Millisecond

// Run runs the suite. factory is called for every test, and must leave nothing behind when that ends.
func Run(t *testing.T, factory func(t *testing.T) Subject) {
	for name, test := range map[string]func(*subject){
		"a start brings it up, and a second one leaves it alone":   startsOnce,
		"a start renews only what is older":                        renews,
		"a stop ends it, and nothing brings it back":               stops,
		"a crash is brought back, counted and noted":               bringsBack,
		"a stop ends the bringing back":                            stopsBringingBack,
		"what outlives a stop is named, and not killed":            namesWhatLives,
		"one that is held by a signal runs, and can be stopped":    stopsTheHeld,
		"many starts at once make one process":                     manyStarts,
		"a look changes nothing":                                   looksChangeNothing,
		"an order to one leaves the other alone":                   leavesOthersAlone,
		"every question ends with its context":                     endsWithContext,
		"its processes bear a mark, and others do not":             marks,
		"an end that was ordered is told from one that was not":    tellsOrdered,
		"nothing is told of ends before the moment asked for":      asksSince,
		"a stop of what was never started is no failure to ask it": stopsNothing,
	} {
		t.Run(name, func(t *testing.T) { test(&subject{T: t, Subject: factory(t)}) })
	}
}

type subject struct {
	*testing.T
	Subject
}

func (s *subject) look(app *v1alpha1.App) runtime.Snapshot {
	s.Helper()
	snap, err := s.Runtime.Look(context.Background(), app)
	if err != nil {
		s.Fatalf("look: %v", err)
	}
	return snap
}

// start starts and waits until it runs.
func (s *subject) start(app *v1alpha1.App, since v1alpha1.Instant) runtime.StartResult {
	s.Helper()
	r, err := s.Runtime.Start(context.Background(), app, since)
	if err != nil {
		s.Fatalf("start: %v", err)
	}
	return r
}

func (s *subject) stop(app *v1alpha1.App) runtime.StopResult {
	s.Helper()
	r, err := s.Runtime.Stop(context.Background(), app, patience)
	if err != nil {
		s.Fatalf("stop: %v", err)
	}
	return r
}

// Eventually waits for a fact, as long as a busy machine may need.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); rest() {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (s *subject) until(what string, is func() bool) { s.Helper(); Eventually(s, what, is) }

func (s *subject) never(what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(calm); time.Now().Before(end); rest() {
		if is() {
			s.Fatal(what)
		}
	}
}

func rest() {
	t := time.NewTimer(10 * time.Millisecond)
	defer t.Stop()
	<-t.C
}

// running waits until one process of the App runs that is not one of those before, and gives it.
func (s *subject) running(app *v1alpha1.App, before ...procfs.Identity) runtime.Process {
	s.Helper()
	var found runtime.Process
	s.until(app.Name+" runs", func() bool {
		snap, err := s.Runtime.Look(context.Background(), app)
		if err != nil || len(snap.Processes) != 1 || snap.State() != runtime.Running || !snap.Processes[0].Alive() {
			return false
		}
		found = snap.Processes[0]
		for _, id := range before {
			if found.Identity == id {
				return false
			}
		}
		return true
	})
	return found
}

func startsOnce(s *subject) {
	if r := s.start(s.App, v1alpha1.Instant{}); r.How == runtime.AlreadyRunning || r.Message == "" {
		s.Errorf("first start: %+v", r)
	}
	p := s.running(s.App)
	if !s.Alive(p.Identity) {
		s.Errorf("process %s is said to run and does not", p.Identity)
	}
	if r := s.start(s.App, v1alpha1.Instant{}); r.How != runtime.AlreadyRunning {
		s.Errorf("second start: %+v", r)
	}
	if again := s.running(s.App); again.Identity != p.Identity {
		s.Errorf("second start made process %s out of %s", again.Identity, p.Identity)
	}
}

func renews(s *subject) {
	before := s.Now()
	s.start(s.App, v1alpha1.Instant{})
	p := s.running(s.App)
	if r := s.start(s.App, before); r.How != runtime.AlreadyRunning {
		s.Errorf("what was born after the moment: %+v", r)
	}
	// Start times are known to a hundredth of a second.
	s.until("time has passed", func() bool { return s.Now().Boot.Duration > p.Identity.StartedAt()+50*time.Millisecond })
	if r := s.start(s.App, s.Now()); r.How != runtime.Restarted {
		s.Errorf("what is older than the moment: %+v", r)
	}
	s.running(s.App, p.Identity)
	if s.Alive(p.Identity) {
		s.Error("the older one lives beside the new one")
	}
}

func stops(s *subject) {
	s.start(s.App, v1alpha1.Instant{})
	p := s.running(s.App)
	if r := s.stop(s.App); r.Already || len(r.Alive) > 0 {
		s.Errorf("stop: %+v", r)
	}
	if s.Alive(p.Identity) {
		s.Error("it lives on")
	}
	s.never("it was brought back", func() bool { snap := s.look(s.App); return snap.State() != runtime.Stopped })
	if r := s.stop(s.App); !r.Already {
		s.Errorf("second stop: %+v", r)
	}
	s.start(s.App, v1alpha1.Instant{})
	s.running(s.App, p.Identity)
}

func bringsBack(s *subject) {
	begun := time.Now().Truncate(time.Second)
	s.start(s.App, v1alpha1.Instant{})
	p := s.running(s.App)
	s.Signal(p.Identity, unix.SIGKILL)
	again := s.running(s.App, p.Identity)
	if again.Restarts <= p.Restarts {
		s.Errorf("restarts: %d after %d", again.Restarts, p.Restarts)
	}
	s.until("the end is noted as a crash", func() bool {
		h, err := s.Runtime.Exits(context.Background(), s.App, begun)
		return err == nil && h.Unplanned() == 1 && h.Exits[len(h.Exits)-1].Signal == "SIGKILL"
	})
}

func stopsBringingBack(s *subject) {
	s.start(s.App, v1alpha1.Instant{})
	p := s.running(s.App)
	for range 3 { // until it takes its time
		s.Signal(p.Identity, unix.SIGKILL)
		s.until("the process is gone", func() bool { return !s.Alive(p.Identity) })
		snap := s.look(s.App)
		if len(snap.Processes) == 1 && snap.Processes[0].Alive() {
			p = snap.Processes[0]
		}
	}
	s.stop(s.App)
	s.never("it was brought back", func() bool { snap := s.look(s.App); return snap.State() != runtime.Stopped })
}

func namesWhatLives(s *subject) {
	s.start(s.Stubborn, v1alpha1.Instant{})
	p := s.running(s.Stubborn)
	s.until("its program is ready", func() bool { return s.Ready(p) })
	r, err := s.Runtime.Stop(context.Background(), s.Stubborn, 200*time.Millisecond)
	if !errors.Is(err, runtime.ErrStillAlive) || len(r.Alive) == 0 || r.Message == "" {
		s.Fatalf("stop of a stubborn one: %+v, %v", r, err)
	}
	if r.Alive[0].Identity != p.Identity {
		s.Errorf("alive is said to be %s, want %s", r.Alive[0].Identity, p.Identity)
	}
	s.Signal(p.Identity, unix.SIGKILL)
	s.stop(s.Stubborn)
	s.never("it was brought back", func() bool { snap := s.look(s.Stubborn); return snap.State() != runtime.Stopped })
}

func stopsTheHeld(s *subject) {
	s.start(s.App, v1alpha1.Instant{})
	p := s.running(s.App)
	s.Signal(p.Identity, unix.SIGSTOP)
	s.never("it is not said to run", func() bool { snap := s.look(s.App); return snap.State() != runtime.Running })
	s.stop(s.App)
	if s.Alive(p.Identity) {
		s.Error("it lives on")
	}
}

func manyStarts(s *subject) {
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if _, err := s.Runtime.Start(context.Background(), s.App, v1alpha1.Instant{}); err != nil {
				s.Errorf("start: %v", err)
			}
		})
	}
	all.Wait()
	p := s.running(s.App)
	s.never("another process came", func() bool { return s.running(s.App).Identity != p.Identity })
}

func looksChangeNothing(s *subject) {
	s.start(s.App, v1alpha1.Instant{})
	p := s.running(s.App)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if _, err := s.Runtime.Look(context.Background(), s.App); err != nil {
					s.Errorf("look: %v", err)
				}
			}
		})
	}
	all.Wait()
	if again := s.running(s.App); again.Identity != p.Identity || again.Restarts != p.Restarts {
		s.Errorf("%s with %d restarts became %s with %d", p.Identity, p.Restarts, again.Identity, again.Restarts)
	}
}

func leavesOthersAlone(s *subject) {
	s.start(s.App, v1alpha1.Instant{})
	s.start(s.Stubborn, v1alpha1.Instant{})
	p, other := s.running(s.App), s.running(s.Stubborn)
	snap := s.look(s.App)
	named := false
	for _, o := range snap.Others {
		named = named || o.Identity == other.Identity
	}
	if !named {
		s.Errorf("the other one is not among those that are to be left alone: %+v", snap.Others)
	}
	s.stop(s.App)
	if s.Alive(p.Identity) || !s.Alive(other.Identity) {
		s.Errorf("after the stop of one: it lives %v, the other lives %v", s.Alive(p.Identity), s.Alive(other.Identity))
	}
}

func endsWithContext(s *subject) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Runtime.Look(ended, s.App); !runtime.CouldNotAsk(err) {
		s.Errorf("look: %v", err)
	}
	if _, err := s.Runtime.Start(ended, s.App, v1alpha1.Instant{}); err == nil {
		s.Error("start succeeded")
	}
	if _, err := s.Runtime.Stop(ended, s.App, patience); err == nil {
		s.Error("stop succeeded")
	}
	if _, err := s.Runtime.Exits(ended, s.App, time.Time{}); err == nil {
		s.Error("exits were told")
	}
}

func marks(s *subject) {
	s.start(s.App, v1alpha1.Instant{})
	s.start(s.Stubborn, v1alpha1.Instant{})
	p, other := s.running(s.App), s.running(s.Stubborn)
	snap := s.look(s.App)
	if p.Mark == "" || p.Mark == other.Mark {
		s.Fatalf("marks: %q and %q", p.Mark, other.Mark)
	}
	if !s.Marked(snap.Daemon.Badge, p.Identity, []string{p.Mark}) {
		s.Error("it does not bear its mark")
	}
	if s.Marked(snap.Daemon.Badge, other.Identity, []string{p.Mark}) {
		s.Error("the other one bears its mark")
	}
}

func tellsOrdered(s *subject) {
	begun := time.Now().Truncate(time.Second)
	s.start(s.App, v1alpha1.Instant{})
	s.running(s.App)
	s.stop(s.App)
	s.until("the end is noted", func() bool {
		h, err := s.Runtime.Exits(context.Background(), s.App, begun)
		return err == nil && len(h.Exits) == 1
	})
	h, err := s.Runtime.Exits(context.Background(), s.App, begun)
	if err != nil || h.Unplanned() != 0 || !h.Complete {
		s.Errorf("exits: %+v, %v", h, err)
	}
}

func asksSince(s *subject) {
	s.start(s.App, v1alpha1.Instant{})
	s.running(s.App)
	s.stop(s.App)
	h, err := s.Runtime.Exits(context.Background(), s.App, time.Now().Add(time.Hour))
	if err != nil || len(h.Exits) != 0 {
		s.Errorf("exits of the future: %+v, %v", h, err)
	}
}

func stopsNothing(s *subject) {
	r, err := s.Runtime.Stop(context.Background(), s.App, patience)
	if runtime.CouldNotAsk(err) || len(r.Alive) > 0 {
		s.Errorf("%+v, %v", r, err)
	}
}
