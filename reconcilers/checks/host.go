package checks

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// memoryResult says whether the machine has memory to spare, and who holds most of it.
func (p *Prober) memoryResult(l *look) v1alpha1.CheckResult {
	var r v1alpha1.CheckResult
	info, err := p.FS.Meminfo()
	if err != nil {
		r.Status, r.Reason, r.Message = metav1.ConditionUnknown, "CouldNotAsk", "the machine's memory could not be read: "+err.Error()
		return r
	}
	f := facts.Memory{
		Total: int64(info.Total), Available: int64(info.Available), Wanted: l.app.Spec.Checks.Memory.MinAvailable.Value(),
		SwapTotal: int64(info.SwapTotal), SwapFree: int64(info.SwapFree), Life: l.life,
	}
	if pressure, known, err := p.FS.Pressure(procfs.RAM); err == nil && known {
		f.Stalled = pressure.Some.Avg10
	}
	for _, proc := range l.tree {
		f.Tree += int64(proc.RSS)
	}
	for n := range l.procs.Processes {
		proc := &l.procs.Processes[n]
		if _, ours := l.tree[proc.PID]; !ours && int64(proc.RSS) > f.HogBytes {
			f.HogPID, f.HogName, f.HogBytes = proc.PID, proc.Comm, int64(proc.RSS)
		}
	}
	r.Facts = facts.Raw(f)
	r.Status, r.Reason = metav1.ConditionTrue, "Enough"
	r.Message = fmt.Sprintf("%d MiB available", f.Available>>20)
	// While it was low and has not risen well above the edge, it still counts as low; a new life begins anew.
	learned := l.app.Status.Learned
	wasLow := learned != nil && learned.LowMemorySince != nil && learned.Incarnation == l.life
	switch {
	case f.Available < f.Wanted:
		r.Status, r.Reason = metav1.ConditionFalse, "Low"
		r.Message = fmt.Sprintf("%d MiB available, %d MiB wanted", f.Available>>20, f.Wanted>>20)
	case wasLow && f.Available < f.Clears():
		r.Status, r.Reason = metav1.ConditionFalse, "Low"
		r.Message = fmt.Sprintf("%d MiB available, and after it was low %d MiB are wanted", f.Available>>20, f.Clears()>>20)
	case f.Stalled >= facts.StalledLow:
		r.Status, r.Reason = metav1.ConditionFalse, "Stalled"
		r.Message = fmt.Sprintf("%d MiB available, but work stands still for want of memory %.0f %% of the time", f.Available>>20, f.Stalled)
	}
	return r
}
