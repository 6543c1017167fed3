//go:build linux

// Package fake is a runtime without processes, for the tests of whoever uses one. It keeps the contract of
// [runtime.Runtime], as runtimetest proves, and crashes, hangs and refuses when it is told to.
package fake

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// Runtime is the fake. It knows every App by its name, and keeps one process for each. A process that crashes is brought
// back at once, until KeepDown.
type Runtime struct {
	clock func() v1alpha1.Instant

	mu      sync.Mutex
	apps    map[string]*app
	pids    int
	refused error
}

var _ runtime.Runtime = (*Runtime)(nil)

type app struct {
	process  procfs.Identity // of the living process, or none
	started  bool            // ever
	stopped  bool            // by order
	down     bool            // it is not brought back
	stubborn bool
	hangs    bool
	restarts int64
	exits    []runtime.Exit
	changed  chan struct{}
}

// New makes a fake. clock tells the moment.
func New(clock func() v1alpha1.Instant) *Runtime {
	return &Runtime{clock: clock, apps: map[string]*app{}, pids: 1000}
}

// Crash ends an App's process as SIGKILL does, unasked. It tells whether there was one.
func (r *Runtime) Crash(name string) bool {
	r.mu.Lock()
	id := r.app(name).process
	r.mu.Unlock()
	return r.Signal(id, unix.SIGKILL)
}

// Hang lets an App's process go on without heeding anything, until it is killed.
func (r *Runtime) Hang(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.app(name).hangs = true
}

// Stubborn lets every process of an App ignore being asked to end.
func (r *Runtime) Stubborn(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.app(name).stubborn = true
}

// KeepDown lets an App's process stay away after its next crash, as if its manager had given up.
func (r *Runtime) KeepDown(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.app(name).down = true
}

// Refuse answers everything with an error from now on; nil ends that.
func (r *Runtime) Refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = err
}

// Signal sends a process a signal. It tells whether there is such a process.
func (r *Runtime) Signal(id procfs.Identity, sig unix.Signal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, a := range r.apps {
		if a.process != id || id.PID == 0 {
			continue
		}
		switch {
		case sig == unix.SIGSTOP:
			a.hangs = true
		case sig == unix.SIGCONT:
			a.hangs = false
		case sig == unix.SIGKILL, !a.stubborn && !a.hangs:
			r.exit(name, a, unix.SignalName(sig))
		}
		return true
	}
	return false
}

// Alive tells whether a process lives.
func (r *Runtime) Alive(id procfs.Identity) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.apps {
		if a.process == id && id.PID != 0 {
			return true
		}
	}
	return false
}

// Marked tells whether a process bears an App's mark: that is its name.
func (r *Runtime) Marked(id procfs.Identity, marks []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, mark := range marks {
		if a := r.apps[mark]; a != nil && a.process == id && id.PID != 0 {
			return true
		}
	}
	return false
}

func (r *Runtime) app(name string) *app {
	a := r.apps[name]
	if a == nil {
		a = &app{changed: make(chan struct{})}
		r.apps[name] = a
	}
	return a
}

func (r *Runtime) exit(name string, a *app, signal string) {
	e := runtime.Exit{At: r.clock().Wall.Time, ID: name, Signal: signal, Cause: runtime.CauseCrash}
	if a.stopped {
		e.Cause = runtime.CauseOrder
	}
	a.exits = append(a.exits, e)
	a.process, a.hangs = procfs.Identity{}, false
	close(a.changed)
	a.changed = make(chan struct{})
	if !a.stopped && !a.down {
		a.restarts++
		r.spawn(a)
	}
}

func (r *Runtime) spawn(a *app) {
	r.pids++
	a.process = procfs.Identity{PID: r.pids, StartTicks: uint64(r.clock().Boot.Duration / (10 * time.Millisecond))}
	a.started = true
}

// ask is what every question begins with.
func (r *Runtime) ask(ctx context.Context) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return runtime.ErrTimeout
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return r.refused
}

func (r *Runtime) row(name string, a *app) runtime.Process {
	row := runtime.Process{Name: name, ID: name, Mark: name, Home: "/fake", Restarts: a.restarts, Autorestart: true, Identity: a.process, PID: a.process.PID}
	switch {
	case a.process.PID != 0 && a.stopped:
		row.State = runtime.Stopping
	case a.process.PID != 0:
		row.State = runtime.Running
	case a.down && !a.stopped && a.started:
		row.State = runtime.Errored
	default:
		row.State = runtime.Stopped
	}
	row.Raw = string(row.State)
	return row
}

// Look tells how the App's process is. See [runtime.Runtime].
func (r *Runtime) Look(ctx context.Context, of *v1alpha1.App) (runtime.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := runtime.Snapshot{Via: "fake", Daemon: runtime.Daemon{Reachable: true, Home: "/fake", Badge: runtime.Badge{HomeVar: "FAKE_HOME", MarkVar: "FAKE_MARK", Home: "/fake"}}}
	if err := r.ask(ctx); err != nil {
		s.Daemon.Why = err.Error()
		return s, err
	}
	s.Processes = []runtime.Process{r.row(of.Name, r.app(of.Name))}
	for name, a := range r.apps {
		if name != of.Name {
			s.Others = append(s.Others, r.row(name, a))
		}
	}
	return s, nil
}

// Stop asks the App's process to end. See [runtime.Runtime].
func (r *Runtime) Stop(ctx context.Context, of *v1alpha1.App, timeout time.Duration) (runtime.StopResult, error) {
	r.mu.Lock()
	if err := r.ask(ctx); err != nil {
		r.mu.Unlock()
		return runtime.StopResult{Message: err.Error()}, err
	}
	a := r.app(of.Name)
	a.stopped = true
	id, changed := a.process, a.changed
	r.mu.Unlock()
	if id.PID == 0 {
		return runtime.StopResult{Already: true, Message: "it was stopped already"}, nil
	}
	if r.Signal(id, unix.SIGCONT); !r.Signal(id, unix.SIGTERM) || !r.Alive(id) {
		return runtime.StopResult{Message: "it has ended"}, nil
	}
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case <-changed:
		return runtime.StopResult{Message: "it has ended"}, nil
	case <-t.C:
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := fmt.Errorf("%w for %s: process %d", runtime.ErrStillAlive, timeout, id.PID)
	return runtime.StopResult{Alive: []runtime.Process{r.row(of.Name, a)}, Message: err.Error()}, err
}

// Start starts the App. See [runtime.Runtime].
func (r *Runtime) Start(ctx context.Context, of *v1alpha1.App, since v1alpha1.Instant) (runtime.StartResult, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ask(ctx); err != nil {
		return runtime.StartResult{Message: err.Error()}, err
	}
	a := r.app(of.Name)
	if a.process.PID != 0 && !a.stopped && runtime.Young(a.process, since, r.clock().BootID) {
		return runtime.StartResult{How: runtime.AlreadyRunning, Message: "it runs already"}, nil
	}
	how := runtime.Created
	if a.started {
		how = runtime.Restarted
	}
	if a.process.PID != 0 {
		a.stopped = true
		r.exit(of.Name, a, "SIGTERM")
	}
	a.stopped, a.down = false, false
	r.spawn(a)
	return runtime.StartResult{How: how, IDs: []string{of.Name}, Message: "it was started"}, nil
}

// Exits tells how the App's processes ended. See [runtime.Runtime].
func (r *Runtime) Exits(ctx context.Context, of *v1alpha1.App, since time.Time) (runtime.History, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ask(ctx); err != nil {
		return runtime.History{}, err
	}
	h := runtime.History{Complete: true}
	for _, e := range r.app(of.Name).exits {
		if !e.At.Before(since) {
			h.Exits = append(h.Exits, e)
		}
	}
	return h, nil
}
