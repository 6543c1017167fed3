//go:build linux

package pm2

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// A second daemon puts its socket in the place of the first one's, which goes on with what it runs.
func TestASecondDaemonOfTheSameHomeIsNamed(t *testing.T) {
	w := newWorld(t)
	w.pm2("start", "web.js", "--name", "web")
	p := w.untilState("web", runtime.Running)
	first := w.look("web").Daemon
	if len(first.Rivals) != 0 {
		t.Fatalf("rivals of the only daemon: %v", first.Rivals)
	}
	for _, name := range []string{"rpc.sock", "pub.sock"} {
		if err := os.Remove(filepath.Join(w.home, name)); err != nil {
			t.Fatal(err)
		}
	}
	// Without its socket it is still a daemon, and none is brought into being beside it.
	if _, err := w.m.Start(t.Context(), w.app("web"), v1alpha1.Instant{}); !errors.Is(err, runtime.ErrNoDaemon) || !strings.Contains(err.Error(), itoa(first.PID)) {
		t.Errorf("start beside a daemon without a socket: %v", err)
	}
	w.pm2("ping") // somebody else does
	s := w.look("web")
	if s.Daemon.PID == first.PID || len(s.Daemon.Rivals) != 1 || s.Daemon.Rivals[0] != first.Identity || s.State() != runtime.Missing {
		t.Fatalf("%+v, %s", s.Daemon, s.State())
	}
	if alive, err := procfs.Default().Alive(p.Identity); !alive || err != nil {
		t.Errorf("what the first one runs is gone: %v", err)
	}
	w.signal(first.Identity, syscall.SIGKILL)
	w.gone(first.Identity)
	if s = w.look("web"); len(s.Daemon.Rivals) != 0 {
		t.Errorf("rivals after its end: %v", s.Daemon.Rivals)
	}
}

// A daemon in a container of this machine may call its home as ours is called; it is none of ours.
func TestADaemonInAContainerIsNoRival(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("a pid namespace needs root; procfs.TestLevels reads what the kernel says of one")
		return
	}
	w := newWorld(t)
	like := func(flags uintptr) procfs.Identity {
		cmd := exec.CommandContext(t.Context(), "node", "-e", "process.title = 'PM2 v7.0.4: God Daemon (' + process.argv[1] + ')'; setInterval(() => {}, 1e6); console.log()", w.home)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		said, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		if _, err := said.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		p, err := procfs.Default().Process(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		return p.Identity
	}
	like(unix.CLONE_NEWPID)
	here := like(0)
	found, err := w.m.living(w.home)
	if err != nil || len(found) != 1 || found[0].Identity != here {
		t.Errorf("%v, %v; want %s alone", found, err, here)
	}
}

func TestOneNameInSeveralNamespaces(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(filepath.Join(w.dir, "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.write("spaces.config.js", `module.exports = {apps: [
 {name: 'web', namespace: 'one', script: 'web.js'},
 {name: 'web', namespace: 'two', script: 'web.js'},
 {name: 'site', namespace: 'one', script: 'web.js'},
 {name: 'site', namespace: 'two', script: '../web.js', cwd: 'other'},
 {name: '1', script: 'web.js'},
]}`)
	w.pm2("start", "spaces.config.js")
	if _, err := w.m.Look(t.Context(), w.app("web")); !errors.Is(err, runtime.ErrAmbiguous) || !runtime.CouldNotAsk(err) || !strings.Contains(err.Error(), `"one" and "two"`) {
		t.Errorf("two of one name in one folder: %v", err)
	}
	if _, err := w.m.Stop(t.Context(), w.app("web"), time.Second); !errors.Is(err, runtime.ErrAmbiguous) {
		t.Errorf("stop of one of the two: %v", err)
	}
	app := w.app("web")
	app.Spec.Runtime.PM2.Namespace = "two"
	s, err := w.m.Look(t.Context(), app)
	if err != nil || len(s.Processes) != 1 || s.Processes[0].Namespace != "two" {
		t.Fatalf("%+v, %v", s.Processes, err)
	}
	if s = w.look("site"); len(s.Processes) != 1 || s.Processes[0].Namespace != "one" {
		t.Errorf("told by the folder: %+v", s.Processes)
	}
	if who := named(&s, "1"); !strings.Contains(who, "name of row") || named(&s, "0") != "" {
		t.Errorf("id 1 is also %q", who)
	}
	if _, err := w.m.Stop(t.Context(), app, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, p := range w.look("site").Others {
		if stopped := p.State == runtime.Stopped; stopped != (p.Name == "web" && p.Namespace == "two") {
			t.Errorf("%s of %s is %s", p.Name, p.Namespace, p.State)
		}
	}
}

// Root keeps another user's site: whatever is run for it is run as him, and nothing in his folder becomes root's.
func TestAnotherUsersHome(t *testing.T) {
	w := newWorld(t)
	if os.Geteuid() == 0 {
		w.user = 65534
	}
	owner := int(max(w.user, uint32(os.Geteuid())))
	for _, file := range []string{w.dir, w.home} {
		if err := os.Chown(file, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	if w.user != 0 { // the cache of programs is root's own
		w.program = copyOf(t, w)
	}
	w.pm2("ping")
	app := w.app("web")
	app.Spec.Runtime.PM2.Start = "web.js"
	as := func(what string) runtime.Process {
		t.Helper()
		p := w.until("web", what, func(p runtime.Process) bool { return p.State == runtime.Running })
		for _, id := range []procfs.Identity{p.Identity, w.look("web").Daemon.Identity} {
			if found, err := procfs.Default().Process(id.PID); err != nil || int(found.UID) != owner {
				t.Errorf("%s: process %s runs as %d, %v; want %d", what, id, found.UID, err, owner)
			}
		}
		err := filepath.WalkDir(w.home, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && int(info.Sys().(*syscall.Stat_t).Uid) != owner {
				t.Errorf("%s: %s belongs to %d", what, file, info.Sys().(*syscall.Stat_t).Uid)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		return p
	}
	if r, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); err != nil || r.How != runtime.Created {
		t.Fatalf("created: %+v, %v", r, err)
	}
	p := as("created")
	since := now(t)
	since.Boot.Duration += time.Second
	if r, err := w.m.Start(t.Context(), app, since); err != nil || r.How != runtime.Restarted {
		t.Fatalf("restarted: %+v, %v", r, err)
	}
	w.gone(p.Identity)
	p = as("restarted")
	w.pm2("save")
	daemon := w.look("web").Daemon
	w.signal(daemon.Identity, syscall.SIGKILL)
	w.gone(daemon.Identity)
	w.gone(p.Identity)
	if r, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); err != nil || r.How != runtime.Revived {
		t.Fatalf("revived: %+v, %v", r, err)
	}
	as("revived")
}

// copyOf is PM2's program where everybody may read it.
func copyOf(t *testing.T, w *world) string {
	t.Helper()
	modules := filepath.Dir(filepath.Dir(filepath.Dir(w.program)))
	if err := os.CopyFS(filepath.Join(w.dir, "node_modules"), os.DirFS(modules)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(w.dir, "node_modules/pm2/bin/pm2")
}

// The pm2 program is newer than the daemon in memory, as after an update of the package: its hints come before the list.
func TestAnotherVersionInMemory(t *testing.T) {
	w := newWorldOf(t, "6")
	w.pm2("start", "web.js", "--name", "web")
	w.untilState("web", runtime.Running)
	newer, err := program(newest)
	if err != nil {
		t.Fatal(err)
	}
	w.program = newer
	sameByCommand(t, w)
	app := w.app("two")
	app.Spec.Runtime.PM2.Start = "web.js"
	if r, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); err != nil || r.How != runtime.Created {
		t.Errorf("created by a newer program: %+v, %v", r, err)
	}
	stop(t, w, "two", 20*time.Second)
	if s := w.look("web"); !strings.HasPrefix(s.Daemon.Version, "6.") || s.State() != runtime.Running {
		t.Errorf("%+v", s.Daemon)
	}
}
