package verdict

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// The disk: told early, and no reason to end an application that answers, unless it is its own cache that has filled it to
// the end.

var (
	diskShort = fails(v1alpha1.CheckDisk)
	diskFull  = condition{
		yes: "nothing more can be relied on to be written", no: "there is still a little room to write",
		holds: func(v *view) bool { w, _ := v.disk.Worst(); return w.Full() },
		seen:  func(v *view) string { return v.message(v1alpha1.CheckDisk) },
	}
	cacheFills = condition{
		yes: "the application's own caches hold what is missing", no: "the application's own caches do not hold what is missing",
		holds: (*view).cacheFillsDisk,
		seen:  func(v *view) string { return "they hold " + mib(v.disk.Caches) },
	}
	diskTried = condition{
		yes: "a recovery because of the cache was tried in this incident", no: "no recovery because of the cache was tried in this incident",
		holds: func(v *view) bool {
			i := v.c.Record.Incident
			return i != nil && slices.ContainsFunc(i.Attempts, func(a v1alpha1.Attempt) bool { return a.Reason == reasonCacheFillsDisk })
		},
	}
	removedStillHeld = condition{
		yes: "removed files that are still held open take what is missing", no: "no removed files that are still held open take what is missing",
		holds: func(v *view) bool {
			w, _ := v.disk.Worst()
			return w.NoSpace() && v.disk.Held >= w.Want-w.Free
		},
		seen: func(v *view) string { return "they take " + mib(v.disk.Held) },
	}
)

const reasonCacheFillsDisk = "CacheFillsDisk"

// cacheFillsDisk says that what a clean recovery empties would end the want of space.
func (v *view) cacheFillsDisk() bool {
	w, _ := v.disk.Worst()
	return w.NoSpace() && v.disk.Caches >= w.Clears()
}

// cleanIfCacheFills begins with the clean plan, since the plain one would start onto a full disk.
func cleanIfCacheFills(v *view, out *v1alpha1.Verdict) {
	if v.is(v1alpha1.CheckDisk, metav1.ConditionFalse) && v.cacheFillsDisk() {
		out.Plan = PlanClean
	}
}

var ruleDiskCache = Rule{
	Name: "disk-cache", Sees: "the disk is full to the end, and the application's own caches hold what is missing",
	Blame: v1alpha1.BlameDisk, Reason: reasonCacheFillsDisk, Remedy: v1alpha1.RemedyRecover, Plan: PlanClean, Own: true,
	Next: []string{"see what fills it: du -xh -d2 {directory} | sort -h | tail", "a bounded image cache: images.maximumDiskCacheSize, or images.unoptimized"},
	When: []condition{diskShort, diskFull, cacheFills, running, not(leadUnknown), not(diskTried)},
	says: func(v *view) string {
		return fmt.Sprintf("%s; the application's caches hold %s", v.message(v1alpha1.CheckDisk), mib(v.disk.Caches))
	},
}

var ruleDiskFails = Rule{
	Name: "disk-full", Sees: "the disk is full to the end, and the application's process runs and answers with errors",
	Blame: v1alpha1.BlameDisk, Reason: "DiskFull", Remedy: v1alpha1.RemedyHold,
	Limit: holdLimit, AtLimit: "one plain recovery", Act: true,
	Next: []string{"see what fills it: df -h {volume}; df -i {volume}; du -xh -d2 {volume} | sort -h | tail"},
	When: []condition{diskShort, diskFull, running, leadFails, localAnswers},
	says: func(v *view) string { return v.message(v1alpha1.CheckDisk) + "; " + v.message(v1alpha1.CheckLocal) },
}

var ruleDiskHeld = Rule{
	Name: "disk-log-held", Sees: "there is little room on the disk, and files that were removed but are still held open take it",
	Blame: v1alpha1.BlameDisk, Reason: "RemovedFilesHeld", Remedy: v1alpha1.RemedyHold,
	AtLimit: "no limit: the application answers, and the space comes back without a restart of it",
	Next:    []string{"let it open its logs anew: pm2 reloadLogs", "see who holds what: lsof +L1"},
	When:    []condition{diskShort, answers, removedStillHeld},
	says: func(v *view) string {
		who := fmt.Sprintf("%s (pid %d)", v.disk.HeldName, v.disk.HeldBy)
		if v.disk.HeldDaemon {
			who = fmt.Sprintf("PM2 (pid %d)", v.disk.HeldBy)
		}
		return fmt.Sprintf("%s; files that were removed and that %s still holds open take %s", v.message(v1alpha1.CheckDisk), who, mib(v.disk.Held))
	},
	adjust: func(v *view, out *v1alpha1.Verdict) {
		if !v.disk.HeldDaemon {
			out.Next = slices.DeleteFunc(out.Next, func(hint string) bool { return strings.Contains(hint, "pm2") })
		}
	},
}

var ruleDiskShort = Rule{
	Name: "disk-short", Sees: "there is little room on the disk where the application, its logs or evenkeel's state lie",
	Blame: v1alpha1.BlameDisk, Reason: "DiskShort", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application answers",
	Next: []string{"see what fills it: df -h {volume}; df -i {volume}; du -xh -d2 {volume} | sort -h | tail", "PM2's logs: pm2 flush"},
	When: []condition{diskShort, answers},
	says: func(v *view) string {
		text := v.message(v1alpha1.CheckDisk)
		if v.disk.Caches > 0 {
			text += "; the application's caches hold " + mib(v.disk.Caches)
		}
		return text
	},
	adjust: func(v *view, out *v1alpha1.Verdict) {
		switch spec := &v.c.App.Spec.Runtime; {
		case spec.Systemd != nil:
			out.Next[1] = "the journal: journalctl --disk-usage; journalctl --vacuum-size=200M"
		case spec.PM2 == nil:
			out.Next = out.Next[:1]
		}
	},
}

// volume is the folder on the file system that is worst off.
func (v *view) volume() string {
	if w, bad := v.disk.Worst(); bad {
		return w.Path
	}
	return v.c.App.Spec.Directory
}
