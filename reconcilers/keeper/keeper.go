//go:build linux

package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// Options make a Keeper.
type Options struct {
	// Dir is the folder for the records and the output: evenkeel's state folder. It is part of the mark.
	Dir string
	// Clock tells the moment.
	Clock func() v1alpha1.Instant
	// Log is told of every start and end; nil means that nobody is.
	Log logrus.FieldLogger
	// Random spreads the waits between starts; nil means that they are not spread.
	Random *rand.Rand
	// Changed is called, without a wait, when a process of an App has ended or was started unasked; nil means never.
	Changed func(app string)
	// Apart moves processes into a unit of systemd's of that name, so that they do not live in evenkeel's own. It is used where evenkeel
	// runs in a service; nil means never.
	Apart func(ctx context.Context, unit, description string, pids []int) error
	// OutputSize and OutputFiles bound the output; 0 means the defaults.
	OutputSize  int64
	OutputFiles int
}

// Keeper is the exec runtime. It acts by itself only for Apps that it was handed by Keep. Only who holds an App's lock in
// Dir may call Keep, Stop and Start for it; Look and Exits change nothing and are for everybody.
type Keeper struct {
	fs      procfs.FS
	dir     string
	clock   func() v1alpha1.Instant
	log     logrus.FieldLogger
	changed func(app string)
	environ func() []string
	size    int64
	files   int
	apart   func(ctx context.Context, unit, description string, pids []int) error
	group   string // the control group that evenkeel itself runs in, where that is a service's
	groupOf func(procfs.Identity) (string, error)

	randomMu sync.Mutex
	random   *rand.Rand

	mu      sync.Mutex
	wards   map[string]*ward
	working sync.WaitGroup
}

var _ runtime.Runtime = (*Keeper)(nil)

// New makes a Keeper. It looks at nothing before it is asked.
func New(o Options) *Keeper {
	dir := o.Dir
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		dir = target // one folder, one mark, however one came to it
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	k := &Keeper{
		fs: procfs.Default(), dir: dir, clock: o.Clock, log: o.Log, changed: o.Changed, environ: os.Environ,
		size: o.OutputSize, files: o.OutputFiles, random: o.Random, wards: map[string]*ward{},
	}
	if k.log == nil {
		k.log = &logrus.Logger{Out: io.Discard, Formatter: &logrus.TextFormatter{}, Hooks: logrus.LevelHooks{}}
	}
	if k.changed == nil {
		k.changed = func(string) {}
	}
	k.groupOf = k.fs.ControlGroup
	if own, err := k.fs.Process(os.Getpid()); err == nil {
		if group, err := k.groupOf(own.Identity); err == nil {
			if unit, _ := procfs.Service(group); unit != "" {
				k.group, k.apart = group, o.Apart
			}
		}
	}
	if k.size <= 0 {
		k.size = DefaultOutputSize
	}
	if k.files <= 0 {
		k.files = DefaultOutputFiles
	}
	return k
}

// Keep hands over an App as it now stands, spec and status. From the first time on its process is kept: it is looked for,
// and where there is none it is started, unless the App is paused, only observed, Failed or being recovered. Keep does not wait for that.
// An App of another runtime is not kept, or not any more.
func (k *Keeper) Keep(app *v1alpha1.App) {
	if app.Spec.Runtime.Exec == nil {
		k.Release(app.Name)
		return
	}
	w := k.ward(app.Name)
	w.news.Store(app)
	poke(w.poked)
}

// Release ends the keeping of an App. Its process is left as it is.
func (k *Keeper) Release(app string) {
	k.mu.Lock()
	w := k.wards[app]
	delete(k.wards, app)
	k.mu.Unlock()
	if w != nil {
		w.close()
	}
}

// Close ends the keeping of all Apps. Their processes are left as they are.
func (k *Keeper) Close() {
	k.mu.Lock()
	wards := k.wards
	k.wards = map[string]*ward{}
	k.mu.Unlock()
	for _, w := range wards {
		w.close()
	}
	k.working.Wait()
}

// Shutdown ends the keeping of all Apps and their processes: gracefully within each App's stopTimeout, and then by force.
// It is for a machine or container that goes down with us; the next start brings them back.
func (k *Keeper) Shutdown(ctx context.Context) error {
	k.mu.Lock()
	wards := k.wards
	k.wards = map[string]*ward{}
	k.mu.Unlock()
	var all sync.WaitGroup
	errs := make(chan error, len(wards))
	for _, w := range wards {
		all.Go(func() {
			if err := w.shutdown(ctx); err != nil {
				errs <- fmt.Errorf("ending %s: %w", w.name, err)
			}
			w.close()
		})
	}
	all.Wait()
	close(errs)
	k.working.Wait()
	var list []error
	for err := range errs {
		list = append(list, err)
	}
	return errors.Join(list...)
}

// ward is the App's, made if need be.
func (k *Keeper) ward(app string) *ward {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.wards[app]
	if w == nil {
		w = newWard(k, app)
		k.wards[app] = w
		k.working.Go(w.run)
	}
	return w
}

// known is the App's ward, or nil.
func (k *Keeper) known(app string) *ward {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wards[app]
}

// others are the Apps that are kept, but for one.
func (k *Keeper) others(app string) []*ward {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []*ward
	for name, w := range k.wards {
		if name != app {
			list = append(list, w)
		}
	}
	return list
}

// fork gives a source of randomness that one goroutine may use.
func (k *Keeper) fork() *rand.Rand {
	k.randomMu.Lock()
	defer k.randomMu.Unlock()
	if k.random == nil {
		return nil
	}
	return rand.New(rand.NewPCG(k.random.Uint64(), k.random.Uint64())) // #nosec G404 -- jitter needs no secrecy
}

func (k *Keeper) boot() string { return k.clock().BootID }

func (k *Keeper) sinceBoot() time.Duration { return k.clock().Boot.Duration }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
