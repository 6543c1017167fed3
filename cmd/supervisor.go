package cmd

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/watch"
)

// removalGrace is how long an App must be missing from the desired files before its supervision ends: an editor may take
// a file away for a moment while it saves.
const removalGrace = 3 * time.Second

// supervisor keeps one loop for each App of the desired files, and follows changes of those files.
type supervisor struct {
	dir    string   // the state folder
	paths  []string // the desired files and folders
	domain pass.Domain
	dryRun bool // every App is only observed
	clock  func() v1alpha1.Instant
	log    logrus.FieldLogger
	sink   func(app string, journal *state.Journal) controller.Sink
	seed   uint64
	// owed gives those alerts, of what an earlier run had still to tell, that nobody was told yet. nil where nobody is told.
	owed func(app *v1alpha1.App, journal *state.Journal, alerts []v1alpha1.Alert) []v1alpha1.Alert
	// filer keeps the incidents; nil where nobody does.
	filer *filer
	// keeper keeps the processes of Apps that have no other process manager; nil where there is none.
	keeper appKeeper
	// ready is called once every App that was found at the start is supervised; idle from time to time while there is none.
	ready, idle func()

	apps    map[string]*supervised
	refused map[string]bool // Apps that cannot be supervised, and of which that was told
	broken  string          // the mistakes of the desired files, as they were last told
	// suspected brings what Apps begin or cease to see that may be another's fault; nudgedAt is when the others were last
	// made to look for that.
	suspected chan suspicion
	nudgedAt  map[bool]v1alpha1.Instant
	turns     controller.Turns
	running   sync.WaitGroup
	wakes     sync.Map // App → its loop's wake channel
}

// wake asks an App's loop to look now. It may be called from anywhere, and does not wait.
func (s *supervisor) wake(app string) {
	if c, ok := s.wakes.Load(app); ok {
		poke(c.(chan struct{}))
	}
}

// appKeeper keeps processes; *keeper.Keeper is one.
type appKeeper interface {
	// Keep hands over an App as it now stands. Release ends its keeping; the process is left as it is.
	Keep(app *v1alpha1.App)
	Release(app string)
}

// startError says that supervision could not begin.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// run supervises until the context ends, and returns when every loop has ended. An error means that it could not begin.
func (s *supervisor) run(ctx context.Context) error {
	s.apps, s.refused = map[string]*supervised{}, map[string]bool{}
	s.suspected, s.nudgedAt = make(chan suspicion, 1), map[bool]v1alpha1.Instant{}
	s.turns = make(controller.Turns, 1)
	watchCtx, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	patterns := slices.Clone(s.paths)
	for _, p := range s.paths {
		if isFolder(p) {
			patterns = append(patterns, filepath.Join(p, "*.yaml"), filepath.Join(p, "*.yml"))
		}
	}
	warn := func(err error) { s.log.WithError(err).Warn("files are polled") }
	changes := watch.Options{Warn: warn}.Watch(watchCtx, patterns...)
	states := watch.Options{Warn: warn}.Watch(watchCtx, filepath.Join(s.dir, "*.yaml"))

	ctx, stop := context.WithCancel(ctx)
	defer func() { // what the loops need goes on until the last of them has ended
		stop()
		s.running.Wait()
		for _, a := range s.apps {
			_ = a.lock.Release() // it ends with this process anyhow
		}
	}()
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.ready()
	tick := time.NewTicker(lookAfter)
	defer tick.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		var wait time.Duration
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
			wait = s.reload(ctx)
		case <-again.C:
			wait = s.reload(ctx)
		case <-states:
			for _, a := range s.apps {
				poke(a.edited)
			}
			s.keepLocks()
			continue
		case what := <-s.suspected:
			s.nudge(what)
			continue
		case <-tick.C:
			s.keepLocks()
			if len(s.apps) == 0 {
				s.idle()
			}
			continue
		}
		again.Stop()
		if wait > 0 {
			again.Reset(wait)
		}
	}
}

// nudge lets the other Apps look now: one of them sees the beginning or the end of what may be a fault that all of them
// share, and what they tell of it is joined only if they see it together.
func (s *supervisor) nudge(what suspicion) {
	now := s.clock()
	if last, is := s.nudgedAt[what.begins]; is && now.Since(last) < nudgeEvery {
		return
	}
	s.nudgedAt[what.begins] = now
	for other, a := range s.apps {
		if other != what.app {
			poke(a.wake)
		}
	}
}

// nudgeEvery is how often, at most, an App that comes and goes makes the others look for the same.
const nudgeEvery = 20 * time.Second

// lookAfter is how often the supervisor looks after itself: are the locks still its own, is there anything left to do?
const lookAfter = 10 * time.Second

// keepLocks makes sure of the locks: whoever empties the state folder takes them away, and a second supervisor could come
// in beside us. Where one has come in already, ours yields.
func (s *supervisor) keepLocks() {
	for name, a := range s.apps {
		if a.lock.Held() || a.leaving {
			continue
		}
		log := s.log.WithField("app", name)
		lock, err := state.Acquire(s.dir, name, a.file)
		if err == nil {
			log.Warn("lock file was removed; it is made again. Never empty the state folder of a running evenkeel: reset the App instead")
			_ = a.lock.Release() // nobody can meet it any more
			a.lock = lock
			poke(a.edited)
			continue
		}
		log.WithError(err).Error("lock was lost; supervision ends here")
		s.end(a)
	}
}

// end ends supervision of an App, without waiting for it.
func (s *supervisor) end(a *supervised) {
	if !a.leaving {
		a.leaving = true
		close(a.removed)
	}
}

// offer puts the newest value into a channel with room for one.
func offer[T any](c chan T, v T) {
	for {
		select {
		case c <- v:
			return
		default:
		}
		select {
		case <-c:
		default:
		}
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
