package checks

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// Whoever has begun it, a deploy in the application's folder is one; only what belongs to the application's own way of
// running is none.
func TestADeployIsSeenWhoeverHasBegunIt(t *testing.T) {
	dir, away := t.TempDir(), t.TempDir()
	at := func(pid, parent int, cwd string, args ...string) proc {
		return proc{pid: pid, parent: parent, comm: filepath.Base(args[0]), args: args, cwd: cwd}
	}
	daemon := proc{pid: 50, parent: 1, comm: "PM2 v7.0.4: God", args: []string{"PM2 v7.0.4: God Daemon (" + pm2Home + ")"}, cwd: dir}
	next := at(100, 50, dir, "next-server (v16.4.6)")
	npm, shell := at(100, 50, dir, "npm start"), at(101, 100, dir, "sh", "-c", "next start")
	server := at(102, 101, dir, "next-server (v16.4.6)")
	webhook := at(150, 50, dir, "node", "webhook.js")
	script := func(parent int) []proc {
		return []proc{at(200, parent, dir, "bash", "deploy.sh"), at(201, 200, dir, "npm ci"), at(202, 201, dir, "node", "node_modules/.bin/prisma", "generate")}
	}
	for _, tc := range []struct {
		name   string
		list   []proc // the first is the application's row, after PM2
		other  *proc  // another row
		listen int    // the process that listens for it
		good   bool   // it has answered
		want   string
	}{
		{name: "by cron", list: append([]proc{next, at(199, 1, away, "cron")}, script(199)...), listen: 100, want: "npm ci"},
		{name: "by another row, which receives webhooks", list: append([]proc{next, webhook}, script(150)...), other: &webhook, listen: 100, want: "npm ci"},
		{name: "by another row, while the application is down", list: append([]proc{{}, webhook}, script(150)...), other: &webhook, want: "npm ci"},
		{name: "another row that is at work in its own folder", list: []proc{next, webhook, at(200, 150, away, "npm ci")}, other: &webhook, listen: 100},
		{name: "a row that is the deploy", list: []proc{next, at(150, 50, dir, "npm run build")}, other: &webhook, listen: 100, want: "npm run build"},
		{name: "by a route of its own", list: append([]proc{next}, script(100)...), listen: 100, want: "npm ci"},
		{name: "by a route of its own that has answered and listens no more", list: append([]proc{next}, script(100)...), good: true, want: "npm ci"},
		{name: "by a route of its own, in a cluster", list: append([]proc{next}, script(100)...), listen: 50, want: "npm ci"},
		{name: "by a route below npm", list: append([]proc{npm, shell, server}, script(102)...), listen: 102, want: "npm ci"},
		{name: "npm start is none", list: []proc{npm, shell, server}, listen: 102},
		{name: "npm start is none, though it listens no more", list: []proc{npm, shell, server}, good: true},
		{name: "a name that looks like one, of its own row", list: []proc{at(100, 50, dir, "npm run build:serve"), shell, server}, listen: 102},
		{name: "a name that looks like one, above who listens", list: []proc{at(100, 50, dir, "bash", "run.sh"), at(101, 100, dir, "npm run build:serve"), server}, listen: 102},
		{name: "a build of its own start", list: []proc{npm, at(101, 100, dir, "sh", "-c", "next build"), at(102, 101, dir, "node", "node_modules/.bin/next", "build")}},
		{name: "what it unpacks", list: []proc{next, at(200, 100, dir, "unzip", "-o", "sent.zip")}, listen: 100},
		{name: "what another row unpacks", list: []proc{next, webhook, at(200, 150, dir, "unzip", "-o", "sent.zip")}, other: &webhook, listen: 100, want: "unzip"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var list []proc
			for _, p := range append([]proc{daemon}, tc.list...) {
				if p.pid != 0 {
					list = append(list, p)
				}
			}
			app := site("site")
			app.Spec.Directory = dir
			rt := &fakeRuntime{snapshot: runtime.Snapshot{Daemon: runtime.Daemon{PID: 50, Home: pm2Home}, Processes: []runtime.Process{row("site", "m", tc.list[0])}}}
			if tc.other != nil {
				rt.snapshot.Others = []runtime.Process{row("webhook", "w", *tc.other)}
			}
			p := &Prober{FS: machine(t, list...), Runtime: rt}
			l := &look{app: app, now: moment(time.Minute)}
			p.lookAround(t.Context(), l)
			l.answered = tc.good
			if tc.listen != 0 {
				l.holders = []facts.Listener{{PID: tc.listen, Whose: facts.Ours}}
			}
			r := p.deployResult(l)
			f := factsOf[facts.Deploy](t, r)
			if got := len(f.AtWork) > 0; got != (tc.want != "") || got != (r.Status == no) || got && f.AtWork[0].What != tc.want {
				t.Errorf("%s: %+v, want %q", r.Status, f.AtWork, tc.want)
			}
		})
	}
}

// What rsync takes from here to another folder is a backup; what it may bring here is a deploy.
func TestABackupIsNoDeploy(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir, backup := filepath.Join(top, "site"), filepath.Join(top, "backup")
	for _, name := range []string{filepath.Join(dir, "public"), filepath.Join(dir, "tools"), backup} {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link(t, dir, filepath.Join(top, "current"))
	link(t, backup, filepath.Join(dir, "kept"))
	for _, tc := range []struct {
		cwd, to string
		deploy  bool
	}{
		{dir, "backup:", false}, {dir, backup, false}, {dir, "../backup/", false}, {dir, ".", true}, {dir, "public", true},
		{dir, dir + "/", true}, {dir, top, true}, {dir, filepath.Join(top, "current"), true}, {dir, "kept", true},
		{dir, filepath.Join(top, "new"), true}, // it may be a link by and by
		{filepath.Join(dir, "tools"), "../public", true},
		{filepath.Join(dir, "public"), "../../site/public", true},
		{dir, "..", true}, // begun in tools, and already where it writes
		{filepath.Join(dir, "public"), "../../public", true},
	} {
		p, app := proberOn(machine(t, proc{pid: 200, parent: 1, comm: "rsync", args: []string{"rsync", "-az", "x", tc.to}, cwd: tc.cwd})), site("site")
		app.Spec.Directory, p.Runtime = dir, &fakeRuntime{}
		l := &look{app: app, now: moment(time.Minute)}
		p.lookAround(t.Context(), l)
		if r := p.deployResult(l); (r.Status == no) != tc.deploy {
			t.Errorf("in %s to %s: %s %s", tc.cwd, tc.to, r.Status, r.Message)
		}
	}
}

// Of a process that has lived for a while, what it was started with is asked once; one that has just begun may become another.
func TestArgumentsAreReadOnceAProcessHasSettled(t *testing.T) {
	dir := t.TempDir()
	at := func(comm string, args ...string) proc {
		return proc{pid: 200, parent: 1, comm: comm, args: args, cwd: dir}
	}
	app := site("site")
	app.Spec.Directory = dir
	p := proberOn(machine(t))
	p.Runtime = &fakeRuntime{}
	look := func(now time.Duration, other proc) bool {
		t.Helper()
		p.FS = machine(t, other)
		l := &look{app: app, now: moment(now)}
		p.lookAround(t.Context(), l)
		return p.deployResult(l).Status == no
	}
	if look(3*time.Second, at("node", "node", "run.js")) || !look(4*time.Second, at("node", "node", "npm-cli.js", "ci")) {
		t.Error("it had just begun, and became an install")
	}
	if look(20*time.Second, at("node", "node", "run.js")) || look(21*time.Second, at("node", "node", "npm-cli.js", "ci")) {
		t.Error("its arguments were read again")
	}
	if !look(22*time.Second, at("npm ci", "npm ci")) {
		t.Error("it has another name, and was not looked at again")
	}
}

// A build's lock lies where it builds to.
func TestALockOfABuildIsLookedForWhereItBuildsTo(t *testing.T) {
	dir := t.TempDir()
	p, app := prober(t), site("site")
	app.Spec.Directory = dir
	script := ""
	places := func() []string {
		return p.lockPlaces(&look{app: app, snapshot: runtime.Snapshot{Processes: []runtime.Process{{Script: script}}}})
	}
	want := func(list ...string) {
		t.Helper()
		if got := places(); !slices.Equal(got, list) {
			t.Errorf("%q, want %q", got, list)
		}
	}
	want(".next")
	script = filepath.Join(dir, "node_modules/next/dist/bin/next")
	want(".next")
	write(t, filepath.Join(dir, "next.config.js"), "module.exports = {\n  distDir: 'built/site',\n}\n")
	want(".next", "built/site")
	script = filepath.Join(dir, ".next-green/standalone/server.js")
	want(".next", ".next-green")
}

func TestTracesOfADeploy(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".git", "node_modules/.cache", ".next/cache"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	age := func() {
		for _, name := range []string{"", ".git", "node_modules", ".next"} {
			if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
				t.Fatal(err)
			}
		}
	}
	since := time.Now().Add(-time.Minute)
	const git, install, build, unpack = "git pull", "npm ci", "npm run build", "rsync"
	for name, made := range map[string][]string{
		".git/index": {git, unpack}, "node_modules/next": {install, unpack}, ".next/BUILD_ID": {build, unpack}, "package.json": {unpack},
		".next/cache/image": nil, "node_modules/.cache/index": nil,
	} {
		for _, work := range []string{git, install, build, unpack} {
			age()
			if changedSince(dir, since, nil, work) {
				t.Fatalf("before %s was made: changed by %s", name, work)
			}
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, want := changedSince(dir, since, nil, work), slices.Contains(made, work); got != want {
				t.Errorf("%s was made: changed by %s %t, want %t", name, work, got, want)
			}
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Root is at work somewhere, and where may not be seen; meanwhile the build is taken away here. That is no deploy.
func TestABuildThatIsTakenAwayIsNoTraceOfWorkElsewhere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".git", "node_modules", ".next"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	since := time.Now().Add(-time.Minute)
	if err := os.Rename(filepath.Join(dir, ".next"), filepath.Join(dir, ".next.away")); err != nil {
		t.Fatal(err)
	}
	for _, work := range []string{"git rebase", "npm ci", "npm rebuild", "npm run build", "next build", "prisma generate", ""} {
		if changedSince(dir, since, nil, work) {
			t.Errorf("%q elsewhere counts as a deploy here", work)
		}
	}
}

func TestOwnClearingOfCachesIsNoTraceOfADeploy(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"node_modules/.cache", ".next/cache"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dir, long, long); err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) v1alpha1.Instant {
		return v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Now().Add(d))}
	}
	since, early, late := time.Now().Add(-time.Minute), at(-40*time.Second), at(-30*time.Second)
	for name, test := range map[string]struct {
		recovery *v1alpha1.Recovery
		work     string
		want     bool
	}{
		"no recovery":           {nil, "npm ci", true},
		"a recovery under way":  {&v1alpha1.Recovery{StartedAt: at(-10 * time.Second)}, "npm ci", false},
		"one that ended before": {&v1alpha1.Recovery{StartedAt: early, FinishedAt: &late}, "next build", true},
	} {
		if got := changedSince(dir, since, test.recovery, test.work); got != test.want {
			t.Errorf("%s: changed %t, want %t", name, got, test.want)
		}
	}
}
