package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/signals"
)

// stop stops the application through its runtime, gracefully, and kills what outlives the time given.
func (h *Hands) stop(ctx context.Context, app *v1alpha1.App, step pass.Step) outcome {
	h.evidence(ctx, app, step)
	snapshot, err := h.Runtime.Look(ctx, app)
	if err == nil {
		h.remember(app.Name, step.Recovery.ID, &snapshot)
	}
	limit := stopTimeout(app, step)
	result, err := h.Runtime.Stop(ctx, app, limit)
	switch {
	case errors.Is(err, runtime.ErrStillAlive):
		var ids []procfs.Identity
		for n := range result.Alive {
			ids = append(ids, result.Alive[n].Identity)
		}
		report := signals.Terminate(ctx, ids, unix.SIGKILL, 0)
		if !report.Ended() {
			return failed("it outlived %s and could not be killed: %v", limit, report.Err())
		}
		// The manager has to notice before it can be told to start.
		if _, err := h.Runtime.Stop(ctx, app, app.Spec.Recovery.StopTimeout.Duration); err != nil {
			return failed("it outlived %s and was killed, but its process manager does not take it for stopped: %v", limit, err)
		}
		return done("it outlived %s and was killed", limit)
	case errors.Is(err, runtime.ErrNoDaemon), errors.Is(err, runtime.ErrNotListed):
		return skipped("nothing to stop: %v", err)
	case err != nil:
		return failed("it could not be stopped: %v", err)
	case result.Already:
		return skipped("it was stopped already")
	}
	return done("%s", result.Message)
}

// family are the processes that were an application's when the stop of a recovery began; roots are those of its rows.
type family struct {
	recovery       string
	roots, members []procfs.Identity
}

// kin are the processes that were the application's when this recovery's stop began.
func (h *Hands) kin(app, recovery string) family {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.families[app]; f.recovery == recovery {
		return family{recovery: recovery, roots: slices.Clone(f.roots), members: slices.Clone(f.members)}
	}
	return family{}
}

// remember keeps who the application's processes are while descent still proves it.
func (h *Hands) remember(app, recovery string, snapshot *runtime.Snapshot) {
	procs, err := h.FS.Snapshot()
	if err != nil {
		return
	}
	var ids, roots []procfs.Identity
	for n := range snapshot.Processes {
		if row := &snapshot.Processes[n]; row.Alive() {
			roots = append(roots, row.Identity)
			for _, p := range row.Tree(&procs) {
				ids = append(ids, p.Identity)
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.families[app]
	if f.recovery != recovery {
		f = family{recovery: recovery}
	}
	f.roots, f.members = append(f.roots, roots...), append(f.members, ids...)
	if h.families == nil {
		h.families = map[string]family{}
	}
	h.families[app] = f
}

// linger ends the application's processes that are left over after the stop: those that descended from the runtime's
// process when the stop began, and those that bear the runtime's mark in the environment they were born with.
func (h *Hands) linger(ctx context.Context, app *v1alpha1.App, step pass.Step) outcome {
	left, refused, err := h.leftOver(ctx, app, step)
	if err != nil {
		return failed("%v", err)
	}
	if len(left) == 0 {
		if len(refused) > 0 {
			return skipped("left alone: %s", strings.Join(refused, ", "))
		}
		return skipped("none are left over")
	}
	return h.end(ctx, app, step, left, "left over")
}

func (h *Hands) end(ctx context.Context, app *v1alpha1.App, step pass.Step, list []procfs.Process, what string) outcome {
	var ids []procfs.Identity
	var names []string
	for _, p := range list {
		ids = append(ids, p.Identity)
		names = append(names, fmt.Sprintf("%s (pid %d)", p.Comm, p.PID))
	}
	report := signals.Terminate(ctx, ids, unix.SIGTERM, stopTimeout(app, step))
	var how []string
	for n, r := range report {
		how = append(how, fmt.Sprintf("%s: %s", names[n], r.Outcome))
	}
	if !report.Ended() {
		return failed("%s, and not all could be ended: %s", what, strings.Join(how, ", "))
	}
	return done("%s: %s", what, strings.Join(how, ", "))
}

// leftOver finds the processes that are proved to be the application's and are not its runtime's live ones. refused names
// those that have a proof and are left alone all the same, because they are on the list of what is never touched.
func (h *Hands) leftOver(ctx context.Context, app *v1alpha1.App, step pass.Step) (left []procfs.Process, refused []string, err error) {
	snapshot, err := h.Runtime.Look(ctx, app)
	// A manager that does not run has no live ones; but where it cannot be brought back either, it is as below.
	revivable := errors.Is(err, runtime.ErrNoDaemon) && snapshot.Daemon.Revival.How != ""
	if err != nil && !errors.Is(err, runtime.ErrNotListed) && !revivable {
		// Who lives by right cannot be told now, and without its manager nothing could be started in the place of what is
		// ended: perhaps it is the only copy that still serves.
		return nil, nil, fmt.Errorf("nothing is ended without the process manager's word: %w", err)
	}
	procs, err := h.FS.Snapshot()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the machine's processes: %w", err)
	}
	guard := h.guard(app, &snapshot, &procs)
	kin := h.kin(app.Name, step.Recovery.ID)
	guard.own.roots, guard.own.holders = kin.roots, portHolders(ctx, h.FS, app.Spec.Port)
	badge := snapshot.Daemon.Badge
	marks := checks.Marks(app, &step.Learned, &snapshot)
	for _, p := range procs.Processes {
		if !p.Alive() || p.Kernel {
			continue
		}
		if !slices.Contains(kin.members, p.Identity) && !badge.On(h.FS, p.Identity, marks) {
			continue
		}
		if why := guard.forbids(p); why != "" {
			if why != guardLive {
				refused = append(refused, fmt.Sprintf("%s (pid %d, %s)", p.Comm, p.PID, why))
			}
			continue
		}
		left = append(left, p)
	}
	return left, refused, nil
}

// port frees the application's port from an orphan of the application itself. A stranger is named and left alone.
func (h *Hands) port(ctx context.Context, app *v1alpha1.App, step pass.Step) outcome {
	wait := pace.New(50*time.Millisecond, 500*time.Millisecond, 2)
	// The kernel may take a moment to let go of a port whose holder has just ended.
	for try := 0; ; try++ {
		owners, err := listeners.Owners(ctx, h.FS, uint16(app.Spec.Port))
		if err != nil {
			return failed("the kernel could not be asked who listens: %v", err)
		}
		if len(owners) == 0 {
			return done("port %d is free", app.Spec.Port)
		}
		if try < 6 {
			if !runtime.Pause(ctx, wait.Next()) {
				return failed("ran out of time")
			}
			continue
		}
		return h.freePort(ctx, app, step, owners)
	}
}

func (h *Hands) freePort(ctx context.Context, app *v1alpha1.App, step pass.Step, owners []listeners.Owner) outcome {
	left, _, err := h.leftOver(ctx, app, step)
	if err != nil {
		return failed("port %d is held: %v", app.Spec.Port, err)
	}
	snapshot, err := h.Runtime.Look(ctx, app)
	if err != nil {
		return failed("port %d is held, and it cannot be told by whom: %v", app.Spec.Port, err)
	}
	var orphans []procfs.Process
	var others []string
	for _, o := range owners {
		if o.Known && o.Process.PID == snapshot.Daemon.PID && clustered(&snapshot) {
			continue // it lets go, or hands the port on to the workers that come
		}
		n := slices.IndexFunc(left, func(p procfs.Process) bool { return o.Known && p.Identity == o.Process })
		switch {
		case n >= 0:
			orphans = append(orphans, left[n])
		case o.Known:
			others = append(others, fmt.Sprintf("pid %d of user %s (%s)", o.Process.PID, o.User, o.Comm))
		default:
			others = append(others, "a process that this user may not see")
		}
	}
	if len(orphans)+len(others) == 0 {
		return skipped("PM2 itself still listens on port %d for its cluster; it is left alone", app.Spec.Port)
	}
	if len(orphans) > 0 {
		return h.end(ctx, app, step, orphans, fmt.Sprintf("held port %d", app.Spec.Port))
	}
	return failed("port %d is held by %s, which is not the application's and is left alone", app.Spec.Port, strings.Join(others, ", "))
}

// clustered tells whether PM2's daemon listens for the application: it is a cluster.
func clustered(s *runtime.Snapshot) bool {
	return slices.ContainsFunc(s.Processes, func(p runtime.Process) bool { return p.Cluster })
}

// Why the guard forbids.
const (
	guardLive   = "it is the runtime's live process"
	guardDaemon = "it is the process manager"
	guardRival  = "another PM2 daemon runs it"
	guardAbove  = "the application descends from it"
	guardDeploy = "it is a build or a deploy, or a part of one"
	guardOther  = "it is another application's"
	guardEditor = "it is an editor or a terminal, or runs in one"
)

// guard is the list of what is never touched. It wins over every proof.
type guard struct {
	fs        procfs.FS
	procs     *procfs.Snapshot
	forbid    map[int]string
	own       ownWay
	deploying map[int]bool // whether a process is a deploy at work, as far as that was asked
}

func (h *Hands) guard(app *v1alpha1.App, snapshot *runtime.Snapshot, procs *procfs.Snapshot) *guard {
	g := &guard{fs: h.FS, procs: procs, forbid: map[int]string{}, deploying: map[int]bool{}}
	for n := range snapshot.Others {
		if other := &snapshot.Others[n]; other.Alive() {
			for _, p := range procs.Tree(other.PID) {
				g.forbid[p.PID] = guardOther
			}
		}
	}
	for _, daemon := range procs.Processes {
		if app.Spec.Runtime.PM2 == nil || daemon.PID == snapshot.Daemon.PID || !daemon.Alive() || !strings.HasPrefix(daemon.Comm, "PM2 v") {
			continue
		}
		for _, p := range procs.Tree(daemon.PID) { // it would be brought back at once
			g.forbid[p.PID] = guardRival
		}
	}
	for n := range snapshot.Processes {
		if row := &snapshot.Processes[n]; row.Alive() {
			for _, p := range row.Tree(procs) {
				g.forbid[p.PID] = guardLive
			}
			for _, p := range procs.Ancestors(row.PID) {
				g.forbid[p.PID] = guardAbove
			}
		}
	}
	if pid := snapshot.Daemon.PID; pid != 0 {
		g.forbid[pid] = guardDaemon
		for _, p := range procs.Ancestors(pid) {
			g.forbid[p.PID] = guardAbove
		}
	}
	return g
}

func (g *guard) forbids(p procfs.Process) string {
	if why := g.forbid[p.PID]; why != "" {
		return why
	}
	// A daemon of any PM2 bears this name, whoever started it and whatever its environment says.
	if strings.HasPrefix(p.Comm, "PM2 v") {
		return guardDaemon
	}
	if args, err := g.fs.Cmdline(p.Identity); err == nil {
		if len(args) > 0 && strings.HasPrefix(args[0], "PM2 v") {
			return guardDaemon
		}
	}
	if g.inDeploy(p) {
		return guardDeploy
	}
	if g.inEditor(p) {
		return guardEditor
	}
	return ""
}
