package checks

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/bounded"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// deployResult looks for a checkout, an install or a build at work in the application's folder: never the application's
// own tree (PM2 may run `npm start`), and never a lone fetch.
func (p *Prober) deployResult(l *look) v1alpha1.CheckResult {
	var r v1alpha1.CheckResult
	if l.procsErr != nil {
		r.Status, r.Reason, r.Message = metav1.ConditionUnknown, "CouldNotAsk", l.procsErr.Error()
		return r
	}
	var f facts.Deploy
	dir, err := filepath.EvalSymlinks(l.app.Spec.Directory)
	if err != nil {
		dir = l.app.Spec.Directory
	}
	for n := range l.procs.Processes {
		proc := &l.procs.Processes[n]
		if _, ours := l.tree[proc.PID]; ours || proc.Kernel || !proc.Alive() || !mayDeploy(proc.Comm) || l.ofAnotherRow(proc.PID) {
			continue
		}
		args, err := p.FS.Cmdline(proc.Identity)
		if err != nil {
			continue
		}
		cwd, err := p.FS.Cwd(proc.Identity)
		switch {
		case err == nil && within(cwd, dir) && !p.FS.WorksElsewhere(proc.Identity, cwd):
		case errors.Is(err, os.ErrPermission) && slices.ContainsFunc(args, func(a string) bool { return within(a, dir) }):
		case errors.Is(err, os.ErrPermission) && proc.UID == 0 &&
			changedSince(dir, l.now.Wall.Add(proc.StartedAt()-l.now.Boot.Duration), l.app.Status.Recovery, DeployWork(proc.Comm, args)):
			// Where root works may not be seen by us. `sudo npm ci` in this folder leaves its traces here, one elsewhere does not.
		default:
			continue
		}
		if what := DeployWork(proc.Comm, args); what != "" {
			f.AtWork = append(f.AtWork, facts.Work{PID: proc.PID, What: what, Since: l.since(proc.StartedAt())})
		}
	}
	if held, pid, err := p.FS.FlockHeld(filepath.Join(dir, ".next", "lock")); err == nil && held {
		if _, ours := l.tree[pid]; !ours {
			f.AtWork = append(f.AtWork, facts.Work{PID: pid, What: "a build that holds .next/lock"})
		}
	}
	if work, ok := p.lockFile(l, dir); ok {
		f.AtWork = append(f.AtWork, work)
	}
	r.Facts = facts.Raw(f)
	r.Status, r.Reason, r.Message = metav1.ConditionTrue, "NoneAtWork", "no deploy is at work"
	if len(f.AtWork) > 0 {
		r.Status, r.Reason, r.Message = metav1.ConditionFalse, "AtWork", f.AtWork[0].What+" is at work"
	}
	return r
}

// ofAnotherRow tells whether a process belongs to another application that the process manager runs: what that one does is
// no deploy of ours, though it may work in the same folder.
func (l *look) ofAnotherRow(pid int) bool {
	for n := range l.snapshot.Others {
		other := &l.snapshot.Others[n]
		if other.Alive() && (pid == other.PID || slices.ContainsFunc(l.procs.Ancestors(pid), func(p procfs.Process) bool { return p.Identity == other.Identity })) {
			return true
		}
	}
	return false
}

// lockFile looks for the file that a deploy leaves while it is at work. One that names a process counts as long as that
// lives; every one counts for lockLimit at most.
func (p *Prober) lockFile(l *look, dir string) (facts.Work, bool) {
	spec := l.app.Spec.Deploy
	if spec.LockFile == "" {
		return facts.Work{}, false
	}
	path := spec.LockFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return facts.Work{}, false
	}
	age := max(l.now.Wall.Sub(info.ModTime()), 0)
	if age >= spec.LockLimit.Duration {
		return facts.Work{}, false
	}
	work := facts.Work{What: "whoever made " + spec.LockFile, Since: age}
	if text, err := bounded.Read(path, 4096); err == nil {
		word, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		if pid, err := strconv.Atoi(strings.TrimSpace(word)); err == nil && pid > 0 {
			const slack = 2 * time.Second
			proc, alive := l.procs.Get(pid)
			if !alive || !proc.Alive() || l.since(proc.StartedAt())+slack < age { // gone, and its number given away again
				return facts.Work{}, false
			}
			work.PID = pid
		}
	}
	return work, true
}

// trace is a file or folder that changes with some work; caches says that emptying the caches in it changes it too.
type trace struct {
	name   string
	caches bool
}

// The traces that each kind of work leaves in a folder. The folder itself changes with whatever comes and goes in it.
var (
	gitTraces     = []trace{{".git", false}, {".git/index", false}}
	installTraces = []trace{{"node_modules", true}, {"node_modules/.package-lock.json", false}, {"node_modules/.modules.yaml", false}, {"node_modules/.prisma", false}}
	buildTraces   = []trace{{".next", true}, {".output", false}, {"dist", false}, {"build", false}}
	folderTraces  = []trace{{".", false}}
)

// tracesOf are those of a work as [DeployWork] names it. A `git rebase` that root is at elsewhere is not what took the build
// away here.
func tracesOf(dir, work string) []trace {
	program, verb, _ := strings.Cut(work, " ")
	switch {
	case program == "git":
		if info, err := os.Stat(filepath.Join(dir, ".git")); err == nil && info.IsDir() {
			return gitTraces
		}
		return folderTraces // its index is kept elsewhere
	case verb == "build", strings.HasPrefix(verb, "run "):
		return buildTraces
	case verb != "":
		return installTraces
	}
	return slices.Concat(folderTraces, gitTraces, installTraces, buildTraces) // what is unpacked may go anywhere
}

// changedSince tells whether something was changed in the folder since then that this work changes, and the application
// itself does not. Our own recovery empties caches in two of these folders, and the application makes them anew: what was
// changed there in its time tells nothing.
func changedSince(dir string, since time.Time, recovery *v1alpha1.Recovery, work string) bool {
	const slack = 2 * time.Second
	ours := func(at time.Time) bool {
		return recovery != nil && !at.Before(recovery.StartedAt.Wall.Add(-slack)) &&
			(recovery.FinishedAt == nil || !at.After(recovery.FinishedAt.Wall.Add(slack)))
	}
	if work == "" {
		return false
	}
	for _, trace := range tracesOf(dir, work) {
		info, err := os.Stat(filepath.Join(dir, trace.name))
		if err == nil && info.ModTime().After(since) && (!trace.caches || !ours(info.ModTime())) {
			return true
		}
	}
	return false
}

// mayDeploy is a cheap first sieve by the kernel's short name.
func mayDeploy(comm string) bool {
	for _, prefix := range []string{"git", "npm", "pnpm", "yarn", "bun", "next-build", "node", "MainThread", "turbo", "rsync", "tar", "bsdtar", "unzip", "scp"} {
		if strings.HasPrefix(comm, prefix) {
			return true
		}
	}
	return false
}

func within(path, dir string) bool {
	path = strings.TrimSuffix(path, " (deleted)")
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}

var (
	gitWork     = []string{"checkout", "switch", "pull", "merge", "rebase", "reset", "restore", "stash", "clean", "clone", "cherry-pick", "revert", "submodule"}
	installWork = []string{"ci", "i", "install", "add", "update", "upgrade", "rebuild", "prune", "dedupe", "remove", "uninstall", "clean-install"}
)

// DeployWork names the work that a program is at, if its name and arguments are those of a deploy; else it is empty.
func DeployWork(comm string, args []string) string {
	if strings.HasPrefix(comm, "next-build") {
		return "next build"
	}
	words := commandWords(args)
	if len(words) == 0 {
		return ""
	}
	program, rest := words[0], words[1:]
	if watches(program, args) {
		return ""
	}
	switch program {
	case "git":
		return workOf("git", rest, gitWork)
	case "npm", "pnpm", "yarn", "bun":
		if len(rest) == 0 {
			if program == "yarn" { // plain `yarn` installs
				return "yarn install"
			}
			return ""
		}
		verb := rest[0]
		if (verb == "run" || verb == "run-script") && len(rest) > 1 {
			verb = rest[1]
		}
		if verb == "build" || strings.HasPrefix(verb, "build:") {
			return program + " run " + verb
		}
		return workOf(program, rest, installWork)
	case "next", "nuxt", "nuxi", "astro", "remix", "react-router", "vite", "turbo":
		if len(rest) > 1 && rest[0] == "run" { // turbo run build
			rest = rest[1:]
		}
		return workOf(program, rest, []string{"build"})
	case "prisma":
		return workOf(program, rest, []string{"generate", "migrate", "db"})
	}
	return unpackWork(program, args)
}

// watches tells of a build that goes on for as long as somebody works on the source: it is no deploy, and never ends. A folder
// may be called so, too; and to npm and its like -w is a workspace.
func watches(program string, args []string) bool {
	if len(args) == 1 {
		args = strings.Fields(args[0])
	}
	packages := slices.Contains([]string{"npm", "pnpm", "yarn", "bun", "git"}, program)
	return slices.ContainsFunc(args, func(a string) bool {
		return a == "-w" && !packages || strings.Contains(a, "watch") && (strings.HasPrefix(a, "-") || !strings.Contains(a, "/"))
	})
}

// unpackWork names what brings files here: not what reads them, for a backup say.
func unpackWork(program string, args []string) string {
	args = args[min(1, len(args)):]
	has := func(list ...string) bool {
		return slices.ContainsFunc(args, func(a string) bool { return slices.Contains(list, a) })
	}
	switch program {
	case "rsync":
		if !has("--sender", "--dry-run", "-n", "--list-only") {
			return "rsync"
		}
	case "tar", "bsdtar":
		if has("--extract", "--get") || len(args) > 0 && tarExtracts(args[0]) {
			return "tar"
		}
	case "unzip":
		if !has("-l", "-t", "-v", "-Z", "-p") {
			return "unzip"
		}
	case "scp":
		if has("-t") { // the receiving end
			return "scp"
		}
	}
	return ""
}

// tarExtracts reads tar's first argument, xzf or -xzf.
func tarExtracts(arg string) bool {
	letters, short := strings.CutPrefix(arg, "-")
	return !strings.HasPrefix(letters, "-") && strings.Contains(letters, "x") && (short || !strings.ContainsAny(letters, "./"))
}

func workOf(program string, rest, verbs []string) string {
	if len(rest) > 0 && slices.Contains(verbs, rest[0]) {
		return program + " " + rest[0]
	}
	return ""
}

// commandWords gives the program's plain name and its arguments without options: `node /usr/bin/npm ci --omit=dev`,
// `npm ci` (npm writes that over its own command line) and `git -C /x pull` all read alike.
func commandWords(args []string) []string {
	if len(args) == 1 && strings.Contains(args[0], " ") { // a program that has renamed itself
		args = strings.Fields(args[0])
	}
	var words []string
	skip := false
	for n, a := range args {
		switch {
		case skip:
			skip = false
			continue
		case strings.HasPrefix(a, "-"):
			skip = a == "-C" || a == "-c" || a == "--prefix" ||
				len(words) == 0 && (a == "-r" || a == "--require" || a == "--import") // node's own, before its script
			continue
		}
		if len(words) == 0 {
			a = plainName(a)
			if n == 0 && (a == "node" || a == "sh" || a == "bash") {
				continue
			}
		}
		words = append(words, a)
	}
	return words
}

// plainName is the program that a path stands for: /usr/lib/node_modules/npm/bin/npm-cli.js is npm.
func plainName(path string) string {
	base := filepath.Base(path)
	for _, suffix := range []string{".js", ".cjs", ".mjs"} {
		base = strings.TrimSuffix(base, suffix)
	}
	return strings.TrimSuffix(base, "-cli")
}
