//go:build linux

package pm2

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// everything asks and orders, and expects that PM2 is not there, each time, and is not there afterwards: nothing was saved,
// and nothing says how to start.
func everything(t *testing.T, w *world, home string) runtime.Daemon {
	t.Helper()
	app := w.app("web")
	app.Spec.Runtime.PM2.Home = home
	s, err := w.m.Look(t.Context(), app)
	_, errStop := w.m.Stop(t.Context(), app, time.Second)
	_, errStart := w.m.Start(t.Context(), app, v1alpha1.Instant{})
	for name, err := range map[string]error{"look": err, "stop": errStop, "start": errStart} {
		if !errors.Is(err, runtime.ErrNoDaemon) || runtime.CouldNotAsk(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Daemon.Reachable || s.Daemon.Why == "" || s.Daemon.Home != home || s.Daemon.Socket == "" {
		t.Errorf("daemon %+v", s.Daemon)
	}
	if d := w.daemons(); len(d) != 0 {
		t.Errorf("a daemon was born: %v", d)
	}
	return s.Daemon
}

func TestWithoutADaemonNoneIsBorn(t *testing.T) {
	w := newWorld(t)
	everything(t, w, w.home)
	if d := everything(t, w, filepath.Join(w.dir, "nowhere")); !strings.Contains(d.Why, "PM2_HOME") {
		t.Errorf("why: %s", d.Why)
	}
	// Even where the daemon dies between our look and the command's.
	h, spec, err := w.m.open(w.app("web"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := &command{m: w.m, home: h, spec: spec}
	if _, err := cmd.list(t.Context()); !errors.Is(err, runtime.ErrNoDaemon) {
		t.Errorf("list by command: %v", err)
	}
	if _, err := cmd.run(t.Context(), 64<<10, "restart", "0"); !errors.Is(err, runtime.ErrNoDaemon) {
		t.Errorf("restart by command: %v", err)
	}
	if d := w.daemons(); len(d) != 0 {
		t.Errorf("a daemon was born: %v", d)
	}
	if h, err := w.m.Exits(t.Context(), w.app("web"), time.Time{}); err != nil || len(h.Exits) != 0 {
		t.Errorf("exits: %+v, %v", h, err)
	}
}

func TestDaemonHangsDiesAndIsBack(t *testing.T) {
	w := newWorld(t)
	w.pm2("start", "web.js", "--name", "web")
	p := w.untilState("web", runtime.Running)
	d := w.look("web").Daemon

	// Halted, it takes the call and never answers. Nobody is killed for that, and no command is tried.
	w.signal(d.Identity, syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	s, err := w.m.Look(ctx, w.app("web"))
	cancel()
	if !errors.Is(err, runtime.ErrTimeout) || !runtime.CouldNotAsk(err) || !s.Daemon.Reachable || s.Daemon.Why == "" || s.Daemon.PID != d.PID {
		t.Errorf("halted daemon: %+v, %v", s.Daemon, err)
	}
	r, err := w.m.Stop(t.Context(), w.app("web"), 300*time.Millisecond)
	if !errors.Is(err, runtime.ErrTimeout) || r.Took > patience {
		t.Errorf("stop: %+v, %v", r, err)
	}
	w.signal(d.Identity, syscall.SIGCONT)
	if q := w.untilState("web", runtime.Running); q.Identity != p.Identity {
		t.Errorf("it is another process: %+v", q)
	}

	// Killed hard, its app ends itself, and the socket is left over.
	w.signal(d.Identity, syscall.SIGKILL)
	w.gone(d.Identity)
	eventually(t, "its last thread has let go of the socket", func() bool {
		s, _ := w.m.Look(t.Context(), w.app("web"))
		return s.Daemon.Leftover
	})
	if left := everything(t, w, w.home); !left.Leftover {
		t.Errorf("daemon %+v", left)
	}

	// A new one, with the same Manager.
	w.pm2("start", "web.js", "--name", "web")
	w.untilState("web", runtime.Running)
	second := w.look("web").Daemon
	if second.PID == d.PID {
		t.Errorf("daemon %+v", second)
	}
	w.pm2("kill")
	w.gone(second.Identity) // it may take a moment after its own word
	if left := everything(t, w, w.home); left.Leftover {
		t.Errorf("daemon %+v", left)
	}
	w.m.Close()
}

// helperHome makes TestAnotherUsersDaemon the somebody else that it starts.
const helperHome = "EVENKEEL_TEST_LOOK_AT"

func TestAnotherUsersDaemon(t *testing.T) {
	if home := os.Getenv(helperHome); home != "" {
		lookAsSomebodyElse(t, home)
		return
	}
	dir, err := os.MkdirTemp("", "ek-pm2-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	fake(t, dir, nil)
	if os.Geteuid() != 0 { // then nobody may open what is closed to all, not even its owner
		if err := os.Chmod(socketPath(dir), 0); err != nil {
			t.Fatal(err)
		}
		lookAsSomebodyElse(t, dir)
		return
	}
	// Root may open everything, so that somebody else has to try: this program again, from where he may run it.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(socketPath(dir), 0o775)); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "test")
	if err := os.WriteFile(copied, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, "-test.run=^TestAnotherUsersDaemon$", "-test.v")
	cmd.Dir = dir
	cmd.Env = []string{helperHome + "=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestAnotherUsersDaemon") {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

func lookAsSomebodyElse(t *testing.T, home string) {
	m := New()
	defer m.Close()
	app := &v1alpha1.App{}
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "web", Home: home}
	s, err := m.Look(t.Context(), app)
	if !errors.Is(err, runtime.ErrPermission) || !runtime.CouldNotAsk(err) || s.Daemon.Reachable || s.Daemon.Why == "" {
		t.Errorf("%+v, %v", s.Daemon, err)
	}
}

func TestHomeIsFoundAsPM2FindsIt(t *testing.T) {
	for name, c := range map[string]struct {
		spec string
		env  map[string]string
		want string
	}{
		"the spec wins":  {"/spec", map[string]string{"PM2_HOME": "/env", "HOME": "/home/u"}, "/spec"},
		"then PM2_HOME":  {"", map[string]string{"PM2_HOME": "/env", "HOME": "/home/u"}, "/env"},
		"then HOME":      {"", map[string]string{"HOME": "/home/u"}, "/home/u/.pm2"},
		"made absolute":  {"/a/../b/", nil, "/b"},
		"then passwd's":  {"", nil, passwdHome(t) + "/.pm2"},
		"empty is unset": {"", map[string]string{"PM2_HOME": "", "HOME": ""}, passwdHome(t) + "/.pm2"},
	} {
		m := New(WithEnv(func(v string) string { return c.env[v] }))
		app := &v1alpha1.App{}
		app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "web", Home: c.spec}
		if got, err := m.Home(app); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

func passwdHome(t *testing.T) string {
	t.Helper()
	u := (&command{daemon: runtime.Daemon{UID: uint32(os.Getuid())}}).user()
	if u == nil {
		t.Fatal("the tests' user is not in passwd")
	}
	return u.HomeDir
}

func TestCommandsRunAsTheDaemonsUserAndAreEnded(t *testing.T) {
	dir, err := os.MkdirTemp("", "ek-pm2-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "pm2")
	if err := os.WriteFile(script, []byte(`#!/bin/sh
case $1 in
who) id -u ;;
fail) echo "  $(printf '\033[31m')[PM2][ERROR] $(printf '\033[39m')no, never" >&2; exit 1 ;;
denied) echo "[PM2][ERROR] Permission denied, to give access to current user:" >&2; exit 1 ;;
nonode) echo "/usr/bin/env: 'node': No such file or directory" >&2; exit 127 ;;
much) yes | head -c 200000 ;;
hang) sleep 600 & echo "[PM2] $!" >&2; wait ;;
esac
`), 0o755); err != nil {
		t.Fatal(err)
	}
	m := New()
	app := &v1alpha1.App{}
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "web", Home: dir, Command: []string{script}}
	h, spec, err := m.open(app)
	if err != nil {
		t.Fatal(err)
	}
	uid := os.Getuid()
	if uid == 0 {
		uid = 65534
	}
	cmd := &command{m: m, home: h, spec: spec, daemon: runtime.Daemon{UID: uint32(uid)}}
	out, err := cmd.run(t.Context(), 64<<10, "who")
	if got := strings.TrimSpace(string(out)); err != nil || got != itoa(uid) {
		t.Errorf("it ran as %s, %v", got, err)
	}
	if out, err := cmd.run(t.Context(), 64<<10, "much"); err != nil || len(out) != 64<<10 {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	var failed *runtime.CommandError
	if _, err = cmd.run(t.Context(), 64<<10, "fail"); !errors.As(err, &failed) || failed.Code != 1 || failed.Tail != "[PM2][ERROR] no, never" {
		t.Errorf("error %v", err)
	}
	if _, err = cmd.run(t.Context(), 64<<10, "denied"); !errors.Is(err, runtime.ErrPermission) {
		t.Errorf("error %v", err)
	}
	if _, err = cmd.run(t.Context(), 64<<10, "nonode"); !errors.Is(err, runtime.ErrNoCommand) || !strings.Contains(err.Error(), "node") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err = cmd.run(ctx, 64<<10, "hang"); !errors.Is(err, runtime.ErrTimeout) || !errors.As(err, &failed) {
		t.Fatalf("error %v", err)
	}
	eventually(t, "what the command had started is gone: "+failed.Tail, func() bool {
		all, err := procfs.Default().Processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if args, _ := procfs.Default().Cmdline(p.Identity); p.Alive() && len(args) == 2 && args[0] == "sleep" && p.Comm == "sleep" && failed.Tail == "[PM2] "+itoa(p.PID) {
				return false
			}
		}
		return true
	})

	spec.Command = nil
	m.getenv = func(string) string { return "" }
	if find([]string{"/usr/local/bin", "/usr/bin", "/bin"}, "pm2") == "" {
		if _, err := cmd.run(t.Context(), 64<<10, "who"); !errors.Is(err, runtime.ErrNoCommand) || !strings.Contains(err.Error(), "/usr/local/bin") {
			t.Errorf("error %v", err)
		}
	}
}
