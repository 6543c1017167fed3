// Package watch tells when files may have changed. It only ever says *look now*: names, never contents, and sometimes
// when nothing has changed. The one who is told reads and compares.
//
// Files are watched through their folders, so that files that are replaced, removed and made again, or not there yet
// are seen like those written in place. Behind it a slow look at every file makes a lost event harmless, and where the
// kernel gives no more watches that look becomes a quick one.
package watch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// The defaults of Options.
const (
	DefaultQuiet = 50 * time.Millisecond
	DefaultLimit = 500 * time.Millisecond
	DefaultPoll  = time.Second
	DefaultSweep = 10 * time.Second
)

// Options say how to watch. The zero value is good.
type Options struct {
	// Quiet is how long nothing may have happened before changes are told. Default DefaultQuiet.
	Quiet time.Duration
	// Limit is how long a change may wait for quiet. Default DefaultLimit.
	Limit time.Duration
	// Poll is the time between two looks at the files where the kernel cannot watch them. Default DefaultPoll.
	Poll time.Duration
	// Sweep is the time between two looks at the files where it can. Default DefaultSweep.
	Sweep time.Duration
	// Warn is told, once each time it begins, that files are polled because they cannot be watched. It may be called
	// before Watch returns, and from another goroutine afterwards; it must not block. It may be nil.
	Warn func(error)
}

// Watch watches with the default options.
func Watch(ctx context.Context, paths ...string) <-chan []string {
	return Options{}.Watch(ctx, paths...)
}

// Watch watches paths until the context ends. The channel gives the paths, as given here and sorted, at which something
// may have changed; it is closed when the context has ended and everything is cleaned up. A slow reader blocks nothing:
// what changes meanwhile is added to what it is given next, and the last change is never lost.
//
// A path may be missing, also its folder. A path whose last element begins with `*`, such as `/etc/evenkeel/*.yaml`,
// stands for all files in that folder whose names end so and do not begin with a dot.
//
// When Watch returns it watches: what is read after that is never older than what is told.
func (o Options) Watch(ctx context.Context, paths ...string) <-chan []string {
	w := newWatcher(o, newInotify, paths)
	w.arm()
	for _, t := range w.targets {
		t.look()
	}
	out := make(chan []string)
	go w.run(ctx, out)
	return out
}

// watcher is one call of Watch. All of it belongs to the goroutine that runs it.
type watcher struct {
	Options
	connect func() (*notifier, error)
	targets []*target
	// entries says which targets depend on a directory entry.
	entries map[entry][]*target
	// armed are the folders that are watched, and what they were when they were.
	armed    map[string]identity
	notifier *notifier
	// polling says that something cannot be watched.
	polling bool

	// dirty are the targets to be told of; first and last are when the first and the last of their changes was seen.
	dirty       map[*target]bool
	first, last time.Time
}

// newWatcher makes a watcher that does not watch yet.
func newWatcher(o Options, connect func() (*notifier, error), paths []string) *watcher {
	o.Quiet = orDefault(o.Quiet, DefaultQuiet)
	o.Limit = orDefault(o.Limit, DefaultLimit)
	o.Poll = orDefault(o.Poll, DefaultPoll)
	o.Sweep = orDefault(o.Sweep, DefaultSweep)
	w := &watcher{Options: o, connect: connect, armed: map[string]identity{}, dirty: map[*target]bool{}}
	for _, p := range paths {
		w.targets = append(w.targets, newTarget(p))
	}
	return w
}

// orDefault is d, or the default where d is not set.
func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

// run is the loop: it gathers events, waits for quiet, and hands over.
func (w *watcher) run(ctx context.Context, out chan<- []string) {
	defer close(out)
	defer w.disconnect()
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	sweep := time.NewTimer(w.pause())
	defer sweep.Stop()
	for {
		var ready chan<- []string
		var names []string
		if len(w.dirty) > 0 {
			if left := w.left(time.Now()); left > 0 {
				quiet.Reset(left)
			} else {
				ready, names = out, w.names()
			}
		}
		var wake <-chan struct{}
		if w.notifier != nil {
			wake = w.notifier.queue.wake
		}
		select {
		case <-ctx.Done():
			return
		case ready <- names:
			clear(w.dirty)
		case <-quiet.C:
		case <-sweep.C:
			w.arm()
			w.sweep()
			sweep.Reset(w.pause())
		case <-wake:
			polling := w.polling
			w.listen()
			if polling != w.polling {
				sweep.Reset(w.pause())
			}
		}
	}
}

// pause is the time to the next look at the files.
func (w *watcher) pause() time.Duration {
	if w.polling {
		return w.Poll
	}
	return w.Sweep
}

// left is how long to wait until the changes are told.
func (w *watcher) left(now time.Time) time.Duration {
	return min(w.Quiet-now.Sub(w.last), w.Limit-now.Sub(w.first))
}

// mark notes that something may have changed.
func (w *watcher) mark(targets ...*target) {
	now := time.Now()
	for _, t := range targets {
		if len(w.dirty) == 0 {
			w.first = now
		}
		w.last = now
		w.dirty[t] = true
	}
}

// names are the names of what is to be told. What they are like now is noted, so that the slow look does not tell it again.
func (w *watcher) names() []string {
	var names []string
	for t := range w.dirty {
		t.look()
		names = append(names, t.given)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// listen takes what the notifier has to say.
func (w *watcher) listen() {
	for _, n := range w.notifier.queue.take() {
		switch {
		case errors.Is(n.err, errEnded):
			w.lost(n.err)
			return
		case n.err != nil:
			w.distrust()
		default:
			w.handle(n.event)
		}
	}
}

// handle takes an event of the notifier.
func (w *watcher) handle(event fsnotify.Event) {
	if event.Op&^fsnotify.Chmod == 0 {
		return
	}
	name := filepath.Clean(event.Name)
	if _, ok := w.armed[name]; ok && event.Op&(fsnotify.Remove|fsnotify.Rename) != 0 {
		// A watched folder itself is gone, and its watch with it.
		w.disarm(name)
		for e, targets := range w.entries {
			if e.dir == name {
				w.mark(targets...)
			}
		}
		w.arm()
		return
	}
	touched := w.dependents(filepath.Dir(name), filepath.Base(name))
	if len(touched) == 0 {
		return
	}
	w.mark(touched...)
	if event.Op&^(fsnotify.Write|fsnotify.Chmod) != 0 {
		w.arm() // an entry came or went: a folder or a link may lead elsewhere now
	}
}

// dependents are the targets that depend on an entry of a folder.
func (w *watcher) dependents(dir, name string) []*target {
	touched := slices.Clone(w.entries[entry{dir, name}])
	for e, targets := range w.entries {
		if e.dir == dir && isPattern(e.name) && matches(e.name, name) {
			touched = append(touched, targets...)
		}
	}
	return touched
}

// distrust follows an error of the notifier. Events may have been lost (its queue was full), or a watch (its folder was
// moved and removed): everything may have changed.
func (w *watcher) distrust() {
	w.mark(w.targets...)
	w.arm()
}

// lost gives a notifier up that has ended by itself; the next look asks for a new one.
func (w *watcher) lost(err error) {
	w.disconnect()
	w.mark(w.targets...)
	w.polling = true
	w.warn(err)
}

// sweep looks at every target, and marks those that look different.
func (w *watcher) sweep() {
	for _, t := range w.targets {
		if t.look() {
			w.mark(t)
		}
	}
}

// warn tells the caller.
func (w *watcher) warn(err error) {
	if w.Warn != nil {
		w.Warn(fmt.Errorf("watching files: %w", err))
	}
}

// disconnect closes the notifier and waits for its end.
func (w *watcher) disconnect() {
	if w.notifier == nil {
		return
	}
	w.notifier.close()
	w.notifier = nil
	clear(w.armed)
}
