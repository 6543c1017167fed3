package cmd

import (
	"context"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/evidence"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/keeper"
	"github.com/evenkeel/evenkeel/reconcilers/pm2"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/systemd"
	"github.com/evenkeel/evenkeel/state"
)

// newDomain makes the domain that looks at this machine and acts on it. dir is the state folder, where the evidence is kept of
// what recoveries are about to end; exec is the runtime of Apps that evenkeel itself keeps; swap is nil where swap is to be
// left alone, log where nothing is done in the background, and no evidence is kept. marks are those of the state folder.
func newDomain(clock func() v1alpha1.Instant, dir string, marks facts.Marker, exec *keeper.Keeper, swap recovery.Switcher, log logrus.FieldLogger) *reconcilers.Domain {
	fs, manager := procfs.Default(), pm2.New()
	managers := runtime.Choice{PM2: manager, Exec: exec, Systemd: systemd.New()}
	prober := &checks.Prober{FS: fs, Runtime: managers, Clock: clock, Reuse: reuse, Marks: marks}
	if dir != "" {
		prober.Folders = []string{dir} // there must be room to write in it
	}
	hands := &recovery.Hands{FS: fs, Runtime: managers, Looker: prober, Clock: clock, Swap: swap, Log: log}
	if log != nil {
		hands.Evidence = keepEvidence(dir, &evidence.Collector{FS: fs, Runtime: managers, Clock: clock, PM2: manager, Own: os.Environ()}, log)
	}
	return reconcilers.New(prober, hands)
}

// marksOf are the marks of a state folder that somebody else keeps.
func marksOf(dir string) facts.Marker {
	key, _ := state.ReadKey(dir) // without it, what was remembered is not known again
	return facts.Marker{Key: key}
}

// keptMarks are those of the own state folder.
func keptMarks(dir string, log logrus.FieldLogger) facts.Marker {
	key, err := state.KeepKey(dir)
	if err != nil {
		log.WithError(err).Warn("that the public URL was seen to answer is forgotten when evenkeel ends")
	}
	return facts.Marker{Key: key}
}

// reuse is how old the list of the machine's processes may be for a look at an application that is well.
const reuse = 5 * time.Second

// keepEvidence gathers evidence and keeps it in the state folder, once for each recovery.
func keepEvidence(dir string, c *evidence.Collector, log logrus.FieldLogger) func(context.Context, *v1alpha1.App, pass.Step) {
	return func(ctx context.Context, app *v1alpha1.App, step pass.Step) {
		if state.HasEvidence(dir, app.Name, step.Recovery.ID) {
			return
		}
		e := c.Collect(ctx, app, step)
		if err := state.WriteEvidence(dir, app.Name, &e); err != nil {
			log.WithError(err).WithField("app", app.Name).Warn("evidence was not kept; the recovery goes on")
		}
	}
}
