package cmd

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/alert"
	"github.com/evenkeel/evenkeel/api/heartbeat"
	"github.com/evenkeel/evenkeel/api/metrics"
	"github.com/evenkeel/evenkeel/api/monitor"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

// outlets are all that is fed with what the loops see and do: the log, the journals, the alerts, the last pass of each
// App for other commands to read, and the service manager's watchdog.
type outlets struct {
	dir      string
	logPath  string // of the log file; empty where there is none
	monitor  *monitor.Monitor
	alerts   *alert.Dispatcher
	joint    *joint // in front of alerts
	beater   *heartbeat.Beater
	metrics  *metrics.Metrics
	watchdog *watchdog
	passes   chan lastPass
	writing  sync.WaitGroup

	mu       sync.Mutex
	journals map[string]*state.Journal
}

type lastPass struct {
	app    string
	o      v1alpha1.Observation
	before []v1alpha1.Observation
}

func newOutlets(g *globals, dir string, flags runFlags) (*outlets, error) {
	path := flags.logFile
	switch path {
	case "":
		path = filepath.Join(dir, "monitor.log")
	case "-":
		path = ""
	}
	m, err := monitor.New(monitor.Options{Path: path, Format: flags.logFormat, Also: g.Stderr})
	if m == nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	o := &outlets{dir: dir, logPath: path, monitor: m, passes: make(chan lastPass, 64), journals: map[string]*state.Journal{}}
	if err != nil {
		o.log().WithError(err).Warn("log file cannot be written; the terminal alone is used until it can")
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	o.watchdog = newWatchdog(o.log(), g.clock)
	options := alert.Options{
		Report: o.report, Log: o.log(), Host: host, Courier: g.courier(),
		Random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), // #nosec G404 -- jitter needs no secrecy
	}
	if box, err := state.OpenOutbox(dir); err != nil {
		o.log().WithError(err).Warn("alerts that cannot be delivered at once would be forgotten at a restart")
	} else {
		options.Outbox = box
	}
	o.alerts = alert.New(options)
	o.metrics = metrics.New(g.Version)
	o.beater = heartbeat.New(heartbeat.Options{Report: o.report, Log: o.log()})
	o.joint = newJoint(g.clock, o.alerts.Joined)
	o.writing.Go(o.writePasses)
	return o, nil
}

func (o *outlets) log() *logrus.Logger { return o.monitor.Logger() }

// closeLimit is how long what is queued may take at the end.
const closeLimit = 5 * time.Second

func (o *outlets) close() {
	bounded := func(end func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
		defer cancel()
		return end(ctx)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	o.beater.Close(ctx)
	o.joint.close()
	if err := bounded(o.alerts.Close); err != nil {
		o.log().WithError(err).Warn("not all alerts were delivered")
	}
	close(o.passes)
	o.writing.Wait()
	_ = bounded(o.monitor.Close) // there is nowhere left to say it
}

// serveMetrics serves what is counted, and whether evenkeel itself is well, until stop is called.
func (o *outlets) serveMetrics(address string) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	l, err := metrics.Listen(ctx, address)
	if err != nil {
		cancel()
		return nil, err
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := o.metrics.Serve(ctx, l, o.watchdog.healthy); err != nil {
			o.log().WithError(err).Error("metrics are not served any more")
		}
	})
	return func() {
		cancel()
		serving.Wait()
	}, nil
}

// report writes what became of an alert into the log and the App's journal.
func (o *outlets) report(e v1alpha1.Event) {
	o.monitor.Event(e)
	switch e.Reason {
	case v1alpha1.ReasonAlertSent, v1alpha1.ReasonAlertFailed: // with the phase of the moment at which it was raised
		o.metrics.Alerted(e)
	default:
		o.metrics.Event(e)
	}
	o.mu.Lock()
	journal := o.journals[e.App]
	o.mu.Unlock()
	if journal == nil {
		return
	}
	if err := journal.Append(e); err != nil {
		o.log().WithError(err).Warn("journal was not written")
	}
}

// writePasses writes the last passes, away from the loops.
func (o *outlets) writePasses() {
	for p := range o.passes {
		if err := state.WriteLastPass(o.dir, p.app, &p.o, p.before...); err != nil {
			o.log().WithError(err).Warn("last pass was not kept")
		}
	}
}

// sink is what one App's loop feeds. Without a journal there is none for it.
func (o *outlets) sink(app string, journal *state.Journal) *appSink {
	if journal != nil {
		o.mu.Lock()
		o.journals[app] = journal
		o.mu.Unlock()
		o.joint.supervised(app, true)
	}
	return &appSink{outlets: o}
}

type appSink struct {
	*outlets
	recent []v1alpha1.Observation // for the loop alone
}

// Pass is called with every finished pass. Finished passes alone feed the watchdog. Where something does not hold, the passes
// before are kept too: what is blamed may rest on them.
func (s *appSink) Pass(app *v1alpha1.App, o *v1alpha1.Observation) {
	s.monitor.Pass(app, o)
	s.metrics.Pass(app, o)
	p := lastPass{app: app.Name, o: *o}
	if !o.Holds() {
		p.before = s.recent
	}
	select {
	case s.passes <- p:
	default: // the disk is behind; the next pass is as good
	}
	s.recent = append(slices.Clone(s.recent[max(len(s.recent)-pass.Recent+2, 0):]), *o)
	s.watchdog.passed(app)
	s.alerts.Pass(app, o)
	s.beater.Pass(app)
}

// Event is called with everything that belongs into the journal. It is written at once, so that what is journalled
// before an action is there if the action is our last.
func (s *appSink) Event(e v1alpha1.Event) {
	s.report(e)
	if e.Reason == v1alpha1.ReasonStopped {
		s.watchdog.forget(e.App)
		s.joint.supervised(e.App, false)
	}
}

// Alert is called with everything that somebody should be told. That evenkeel has given up is told with the places
// to look at: a person has to go on from here.
func (s *appSink) Alert(app *v1alpha1.App, a v1alpha1.Alert, kept func()) {
	if a.Kind == v1alpha1.AlertFailed {
		a.Next = slices.Clone(a.Next)
		for _, place := range places(app.Name, app, s.dir, cmp.Or(s.logPath, "on its standard error")) {
			a.Next = append(a.Next, place[0]+": "+place[1])
		}
	}
	s.monitor.Alert(app, a)
	s.joint.alert(app, a, kept)
}

// owed gives those alerts that somebody is still to be told: not what the outbox holds, or of which the journal tells that it
// was sent, or given up.
func (o *outlets) owed(app *v1alpha1.App, journal *state.Journal, alerts []v1alpha1.Alert) []v1alpha1.Alert {
	var names []string
	for _, a := range alerts {
		names = append(names, alert.Names(app, a)...)
	}
	delivered, err := journal.Delivered(names)
	if err != nil {
		o.log().WithError(err).WithField("app", app.Name).Warn("alerts may be sent that were sent before evenkeel was ended")
	}
	o.alerts.Earlier(delivered...)
	return slices.DeleteFunc(slices.Clone(alerts), func(a v1alpha1.Alert) bool { return !o.alerts.Owed(app, a) })
}
