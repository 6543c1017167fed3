//go:build linux

package keeper

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/signals"
)

// ward is one App that is kept.
type ward struct {
	k    *Keeper
	name string

	news atomic.Pointer[v1alpha1.App] // the newest that Keep was given
	// shown is its row for those who look at another App; nil before its process was looked for.
	shown atomic.Pointer[runtime.Process]
	poked chan struct{}
	ctx   context.Context // ends when it is kept no longer
	end   context.CancelFunc
	// ordering is held by who carries out an order: one at a time.
	ordering chan struct{}

	mu      sync.Mutex // guards what follows
	app     *v1alpha1.App
	adopted bool
	rec     record
	life    *life // nil where none is alive
	waits   waits
	wait    time.Duration // the wait before the next start
	due     time.Duration // when that is due, by the time since boot
	timer   *time.Timer
	trouble string // why the last start failed
	// unwritten says that the record on disk is not what is known; down, that everything goes down and nothing is started.
	unwritten, down bool
}

// life is a living process.
type life struct {
	birth
	child *os.Process // nil where it is not our child
	ended chan struct{}
}

func newWard(k *Keeper, name string) *ward {
	w := &ward{k: k, name: name, poked: make(chan struct{}, 1), ordering: make(chan struct{}, 1)}
	w.ctx, w.end = context.WithCancel(context.Background())
	var options []pace.Option
	if random := k.fork(); random != nil {
		options = append(options, pace.WithJitter(waitJitter, random))
	}
	w.waits.pace = pace.New(firstWait, mostWait, 2, options...)
	return w
}

// close ends the keeping.
func (w *ward) close() {
	w.end()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.callOff()
}

func (w *ward) closed() bool { return w.ctx.Err() != nil }

// outputEvery is how often the size of the output is looked at.
const outputEvery = time.Second

// run takes up what Keep brings, and keeps the output bounded.
func (w *ward) run() {
	tick := time.NewTicker(outputEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-w.poked:
			w.mu.Lock()
			if err := w.update(w.ctx); err != nil && !w.closed() {
				w.k.log.WithField("app", w.name).WithError(err).Warn("its process could not be looked for; nothing is started before that")
			}
			w.mu.Unlock()
		case <-tick.C:
			cut, err := rotate(w.k.Output(w.name), w.k.size, w.k.files)
			if log := w.k.log.WithField("app", w.name); err != nil {
				log.WithError(err).Warn("output was not rotated as it should be")
			} else if cut {
				log.Debug("output was rotated")
			}
		}
	}
}

// update takes up the newest App, and does what follows. Whoever is asked something calls it first, so that nobody is told
// of the time before what Keep has brought.
func (w *ward) update(ctx context.Context) error {
	if app := w.news.Load(); app != nil {
		w.app = app
	}
	if err := w.adopt(ctx); err != nil {
		return err
	}
	if w.life == nil && w.timer == nil {
		w.consider()
	}
	return nil
}

// take takes the token for an order.
func (w *ward) take(ctx context.Context) error {
	if ctx.Err() != nil {
		return timeoutOr(ctx)
	}
	select {
	case w.ordering <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for another order: %w", timeoutOr(ctx))
	}
}

// intentAge is how long after it was meant a process may take to bear its mark: it is born as a copy of evenkeel.
const intentAge = time.Second

// adopt looks once for the process that runs, and takes up what is known of it. Nothing is started before that.
func (w *ward) adopt(ctx context.Context) error {
	if w.adopted {
		return nil
	}
	rec, readErr := readRecord(w.k.dir, w.name)
	boot := w.k.boot()
	var b bearer
	for {
		var found bool
		var err error
		if b, found, err = w.k.find(&rec, boot); err != nil {
			return err
		}
		meant := rec.Life
		if found || meant == nil || meant.BootID != boot || meant.Process.PID != 0 {
			break
		}
		left := intentAge - (w.k.sinceBoot() - meant.Boot)
		if left <= 0 || left > intentAge {
			break
		}
		if !runtime.Pause(ctx, min(left, intentAge/20)) {
			return timeoutOr(ctx)
		}
	}
	log := w.k.log.WithField("app", w.name)
	if readErr != nil {
		log.WithError(readErr).Warn("what was known of the process is lost; it was looked for by its mark")
	}
	w.rec, w.adopted = rec, true
	w.show()
	if old := rec.Life; old != nil && (b.PID == 0 || b.life != old.ID) {
		w.unwatchedEnd(old, boot)
	}
	if b.PID == 0 {
		if w.rec.Known && !w.rec.Stopped {
			log.Warn("its process ended while nobody watched")
		}
		w.due = w.k.sinceBoot()
		w.save()
		return nil
	}
	l := &life{ended: make(chan struct{}), birth: birth{
		ID: b.life, Process: b.Identity, BootID: boot, Boot: b.StartedAt(), At: w.k.clock().Wall.Add(b.StartedAt() - w.k.sinceBoot()),
	}}
	if rec.Life != nil && rec.Life.ID == b.life {
		l.Ending = rec.Life.Ending
	}
	log.WithField("pid", b.PID).Info("its process is alive, and is kept on")
	w.begin(l)
	w.save()
	return nil
}

// unwatchedEnd notes an end that nobody saw.
func (w *ward) unwatchedEnd(old *birth, boot string) {
	e := exit{At: w.k.clock().Wall.Time, Life: old.ID, Cause: runtime.CauseCrash}
	switch {
	case old.BootID != boot:
		e.Cause = runtime.CauseDaemon // the machine went down, and everything with it
	case old.Ending != "":
		e.Cause = old.Ending
	}
	w.rec.note(e)
	w.rec.Life = nil
}

// begin takes up a life and watches it.
func (w *ward) begin(l *life) {
	w.life = l
	w.rec.Life, w.rec.Known = &l.birth, true
	w.show()
	w.k.working.Go(func() { w.watch(l) })
	if w.k.apart != nil {
		w.k.working.Go(func() { w.moveApart(l) })
	}
}

// watch waits for the end of a life.
func (w *ward) watch(l *life) {
	var status unix.WaitStatus
	var known bool
	var err error
	if l.child != nil {
		err = signals.Wait(w.ctx, l.Process) // its reaping tells the rest
	} else {
		status, known, err = signals.WaitExit(w.ctx, l.Process)
	}
	if w.closed() && err != nil {
		if l.child != nil { // whoever keeps it now, it is ours to reap as long as we live
			go reap(l)
		}
		return
	}
	if err != nil { // it cannot be watched, so it is looked at
		w.k.log.WithField("app", w.name).WithError(err).Warn("its process cannot be watched by the kernel; it is looked at every second")
		for {
			if alive, err := w.k.fs.Alive(l.Process); err == nil && !alive {
				break
			}
			if !runtime.Pause(w.ctx, time.Second) {
				return
			}
		}
	}
	if l.child != nil {
		if state, err := l.child.Wait(); err == nil {
			ws, ok := state.Sys().(syscall.WaitStatus)
			status, known = unix.WaitStatus(ws), ok
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended(l, status, known)
}

// reap waits for the end of a child that is not kept any more.
func reap(l *life) {
	if err := signals.Wait(context.Background(), l.Process); err == nil {
		_, _ = l.child.Wait()
	}
}

// ended takes up the end of a life; where it is to be brought back at once, it is, before anything else.
func (w *ward) ended(l *life, status unix.WaitStatus, known bool) {
	now := w.k.clock()
	e := exit{At: now.Wall.Time, Life: l.ID, Known: known, Cause: l.Ending}
	if e.Cause == "" {
		e.Cause = runtime.CauseCrash
	}
	if known && status.Signaled() {
		e.Signal = unix.SignalName(status.Signal())
	} else if known {
		e.Code = status.ExitStatus()
	}
	w.life, w.rec.Life = nil, nil
	w.show()
	w.rec.note(e)
	lived := now.Boot.Duration - l.Boot
	if e.Cause == runtime.CauseCrash {
		w.wait = w.waits.after(lived)
		w.due = now.Boot.Duration + w.wait
	}
	close(l.ended)
	started := w.consider()
	if !started {
		w.save()
	}
	log := w.k.log.WithField("app", w.name).WithField("pid", l.Process.PID)
	switch {
	case e.Cause.Planned():
		log.Infof("its process has ended as it was told to, after %s", lived.Round(time.Millisecond))
	case started:
		log.Warnf("its process ended by itself after %s (%s); it was started again at once", lived.Round(time.Millisecond), e.how())
	default:
		log.Warnf("its process ended by itself after %s (%s)", lived.Round(time.Millisecond), e.how())
	}
	w.k.changed(w.name)
}

// how says how it ended.
func (e *exit) how() string {
	switch {
	case e.Failed != "":
		return e.Failed
	case !e.Known:
		return "how is not known"
	case e.Signal != "":
		return "killed by " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// consider does what follows where nothing runs. It tells whether a process was started.
func (w *ward) consider() bool {
	if app := w.news.Load(); app != nil {
		w.app = app // a pause that came a moment ago counts already
	}
	if w.life != nil || w.app == nil || w.closed() || w.down || !w.adopted {
		return false
	}
	m := next(!w.rec.Stopped, forbids(w.app, w.k.clock()), w.due, w.k.sinceBoot())
	w.callOff()
	switch {
	case m.start:
		return w.start() == nil
	case m.in > 0:
		w.timer = time.AfterFunc(m.in, w.dueNow)
	}
	return false
}

// dueNow is called when a start is due.
func (w *ward) dueNow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.consider() {
		w.k.log.WithField("app", w.name).WithField("pid", w.life.Process.PID).Info("its process was started again")
		w.k.changed(w.name)
	}
}

// callOff calls off the start that is planned.
func (w *ward) callOff() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// start makes a process: what is meant is on disk before it, and what became of it after it.
func (w *ward) start() error {
	now := w.k.clock()
	l := &life{ended: make(chan struct{}), birth: birth{ID: newLife(), BootID: now.BootID, Boot: now.Boot.Duration, At: now.Wall.Time}}
	w.rec.Life, w.rec.Known, w.rec.Stopped = &l.birth, true, false
	w.rec.Starts++
	w.save()
	child, id, err := w.k.spawn(w.app, l.ID)
	if err != nil {
		w.rec.Life = nil
		w.rec.note(exit{At: now.Wall.Time, Life: l.ID, Cause: runtime.CauseCrash, Failed: err.Error()})
		w.trouble = err.Error()
		w.wait = w.waits.after(0)
		if w.wait == 0 {
			w.wait = w.waits.after(0) // what cannot be executed now cannot be a moment later
		}
		w.due = now.Boot.Duration + w.wait
		w.save()
		w.k.log.WithField("app", w.name).WithError(err).Warn("it could not be started")
		w.rearm()
		return err
	}
	l.child, l.Process, w.trouble = child, id, ""
	if id.StartTicks != 0 {
		l.Boot = id.StartedAt()
	}
	w.begin(l)
	w.save()
	return nil
}

// rearm plans the next try after a start that failed.
func (w *ward) rearm() {
	m := next(!w.rec.Stopped, forbids(w.app, w.k.clock()), w.due, w.k.sinceBoot())
	w.callOff()
	if m.in > 0 && !w.closed() && !w.down {
		w.timer = time.AfterFunc(m.in, w.dueNow)
	}
}

// save writes the record. Where that fails, the keeping goes on: the mark is found without it.
func (w *ward) save() {
	err := writeRecord(w.k.dir, &w.rec)
	if err != nil && !w.unwritten {
		w.k.log.WithField("app", w.name).WithError(err).Warn("it is kept in memory; its process is found again by its mark")
	}
	w.unwritten = err != nil
}

// timeoutOr is ErrTimeout where the context ran out, and else why it ended.
func timeoutOr(ctx context.Context) error {
	if ctx.Err() == context.DeadlineExceeded {
		return runtime.ErrTimeout
	}
	return ctx.Err()
}

// tree is a process and its descendants, those that are alive.
func (k *Keeper) tree(root procfs.Identity) []procfs.Process {
	procs, err := k.fs.Snapshot()
	if err != nil {
		return nil
	}
	var alive []procfs.Process
	for n, p := range procs.Tree(root.PID) {
		if n == 0 && p.StartTicks != root.StartTicks {
			return nil
		}
		if p.Alive() {
			alive = append(alive, p)
		}
	}
	return alive
}
