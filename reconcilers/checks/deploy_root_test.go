package checks

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// A deploy of a monorepo goes on where its checkout or workspace begins.
func TestADeployOfTheCheckoutAround(t *testing.T) {
	for _, tc := range []struct {
		name, mark, text string // what makes repo a root
		cwd              string
		work             string
		deploy           bool
	}{
		{"git at the checkout", ".git/HEAD", "", "repo", "git pull", true},
		{"an install at the checkout", ".git/HEAD", "", "repo", "pnpm install", true},
		{"a build at the checkout", ".git/HEAD", "", "repo", "npm run build", true},
		{"a worktree", ".git", "gitdir: /x", "repo", "yarn", true},
		{"pnpm's workspace", "pnpm-workspace.yaml", "packages: ['apps/*']", "repo", "pnpm install", true},
		{"npm's workspace", "package.json", `{"workspaces": ["apps/*"]}`, "repo", "npm ci", true},
		{"no workspace", "package.json", `{"workspaces": null}`, "repo", "npm ci", false},
		{"a package.json that is none", "package.json", `{"workspaces": [`, "repo", "npm ci", false},
		{"nothing", "README.md", "", "repo", "git pull", false},
		{"in the application's folder", ".git/HEAD", "", "repo/apps/web", "npm ci", true},
		{"in a folder of it", ".git/HEAD", "", "repo/apps/web/src", "npm ci", true},
		{"a sibling", ".git/HEAD", "", "repo/apps/other", "npm ci", false},
		{"between the two", ".git/HEAD", "", "repo/apps", "npm ci", false},
		{"above the checkout", ".git/HEAD", "", "", "git pull", false},
		{"what does not go by the checkout", ".git/HEAD", "", "repo", "tar xzf a.tgz", false},
		{"a start", ".git/HEAD", "", "repo", "pnpm start", false},
	} {
		top, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"repo/apps/web/src", "repo/apps/other"} {
			if err := os.MkdirAll(filepath.Join(top, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(top, "repo", tc.mark), tc.text)
		p, app := proberOn(machine(t, proc{pid: 200, parent: 1, comm: "node", args: []string{tc.work}, cwd: filepath.Join(top, tc.cwd)})), site("site")
		app.Spec.Directory, p.Runtime = filepath.Join(top, "repo/apps/web"), &fakeRuntime{}
		l := &look{app: app, now: moment(time.Minute)}
		p.lookAround(t.Context(), l)
		for range 2 { // once looked for, once remembered
			if r := p.deployResult(l); (r.Status == no) != tc.deploy {
				t.Errorf("%s: %s %s", tc.name, r.Status, r.Message)
			}
		}
	}
}

func TestTheCheckoutIsLookedForAgain(t *testing.T) {
	repo, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(repo, "web")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p, l := proberOn(machine(t)), &look{app: site("site"), now: moment(time.Minute)}
	if p.deploysFrom(l, "git pull", repo, dir) {
		t.Error("there is no checkout")
	}
	write(t, filepath.Join(repo, ".git/HEAD"), "")
	if l.now = moment(time.Minute + rootFor - time.Second); p.deploysFrom(l, "git pull", repo, dir) {
		t.Error("looked for at every look")
	}
	if l.now = moment(time.Minute + rootFor); !p.deploysFrom(l, "git pull", repo, dir) {
		t.Error("never looked for again")
	}
}

func TestWhatIsNoCheckoutOfTheApplication(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "home/repo/web")
	for _, name := range []string{"home/.git/HEAD", ".git/HEAD", "home/repo/web/x"} {
		write(t, filepath.Join(top, name), "")
	}
	home := filepath.Join(top, "home")
	if got := rootOf(dir, []string{home}); got != "" {
		t.Errorf("at or above the home: %s", got)
	}
	if got := rootOf(home, []string{home}); got != "" {
		t.Errorf("of the home itself: %s", got)
	}
	if got := rootOf(dir, nil); got != home {
		t.Errorf("no home is known: %s", got)
	}
	write(t, filepath.Join(top, "home/repo/pnpm-workspace.yaml"), "")
	if got := rootOf(dir, []string{home}); got != filepath.Dir(dir) {
		t.Errorf("the nearest: %s", got)
	}
	write(t, filepath.Join(dir, ".git/HEAD"), "")
	if got := rootOf(dir, []string{home}); got != "" {
		t.Errorf("of a checkout of its own: %s", got)
	}
}

// Where root works is not shown to others, nor where a program works that has capabilities of its file, to its own user.
func TestADeployWhoseFolderIsNotShown(t *testing.T) {
	const us, app, stranger = 1000, 1001, 1002
	denied := fmt.Errorf("process 200: cwd: %w", os.ErrPermission)
	for _, tc := range []struct {
		name    string
		uid     uint32
		err     error
		touched bool // node_modules, since it began
		work    string
		args    []string
		want    bool
	}{
		{"root's, with traces", 0, denied, true, "npm ci", nil, true},
		{"root's, without", 0, denied, false, "npm ci", nil, false},
		{"ours, with traces", us, denied, true, "npm ci", nil, true},
		{"ours, without", us, denied, false, "npm ci", nil, false},
		{"ours, with those of another work", us, denied, true, "npm run build", nil, false},
		{"the application's user's, with traces", app, denied, true, "npm ci", nil, true},
		{"a stranger's, with traces", stranger, denied, true, "npm ci", nil, false},
		{"a stranger's that names the folder", stranger, denied, false, "git pull", []string{"git", "-C", "DIR", "pull"}, true},
		{"one that has ended", us, procfs.ErrGone, true, "npm ci", nil, false},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "node_modules"), 0o755); err != nil {
			t.Fatal(err)
		}
		l := &look{app: site("site"), now: moment(time.Minute), uid: us, life: "100:100"}
		l.main.UID = app
		proc := &procfs.Process{Identity: procfs.Identity{PID: 200, StartTicks: 200}, UID: tc.uid}
		at := l.now.Wall.Add(-time.Hour)
		if tc.touched {
			at = l.now.Wall.Add(-time.Second)
		}
		if err := os.Chtimes(filepath.Join(dir, "node_modules"), at, at); err != nil {
			t.Fatal(err)
		}
		for n, a := range tc.args {
			if a == "DIR" {
				tc.args[n] = dir
			}
		}
		if got := proberOn(machine(t)).worksHere(l, proc, atWork{what: tc.work, args: tc.args, cwdErr: tc.err}, dir); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
