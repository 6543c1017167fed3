package state

import (
	"bytes"
	"cmp"
	"fmt"
	"os"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// putBack ends what a kill has cut short in put: an order that was saved at the last moment changed places with the new state,
// and was not put back yet. It is put into the state that is in its place now, as if it had been saved there. It is left where
// that state has answered it already, or holds a later order. What it gives is the file as it then is.
//
// Where this cannot be written, the order is obeyed all the same; killed once more before the next state is on disk, evenkeel
// would then have lost it.
func (s *Store) putBack(l *Loaded, seen *sight, st *v1alpha1.AppState) (*sight, *v1alpha1.AppState) {
	left, err := s.look(temporary(s.Path()))
	if err != nil || left.missing || left.odd != nil || st.Annotations[answered] == left.save.sum.String() {
		return seen, st
	}
	order, rejected := parseOrder(left.data, s.app)
	if rejected != nil || !order.IsOrder() {
		return seen, st
	}
	if _, err := decode(left.data, s.app); err != nil { // it was never saved as a whole
		return seen, st
	}
	if own, rejected := parseOrder(seen.data, s.app); rejected != nil || own.IsOrder() {
		return seen, st
	}
	err = s.putInto(seen.data, st.ObservedPhase, order)
	if err == nil {
		now, state, again := s.loadCurrent()
		if state != nil {
			return now, state
		}
		err = cmp.Or(again, os.ErrNotExist)
	}
	l.Warnings = append(l.Warnings, fmt.Errorf("putting back an order that was saved at the last moment: %w", err))
	l.Order = order
	s.noteOrdered(order, left.data)
	return seen, st
}

// putInto writes an order into a state, in the place of the state file.
func (s *Store) putInto(data []byte, phase v1alpha1.Phase, order Order) error {
	line := "\nphase: " + string(order.Phase) + "\n"
	if order.Force {
		line += "force: true\n"
	}
	data = bytes.Replace(data, []byte("\nphase: "+string(phase)+"\n"), []byte(line), 1)
	if got, rejected := parseOrder(data, s.app); rejected != nil || got != order {
		return fmt.Errorf("the state file has no line %q", "phase: "+string(phase))
	}
	name := s.path(".order.yaml") // the temporary name of the state file itself is taken, by that order
	if err := prepare(s.fs, name, data, true); err != nil {
		return err
	}
	if err := s.fs.Rename(temporary(name), s.Path()); err != nil {
		_ = s.fs.Remove(temporary(name))
		return err
	}
	return s.fs.SyncDir(s.dir)
}
