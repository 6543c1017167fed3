package controller

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state/machine"
)

const (
	// unknownAfter is how long a required check may go unasked before the operator is told, and stillUnknownAfter before he is
	// reminded.
	unknownAfter      = 10 * time.Minute
	stillUnknownAfter = time.Hour
)

// Notice is one row of the table of what is told. Whatever the engine tells stands in it.
type Notice struct {
	// Kind is the alert's.
	Kind v1alpha1.AlertKind
	// Events are the machine's events that bring it about, as far as one does.
	Events []machine.Event
	// When says when it is told, and Again how often.
	When, Again string
	// Every is the least time between two of it; 0 where it is told once.
	Every time.Duration
}

// The rows.
var (
	noticeDegraded = &Notice{
		Kind: v1alpha1.AlertDegraded, Events: []machine.Event{machine.Degrade, machine.Relapse, machine.Settle},
		When: "A failure is confirmed and is held for, or nothing is done about it (paused, only observed, the cooldown of an earlier " +
			"recovery); or the first recovery has not mended it, or it has failed again after that. With `recovery.tell: Always` every " +
			"confirmed failure, at once.",
		Again: "once for each blame, until it is resolved",
	}
	noticeFlapping = &Notice{
		Kind: v1alpha1.AlertFlapping, Events: []machine.Event{machine.Degrade, machine.Relapse}, Every: time.Hour,
		When: "It fails again with the same blame, after it was told in the same incident that all is well.", Again: "once an hour at most",
	}
	noticeStillDown = &Notice{
		Kind: v1alpha1.AlertReminder, Every: time.Hour,
		When: "The application is down, or a stranger has its port, and evenkeel holds.", Again: "every hour",
	}
	noticeFailed = &Notice{
		Kind: v1alpha1.AlertFailed, Events: []machine.Event{machine.GiveUp},
		When: "The attempts are spent; evenkeel has given up, and waits for a reset.", Again: "once",
	}
	noticeUnprotected = &Notice{
		Kind: v1alpha1.AlertReminder, Every: time.Hour,
		When: "In Failed, and everything has held for an hour: nobody protects this site.", Again: "every hour",
	}
	noticeResolved = &Notice{
		Kind: v1alpha1.AlertResolved, Events: []machine.Event{machine.Heal, machine.Stabilize, machine.Restore},
		When: "Everything holds again, after something of the incident was told; with how long it took, whom it was blamed on, and how " +
			"many recoveries there were.",
		Again: "once for each time that something was told",
	}
	noticeUnknown = &Notice{
		Kind: v1alpha1.AlertUnknown, When: "A required check could not be asked for 10 minutes.", Again: "once, until it could be asked",
	}
	noticeStillUnknown = &Notice{
		Kind: v1alpha1.AlertReminder, Every: 24 * time.Hour,
		When: "A required check could not be asked for an hour.", Again: "every day",
	}
	noticeStillPaused = &Notice{
		Kind: v1alpha1.AlertReminder, Every: 24 * time.Hour,
		When: "evenkeel has been paused for a day.", Again: "every day",
	}
	noticeWarning = &Notice{
		Kind: v1alpha1.AlertWarning, Every: 24 * time.Hour,
		When: "Something is well now and will not stay so: a certificate expires soon, say.", Again: "every day",
	}
	noticeWarningOver = &Notice{
		Kind: v1alpha1.AlertWarningOver, When: "What was warned of is over.", Again: "once",
	}
	noticeSpecRejected = &Notice{
		Kind: v1alpha1.AlertSpecRejected, When: "The desired file has a mistake; the last good one stays in force.", Again: "once for each mistake",
	}
	noticeStateNotPersisted = &Notice{
		Kind: v1alpha1.AlertStateNotPersisted, When: "The state file cannot be written; healing goes on in memory.", Again: "once, until it could be written",
	}
)

// Notices lists the table.
func Notices() []*Notice {
	return []*Notice{
		noticeDegraded, noticeFlapping, noticeStillDown, noticeFailed, noticeUnprotected, noticeResolved, noticeUnknown,
		noticeStillUnknown, noticeStillPaused, noticeWarning, noticeWarningOver, noticeSpecRejected, noticeStateNotPersisted,
	}
}

// Silent are the machine's events that tell nobody, and why.
func Silent() map[machine.Event]string {
	return map[machine.Event]string{
		machine.Recover:   "evenkeel is at work; what comes of it is told, where it has to be",
		machine.Demand:    "you have asked for it",
		machine.Reset:     "you have done it",
		machine.StandDown: "you have done it",
	}
}
