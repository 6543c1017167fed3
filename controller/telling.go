package controller

import (
	"slices"
	"sync"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// What a step has to tell travels with the state that it leads to: it is on disk before any of it is told. Events are told
// exactly once, as long as the journal is there to compare with. Alerts are never lost; one is delivered twice only where a kill
// came between its receiver's thanks and the note of them.

const (
	// maxTold bounds the events of a step, and maxUnkept the alerts, that the state file holds.
	maxTold   = 32
	maxUnkept = 16
	// maxLines bounds the evidence, and what to do next, of such an alert, and maxLine one line of it, in bytes.
	maxLines = 8
	maxLine  = 512
)

// Telling is what the state has to tell after a step at an instant: the step's events, its alerts after those that wait from
// before, and the incident that it has closed, or one whose report waits from before. nil where there is nothing.
func Telling(waits Waiting, commands []Command, now v1alpha1.Instant) *v1alpha1.Telling {
	t := &v1alpha1.Telling{Closed: waits.Closed}
	for _, a := range waits.Alerts {
		t.Alerts = append(t.Alerts, boundedAlert(a))
	}
	for _, command := range commands {
		switch command := command.(type) {
		case Record:
			if len(t.Events) < maxTold {
				e := command.Event
				e.Message = shortened(e.Message, state.MaxTold)
				t.Events = append(t.Events, e)
			}
		case Tell:
			t.Alerts = append(t.Alerts, boundedAlert(command.Alert))
		case File:
			if command.Closed != "" {
				t.Closed = &v1alpha1.ClosedIncident{Incident: command.Incident, At: now, Why: command.Closed}
			}
		}
	}
	t.Alerts = t.Alerts[max(len(t.Alerts)-maxUnkept, 0):]
	if len(t.Events)+len(t.Alerts) == 0 && t.Closed == nil {
		return nil
	}
	return t
}

func boundedAlert(a v1alpha1.Alert) v1alpha1.Alert {
	a.Message = shortened(a.Message, state.MaxTold)
	for _, list := range []*[]string{&a.Evidence, &a.Next} {
		*list = slices.Clone((*list)[:min(len(*list), maxLines)])
		for n := range *list {
			(*list)[n] = shortened((*list)[n], maxLine)
		}
	}
	return a
}

// shortened cuts a text that is too long, at the end of a character.
func shortened(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && text[limit]&0xc0 == 0x80 {
		limit--
	}
	return text[:limit] + "…"
}

// Waiting is what was handed on and is not on disk yet.
type Waiting struct {
	Alerts []v1alpha1.Alert // oldest first
	Closed *v1alpha1.ClosedIncident
}

// unkept are the alerts, and the report of the last incident, that were handed on and that a kill would still take away. The
// zero value is good; it may be used by several goroutines.
type unkept struct {
	mu     sync.Mutex
	next   int
	all    []unkeptAlert
	closed *v1alpha1.ClosedIncident
}

type unkeptAlert struct {
	n     int
	alert v1alpha1.Alert
}

// add notes one, and gives what to call when it is kept.
func (u *unkept) add(a v1alpha1.Alert) (kept func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.next++
	n := u.next
	u.all = append(u.all, unkeptAlert{n, a})
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.all = slices.DeleteFunc(u.all, func(a unkeptAlert) bool { return a.n == n })
	}
}

// close notes an incident that was closed, and gives what to call when its report is kept.
func (u *unkept) close(c *v1alpha1.ClosedIncident) (kept func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = c
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.closed == c {
			u.closed = nil
		}
	}
}

// list is what is not kept yet.
func (u *unkept) list() Waiting {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := Waiting{Closed: u.closed}
	for _, a := range u.all {
		w.Alerts = append(w.Alerts, a.alert)
	}
	return w
}

func (l *Loop) tell(a v1alpha1.Alert) { l.Sink.Alert(l.app, a, l.unkept.add(a)) }

func (l *Loop) file(f File, at v1alpha1.Instant) {
	if l.File == nil {
		return
	}
	kept := func() {}
	if f.Closed != "" {
		kept = l.unkept.close(&v1alpha1.ClosedIncident{Incident: f.Incident, At: at, Why: f.Closed})
	}
	l.File(l.app, f.Incident, f.Closed, at, kept)
}

// tellAgain tells what an earlier run of evenkeel was kept from telling.
func (l *Loop) tellAgain(t *v1alpha1.Telling) {
	if t == nil {
		return
	}
	for _, e := range t.Events {
		l.Sink.Event(e)
	}
	for _, a := range t.Alerts {
		l.tell(a)
	}
	if c := t.Closed; c != nil {
		l.file(File{Incident: c.Incident, Closed: c.Why}, c.At)
	}
}
