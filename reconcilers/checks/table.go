package checks

import (
	goruntime "runtime"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// table is the machine's processes as they were last read, for all Apps: to read them is most of what a look costs.
type table struct {
	mu   sync.Mutex
	last reading
}

// reading is one pass over all processes.
type reading struct {
	begun time.Duration // since boot; 0 where there is no reading
	procs procfs.Snapshot
	err   error
	late  time.Duration // how much longer it took than it had work to do
}

// since gives a reading that was begun at that time since boot or later; where there is none, it reads. Who comes meanwhile
// waits for that one.
func (t *table) since(fs procfs.FS, oldest time.Duration) reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	if oldest == 0 || t.last.begun < oldest || t.last.err != nil {
		t.last = readProcesses(fs)
	}
	return t.last
}

func (t *table) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = reading{}
}

// readProcesses reads all processes, and by how much longer it took than it had work to do: who is not let work sees late,
// and what he sees is old.
func readProcesses(fs procfs.FS) reading {
	goruntime.LockOSThread() // processor time is counted by thread
	defer goruntime.UnlockOSThread()
	r := reading{begun: procfs.SinceBoot()}
	began, used := time.Now(), procfs.ThreadCPU()
	r.procs, r.err = fs.Snapshot()
	r.late = max(time.Since(began)-(procfs.ThreadCPU()-used), 0)
	return r
}

// Forget makes the next look read the processes anew, whoever makes it. It is called around whatever may end or start any.
func (p *Prober) Forget() { p.table.forget() }

// lookAtProcesses takes a reading that was begun at that time since boot or later.
func (p *Prober) lookAtProcesses(l *look, oldest time.Duration) {
	r := p.table.since(p.FS, oldest)
	l.procs, l.procsErr, l.late = r.procs, r.err, r.late
	if l.reused = r.begun < l.began; l.reused {
		l.late = 0 // that was another look
	}
}

// oldest is how old a reading may be for a look to begin with: as old as Reuse where all was well at the App's last look and
// nothing is under way, else not older than the look.
func (p *Prober) oldest(l *look) time.Duration {
	status := &l.app.Status
	if p.Reuse <= 0 || status.Phase != v1alpha1.PhaseHealthy || status.Recovery.Open() {
		return l.began
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.calm[l.app.Name] || p.loads[l.app.Name].calm == nil {
		return l.began
	}
	return max(l.began-p.Reuse, 1)
}

// suspicious tells whether anything about a look is not as on every day: then what it rests on must not be a moment old.
func (l *look) suspicious(answers ...v1alpha1.CheckResult) bool {
	if l.snapshotErr != nil || l.portErr != nil || len(l.snapshot.Processes) == 0 {
		return true
	}
	for n := range l.snapshot.Processes {
		row := &l.snapshot.Processes[n]
		if proc, ok := l.procs.Get(row.PID); row.State != runtime.Running || !ok || proc.Identity != row.Identity {
			return true
		}
	}
	return slices.ContainsFunc(l.holders, func(h facts.Listener) bool { return h.Whose != facts.Ours }) ||
		slices.ContainsFunc(answers, func(r v1alpha1.CheckResult) bool { return r.Status != "" && r.Status != metav1.ConditionTrue })
}

// noteCalm remembers whether all was well at this look. What a restart would change in the environment may stay so for weeks.
func (p *Prober) noteCalm(app string, o *v1alpha1.Observation) {
	calm := !slices.ContainsFunc(o.Results, func(r v1alpha1.CheckResult) bool {
		return r.Status != metav1.ConditionTrue && r.Check != v1alpha1.CheckEnvironment
	})
	_, lead := o.Leading()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calm[app] = calm && (lead || p.calm[app])
}
