//go:build linux

package systemd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// Waiting for systemd: how often it is asked, where its own word about a job does not come.
const (
	firstPoll = 10 * time.Millisecond
	lastPoll  = 200 * time.Millisecond
)

// Stop stops the unit. See [runtime.Runtime].
//
// systemd sends the unit's KillSignal= to its processes, and SIGKILL after TimeoutStopSec=. Where timeout is shorter, systemd
// goes on with that after Stop has returned [runtime.ErrStillAlive]; once the caller has ended what is left, another Stop waits
// until systemd has noticed. A restart that systemd has planned is called off.
func (m *Manager) Stop(ctx context.Context, app *v1alpha1.App, timeout time.Duration) (runtime.StopResult, error) {
	began := time.Now()
	s, name, err := m.target(app)
	if err != nil {
		return runtime.StopResult{Message: err.Error()}, err
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u := s.unit(name)
	if err := take(bounded, u.ordering); err != nil {
		err = fmt.Errorf("%w: waiting for another order to %s", err, name)
		return runtime.StopResult{Message: err.Error()}, err
	}
	defer func() {
		s.changed()
		<-u.ordering
	}()
	st := stopping{m: m, scope: s, unit: name, seen: map[procfs.Identity]runtime.Process{}}
	err = st.run(bounded)
	r := runtime.StopResult{Already: err == nil && !st.waited, Took: time.Since(began)}
	switch {
	case err == nil && r.Already:
		r.Message = "it was stopped already"
		return r, nil
	case err == nil:
		r.Message = "systemd has stopped " + name
		return r, nil
	}
	if st.waited && bounded.Err() != nil {
		r.Alive = st.alive()
	}
	if len(r.Alive) > 0 {
		pids := make([]string, len(r.Alive))
		for n := range r.Alive {
			pids[n] = fmt.Sprint(r.Alive[n].PID)
		}
		err = fmt.Errorf("%w for %s: process %s of %s: %w", runtime.ErrStillAlive, timeout, strings.Join(pids, ", "), name, err)
	}
	r.Message = err.Error()
	return r, err
}

// stopping is one run of Stop.
type stopping struct {
	m     *Manager
	scope *scope
	unit  string

	waited  bool
	ordered bool
	main    procfs.Identity
	seen    map[procfs.Identity]runtime.Process
}

// run orders the stop, and looks until the unit is down and its processes are gone.
func (st *stopping) run(ctx context.Context) error {
	var done <-chan string
	last := ""
	for poll := firstPoll; ; poll = min(2*poll, lastPoll) {
		snap, p, err := st.m.look(ctx, st.scope, st.unit)
		if err != nil {
			return err
		}
		row := &snap.Processes[0]
		if row.State == runtime.Missing && !st.waited {
			return fmt.Errorf("%w: %s", runtime.ErrNotListed, row.Message)
		}
		st.note(row, &p)
		// A unit that counts as active without a process would go on doing so.
		down := p.down() && !p.job && row.State != runtime.Unknown
		if down && len(st.alive()) == 0 {
			return nil
		}
		if !down && !st.ordered && p.active != "deactivating" {
			if done, err = st.m.give(ctx, st.scope, verbStop, st.unit); err != nil {
				return err
			}
			st.ordered = true
		}
		st.waited = true
		last = row.Raw
		t := time.NewTimer(poll)
		select {
		case result, ok := <-done:
			done = nil
			if ok && result != "done" {
				st.ordered = false // somebody else's order came in between; ours is given again
			}
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%w: %s is %s: %w", runtime.ErrBusy, st.unit, last, timeoutOr(ctx))
		}
		t.Stop()
	}
}

// note keeps who has to be gone: the main process, and, where the unit's own settings have systemd end them all, its others.
func (st *stopping) note(row *runtime.Process, p *properties) {
	if row.Alive() {
		st.main = row.Identity
		st.seen[row.Identity] = *row
	}
	if p.kill != "control-group" && p.kill != "mixed" {
		return
	}
	for _, id := range row.Members {
		other := *row
		other.PID, other.Identity, other.Members = id.PID, id, nil
		st.seen[id] = other
	}
}

// alive are those that still live, the main process first. What cannot be told counts as living: it is about to be reported,
// not killed.
func (st *stopping) alive() []runtime.Process {
	var left []runtime.Process
	for id, row := range st.seen {
		if alive, err := st.m.fs.Alive(id); alive || err != nil {
			left = append(left, row)
		}
	}
	slices.SortFunc(left, func(a, b runtime.Process) int {
		switch st.main {
		case a.Identity:
			return -1
		case b.Identity:
			return 1
		}
		return a.PID - b.PID
	})
	return left
}

// give gives one order.
func (m *Manager) give(ctx context.Context, s *scope, v verb, name string) (<-chan string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	b, _, err := m.open(ctx, s)
	if err != nil {
		return nil, err
	}
	done, err := b.order(ctx, v, name)
	if err != nil {
		if lost(ctx, err) {
			s.abandon(b)
		}
		return nil, m.remedy(s, name, m.failed(ctx, s, string(v)+" "+name, err))
	}
	return done, nil
}
