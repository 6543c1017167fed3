package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Types of events, as in Kubernetes.
const (
	EventNormal  = "Normal"
	EventWarning = "Warning"
)

// Reasons of events and alerts; they are part of the API.
const (
	ReasonPhaseChanged     = "PhaseChanged"
	ReasonVerdict          = "Verdict"
	ReasonRecoveryStarted  = "RecoveryStarted"
	ReasonStepStarted      = "StepStarted"
	ReasonStepFinished     = "StepFinished"
	ReasonRecoveryFinished = "RecoveryFinished"
	ReasonRecoveryResumed  = "RecoveryResumed"
	ReasonHeld             = "Held"
	ReasonHoldLimit        = "HoldLimitReached"
	ReasonAttemptSpent     = "AttemptSpent"
	ReasonAttemptHeld      = "AttemptHeld"
	ReasonIncidentClosed   = "IncidentClosed"
	ReasonOrderTaken       = "OrderTaken"
	ReasonOrderRefused     = "OrderRefused"
	ReasonSpecAccepted     = "SpecAccepted"
	ReasonSpecRejected     = "SpecRejected"
	ReasonPaused           = "Paused"
	ReasonResumed          = "Resumed"
	ReasonObserving        = "ObservingOnly"
	ReasonActing           = "ActingAgain"
	ReasonWouldRecover     = "WouldRecover"
	ReasonHealedWithoutUs  = "HealedWithoutUs"
	ReasonAlertSent        = "AlertSent"
	ReasonAlertFailed      = "AlertFailed"
	ReasonStateRejected    = "StateFileRejected"
	ReasonStateLost        = "StateFileLost"
	ReasonStateRestored    = "StateFileRestored"
	ReasonStateNotWritten  = "StateNotPersisted"
	ReasonStarted          = "SupervisionStarted"
	ReasonStopped          = "SupervisionStopped"
	ReasonWarning          = "Warning"
	ReasonWarningOver      = "WarningOver"
	ReasonHeartbeatFailed  = "HeartbeatFailed"
	ReasonHeartbeatBack    = "HeartbeatBack"
	ReasonStillPaused      = "StillPaused"
	ReasonStillUnknown     = "StillUnknown"
)

// The Outcomes of RecoveryFinished.
const (
	// OutcomeVerified: the application came up and answered.
	OutcomeVerified = "Verified"
	// OutcomeNotVerified: it did not, or the recovery was broken off.
	OutcomeNotVerified = "NotVerified"
)

// Event is one line of the journal, with what a Kubernetes Event needs.
type Event struct {
	// Time is when it happened, by the clock on the wall.
	Time metav1.MicroTime `json:"time"`
	// Type is Normal or Warning.
	Type string `json:"type"`
	// Reason is one of the Reason constants.
	Reason string `json:"reason"`
	// Message is a sentence for the operator.
	Message string `json:"message"`
	// App and UID name the object.
	App string    `json:"app"`
	UID types.UID `json:"uid,omitempty"`
	// Incident, Attempt and Recovery say to what it belongs.
	Incident int64  `json:"incident,omitempty"`
	Attempt  int32  `json:"attempt,omitempty"`
	Recovery string `json:"recovery,omitempty"`
	// Phase is the phase after it.
	Phase Phase `json:"phase,omitempty"`
	// From is the phase before a change.
	From Phase `json:"from,omitempty"`
	// Blame, Step, Outcome and Took, where they apply.
	Blame   Blame           `json:"blame,omitempty"`
	Step    string          `json:"step,omitempty"`
	Outcome string          `json:"outcome,omitempty"`
	Took    metav1.Duration `json:"took,omitzero"`
	// Alert, with AlertSent and AlertFailed, names one alert to one receiver.
	Alert string `json:"alert,omitempty"`
}

// AlertKind says what an alert is about.
type AlertKind string

// The kinds of alerts.
const (
	// AlertDegraded: a failure is confirmed, and somebody is blamed.
	AlertDegraded AlertKind = "Degraded"
	// AlertFailed: evenkeel has given up and waits.
	AlertFailed AlertKind = "Failed"
	// AlertResolved: everything holds again.
	AlertResolved AlertKind = "Resolved"
	// AlertFlapping: a recovery held only for a while.
	AlertFlapping AlertKind = "Flapping"
	// AlertReminder: something that was told before still lasts.
	AlertReminder AlertKind = "Reminder"
	// AlertSpecRejected: a desired-state file was refused; the last good one stays in force.
	AlertSpecRejected AlertKind = "SpecRejected"
	// AlertStateNotPersisted: the state file cannot be written; healing goes on in memory.
	AlertStateNotPersisted AlertKind = "StateNotPersisted"
	// AlertUnknown: a required check could not be asked for long.
	AlertUnknown AlertKind = "Unknown"
	// AlertWarning: something is well now and will not stay so, such as a certificate that soon expires. It is told again once
	// a day.
	AlertWarning AlertKind = "Warning"
	// AlertWarningOver: what was warned of is over.
	AlertWarningOver AlertKind = "WarningOver"
	// AlertTest: somebody has asked whether alerts arrive (evenkeel alert test).
	AlertTest AlertKind = "Test"
)

// Alert is what the sinks are given.
type Alert struct {
	// Time is when it was raised.
	Time metav1.MicroTime `json:"time"`
	// Kind says what it is about.
	Kind AlertKind `json:"kind"`
	// App, Host and Incident say where. Apps are all that share the fault, where several told of it at once; then App is
	// the first of them.
	App string `json:"app"`
	// +listType=atomic
	Apps     []string `json:"apps,omitempty"`
	Host     string   `json:"host,omitempty"`
	Incident int64    `json:"incident,omitempty"`
	// Phase is the phase at that time; Blame and Reason say who is to blame, and for what.
	Phase  Phase  `json:"phase"`
	Blame  Blame  `json:"blame,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Message is a sentence.
	Message string `json:"message"`
	// Evidence lists what was seen; Next where to look and what to do.
	// +listType=atomic
	Evidence []string `json:"evidence,omitempty"`
	// +listType=atomic
	Next []string `json:"next,omitempty"`
	// Observing says that evenkeel only watches this App (spec.mode Observe) and does nothing about it.
	Observing bool `json:"observing,omitempty"`
	// Duration is how long it has lasted.
	Duration metav1.Duration `json:"duration,omitzero"`
}
