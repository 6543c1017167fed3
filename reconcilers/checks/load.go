package checks

import (
	"fmt"
	"runtime"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// windowLeast is the shortest time over which shares are worth anything: the kernel counts in hundredths of a second.
const windowLeast = 800 * time.Millisecond

// load is what the machine had done at an earlier look: the beginning of a window.
type load struct {
	at      v1alpha1.Instant
	times   procfs.CPUTimes
	used    map[procfs.Identity]time.Duration
	main    procfs.Identity
	waiting procfs.Waiting
	wanting bool         // the main process ran, or wanted to
	tree    map[int]bool // the application's pids at the last look

	last   v1alpha1.Instant // of the last look of all
	kills  uint64
	killed bool // whether the kernel counts them
	// calm is what the last look said of the machine, where that was nothing unusual.
	calm *v1alpha1.CheckResult
}

// hostResult says who uses the machine's processors and whether the application is kept from them, and what the kernel has
// killed. It is False where the application is kept from something, and never a condition of health.
func (p *Prober) hostResult(l *look) v1alpha1.CheckResult {
	var r v1alpha1.CheckResult
	if l.procsErr != nil {
		r.Status, r.Reason, r.Message = metav1.ConditionUnknown, "CouldNotAsk", l.procsErr.Error()
		return r
	}
	if l.reused { // nothing is known now that was not known then
		p.mu.Lock()
		calm := p.loads[l.app.Name].calm
		p.mu.Unlock()
		if calm != nil {
			return *calm
		}
	}
	f := facts.Host{CPUs: runtime.NumCPU(), Waited: -1, CPU: -1, IO: -1, RAM: -1, Up: l.now.Boot.Duration, Late: l.late}
	f.Halted = l.main.State == procfs.Stopped || l.main.State == procfs.Traced
	for _, of := range []struct {
		what procfs.Resource
		to   *float64
	}{{procfs.CPU, &f.CPU}, {procfs.IO, &f.IO}, {procfs.RAM, &f.RAM}} {
		if pressure, known, err := p.FS.Pressure(of.what); err == nil && known {
			*of.to = pressure.Some.Avg10
			if of.what == procfs.IO {
				*of.to = pressure.Full.Avg10
			}
		}
	}
	if avg, err := p.FS.LoadAvg(); err == nil {
		f.Load = avg.Avg1
	}
	now := load{at: l.now, main: l.main.Identity, wanting: l.main.State == procfs.Running, last: l.now}
	times, err := p.FS.CPUTimes()
	now.times = times
	if l.life != "" {
		var known bool
		if now.waiting, known, _ = p.FS.Waiting(l.main.Identity); !known {
			now.waiting = procfs.Waiting{Ran: -1}
		}
	}
	now.kills, now.killed, _ = p.FS.OOMKills()

	p.mu.Lock()
	old, seen := p.loads[l.app.Name]
	p.mu.Unlock()
	if seen {
		if err == nil {
			share(l, &old, &now, &f)
		}
		f.Jumped = jumped(old.last, l.now)
		if now.killed && old.killed && now.kills > old.kills {
			p.whoWasKilled(l, &old, int64(now.kills-old.kills), &f)
		}
	}
	r.Facts = facts.Raw(f)
	r.Status, r.Reason = metav1.ConditionTrue, "AtLeisure"
	r.Message = hostMessage(&f)
	if what := f.Starved(); what != "" {
		r.Status, r.Reason = metav1.ConditionFalse, "Starved"
		r.Message = "other programs keep the application from " + what + ": " + r.Message
	} else if f.Window > 0 && f.Killed == 0 && f.Jumped == 0 && !f.Halted {
		now.calm = &r
	}
	p.keepLoad(l, old, seen, now)
	return r
}

// keepLoad begins a new window once the old one is long enough.
func (p *Prober) keepLoad(l *look, old load, seen bool, now load) {
	next := old
	if !seen || old.at.BootID != l.now.BootID || l.now.Since(old.at) >= windowLeast || old.main != now.main {
		next = now
		next.used = make(map[procfs.Identity]time.Duration, len(l.procs.Processes))
		for n := range l.procs.Processes {
			next.used[l.procs.Processes[n].Identity] = l.procs.Processes[n].CPU
		}
	}
	next.last, next.kills, next.killed, next.calm = now.last, now.kills, now.killed, now.calm
	next.tree = make(map[int]bool, len(l.tree))
	for pid := range l.tree {
		next.tree[pid] = true
	}
	p.mu.Lock()
	p.loads[l.app.Name] = next
	p.mu.Unlock()
}

// share works out who has used what since the beginning of the window.
func share(l *look, old, now *load, f *facts.Host) {
	window := l.now.Since(old.at)
	all := now.times.Total() - old.times.Total()
	if old.at.BootID != l.now.BootID || window < windowLeast || all <= 0 {
		return
	}
	f.Window = window
	f.Busy = part(now.times.Busy-old.times.Busy, all)
	f.Stolen = part(now.times.Stolen-old.times.Stolen, all)
	if old.main == now.main && old.waiting.Ran >= 0 && now.waiting.Ran >= 0 && l.life != "" {
		f.Waited = part(now.waiting.Waited-old.waiting.Waited, window)
		f.Ran = part(now.waiting.Ran-old.waiting.Ran, window)
		if old.wanting && now.wanting && now.waiting.Ran == old.waiting.Ran {
			// The kernel adds up a wait only when it ends. Who wants a processor at both looks, and had none in between, has
			// waited all the time.
			f.Waited = 1
		}
	}
	var app, most time.Duration
	for n := range l.procs.Processes {
		proc := &l.procs.Processes[n]
		used := proc.CPU - old.used[proc.Identity] // all of it, for one that is younger than the window
		if _, ours := l.tree[proc.PID]; ours {
			app += used
		} else if used > most {
			most = used
			f.HogPID, f.HogName, f.HogCPU = proc.PID, proc.Comm, part(used, all)
		}
	}
	f.App = part(app, all)
}

func part(of, all time.Duration) float64 { return min(max(float64(of)/float64(all), 0), 1) }

// jumped is by how much the clock on the wall was set between two looks.
func jumped(before, now v1alpha1.Instant) time.Duration {
	const noticed = 2 * time.Second // below that it is drift, or a time server's small step
	if before.BootID != now.BootID {
		return 0
	}
	d := now.Wall.Sub(before.Wall.Time) - (now.Boot.Duration - before.Boot.Duration)
	if d.Abs() < noticed {
		return 0
	}
	return d.Round(time.Second)
}

// whoWasKilled reads what the kernel says of those it has killed since the last look, where that may be read.
func (p *Prober) whoWasKilled(l *look, old *load, count int64, f *facts.Host) {
	f.Killed = count
	path := p.KernelLog
	if path == "" {
		path = "/dev/kmsg"
	}
	list, err := procfs.OOMLines(path)
	if err != nil {
		// Without the kernel's word: was one of the application's processes there at the last look, and is it not any more?
		for pid := range old.tree {
			if _, alive := l.procs.Get(pid); !alive {
				f.MayBeApp = true
			}
		}
		return
	}
	for _, k := range list {
		if k.At < old.last.Boot.Duration-time.Second {
			continue
		}
		if ours := old.tree[k.PID]; ours || !f.KilledApp {
			f.Line, f.KilledApp = k.Line, ours
		}
	}
}

func hostMessage(f *facts.Host) string {
	text := "not measured yet"
	if f.Window > 0 {
		text = fmt.Sprintf("%d processors %.0f %% busy, %.0f %% with the application", f.CPUs, f.Busy*100, f.App*100)
		if f.Waited >= 0.1 {
			text += fmt.Sprintf(", which waits for one %.0f %% of the time", f.Waited*100)
		}
		if others := f.Busy - f.App; f.HogPID != 0 && others > 0.5 {
			text += fmt.Sprintf("; the busiest other program is %s (pid %d) with %.0f %%", f.HogName, f.HogPID, f.HogCPU*100)
		}
	}
	if f.IO >= 10 {
		text += fmt.Sprintf("; everything waits for the disk %.0f %% of the time", f.IO)
	}
	if f.Stolen >= 0.1 {
		text += fmt.Sprintf("; the machine below this one takes %.0f %%", f.Stolen*100)
	}
	if f.Jumped != 0 {
		text += fmt.Sprintf("; the clock was set by %s", f.Jumped)
	}
	if f.Killed > 0 {
		text += fmt.Sprintf("; the kernel has killed %d for want of memory", f.Killed)
	}
	return text
}
