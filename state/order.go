package state

import (
	"errors"
	"fmt"
	"os"
)

// ErrUnsettled says that the state file has not stayed the same for long enough to be read; there will be another chance.
var ErrUnsettled = errors.New("the state file is still being written")

const (
	// calmLooks is how often a file has to look the same again before it is believed.
	calmLooks = 1
	// calmLooksIfBad is the same for a file that makes no sense: perhaps only half of it is there yet.
	calmLooksIfBad = 4
	// maxLooks bounds the looks at a file that keeps changing.
	maxLooks = 40
)

// TakeOrder looks at the state file, and gives the order that an operator has saved in it, once. A file that is as it was
// last written holds none. What cannot be understood or obeyed is kept as `<app>.rejected.yaml`, and the error is a
// *RejectedError. Whenever Rewrite is set, also beside that error, the caller writes the state next.
//
// A file that is being written is waited for, for two seconds at most.
func (s *Store) TakeOrder() (Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, err := s.lookUntilCalm()
	if err != nil {
		return Order{}, fmt.Errorf("looking for an order in the state of %s: %w", s.app, err)
	}
	switch {
	case seen.missing:
		return Order{Rewrite: true}, nil
	case seen.odd != nil:
		return Order{Rewrite: true}, s.moveAside(seen.odd)
	case s.isWritten(seen.save.sum):
		return Order{}, nil
	case s.taken != nil && *s.taken == seen.save:
		return Order{Rewrite: true}, nil
	}
	order, rejected := parseOrder(seen.data, s.app)
	s.taken = &seen.save
	order.Rewrite = true
	if rejected != nil {
		s.keepRejected(rejected, seen.data)
		return order, rejected
	}
	s.noteOrdered(order, seen.data)
	return order, nil
}

func (s *Store) noteOrdered(order Order, data []byte) {
	if order.IsOrder() {
		s.ordered = data
	}
}

// Refuse keeps the file with the last order that TakeOrder or Load gave as `<app>.rejected.yaml`: it was understood, and cannot
// be obeyed now, for the reason given. The error tells that, and where the file is kept; it is for the operator. It is nil where
// there is no such order, or it was refused before.
func (s *Store) Refuse(why string) *RejectedError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ordered == nil {
		return nil
	}
	e := &RejectedError{App: s.app, Problem: why}
	s.keepRejected(e, s.ordered)
	s.ordered = nil
	return e
}

// sight is what is where the state file should be.
type sight struct {
	data    []byte
	save    save
	missing bool
	odd     *NotAFileError
}

// same tells whether two sights show the same.
func (a *sight) same(b *sight) bool {
	return a.save == b.save && a.missing == b.missing && (a.odd == nil) == (b.odd == nil)
}

// look looks once.
func (s *Store) look(path string) (*sight, error) {
	data, stamp, err := s.fs.Read(path)
	var odd *NotAFileError
	switch {
	case err == nil:
		return &sight{data: data, save: save{sumOf(data), stamp}}, nil
	case errors.Is(err, os.ErrNotExist):
		return &sight{missing: true}, nil
	case errors.As(err, &odd):
		return &sight{odd: odd}, nil
	}
	return nil, err
}

// lookUntilCalm looks until the file stays the same. What has been dealt with before needs no second look.
func (s *Store) lookUntilCalm() (*sight, error) {
	last, err := s.look(s.Path())
	if err != nil {
		return nil, err
	}
	calm := 0
	for range maxLooks {
		if s.isWritten(last.save.sum) || s.taken != nil && *s.taken == last.save || calm >= s.needed(last) {
			return last, nil
		}
		s.settle()
		now, err := s.look(s.Path())
		if err != nil {
			return nil, err
		}
		if calm++; !now.same(last) {
			calm = 0
		}
		last = now
	}
	return nil, ErrUnsettled
}

// needed is how often a sight has to be confirmed.
func (s *Store) needed(seen *sight) int {
	if seen.missing || seen.odd != nil {
		return calmLooks
	}
	if _, rejected := parseOrder(seen.data, s.app); rejected != nil {
		return calmLooksIfBad
	}
	return calmLooks
}

// keepRejected keeps what was rejected, for the operator to look at, and notes where.
func (s *Store) keepRejected(e *RejectedError, data []byte) {
	path := s.path(".rejected.yaml")
	if err := replace(s.fs, path, data, true); err != nil {
		e.KeepError = err
		return
	}
	e.Kept = path
}

// moveAside moves away what is no file, as it is.
func (s *Store) moveAside(odd *NotAFileError) *RejectedError {
	e := &RejectedError{App: s.app, Problem: "it is " + odd.What,
		Right: fmt.Sprintf("it has to be a regular file of at most %d KiB that %s may read", MaxSize>>10, userName())}
	path := s.path(".rejected.yaml")
	err := s.fs.Rename(s.Path(), path)
	if err != nil { // a folder takes the place of nothing but an empty folder, and a file never that of a folder
		path = s.dated("rejected")
		err = s.fs.Rename(s.Path(), path)
	}
	if err != nil {
		e.KeepError = err
		return e
	}
	e.Kept = path
	return e
}

// dateInName is how a date stands in the name of a file; it sorts.
const dateInName = "20060102T150405Z"

// dated is the name of something that is set aside now.
func (s *Store) dated(kind string) string {
	return s.path("." + kind + "-" + s.now().UTC().Format(dateInName) + ".yaml")
}
