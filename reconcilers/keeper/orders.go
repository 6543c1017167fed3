//go:build linux

package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/signals"
)

func geteuid() int { return os.Geteuid() }

// self is this process.
func self() (int, procfs.Identity) {
	p, err := procfs.Default().Process(os.Getpid())
	if err != nil {
		return os.Getpid(), procfs.Identity{}
	}
	return p.PID, p.Identity
}

// order prepares an order for an App: its ward, with the token taken and the process looked for.
func (k *Keeper) order(ctx context.Context, app *v1alpha1.App) (*ward, error) {
	if app.Spec.Runtime.Exec == nil {
		return nil, errNotExec
	}
	w := k.ward(app.Name)
	if err := w.take(ctx); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.update(ctx); err != nil {
		<-w.ordering
		return nil, err
	}
	return w, nil
}

// Stop asks the process, and all that descend from it, to end (SIGTERM), and calls off what start is planned. See
// [runtime.Runtime].
func (k *Keeper) Stop(ctx context.Context, app *v1alpha1.App, timeout time.Duration) (runtime.StopResult, error) {
	begun := time.Now()
	w, err := k.order(ctx, app)
	if err != nil {
		return runtime.StopResult{Message: err.Error()}, err
	}
	defer func() { <-w.ordering }()
	r, err := w.stop(ctx, app, timeout)
	r.Took = time.Since(begun)
	return r, err
}

func (w *ward) stop(ctx context.Context, app *v1alpha1.App, timeout time.Duration) (runtime.StopResult, error) {
	w.mu.Lock()
	l := w.life
	wasStopped := w.rec.Stopped
	w.callOff()
	w.rec.Stopped = true
	if l != nil {
		l.Ending = runtime.CauseOrder
	}
	w.save()
	w.mu.Unlock()
	if l == nil {
		if wasStopped {
			return runtime.StopResult{Already: true, Message: "it was stopped already"}, nil
		}
		return runtime.StopResult{Already: true, Message: "it did not run, and will not be started again by itself"}, nil
	}
	left, err := w.ask(ctx, l, timeout)
	if err != nil {
		return runtime.StopResult{Message: err.Error()}, err
	}
	if len(left) == 0 {
		return runtime.StopResult{Message: fmt.Sprintf("process %d has ended", l.Process.PID)}, nil
	}
	r := runtime.StopResult{}
	pids := make([]string, len(left))
	for n, p := range left {
		row := w.k.row(app, &record{})
		row.State, row.Raw, row.PID, row.Identity = runtime.Stopping, "stopping", p.PID, p.Identity
		r.Alive = append(r.Alive, row)
		pids[n] = fmt.Sprint(p.PID)
	}
	err = fmt.Errorf("%w for %s: process %s", runtime.ErrStillAlive, timeout, strings.Join(pids, ", "))
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, timeoutOr(ctx))
	}
	r.Message = err.Error()
	return r, err
}

// ask asks a life's whole tree to end, and waits for it. It gives those that are left.
func (w *ward) ask(ctx context.Context, l *life, timeout time.Duration) ([]procfs.Process, error) {
	tree := w.k.tree(l.Process)
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var errs []error
	for _, p := range tree {
		err := signals.Send(bounded, p.Identity, unix.SIGTERM)
		if err == nil && p.State == procfs.Stopped { // it cannot heed it as it stands
			err = signals.Send(bounded, p.Identity, unix.SIGCONT)
		}
		if err != nil && !errors.Is(err, signals.ErrGone) && bounded.Err() == nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("it could not be asked to end: %w", errors.Join(errs...))
	}
	select { // its end has to be noted too
	case <-l.ended:
	case <-bounded.Done():
	case <-w.ctx.Done():
		return nil, w.ctx.Err()
	}
	var left []procfs.Process
	for _, p := range tree {
		if err := signals.Wait(bounded, p.Identity); err == nil {
			continue
		}
		if alive, err := w.k.fs.Alive(p.Identity); err != nil || alive {
			left = append(left, p)
		}
	}
	return left, nil
}

// Start makes a process where there is none, or one that is older than since. See [runtime.Runtime].
func (k *Keeper) Start(ctx context.Context, app *v1alpha1.App, since v1alpha1.Instant) (runtime.StartResult, error) {
	begun := time.Now()
	w, err := k.order(ctx, app)
	if err != nil {
		return runtime.StartResult{Message: err.Error()}, err
	}
	defer func() { <-w.ordering }()
	r, err := w.startOrdered(ctx, app, since)
	if err != nil {
		r.Message = err.Error()
	}
	r.Took = time.Since(begun)
	return r, err
}

func (w *ward) startOrdered(ctx context.Context, app *v1alpha1.App, since v1alpha1.Instant) (runtime.StartResult, error) {
	w.mu.Lock()
	l, stopped := w.life, w.rec.Stopped
	w.mu.Unlock()
	if l != nil {
		// One that was told to end, and has not, must do so before another can take its place.
		if alive, err := w.k.fs.Alive(l.Process); err == nil && alive && !stopped && runtime.Young(l.Process, since, w.k.boot()) {
			return runtime.StartResult{How: runtime.AlreadyRunning, Message: "it runs already"}, nil
		}
		if err := w.replace(ctx, l, app.Spec.Recovery.StopTimeout.Duration); err != nil {
			return runtime.StartResult{}, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return runtime.StartResult{}, timeoutOr(ctx)
	}
	if w.life != nil { // it was brought back a moment ago
		return runtime.StartResult{How: runtime.AlreadyRunning, Message: "it runs already"}, nil
	}
	how := runtime.Restarted
	if !w.rec.Known {
		how = runtime.Created
	}
	w.callOff()
	w.waits.reset()
	w.app = app
	if err := w.start(); err != nil {
		return runtime.StartResult{}, err
	}
	return runtime.StartResult{How: how, IDs: []string{w.name}, Message: fmt.Sprintf("process %d was started", w.life.Process.PID)}, nil
}

// replace ends a life in whose place another is to come: gracefully, and then by force.
func (w *ward) replace(ctx context.Context, l *life, grace time.Duration) error {
	w.mu.Lock()
	if w.life == l && l.Ending == "" {
		l.Ending = runtime.CauseOrder
		w.rec.Stopped = true // so that it is not brought back in between
		w.save()
	}
	w.mu.Unlock()
	var ids []procfs.Identity
	for _, p := range w.k.tree(l.Process) {
		ids = append(ids, p.Identity)
	}
	if report := signals.Terminate(ctx, ids, unix.SIGTERM, grace); !report.Ended() {
		return fmt.Errorf("%w: %w", runtime.ErrStillAlive, report.Err())
	}
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", runtime.ErrBusy, timeoutOr(ctx))
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// shutdown ends the process because everything goes down; the next evenkeel starts it again.
func (w *ward) shutdown(ctx context.Context) error {
	w.mu.Lock()
	w.callOff()
	l, app := w.life, w.app
	if l != nil {
		l.Ending = runtime.CauseDaemon
		w.save()
	}
	w.down = true
	w.mu.Unlock()
	if l == nil {
		return nil
	}
	var ids []procfs.Identity
	for _, p := range w.k.tree(l.Process) {
		ids = append(ids, p.Identity)
	}
	grace := time.Duration(0)
	if app != nil {
		grace = app.Spec.Recovery.StopTimeout.Duration
	}
	report := signals.Terminate(ctx, ids, unix.SIGTERM, grace)
	if !report.Ended() {
		return report.Err()
	}
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return timeoutOr(ctx)
	}
}
