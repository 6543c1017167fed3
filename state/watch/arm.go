package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// armTries bounds how often the way to the files is gone anew when it changes while it is being watched.
const armTries = 8

// arm sees to it that exactly those folders are watched on which the targets depend now. What cannot be watched is polled.
func (w *watcher) arm() {
	err := w.tryArm()
	if err != nil && !w.polling {
		w.warn(fmt.Errorf("%w; looking at them every %s instead", explain(err), w.Poll))
	}
	w.polling = err != nil
}

// tryArm is arm without the consequences of failure.
func (w *watcher) tryArm() error {
	if w.notifier == nil {
		n, err := w.connect()
		if err != nil {
			w.entries = w.trails() // nothing reads them until there is a notifier; they are the same either way
			return err
		}
		w.notifier = n
	}
	var failure error
	for range armTries {
		w.entries = w.trails()
		wanted := map[string]bool{}
		for e := range w.entries {
			wanted[e.dir] = true
		}
		for dir := range w.armed {
			if !wanted[dir] {
				w.disarm(dir)
			}
		}
		var added bool
		added, failure = w.watchAll(wanted)
		if !added {
			return failure
		}
		// Between the look at the way and the watch on it something may have come: look again.
	}
	return failure
}

// watchAll watches the folders that are not watched yet, or are no longer the ones that were. It tells whether there
// were any, and what could not be watched.
func (w *watcher) watchAll(wanted map[string]bool) (added bool, failure error) {
	for dir := range wanted {
		now, err := identify(dir)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				added = true // it has just gone: its way is another one now
			} else {
				failure = err
			}
			continue
		}
		if was, ok := w.armed[dir]; ok {
			if was == now {
				continue
			}
			w.disarm(dir)
		}
		switch err := w.notifier.add(dir); {
		case err == nil:
			w.armed[dir] = now
			added = true
		case errors.Is(err, fs.ErrNotExist):
			added = true
		default:
			failure = fmt.Errorf("%s: %w", dir, err)
		}
	}
	return added, failure
}

// disarm ends the watch on a folder.
func (w *watcher) disarm(dir string) {
	delete(w.armed, dir)
	if w.notifier != nil {
		_ = w.notifier.remove(dir) // it may have ended with the folder
	}
}

// trails gathers the entries on which the targets depend.
func (w *watcher) trails() map[entry][]*target {
	entries := map[entry][]*target{}
	for _, t := range w.targets {
		for e := range t.trail() {
			entries[e] = append(entries[e], t)
		}
	}
	return entries
}

// explain says what the kernel means when it gives no more watches.
func explain(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: the limit fs.inotify.max_user_watches is reached", err)
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("%w: the limit fs.inotify.max_user_instances, or that on open files, is reached", err)
	}
	return err
}

// identity tells one file or folder from another that has taken its place.
type identity struct{ dev, ino uint64 }

// identify gives the identity of what is at a path, links followed.
func identify(path string) (identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return identity{}, err
	}
	return identityOf(info), nil
}

// identityOf reads the identity from what stat said.
func identityOf(info fs.FileInfo) identity {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}
	}
	return identity{dev: uint64(st.Dev), ino: st.Ino}
}
