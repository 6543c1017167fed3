package cmd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/reconcilers/keeper"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/swap"
	"github.com/evenkeel/evenkeel/reconcilers/systemd"
	"github.com/evenkeel/evenkeel/state"
)

type runFlags struct {
	logFile, logFormat string
	dryRun             bool
	metrics            string
}

func newRunCommand(g *globals) *cobra.Command {
	var flags runFlags
	c := &cobra.Command{
		Use:   "run -f FILE",
		Short: "Supervise the Apps of one or more desired-state files",
		Long: `Supervise. FILE is a desired-state file or a folder of them; -f may be given several times. Edits are in force within
a second of saving. On SIGTERM or SIGINT evenkeel ends; the applications are left running. Only as process 1 of a
container, with which everything ends, does it end the applications that it keeps itself (spec.runtime.exec) first.

With --dry-run it observes only, as with "mode: Observe" in every App: it sees, judges, records and alerts, journals what it
would have done and how the world went on without that, and does nothing. An application that it keeps itself is then
neither started nor brought back.`,
		Example: examples("evenkeel run -f site.yaml", "evenkeel run -f /etc/evenkeel --log-format json",
			"evenkeel run -f site.yaml --dry-run   # only say what would be done"),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return run(c.Context(), g, flags) },
	}
	g.addFiles(c, "desired-state file, or a folder of them")
	c.Flags().StringVar(&flags.logFile, "log-file", "", "log file (default: monitor.log in the state folder; - for none)")
	c.Flags().StringVar(&flags.logFormat, "log-format", "text", "format of the log: text or json")
	c.Flags().StringVar(&flags.metrics, "metrics", "", "serve /metrics for Prometheus and /healthz on 127.0.0.1:PORT or unix:/PATH (default: nowhere)")
	c.Flags().BoolVar(&flags.dryRun, "dry-run", false, "observe only: do nothing, and journal what would be done")
	return c
}

func run(ctx context.Context, g *globals, flags runFlags) error {
	if len(g.Files) == 0 {
		return usagef("run needs -f: the desired-state file, or a folder of them")
	}
	if flags.logFormat != "text" && flags.logFormat != "json" {
		return usagef("--log-format %s is not known; it takes text or json", flags.logFormat)
	}
	// A second signal must not end us between an application's stop and its start; the context has already ended.
	second := make(chan os.Signal, 1)
	signal.Notify(second, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(second)

	dir, err := state.Dir(g.StateDir)
	if err != nil {
		return err
	}
	paths := make([]string, len(g.Files))
	for n, p := range g.Files {
		if paths[n], err = filepath.Abs(p); err != nil {
			return fmt.Errorf("finding %s: %w", p, err)
		}
	}
	out, err := newOutlets(g, dir, flags)
	if err != nil {
		return err
	}
	defer out.close()
	if flags.metrics != "" {
		stop, err := out.serveMetrics(flags.metrics)
		if err != nil {
			return &usageError{err}
		}
		defer stop()
	}
	incidents := newFiler(dir, out.log())
	defer incidents.close()
	var s *supervisor
	units := systemd.New()
	defer units.Close()
	exec := keeper.New(keeper.Options{
		Dir: dir, Clock: g.clock, Log: out.log(), Changed: func(app string) { s.wake(app) }, Apart: units.Apart,
		Random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), // #nosec G404 -- jitter needs no secrecy
	})
	defer exec.Close()
	if os.Getpid() == 1 {
		end := asProcessOne(exec, out.log())
		defer end()
	}
	s = &supervisor{
		dir: dir, paths: paths, dryRun: flags.dryRun, domain: newDomain(g.clock, dir, keptMarks(dir, out.log()), exec, &swap.Switcher{FS: procfs.Default(), Socket: swap.Socket}, out.log()), filer: incidents, keeper: exec, clock: g.clock, log: out.log(), sink: func(app string, journal *state.Journal) controller.Sink {
			return out.sink(app, journal)
		},
		owed: out.owed, seed: rand.Uint64(), // #nosec G404 -- jitter needs no secrecy
		ready: func() {
			out.log().WithFields(logrus.Fields{"state": dir, "version": g.Version, "pid": os.Getpid()}).Info("evenkeel is ready")
			if flags.dryRun {
				out.log().Warn("--dry-run: nothing is done, whatever happens; what would be done is journalled (WouldRecover)")
			}
			notify(out.log(), daemon.SdNotifyReady)
		},
		idle: func() { notify(out.log(), daemon.SdNotifyWatchdog) }, // nothing to supervise is no hang
	}
	err = s.run(ctx)
	notify(out.log(), daemon.SdNotifyStopping)
	var locked *state.LockedError
	if errors.As(err, &locked) {
		return fmt.Errorf("%w; there can be only one supervisor of an App (see \"evenkeel status\")", err)
	}
	return err
}

// notify tells the service manager, where there is one.
func notify(log logrus.FieldLogger, what string) {
	if _, err := daemon.SdNotify(false, what); err != nil {
		log.WithError(err).Warn("service manager could not be told")
	}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
