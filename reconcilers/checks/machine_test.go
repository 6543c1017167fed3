package checks

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func proberOn(fs procfs.FS) *Prober {
	p := &Prober{FS: fs}
	p.setUp()
	return p
}

func TestDiskResult(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ".next/cache/images/a"), strings.Repeat("x", 1<<20))
	app := site("site")
	app.Spec.Directory = dir
	p := proberOn(procfs.New(t.TempDir()))
	p.Folders = []string{dir}
	l := &look{app: app, now: moment(time.Minute)}
	r := p.diskResult(t.Context(), l)
	f := factsOf[facts.Disk](t, r)
	if r.Status != yes || len(f.Volumes) != 1 || strings.Join(f.Volumes[0].Holds, " ") != "app state" || f.Caches != 0 {
		t.Errorf("enough: %s %+v", r.Status, f)
	}
	app.Spec.Checks.Disk.MinFree = quantity("1000Pi")
	r = p.diskResult(t.Context(), l)
	if f = factsOf[facts.Disk](t, r); r.Status != no || r.Reason != "NoSpace" || f.Caches < 1<<20 || !strings.Contains(r.Message, "wanted") {
		t.Errorf("too little: %s %s %q %+v", r.Status, r.Reason, r.Message, f)
	}
	write(t, filepath.Join(dir, ".next/cache/images/b"), strings.Repeat("x", 1<<20))
	if again := factsOf[facts.Disk](t, p.diskResult(t.Context(), l)); again.Caches != f.Caches {
		t.Error("the caches are weighed at every look")
	}
	l.now = moment(2 * time.Minute)
	if again := factsOf[facts.Disk](t, p.diskResult(t.Context(), l)); again.Caches <= f.Caches {
		t.Error("the caches are never weighed again")
	}
	app.Spec.Directory, p.Folders = filepath.Join(dir, "none"), nil
	if r := p.diskResult(t.Context(), l); r.Status != maybe {
		t.Errorf("no folder: %s %s", r.Status, r.Message)
	}
}

func TestVolumes(t *testing.T) {
	for _, tc := range []struct {
		name        string
		v           facts.Volume
		short, full bool
	}{
		{"room", facts.Volume{Free: 300, Want: 256, Inodes: 9000, FreeInodes: 5000, WantInodes: 1000}, false, false},
		{"little room", facts.Volume{Free: 200, Want: 256}, true, false},
		{"none", facts.Volume{Free: 15, Want: 256}, true, true},
		{"few inodes", facts.Volume{Free: 300, Want: 256, Inodes: 9000, FreeInodes: 900, WantInodes: 1000}, true, false},
		{"no inodes", facts.Volume{Free: 300, Want: 256, Inodes: 9000, WantInodes: 1000}, true, true},
		{"a file system without inodes", facts.Volume{Free: 300, Want: 256}, false, false},
		{"read-only", facts.Volume{Free: 300, Want: 256, ReadOnly: true}, true, true},
	} {
		if tc.v.Short() != tc.short || tc.v.Full() != tc.full {
			t.Errorf("%s: short %t, full %t", tc.name, tc.v.Short(), tc.v.Full())
		}
	}
}

func TestWhatDoesNotAnswerIsNotAskedTwice(t *testing.T) {
	var p patient[int]
	asked, release := 0, make(chan struct{})
	ask := func() int { asked++; <-release; return asked }
	if p.ask("a", time.Millisecond, ask) != nil || p.ask("a", time.Hour, ask) != nil {
		t.Error("an answer from nowhere")
	}
	close(release)
	for {
		if n := p.ask("a", time.Hour, ask); n != nil {
			if *n != 2 {
				t.Errorf("answer %d: want that of the second question, the first is of long ago", *n)
			}
			return
		}
	}
}

// hostOf lays the files of the machine itself out: what its processors have done, in hundredths of a second, and the first
// process's time on one and waiting for one.
func hostOf(t *testing.T, dir string, busy, idle int, pid, used int, ran, waited time.Duration) {
	t.Helper()
	write(t, filepath.Join(dir, "stat"), "cpu "+strconv.Itoa(busy)+" 0 0 "+strconv.Itoa(idle)+" 0 0 0 0 0 0\ncpu0 1\n")
	write(t, filepath.Join(dir, "loadavg"), "4.00 2.00 1.00 5/100 1234\n")
	write(t, filepath.Join(dir, "vmstat"), "oom_kill 3\n")
	at := filepath.Join(dir, strconv.Itoa(pid))
	write(t, filepath.Join(at, "stat"), strconv.Itoa(pid)+" (node) R 1 1 1 0 -1 0 0 0 0 0 "+strconv.Itoa(used)+" 0 0 0 20 0 1 0 100 1000000 100\n")
	write(t, filepath.Join(at, "schedstat"), strconv.FormatInt(int64(ran), 10)+" "+strconv.FormatInt(int64(waited), 10)+" 9\n")
}

func TestHostResultTellsWhoKeepsWhomFromAProcessor(t *testing.T) {
	for _, tc := range []struct {
		name        string
		busy, idle  int // of the window, in hundredths
		used        int
		ran, waited time.Duration
		status      metav1.ConditionStatus
	}{
		{"at leisure", 10, 190, 8, 80 * time.Millisecond, time.Millisecond, yes},
		{"another program takes it all", 200, 0, 2, 20 * time.Millisecond, 950 * time.Millisecond, no},
		{"the application itself does", 200, 0, 190, 20 * time.Millisecond, 950 * time.Millisecond, yes},
		{"busy, but it gets what it wants", 200, 0, 2, 20 * time.Millisecond, 30 * time.Millisecond, yes},
		{"it is in an endless loop, and gets its share", 200, 0, 50, 500 * time.Millisecond, 500 * time.Millisecond, yes},
		{"it has got nothing at all, of which the kernel tells only when it ends", 200, 0, 0, 0, 0, no},
		{"it has got a little, and waited little", 200, 0, 0, time.Millisecond, 0, yes},
		{"it has nothing to do", 200, 0, 0, 0, 0, yes},
	} {
		dir := t.TempDir()
		p := proberOn(procfs.New(dir))
		app := site("site")
		at := func(now time.Duration) v1alpha1.CheckResult {
			l := &look{app: app, now: moment(now), life: "100:100"}
			p.lookAtProcesses(l, 0)
			l.late = 0
			l.main, _ = l.procs.Get(100)
			if tc.name == "it has nothing to do" {
				l.main.State = procfs.Sleeping
			}
			l.tree = map[int]procfs.Process{100: l.main}
			return p.hostResult(l)
		}
		hostOf(t, dir, 1000, 1000, 100, 50, time.Second, time.Second)
		if r := at(time.Minute); r.Status != yes || factsOf[facts.Host](t, r).Window != 0 {
			t.Errorf("%s: the first look: %s %s", tc.name, r.Status, r.Message)
		}
		hostOf(t, dir, 1000+tc.busy, 1000+tc.idle, 100, 50+tc.used, time.Second+tc.ran, time.Second+tc.waited)
		if r := at(time.Minute + time.Second); r.Status != tc.status {
			t.Errorf("%s: %s %q", tc.name, r.Status, r.Message)
		}
	}
	if r := proberOn(procfs.New(t.TempDir())).hostResult(&look{app: site("site"), procsErr: procfs.ErrGone}); r.Status != maybe {
		t.Errorf("what cannot be looked at: %s", r.Status)
	}
}

func TestStarvedWhereTheKernelTellsLess(t *testing.T) {
	busy := facts.Host{CPUs: 2, Window: time.Second, Busy: 0.98, App: 0.02, Waited: -1, CPU: -1, IO: -1, Load: 1}
	for _, tc := range []struct {
		name   string
		change func(h *facts.Host)
		want   bool
	}{
		{"nothing is known", func(*facts.Host) {}, false},
		{"a long queue", func(h *facts.Host) { h.Load = 8 }, true},
		{"pressure", func(h *facts.Host) { h.CPU = 80 }, true},
		{"a long queue of its own making", func(h *facts.Host) { h.Load, h.App = 8, 0.9 }, false},
		{"the machine below takes it", func(h *facts.Host) { h.Stolen = 0.5 }, true},
		{"the disk", func(h *facts.Host) { h.IO = 70 }, true},
		{"our own look came late", func(h *facts.Host) { h.Late = 3 * time.Second }, true},
		{"halted by a signal, on whatever machine", func(h *facts.Host) { h.Load, h.IO, h.Halted = 8, 70, true }, false},
	} {
		h := busy
		tc.change(&h)
		if got := h.Starved() != ""; got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}

func TestAKillOfTheKernelIsNamed(t *testing.T) {
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "kmsg")
	hostOf(t, dir, 1000, 1000, 100, 50, time.Second, time.Second)
	p := proberOn(procfs.New(dir))
	p.KernelLog = log
	app := site("site")
	l := &look{app: app, now: moment(time.Minute), life: "100:100"}
	p.lookAtProcesses(l, 0)
	l.main, _ = l.procs.Get(100)
	l.tree = map[int]procfs.Process{100: l.main}
	p.hostResult(l)
	write(t, filepath.Join(dir, "vmstat"), "oom_kill 4\n")
	// A pipe gives one record at a time, as the kernel's log does.
	if err := unix.Mkfifo(log, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(log, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if _, err := pipe.WriteString("4,1,61000000,-;Out of memory: Killed process 100 (node) total-vm:9kB"); err != nil {
		t.Fatal(err)
	}
	l.now = moment(62 * time.Second)
	f := factsOf[facts.Host](t, p.hostResult(l))
	if f.Killed != 1 || !f.KilledApp || f.Line != "Out of memory: Killed process 100 (node) total-vm:9kB" {
		t.Errorf("%+v", f)
	}
}

// Whom the kernel has killed cannot be read here: that one of ours has ended meanwhile proves nothing.
func TestWithoutTheKernelsWordNobodyIsNamed(t *testing.T) {
	for _, ended := range []bool{true, false} {
		dir := t.TempDir()
		hostOf(t, dir, 1000, 1000, 100, 50, time.Second, time.Second)
		p := proberOn(procfs.New(dir))
		p.KernelLog = filepath.Join(dir, "none")
		l := &look{app: site("site"), now: moment(time.Minute), life: "100:100"}
		p.lookAtProcesses(l, 0)
		l.main, _ = l.procs.Get(100)
		l.tree = map[int]procfs.Process{100: l.main}
		p.hostResult(l)
		write(t, filepath.Join(dir, "vmstat"), "oom_kill 4\n")
		if ended {
			if err := os.RemoveAll(filepath.Join(dir, "100")); err != nil {
				t.Fatal(err)
			}
		}
		next := &look{app: l.app, now: moment(62 * time.Second)}
		p.lookAtProcesses(next, 0)
		if f := factsOf[facts.Host](t, p.hostResult(next)); f.Killed != 1 || f.KilledApp || f.MayBeApp != ended {
			t.Errorf("ended %t: %+v", ended, f)
		}
	}
}

func TestEnvironmentNamesWhatARestartWouldChange(t *testing.T) {
	born := proc{pid: 100, parent: 1, comm: "node", cwd: "/"}
	for _, tc := range []struct {
		name          string
		given         []string
		before, after string
		reason        string
	}{
		{"nothing", nil, "DATABASE_URL=secret-a\n", "DATABASE_URL=secret-a\n", "Same"},
		{"another value", nil, "DATABASE_URL=secret-a\n", "DATABASE_URL=secret-b\n", "Changed"},
		{"it is gone", nil, "DATABASE_URL=secret-a\n", "", "Changed"},
		{"something else changed", nil, "DATABASE_URL=secret-a\nX=1\n", "DATABASE_URL=secret-a\nX=2\n", "Same"},
		{"it was given another one, and keeps it", []string{"DATABASE_URL=secret-c"}, "DATABASE_URL=secret-a\n", "DATABASE_URL=secret-b\n", "Overruled"},
	} {
		dir := t.TempDir()
		born.env = tc.given
		file := filepath.Join(dir, ".env")
		write(t, file, tc.before)
		old := moment(0).Wall.Add(-time.Hour)
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
		p := proberOn(machine(t, born))
		app := site("site")
		app.Spec.Directory = dir
		l := &look{app: app, now: moment(time.Minute), life: "100:100", age: time.Minute}
		l.main.Identity = born.identity()
		p.environmentResult(l)
		write(t, file, tc.after)
		r := p.environmentResult(l)
		if r.Reason != tc.reason {
			t.Errorf("%s: %s %q", tc.name, r.Reason, r.Message)
		}
		if strings.Contains(r.Message+string(r.Facts), "secret") {
			t.Errorf("%s: a value is shown: %s %s", tc.name, r.Message, r.Facts)
		}
	}
}

func TestAnIncompleteBuildIsNoBuild(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(t *testing.T, dir string)
		status metav1.ConditionStatus
		says   string
	}{
		{"whole", func(*testing.T, string) {}, yes, "built"},
		{"no BUILD_ID", func(t *testing.T, dir string) { remove(t, dir, ".next/BUILD_ID") }, no, ".next/BUILD_ID is missing"},
		{"no manifest", func(t *testing.T, dir string) { remove(t, dir, ".next/routes-manifest.json") }, no, ".next/routes-manifest.json is missing"},
		{"no server", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, ".next/server")); err != nil {
				t.Fatal(err)
			}
		}, no, ".next/server/pages-manifest.json is missing"},
		{"cut short", func(t *testing.T, dir string) { write(t, filepath.Join(dir, ".next/build-manifest.json"), `{"a": ["b`) }, no, "build-manifest.json was cut short"},
		{"built elsewhere", func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, ".next"), filepath.Join(dir, "out")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "next.config.mjs"), "export default {\n  distDir: 'out',\n};\n")
		}, yes, "built"},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "node_modules/next/package.json"), "{}")
		write(t, filepath.Join(dir, ".next/BUILD_ID"), "b")
		for _, name := range manifests {
			write(t, filepath.Join(dir, ".next", name), `{"a": 1}`)
		}
		tc.spoil(t, dir)
		app := site("site")
		app.Spec.Directory = dir
		p := proberOn(procfs.New(t.TempDir()))
		for range 2 { // once read, once remembered
			if r := p.buildResult(&look{app: app}); r.Status != tc.status || !strings.Contains(r.Message, tc.says) {
				t.Errorf("%s: %s %q", tc.name, r.Status, r.Message)
			}
		}
	}
}

func TestTheFileThatIsRunIsTheBuildOfOtherKinds(t *testing.T) {
	dir := t.TempDir()
	app := site("site")
	app.Spec.Directory = dir
	script := filepath.Join(dir, ".output/server/index.mjs")
	l := &look{app: app, snapshot: runtime.Snapshot{Processes: []runtime.Process{{Script: script}}}}
	p := proberOn(procfs.New(t.TempDir()))
	if r := p.buildResult(l); r.Status != no || factsOf[facts.Build](t, r).Kind != "nuxt" {
		t.Errorf("%s %s", r.Status, r.Message)
	}
	write(t, script, "x")
	if r := p.buildResult(l); r.Status != yes {
		t.Errorf("%s %s", r.Status, r.Message)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestDeployWorkOfOtherTools(t *testing.T) {
	for args, want := range map[string]string{
		"git rebase main": "git rebase", "git stash": "git stash", "git fetch --all": "", "git gc": "",
		"turbo run build": "turbo build", "turbo daemon": "", "npm run build:watch": "", "npx vite build --watch": "",
		"node /srv/watchshop/node_modules/.bin/next build": "next build", "git -C /srv/watchshop pull": "git pull",
		"npm install -w web": "npm install", "npm run build -w web": "npm run build", "node node_modules/.bin/vite build -w": "",
		"node --require ./settings.js node_modules/.bin/next build": "next build", "pnpm -r install": "pnpm install",
		"rsync --server -vlogDtpre.iLsfxCIvu . /srv/site": "rsync", "rsync --server --sender -vlogDtpre . /srv/site": "",
		"rsync -az . backup:": "", "rsync -az . u@h:/x": "", "rsync -az . backup::site": "", "rsync -az . rsync://backup/site": "",
		"rsync . u@h:/x -az -e ssh": "", "rsync -aze ssh . h:x --exclude node_modules": "", "rsync -az h:/x .": "rsync",
		"rsync -az --exclude a:b u@h:/x ./": "rsync", "rsync -az h:/x . --rsh ssh": "rsync", "rsync -a new/ ./a:b": "rsync",
		"rsync -az h:": "rsync", "rsync --server -vlogDtpre.iLsfxCIvu . a:b": "rsync", "rsync -a --filter=:C h:x -- .": "rsync",
		"tar xzf site.tgz": "tar", "tar -xzf site.tgz": "tar", "tar czf backup.tgz .": "", "tar --extract -f a": "tar",
		"unzip -o site.zip": "unzip", "unzip -l site.zip": "", "scp -t /srv/site": "scp", "scp -f /srv/site/a": "",
		"pnpm add left-pad": "pnpm add", "bun install": "bun install", "yarn": "yarn install", "yarn start": "", "npm start": "",
		"prisma migrate deploy": "prisma migrate", "prisma studio": "",
	} {
		words := strings.Fields(args)
		if got := DeployWork(words[0], words); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}

func TestALockFileCountsWhileItsOwnerLives(t *testing.T) {
	dir := t.TempDir()
	owner := proc{pid: 200, parent: 1, comm: "bash", cwd: "/"}
	p := proberOn(machine(t, owner))
	app := site("site")
	app.Spec.Directory, app.Spec.Deploy.LockFile = dir, ".deploy.lock"
	l := &look{app: app, now: moment(time.Minute)}
	p.lookAtProcesses(l, 0)
	file := filepath.Join(dir, ".deploy.lock")
	if _, ok := p.lockFile(l, dir); ok {
		t.Error("there is no such file")
	}
	for _, tc := range []struct {
		name, text string
		age        time.Duration
		want       bool
	}{
		{"of nobody", "", time.Minute, true},
		{"of nobody, left over", "", 31 * time.Minute, false},
		{"its owner lives", "200\n", 30 * time.Second, true},
		{"its owner is gone", "201\n", time.Second, false},
		{"its number was given away again", "200\n", 10 * time.Minute, false},
		{"it names no number", "deploying since noon\n", time.Minute, true},
	} {
		write(t, file, tc.text)
		at := l.now.Wall.Add(-tc.age)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
		if work, ok := p.lockFile(l, dir); ok != tc.want {
			t.Errorf("%s: %t %+v", tc.name, ok, work)
		}
	}
}

func quantity(text string) *resource.Quantity {
	q := resource.MustParse(text)
	return &q
}
