//go:build linux

package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// callTimeout bounds one question to systemd, unless the caller's context ends sooner. It answers within a millisecond, and
// takes no questions while it reloads its units.
const callTimeout = 10 * time.Second

// othersAge is how old what is known of other services may be: to ask for it is most of what a look costs.
const othersAge = 5 * time.Second

// Manager is systemd as a runtime: one connection to the system's manager, and one to the user's, each made when it is needed
// and made anew when it is lost.
type Manager struct {
	fs   procfs.FS
	uid  int
	dial func(ctx context.Context, user bool, heard func(string, map[string]any)) (bus, error)
	self string // the control group that evenkeel itself runs in

	system, user *scope
}

var _ runtime.Runtime = (*Manager)(nil)

// New makes a Manager. It connects to nothing before it is asked.
func New() *Manager {
	m := &Manager{fs: procfs.Default(), uid: os.Getuid(), system: newScope(false), user: newScope(true)}
	m.dial = func(ctx context.Context, user bool, heard func(string, map[string]any)) (bus, error) {
		return dial(ctx, user, m.uid, heard)
	}
	if p, err := m.fs.Process(os.Getpid()); err == nil {
		m.self, _ = m.fs.ControlGroup(p.Identity) // without it the spec alone keeps us from acting on ourselves
	}
	return m
}

// Close ends the connections. The Manager can be used on; it connects again.
func (m *Manager) Close() {
	for _, s := range []*scope{m.system, m.user} {
		s.mu.Lock()
		s.drop()
		s.mu.Unlock()
	}
}

// scope is one of systemd's managers.
type scope struct {
	user bool

	// connecting is held by who makes a connection. A channel, because waiting for it must end with the caller's context.
	connecting chan struct{}

	mu     sync.Mutex
	bus    bus
	units  map[string]*unit
	others map[string]runtime.Process // services that run
	asked  time.Time                  // when those were asked for
}

// unit is what is kept about one unit.
type unit struct {
	notes notes
	// ordering is held by who gives it orders: one at a time.
	ordering chan struct{}
}

func newScope(user bool) *scope {
	return &scope{user: user, connecting: make(chan struct{}, 1), units: map[string]*unit{}}
}

// name is how the scope is called in a sentence.
func (s *scope) name() string {
	if s.user {
		return "systemd's manager of this user"
	}
	return "systemd"
}

func (s *scope) unit(name string) *unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[name]
	if u == nil {
		u = &unit{ordering: make(chan struct{}, 1)}
		s.units[name] = u
	}
	return u
}

// drop gives the connection up. Its caller holds mu.
func (s *scope) drop() {
	if s.bus == nil {
		return
	}
	s.bus.close()
	s.bus, s.others = nil, nil
	for _, u := range s.units {
		u.notes.blind()
	}
}

// changed says that what runs is another now, or is about to be.
func (s *scope) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = nil
}

// abandon gives up a connection over which nothing comes any more.
func (s *scope) abandon(b bus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bus == b {
		s.drop()
	}
}

func (s *scope) kept() bus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bus != nil && !s.bus.connected() {
		s.drop()
	}
	return s.bus
}

// open gives the connection, kept or new, and whether it is new.
func (m *Manager) open(ctx context.Context, s *scope) (bus, bool, error) {
	if b := s.kept(); b != nil {
		return b, false, nil
	}
	if err := take(ctx, s.connecting); err != nil {
		return nil, false, err
	}
	defer func() { <-s.connecting }()
	if b := s.kept(); b != nil {
		return b, false, nil
	}
	b, err := m.dial(ctx, s.user, func(name string, changed map[string]any) { s.unit(name).notes.hear(name, changed, time.Now()) })
	if err != nil {
		return nil, false, m.unreachable(ctx, s, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bus = b
	return b, true, nil
}

// take takes a token.
func take(ctx context.Context, token chan struct{}) error {
	select {
	case token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return timeoutOr(ctx)
	}
}

// timeoutOr is ErrTimeout where the context ran out, and else why it ended.
func timeoutOr(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return runtime.ErrTimeout
	}
	return ctx.Err()
}

// target is the App's unit, and whose it is.
func (m *Manager) target(app *v1alpha1.App) (*scope, string, error) {
	spec := app.Spec.Runtime.Systemd
	if spec == nil {
		return nil, "", errors.New("spec.runtime.systemd is not set")
	}
	s := m.system
	if spec.User {
		s = m.user
	}
	if procfs.InUnit(m.self, spec.Unit) {
		return nil, "", fmt.Errorf("%w: evenkeel itself runs in %s; spec.runtime.systemd.unit has to be the application's", runtime.ErrRefused, spec.Unit)
	}
	return s, spec.Unit, nil
}

// Look asks systemd for the unit. See [runtime.Runtime].
func (m *Manager) Look(ctx context.Context, app *v1alpha1.App) (runtime.Snapshot, error) {
	s, name, err := m.target(app)
	if err != nil {
		return runtime.Snapshot{}, err
	}
	snap, _, err := m.look(ctx, s, name)
	return snap, err
}

// A process that has just died shows as running for the moment until systemd notices. That is not worth a wrong answer.
const (
	noticeTries = 5
	noticeEvery = 10 * time.Millisecond
)

func (m *Manager) look(ctx context.Context, s *scope, name string) (runtime.Snapshot, properties, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for try := 0; ; try++ {
		b, fresh, p, err := m.ask(ctx, s, name)
		snap := runtime.Snapshot{Via: "bus"}
		if err != nil {
			snap.Daemon.Why = err.Error()
			return snap, p, err
		}
		snap.Daemon = m.daemon(s, b, name)
		row := p.row(name)
		if err := m.verify(ctx, b, s.unit(name), &row); err != nil {
			if lost(ctx, err) {
				s.abandon(b)
			}
			err = m.failed(ctx, s, "ask for the processes of "+name, err)
			// The unit may have gone down since, and systemd forgets those that are; or the connection was lost.
			if (errors.Is(err, runtime.ErrNotListed) || lost(ctx, err) && !fresh) && try < noticeTries {
				continue
			}
			snap.Daemon.Why = err.Error()
			return snap, p, err
		}
		if row.Lying && try < noticeTries && runtime.Pause(ctx, noticeEvery) {
			continue
		}
		snap.Processes = []runtime.Process{row}
		snap.Others = m.others(ctx, s, b, name)
		return snap, p, nil
	}
}

// ask asks for the unit's properties. Where a kept connection turns out to be broken, as after a new start of systemd or of the
// message bus, a new one is asked.
func (m *Manager) ask(ctx context.Context, s *scope, name string) (bus, bool, properties, error) {
	for {
		b, fresh, err := m.open(ctx, s)
		if err != nil {
			return nil, fresh, properties{}, err
		}
		// First, so that nothing is missed between the two.
		if err = b.watch(ctx, name); err == nil {
			var all map[string]any
			if all, err = b.properties(ctx, name); err == nil {
				if _, known := all["ActiveState"].(string); !known {
					return b, fresh, properties{}, fmt.Errorf("%w: it says nothing of the state of %s", runtime.ErrNotUnderstood, name)
				}
				return b, fresh, s.unit(name).notes.hear(name, all, time.Now()), nil
			}
		}
		if lost(ctx, err) {
			s.abandon(b)
		}
		if fresh || !lost(ctx, err) {
			return b, fresh, properties{}, m.failed(ctx, s, "ask for "+name, err)
		}
	}
}

// daemon is the manager: the other end of the connection.
func (m *Manager) daemon(s *scope, b bus, name string) runtime.Daemon {
	d := runtime.Daemon{Reachable: true, PID: b.peer(), Badge: runtime.Badge{MarkVar: "INVOCATION_ID", Unit: name}}
	if s.user {
		d.UID = uint32(m.uid) // #nosec G115 -- a user's number
	}
	if p, err := m.fs.Process(d.PID); err == nil {
		d.Identity = p.Identity
	}
	return d
}

// verify asks the kernel about the unit's processes.
func (m *Manager) verify(ctx context.Context, b bus, u *unit, row *runtime.Process) error {
	if !row.State.Runs() {
		row.PID = 0
		row.OutLog, row.ErrLog = u.notes.files()
		return nil
	}
	pids, err := b.processes(ctx, row.Name)
	if err != nil {
		return err
	}
	var all []procfs.Process
	for _, pid := range pids {
		if p, err := m.fs.Process(pid); err == nil && p.Alive() {
			all = append(all, p)
		}
	}
	if row.PID == 0 && len(all) > 0 && row.State != runtime.Stopping {
		// A unit that forks away from its first process need not say which one is it.
		row.PID = slices.MinFunc(all, func(a, b procfs.Process) int { return int(a.StartedAt() - b.StartedAt()) }).PID
	}
	switch found, err := m.fs.Process(row.PID); {
	case row.PID == 0 && row.State == runtime.Running:
		row.State, row.Lying, row.Message = runtime.Stopped, true, "it has no process"
	case row.PID == 0:
	case errors.Is(err, procfs.ErrGone), err == nil && !found.Alive():
		if row.State == runtime.Running {
			row.State, row.Lying, row.Message = runtime.Stopped, true, fmt.Sprintf("its process %d is dead", row.PID)
		}
	case err != nil:
		row.Unseen, row.Message = true, err.Error()
	default:
		row.Identity = found.Identity
		m.files(row)
		u.notes.setFiles(row.OutLog, row.ErrLog)
	}
	for _, p := range all {
		if p.PID != row.PID && !m.earlier(p.Identity, row.Mark) {
			row.Members = append(row.Members, p.Identity)
		}
	}
	return nil
}

// earlier tells whether a process of the unit's group is left over from an earlier life: it says so itself.
func (m *Manager) earlier(id procfs.Identity, mark string) bool {
	env, err := m.fs.Environ(id, "INVOCATION_ID")
	return err == nil && env["INVOCATION_ID"] != "" && env["INVOCATION_ID"] != mark
}

// files finds out where the process writes to, if that is to files.
func (m *Manager) files(row *runtime.Process) {
	out, err := m.fs.Outputs(row.Identity)
	if err != nil {
		return
	}
	is := func(path string) string {
		if filepath.IsAbs(path) && !strings.HasPrefix(path, "/dev/") && !strings.HasSuffix(path, " (deleted)") {
			return path
		}
		return ""
	}
	row.OutLog, row.ErrLog = is(out[0]), is(out[1])
}

// others are the other services that run, for naming, and for leaving alone. What cannot be asked for is not among them.
func (m *Manager) others(ctx context.Context, s *scope, b bus, name string) []runtime.Process {
	s.mu.Lock()
	known, stale := s.others, time.Since(s.asked) > othersAge || s.others == nil
	s.mu.Unlock()
	if stale {
		fresh := map[string]runtime.Process{}
		names, err := b.services(ctx)
		if err != nil {
			names = nil
		}
		for _, other := range names {
			if row, ok := known[other]; ok {
				if alive, err := m.fs.Alive(row.Identity); err == nil && alive {
					fresh[other] = row
					continue
				}
			}
			pid, err := b.mainPID(ctx, other)
			if err != nil || pid == 0 {
				continue
			}
			if p, err := m.fs.Process(pid); err == nil && p.Alive() {
				fresh[other] = runtime.Process{Name: other, ID: other, State: runtime.Running, Raw: "active", PID: pid, Identity: p.Identity}
			}
		}
		s.mu.Lock()
		s.others, s.asked, known = fresh, time.Now(), fresh
		s.mu.Unlock()
	}
	var list []runtime.Process
	for other, row := range known {
		if other != name {
			list = append(list, row)
		}
	}
	slices.SortFunc(list, func(a, b runtime.Process) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Exits tells what was noted of the unit's ends while evenkeel ran. See [runtime.Runtime].
func (m *Manager) Exits(ctx context.Context, app *v1alpha1.App, since time.Time) (runtime.History, error) {
	s, name, err := m.target(app)
	if err != nil {
		return runtime.History{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, _, _, err := m.ask(ctx, s, name); err != nil {
		return runtime.History{}, err
	}
	return s.unit(name).notes.history(since), nil
}
