package cmd

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"

	"github.com/sirupsen/logrus"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/desired"
)

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
	missingSince v1alpha1.Instant
	leaving      bool
	// rejected is what the files' mistakes were when they were last told.
	rejected string
}

// tidier is a domain that may have left something behind when evenkeel was ended in the midst of a recovery.
type tidier interface{ Tidy(app *v1alpha1.App) }

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
	// Where the record was lost, the numbers go on all the same: an incident that is kept is not written over.
	loaded.State.LastIncident = max(loaded.State.LastIncident, state.LastIncident(s.dir, name))
	log := s.log.WithField("app", name)
	for _, w := range loaded.Warnings {
		if !loaded.Restored { // else an event says them all
			log.WithError(w).Warn("state was not as it was left")
		}
	}
	app := s.wanted(e)
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
	s.tellAgain(app, &loaded.State.AppStatus, journal, sink, log)
	sink.Event(v1alpha1.Event{
		Time: now.Wall, Type: v1alpha1.EventNormal, Reason: v1alpha1.ReasonStarted, App: name, UID: app.UID,
		Phase: loaded.State.Phase, Message: "supervision begins; desired state from " + e.File,
	})
	if loaded.Restored {
		sink.Event(v1alpha1.Event{
			Time: now.Wall, Type: v1alpha1.EventWarning, Reason: v1alpha1.ReasonStateRestored, App: name, UID: app.UID,
			Phase: loaded.State.Phase, Message: restored(loaded),
		})
	}
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
		Domain: s.domain, Store: store, Sink: &nudger{Sink: sink, suspected: s.suspected}, Clock: s.clock, Log: log,
		Random: rand.New(rand.NewPCG(s.seed, uint64(len(s.apps)))), // #nosec G404 -- jitter needs no secrecy
		Turns:  s.turns, Specs: a.specs, Edited: a.edited, Wake: a.wake, Removed: a.removed,
	}
	s.wakes.Store(name, a.wake)
	if s.filer != nil {
		loop.File = s.filer.file
	}
	if s.keeper != nil {
		loop.Attend = s.keeper.Keep
	}
	if t, ok := s.domain.(tidier); ok && !app.Spec.Observes() {
		t.Tidy(app)
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

// tellAgain tells the events that an earlier run was killed over, and leaves in the status those alerts that it was, and the
// incident that it had closed and not reported: the loop sees to them. Where that cannot be found out, all is told.
func (s *supervisor) tellAgain(app *v1alpha1.App, status *v1alpha1.AppStatus, journal *state.Journal, sink controller.Sink, log logrus.FieldLogger) {
	t := status.Telling
	status.Telling = nil
	if t == nil {
		return
	}
	missing, err := journal.Missing(t.Events)
	if err != nil {
		log.WithError(err).Warn("events may be told that were told before evenkeel was ended")
		missing = t.Events
	}
	for _, e := range missing {
		sink.Event(e)
	}
	again := v1alpha1.Telling{}
	if s.owed != nil {
		again.Alerts = s.owed(app, journal, t.Alerts)
	}
	if c := t.Closed; c != nil && !state.IncidentClosed(s.dir, app.Name, c.Incident.Number) {
		again.Closed = c
	}
	if len(again.Alerts) > 0 || again.Closed != nil {
		status.Telling = &again
	}
}

// restored says in one line why the copy before is used, and where what was found instead of it is kept.
func restored(loaded state.Loaded) string {
	said := make([]string, 0, len(loaded.Warnings)+1)
	for _, w := range loaded.Warnings {
		said = append(said, w.Error())
	}
	if len(said) < 2 { // it was gone, and there is nothing else to say
		said = append([]string{"the state file was gone"}, said...)
	}
	return strings.Join(said, "; ")
}

// wanted is the App of a document as it is supervised.
func (s *supervisor) wanted(e *desired.Entry) *v1alpha1.App {
	app := checks.WithFound(e.App)
	if s.dryRun {
		app.Spec.Mode = v1alpha1.ModeObserve
	}
	return app
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
	a.missingSince = v1alpha1.Instant{}
	app := s.wanted(e)
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
