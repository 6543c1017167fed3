//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	const tail = " S 100 101 102 0 -1 4194304 1 2 3 4 150 50 7 8 20 -5 11 0 123456 1000000 25 18446744073709551615 1\n"
	for name, comm := range map[string]string{
		"plain":               "node",
		"next.js":             "next-server (v1",
		"pm2":                 "PM2 v7.0.4: God",
		"closing bracket":     "a) R 1 1 (b",
		"newline":             "a\nb) Z",
		"empty":               "",
		"nothing but bracket": ")",
	} {
		t.Run(name, func(t *testing.T) {
			var p Process
			if err := parseStat([]byte("4711 ("+comm+")"+tail), &p); err != nil {
				t.Fatal(err)
			}
			want := Process{
				Identity: Identity{PID: 4711, StartTicks: 123456}, PPID: 100, PGID: 101, SID: 102, Comm: comm,
				State: Sleeping, Threads: 11, CPU: 2 * time.Second, RSS: 25 * uint64(os.Getpagesize()),
			}
			if p != want {
				t.Errorf("got  %+v\nwant %#v", p, want)
			}
		})
	}
	for name, line := range map[string]string{
		"empty":        "",
		"no brackets":  "1 node S 1",
		"cut off":      "1 (node) S 100 101",
		"no pid":       "(node)" + tail,
		"letters":      "1 (node) S 1 x" + tail,
		"swapped":      "1 )node(" + tail,
		"endless pid":  "99999999999999999999999 (a)" + tail,
		"state a word": "1 (node) SS" + tail[2:],
	} {
		t.Run(name, func(t *testing.T) {
			var p Process
			if err := parseStat([]byte(line), &p); err == nil {
				t.Errorf("accepted %q as %#v", line, p)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (next-server (v1) S 100 101 102 0 -1 4194304 1 2 3 4 150 50 7 8 20 -5 11 0 123456 1000000 25 1 1\n"))
	f.Add([]byte("1 ()) Z"))
	if own, err := os.ReadFile("/proc/self/stat"); err == nil {
		f.Add(own)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		var p Process
		err := parseStat(b, &p)
		if string(b) != before {
			t.Fatal("input changed")
		}
		if err == nil && (p.PID < 0 || p.PPID < 0 || p.CPU < 0 || p.StartedAt() < 0 || strings.Contains(before[strings.LastIndexByte(before, ')')+1:], ")")) {
			t.Fatalf("impossible: %#v", p)
		}
	})
}

func TestParseIdentity(t *testing.T) {
	for in, want := range map[string]Identity{
		"1:0":                             {1, 0},
		"23116:18446744073709551615":      {23116, 1<<64 - 1},
		"":                                {},
		"1":                               {},
		"1:":                              {},
		":1":                              {},
		"0:1":                             {},
		"-1:1":                            {},
		"1:1:1":                           {},
		" 1:1":                            {},
		"99999999999:1":                   {},
		"1:18446744073709551616":          {},
		"1:99999999999999999999999999999": {},
	} {
		got, err := ParseIdentity(in)
		if got != want || (err == nil) != (want != Identity{}) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
		if err == nil && got.String() != in {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add("1:2")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseIdentity(s)
		if err != nil {
			return
		}
		if again, err := ParseIdentity(id.String()); err != nil || again != id {
			t.Fatalf("%q: %v, then %v, %v", s, id, again, err)
		}
	})
}

func TestOwnProcess(t *testing.T) {
	p, err := Default().Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if p.PID != os.Getpid() || p.PPID != os.Getppid() || int(p.UID) != os.Geteuid() || !p.Alive() || p.Kernel || p.RSS == 0 || p.Threads == 0 {
		t.Errorf("%#v", p)
	}
	if age := SinceBoot() - p.StartedAt(); age < 0 || age > time.Hour {
		t.Errorf("started %v ago", age)
	}
	if alive, err := Default().Alive(p.Identity); !alive || err != nil {
		t.Errorf("alive: %v, %v", alive, err)
	}
	other := p.Identity
	other.StartTicks++
	if _, err := Default().Check(other); !errors.Is(err, ErrGone) {
		t.Errorf("another start time: %v", err)
	}
}

func TestCommWithBracketsAndNewline(t *testing.T) {
	for _, comm := range []string{"next-server (v1", "a) Z\n1 (b"} {
		cmd := helper(t, "comm", "HELPER_COMM="+comm)
		p, err := Default().Process(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if p.Comm != comm || p.PPID != os.Getpid() || p.PID != cmd.Process.Pid {
			t.Errorf("%q: %#v", comm, p)
		}
	}
}

func TestZombieIsDead(t *testing.T) {
	cmd := helper(t, "plain")
	id := identity(t, cmd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the helper is a zombie", func() bool {
		p, err := Default().Process(id.PID)
		return err == nil && p.State == Zombie
	})
	for name, ask := range map[string]func() error{
		"Check":       func() error { _, err := Default().Check(id); return err },
		"Cmdline":     func() error { _, err := Default().Cmdline(id); return err },
		"Cwd":         func() error { _, err := Default().Cwd(id); return err },
		"Exe":         func() error { _, err := Default().Exe(id); return err },
		"Environ":     func() error { _, err := Default().Environ(id, "HOME"); return err },
		"Memory":      func() error { _, err := Default().Memory(id); return err },
		"Descriptors": func() error { _, err := Default().Descriptors(id); return err },
	} {
		if err := ask(); !errors.Is(err, ErrGone) {
			t.Errorf("%s of a zombie: %v", name, err)
		}
	}
	if alive, err := Default().Alive(id); alive || err != nil {
		t.Errorf("alive: %v, %v", alive, err)
	}
	_ = cmd.Wait()
	if _, err := Default().Process(id.PID); !errors.Is(err, ErrGone) {
		t.Errorf("after it was reaped: %v", err)
	}
}

func TestHandleStaysWithItsProcess(t *testing.T) {
	cmd := helper(t, "plain")
	h, err := Default().open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, err := h.process(); !errors.Is(err, ErrGone) {
		t.Errorf("process: %v", err)
	}
	if _, err := h.contents("environ\x00", 1<<20); !errors.Is(err, ErrGone) {
		t.Errorf("environ: %v", err)
	}
}

func TestDetails(t *testing.T) {
	cmd := helper(t, "plain", "PM2_HOME=/home/x/.pm2", "EMPTY=", "PM2_HOME_NOT=1", "SECRET=s3cret", "TWICE=a=b")
	id := identity(t, cmd)
	args, err := Default().Cmdline(id)
	if err != nil || !reflect.DeepEqual(args, []string{os.Args[0]}) {
		t.Errorf("cmdline: %q, %v", args, err)
	}
	exe, err := Default().Exe(id)
	if self, _ := os.Executable(); err != nil || exe != self {
		t.Errorf("exe: %q, %v", exe, err)
	}
	cwd, err := Default().Cwd(id)
	if want, _ := os.Getwd(); err != nil || cwd != want {
		t.Errorf("cwd: %q, %v", cwd, err)
	}
	for path, elsewhere := range map[string]bool{cwd: false, t.TempDir(): true, "/not/there": false} {
		if Default().WorksElsewhere(id, path) != elsewhere {
			t.Errorf("in %s it works elsewhere: %v", path, !elsewhere)
		}
	}
	env, err := Default().Environ(id, "PM2_HOME", "EMPTY", "TWICE", "NOT_THERE")
	if want := map[string]string{"PM2_HOME": "/home/x/.pm2", "EMPTY": "", "TWICE": "a=b"}; err != nil || !reflect.DeepEqual(env, want) {
		t.Errorf("environ: %q, %v", env, err)
	}
	m, err := Default().Memory(id)
	if err != nil || m.RSS == 0 || m.PSS == 0 || m.PSS > m.RSS {
		t.Errorf("memory: %+v, %v", m, err)
	}
	d, err := Default().Descriptors(id)
	if err != nil || d.Open < 3 || uint64(d.Open) > d.Limit {
		t.Errorf("descriptors: %+v, %v", d, err)
	}
}

func TestAnotherProcessWithThePidIsNotAnswered(t *testing.T) {
	id := identity(t, helper(t, "plain", "SECRET=s3cret"))
	id.StartTicks--
	if env, err := Default().Environ(id, "SECRET"); !errors.Is(err, ErrGone) || env != nil {
		t.Errorf("%q, %v", env, err)
	}
}

func TestLargeEnvironment(t *testing.T) {
	large := strings.Repeat("x", 120<<10)
	id := identity(t, helper(t, "plain", "A="+large, "B="+large, "LAST=yes"))
	env, err := Default().Environ(id, "LAST", "B")
	if err != nil || env["LAST"] != "yes" || env["B"] != large {
		t.Errorf("%d variables, %v", len(env), err)
	}
}

func TestCmdlinePadding(t *testing.T) {
	root := t.TempDir()
	fake(t, root, 7, "next-server (v1", 1, 10)
	write(t, root, "7/cmdline", "next-server (v16.4.6)          \x00\x00\x00")
	fake(t, root, 8, "kthreadd", 0, 10)
	write(t, root, "8/cmdline", "")
	if args, err := New(root).Cmdline(Identity{7, 10}); err != nil || len(args) != 1 || args[0] != "next-server (v16.4.6)" {
		t.Errorf("%q, %v", args, err)
	}
	if args, err := New(root).Cmdline(Identity{8, 10}); err != nil || args != nil {
		t.Errorf("%q, %v", args, err)
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		args  []string
		limit int
		want  string
	}{
		{nil, 10, ""},
		{[]string{"node", "server.js"}, 80, "node server.js"},
		{[]string{"node", "server.js"}, 6, "node s…"},
		{[]string{"node", "server.js"}, 5, "node…"},
		{[]string{"a\nb\x1b[31m", "\xff"}, 80, "a?b?[31m ?"},
		{[]string{"größe"}, 3, "grö…"},
	} {
		if got := Short(c.args, c.limit); got != c.want {
			t.Errorf("%q, %d: %q, want %q", c.args, c.limit, got, c.want)
		}
	}
}

func TestTree(t *testing.T) {
	cmd := helper(t, "parent")
	tree, err := Default().Tree(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree) != 2 || tree[0].PID != cmd.Process.Pid || tree[1].PPID != tree[0].PID {
		t.Fatalf("%#v", tree)
	}
	children, err := Default().Children(os.Getpid())
	if err != nil || !slices.ContainsFunc(children, func(p Process) bool { return p.PID == cmd.Process.Pid }) {
		t.Errorf("children: %+v, %v", children, err)
	}
	s, err := Default().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	line := s.Ancestors(tree[1].PID)
	if len(line) < 2 || line[0].PID != tree[0].PID || line[1].PID != os.Getpid() {
		t.Errorf("ancestors: %#v", line)
	}
	if _, err := Default().Tree(1 << 30); !errors.Is(err, ErrGone) {
		t.Errorf("tree of nothing: %v", err)
	}
}

func TestTreeOfForeignLayouts(t *testing.T) {
	root := t.TempDir()
	fake(t, root, 1, "init", 0, 1)
	fake(t, root, 10, "app) S 1", 1, 100)
	fake(t, root, 11, "child", 10, 110)
	fake(t, root, 12, "grandchild", 11, 120)
	fake(t, root, 13, "older than its parent", 11, 50) // its parent's pid was given away again
	fake(t, root, 14, "its own parent", 14, 1)
	write(t, root, "15/note", "without stat: gone while looking")
	write(t, root, "self/stat", "not a pid")
	pids := func(ps []Process) (out []int) {
		for _, p := range ps {
			out = append(out, p.PID)
		}
		return out
	}
	all, err := New(root).Processes()
	if got := pids(all); err != nil || !slices.Equal(got, []int{1, 10, 11, 12, 13, 14}) {
		t.Errorf("%v, %v", got, err)
	}
	tree, err := New(root).Tree(10)
	if got := pids(tree); err != nil || !slices.Equal(got, []int{10, 11, 12}) {
		t.Errorf("%v, %v", got, err)
	}
	if tree, err := New(root).Tree(14); err != nil || len(tree) != 1 {
		t.Errorf("%v, %v", tree, err)
	}
	if tree, err := New(root).Tree(15); !errors.Is(err, ErrGone) {
		t.Errorf("%v, %v", tree, err)
	}
}

// With hidepid=2 a process of somebody else is "no such file"; taking that for dead would start a second app.
func TestHiddenIsNotGone(t *testing.T) {
	var mountErr, own, foreign, dead error
	_, inode := listen(t)
	var holders Holders
	asNobody(t, func() {
		if mountErr = unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); mountErr == nil {
			mountErr = unix.Mount("proc", "/proc", "proc", 0, "hidepid=2")
		}
	}, func() {
		if mountErr != nil {
			return
		}
		_, foreign = Default().Process(1)
		_, dead = Default().Process(1<<22 - 1)
		_, own = Default().Snapshot()
		holders, _ = Default().InodeOwners([]uint64{inode}, nil)
	})
	if mountErr != nil {
		t.Skip(mountErr)
	}
	if !errors.Is(foreign, os.ErrPermission) || errors.Is(foreign, ErrGone) {
		t.Errorf("hidden: %v", foreign)
	}
	if !errors.Is(dead, ErrGone) {
		t.Errorf("dead: %v", dead)
	}
	if own != nil {
		t.Errorf("snapshot: %v", own)
	}
	if holders.Denied == 0 {
		t.Error("a hidden world counted as one that was looked into")
	}
}

func TestWithoutRights(t *testing.T) {
	cmd := helper(t, "plain", "SECRET=x")
	id := identity(t, cmd)
	var stat, environ, cwd error
	asNobody(t, nil, func() {
		_, stat = Default().Check(id)
		_, environ = Default().Environ(id, "SECRET")
		_, cwd = Default().Cwd(id)
	})
	if stat != nil {
		t.Errorf("stat: %v", stat)
	}
	if !errors.Is(environ, os.ErrPermission) || !errors.Is(cwd, os.ErrPermission) {
		t.Errorf("environ: %v; cwd: %v", environ, cwd)
	}
}

func identity(t testing.TB, cmd *exec.Cmd) Identity {
	t.Helper()
	p, err := Default().Process(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p.Identity
}

func fake(t *testing.T, root string, pid int, comm string, ppid int, start int) {
	t.Helper()
	write(t, root, fmt.Sprintf("%d/stat", pid),
		fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0 0\n", pid, comm, ppid, start))
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLevels(t *testing.T) {
	for text, want := range map[string]int{
		"Name:\tx\nNSpid:\t7\nNSpgid:\t7\n":          1,
		"Name:\tx\nNSpid:\t4711\t12\t1\nThreads:\t1": 3,
		"Name:\tx\n": 0,
		"":           0,
	} {
		if got := levels([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// TestContained: what has a pid namespace of its own, as a container has; nobody else.
func TestContained(t *testing.T) {
	fs := Default()
	is := func(pid int) bool {
		p, err := fs.Process(pid)
		if err != nil {
			t.Fatal(err)
		}
		contained, err := fs.Contained(p.Identity)
		if err != nil {
			t.Fatal(err)
		}
		return contained
	}
	if is(os.Getpid()) || is(helper(t, "plain").Process.Pid) {
		t.Error("this is no container")
	}
	if _, err := fs.Contained(Identity{PID: os.Getpid(), StartTicks: 1}); !errors.Is(err, ErrGone) {
		t.Errorf("somebody else: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Log("a pid namespace needs root; TestLevels reads what the kernel says of one")
		return
	}
	cmd := exec.CommandContext(t.Context(), "sleep", "1h")
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if !is(cmd.Process.Pid) {
		t.Error("it lives in a pid namespace of its own")
	}
}
