//go:build linux

package systemd

import (
	"context"
	"fmt"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

const (
	// startTimeout bounds a start whose context has no end.
	startTimeout = 60 * time.Second
	// comingUp is how long a unit that has a process, and has not said yet that it is ready, is waited for: the order was taken.
	comingUp = time.Second
)

// Start starts the unit. See [runtime.Runtime].
//
// The order is systemd's restart, which starts what is down, and stops what runs before it starts it. A unit that systemd has
// given up on is reset first: it would be refused.
func (m *Manager) Start(ctx context.Context, app *v1alpha1.App, since v1alpha1.Instant) (runtime.StartResult, error) {
	began := time.Now()
	s, name, err := m.target(app)
	if err != nil {
		return runtime.StartResult{Message: err.Error()}, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	u := s.unit(name)
	if err := take(ctx, u.ordering); err != nil {
		err = fmt.Errorf("%w: waiting for another order to %s", err, name)
		return runtime.StartResult{Message: err.Error()}, err
	}
	defer func() {
		s.changed()
		<-u.ordering
	}()
	r, err := (&starting{m: m, scope: s, unit: name, since: since}).run(ctx)
	r.Took = time.Since(began)
	if err != nil {
		r.Message = err.Error()
	}
	return r, err
}

// starting is one run of Start.
type starting struct {
	m     *Manager
	scope *scope
	unit  string
	since v1alpha1.Instant

	again bool // the first order came to nothing
	reset bool // its failures were reset
}

func (st *starting) run(ctx context.Context) (runtime.StartResult, error) {
	for {
		snap, p, err := st.m.look(ctx, st.scope, st.unit)
		if err != nil {
			return runtime.StartResult{}, err
		}
		row := snap.Processes[0]
		switch {
		case row.State == runtime.Missing:
			return runtime.StartResult{}, fmt.Errorf("%w: %s", runtime.ErrNotListed, row.Message)
		case (row.State == runtime.Running || row.State == runtime.Starting) && st.young(&row):
			return runtime.StartResult{How: runtime.AlreadyRunning, Message: "it runs already"}, nil
		case p.givenUp() || st.again:
			if err := st.resetFailed(ctx); err != nil {
				return runtime.StartResult{}, err
			}
		}
		done, err := st.m.give(ctx, st.scope, verbRestart, st.unit)
		if err != nil {
			return runtime.StartResult{}, err
		}
		again, err := st.wait(ctx, done, &row)
		if err != nil {
			return runtime.StartResult{}, err
		}
		if st.again = again; again {
			continue
		}
		text := "systemd was told to start " + st.unit
		if st.reset {
			text += ", after its failures were reset: it would not be started otherwise"
		}
		return runtime.StartResult{How: runtime.Restarted, IDs: []string{st.unit}, Message: text}, nil
	}
}

// young tells whether the unit's process was born at or after since.
func (st *starting) young(row *runtime.Process) bool {
	if st.since.IsZero() {
		return true
	}
	if !row.Alive() { // it may not be looked at
		return !row.StartedAt.Before(st.since.Wall.Time)
	}
	boot, _ := st.m.fs.BootID()
	return runtime.Young(row.Identity, st.since, boot)
}

func (st *starting) resetFailed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	b, _, err := st.m.open(ctx, st.scope)
	if err != nil {
		return err
	}
	if err := b.resetFailed(ctx, st.unit); err != nil {
		return st.m.remedy(st.scope, st.unit, st.m.failed(ctx, st.scope, "reset the failures of "+st.unit, err))
	}
	st.reset = true
	return nil
}

// wait waits until systemd has carried out the order, or has a new process of the unit that takes its time to be ready. It says
// whether the order is to be given again.
func (st *starting) wait(ctx context.Context, done <-chan string, before *runtime.Process) (again bool, err error) {
	result := ""
	born := time.Time{}
	for poll := firstPoll; ; poll = min(2*poll, lastPoll) {
		snap, p, err := st.m.look(ctx, st.scope, st.unit)
		if err != nil {
			return false, err
		}
		row := &snap.Processes[0]
		fresh := row.Alive() && row.Identity != before.Identity
		if fresh && born.IsZero() {
			born = time.Now()
		}
		switch {
		case result == "done", row.State == runtime.Running && fresh:
			return false, nil
		case row.State == runtime.Starting && fresh && time.Since(born) > comingUp:
			return false, nil
		case result == "":
		case p.active == "failed" && !st.reset:
			return true, nil // it may be started too often only now, which its result need not say
		case row.State == runtime.Waiting:
			return false, nil // it has ended at once, and systemd brings it back by itself
		default:
			return false, fmt.Errorf("%w: the start of %s ended with %q; it is %s, with the result %s; see: %s",
				runtime.ErrRefused, st.unit, result, row.Raw, p.result, journal(st.scope.user, st.unit))
		}
		t := time.NewTimer(poll)
		select {
		case result = <-done:
			done = nil
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return false, fmt.Errorf("%w: %s is %s: %w", runtime.ErrBusy, st.unit, row.Raw, timeoutOr(ctx))
		}
		t.Stop()
	}
}

// journal is the command that shows what a unit has said.
func journal(user bool, unit string) string {
	if user {
		return "journalctl --user -n 50 -u " + unit
	}
	return "journalctl -n 50 -u " + unit
}
