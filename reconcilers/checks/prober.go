package checks

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sourcegraph/conc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// Prober asks. It is safe for use by several goroutines; what it keeps between two looks is a convenience and is lost
// without harm.
type Prober struct {
	// FS is the proc file system; Runtime the process manager; Clock the moment.
	FS      procfs.FS
	Runtime runtime.Runtime
	Clock   func() v1alpha1.Instant
	// Roots are the certificates that the public check trusts; nil means the system's.
	Roots *x509.CertPool
	// Resolver is asked for names; nil means the system's.
	Resolver *net.Resolver
	// Folders are evenkeel's own, in which there must be room too; KernelLog is the kernel's log, /dev/kmsg where it is empty.
	Folders   []string
	KernelLog string
	// Reuse is how old the machine's processes, as they were read for another look, may be for a look at an application that is
	// well: to read them is most of what a look costs. At the least doubt they are read anew. 0 means that each look reads them.
	Reuse time.Duration
	// Marks knows again what is remembered of the public URL.
	Marks facts.Marker

	once   sync.Once
	local  *http.Client
	public *publicClient

	mu       sync.Mutex
	answered map[string]string          // App → the life that has given a good answer
	owners   map[string]int             // App → the pid that held the port at the last look
	owns     map[string]netip.AddrPort  // App → where it alone is asked, if others listened on its port at the last look
	ways     map[string]*way            // App → its public path
	loads    map[string]load            // App → what the machine had done at an earlier look
	weights  map[string]weight          // App → what fills its disk
	builds   map[string]built           // App → its build as it was last looked into
	envs     map[string]known           // App → what its environment files held at its start
	idle     map[procfs.Identity]string // whose arguments are those of no deploy, with their short names
	roots    map[string]root            // App → the checkout around its folder, if that was looked for
	calm     map[string]bool            // App → all was well at the last look
	logs     map[string]logBook         // App → how long its error logs were in its present failure
	seen     map[string]logBook         // App → how long they were lately, though all was well
	noise    map[string]noise           // App → what it names as out of reach while it answers

	table table

	// What is asked of file systems, each of which may hang.
	disks     patient[diskAnswer]
	files     patient[v1alpha1.CheckResult]
	starts    patient[ofStart]
	managers  patient[managed]
	histories patient[*runtime.History]
	proxies   patient[passing]
	certs     patient[*facts.CertFile]

	databases databases
}

func (p *Prober) setUp() {
	p.local = newLocalClient()
	p.public = newPublicClient(p.Roots, p.dialer())
	p.answered = map[string]string{}
	p.ways = map[string]*way{}
	p.owners = map[string]int{}
	p.owns = map[string]netip.AddrPort{}
	p.loads = map[string]load{}
	p.weights = map[string]weight{}
	p.envs = map[string]known{}
	p.builds = map[string]built{}
	p.calm = map[string]bool{}
}

// look is one pass under way: what was found, before it is judged check by check.
type look struct {
	app *v1alpha1.App
	now v1alpha1.Instant
	uid uint32 // the user that looks

	began    time.Duration // since boot
	procs    procfs.Snapshot
	procsErr error
	late     time.Duration // how much longer than its own work the look at the processes took
	reused   bool          // the processes were read for an earlier look

	snapshot    runtime.Snapshot
	snapshotErr error
	history     runtime.History
	tookRuntime time.Duration

	listening  []listeners.Listener
	holders    []facts.Listener // the same, with whose they are
	own        netip.AddrPort   // where the application alone is asked, if others listen on its port too
	askedAt    netip.AddrPort   // where the local check has asked
	elsewhere  []facts.Place    // where the application listens at other ports, if that was looked for
	sealed     bool             // its own process, of the user that looks, may not be looked into
	portErr    error
	tookListen time.Duration

	tree map[int]procfs.Process // the application's own processes
	main procfs.Process         // the process that the manager names
	life string
	// lifeOf is the row whose life it is.
	lifeOf string
	age    time.Duration

	answered  bool
	localPage facts.Page // what the application's answer was recognised as
}

func (p *Prober) dialer() *net.Dialer { return &net.Dialer{Resolver: p.Resolver} }

// Observe asks the due checks side by side.
func (p *Prober) Observe(ctx context.Context, app *v1alpha1.App, due []string) v1alpha1.Observation {
	p.once.Do(p.setUp)
	l := &look{app: app, now: p.Clock(), uid: uint32(os.Getuid()), began: procfs.SinceBoot()}
	begin := time.Now()
	isDue := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(due, n) })
	}

	var wg conc.WaitGroup // a panic in it is one here, where the loop takes it for an answer
	var local, public v1alpha1.CheckResult
	localDone := make(chan struct{})
	if isDue(v1alpha1.CheckPort, v1alpha1.CheckLocal, v1alpha1.CheckProcess, v1alpha1.CheckDeploy) {
		p.listen(ctx, l)
	}
	if isDue(v1alpha1.CheckLocal) {
		wg.Go(func() {
			defer close(localDone)
			local = p.askLocal(ctx, l)
		})
	} else {
		close(localDone)
	}
	if isDue(v1alpha1.CheckPublic) {
		wg.Go(func() {
			public = p.askPublic(ctx, l, func() bool {
				<-localDone
				if isDue(v1alpha1.CheckLocal) && local.Status == metav1.ConditionTrue {
					// The public path may have failed only much later: both have to be one look. And both have to be newcomers: one
					// that has used up its files serves those on who are connected.
					p.local.CloseIdleConnections()
					local = p.askLocal(ctx, l)
				}
				return local.Status != metav1.ConditionFalse
			})
		})
	}
	// The process manager's answer is what most of the rest rests on, whichever of it is due.
	p.lookAround(ctx, l)
	own := p.classify(l)
	wg.Wait()
	if l.reused && l.suspicious(local, public) {
		p.lookAtProcesses(l, l.began)
		l.family()
		own = p.classify(l)
	}
	if l.own = own; isDue(v1alpha1.CheckLocal) && l.localAddr() != l.askedAt {
		local = p.askLocal(ctx, l) // it was somebody else who was asked
	}

	if isDue(v1alpha1.CheckPort) {
		p.lookElsewhere(ctx, l)
	}
	// What may take its whole time is asked beside the rest.
	var slow conc.WaitGroup
	beside := func(name string, ask func() v1alpha1.CheckResult) func() v1alpha1.CheckResult {
		var r v1alpha1.CheckResult
		if isDue(name) {
			slow.Go(func() {
				started := time.Now()
				r = ask()
				if r.Took.Duration == 0 {
					r.Took.Duration = time.Since(started)
				}
			})
		}
		return func() v1alpha1.CheckResult {
			slow.Wait()
			return r
		}
	}
	local = p.noteAnswer(l, local)
	around := surroundings{local: local.Status, public: public.Status}
	files := func(name string, ask func() v1alpha1.CheckResult) func() v1alpha1.CheckResult {
		return beside(name, func() v1alpha1.CheckResult { return p.ofFiles(l, name, factFiles, ask) })
	}
	database := beside(v1alpha1.CheckDatabase, func() v1alpha1.CheckResult {
		limit := timeout(app, v1alpha1.CheckDatabase) + databaseFiles // the database itself has its whole time
		return p.ofFiles(l, v1alpha1.CheckDatabase, limit, func() v1alpha1.CheckResult { return p.databaseResult(ctx, l, around) })
	})
	deploy := files(v1alpha1.CheckDeploy, func() v1alpha1.CheckResult { return p.deployResult(l) })
	build := files(v1alpha1.CheckBuild, func() v1alpha1.CheckResult { return p.buildResult(l) })
	environment := files(v1alpha1.CheckEnvironment, func() v1alpha1.CheckResult { return p.environmentResult(l) })
	process := beside(v1alpha1.CheckProcess, func() v1alpha1.CheckResult {
		return processResult(l, p.readStart(l, local.Status, isDue(v1alpha1.CheckLocal)))
	})
	disk := beside(v1alpha1.CheckDisk, func() v1alpha1.CheckResult { return p.diskResult(ctx, l) })

	o := v1alpha1.Observation{At: l.now}
	add := func(name string, ask func() v1alpha1.CheckResult) {
		if !isDue(name) {
			return
		}
		started := time.Now()
		r := ask()
		r.Check, r.At = name, l.now
		r.Required = Settings(app, name).IsRequired()
		r.Leading = name == leading(app)
		if r.Took.Duration == 0 {
			r.Took.Duration = time.Since(started)
		}
		r.Took.Duration = r.Took.Round(10 * time.Microsecond)
		o.Results = append(o.Results, r)
	}
	add(v1alpha1.CheckLocal, func() v1alpha1.CheckResult { return p.starting(l, local) })
	add(v1alpha1.CheckProcess, process)
	add(v1alpha1.CheckPort, func() v1alpha1.CheckResult { return p.starting(l, portResult(l)) })
	add(v1alpha1.CheckPublic, func() v1alpha1.CheckResult { return public })
	add(v1alpha1.CheckWorkers, func() v1alpha1.CheckResult { return p.workersResult(l, local.Status == metav1.ConditionFalse) })
	add(v1alpha1.CheckMemory, func() v1alpha1.CheckResult { return p.memoryResult(l) })
	add(v1alpha1.CheckDeploy, deploy)
	add(v1alpha1.CheckBuild, build)
	add(v1alpha1.CheckHost, func() v1alpha1.CheckResult { return p.hostResult(l) })
	add(v1alpha1.CheckEnvironment, environment)
	add(v1alpha1.CheckDatabase, database)
	add(v1alpha1.CheckDisk, disk)
	slices.SortFunc(o.Results, func(a, b v1alpha1.CheckResult) int { return cmp.Compare(a.Check, b.Check) })
	p.noteCalm(app.Name, &o)
	o.Took = metav1.Duration{Duration: time.Since(begin).Round(10 * time.Microsecond)}
	return o
}

// lookAround asks the process manager and the kernel which processes are the application's.
func (p *Prober) lookAround(ctx context.Context, l *look) {
	began := time.Now()
	limit := timeout(l.app, v1alpha1.CheckProcess)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m := p.managers.ask(l.question(l.app.Spec.Runtime.Kind()), limit+fileGrace, func() managed {
		s, err := p.Runtime.Look(ctx, l.app)
		return managed{s, err}
	})
	if m == nil {
		m = &managed{err: fmt.Errorf("%w: its files do not answer within %s, as on a disk that hangs", runtime.ErrTimeout, limit)}
	}
	l.snapshot, l.snapshotErr = m.snapshot, m.err
	l.tookRuntime = time.Since(began)
	p.lookAtProcesses(l, p.oldest(l))
	l.family()
	p.mu.Lock()
	l.answered = l.life != "" && p.answered[l.app.Name] == l.life
	p.mu.Unlock()
	if learned := l.app.Status.Learned; learned != nil && l.life != "" && learned.Answered == l.life {
		l.answered = true // seen before evenkeel was started anew
	}
	p.readHistory(ctx, l)
}

// family finds the application's own processes among all.
func (l *look) family() {
	l.tree = map[int]procfs.Process{}
	l.main, l.life, l.lifeOf, l.age = procfs.Process{}, "", "", 0
	for n := range l.snapshot.Processes {
		row := &l.snapshot.Processes[n]
		if !row.Alive() {
			continue
		}
		for _, proc := range row.Tree(&l.procs) {
			if proc.Alive() {
				l.tree[proc.PID] = proc
			}
		}
		// Of several it is the oldest that stands for the application: the others may come and go beside it.
		if age := max(l.now.Boot.Duration-row.Identity.StartedAt(), 0); l.life == "" || age > l.age {
			l.main, _ = l.procs.Get(row.PID)
			l.life, l.lifeOf, l.age = row.Identity.String(), row.ID, age
		}
	}
}

// crashWindow is how far back unplanned exits count.
const crashWindow = 10 * time.Minute

// readHistory reads the process manager's notes, where they can matter: not while a process has lived for long.
func (p *Prober) readHistory(ctx context.Context, l *look) {
	if l.snapshotErr == nil && l.life != "" && l.age > crashWindow {
		return
	}
	since := l.now.Wall.Add(-crashWindow)
	if rec := l.app.Status.Recovery; rec != nil && rec.StartedAt.Wall.After(since) {
		since = rec.StartedAt.Wall.Time
	}
	h := p.histories.ask(l.question("notes"), timeout(l.app, v1alpha1.CheckProcess), func() *runtime.History {
		h, err := p.Runtime.Exits(ctx, l.app, since)
		if err != nil {
			return nil
		}
		return &h
	})
	if h != nil && *h != nil {
		l.history = **h
		l.forgetOthers()
	}
}

// forgetOthers takes out of the notes what they tell of another application of the same name: they know names and ids.
func (l *look) forgetOthers() {
	foreign := func(id string) bool {
		return slices.ContainsFunc(l.snapshot.Others, func(p runtime.Process) bool { return p.ID == id && p.Name == runtime.NameOf(l.app) })
	}
	l.history.Exits = slices.DeleteFunc(l.history.Exits, func(e runtime.Exit) bool { return foreign(e.ID) })
	if stop := l.history.LastStop; stop != nil && foreign(stop.ID) {
		l.history.LastStop = nil
	}
}

// noteAnswer remembers which life has given a good answer: its start-up grace is over. An answer from a process that is
// not the application's is nobody's proof.
func (p *Prober) noteAnswer(l *look, r v1alpha1.CheckResult) v1alpha1.CheckResult {
	foreign := !l.own.IsValid() &&
		slices.ContainsFunc(l.holders, func(h facts.Listener) bool { return h.Whose == facts.Stranger || h.Whose == facts.OurOrphan })
	if r.Status == metav1.ConditionTrue && l.life != "" && !foreign {
		p.mu.Lock()
		p.answered[l.app.Name] = l.life
		p.mu.Unlock()
		l.answered = true
	}
	return r
}

// starting turns a failure into Unknown while the application's process is younger than its start-up grace and has not
// given a good answer yet.
func (p *Prober) starting(l *look, r v1alpha1.CheckResult) v1alpha1.CheckResult {
	if r.Status == metav1.ConditionFalse && l.life != "" && !l.answered && l.age < l.app.Spec.Recovery.StartupGrace.Duration && !strangerIn(r) {
		r.Status, r.Reason = metav1.ConditionUnknown, "Starting"
		r.Message = "its process is " + l.age.Round(100*time.Millisecond).String() + " old and starting; " + r.Message
	}
	return r
}

// strangerIn tells whether a port's result names a holder that is not the application.
func strangerIn(r v1alpha1.CheckResult) bool {
	return r.Reason == "HeldByAnother" || r.Reason == "HeldByOrphan"
}

func (p *Prober) listen(ctx context.Context, l *look) {
	began := time.Now()
	l.listening, l.portErr = listeners.Listeners(ctx, uint16(l.app.Spec.Port))
	p.mu.Lock()
	l.own = p.owns[l.app.Name]
	p.mu.Unlock()
	l.tookListen = time.Since(began)
}

// fileGrace is what a process manager is given beyond its time, to say by itself that it was not enough.
const fileGrace = 500 * time.Millisecond

// managed is what a process manager said of an application.
type managed struct {
	snapshot runtime.Snapshot
	err      error
}

// ofStart is what the application's folder and logs tell of a start of it.
type ofStart struct {
	folderMissing bool
	cause         string
	signs         []facts.Sign
	needs         []facts.Need
	hangs         string // why they could not be asked, if so
}

// readStart reads what bears on a start. Where the folder does not answer, nothing that a start reads is known to have changed.
func (p *Prober) readStart(l *look, local metav1.ConditionStatus, asked bool) ofStart {
	limit := timeout(l.app, v1alpha1.CheckProcess)
	s := p.starts.ask(l.question(v1alpha1.CheckProcess), limit, func() ofStart {
		s := ofStart{folderMissing: folderMissing(l.app.Spec.Directory), signs: p.signs(l, local, asked, readSigns)}
		known := metav1.ConditionUnknown
		if asked {
			known = local
		}
		said := p.others(l, known)
		if s.needs = said.needs; said.database {
			s.signs = append(s.signs, facts.SignDatabase)
		}
		settled := l.life != "" && l.age >= l.app.Spec.Recovery.StartupGrace.Duration
		if local != metav1.ConditionTrue && (asked || !settled) {
			s.cause = p.causeOf(l)
		}
		return s
	})
	if s != nil {
		return *s
	}
	unread := ofStart{hangs: hangs(l.app.Spec.Directory, limit), signs: p.signs(l, local, asked, unreadSigns)}
	if learned := l.app.Status.Learned; learned != nil && learned.Fault != nil {
		unread.cause = learned.Fault.Cause
	}
	return unread
}

// signs reads the application's log for known signs, only where something is wrong.
func (p *Prober) signs(l *look, local metav1.ConditionStatus, asked bool, read func(string, time.Time, []string) []facts.Sign) []facts.Sign {
	if asked && local == metav1.ConditionTrue {
		return nil
	}
	var found []facts.Sign
	for n := range l.snapshot.Processes {
		row := &l.snapshot.Processes[n]
		signs := read(row.ErrLog, l.now.Wall.Time, l.app.Spec.Recovery.Caches)
		if !row.Alive() && notExecutable(row.Message) {
			signs = append(signs, facts.SignInterpreter)
		}
		for _, s := range signs {
			if !slices.Contains(found, s) {
				found = append(found, s)
			}
		}
	}
	return found
}

// unreadSigns are those of a log that cannot be read now.
func unreadSigns(string, time.Time, []string) []facts.Sign { return nil }

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
