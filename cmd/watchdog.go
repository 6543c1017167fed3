package cmd

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
)

// watchdog knows whether passes finish, and feeds the service manager's watchdog, where there is one. Only finished passes feed it, and only while no App's
// next pass is overdue: a loop that hangs is not hidden by the others.
type watchdog struct {
	log     logrus.FieldLogger
	clock   func() v1alpha1.Instant
	enabled bool

	mu     sync.Mutex
	due    map[string]v1alpha1.Instant
	period time.Duration
}

func newWatchdog(log logrus.FieldLogger, clock func() v1alpha1.Instant) *watchdog {
	return &watchdog{log: log, clock: clock, enabled: os.Getenv("WATCHDOG_USEC") != "", due: map[string]v1alpha1.Instant{}}
}

// longestGap is the longest time that can lie between two finished passes of an App when all is as it should be: its
// interval and a pass in which every check runs into its timeout, or a whole recovery.
func longestGap(app *v1alpha1.App) time.Duration {
	var interval, timeout time.Duration
	for _, name := range checks.Enabled(app) {
		interval = max(interval, checks.Interval(app, name))
		timeout = max(timeout, checks.Settings(app, name).Timeout.Duration)
	}
	var act time.Duration
	for _, plan := range [][]string{recovery.Plain(), recovery.Clean()} {
		for _, step := range plan {
			act += recovery.Traits(app, step).Timeout
		}
	}
	return interval + 4*timeout + act // the public check asks at the proxy, and what time it is elsewhere; the runtime is asked before
}

// passed is called with every finished pass.
func (w *watchdog) passed(app *v1alpha1.App) {
	gap := longestGap(app)
	now := w.clock()
	w.mu.Lock()
	w.due[app.Name] = now.Add(gap)
	longer := gap > w.period
	if longer {
		w.period = gap
	}
	overdue := false
	for _, due := range w.due {
		overdue = overdue || due.Before(now)
	}
	w.mu.Unlock()
	if !w.enabled {
		return
	}
	if longer { // the unit's own period may be too short for what this App is allowed to take
		notify(w.log, fmt.Sprintf("WATCHDOG_USEC=%d", gap.Microseconds()))
	}
	if !overdue {
		notify(w.log, daemon.SdNotifyWatchdog)
	}
}

// healthy says of which App the next pass is overdue: what a service manager's watchdog would restart evenkeel for.
func (w *watchdog) healthy() error {
	now := w.clock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for app, due := range w.due {
		if late := now.Since(due); due.Before(now) {
			return fmt.Errorf("the next pass of %s is overdue by %s", app, late.Round(time.Second))
		}
	}
	return nil
}

// forget is called when supervision of an App has ended.
func (w *watchdog) forget(app string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.due, app)
}
