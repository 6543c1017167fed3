//go:build linux

package pm2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// callTimeout bounds one question to PM2, unless the caller's context ends sooner. PM2 answers within a millisecond, and
// within seconds on a machine that is starved.
const callTimeout = 10 * time.Second

// Manager is PM2 as a runtime. It keeps one connection to the daemon of each home that it was asked about.
type Manager struct {
	fs     procfs.FS
	getenv func(string) string
	call   time.Duration
	system system

	mu    sync.Mutex
	homes map[string]*home
}

var _ runtime.Runtime = (*Manager)(nil)

// Option changes how a Manager is made.
type Option func(*Manager)

// WithProc reads processes from another place than /proc.
func WithProc(fs procfs.FS) Option { return func(m *Manager) { m.fs = fs } }

// WithEnv takes HOME, PM2_HOME and PATH from elsewhere than evenkeel's own environment.
func WithEnv(getenv func(string) string) Option { return func(m *Manager) { m.getenv = getenv } }

// WithCallTimeout bounds one question to PM2. Default 10s.
func WithCallTimeout(d time.Duration) Option { return func(m *Manager) { m.call = d } }

// New makes a Manager. It connects to nothing before it is asked.
func New(options ...Option) *Manager {
	m := &Manager{fs: procfs.Default(), getenv: os.Getenv, call: callTimeout, system: machine, homes: map[string]*home{}}
	for _, o := range options {
		o(m)
	}
	return m
}

// Close ends the connections. The Manager can be used on; it connects again.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, h := range m.homes {
		h.asking <- struct{}{}
		h.drop()
		<-h.asking
	}
}

// Home is the PM2_HOME of an App: what the spec says, else $PM2_HOME, else .pm2 in the home of evenkeel's user. PM2 itself
// takes the passwd file's home where HOME is not set, and so does this.
func (m *Manager) Home(app *v1alpha1.App) (string, error) {
	spec, err := specOf(app)
	if err != nil {
		return "", err
	}
	dir := spec.Home
	if dir == "" {
		dir = m.getenv("PM2_HOME")
	}
	if dir == "" {
		base := m.getenv("HOME")
		if base == "" {
			u, err := user.Current()
			if err != nil || u.HomeDir == "" {
				return "", fmt.Errorf("PM2_HOME: neither spec.runtime.pm2.home nor $PM2_HOME nor $HOME is set, and the user has no home: %w", errors.Join(err, os.ErrNotExist))
			}
			base = u.HomeDir
		}
		dir = filepath.Join(base, ".pm2")
	}
	return filepath.Abs(dir)
}

func specOf(app *v1alpha1.App) (*v1alpha1.PM2Runtime, error) {
	if app.Spec.Runtime.PM2 == nil {
		return nil, errors.New("spec.runtime.pm2 is not set")
	}
	return app.Spec.Runtime.PM2, nil
}

// home is what is kept about one PM2_HOME.
type home struct {
	dir string
	// asking is held by who uses conn. A channel, because waiting for it must end with the caller's context.
	asking chan struct{}
	conn   *conn
	// commanding is held by who runs a `pm2` command: one at a time.
	commanding chan struct{}
	// last is what was seen of the daemon that was met last, guarded by asking.
	last manners
	// rivals are further daemons of this home, guarded by asking.
	rivals []procfs.Identity
	// refused says that we may not start PM2's own service: it was tried.
	refused atomic.Bool
}

func (m *Manager) open(app *v1alpha1.App) (*home, *v1alpha1.PM2Runtime, error) {
	spec, err := specOf(app)
	if err != nil {
		return nil, nil, err
	}
	dir, err := m.Home(app)
	if err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.homes[dir]
	if h == nil {
		h = &home{dir: dir, asking: make(chan struct{}, 1), commanding: make(chan struct{}, 1)}
		m.homes[dir] = h
	}
	return h, spec, nil
}

// take takes one of the home's tokens.
func take(ctx context.Context, token chan struct{}) error {
	select {
	case token <- struct{}{}:
		return nil
	default:
	}
	select {
	case token <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for another question to PM2: %w", timeoutOr(ctx))
	}
}

// over tells whether a context's time is over. A question whose deadline is the context's own can end a moment before the
// context does.
func over(ctx context.Context) bool {
	const moment = 50 * time.Millisecond
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) < moment
}

// timeoutOr is ErrTimeout where the context ran out, and else why it ended.
func timeoutOr(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return runtime.ErrTimeout
	}
	return ctx.Err()
}

// Look asks PM2 for its list. See [runtime.Runtime].
func (m *Manager) Look(ctx context.Context, app *v1alpha1.App) (runtime.Snapshot, error) {
	h, _, err := m.open(app)
	if err != nil {
		return runtime.Snapshot{}, err
	}
	return m.look(ctx, h, app)
}

// A process that has just died shows as online for the moment until PM2 notices. That is not worth a wrong answer.
const (
	noticeTries = 5
	noticeEvery = 10 * time.Millisecond
)

func (m *Manager) look(ctx context.Context, h *home, app *v1alpha1.App) (runtime.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, m.call)
	defer cancel()
	spec := app.Spec.Runtime.PM2
	for try := 0; ; try++ {
		a, err := m.rows(ctx, h, spec)
		s := runtime.Snapshot{Daemon: a.daemon, Via: a.via}
		s.Daemon.Badge = badge(s.Daemon.Home)
		if err != nil {
			if s.Daemon.Why == "" {
				s.Daemon.Why = err.Error()
			}
			if errors.Is(err, runtime.ErrNoDaemon) {
				s.Daemon.Revival = m.plan(ctx, h, spec).tell()
			}
			return s, err
		}
		lying := false
		mine, err := chosen(a.rows, app)
		if err != nil {
			return s, err
		}
		for i := range a.rows {
			p := a.rows[i].process(h.dir)
			m.verify(&p, &a)
			if !mine[i] {
				s.Others = append(s.Others, p)
				continue
			}
			s.Processes = append(s.Processes, p)
			lying = lying || p.Lying
		}
		slices.SortStableFunc(s.Processes, byID)
		slices.SortStableFunc(s.Others, byID)
		if !lying || try == noticeTries || !runtime.Pause(ctx, noticeEvery) {
			return s, nil
		}
	}
}

func byID(a, b runtime.Process) int {
	if len(a.ID) != len(b.ID) { // without leading zeros the longer one is the larger one
		return len(a.ID) - len(b.ID)
	}
	switch {
	case a.ID < b.ID:
		return -1
	case a.ID > b.ID:
		return 1
	}
	return 0
}

// badge is what PM2 writes into the environment of what it starts. The worker of a cluster has it in one variable, pm2_env.
func badge(home string) runtime.Badge {
	return runtime.Badge{HomeVar: "PM2_HOME", MarkVar: "unique_id", Wrapped: "pm2_env", Home: home}
}

// verify asks the kernel about the pid that PM2 names. A living process of that number that is not PM2's own child is a
// stranger who was given a dead one's pid.
func (m *Manager) verify(p *runtime.Process, a *answer) {
	daemon := a.daemon.PID
	if a.foreign {
		p.Unseen = true
		p.Message = "PM2's daemon lives in another pid namespace, so that its pids say nothing here"
		return
	}
	dead := ""
	switch found, err := m.fs.Process(p.PID); {
	case p.PID == 0:
		dead = "names no process"
	case errors.Is(err, procfs.ErrGone):
		dead = fmt.Sprintf("its process %d is dead", p.PID)
	case err != nil:
		p.Unseen = true
		p.Message = err.Error()
		return
	case !found.Alive():
		dead = fmt.Sprintf("its process %d is a zombie", p.PID)
	case daemon != 0 && found.PPID != daemon:
		dead = fmt.Sprintf("process %d is not PM2's child: the number was given away again", p.PID)
	case p.State == runtime.Waiting:
		// Its process is dead by PM2's own account, so this is another one of PM2's children, or its next life already.
		return
	case m.anothers(p, found.Identity):
		dead = fmt.Sprintf("process %d is another row's: the number was given away again", p.PID)
	default:
		p.Identity = found.Identity
	}
	switch {
	case dead != "" && p.State == runtime.Running, dead != "" && p.State == runtime.Starting && p.PID != 0:
		p.State, p.Lying, p.Message = runtime.Stopped, true, fmt.Sprintf("PM2 says %q, but %s", p.Raw, dead)
	case dead == "" && (p.State == runtime.Stopped || p.State == runtime.Errored):
		p.Lying, p.Message = true, fmt.Sprintf("PM2 says %q, but its process %d is alive", p.Raw, p.PID)
	}
}

// bornWithin is how far PM2's own note of a start and the kernel's may lie apart before they are taken for two starts.
const bornWithin = 10 * time.Second

// anothers tells whether a living child of PM2's is another row's: born later than this row's life began by PM2's own note,
// and marked as another one. Either alone proves nothing: the clock may have been set.
func (m *Manager) anothers(p *runtime.Process, id procfs.Identity) bool {
	born := time.Now().Add(id.StartedAt() - procfs.SinceBoot())
	if p.StartedAt.IsZero() || p.Mark == "" || born.Sub(p.StartedAt) < bornWithin {
		return false
	}
	mark := badge(p.Home).Mark(m.fs, id)
	return mark != "" && mark != p.Mark
}
