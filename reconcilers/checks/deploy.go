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

// idleAfter is how old a process is whose arguments are believed not to change any more, unless its short name does: who becomes
// another program, or writes over its own name, does so at its start, and the short name goes with it.
const idleAfter = 10 * time.Second

// deployResult looks for a checkout, an install or a build at work in the application's folder, or where the checkout or
// workspace around it begins, whoever has begun it: cron, a runner, somebody's shell, another row of the process manager that
// receives a webhook, the application itself when it is told to. What belongs to the application's own way of running is none,
// and neither is a lone fetch.
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
	own := l.ownWay()
	p.mu.Lock()
	idle := p.idle
	p.mu.Unlock()
	still := make(map[procfs.Identity]string, len(idle))
	for n := range l.procs.Processes {
		proc := &l.procs.Processes[n]
		if proc.Kernel || !proc.Alive() || !mayDeploy(proc.Comm) {
			continue
		}
		if idle[proc.Identity] == proc.Comm {
			still[proc.Identity] = proc.Comm
			continue
		}
		if own.covers(proc.PID) {
			continue
		}
		args, err := p.FS.Cmdline(proc.Identity)
		if err != nil {
			continue
		}
		what := DeployWork(proc.Comm, args) // asked first: where it works costs more to know, and most are at no such work
		if what == "" {
			if l.since(proc.StartedAt()) >= idleAfter {
				still[proc.Identity] = proc.Comm
			}
			continue
		}
		if _, below := l.tree[proc.PID]; below && unpacks(what) {
			continue // an application may unpack what it was sent
		}
		if cwd, err := p.FS.Cwd(proc.Identity); writesElsewhere(what, args, cwd, dir) || !p.worksHere(l, proc, atWork{what, args, cwd, err}, dir) {
			continue
		}
		f.AtWork = append(f.AtWork, facts.Work{PID: proc.PID, What: what, Since: l.since(proc.StartedAt())})
	}
	p.mu.Lock()
	p.idle = still // every look sees all processes, whichever App it is for
	p.mu.Unlock()
	for _, place := range p.lockPlaces(l) {
		name := filepath.Join(place, "lock")
		if held, pid, err := p.FS.FlockHeld(filepath.Join(dir, name)); err == nil && held && !own.covers(pid) {
			f.AtWork = append(f.AtWork, facts.Work{PID: pid, What: "a build that holds " + name})
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

// atWork is a process at a work, with the folder that it works in, or why that cannot be told.
type atWork struct {
	what   string
	args   []string
	cwd    string
	cwdErr error
}

// worksHere tells whether a work goes on in the application's folder, dir. Where root works may not be seen by us, and neither
// may where a program works that has capabilities of its file (`setcap cap_net_bind_service=+ep node`), though its user is ours.
// `npm ci` in this folder leaves its traces here then, one elsewhere does not.
func (p *Prober) worksHere(l *look, proc *procfs.Process, w atWork, dir string) bool {
	if w.cwdErr == nil {
		return (within(w.cwd, dir) || p.deploysFrom(l, w.what, w.cwd, dir)) && !p.FS.WorksElsewhere(proc.Identity, w.cwd)
	}
	if !errors.Is(w.cwdErr, os.ErrPermission) {
		return false
	}
	if slices.ContainsFunc(w.args, func(a string) bool { return within(a, dir) }) {
		return true
	}
	ours := proc.UID == 0 || proc.UID == l.uid || l.life != "" && proc.UID == l.main.UID
	return ours && changedSince(dir, l.now.Wall.Add(proc.StartedAt()-l.now.Boot.Duration), l.app.Status.Recovery, w.what)
}

// ownWay is what belongs to an application's own way of running.
type ownWay struct {
	tree     map[int]procfs.Process
	carries  map[int]bool // the rows' own processes, and whatever stands between them and who listens
	starting bool
}

// ownWay tells which processes belong to the application's own way of running: those that its process manager names (PM2 may
// run `npm start`), those that listen for it, and what stands between the two. Until it has come up all that is below it
// belongs to its start: a build there, of a `prestart` say, is part of a slow start, which recovery.startupGrace bounds,
// so that one that builds and dies in each of its lives is a crash loop and no deploy.
func (l *look) ownWay() ownWay {
	own := ownWay{tree: l.tree, carries: map[int]bool{}, starting: !l.answered}
	for n := range l.snapshot.Processes {
		if row := &l.snapshot.Processes[n]; row.Alive() {
			own.carries[row.PID] = true
		}
	}
	for _, h := range l.holders {
		if h.Whose != facts.Ours {
			continue
		}
		own.starting = false
		if _, below := l.tree[h.PID]; !below {
			continue // PM2's daemon listens for a cluster
		}
		own.carries[h.PID] = true
		for _, up := range l.procs.Ancestors(h.PID) {
			if _, below := l.tree[up.PID]; !below {
				break
			}
			own.carries[up.PID] = true
		}
	}
	return own
}

func (o *ownWay) covers(pid int) bool {
	_, below := o.tree[pid]
	return below && (o.starting || o.carries[pid])
}

// lockPlaces are the folders, below the application's, in which a build of Next.js holds a lock while it is at work.
func (p *Prober) lockPlaces(l *look) []string {
	places := []string{usualDist}
	if kind, stamp, _ := p.whatIsBuilt(l); kind == kindNext {
		dist := filepath.Dir(stamp)
		if before, standalone := strings.CutSuffix(dist, filepath.Join("standalone", usualDist)); standalone {
			dist = filepath.Clean(before)
		}
		if dist != usualDist {
			places = append(places, dist)
		}
	}
	return places
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

func within(path, dir string) bool {
	path = strings.TrimSuffix(path, " (deleted)")
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}
