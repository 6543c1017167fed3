package main

import (
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
)

// alertBook holds the invariants about alerts: no transition and blame is told twice, what is told again keeps its floor
// rate, and what was told is told to be over.
type alertBook struct {
	told map[alertKey]v1alpha1.Instant
	// warned is when each warning was last told, by its reason; amnesic says that what came before is not known.
	warned  map[string]v1alpha1.Instant
	amnesic bool
}

type alertKey struct {
	incident int64
	kind     v1alpha1.AlertKind
	what     string
}

func (b *alertBook) init() {
	b.forget()
	b.warned = map[string]v1alpha1.Instant{}
}

// forget is what an operator's reset brings: another incident. Warnings go on.
func (b *alertBook) forget() { b.told = map[alertKey]v1alpha1.Instant{} }

// lose is what evenkeel does not know any more.
func (b *alertBook) lose() {
	b.init()
	b.amnesic = true
}

func (c *checker) alert(a v1alpha1.Alert) {
	now := c.s.w.instant()
	c.saidAt = c.s.w.now
	if a.Kind == v1alpha1.AlertWarning || a.Kind == v1alpha1.AlertWarningOver {
		c.warning(a, now)
		return
	}
	if w := c.watched; w != nil && c.s.w.now < w.a.till {
		w.told = append(w.told, a.Blame)
	}
	key := alertKey{a.Incident, a.Kind, string(a.Blame)}
	switch a.Reason {
	case "AppGrew", "OrphanOnPort", "DaemonGone", "DaemonGoneOrphan", "CacheFillsDisk": // mended as its own; a hold with that blame is something else
		key.what += "/own"
	}
	switch a.Kind {
	case v1alpha1.AlertDegraded, v1alpha1.AlertFailed:
		if at, ok := c.told[key]; ok {
			c.s.fail("the same alert twice: %s %s in incident %d, %s after the first", a.Kind, a.Blame, a.Incident, now.Since(at))
		}
	case v1alpha1.AlertReminder, v1alpha1.AlertFlapping:
		if a.Kind == v1alpha1.AlertReminder {
			key.what = ""
			if a.Reason == v1alpha1.ReasonStillPaused || a.Reason == v1alpha1.ReasonStillUnknown {
				key.what = a.Reason + a.Message[:strings.IndexAny(a.Message, "0123456789")] // which names the check
				key.incident = 0
			}
		}
		if at, ok := c.told[key]; ok && now.Since(at) < time.Hour && at.BootID == now.BootID {
			c.s.fail("%s is told %s after the last one", a.Kind, now.Since(at))
		}
	case v1alpha1.AlertResolved:
		for k := range c.told {
			if k.incident == a.Incident && (k.kind == v1alpha1.AlertDegraded || k.kind == v1alpha1.AlertFailed) {
				delete(c.told, k)
			}
		}
		return
	case v1alpha1.AlertUnknown:
		key.what = a.Message
		if at, ok := c.told[key]; ok && now.Since(at) < 10*time.Minute && at.BootID == now.BootID {
			c.s.fail("it is told %s after the last time that a check cannot be asked", now.Since(at))
		}
	}
	c.told[key] = now
}

// warning: what is warned of is told once a day at most, and its end only after it.
func (c *checker) warning(a v1alpha1.Alert, now v1alpha1.Instant) {
	at, ok := c.warned[a.Reason]
	switch {
	case a.Kind == v1alpha1.AlertWarning && ok && now.Since(at) < day && at.BootID == now.BootID:
		c.s.fail("it is warned of %s %s after the last time", a.Reason, now.Since(at))
	case a.Kind == v1alpha1.AlertWarning:
		c.warned[a.Reason] = now
	case !ok && !c.amnesic:
		c.s.fail("the end of %s is told, and nobody was warned of it", a.Reason)
	}
}

// closes: an incident of which somebody was told does not end in silence, unless he ended it himself.
func (c *checker) closes(before, after *v1alpha1.AppStatus, commands []controller.Command, in controller.Input) {
	was, is := before.Incident, after.Incident
	if was == nil || is != nil && is.Number == was.Number || in.Order != nil || in.Lost {
		return
	}
	if rec := &c.s.k.appOr(c.s).Spec.Recovery; c.lastStart != nil && c.s.w.now-c.lastStartAt < min(rec.ProvenAfter.Duration, 30*time.Minute) {
		c.s.fail("incident %d is closed %s after a recovery; its attempts are forgotten", was.Number, c.s.w.now-c.lastStartAt)
	}
	open := false
	for _, a := range was.Alerts {
		open = open || !a.Resolved
	}
	for _, command := range commands {
		if t, ok := command.(controller.Tell); ok && t.Alert.Kind == v1alpha1.AlertResolved {
			open = false
		}
	}
	if open {
		c.s.fail("incident %d was told, and is closed without a word", was.Number)
	}
}
