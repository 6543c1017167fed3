package cmd

import (
	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/pm2"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
)

// newDomain makes the domain that looks at this machine and acts on it. swap is nil where swap is to be left alone.
func newDomain(clock func() v1alpha1.Instant, swap recovery.Switcher) *reconcilers.Domain {
	fs, runtime := procfs.Default(), pm2.New()
	prober := &checks.Prober{FS: fs, Runtime: runtime, Clock: clock}
	return reconcilers.New(prober, &recovery.Hands{FS: fs, Runtime: runtime, Looker: prober, Clock: clock, Swap: swap})
}
