package verdict

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// The machine: other programs keep the application from what it needs, or it has no files left to open.

var (
	starvedByOthers = condition{
		yes:   "other programs keep the application from what it needs",
		no:    "no other program is known to keep the application from what it needs",
		holds: func(v *view) bool { return v.host.Starved() != "" || v.stalledByOthers() },
		seen:  func(v *view) string { return v.message(v1alpha1.CheckHost) },
	}
	noAnswerInTime = condition{
		yes: "no answer comes in time, or nobody listens yet", no: "it does not time out",
		holds: func(v *view) bool {
			return v.local.Class == facts.Timeout || v.is(v1alpha1.CheckPort, metav1.ConditionFalse) && len(v.port.Listeners) == 0
		},
		seen: func(v *view) string { return string(v.local.Class) },
	}
	filesUsedUp = condition{
		yes: "one of its processes can open no more files", no: "none of its processes is known to have used up its files",
		holds: func(v *view) bool { _, out := v.workers.OutOfFiles(); return out },
		seen: func(v *view) string {
			if w, out := v.workers.OutOfFiles(); out {
				return fmt.Sprintf("pid %d has %d open", w.PID, w.Open)
			}
			return ""
		},
	}
)

// stalledByOthers says that work stands still for want of memory, and that it is not the application that took it.
func (v *view) stalledByOthers() bool {
	grown, known := v.grown()
	return v.memory.Stalled >= facts.StalledLow && v.memory.HogBytes > v.memory.Tree && (!known || !v.grewByWhatIsMissing(grown))
}

var ruleStarved = Rule{
	Name: "host-starved", Sees: "the process runs and no answer comes in time, while other programs keep it from a processor, the disk or memory",
	Blame: v1alpha1.BlameHost, Reason: "Starved", Remedy: v1alpha1.RemedyHold,
	Limit: unknownTime, AtLimit: "one plain recovery", Act: true,
	Next: []string{"see who is at it: uptime; ps -eo pid,user,ni,pcpu,rss,comm --sort=-pcpu | head", "what waits for the disk: ps -eo pid,stat,comm | grep ' D'"},
	When: []condition{leadFails, running, noAnswerInTime, starvedByOthers},
	says: func(v *view) string {
		if v.host.Starved() != "" {
			return v.message(v1alpha1.CheckHost)
		}
		return fmt.Sprintf("%s; the largest other process is %s (pid %d) with %s",
			v.message(v1alpha1.CheckMemory), v.memory.HogName, v.memory.HogPID, mib(v.memory.HogBytes))
	},
}

// filesTime is how long an application that has used up its files may take to heal: clients that leave give theirs back.
const filesTime = unknownTime / 2

var ruleFilesUsedUp = Rule{
	Name: "files-used-up", Sees: "requests end without an answer, and a process of the application can open no more files",
	Blame: v1alpha1.BlameApp, Reason: "FilesUsedUp", Remedy: v1alpha1.RemedyHold,
	Limit: filesTime, AtLimit: "one plain recovery", Act: true,
	Next: []string{"see what is open: ls -l /proc/{pid}/fd | tail", "raise the limit: ulimit -n 65536 where PM2 is started, or LimitNOFILE= in its unit"},
	When: []condition{leadFails, running, filesUsedUp, not(localAnswers)},
	says: func(v *view) string {
		w, _ := v.workers.OutOfFiles()
		return fmt.Sprintf("the application can open no more files: its process %d has %d open and may have %d; it often heals when clients leave",
			w.PID, w.Open, w.OpenLimit)
	},
}
