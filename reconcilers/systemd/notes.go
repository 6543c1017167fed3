//go:build linux

package systemd

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// notesKept is how many ends of a unit are remembered.
const notesKept = 256

// notes are what was seen of a unit's ends.
type notes struct {
	mu    sync.Mutex
	seen  properties // as of the last word of systemd
	heard bool       // there was such a word
	// from is the moment from which on no end was missed.
	from  time.Time
	exits []runtime.Exit
	last  moment // of the newest of them
	stop  *runtime.Order
	// earlier is the stop before that one, in whose place it stands again where that one was none.
	earlier *runtime.Order
	// told is the start of the life that was told to end while it was still coming up.
	told   moment
	toldAt time.Time
	// out and err are the files that the unit's last process wrote into.
	out, err string
}

// hear takes over what systemd says of the unit: all of it, or what has changed.
func (n *notes) hear(unit string, m map[string]any, now time.Time) properties {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.heard && m["ActiveState"] == nil {
		return n.seen // half a word: the rest is asked for at the next look
	}
	before := n.seen
	n.seen.merge(m)
	p := &n.seen
	p.lastLife(&before)
	if !n.heard {
		n.heard, n.from = true, now
		if p.mainStart.never() {
			n.from = time.Time{} // it has had no life yet
		} else if started := p.mainStart.time(); started.Before(now) {
			n.from = started // its last one is seen whole
		}
	}
	// What systemd says comes in two parts, and the unit's state before the end of its process: of a life that was up the times
	// tell who ended it (see properties.ordered), and not the order of these words.
	if before.active == "activating" && p.active == "deactivating" && p.mainPID != 0 && p.result == "success" {
		n.told, n.toldAt = p.mainStart, now
	}
	p.byOrder, p.byOrderAt = n.ordered()
	n.noteStop(unit, p.mainExit != before.mainExit && !p.mainExit.never())
	n.noteExit(unit)
	return n.seen
}

// blind says that systemd's words were missed from some time on, until now.
func (n *notes) blind() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = false
}

// ordered tells whether the last life was told to end, and when.
func (n *notes) ordered() (bool, time.Time) {
	if yes, at := n.seen.ordered(); yes {
		return true, at
	}
	if !n.told.never() && n.told == n.seen.mainStart && !n.seen.ranOut() {
		return true, n.toldAt
	}
	return false, time.Time{}
}

// noteStop notes who was told to end; ended says that systemd has just told of the end of a process.
func (n *notes) noteStop(unit string, ended bool) {
	p := &n.seen
	switch {
	case p.byOrder && p.down():
		if n.stop != nil && !n.stop.At.Equal(p.byOrderAt) {
			n.stop.Standing = false
			n.earlier = n.stop
		}
		n.stop = &runtime.Order{At: p.byOrderAt, ID: unit, Cause: runtime.CauseOrder, Standing: true}
	case n.stop == nil:
	case n.stop.Standing && p.down() && ended:
		// A life that was over before systemd said that it had begun looked like a restart that was called off.
		n.stop = n.earlier
	default:
		n.stop.Standing = false
	}
}

func (n *notes) noteExit(unit string) {
	p := &n.seen
	if p.mainExit.never() || p.mainExit == n.last || p.mainExit.steady < p.mainStart.steady {
		return
	}
	n.last = p.mainExit
	e := runtime.Exit{At: p.mainExit.time(), ID: unit, Code: -1, Cause: runtime.CauseCrash}
	switch p.code {
	case exited:
		e.Code = p.status
	case killed, dumped:
		e.Code, e.Signal = 0, unix.SignalName(unix.Signal(p.status))
	}
	if p.byOrder || p.ranOut() {
		e.Cause = runtime.CauseOrder
	}
	n.exits = append(n.exits, e)
	n.exits = n.exits[max(len(n.exits)-notesKept, 0):]
}

// history is what was noted since a moment.
func (n *notes) history(since time.Time) runtime.History {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := runtime.History{Complete: n.heard && !n.from.After(since) && len(n.exits) < notesKept}
	h.Exits = slices.DeleteFunc(slices.Clone(n.exits), func(e runtime.Exit) bool { return e.At.Before(since) })
	if n.stop != nil {
		stop := *n.stop
		h.LastStop = &stop
	}
	if n.seen.givenUp() {
		h.GaveUpAt = n.seen.inactiveEnter.time()
	}
	return h
}

func (n *notes) setFiles(out, err string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.out, n.err = out, err
}

func (n *notes) files() (out, err string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.out, n.err
}
