package cmd

import (
	"context"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// demoWatch sees what the sinks are fed with, and lets somebody wait for it.
type demoWatch struct {
	telling sync.Mutex // held while something is taken and told
	tell    func(fed)

	mu     sync.Mutex
	news   chan struct{} // closed, and made anew, with everything that comes in
	passes int
	last   *v1alpha1.Observation
	events []v1alpha1.Event
	alerts []v1alpha1.Alert
}

// fed is one thing that the sinks were fed with; one of the three is set.
type fed struct {
	before, pass *v1alpha1.Observation
	event        *v1alpha1.Event
	alert        *v1alpha1.Alert
}

func newDemoWatch() *demoWatch { return &demoWatch{news: make(chan struct{})} }

// speak has tell called with each pass, event or alert from now on, one at a time.
func (w *demoWatch) speak(tell func(fed)) {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.tell = tell
}

func (w *demoWatch) take(s fed) {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.mu.Lock()
	switch {
	case s.pass != nil:
		s.before = w.last
		w.passes++
		w.last = s.pass
	case s.event != nil:
		w.events = append(w.events, *s.event)
	case s.alert != nil:
		w.alerts = append(w.alerts, *s.alert)
	}
	close(w.news)
	w.news = make(chan struct{})
	w.mu.Unlock()
	if w.tell != nil {
		w.tell(s)
	}
}

// pass is the last finished pass, and how many there have been.
func (w *demoWatch) pass() (*v1alpha1.Observation, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last, w.passes
}

// since gives the events and the alerts after the first so many of them.
func (w *demoWatch) since(events, alerts int) ([]v1alpha1.Event, []v1alpha1.Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]v1alpha1.Event(nil), w.events[events:]...), append([]v1alpha1.Alert(nil), w.alerts[alerts:]...)
}

// counts are how many events and alerts there have been.
func (w *demoWatch) counts() (events, alerts int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events), len(w.alerts)
}

// site is the process that the last pass named as the site's; ok is false where it named none.
func (w *demoWatch) site() (id procfs.Identity, ok bool) {
	last, _ := w.pass()
	return siteIn(last)
}

// siteIn is the process that a pass named as the application's.
func siteIn(o *v1alpha1.Observation) (procfs.Identity, bool) {
	p, ok := facts.Of[facts.Process](o, v1alpha1.CheckProcess)
	if !ok || p.Life == "" {
		return procfs.Identity{}, false
	}
	id, err := procfs.ParseIdentity(p.Life)
	return id, err == nil
}

// pollEvery is how often a wait looks again at what the sinks are not told of.
const pollEvery = 20 * time.Millisecond

// wait waits until something is so, and tells whether it came to be within the limit, and before the context ended.
func (w *demoWatch) wait(ctx context.Context, limit time.Duration, so func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		w.mu.Lock()
		news := w.news
		w.mu.Unlock()
		if so() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-news:
		case <-tick.C:
		}
	}
}

// demoSink feeds the ordinary sinks, and then the watch: what is told has been journalled.
type demoSink struct {
	*appSink
	watch *demoWatch
}

func (s *demoSink) Pass(app *v1alpha1.App, o *v1alpha1.Observation) {
	s.appSink.Pass(app, o)
	s.watch.take(fed{pass: o})
}

func (s *demoSink) Event(e v1alpha1.Event) {
	s.appSink.Event(e)
	s.watch.take(fed{event: &e})
}

func (s *demoSink) Alert(app *v1alpha1.App, a v1alpha1.Alert, kept func()) {
	s.appSink.Alert(app, a, kept)
	s.watch.take(fed{alert: &a})
}
