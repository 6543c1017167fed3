package state

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// maxBroken is how many broken state files are kept.
const maxBroken = 3

// Loaded is what was known when evenkeel started.
type Loaded struct {
	// State is the record, with the phase in which evenkeel left it. Where nothing was known it is Healthy.
	State v1alpha1.AppState
	// Order is what an operator saved while evenkeel was down.
	Order Order
	// Rejected says that what an operator saved meanwhile cannot be obeyed; the record itself is good.
	Rejected *RejectedError
	// Fresh says that this App was never seen before.
	Fresh bool
	// Restored says that the state file was broken, gone or older than its copy, and that the good copy before it is used.
	Restored bool
	// Lost says that there was a state and no good copy of it: how many attempts were spent is not known.
	Lost bool
	// Warnings say what was found broken and where it is kept.
	Warnings []error
}

// Load reads what is known at the start; it never fails. A broken state file is kept as `<app>.broken-<date>.yaml` and
// stays in its place until the next Write, so that what it means (Lost) is not forgotten by a crash in between.
func (s *Store) Load() Loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	var l Loaded
	seen, st, err := s.loadCurrent()
	switch {
	case err != nil:
		l.Warnings = append(l.Warnings, fmt.Errorf("the state file of %s cannot be used: %w", s.app, err))
		if seen != nil && seen.odd == nil && !seen.missing {
			s.taken = &seen.save
			l.Warnings = append(l.Warnings, s.keepBroken(seen.data))
		}
	case st != nil:
		seen, st = s.putBack(&l, seen, st)
		s.adopt(st.ObjectMeta)
		s.loadOrder(&l, seen)
		if newer, _ := s.loadPrevious(); newer != nil && isOlder(&st.ObjectMeta, &newer.ObjectMeta) {
			// An editor that had been open for long saved what it had, while evenkeel was down. What it orders counts; its
			// record does not, and the one that it has destroyed was a single write younger than this copy.
			l.Warnings = append(l.Warnings, fmt.Errorf("the state file of %s was written over with an older one", s.app))
			s.taken = &seen.save
			l.Order.Rewrite = true
			s.restore(&l, newer)
			return l
		}
		s.noteLoaded(&l, st, seen)
		return l
	}
	s.incomplete = true
	previous, previousErr := s.loadPrevious()
	switch {
	case previous != nil:
		s.restore(&l, previous)
		l.Warnings = slices.DeleteFunc(l.Warnings, func(err error) bool { return err == nil })
		return l
	case previousErr != nil || err != nil:
		l.Lost = true
		if previousErr != nil {
			l.Warnings = append(l.Warnings, fmt.Errorf("the previous state of %s cannot be used either: %w", s.app, previousErr))
		}
		l.State = s.blank()
	default:
		l.Fresh = true
		l.State = s.blank()
	}
	l.State.Phase = l.State.ObservedPhase
	l.State.ObjectMeta = *s.meta.DeepCopy()
	l.Warnings = slices.DeleteFunc(l.Warnings, func(err error) bool { return err == nil })
	return l
}

// restore takes the copy before for what is known.
func (s *Store) restore(l *Loaded, previous *v1alpha1.AppState) {
	s.incomplete = true
	s.adopt(previous.ObjectMeta)
	s.version++ // the one that is gone had that
	s.meta.ResourceVersion = strconv.FormatInt(s.version, 10)
	l.Restored = true
	l.State = *previous
	l.State.Phase = previous.ObservedPhase
	l.State.ObjectMeta = *s.meta.DeepCopy()
	l.Warnings = append(l.Warnings, fmt.Errorf("the state of %s before the last change is used", s.app))
}

// isOlder says that a state file was written before its own previous copy, which evenkeel never does. A uid is given anew
// only where neither file could be read, and then both are of the new one soon: what bears another is from before the loss,
// whatever version it had come to.
func isOlder(file, previous *metav1.ObjectMeta) bool {
	if file.UID != previous.UID {
		return file.UID != "" && previous.UID != ""
	}
	a, errA := strconv.ParseInt(file.ResourceVersion, 10, 64)
	b, errB := strconv.ParseInt(previous.ResourceVersion, 10, 64)
	return errA == nil && errB == nil && a <= b
}

// blank is the state of an App of which nothing is known.
func (s *Store) blank() v1alpha1.AppState {
	return v1alpha1.AppState{
		TypeMeta:  metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion, Kind: v1alpha1.KindAppState},
		AppStatus: v1alpha1.AppStatus{ObservedPhase: v1alpha1.PhaseHealthy},
	}
}

// loadCurrent reads the state file. It gives neither a state nor an error when there is none. A file that makes no sense
// is looked at until it stays the same: perhaps an editor is just writing it.
func (s *Store) loadCurrent() (*sight, *v1alpha1.AppState, error) {
	var last *sight
	for calm, looks := 0, 0; ; looks++ {
		seen, err := s.look(s.Path())
		switch {
		case err != nil:
			return nil, nil, err
		case seen.missing && looks == 0:
			return nil, nil, nil
		case seen.odd != nil:
			return seen, nil, seen.odd
		}
		problem := os.ErrNotExist
		if !seen.missing {
			st, err := decode(seen.data, s.app)
			if err == nil {
				return seen, st, nil
			}
			problem = err
		}
		if calm++; last == nil || !seen.same(last) {
			calm = 0
		}
		if calm >= calmLooksIfBad || looks >= maxLooks {
			return seen, nil, problem
		}
		last = seen
		s.settle()
	}
}

// loadPrevious reads the copy before. It gives neither a state nor an error when there is none.
func (s *Store) loadPrevious() (*v1alpha1.AppState, error) {
	seen, err := s.look(s.path(".previous.yaml"))
	switch {
	case err != nil:
		return nil, err
	case seen.missing:
		return nil, nil
	case seen.odd != nil:
		return nil, seen.odd
	}
	return decode(seen.data, s.app)
}

// loadOrder takes the order out of a good file that an operator may have edited.
func (s *Store) loadOrder(l *Loaded, seen *sight) {
	order, rejected := parseOrder(seen.data, s.app)
	if rejected != nil {
		s.keepRejected(rejected, seen.data)
		l.Rejected = rejected
	} else {
		s.noteOrdered(order, seen.data)
	}
	if !l.Order.IsOrder() {
		l.Order = order
	}
	l.Order.Rewrite = rejected != nil || l.Order.IsOrder()
}

// noteLoaded takes a good file as what was last written, unless it was edited.
func (s *Store) noteLoaded(l *Loaded, st *v1alpha1.AppState, seen *sight) {
	st.Phase = st.ObservedPhase
	l.State = *st
	l.State.ObjectMeta = *s.meta.DeepCopy()
	record, telling, key, err := recordOf(st.AppStatus, st.Generation)
	var rendered []byte
	if err == nil {
		rendered, err = s.render(st.Generation, s.version, record, telling)
	}
	if err != nil || !bytes.Equal(rendered, seen.data) {
		s.taken = &seen.save
		s.incomplete = true
		return
	}
	s.written, s.writtenSum, s.key = seen.data, seen.save.sum, key
}

// keepBroken keeps a broken file under a name with the date, if its like is not kept yet, and lets the oldest ones go. It
// gives what there is to say about that.
func (s *Store) keepBroken(data []byte) error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return fmt.Errorf("keeping the broken state file: %w", err)
	}
	prefix := s.app + ".broken-"
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, prefix) })
	slices.Sort(names)
	if len(names) > 0 {
		newest := filepath.Join(s.dir, names[len(names)-1])
		if kept, err := s.look(newest); err == nil && kept.save.sum == sumOf(data) {
			return fmt.Errorf("it is kept as %s", newest)
		}
	}
	path := s.dated("broken")
	if err := replace(s.fs, path, data, true); err != nil {
		return fmt.Errorf("keeping the broken state file: %w", err)
	}
	for len(names) >= maxBroken {
		if err := s.fs.Remove(filepath.Join(s.dir, names[0])); err != nil {
			return fmt.Errorf("it is kept as %s; removing the oldest one: %w", path, err)
		}
		names = names[1:]
	}
	return fmt.Errorf("it is kept as %s", path)
}

// ReadState reads the state of an App for a command that only looks, without the lock. An order that was saved and not
// yet taken does not show: phase is the one in which evenkeel is. When the state file cannot be read, the copy before it
// is given, together with the error.
func ReadState(dir, app string) (*v1alpha1.AppState, error) {
	if err := CheckName(app); err != nil {
		return nil, err
	}
	read := func(name string) (*v1alpha1.AppState, error) {
		data, _, err := OS().Read(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		return decode(data, app)
	}
	st, err := read(app + ".yaml")
	if err != nil {
		err = fmt.Errorf("reading the state of %s: %w", app, err)
		st, _ = read(app + ".previous.yaml")
	}
	if st != nil {
		st.Phase = st.ObservedPhase
	}
	return st, err
}
