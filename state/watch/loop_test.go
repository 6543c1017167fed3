package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// played is a notifier whose events a test makes up.
type played struct {
	refuse atomic.Pointer[error]
	queue  *queue
	// added are the folders, in order; onAdd is told of each before it is watched.
	added []string
	onAdd func(dir string)
}

func newPlayed() *played { return &played{queue: newQueue()} }

func (p *played) connect() (*notifier, error) {
	add := func(dir string) error {
		p.added = append(p.added, dir)
		if p.onAdd != nil {
			p.onAdd(dir)
		}
		if err := p.refuse.Load(); err != nil {
			return *err
		}
		return nil
	}
	return &notifier{add: add, remove: func(string) error { return nil }, close: func() {}, queue: p.queue}, nil
}

// start runs a watcher over a played notifier, or over whatever connect gives.
func start(t *testing.T, o Options, connect func() (*notifier, error), paths ...string) <-chan []string {
	ctx, cancel := context.WithCancel(t.Context())
	w := newWatcher(o, connect, paths)
	w.arm()
	w.sweep()
	clear(w.dirty)
	out := make(chan []string)
	go w.run(ctx, out)
	t.Cleanup(func() {
		cancel()
		for range out {
		}
	})
	return out
}

// Time does not pass in these tests but by itself: the delays are exact.
func TestDebounce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.yaml")
	tests := map[string]struct {
		every time.Duration // the time between two events
		count int
		want  time.Duration // from the first event until it is told
	}{
		"one event is told after the quiet": {0, 1, 50 * time.Millisecond},
		"events wait for each other":        {20 * time.Millisecond, 4, 60*time.Millisecond + 50*time.Millisecond},
		"but never longer than the limit":   {20 * time.Millisecond, 100, 500 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlayed()
				changes := start(t, Options{Sweep: time.Hour}, p.connect, path)
				began := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() {
					for range test.count {
						p.queue.put(notice{event: fsnotify.Event{Name: path, Op: fsnotify.Write}})
						select {
						case <-ctx.Done():
							return
						case <-time.After(test.every):
						}
					}
				}()
				<-changes
				if took := time.Since(began); took != test.want {
					t.Errorf("told after %s, want %s", took, test.want)
				}
			})
		})
	}
}

func TestOverflowMeansThatEverythingMayHaveChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlayed()
		paths := []string{"/nowhere/a.yaml", "/nowhere/b.yaml"}
		changes := start(t, Options{}, p.connect, paths...)
		p.queue.put(notice{err: fsnotify.ErrEventOverflow})
		if told := <-changes; !slices.Equal(told, paths) {
			t.Errorf("told %v", told)
		}
	})
}

// Between the look at the way and the watch on it the way grows: it is followed to its end.
func TestFoldersThatComeWhileTheyAreBeingWatched(t *testing.T) {
	root := t.TempDir()
	p := newPlayed()
	p.onAdd = func(dir string) { _ = os.Mkdir(filepath.Join(dir, "x"), 0o700) }
	w := newWatcher(Options{}, p.connect, []string{filepath.Join(root, "x", "x", "x", "app.yaml")})
	w.arm()
	if _, ok := w.armed[filepath.Join(root, "x", "x", "x")]; !ok || len(w.armed) != 1 {
		t.Errorf("watched are %v", w.armed)
	}
}

// A folder that was swapped without an event is another one: its old watch is worth nothing.
func TestSwappedFolderIsWatchedAnew(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "a")
	must(t, os.Mkdir(folder, 0o700))
	must(t, os.Mkdir(folder+".new", 0o700))
	p := newPlayed()
	w := newWatcher(Options{}, p.connect, []string{filepath.Join(folder, "app.yaml")})
	w.arm()
	w.arm()
	if !slices.Equal(p.added, []string{folder}) {
		t.Errorf("watched %v", p.added)
	}
	must(t, os.Rename(folder, folder+".old"))
	must(t, os.Rename(folder+".new", folder))
	w.arm()
	if !slices.Equal(p.added, []string{folder, folder}) {
		t.Errorf("watched %v", p.added)
	}
}

func TestQueueIsBoundedAndOverflows(t *testing.T) {
	q := newQueue()
	for range maxQueue + 1 {
		q.put(notice{event: fsnotify.Event{Name: "x", Op: fsnotify.Write}})
	}
	got := q.take()
	if len(got) != 2 || !errors.Is(got[0].err, fsnotify.ErrEventOverflow) {
		t.Errorf("%d notices, the first is %v", len(got), got[0])
	}
	if q.take() != nil {
		t.Error("it was not emptied")
	}
}

// The slow look finds what no event told: a filesystem without events, a folder swapped higher up.
func TestSweepFindsWhatNoEventTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.yaml")
	synctest.Test(t, func(t *testing.T) {
		p := newPlayed()
		changes := start(t, Options{}, p.connect, path)
		began := time.Now()
		write(t, path, "unseen")
		<-changes
		if took := time.Since(began); took != DefaultSweep+DefaultQuiet {
			t.Errorf("told after %s", took)
		}
		select {
		case told := <-changes:
			t.Errorf("told %v twice", told)
		case <-time.After(time.Minute):
		}
	})
}

func TestWithoutWatchesItPollsAndSaysSo(t *testing.T) {
	for _, limit := range []error{syscall.ENOSPC, syscall.EMFILE} {
		for _, where := range []string{"at the start", "at a folder"} {
			t.Run(limit.Error()+" "+where, func(t *testing.T) {
				dir := t.TempDir()
				path, all := filepath.Join(dir, "app.yaml"), filepath.Join(dir, "*.yaml")
				synctest.Test(t, func(t *testing.T) {
					p := newPlayed()
					refusal := error(os.NewSyscallError("inotify", limit))
					p.refuse.Store(&refusal)
					connect := p.connect
					if where == "at the start" {
						connect = func() (*notifier, error) {
							if err := p.refuse.Load(); err != nil {
								return nil, *err
							}
							return p.connect()
						}
					}
					var warnings []string
					o := Options{Warn: func(err error) { warnings = append(warnings, err.Error()) }}
					changes := start(t, o, connect, path, all)

					began := time.Now()
					write(t, path, "new")
					if told := <-changes; !slices.Equal(told, []string{all, path}) {
						t.Errorf("told %v", told)
					}
					if took := time.Since(began); took != DefaultPoll+DefaultQuiet {
						t.Errorf("told after %s", took)
					}
					time.Sleep(10 * time.Second) // in the bubble: no real time passes
					synctest.Wait()
					if len(warnings) != 1 || !strings.Contains(warnings[0], "fs.inotify") || !strings.Contains(warnings[0], "1s") {
						t.Errorf("warned %q", warnings)
					}

					// When there are watches again, they are used again.
					p.refuse.Store(nil)
					time.Sleep(DefaultPoll)
					synctest.Wait()
					began = time.Now()
					p.queue.put(notice{event: fsnotify.Event{Name: path, Op: fsnotify.Write}})
					<-changes
					if took := time.Since(began); took != DefaultQuiet {
						t.Errorf("an event was told after %s", took)
					}
				})
			})
		}
	}
}

func TestNotifierThatEndsIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.yaml")
	synctest.Test(t, func(t *testing.T) {
		first, second := newPlayed(), newPlayed()
		connects := 0
		connect := func() (*notifier, error) {
			if connects++; connects == 1 {
				return first.connect()
			}
			return second.connect()
		}
		var warned int
		changes := start(t, Options{Warn: func(error) { warned++ }}, connect, path)
		first.queue.put(notice{err: errEnded})
		<-changes // everything may have changed
		time.Sleep(DefaultPoll)
		synctest.Wait()
		second.queue.put(notice{event: fsnotify.Event{Name: path, Op: fsnotify.Write}})
		<-changes
		if warned != 1 {
			t.Errorf("warned %d times", warned)
		}
	})
}
