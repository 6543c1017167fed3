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
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// A daemon that is gone is brought back by its own service, if it has one and we may start it; else by `pm2 resurrect`, or
// by any command where nothing usable was saved. Where we run in a service ourselves, that command gets a unit of its own.

// revival is how the daemon of a home could be brought back.
type revival struct {
	unit  string // PM2's own service
	uid   uint32 // whose home it is
	saved dump   // what would come back
	apart []string
	marks []string
	how   string
	why   string // not, if it cannot be done
}

func (r revival) tell() runtime.Revival {
	return runtime.Revival{How: r.how, Why: r.why, Marks: r.marks}
}

// plan looks for a way to bring the daemon back. It changes nothing, and runs nothing.
func (m *Manager) plan(ctx context.Context, h *home, spec *v1alpha1.PM2Runtime) revival {
	var r revival
	st, err := os.Stat(h.dir)
	if err != nil {
		r.why = fmt.Sprintf("PM2_HOME cannot be looked into (is it the right one?): %v", err)
		return r
	}
	if owner, ok := st.Sys().(*syscall.Stat_t); ok {
		r.uid = owner.Uid
	}
	saved, savedErr := readDump(h.dir)
	r.saved = saved
	ours := saved.of(spec.Process)
	for _, a := range ours {
		if a.UniqueID != "" {
			r.marks = append(r.marks, string(a.UniqueID))
		}
	}
	living, err := m.living(h.dir)
	r.unit = m.system.unitOf(h.dir)
	if h.refused.Load() && os.Geteuid() != 0 {
		r.unit = ""
	}
	var apartErr error
	service := m.system.service()
	if service != "" {
		r.apart, apartErr = m.system.apart(r.uid)
	}
	switch {
	case err != nil:
		r.why = fmt.Sprintf("it cannot be told whether a PM2 daemon lives: %v", err)
	case len(living) > 0:
		r.why = fmt.Sprintf("PM2's daemon lives (pid %d), but its socket is gone; a second one beside it would run everything twice. "+
			"End it by hand: kill %d", living[0].PID, living[0].PID)
	case os.Geteuid() != 0 && int(r.uid) != os.Geteuid():
		r.why = fmt.Sprintf("%s belongs to user %d, and evenkeel runs as user %d", h.dir, r.uid, os.Geteuid())
	case len(ours) == 0 && spec.Start == "" && savedErr != nil:
		r.why = fmt.Sprintf("%v, and spec.runtime.pm2.start does not say what to start", savedErr)
	case len(ours) == 0 && spec.Start == "":
		r.why = fmt.Sprintf("%s does not hold %q, and spec.runtime.pm2.start does not say what to start", saved.file, spec.Process)
	case apartErr != nil && r.unit == "":
		r.why = fmt.Sprintf("evenkeel runs in %s, and a PM2 that is started from there would end with it; %v", service, apartErr)
	default:
		r.how = r.words(spec, len(ours) > 0)
	}
	if r.how == "" || r.unit != "" {
		return r
	}
	// Who finds no pm2 must not end what the dead daemon has left to serve, in order to put another one in its place.
	cmd := m.reviver(ctx, h, spec, &r)
	if _, err := cmd.program(cmd.environment()); err != nil {
		r.how, r.why = "", err.Error()
	}
	return r
}

// reviver is the command that brings a daemon back.
func (m *Manager) reviver(ctx context.Context, h *home, spec *v1alpha1.PM2Runtime, r *revival) *command {
	return &command{
		m: m, home: h, spec: spec, daemon: runtime.Daemon{Home: h.dir, UID: r.uid},
		revives: true, like: m.lastManners(ctx, h, r), apart: r.apart,
	}
}

// words says how, in a few words.
func (r *revival) words(spec *v1alpha1.PM2Runtime, saved bool) string {
	switch {
	case r.unit != "":
		return "systemctl start " + r.unit
	case saved:
		return "pm2 resurrect"
	case len(r.saved.apps) > 0:
		return "pm2 resurrect, then pm2 start " + spec.Start
	}
	return "pm2 start " + spec.Start
}

// living are the daemons of a home, by the name that PM2 gives them. One in a container has another home, however it is called.
func (m *Manager) living(dir string) ([]procfs.Process, error) {
	all, err := m.fs.Processes()
	if err != nil {
		return nil, err
	}
	var found []procfs.Process
	for _, p := range all {
		if !p.Alive() || !strings.HasPrefix(p.Comm, "PM2 v") {
			continue
		}
		args, err := m.fs.Cmdline(p.Identity)
		if err != nil {
			continue
		}
		_, rest, named := strings.Cut(strings.Join(args, " "), "God Daemon (")
		home, _, _ := strings.Cut(strings.TrimRight(rest, " \x00"), ")")
		if named && sameFolder(home, dir) && !m.contained(p.Identity) {
			found = append(found, p)
		}
	}
	return found, nil
}

func (m *Manager) contained(id procfs.Identity) bool {
	is, err := m.fs.Contained(id)
	return err == nil && is
}

func sameFolder(a, b string) bool {
	if filepath.Clean(a) == b {
		return true
	}
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}

// backWithin bounds the wait for a daemon that somebody is starting.
const backWithin = 15 * time.Second

// revived is how a daemon was brought back.
type revived struct {
	how string // in words; empty where it was not
	// saved says that the application is among what was saved, and is on its way into the list, for at most listWithin.
	saved bool
	at    time.Time
}

// listWithin bounds the wait until what was saved is listed: a daemon takes calls before it has its list.
const listWithin = 5 * time.Second

// expects says that the application will be listed yet.
func (r *revived) expects() bool { return r.saved && time.Since(r.at) < listWithin }

// with puts how the daemon was brought back before what else was done.
func (r *revived) with(message string) string {
	if r.how == "" {
		return message
	}
	return r.how + "; " + message
}

// revive brings the daemon of a home back, and tells how. One at a time for each home, among all evenkeels: four commands
// at once have made four daemons.
func (m *Manager) revive(ctx context.Context, h *home, app *v1alpha1.App, spec *v1alpha1.PM2Runtime) (revived, error) {
	if r := m.plan(ctx, h, spec); r.how == "" {
		return revived{}, notRevived(&r)
	}
	unlock, err := lockHome(ctx, h.dir)
	if err != nil {
		return revived{}, err
	}
	defer unlock()
	r := m.plan(ctx, h, spec)
	done := revived{how: "PM2's daemon is back", saved: len(r.saved.of(spec.Process)) > 0}
	if m.isThere(ctx, h) {
		done.at = time.Now()
		return done, nil
	}
	if r.how == "" {
		return revived{}, notRevived(&r)
	}
	done.how, err = m.byUnit(ctx, h, &r)
	if done.how == "" && err == nil {
		done.how, err = m.byCommand(ctx, h, app, spec, &r)
	}
	if err != nil {
		return revived{}, err
	}
	if odd := m.inspect(h); odd != "" {
		done.how += "; but " + odd
	}
	done.at = time.Now()
	return done, nil
}

func notRevived(r *revival) error {
	return fmt.Errorf("%w, and is not brought back: %s", runtime.ErrNoDaemon, r.why)
}

// isThere tells whether a daemon takes calls.
func (m *Manager) isThere(ctx context.Context, h *home) bool {
	c, _, err := dial(ctx, m.fs, h.dir)
	if err != nil {
		return false
	}
	c.close()
	return true
}

// byUnit has PM2's own service started. It gives nothing where there is none, or where that could not be done and
// something else may be tried: while the service manager is at work on it, nothing else is.
func (m *Manager) byUnit(ctx context.Context, h *home, r *revival) (string, error) {
	if r.unit == "" {
		return "", nil
	}
	failed := m.system.startUnit(ctx, r.unit)
	if errors.Is(failed, errNotAllowed) {
		h.refused.Store(true)
	}
	if failed == nil || errors.Is(failed, runtime.ErrTimeout) || m.system.unitIsAtWork(ctx, r.unit) {
		if m.comesBack(ctx, h) {
			return "PM2's daemon was brought back by its own service, " + r.unit, nil
		}
		return "", with(fmt.Errorf("%w: %s was started, and no daemon takes calls in %s", runtime.ErrNoDaemon, r.unit, h.dir), failed)
	}
	if m.system.service() != "" && len(r.apart) == 0 {
		return "", with(runtime.ErrNoDaemon, failed)
	}
	return "", nil
}

func (m *Manager) comesBack(ctx context.Context, h *home) bool {
	ctx, cancel := context.WithTimeout(ctx, backWithin)
	defer cancel()
	for poll := firstPoll; !m.isThere(ctx, h); poll = min(2*poll, lastPoll) {
		if !runtime.Pause(ctx, poll) {
			return false
		}
	}
	return true
}

// byCommand runs the `pm2` that brings a daemon into being, and with it what was saved.
func (m *Manager) byCommand(ctx context.Context, h *home, app *v1alpha1.App, spec *v1alpha1.PM2Runtime, r *revival) (string, error) {
	cmd := m.reviver(ctx, h, spec, r)
	cmd.dir = app.Spec.Directory
	if _, err := os.Stat(cmd.dir); err != nil {
		cmd.dir = h.dir
	}
	what, text := "resurrect", "PM2's daemon was brought back by pm2 resurrect"
	if len(r.saved.apps) == 0 {
		// `resurrect` would remove a list that it cannot read.
		what, text = "ping", "PM2's daemon was brought back, with an empty list"
	}
	var extra []string
	if len(r.apart) > 0 {
		text += ", in a unit of its own"
		extra = append(extra, "XDG_RUNTIME_DIR="+m.system.userRun(r.uid))
	}
	if _, err := cmd.exec(ctx, 64<<10, extra, what); err != nil {
		return "", fmt.Errorf("PM2's daemon could not be brought back: %w", err)
	}
	if !m.comesBack(ctx, h) {
		return "", fmt.Errorf("%w: pm2 %s ended well, and no daemon takes calls in %s", runtime.ErrNoDaemon, what, h.dir)
	}
	return text, nil
}

// lastManners are those of the daemon that is to be brought back: what was seen of it while it lived, and the way to node
// of what was saved.
func (m *Manager) lastManners(ctx context.Context, h *home, r *revival) manners {
	var d manners
	if take(ctx, h.asking) == nil {
		d = h.last
		<-h.asking
	}
	d.path = slices.Clone(d.path)
	for _, a := range r.saved.apps {
		d.path = append(d.path, filepath.SplitList(string(a.Env.Path))...)
	}
	return d
}

// inspect looks at what has come into being: one daemon, and not in our own service, with which it would end. It says what
// is not so; the application is served all the same.
func (m *Manager) inspect(h *home) string {
	living, err := m.living(h.dir)
	if err != nil {
		return ""
	}
	if len(living) > 1 {
		return fmt.Sprintf("two PM2 daemons live in %s (pids %d and %d): somebody else has started one too; end one of them by hand",
			h.dir, living[0].PID, living[1].PID)
	}
	own := m.system.service()
	for _, p := range living {
		if own != "" && serviceIn(fmt.Sprintf("/proc/%d/cgroup", p.PID)) == own {
			return fmt.Sprintf("it (pid %d) lives in %s, evenkeel's own service, and may end with it; start it anew from a shell: pm2 update",
				p.PID, own)
		}
	}
	return ""
}

// lockHome keeps every other evenkeel from bringing a daemon into the same home. The folder itself is locked: nothing of
// ours is written into it.
func lockHome(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("PM2_HOME: %w", err)
	}
	for poll := firstPoll; ; poll = min(2*poll, lastPoll) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), f.Close())
		case !runtime.Pause(ctx, poll):
			return nil, errors.Join(fmt.Errorf("%w: another evenkeel is bringing PM2 back in %s: %w", runtime.ErrBusy, dir, timeoutOr(ctx)), f.Close())
		}
	}
}
