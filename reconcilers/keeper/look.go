//go:build linux

package keeper

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

var errNotExec = errors.New("spec.runtime.exec is not set")

// Look tells how the App's process is. There is always one row, named like the App. See [runtime.Runtime].
func (k *Keeper) Look(ctx context.Context, app *v1alpha1.App) (runtime.Snapshot, error) {
	s := runtime.Snapshot{Via: "kernel", Daemon: k.daemon()}
	switch {
	case app.Spec.Runtime.Exec == nil:
		return s, errNotExec
	case ctx.Err() != nil:
		return s, timeoutOr(ctx)
	}
	w := k.known(app.Name)
	var row runtime.Process
	var err error
	if w == nil {
		row, err = k.glance(app)
	} else {
		row, err = w.look(ctx, app)
		s.Daemon.PID, s.Daemon.Identity = self()
	}
	if err != nil {
		s.Daemon.Why = err.Error()
		return s, err
	}
	s.Processes = []runtime.Process{row}
	for _, other := range k.others(app.Name) {
		if row, err := other.beside(ctx); err == nil {
			s.Others = append(s.Others, row)
		}
	}
	return s, nil
}

// daemon is the manager: evenkeel itself.
func (k *Keeper) daemon() runtime.Daemon {
	return runtime.Daemon{
		Reachable: true, Home: k.dir, UID: uint32(geteuid()),
		Badge: runtime.Badge{HomeVar: varHome, MarkVar: varApp, Home: k.dir},
	}
}

// glance looks at an App that is not kept by this process: it changes nothing.
func (k *Keeper) glance(app *v1alpha1.App) (runtime.Process, error) {
	rec, _ := readRecord(k.dir, app.Name) // without it the mark alone counts
	b, found, err := k.find(&rec, k.boot())
	if err != nil {
		return runtime.Process{}, err
	}
	row := k.row(app, &rec)
	if found {
		k.alive(&row, b.Identity)
		return row, nil
	}
	row.State, row.Raw = runtime.Stopped, "not running"
	return row, nil
}

// look is the ward's row. app is what the caller goes by; nil means the newest that is known.
func (w *ward) look(ctx context.Context, app *v1alpha1.App) (runtime.Process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.update(ctx); err != nil {
		return runtime.Process{}, err
	}
	if app == nil {
		if app = w.app; app == nil {
			return runtime.Process{}, errNotExec
		}
	}
	row := w.k.row(app, &w.rec)
	if w.life != nil {
		if alive, err := w.k.fs.Alive(w.life.Process); err != nil || alive {
			w.k.alive(&row, w.life.Process)
			if w.life.Ending != "" {
				row.State, row.Raw = runtime.Stopping, "stopping"
			}
			return row, nil
		}
		// It has ended a moment ago, and what follows from it is under way.
		row.State, row.Raw = runtime.Waiting, "ended a moment ago"
		return row, nil
	}
	forbidden := ""
	if w.app != nil {
		forbidden = forbids(w.app, w.k.clock())
	}
	switch {
	case w.rec.Stopped:
		row.State, row.Raw = runtime.Stopped, "stopped"
	case w.app == nil:
		row.State, row.Raw = runtime.Stopped, "not running"
	case forbidden != "":
		row.State, row.Raw = runtime.Stopped, "not running"
		row.Message = "it is not started again: " + forbidden
	default:
		row.State, row.Raw, row.BackoffNow = runtime.Waiting, "to be started", w.wait
		if left := w.due - w.k.sinceBoot(); left > 0 {
			row.Raw = fmt.Sprintf("to be started in %s", left.Round(100*time.Millisecond))
		}
	}
	if w.trouble != "" {
		row.Message = w.trouble
	}
	return row, nil
}

// show makes known which process is the ward's.
func (w *ward) show() {
	row := &runtime.Process{
		Name: w.name, ID: w.name, Mark: w.name, Home: w.k.dir, ExecMode: "exec", Autorestart: true, State: runtime.Stopped, Raw: "not running",
	}
	if w.life != nil {
		w.k.alive(row, w.life.Process)
	}
	w.shown.Store(row)
}

// beside is the ward's row for those who look at another App. Of a hundred Apps, each would ask the kernel for all others at
// every look, and wait for what is under way with each of them: so it is told which process the ward has, as last seen.
func (w *ward) beside(ctx context.Context) (runtime.Process, error) {
	if row := w.shown.Load(); row != nil {
		return *row, nil
	}
	return w.look(ctx, nil)
}

// row is what is said of an App whether it runs or not.
func (k *Keeper) row(app *v1alpha1.App, rec *record) runtime.Process {
	spec := app.Spec.Runtime.Exec
	row := runtime.Process{
		Name: app.Name, ID: app.Name, Mark: app.Name, Home: k.dir, ExecMode: "exec", Autorestart: true,
		Restarts: max(rec.Starts-1, 0), StopTimeout: app.Spec.Recovery.StopTimeout.Duration,
		Script: spec.Command[0], Args: spec.Command[1:], Cwd: app.Spec.Directory,
		OutLog: k.Output(app.Name), ErrLog: k.Output(app.Name),
	}
	if n := len(rec.Exits); n > 0 && rec.Exits[n-1].Known && rec.Exits[n-1].Signal == "" {
		code := rec.Exits[n-1].Code
		row.ExitCode = &code
	}
	return row
}

// alive says that the row's process is alive.
func (k *Keeper) alive(row *runtime.Process, id procfs.Identity) {
	now := k.clock()
	row.State, row.Raw, row.PID, row.Identity = runtime.Running, "running", id.PID, id
	row.StartedAt = now.Wall.Add(id.StartedAt() - now.Boot.Duration)
}

// Exits tells from the record how the App's processes ended. Nobody but evenkeel itself stops a process through the keeper,
// so there is no LastStop. See [runtime.Runtime].
func (k *Keeper) Exits(ctx context.Context, app *v1alpha1.App, since time.Time) (runtime.History, error) {
	if err := ctx.Err(); err != nil {
		return runtime.History{}, err
	}
	var rec record
	if w := k.known(app.Name); w != nil {
		w.mu.Lock()
		if err := w.update(ctx); err != nil {
			w.mu.Unlock()
			return runtime.History{}, err
		}
		rec = w.rec
		w.mu.Unlock()
	} else {
		var err error
		if rec, err = readRecord(k.dir, app.Name); err != nil {
			return runtime.History{}, err
		}
	}
	h := runtime.History{Complete: !rec.Dropped || rec.Exits[0].At.Before(since)}
	for _, e := range rec.Exits {
		if e.At.Before(since) {
			continue
		}
		one := runtime.Exit{At: e.At, ID: app.Name, Code: e.Code, Signal: e.Signal, Cause: e.Cause}
		if !e.Known {
			one.Code = -1
		}
		h.Exits = append(h.Exits, one)
	}
	return h, nil
}
