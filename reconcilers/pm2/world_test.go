//go:build linux

package pm2

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait for a fact. It is long because the machine may be busy, and costs nothing otherwise.
const patience = 40 * time.Second

// The majors of PM2 that are tested, and the one that is tested with everything.
var majors = []string{"5", "6", "7"}

const newest = "7"

// longOnes are the majors for what takes long: all of them only where PM2_ALL is set.
func longOnes() []string {
	if os.Getenv("PM2_ALL") == "1" {
		return majors
	}
	return []string{newest}
}

var programs sync.Map // a major → a func that brings the real program of it

// program is the real PM2's program.
func program(major string) (string, error) {
	bring, _ := programs.LoadOrStore(major, sync.OnceValues(func() (string, error) {
		cmd := exec.Command("../../hack/lib/pm2", major)
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("the tests of PM2 need the real one, and hack/lib/pm2 could not get it: %w\n%s", err, errOut.String())
		}
		return strings.TrimSpace(string(out)), nil
	}))
	return bring.(func() (string, error))()
}

// world is a PM2_HOME of its own, with some programs for PM2 to run.
type world struct {
	t       testing.TB
	dir     string
	home    string
	program string
	major   string
	user    uint32 // who says pm2, where that is somebody else
	m       *Manager
}

const (
	webJS = `require('http').createServer((q, r) => r.end('ok')).listen(0, '127.0.0.1');
process.on('SIGINT', () => process.exit(0));`
	dieJS      = `setTimeout(() => process.exit(3), Number(process.env.LIFE || 0));`
	stubbornJS = `process.on('SIGINT', () => {}); setInterval(() => {}, 1000); console.log('ready ' + process.pid);`
)

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, newest)
}

func newWorldOf(t testing.TB, major string) *world {
	t.Helper()
	pm2, err := program(major)
	if err != nil {
		t.Fatal(err)
	}
	// A socket's path has 107 bytes at most; the names of tests are longer.
	dir, err := os.MkdirTemp("", "ek-pm2-")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, home: filepath.Join(dir, "h"), program: pm2, major: major}
	w.m = New(WithEnv(w.getenv))
	t.Cleanup(func() {
		w.m.Close()
		w.kill()
		_ = os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.home, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"web.js": webJS, "die.js": dieJS, "stubborn.js": stubbornJS} {
		w.write(name, text)
	}
	return w
}

// getenv is evenkeel's environment, as this Manager sees it.
func (w *world) getenv(name string) string {
	switch name {
	case "HOME":
		return w.dir
	case "PATH":
		return os.Getenv("PATH")
	}
	return ""
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// pm2 runs a command as an operator does.
func (w *world) pm2(args ...string) string {
	w.t.Helper()
	cmd := exec.Command(w.program, args...)
	cmd.Dir = w.dir
	cmd.Env = []string{"HOME=" + w.dir, "PM2_HOME=" + w.home, "PATH=" + os.Getenv("PATH"), "FIRST=survives",
		"PM2_DISABLE_VERSION_CHECK=true", "TZ=UTC", "PM2_WORKER_INTERVAL=1000"}
	if w.user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: w.user, Gid: w.user}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("pm2 %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// app is the App of a PM2 process of this world.
func (w *world) app(name string) *v1alpha1.App {
	a := &v1alpha1.App{}
	a.Name = "app"
	a.Spec.Directory = w.dir
	a.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: name, Home: w.home, Command: []string{w.program}}
	return a
}

// daemons are the PM2 daemons of this home, by what they write on themselves.
func (w *world) daemons() []procfs.Process {
	w.t.Helper()
	fs := procfs.Default()
	all, err := fs.Processes()
	if err != nil {
		w.t.Fatal(err)
	}
	var found []procfs.Process
	for _, p := range all {
		args, _ := fs.Cmdline(p.Identity)
		if p.Alive() && strings.Contains(strings.Join(args, " "), "God Daemon ("+w.home+")") {
			found = append(found, p)
		}
	}
	return found
}

// kill ends what this world started, by id: the daemon first, so that it brings nothing back.
func (w *world) kill() {
	for _, d := range w.daemons() {
		tree, _ := procfs.Default().Tree(d.PID)
		for _, p := range tree {
			w.signal(p.Identity, syscall.SIGKILL)
		}
		for _, p := range tree {
			w.gone(p.Identity)
		}
	}
}

// signal sends a signal to a process that this world started.
func (w *world) signal(id procfs.Identity, sig syscall.Signal) {
	if alive, _ := procfs.Default().Alive(id); alive {
		_ = syscall.Kill(id.PID, sig)
	}
}

func (w *world) gone(id procfs.Identity) {
	w.t.Helper()
	eventually(w.t, "process "+id.String()+" is gone", func() bool {
		alive, err := procfs.Default().Alive(id)
		return err == nil && !alive
	})
}

// look asks and must succeed.
func (w *world) look(name string) runtime.Snapshot {
	w.t.Helper()
	s, err := w.m.Look(context.Background(), w.app(name))
	if err != nil {
		w.t.Fatalf("look at %s: %v", name, err)
	}
	return s
}

// one is the only row of a name.
func (w *world) one(name string) runtime.Process {
	w.t.Helper()
	s := w.look(name)
	if len(s.Processes) != 1 {
		w.t.Fatalf("%s has %d rows, want 1", name, len(s.Processes))
	}
	return s.Processes[0]
}

// until looks until the only row of a name is as wanted.
func (w *world) until(name, what string, is func(runtime.Process) bool) runtime.Process {
	w.t.Helper()
	var p runtime.Process
	eventuallyOr(w.t, name+" is "+what, func() bool { p = w.one(name); return is(p) }, func() string {
		return fmt.Sprintf("state %s, PM2 says %q, pid %d, %d restarts, %q", p.State, p.Raw, p.PID, p.Restarts, p.Message)
	})
	return p
}

func (w *world) untilState(name string, s runtime.State) runtime.Process {
	w.t.Helper()
	return w.until(name, string(s), func(p runtime.Process) bool { return p.State == s })
}

// eventually waits for a fact.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	eventuallyOr(t, what, is, func() string { return "" })
}

func eventuallyOr(t testing.TB, what string, is func() bool, instead func() string) {
	t.Helper()
	end := time.Now().Add(patience)
	for !is() {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s. %s", patience, what, instead())
		}
		runtime.Pause(context.Background(), 10*time.Millisecond)
	}
}

func now(t testing.TB) v1alpha1.Instant {
	t.Helper()
	id, err := procfs.Default().BootID()
	if err != nil {
		t.Fatal(err)
	}
	i := v1alpha1.Instant{BootID: id}
	i.Boot.Duration = procfs.SinceBoot()
	i.Wall.Time = time.Now()
	return i
}
