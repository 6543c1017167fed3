package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/cmd/demo"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/reconcilers/keeper"
	"github.com/evenkeel/evenkeel/state"
)

const (
	// demoApp is the name of the demo's App.
	demoApp = "site"
	// demoPort is the port that its site is meant to have.
	demoPort = v1alpha1.DefaultPort
	// demoStart is how long the site may take to be well for the first time.
	demoStart = 20 * time.Second
	// demoEnd is how long its processes may take to end.
	demoEnd = 15 * time.Second
)

// demoWorld is a demo that runs: the site, its proxy, and the real supervisor on it, in this process.
type demoWorld struct {
	folder *demo.Folder
	proxy  *demo.Proxy
	voice  *demoVoice
	watch  *demoWatch
	self   string // this program
	port   int
	taken  io.Closer // keeps other demos from the port

	out    *outlets
	keeper *keeper.Keeper
	stop   context.CancelFunc
	ended  chan error // what the supervisor ended with
}

// newDemoWorld makes it, and waits until the site is well.
func newDemoWorld(ctx context.Context, g *globals, dir string, voice *demoVoice) (*demoWorld, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program, which is to play the site too: %w", err)
	}
	folder, err := demo.Open(dir)
	if err != nil {
		return nil, err
	}
	w := &demoWorld{folder: folder, voice: voice, watch: newDemoWatch(), self: self, ended: make(chan error, 1)}
	if err := w.prepare(ctx); err != nil {
		return nil, errors.Join(err, w.end())
	}
	if err := w.supervise(ctx, g); err != nil {
		return nil, errors.Join(err, w.end())
	}
	well := w.watch.wait(ctx, demoStart, func() bool {
		last, _ := w.watch.pass()
		_, runs := w.watch.site()
		return last.Holds() && runs || len(w.ended) > 0
	})
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(errors.New("interrupted before the site was up"), w.end())
	case len(w.ended) > 0:
		return nil, errors.Join(errors.New("the demo's supervisor could not begin"), w.end())
	case !well:
		last, _ := w.watch.pass()
		text, _ := json.Marshal(last)
		return nil, errors.Join(fmt.Errorf("the demo's site was not well within %s; the last look: %s", demoStart, text), w.end())
	}
	return w, nil
}

// prepare makes all that has to be there before the supervisor begins.
func (w *demoWorld) prepare(ctx context.Context) error {
	err := errors.Join(os.MkdirAll(w.folder.State(), 0o700), os.MkdirAll(w.folder.Site(), 0o700), demo.MakeSite(w.folder.Site()))
	if err != nil {
		return fmt.Errorf("making the demo's folder: %w", err)
	}
	if w.port, w.taken, err = demo.TakePort(ctx, demoPort); err != nil {
		return err
	}
	if w.proxy, err = demo.NewProxy(w.port); err != nil {
		return err
	}
	document := demoDocument(w.self, w.folder.Path(), w.folder.Site(), w.port, w.proxy.URL())
	if err := os.WriteFile(w.folder.Desired(), []byte(document), 0o600); err != nil {
		return fmt.Errorf("writing the demo's desired state: %w", err)
	}
	return nil
}

// demoDocument is the demo's desired state.
func demoDocument(self, folder, site string, port int, public string) string {
	quoted := func(text string) string {
		data, _ := json.Marshal(text) // what is text can always be written
		return string(data)
	}
	return strings.NewReplacer(
		"{name}", demoApp, "{directory}", quoted(site), "{port}", strconv.Itoa(port), "{url}", quoted(public),
		"{command}", "["+strings.Join([]string{quoted(self), demo.PartSite, demo.FolderFlag, quoted(folder)}, ", ")+"]",
		"{cache}", demo.Cache,
	).Replace(`# What "evenkeel demo" wants of its site. Edit and save it while the demo runs: it is in force within a second.
apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: {name}}
spec:
  paused: false                 # true: look, record and alert, but begin nothing
  directory: {directory}
  runtime:
    exec: {command: {command}}
  port: {port}
  interval: 300ms               # all times are short, so that there is something to watch
  confirmInterval: 100ms
  checks:
    local:  {timeout: 800ms}
    public: {url: {url}, timeout: 800ms}
    memory: {required: false}   # this is about the site, not about your machine
  recovery:
    cooldown: 2s
    deadline: 2s
    startupGrace: 2s
    stopTimeout: 1s
    tell: Always                # also of what the first recovery mends
    provenAfter: 500ms          # after that attempts are forgotten
    caches: [{cache}]
`)
}

// supervise begins supervision, by the same supervisor as "evenkeel run".
func (w *demoWorld) supervise(ctx context.Context, g *globals) error {
	quiet := *g
	quiet.Stderr = io.Discard // the demo tells it in its own words; monitor.log has the rest
	var err error
	if w.out, err = newOutlets(&quiet, w.folder.State(), runFlags{logFormat: "text"}); err != nil {
		return err
	}
	var s *supervisor
	w.keeper = keeper.New(keeper.Options{
		Dir: w.folder.State(), Clock: g.clock, Log: w.out.log(), Changed: func(app string) { s.wake(app) },
	})
	s = &supervisor{
		dir: w.folder.State(), paths: []string{w.folder.Desired()}, domain: newDomain(g.clock, w.folder.State(), keptMarks(w.folder.State(), w.out.log()), w.keeper, nil, w.out.log()), keeper: w.keeper,
		clock: g.clock, log: w.out.log(), seed: rand.Uint64(), // #nosec G404 -- jitter needs no secrecy
		sink: func(app string, journal *state.Journal) controller.Sink {
			return &demoSink{appSink: w.out.sink(app, journal), watch: w.watch}
		},
		owed: w.out.owed, ready: func() {}, idle: func() {},
	}
	ctx, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() { w.ended <- s.run(ctx) }()
	return nil
}

// end takes the world away: supervision first, then the site, then the rest. It says what could not be taken away.
func (w *demoWorld) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), demoEnd)
	defer cancel()
	var errs []error
	if w.stop != nil {
		w.stop()
		errs = append(errs, <-w.ended) // a recovery that has stopped the site goes on through its start
	}
	if w.keeper != nil {
		if err := w.keeper.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("ending the site: %w", err))
		}
	}
	if w.out != nil {
		w.out.close()
	}
	if w.proxy != nil {
		w.proxy.Close()
	}
	if w.taken != nil {
		_ = w.taken.Close() // it goes with this process anyhow
	}
	if err := w.folder.EndAll(ctx); err != nil {
		errs = append(errs, fmt.Errorf("ending what belongs to the demo: %w", err))
	}
	left, err := w.folder.Left()
	if errs = append(errs, err); len(left) > 0 {
		errs = append(errs, fmt.Errorf("of the demo's processes these are left: %v", left))
	}
	if err := w.folder.Close(); err != nil {
		errs = append(errs, fmt.Errorf("removing the demo's folder: %w", err))
	}
	return errors.Join(errs...)
}

// siteURL is an address of the site itself.
func (w *demoWorld) siteURL(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", w.port, path)
}

// stateFile is the state file of the demo's App.
func (w *demoWorld) stateFile() string { return filepath.Join(w.folder.State(), demoApp+".yaml") }

// journal is what was recorded so far.
func (w *demoWorld) journal() ([]v1alpha1.Event, error) {
	j, err := state.NewJournal(w.folder.State(), demoApp)
	if err != nil {
		return nil, err
	}
	return j.Read(state.Query{})
}
