//go:build linux

package pm2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// startTimeout bounds a start whose context has no end.
const startTimeout = 60 * time.Second

// Start starts the application. See [runtime.Runtime].
//
// A daemon that is gone is brought back first (see revive.go), and what it brings with it is left alone if it runs.
//
// A row that PM2 lists is restarted as it stands, with the environment it has. PM2 refuses that while the row is being
// stopped or waits for its own restart, and loses the row's cron schedule over it; so the one is waited for, and the
// other stopped first. Where PM2 lists no such row, spec.runtime.pm2.start is handed to `pm2 start`.
func (m *Manager) Start(ctx context.Context, app *v1alpha1.App, since v1alpha1.Instant) (runtime.StartResult, error) {
	begin := time.Now()
	h, spec, err := m.open(app)
	if err != nil {
		return runtime.StartResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r, err := m.start(ctx, h, app, spec, since)
	r.Took = time.Since(begin)
	if err != nil && r.Message == "" {
		r.Message = err.Error()
	}
	return r, err
}

func (m *Manager) start(ctx context.Context, h *home, app *v1alpha1.App, spec *v1alpha1.PM2Runtime, since v1alpha1.Instant) (runtime.StartResult, error) {
	var last error
	started := map[string]bool{}
	waiting := "" // for what, as of the last look
	var back revived
	for poll := firstPoll; ; poll = min(2*poll, lastPoll) {
		snap, err := m.look(ctx, h, app)
		if errors.Is(err, runtime.ErrNoDaemon) && back.how == "" {
			if back, err = m.revive(ctx, h, app, spec); err == nil {
				continue
			}
		}
		switch {
		case err != nil && waiting != "" && over(ctx):
			// The time ran out in the middle of a question; what was waited for is what the caller wants to know.
			return runtime.StartResult{}, with(busy(ctx, waiting, last), err)
		case err != nil:
			return runtime.StartResult{}, with(err, last)
		}
		if len(snap.Processes) == 0 && back.expects() && runtime.Pause(ctx, poll) {
			continue
		}
		if len(snap.Processes) == 0 {
			r, err := m.create(ctx, h, app, spec, &snap)
			r.Message = back.with(r.Message)
			return r, err
		}
		waiting = ""
		for i := range snap.Processes {
			p := &snap.Processes[i]
			if started[p.ID] {
				continue
			}
			what := m.next(p, since)
			if what == "" {
				continue
			}
			if what == orderRestart && p.Unstartable {
				// PM2 7 answers with success, and leaves the row stopped.
				return runtime.StartResult{}, fmt.Errorf("%w: row %s has autostart off, and PM2 does not start such a row; "+
					"remove it and add it with autostart on", runtime.ErrRefused, p.ID)
			}
			if what != orderWait {
				last = m.give(ctx, h, spec, what, p.ID, &snap)
				if last == nil && what == orderRestart {
					started[p.ID] = true
					continue
				}
			}
			waiting = fmt.Sprintf("row %s is %q", p.ID, p.Raw)
			if p.Message != "" {
				waiting += " (" + p.Message + ")"
			}
		}
		switch {
		case waiting == "" && back.how != "" && len(started) == 0:
			r := runtime.StartResult{How: runtime.Revived, Message: back.how}
			for i := range snap.Processes {
				r.IDs = append(r.IDs, snap.Processes[i].ID)
			}
			return r, nil
		case waiting == "" && len(started) == 0:
			return runtime.StartResult{How: runtime.AlreadyRunning, Message: "it runs already"}, nil
		case waiting == "":
			r := runtime.StartResult{How: runtime.Restarted, IDs: keys(snap.Processes, started)}
			r.Message = back.with(fmt.Sprintf("PM2 was told to start %s (%s)", spec.Process, strings.Join(r.IDs, ", ")))
			return r, nil
		case errors.Is(last, runtime.ErrNoDaemon):
			// It has died under our hands; the next look brings it back.
		}
		if !runtime.Pause(ctx, poll) {
			return runtime.StartResult{IDs: keys(snap.Processes, started)}, busy(ctx, waiting, last)
		}
	}
}

// busy is what a start says whose time ran out while it waited; last is what PM2 answered to its last order, or nil.
func busy(ctx context.Context, waiting string, last error) error {
	return with(with(fmt.Errorf("%w: %s", runtime.ErrBusy, waiting), last), timeoutOr(ctx))
}

// orderWait is no order: the row's state will pass.
const orderWait order = "wait"

// next is what a row needs to be started; nothing if it runs.
func (m *Manager) next(p *runtime.Process, since v1alpha1.Instant) order {
	if m.taken(p) {
		return orderWait
	}
	switch p.State {
	case runtime.Running, runtime.Starting:
		boot, _ := m.fs.BootID()
		if young(p, since, boot) {
			return ""
		}
		return orderRestart
	case runtime.Stopped:
		return orderRestart
	case runtime.Errored:
		if p.Alive() { // PM2 could not kill it, and would refuse
			return orderWait
		}
		return orderRestart
	case runtime.Waiting:
		return orderStop
	default:
		return orderWait
	}
}

// young tells whether the row's process was born at or after since.
func young(p *runtime.Process, since v1alpha1.Instant, boot string) bool {
	if !since.IsZero() && p.Identity.PID == 0 {
		return !p.StartedAt.Before(since.Wall.Time)
	}
	return runtime.Young(p.Identity, since, boot)
}

func keys(rows []runtime.Process, in map[string]bool) []string {
	var ids []string
	for i := range rows {
		if in[rows[i].ID] {
			ids = append(ids, rows[i].ID)
		}
	}
	return ids
}

// create adds the application to PM2's list. It is the one place where a command runs that could start a daemon: should
// PM2's die in the third of a second between the look above and the command's own. What forbids that elsewhere (noSpawn)
// would be inherited by the application. It is noticed, and reported as [runtime.ErrNoDaemon].
func (m *Manager) create(ctx context.Context, h *home, app *v1alpha1.App, spec *v1alpha1.PM2Runtime, seen *runtime.Snapshot) (runtime.StartResult, error) {
	if spec.Start == "" {
		return runtime.StartResult{}, fmt.Errorf("%w: no row %q in %s, and spec.runtime.pm2.start does not say what to start",
			runtime.ErrNotListed, spec.Process, h.dir)
	}
	file := spec.Start
	if !filepath.IsAbs(file) {
		file = filepath.Join(app.Spec.Directory, file)
	}
	if _, err := os.Stat(file); err != nil {
		return runtime.StartResult{}, fmt.Errorf("spec.runtime.pm2.start: %w", err)
	}
	// A whole path, so that PM2 does not take the name of a script for the name of a process.
	args := []string{"start", file, "--name=" + spec.Process}
	if isConfig(file) {
		args[2] = "--only=" + spec.Process
		if strings.ContainsAny(spec.Process, ", ") {
			// PM2 would take it for several names, and start whatever is called like one of them.
			return runtime.StartResult{}, fmt.Errorf("%w: PM2 cannot pick %q out of %s, because of the blank or comma in its name",
				runtime.ErrRefused, spec.Process, spec.Start)
		}
	}
	if spec.Namespace != "" {
		args = append(args, "--namespace="+spec.Namespace)
	}
	if slices.ContainsFunc(seen.Others, func(p runtime.Process) bool { return p.Name == spec.Process }) {
		// PM2 goes by the name alone here, and would restart it.
		return runtime.StartResult{}, fmt.Errorf("%w: PM2 runs another %q, in another namespace, and would restart that; start it by hand",
			runtime.ErrRefused, spec.Process)
	}
	cmd := &command{m: m, home: h, spec: spec, daemon: seen.Daemon, dir: app.Spec.Directory, file: file}
	if _, err := cmd.exec(ctx, 64<<10, nil, args...); err != nil {
		if snap, lookErr := m.look(ctx, h, app); lookErr == nil && len(snap.Processes) > 0 {
			// PM2 refuses to add what somebody else has added since the look.
			return runtime.StartResult{How: runtime.AlreadyRunning, Message: "somebody else has just started it"}, nil
		}
		return runtime.StartResult{}, err
	}
	// For an ecosystem file without such an application PM2 does nothing, and its exit status is 0.
	snap, err := m.look(ctx, h, app)
	if err != nil {
		return runtime.StartResult{}, err
	}
	if len(snap.Processes) == 0 {
		return runtime.StartResult{}, fmt.Errorf("%w: pm2 start %s did not bring a row %q: does the file name it so?",
			runtime.ErrNotListed, file, spec.Process)
	}
	r := runtime.StartResult{How: runtime.Created, Message: "PM2 did not list it, and was given " + file + " to start"}
	for i := range snap.Processes {
		r.IDs = append(r.IDs, snap.Processes[i].ID)
	}
	return r, nil
}

// isConfig tells, as PM2 does, whether it takes a file for a description of applications: wherever in the name that stands.
func isConfig(file string) bool {
	for _, ext := range []string{".json", ".yml", ".yaml", ".config.js", ".config.cjs", ".config.mjs"} {
		if strings.Contains(file, ext) {
			return true
		}
	}
	return false
}
