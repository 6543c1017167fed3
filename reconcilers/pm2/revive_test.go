//go:build linux

package pm2

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// killDaemon kills the daemon as the kernel's memory killer does, and waits until it is gone.
func (w *world) killDaemon() procfs.Identity {
	w.t.Helper()
	d := w.look("web").Daemon.Identity
	w.signal(d, syscall.SIGKILL)
	w.gone(d)
	return d
}

// oneDaemon is the only daemon of this home.
func (w *world) oneDaemon() procfs.Identity {
	w.t.Helper()
	d := w.daemons()
	if len(d) != 1 {
		w.t.Fatalf("%d daemons, want 1: %v", len(d), d)
	}
	return d[0].Identity
}

func TestADaemonThatWasKilledIsBroughtBack(t *testing.T) {
	// What was saved, whether spec says a start, and what becomes of it.
	for name, c := range map[string]struct {
		prepare func(w *world) // after the start of web and other
		start   string
		command []string
		revival string // how it is announced
		why     string // or why not
		how     runtime.StartHow
		others  bool // whether what else was saved is back too
		stopped bool // web was saved as stopped
	}{
		"from what was saved": {
			prepare: func(w *world) { w.pm2("save") }, revival: "pm2 resurrect", how: runtime.Revived, others: true,
		},
		"what was saved as stopped is started": {
			prepare: func(w *world) { w.pm2("stop", "web"); w.pm2("save") }, revival: "pm2 resurrect", how: runtime.Restarted, others: true, stopped: true,
		},
		"nothing was saved, and the spec says how to start": {
			prepare: func(*world) {}, start: "web.js", revival: "pm2 start web.js", how: runtime.Created,
		},
		"others were saved": {
			prepare: func(w *world) { w.pm2("delete", "web"); w.pm2("save"); w.pm2("start", "web.js", "--name", "web") },
			start:   "web.js", revival: "pm2 resurrect, then pm2 start web.js", how: runtime.Created, others: true,
		},
		"what was saved is cut off, and the backup is whole": {
			prepare: func(w *world) { w.pm2("save"); w.pm2("save"); w.cut("dump.pm2", 700) }, revival: "pm2 resurrect", how: runtime.Revived, others: true,
		},
		"both are empty, and the spec says how to start": {
			prepare: func(w *world) { w.pm2("save"); w.pm2("save"); w.cut("dump.pm2", 0); w.cut("dump.pm2.bak", 0) },
			start:   "web.js", revival: "pm2 start web.js", how: runtime.Created,
		},
		"both are empty, and the spec says nothing": {
			prepare: func(w *world) { w.pm2("save"); w.pm2("save"); w.cut("dump.pm2", 0); w.cut("dump.pm2.bak", 0) },
			why:     "dump.pm2 is broken (0 bytes)",
		},
		"nothing was saved, and the spec says nothing": {
			prepare: func(*world) {}, why: "never saved",
		},
		"it was saved, and there is no such pm2": {
			prepare: func(w *world) { w.pm2("save") }, command: []string{"/opt/pm2-that-was-removed"}, why: "/opt/pm2-that-was-removed",
		},
		"it was saved, and nobody finds such a pm2": {
			prepare: func(w *world) { w.pm2("save") }, command: []string{"pm2-of-nobody"}, why: "no pm2-of-nobody in ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pm2("start", "web.js", "--name", "web")
			w.pm2("start", "web.js", "--name", "other")
			first := w.untilState("web", runtime.Running)
			c.prepare(w)
			dead := w.killDaemon()
			w.gone(first.Identity) // a Node program of PM2's ends itself when PM2 is gone

			app := w.app("web")
			app.Spec.Runtime.PM2.Start = c.start
			if c.command != nil {
				app.Spec.Runtime.PM2.Command = c.command
			}
			s, err := w.m.Look(t.Context(), app)
			r := s.Daemon.Revival
			if !errors.Is(err, runtime.ErrNoDaemon) || r.How != c.revival || !strings.Contains(r.Why, c.why) || (r.Why == "") != (c.why == "") {
				t.Fatalf("revival %+v, %v", r, err)
			}
			if len(w.daemons()) != 0 {
				t.Fatal("looking has brought a daemon into being")
			}
			started, err := w.m.Start(t.Context(), app, now(t))
			if c.why != "" {
				if !errors.Is(err, runtime.ErrNoDaemon) || len(w.daemons()) != 0 {
					t.Errorf("start: %+v, %v; daemons %v", started, err, w.daemons())
				}
				return
			}
			if err != nil || started.How != c.how || len(started.IDs) != 1 {
				t.Fatalf("start: %+v, %v", started, err)
			}
			t.Logf("%s: %s", started.Took, started.Message)
			if d := w.oneDaemon(); d == dead {
				t.Error("the daemon is the dead one")
			}
			p := w.untilState("web", runtime.Running)
			if p.Cwd != w.dir {
				t.Errorf("it works in %s", p.Cwd)
			}
			if c.how != runtime.Created {
				checkEnvironment(t, p, "")
			}
			if got := len(w.look("other").Processes) == 1; got != c.others {
				t.Errorf("the other application is back: %t, want %t", got, c.others)
			}
			if again, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); err != nil || again.How != runtime.AlreadyRunning {
				t.Errorf("start once more: %+v, %v", again, err)
			}
		})
	}
}

// cut cuts a file of PM2's off, as a full disk does.
func (w *world) cut(name string, size int64) {
	w.t.Helper()
	if err := os.Truncate(filepath.Join(w.home, name), size); err != nil {
		w.t.Fatal(err)
	}
}

func TestManyAtOnceBringBackOneDaemon(t *testing.T) {
	w := newWorld(t)
	w.pm2("start", "web.js", "--name", "web")
	w.pm2("start", "web.js", "--name", "other")
	w.pm2("save")
	w.killDaemon()
	// Two apps of this evenkeel, and two of another one.
	another := New(WithEnv(w.getenv))
	defer another.Close()
	var all sync.WaitGroup
	for _, m := range []*Manager{w.m, another} {
		for _, name := range []string{"web", "other"} {
			all.Go(func() {
				if r, err := m.Start(t.Context(), w.app(name), v1alpha1.Instant{}); err != nil {
					t.Errorf("start %s: %+v, %v", name, r, err)
				}
			})
		}
	}
	all.Wait()
	w.oneDaemon()
	for _, name := range []string{"web", "other"} {
		if p := w.untilState(name, runtime.Running); p.Restarts != 0 {
			t.Errorf("%s was started %d times more", name, p.Restarts)
		}
	}
}

func TestTheServerBelowAWrapperIsProvedByWhatWasSaved(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	// As `npm start` does: a shell in between, which is what PM2 keeps, and which does not hear of PM2's end.
	w.write("wrapped.js", `require('http').createServer((q, r) => r.end('ok')).listen(`+port+`, '127.0.0.1');`)
	w.write("start.sh", "node "+w.dir+"/wrapped.js\nexit $?\n")
	w.pm2("start", "start.sh", "--name", "web", "--interpreter", "/bin/sh")
	answers := func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	eventually(t, "the server listens", answers)
	w.pm2("save")
	shell := w.untilState("web", runtime.Running)
	tree, err := procfs.Default().Tree(shell.PID)
	if err != nil || len(tree) != 2 {
		t.Fatalf("tree %v, %v", tree, err)
	}
	w.killDaemon()
	s, err := w.m.Look(t.Context(), w.app("web"))
	if !errors.Is(err, runtime.ErrNoDaemon) || len(s.Daemon.Revival.Marks) != 1 {
		t.Fatalf("%+v, %v", s.Daemon, err)
	}
	for _, p := range tree {
		env, err := procfs.Default().Environ(p.Identity, "PM2_HOME", "unique_id")
		if err != nil || env["PM2_HOME"] != w.home || env["unique_id"] != s.Daemon.Revival.Marks[0] {
			t.Errorf("%s (pid %d) is not proved: %v, %v", p.Comm, p.PID, env, err)
		}
		w.signal(p.Identity, syscall.SIGKILL) // what recovery's steps do with what is proved
	}
	eventually(t, "the port is free", func() bool { return !answers() })
	if r, err := w.m.Start(t.Context(), w.app("web"), v1alpha1.Instant{}); err != nil || r.How != runtime.Revived {
		t.Fatalf("%+v, %v", r, err)
	}
	eventually(t, "the server listens again", answers)
	w.oneDaemon()
}

func TestADaemonWhoseSocketIsGoneGetsNoSecondBesideIt(t *testing.T) {
	w := newWorld(t)
	w.pm2("start", "web.js", "--name", "web")
	w.pm2("save")
	p := w.untilState("web", runtime.Running)
	if err := os.Remove(socketPath(w.home)); err != nil {
		t.Fatal(err)
	}
	s, err := w.m.Look(t.Context(), w.app("web"))
	if !errors.Is(err, runtime.ErrNoDaemon) || s.Daemon.Revival.How != "" || !strings.Contains(s.Daemon.Revival.Why, "its socket is gone") {
		t.Errorf("%+v, %v", s.Daemon, err)
	}
	if _, err := w.m.Start(t.Context(), w.app("web"), now(t)); !errors.Is(err, runtime.ErrNoDaemon) {
		t.Errorf("start: %v", err)
	}
	w.oneDaemon()
	if alive, err := procfs.Default().Alive(p.Identity); err != nil || !alive {
		t.Errorf("the application is gone: %v", err)
	}
}
