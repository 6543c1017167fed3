package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Item is one alert, and whose it is.
type Item struct {
	App   *v1alpha1.App
	Alert v1alpha1.Alert
	// Kept is for whoever hands items on: it is to be called once the alert is in the outbox. It may be nil.
	Kept func()
}

// Joiner joins what several Apps tell of one fault that they share: the proxy is down, a name does not resolve, PM2 is
// gone. It has no clock of its own, and is not safe for use by several goroutines.
//
// An alert that can be shared waits for the others' for at most Wait, and not at all where every App has told already. The
// alerts of one App leave in the order in which they came.
type Joiner struct {
	// Wait is the longest that an alert waits.
	Wait time.Duration

	open []waiting
}

type waiting struct {
	key   string
	since v1alpha1.Instant
	items []Item
}

// Add takes an alert, where apps are supervised. It gives what is to be told now, each group as one alert.
func (j *Joiner) Add(now v1alpha1.Instant, item Item, apps int) [][]Item {
	var out [][]Item
	j.open = slices.DeleteFunc(j.open, func(w waiting) bool {
		if !w.holds(item.App.Name) {
			return false
		}
		out = append(out, w.items)
		return true
	})
	if !shared(&item.Alert) || apps < 2 {
		return append(out, []Item{item})
	}
	key := keyOfFault(&item.Alert)
	n := slices.IndexFunc(j.open, func(w waiting) bool { return w.key == key })
	if n < 0 {
		j.open = append(j.open, waiting{key: key, since: now})
		n = len(j.open) - 1
	}
	w := &j.open[n]
	w.items = append(w.items, item)
	if len(w.items) >= apps {
		out = append(out, w.items)
		j.open = slices.Delete(j.open, n, n+1)
	}
	return out
}

// Due gives what has waited for long enough, and in how long the next will have; 0 where nothing waits.
func (j *Joiner) Due(now v1alpha1.Instant) (out [][]Item, next time.Duration) {
	j.open = slices.DeleteFunc(j.open, func(w waiting) bool {
		left := j.Wait - now.Since(w.since)
		if left <= 0 {
			out = append(out, w.items)
			return true
		}
		if next == 0 || left < next {
			next = left
		}
		return false
	})
	return out, next
}

// All gives what waits, for the end.
func (j *Joiner) All() [][]Item {
	var out [][]Item
	for _, w := range j.open {
		out = append(out, w.items)
	}
	j.open = nil
	return out
}

func (w *waiting) holds(app string) bool {
	return slices.ContainsFunc(w.items, func(i Item) bool { return i.App.Name == app })
}

// shared tells whether an alert is about something that other Apps of this machine have too.
func shared(a *v1alpha1.Alert) bool {
	switch a.Kind {
	case v1alpha1.AlertDegraded, v1alpha1.AlertResolved, v1alpha1.AlertReminder, v1alpha1.AlertFlapping,
		v1alpha1.AlertWarning, v1alpha1.AlertWarningOver:
	default:
		return false
	}
	switch a.Blame {
	case v1alpha1.BlameProxy, v1alpha1.BlameCertificate, v1alpha1.BlameDNS, v1alpha1.BlameNetwork, v1alpha1.BlameDatabase,
		v1alpha1.BlameRuntime, v1alpha1.BlameMemory, v1alpha1.BlameDisk, v1alpha1.BlameHost:
		return true
	}
	return false
}

func keyOfFault(a *v1alpha1.Alert) string {
	return strings.Join([]string{string(a.Kind), string(a.Blame), a.Reason}, "\x00")
}

// join makes one alert of several. What each App saw of the fault stands in its evidence.
func join(items []Item) v1alpha1.Alert {
	if len(items) == 1 {
		return items[0].Alert
	}
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b Item) int { return strings.Compare(a.App.Name, b.App.Name) })
	one := items[0].Alert
	one.Incident, one.Evidence, one.Next, one.Apps = 0, nil, nil, nil
	for _, i := range items {
		one.Apps = append(one.Apps, i.App.Name)
		one.Evidence = append(one.Evidence, i.App.Name+": "+i.Alert.Message)
		one.Duration.Duration = max(one.Duration.Duration, i.Alert.Duration.Duration)
		if i.Alert.Time.Before(&one.Time) {
			one.Time = i.Alert.Time
		}
		for _, next := range i.Alert.Next {
			if !slices.Contains(one.Next, next) {
				one.Next = append(one.Next, next)
			}
		}
	}
	one.Message = fmt.Sprintf("%d applications share this: %s", len(items), items[0].Alert.Message)
	return one
}
