package main

import (
	"slices"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/state"
)

// told is the journal's end, and the outbox: they outlive evenkeel.
type told struct {
	events []v1alpha1.Event
	alerts []v1alpha1.Alert
}

// toldKept is how many of each are kept: more than a state has to tell.
const toldKept = 200

func (t *told) event(e v1alpha1.Event) {
	t.events = append(t.events[max(len(t.events)-toldKept, 0):], e)
}

func (t *told) alert(a v1alpha1.Alert) {
	t.alerts = append(t.alerts[max(len(t.alerts)-toldKept, 0):], a)
}

func sameEvent(a, b *v1alpha1.Event) bool {
	return a.Time.Equal(&b.Time) && a.Reason == b.Reason && a.Phase == b.Phase && cut(a.Message) == cut(b.Message)
}

// cut is as much of a message as stands in the state file.
func cut(message string) string { return message[:min(len(message), state.MaxTold)] }

// tellAgain tells what an earlier run was killed over, as the supervisor does.
func (s *sim) tellAgain(t *v1alpha1.Telling) {
	if t == nil {
		t = &v1alpha1.Telling{}
	}
	for _, e := range t.Events {
		if !slices.ContainsFunc(s.told.events, func(b v1alpha1.Event) bool { return sameEvent(&e, &b) }) {
			s.point("before an event that was owed")
			s.event(e)
		}
	}
	for _, a := range t.Alerts {
		if !slices.ContainsFunc(s.told.alerts, func(b v1alpha1.Alert) bool {
			return a.Time.Equal(&b.Time) && a.Kind == b.Kind && cut(a.Message) == cut(b.Message)
		}) {
			s.point("before an alert that was owed")
			s.alert(a)
		}
	}
	for _, e := range s.check.owed {
		s.fail("an event of what is on disk was not told: %s: %s", e.Reason, e.Message)
	}
}

// eventBook are the events of the state that is on disk, and of that which is being written, which were not told yet.
type eventBook struct {
	owed, owedSoon []v1alpha1.Event
}

func eventsOf(commands []controller.Command) []v1alpha1.Event {
	var events []v1alpha1.Event
	for _, command := range commands {
		if record, ok := command.(controller.Record); ok {
			events = append(events, record.Event)
		}
	}
	return events
}

// owes notes the events of a state that has come to disk. Those of the one before have been told.
func (c *checker) owes(events []v1alpha1.Event) {
	for _, e := range c.owed {
		c.s.fail("a state was written before all of the one before was told: %s: %s", e.Reason, e.Message)
	}
	c.owed = slices.Clone(events)
}

// event is told.
func (c *checker) event(e v1alpha1.Event) {
	if n := slices.IndexFunc(c.owed, func(b v1alpha1.Event) bool { return sameEvent(&e, &b) }); n >= 0 {
		c.owed = slices.Delete(c.owed, n, n+1)
	}
}

// owedAtStart finds out which of the two states was found, and what of it was not told. It may be neither: one that an editor had.
func (c *checker) owedAtStart(l *state.Loaded, got *v1alpha1.AppStatus) {
	switch {
	case l.Lost || l.Restored || c.onDisk == nil:
		c.owed = nil
	case sameRecord(got, c.onDisk):
	case c.writing != nil && sameRecord(got, c.writing):
		c.owed = c.owedSoon
	default:
		c.owed = nil
	}
	c.owedSoon = nil
}
