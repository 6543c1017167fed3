//go:build linux

package pm2

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// Stop stops every row of the application. See [runtime.Runtime].
//
// PM2 sends SIGINT to the process and all below it, and SIGKILL after the row's kill_timeout. Where timeout is shorter,
// PM2 goes on with that after Stop has returned [runtime.ErrStillAlive]; once the caller has ended what is left, another
// Stop waits until PM2 has noticed. A crash loop is ended: PM2 drops the restart that it has planned.
func (m *Manager) Stop(ctx context.Context, app *v1alpha1.App, timeout time.Duration) (runtime.StopResult, error) {
	begin := time.Now()
	h, spec, err := m.open(app)
	if err != nil {
		return runtime.StopResult{}, err
	}
	s := &stopping{m: m, home: h, app: app, spec: spec, given: map[string]bool{}, done: make(chan given), seen: seen{}}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	err = s.run(bounded)
	cancel()
	s.wait()

	r := runtime.StopResult{Already: err == nil && s.orders == 0 && !s.waited, Took: time.Since(begin)}
	r.Alive = s.seen.alive(m.fs)
	switch {
	case err == nil && r.Already:
		r.Message = "it was stopped already"
	case err == nil:
		r.Message = "PM2 has stopped " + s.names()
	case len(r.Alive) > 0 && bounded.Err() != nil:
		pids := make([]string, len(r.Alive))
		for i := range r.Alive {
			pids[i] = fmt.Sprint(r.Alive[i].PID)
		}
		err = fmt.Errorf("%w for %s: process %s: %w", runtime.ErrStillAlive, timeout, strings.Join(pids, ", "), err)
		r.Message = err.Error()
	default:
		r.Message = err.Error()
	}
	return r, err
}

// stopping is one run of Stop.
type stopping struct {
	m    *Manager
	home *home
	app  *v1alpha1.App
	spec *v1alpha1.PM2Runtime

	given   map[string]bool // lives of rows that an order was given for
	ids     []string
	open    int // orders that PM2 has not answered
	orders  int // orders given
	waited  bool
	done    chan given
	lastErr error
	seen    seen
}

type given struct {
	life string
	err  error
}

func (s *stopping) names() string { return s.spec.Process + " (" + strings.Join(s.ids, ", ") + ")" }

// run looks, orders what is to be ordered, and looks again, until every row is stopped. What PM2 answers to an order is
// not what counts.
func (s *stopping) run(ctx context.Context) error {
	poll := firstPoll
	busy := "" // with what, as of the last look
	for first := true; ; first = false {
		snap, err := s.m.look(ctx, s.home, s.app)
		switch {
		case err != nil && s.waited && over(ctx):
			// The time ran out in the middle of a question; what was waited for is what the caller wants to know.
			return s.because(ctx, with(stillBusy(busy), err))
		case err != nil:
			return s.because(ctx, err)
		}
		if first && len(snap.Processes) == 0 {
			return fmt.Errorf("%w: no row %q in %s", runtime.ErrNotListed, s.spec.Process, s.home.dir)
		}
		s.seen.add(snap.Processes)
		busy = ""
		for i := range snap.Processes {
			if p := &snap.Processes[i]; !s.stopped(ctx, p, &snap) {
				busy = fmt.Sprintf("row %s is %q", p.ID, p.Raw)
			}
		}
		if busy == "" && len(s.seen.alive(s.m.fs)) == 0 && s.open == 0 {
			return nil
		}
		s.waited = true
		t := time.NewTimer(poll)
		select {
		case d := <-s.done:
			s.take(d)
		case <-t.C:
			poll = min(2*poll, lastPoll)
		case <-ctx.Done():
			t.Stop()
			return s.because(ctx, stillBusy(busy))
		}
		t.Stop()
	}
}

// stillBusy is what a stop says whose time ran out: what PM2 was at, or else that the process lives.
func stillBusy(what string) error {
	if what == "" {
		what = "its process lives"
	}
	return fmt.Errorf("%w: %s", runtime.ErrBusy, what)
}

// stopped tells whether there is nothing more to do for a row, and orders what there is.
func (s *stopping) stopped(ctx context.Context, p *runtime.Process, snap *runtime.Snapshot) bool {
	switch {
	case p.State == runtime.Stopped && !p.Lying:
		return true
	case p.State == runtime.Stopping, s.m.taken(p):
		return false
	}
	life := fmt.Sprint(p.ID, "/", p.PID, "/", p.Restarts, "/", p.State)
	if s.given[life] {
		return false
	}
	s.given[life] = true
	s.ids = append(s.ids, p.ID)
	s.orders++
	s.open++
	id := p.ID
	go func() { s.done <- given{life, s.m.give(ctx, s.home, s.spec, orderStop, id, snap)} }()
	return false
}

// take notes the answer to an order. One that failed may be given again.
func (s *stopping) take(d given) {
	s.open--
	if d.err != nil {
		s.lastErr = d.err
		delete(s.given, d.life)
	}
}

// wait waits for the orders under way, whose context has ended.
func (s *stopping) wait() {
	for s.open > 0 {
		s.take(<-s.done)
	}
}

// because adds what the last order that failed said.
func (s *stopping) because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = with(err, timeoutOr(ctx))
	}
	return with(err, s.lastErr)
}
