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

// Telling is what the state has to tell after a step: the step's events, and its alerts after those that wait from before. nil
// where there is nothing.
func Telling(unkept []v1alpha1.Alert, commands []Command) *v1alpha1.Telling {
	t := &v1alpha1.Telling{}
	for _, a := range unkept {
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
		}
	}
	t.Alerts = t.Alerts[max(len(t.Alerts)-maxUnkept, 0):]
	if len(t.Events)+len(t.Alerts) == 0 {
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

// unkept are the alerts that were handed to the sink and that a kill would still take away. The zero value is good; it may be
// used by several goroutines.
type unkept struct {
	mu   sync.Mutex
	next int
	all  []unkeptAlert
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

// list are those that are not kept yet, oldest first.
func (u *unkept) list() []v1alpha1.Alert {
	u.mu.Lock()
	defer u.mu.Unlock()
	var list []v1alpha1.Alert
	for _, a := range u.all {
		list = append(list, a.alert)
	}
	return list
}

func (l *Loop) tell(a v1alpha1.Alert) { l.Sink.Alert(l.app, a, l.unkept.add(a)) }

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
}
