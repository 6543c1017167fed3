package main

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// disk is the space on the one file system: it is full by the application's own cache, or by somebody else; or there is
// little left, which a removed log may take that PM2 still holds.
func (e *eyes) disk() v1alpha1.CheckResult {
	f := facts.Disk{Volumes: []facts.Volume{{Path: "/", Holds: []string{"app", "logs", "state"}, Size: 20 << 30, Free: 9 << 30, Want: 256 << 20}}}
	if !e.w.disk.full && !e.w.cond.cacheFull && !e.w.env.diskShort {
		return result(metav1.ConditionTrue, "Enough", "9216 MiB free", f)
	}
	if f.Volumes[0].Free = 0; !e.w.disk.full && !e.w.cond.cacheFull {
		f.Volumes[0].Free = 100 << 20
	}
	if e.w.env.how.disk == diskHeld && e.w.env.diskShort {
		f.Held, f.HeldBy, f.HeldName, f.HeldDaemon = 600<<20, 10, "PM2", true
	}
	if e.w.cond.cacheFull {
		f.Caches = 4 << 30
	}
	return result(metav1.ConditionFalse, "NoSpace", "0 MiB free", f)
}

// host is how the machine is: another program may keep the application from a processor.
func (e *eyes) host() v1alpha1.CheckResult {
	f := facts.Host{CPUs: 2, Window: time.Second, Busy: 0.2, App: 0.1, Ran: 0.1, Up: e.w.now - e.w.bootAt}
	if e.w.env.squeezed || e.w.env.starved {
		f.Busy, f.App, f.Waited, f.Ran, f.HogPID, f.HogName, f.HogCPU = 0.99, 0.01, 0.9, 0.02, 77, "xz", 0.9
		return result(metav1.ConditionFalse, "Starved", "other programs keep the application from its processors", f)
	}
	return result(metav1.ConditionTrue, "AtLeisure", "2 processors 20 % busy", f)
}
