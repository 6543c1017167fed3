package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/desired"
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
	clock  func() v1alpha1.Instant
	log    logrus.FieldLogger
	sink   func(app string, journal *state.Journal) controller.Sink
	seed   uint64
	// keeper keeps the processes of Apps that have no other process manager; nil where there is none.
	keeper appKeeper
	// ready is called once every App that was found at the start is supervised; idle from time to time while there is none.
	ready, idle func()

	apps    map[string]*supervised
	refused map[string]bool // Apps that cannot be supervised, and of which that was told
	turns   controller.Turns
	running sync.WaitGroup
	wakes   sync.Map // App → its loop's wake channel
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

// supervised is one App under supervision.
type supervised struct {
	app     *v1alpha1.App
	file    string
	lock    *state.Lock
	specs   chan controller.SpecUpdate
	edited  chan struct{}
	wake    chan struct{}
	removed chan struct{}
	ended   chan struct{}
	// missingSince is since when the desired files have not held it; leaving says that its supervision is to end.
	missingSince time.Time
	leaving      bool
	// rejected is what the files' mistakes were when they were last told.
	rejected string
}

// startError says that supervision could not begin.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// run supervises until the context ends, and returns when every loop has ended. An error means that it could not begin.
func (s *supervisor) run(ctx context.Context) error {
	s.apps, s.refused = map[string]*supervised{}, map[string]bool{}
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

// begin starts with what the desired files hold; where a file is broken, with the last good copy of its Apps.
func (s *supervisor) begin(ctx context.Context) error {
	set := desired.Load(s.paths)
	type first struct {
		entry    *desired.Entry
		rejected error
	}
	var firsts []first
	for _, e := range set.Apps {
		firsts = append(firsts, first{entry: e})
	}
	if err := set.Err(); err != nil {
		for _, e := range s.goodCopies(set) {
			firsts = append(firsts, first{entry: e, rejected: problemsOf(set, e.File, e.App.Name)})
		}
		if len(firsts) == 0 {
			return &usageError{fmt.Errorf("no App can be supervised:\n%w", err)}
		}
		s.log.WithError(err).Error("desired state has mistakes; what is good of it is in force")
	}
	if len(firsts) == 0 {
		return &usageError{fmt.Errorf("no App is desired in %s", strings.Join(s.paths, ", "))}
	}
	for _, f := range firsts {
		if err := s.start(ctx, f.entry, f.rejected); err != nil {
			return &startError{err}
		}
	}
	return nil
}

// goodCopies are the last good copies of those Apps whose file has mistakes now and that the files do not hold otherwise.
func (s *supervisor) goodCopies(set *desired.Set) []*desired.Entry {
	names, err := state.Apps(s.dir)
	if err != nil {
		return nil
	}
	var list []*desired.Entry
	for _, name := range names {
		if set.App(name) != nil {
			continue
		}
		kept, err := state.ReadDesired(s.dir, name)
		if err != nil || problemsOf(set, kept.Source, name) == nil {
			continue
		}
		if e := desired.Parse(kept.Document, kept.Source).App(name); e != nil {
			list = append(list, e)
		}
	}
	return list
}

// problemsOf is why an App cannot be read from where it came from; nil where it was taken out of its file, or the file was
// removed from its folder. A file that is there and cannot be read, a folder that cannot be looked into or is not there
// (a disk that is not mounted) is trouble: the last good spec stays in force.
func problemsOf(set *desired.Set, file, name string) error {
	for _, r := range set.Rejected {
		if r.Name == name {
			return r.Problems.Err()
		}
	}
	if _, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) {
		if _, err := os.ReadDir(filepath.Dir(file)); err != nil {
			return fmt.Errorf("the folder of %s cannot be read: %w", file, err)
		}
		return nil
	} else if err != nil {
		return fmt.Errorf("the desired state cannot be read: %w", err)
	}
	for _, r := range set.Rejected {
		if r.Name == "" && r.File == file {
			return r.Problems.Err()
		}
	}
	for _, f := range set.Files {
		if f.Err != nil && (f.Path == file || f.Path == filepath.Dir(file)) {
			return f.Problems.Err()
		}
	}
	return nil
}

// start takes up supervision of one App.
func (s *supervisor) start(ctx context.Context, e *desired.Entry, rejected error) error {
	name := e.App.Name
	lock, err := state.Acquire(s.dir, name, e.File)
	if err != nil {
		return err
	}
	store, err := state.NewStore(s.dir, name, state.Options{})
	if err != nil {
		return errors.Join(err, lock.Release())
	}
	journal, err := state.NewJournal(s.dir, name)
	if err != nil {
		return errors.Join(err, lock.Release())
	}
	loaded := store.Load()
	log := s.log.WithField("app", name)
	for _, w := range loaded.Warnings {
		log.WithError(w).Warn("state was not as it was left")
	}
	app := checks.WithFound(e.App)
	app.UID, app.CreationTimestamp = store.Meta().UID, store.Meta().CreationTimestamp
	app.Generation = s.keepCopy(e, log)

	a := &supervised{
		app: app, file: e.File, lock: lock,
		specs: make(chan controller.SpecUpdate, 1), edited: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		removed: make(chan struct{}), ended: make(chan struct{}),
	}
	s.apps[name] = a
	sink := s.sink(name, journal)
	now := s.clock()
	sink.Event(v1alpha1.Event{
		Time: now.Wall, Type: v1alpha1.EventNormal, Reason: v1alpha1.ReasonStarted, App: name, UID: app.UID,
		Phase: loaded.State.Phase, Message: "supervision begins; desired state from " + e.File,
	})
	first := controller.Input{Lost: loaded.Lost}
	if loaded.Order.IsOrder() {
		first.Order = &loaded.Order
	}
	if loaded.Rejected != nil {
		sink.Event(v1alpha1.Event{
			Time: now.Wall, Type: v1alpha1.EventWarning, Reason: v1alpha1.ReasonStateRejected, App: name, UID: app.UID,
			Phase: loaded.State.Phase, Message: loaded.Rejected.Error(),
		})
		controller.SetCondition(&loaded.State.AppStatus, metav1.Condition{
			Type: v1alpha1.ConditionEditAccepted, Status: metav1.ConditionFalse, Reason: "Rejected", Message: loaded.Rejected.Error(),
			ObservedGeneration: app.Generation,
		}, now)
	}
	if rejected != nil {
		a.rejected = rejected.Error()
		a.specs <- controller.SpecUpdate{Rejected: rejected}
	}
	loop := &controller.Loop{
		Domain: s.domain, Store: store, Sink: sink, Clock: s.clock, Log: log,
		Random: rand.New(rand.NewPCG(s.seed, uint64(len(s.apps)))), // #nosec G404 -- jitter needs no secrecy
		Turns:  s.turns, Specs: a.specs, Edited: a.edited, Wake: a.wake, Removed: a.removed,
	}
	s.wakes.Store(name, a.wake)
	if s.keeper != nil {
		loop.Attend = s.keeper.Keep
	}
	s.running.Go(func() {
		defer close(a.ended)
		loop.Run(ctx, app, loaded.State.AppStatus, first)
		s.wakes.Delete(name)
		if s.keeper != nil && isClosed(a.removed) {
			s.keeper.Release(name) // it goes on unsupervised
		}
		sink.Event(v1alpha1.Event{
			Time: s.clock().Wall, Type: v1alpha1.EventNormal, Reason: v1alpha1.ReasonStopped, App: name, UID: app.UID,
			Message: "supervision ends; the application is left as it is",
		})
	})
	return nil
}

// keepCopy keeps the App's document as the last good one, and gives its generation: one more than that of the copy
// before, if it differs from it.
func (s *supervisor) keepCopy(e *desired.Entry, log logrus.FieldLogger) int64 {
	generation := int64(1)
	if kept, err := state.ReadDesired(s.dir, e.App.Name); err == nil {
		generation = max(kept.Generation, 1)
		if !bytes.Equal(kept.Document, e.Raw) {
			generation++
		}
	}
	err := state.WriteDesired(s.dir, e.App.Name, state.DesiredCopy{
		Source: e.File, Taken: s.clock().Wall.Time, Generation: generation, Document: e.Raw,
	})
	if err != nil {
		log.WithError(err).Warn("last good desired state could not be kept")
	}
	return generation
}

// reload brings the loops in line with the desired files. It gives the time after which it is to be called again; 0 means
// not before the files change.
func (s *supervisor) reload(ctx context.Context) time.Duration {
	set := desired.Load(s.paths)
	var again time.Duration
	soon := func(d time.Duration) {
		if again == 0 || d < again {
			again = max(d, time.Millisecond)
		}
	}
	for name, a := range s.apps {
		if isClosed(a.ended) {
			s.forget(name, a)
		}
	}
	for _, e := range set.Apps {
		a, known := s.apps[e.App.Name]
		switch {
		case known && a.leaving:
			soon(removalGrace) // it comes back as soon as it has gone
		case known:
			s.update(a, e)
		default:
			if err := s.start(ctx, e, nil); err != nil {
				s.refuse(e.App, err)
				soon(retryAfter)
			} else {
				delete(s.refused, e.App.Name)
			}
		}
	}
	for name, a := range s.apps {
		switch {
		case set.App(name) != nil:
			continue
		case a.leaving:
			soon(removalGrace)
			continue
		}
		if err := problemsOf(set, a.file, name); err != nil {
			a.missingSince = time.Time{}
			if text := err.Error(); text != a.rejected {
				a.rejected = text
				offer(a.specs, controller.SpecUpdate{App: a.app.DeepCopy(), Rejected: err})
			}
			soon(retryAfter)
			continue
		}
		if a.missingSince.IsZero() {
			a.missingSince = time.Now()
		}
		if left := removalGrace - time.Since(a.missingSince); left > 0 {
			soon(left)
			continue
		}
		s.log.WithField("app", name).Warn("App was removed from the desired state; its supervision ends, it is left as it is")
		s.end(a)
		soon(time.Second)
	}
	return again
}

// retryAfter is how long after a failure an App that cannot be supervised, or a file that cannot be read, is tried again.
const retryAfter = 5 * time.Second

// refuse tells, once, that an App which was added cannot be supervised.
func (s *supervisor) refuse(app *v1alpha1.App, err error) {
	if s.refused[app.Name] {
		return
	}
	s.refused[app.Name] = true
	s.log.WithError(err).WithField("app", app.Name).Error("an App that was added cannot be supervised; it is tried again")
	s.sink(app.Name, nil).Alert(app, v1alpha1.Alert{
		Time: s.clock().Wall, Kind: v1alpha1.AlertSpecRejected, App: app.Name, Reason: "NotSupervised",
		Message: "an App that was added cannot be supervised: " + err.Error(),
	})
}

// forget is called when an App's supervision has ended: what was desired of it is not desired any more. What is known of
// its attempts stays, so that they count if it comes back.
func (s *supervisor) forget(name string, a *supervised) {
	delete(s.apps, name)
	log := s.log.WithField("app", name)
	if a.leaving && a.lock.Held() {
		if err := state.RemoveDesired(s.dir, name); err != nil {
			log.WithError(err).Warn("the copy of what was desired could not be removed")
		}
	}
	if err := a.lock.Release(); err != nil {
		log.WithError(err).Warn("lock was not released")
	}
}

// update hands an App's new document to its loop, if there is anything new about it.
func (s *supervisor) update(a *supervised, e *desired.Entry) {
	a.missingSince = time.Time{}
	app := checks.WithFound(e.App)
	wasRejected := a.rejected != ""
	a.rejected, a.file = "", e.File
	generation := s.keepCopy(e, s.log.WithField("app", e.App.Name))
	if !wasRejected && apiequality.Semantic.DeepEqual(a.app.Spec, app.Spec) {
		return
	}
	app.UID, app.CreationTimestamp, app.Generation = a.app.UID, a.app.CreationTimestamp, generation
	a.app = app
	offer(a.specs, controller.SpecUpdate{App: app.DeepCopy()})
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
