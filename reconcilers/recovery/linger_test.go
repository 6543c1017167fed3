package recovery

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/signals"
)

// fakeRuntime answers with what a test says and takes no orders.
type fakeRuntime struct {
	runtime.Runtime
	snapshot runtime.Snapshot
	err      error
}

func (r *fakeRuntime) Look(context.Context, *v1alpha1.App) (runtime.Snapshot, error) {
	return r.snapshot, r.err
}

// child starts a process under a name, with an environment, and gives its identity. It ends with the test.
func child(t *testing.T, name string, env ...string) procfs.Identity {
	t.Helper()
	// `cat` ends when its standard input is closed, at the latest with this process; a sign on its output tells that it runs.
	cmd := exec.Command("/bin/cat")
	cmd.Args = []string{name} // one argument, as those have who write over their own command line
	return begin(t, cmd, env)
}

// inheriting starts a process that has a file open besides.
func inheriting(t *testing.T, name string, file *os.File, env ...string) procfs.Identity {
	t.Helper()
	cmd := exec.Command("/bin/cat")
	cmd.Args, cmd.ExtraFiles = []string{name}, []*os.File{file}
	return begin(t, cmd, env)
}

// begin starts a command that gives back what it is given, and waits until it does.
func begin(t *testing.T, cmd *exec.Cmd, env []string) procfs.Identity {
	t.Helper()
	cmd.Env = env
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("up\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	p, err := procfs.Default().Process(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return p.Identity
}

// below starts a process in one of this name, and gives its identity.
func below(t *testing.T, name string, env ...string) procfs.Identity {
	t.Helper()
	cmd := exec.Command("/bin/sh")
	cmd.Args = []string{name, "-c", "/bin/cat; :"}
	parent := begin(t, cmd, env)
	children, err := procfs.Default().Children(parent.PID)
	if err != nil || len(children) != 1 {
		t.Fatalf("children of %s: %v, %v", name, children, err)
	}
	return children[0].Identity
}

const home = "/home/site/.pm2"

func marked(mark string) []string {
	return []string{"PM2_HOME=" + home, "unique_id=" + mark, "name=site", "pm_cwd=/srv/site"}
}

func alive(t *testing.T, id procfs.Identity) bool {
	t.Helper()
	ok, err := procfs.Default().Alive(id)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestOnlyWhatIsProvedToBeTheAppsIsEnded(t *testing.T) {
	app := v1alpha1.NewApp()
	app.Spec.Recovery.StopTimeout.Duration = 2 * time.Second

	orphan := child(t, "node server.js", marked("ours")...)
	live := child(t, "node server.js", marked("ours")...)
	survivors := map[string]procfs.Identity{
		"the runtime's live process":          live,
		"no mark":                             child(t, "node server.js", "PATH=/bin"),
		"another home's process":              child(t, "node server.js", "PM2_HOME=/root/.pm2", "unique_id=ours"),
		"another row's mark":                  child(t, "node server.js", marked("theirs")...),
		"the same name and folder alone":      child(t, "node server.js", "PM2_HOME="+home, "name=site", "pm_cwd=/srv/site"),
		"a PM2 daemon born with our marks":    child(t, "PM2 v7.0.4: God Daemon ("+home+")", marked("ours")...),
		"an install begun from the app's own": child(t, "npm ci", marked("ours")...),
		"an editor":                           child(t, "vim .env", marked("ours")...),
		"an editor's server":                  child(t, "/home/site/.vscode-server/bin/1/node", marked("ours")...),
		"a terminal":                          child(t, "tmux: server", marked("ours")...),
		"a connection":                        child(t, "sshd: site@pts/0", marked("ours")...),
		"what runs in a terminal":             below(t, "tmux: server", marked("ours")...),
		"a checkout":                          child(t, "git pull", marked("ours")...),
		"another application of this PM2":     child(t, "node shop.js", marked("ours")...),
		"an orphan of another application":    child(t, "node shop.js", marked("shops")...),
	}
	rt := &fakeRuntime{snapshot: runtime.Snapshot{
		Daemon:    daemonIn(home),
		Processes: []runtime.Process{{Name: "site", ID: "0", PID: live.PID, Identity: live, Mark: "ours"}},
		Others: []runtime.Process{{
			Name: "shop", ID: "1", Mark: "shops",
			PID: survivors["another application of this PM2"].PID, Identity: survivors["another application of this PM2"],
		}},
	}}
	h := &Hands{FS: procfs.Default(), Runtime: rt}
	step := pass.Step{Name: StepLinger, Learned: v1alpha1.Learned{MarksOf: runtime.NameOf(app), Marks: []string{"ours", "shops"}}}
	out := h.linger(t.Context(), app, step)
	if out.StepOutcome != v1alpha1.StepDone {
		t.Fatalf("%s: %s", out.StepOutcome, out.message)
	}
	if alive(t, orphan) {
		t.Error("the orphan is still there")
	}
	for name, id := range survivors {
		if !alive(t, id) {
			t.Errorf("%s was ended", name)
		}
	}
}

// scripts writes shell scripts into a folder of their own: what is named npm shows as npm does.
func scripts(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// line gives the identities of a process and of its one descendant after the other.
func line(t *testing.T, first procfs.Identity) (list []procfs.Identity) {
	t.Helper()
	tree, err := procfs.Default().Tree(first.PID)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tree {
		list = append(list, p.Identity)
	}
	t.Cleanup(func() {
		for _, id := range list[1:] {
			_ = signals.Send(context.Background(), id, unix.SIGKILL)
		}
	})
	return list
}

// A deploy that was begun by the application itself bears its marks, and descends from it: nothing of it is ended, though
// the server that has begun it is.
func TestNothingOfADeployIsEnded(t *testing.T) {
	dir := scripts(t, map[string]string{"server": `"${0%/*}/deploy.sh" 3<&-; :`, "deploy.sh": `"${0%/*}/npm" ci; :`, "npm": "/bin/cat; :"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "server"))
	cmd.ExtraFiles = []*os.File{file}
	serves := line(t, begin(t, cmd, marked("ours"))) // server, deploy.sh, npm, cat
	alone := line(t, begin(t, exec.Command(filepath.Join(dir, "deploy.sh")), marked("ours")))
	leftover := child(t, "node server.js", marked("ours")...)
	_, _ = file.Close(), l.Close()
	if len(serves) != 4 || len(alone) != 3 {
		t.Fatalf("%d and %d processes", len(serves), len(alone))
	}

	app := v1alpha1.NewApp()
	app.Spec.Recovery.StopTimeout.Duration, app.Spec.Port = 2*time.Second, int32(l.Addr().(*net.TCPAddr).Port)
	h := &Hands{FS: procfs.Default(), Runtime: &fakeRuntime{snapshot: runtime.Snapshot{Daemon: daemonIn(home)}}}
	step := pass.Step{Name: StepLinger, Learned: v1alpha1.Learned{MarksOf: runtime.NameOf(app), Marks: []string{"ours"}}}
	out := h.linger(t.Context(), app, step)
	if out.StepOutcome != v1alpha1.StepDone || alive(t, leftover) {
		t.Errorf("%s: %s; the orphan lives: %t", out.StepOutcome, out.message, alive(t, leftover))
	}
	if alive(t, serves[0]) {
		t.Error("the server that holds the port was left alone")
	}
	for n, id := range append(serves[1:], alone...) {
		if !alive(t, id) {
			t.Errorf("a part of a deploy was ended: %d", n)
		}
	}
}

// What was the row's own process is no deploy, whatever its name, and neither is what descends from it.
func TestARowsOwnProcessIsNoDeploy(t *testing.T) {
	dir := scripts(t, map[string]string{"npm": "/bin/cat; :"})
	app := v1alpha1.NewApp()
	app.Spec.Recovery.StopTimeout.Duration = 2 * time.Second
	row := line(t, begin(t, exec.Command(filepath.Join(dir, "npm"), "run", "build:serve"), marked("ours")))
	rt := &fakeRuntime{snapshot: runtime.Snapshot{
		Daemon: daemonIn(home), Processes: []runtime.Process{{Name: "site", ID: "0", PID: row[0].PID, Identity: row[0]}},
	}}
	h := &Hands{FS: procfs.Default(), Runtime: rt}
	h.remember(app.Name, "1-1", &rt.snapshot)
	rt.snapshot.Processes = nil
	out := h.linger(t.Context(), app, pass.Step{Recovery: v1alpha1.Recovery{ID: "1-1"}})
	if out.StepOutcome != v1alpha1.StepDone || alive(t, row[0]) || alive(t, row[1]) {
		t.Fatalf("%s: %s", out.StepOutcome, out.message)
	}
}

func TestWithoutADaemonOrphansAreEndedWhereItCanBeBroughtBack(t *testing.T) {
	app := v1alpha1.NewApp()
	app.Spec.Recovery.StopTimeout.Duration = 2 * time.Second
	ours, theirs := child(t, "node server.js", marked("ours")...), child(t, "node server.js", marked("theirs")...)
	rt := &fakeRuntime{err: fmt.Errorf("look: %w", runtime.ErrNoDaemon), snapshot: runtime.Snapshot{Daemon: daemonIn(home)}}
	rt.snapshot.Daemon.Reachable = false
	h := &Hands{FS: procfs.Default(), Runtime: rt}
	step := pass.Step{Name: StepLinger, Learned: v1alpha1.Learned{MarksOf: runtime.NameOf(app), Marks: []string{"ours"}}}
	if out := h.linger(t.Context(), app, step); out.StepOutcome != v1alpha1.StepFailed || !alive(t, ours) {
		t.Errorf("what nothing could replace: %s: %s, lives: %t", out.StepOutcome, out.message, alive(t, ours))
	}
	rt.snapshot.Daemon.Revival = runtime.Revival{How: "pm2 resurrect", Marks: []string{"ours"}}
	step.Learned.Marks = nil // what was saved is proof enough
	if out := h.linger(t.Context(), app, step); out.StepOutcome != v1alpha1.StepDone || alive(t, ours) {
		t.Errorf("what can be replaced: %s: %s", out.StepOutcome, out.message)
	}
	if !alive(t, theirs) {
		t.Error("another application's process was ended")
	}
}

func TestMarksOfAnotherNameProveNothing(t *testing.T) {
	app := v1alpha1.NewApp()
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "green"}
	left := child(t, "node server.js", marked("blues")...)
	h := &Hands{FS: procfs.Default(), Runtime: &fakeRuntime{snapshot: runtime.Snapshot{Daemon: daemonIn(home)}}}
	step := pass.Step{Name: StepLinger, Learned: v1alpha1.Learned{MarksOf: "blue", Marks: []string{"blues"}}}
	if out := h.linger(t.Context(), app, step); out.StepOutcome != v1alpha1.StepSkipped || !alive(t, left) {
		t.Fatalf("%s: %s", out.StepOutcome, out.message)
	}
}

func TestDescentProvesUntilTheStopAndNotAfterIt(t *testing.T) {
	app := v1alpha1.NewApp()
	app.Spec.Recovery.StopTimeout.Duration = 2 * time.Second
	main := child(t, "npm start", "PATH=/bin")
	rt := &fakeRuntime{snapshot: runtime.Snapshot{
		Daemon: daemonIn(home), Processes: []runtime.Process{{Name: "site", ID: "0", PID: main.PID, Identity: main}},
	}}
	h := &Hands{FS: procfs.Default(), Runtime: rt}
	h.remember(app.Name, "1-1", &rt.snapshot)
	rt.snapshot.Processes[0].PID, rt.snapshot.Processes[0].Identity = 0, procfs.Identity{} // the runtime has let go of it
	step := pass.Step{Name: StepLinger, Recovery: v1alpha1.Recovery{ID: "1-2"}}
	if out := h.linger(t.Context(), app, step); out.StepOutcome != v1alpha1.StepSkipped || !alive(t, main) {
		t.Fatalf("another recovery's memory was used: %s: %s", out.StepOutcome, out.message)
	}
	step.Recovery.ID = "1-1"
	if out := h.linger(t.Context(), app, step); out.StepOutcome != v1alpha1.StepDone || alive(t, main) {
		t.Fatalf("the process that descended from the runtime's was not ended: %s: %s", out.StepOutcome, out.message)
	}
}

func TestEvenkeelAndWhatIsAboveItAreNeverTouched(t *testing.T) {
	self, err := procfs.Default().Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	rt := &fakeRuntime{snapshot: runtime.Snapshot{
		Daemon: daemonIn(home), Processes: []runtime.Process{{Name: "site", ID: "0", PID: self.PID, Identity: self.Identity}},
	}}
	h := &Hands{FS: procfs.Default(), Runtime: rt}
	h.remember("", "1-1", &rt.snapshot)
	rt.snapshot.Processes = nil
	app := v1alpha1.NewApp()
	app.Spec.Recovery.StopTimeout.Duration = 100 * time.Millisecond
	out := h.linger(t.Context(), app, pass.Step{Recovery: v1alpha1.Recovery{ID: "1-1"}})
	if out.StepOutcome == v1alpha1.StepDone {
		t.Fatalf("it says that it has ended itself: %s", out.message)
	}
}

func TestStepsAreTheMissionsInItsOrder(t *testing.T) {
	order := []string{StepStop, StepLinger, StepPort, StepCaches, StepMemory, StepStart, StepVerify}
	if !slices.Equal(Clean(), order) {
		t.Fatalf("clean = %v, want %v", Clean(), order)
	}
	without := slices.DeleteFunc(slices.Clone(order), func(s string) bool { return s == StepCaches })
	if !slices.Equal(Plain(), without) {
		t.Fatalf("plain = %v, want %v", Plain(), without)
	}
	app := v1alpha1.NewApp()
	for _, s := range order {
		traits := Traits(app, s)
		if traits.Timeout <= 0 {
			t.Errorf("step %s has no bound", s)
		}
		if traits.Starts != (s == StepStart) || traits.Proves != (s == StepVerify) {
			t.Errorf("step %s: %+v", s, traits)
		}
	}
}

func daemonIn(home string) runtime.Daemon {
	return runtime.Daemon{Reachable: true, Home: home, Badge: runtime.Badge{HomeVar: "PM2_HOME", MarkVar: "unique_id", Home: home}}
}

func TestIsEditor(t *testing.T) {
	for _, tc := range []struct {
		comm string
		args []string
		want bool
	}{
		{"vim", []string{"vim", "/srv/site/.env"}, true},
		{"nano", []string{"/usr/bin/nano"}, true},
		{"tmux: server", []string{"tmux", "new"}, true},
		{"screen", []string{"SCREEN", "-S", "work"}, true},
		{"sshd", []string{"sshd: deploy@pts/0"}, true},
		{"node", []string{"/home/deploy/.vscode-server/bin/1a2b/node", "/home/deploy/.vscode-server/bin/1a2b/out/server-main.js"}, true},
		{"node", []string{"node", "/usr/lib/code-server/out/node/entry"}, true},
		{"next-server (v1", []string{"next-server (v16.4.6)"}, false},
		{"npm start", []string{"npm start"}, false},
		{"node", []string{"node", "/srv/site/server.js"}, false},
		{"node", []string{"node", "server.js", "/home/deploy/.vscode-server/data"}, false},
		{"sh", []string{"sh", "-c", "next start"}, false},
		{"", nil, false},
	} {
		if got := isEditor(tc.comm, tc.args); got != tc.want {
			t.Errorf("isEditor(%q, %q) = %t", tc.comm, tc.args, got)
		}
	}
}

func TestAProcessManagerInATerminalDoesNotHideItsOrphans(t *testing.T) {
	inside := below(t, "tmux: server", marked("ours")...)
	procs, err := procfs.Default().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := procs.Get(inside.PID)
	h := &Hands{FS: procfs.Default()}
	if g := h.guard(v1alpha1.NewApp(), &runtime.Snapshot{}, &procs); g.forbids(p) != guardEditor {
		t.Fatalf("%q", g.forbids(p))
	}
	// The process manager itself is what runs it, under that name.
	g := h.guard(v1alpha1.NewApp(), &runtime.Snapshot{Daemon: runtime.Daemon{PID: p.PPID}}, &procs)
	if why := g.forbids(p); why != "" {
		t.Fatalf("%q", why)
	}
}
