package checks

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// openEvery is how often open files are counted where nothing is suspected.
const openEvery = time.Minute

// workersResult says whether the application's own processes are alive.
func (p *Prober) workersResult(l *look, suspect bool) v1alpha1.CheckResult {
	var r v1alpha1.CheckResult
	var f facts.Workers
	stopped := 0
	var pids []int
	for pid := range l.tree {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	for _, pid := range pids {
		proc := l.tree[pid]
		worker := facts.Worker{PID: pid, Name: proc.Comm, State: proc.State.String(), Bytes: int64(proc.RSS)}
		if suspect || l.age%openEvery < l.app.Spec.Interval.Duration {
			if d, err := p.FS.Descriptors(proc.Identity); err == nil {
				worker.Open, worker.OpenLimit = d.Open, d.Limit
			}
		}
		f.Processes = append(f.Processes, worker)
		if proc.State == procfs.Stopped {
			stopped++
		}
	}
	r.Facts = facts.Raw(f)
	switch {
	case l.snapshotErr != nil && len(f.Processes) == 0 || l.procsErr != nil:
		r.Status, r.Reason, r.Message = metav1.ConditionUnknown, "CouldNotAsk", "the application's processes could not be looked for"
	case len(f.Processes) == 0:
		r.Status, r.Reason, r.Message = metav1.ConditionFalse, "NoneAlive", "none of the application's processes is alive"
	default:
		r.Status, r.Reason, r.Message = metav1.ConditionTrue, "Alive", fmt.Sprintf("%d alive", len(f.Processes))
		if stopped > 0 {
			r.Message += fmt.Sprintf(", %d of them stopped by a signal", stopped)
		}
		if out, ok := f.OutOfFiles(); ok {
			r.Message += fmt.Sprintf("; pid %d has %d files open and may have %d", out.PID, out.Open, out.OpenLimit)
		}
	}
	return r
}
