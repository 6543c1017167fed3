package cmd

import (
	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/keeper"
	"github.com/evenkeel/evenkeel/reconcilers/pm2"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// newDomain makes the domain that looks at this machine and acts on it. exec is the runtime of Apps that evenkeel itself
// keeps; swap is nil where swap is to be left alone, log where nothing is done in the background.
func newDomain(clock func() v1alpha1.Instant, exec *keeper.Keeper, swap recovery.Switcher, log logrus.FieldLogger) *reconcilers.Domain {
	fs, managers := procfs.Default(), runtime.Choice{PM2: pm2.New(), Exec: exec}
	prober := &checks.Prober{FS: fs, Runtime: managers, Clock: clock}
	return reconcilers.New(prober, &recovery.Hands{FS: fs, Runtime: managers, Looker: prober, Clock: clock, Swap: swap, Log: log})
}
