package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Phase is the state of the machine that guards an App.
// +kubebuilder:validation:Enum=Healthy;Degraded;Recovering;Cooldown;Failed
type Phase string

// The five phases.
const (
	// PhaseHealthy: nothing is known to be wrong.
	PhaseHealthy Phase = "Healthy"
	// PhaseDegraded: something is confirmed to be wrong, and no plan is under way.
	PhaseDegraded Phase = "Degraded"
	// PhaseRecovering: a plan is under way.
	PhaseRecovering Phase = "Recovering"
	// PhaseCooldown: a plan has ended, and the least time to the next has not passed.
	PhaseCooldown Phase = "Cooldown"
	// PhaseFailed: evenkeel acts no more until an operator steps in.
	PhaseFailed Phase = "Failed"
)

// Phases lists every phase, in the order in which an incident may go through them.
func Phases() []Phase {
	return []Phase{PhaseHealthy, PhaseDegraded, PhaseRecovering, PhaseCooldown, PhaseFailed}
}

// AppState is what is kept on disk about an App: `<state dir>/<app>.yaml`. Its fields are those of App.status.
type AppState struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	AppStatus         `json:",inline"`
}

// AppStatus is what evenkeel knows of an App.
type AppStatus struct {
	// Phase is the phase. In the state file it is the line that an operator edits.
	Phase Phase `json:"phase,omitempty"`
	// ObservedPhase is the phase that evenkeel last wrote. A file in which the two differ holds an order.
	ObservedPhase Phase `json:"observedPhase,omitempty"`
	// Force, beside `phase: Recovering`, recovers in the face of a deploy. It is only ever read.
	Force bool `json:"force,omitempty"`
	// Since is when the phase was entered.
	Since metav1.Time `json:"since,omitzero"`
	// Message says in a sentence why the phase is what it is.
	Message string `json:"message,omitempty"`
	// ObservedGeneration is the generation of the spec in force.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Incident is open from the first confirmed failure until health is proven again.
	Incident *Incident `json:"incident,omitempty"`
	// LastIncident is the number of the last incident that was opened.
	LastIncident int64 `json:"lastIncident,omitempty"`
	// CooldownUntil is when the cooldown ends, by the clock on the wall; for reading.
	CooldownUntil *metav1.Time `json:"cooldownUntil,omitempty"`
	// Cooldown is the wait that counts.
	Cooldown *Wait `json:"cooldown,omitempty"`
	// Recovery is the plan and the step under way; after its end the last one, as it ended.
	Recovery *Recovery `json:"recovery,omitempty"`
	// Verdict is who is to blame, and what could help. It is absent while everything holds.
	Verdict *Verdict `json:"verdict,omitempty"`
	// Hold is why nothing is done although something is wrong.
	Hold *Hold `json:"hold,omitempty"`
	// Blocked is what stands against the next action, and until when.
	Blocked *Blocked `json:"blocked,omitempty"`
	// Would is what evenkeel would have done about what is wrong now, in mode Observe. It counts for nothing.
	Would *Would `json:"would,omitempty"`
	// Unknown lists the required checks that could not be asked at the last looks, and since when.
	// +listType=atomic
	Unknown []UnknownCheck `json:"unknown,omitempty"`
	// PausedSince is the first look in the pause that lasts, and PauseToldAt when the operator was last reminded of it.
	PausedSince *Instant `json:"pausedSince,omitempty"`
	PauseToldAt *Instant `json:"pauseToldAt,omitempty"`
	// Warnings are what is well now and will not stay so, and what of it was told. One that has ended is kept for a day from
	// when it was last told, so that what comes and goes is not told each time.
	// +listType=map
	// +listMapKey=reason
	Warnings []Warning `json:"warnings,omitempty"`
	// Demand is an operator's order to recover that waits for the next look.
	Demand *Demand `json:"demand,omitempty"`
	// StoodDown says that an operator ordered the phase Failed. During a recovery it takes effect when the application has
	// been started again.
	StoodDown bool `json:"stoodDown,omitempty"`
	// NotWellSince is since when the leading check has not been True.
	NotWellSince *Instant `json:"notWellSince,omitempty"`
	// WellSince is since when everything has held in the phase Failed.
	WellSince *Instant `json:"wellSince,omitempty"`
	// Learned is what the domain has to remember from pass to pass.
	Learned *Learned `json:"learned,omitempty"`
	// LastPass is the last finished pass. It is not kept in the state file.
	LastPass *Observation `json:"lastPass,omitempty"`
	// Conditions as Kubernetes has them.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Telling is what this state has to tell. It stands until the next change of the state, told long since as a rule.
	Telling *Telling `json:"telling,omitempty"`
}

// Telling is what a state has to tell: it is written together with the state, before any of it is told, so that whoever is
// killed in between tells it at the next start. What the journal holds, and what the outbox holds or an event AlertSent or
// AlertFailed names, was told.
type Telling struct {
	// Events are the lines of the journal that belong to the step that has led to this state, in order; the first 32.
	// +listType=atomic
	Events []Event `json:"events,omitempty"`
	// Alerts are those of that step, after those of earlier steps that still wait to be joined with what other Apps tell of the
	// same fault; the last 16.
	// +listType=atomic
	Alerts []Alert `json:"alerts,omitempty"`
	// Closed is the last incident that was closed, where its report is not written yet.
	Closed *ClosedIncident `json:"closed,omitempty"`
}

// ClosedIncident is an incident as it ended, with the instant, and the reason in words.
type ClosedIncident struct {
	Incident Incident `json:"incident"`
	At       Instant  `json:"at"`
	Why      string   `json:"why"`
}

// Warning is something that is well now and will not stay so.
type Warning struct {
	// Reason is one CamelCase word, and tells warnings apart; Blame says whose it is.
	Reason string `json:"reason"`
	Blame  Blame  `json:"blame,omitempty"`
	// Message is a sentence; Next says where to look and what to do.
	Message string `json:"message"`
	// +listType=atomic
	Next []string `json:"next,omitempty"`
	// Since is when it was first seen; ToldAt when it was last told.
	Since  Instant `json:"since"`
	ToldAt Instant `json:"toldAt"`
	// Told says that its present stretch was told, so that its end is to be told too.
	Told bool `json:"told,omitempty"`
	// EndedAt is when it was over; absent while it stands.
	EndedAt *Instant `json:"endedAt,omitempty"`
}

// Incident is the time from the first confirmed failure until health is proven again.
type Incident struct {
	// Number counts the incidents of this App.
	Number int64 `json:"number"`
	// StartedAt is when the first failure was confirmed.
	StartedAt Instant `json:"startedAt"`
	// Blame and Reason of the first verdict.
	Blame  Blame  `json:"blame,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Blames are all that confirmed verdicts have blamed in it, in the order in which they came up.
	// +listType=atomic
	Blames []Blame `json:"blames,omitempty"`
	// Downtime is for how long each check that health needs did not hold.
	// +listType=atomic
	Downtime []CheckDowntime `json:"downtime,omitempty"`
	// Mended says what last brought health back.
	Mended *Mended `json:"mended,omitempty"`
	// Attempts are the automatic recoveries that may have been spent, oldest first, 32 at most.
	// +listType=atomic
	Attempts []Attempt `json:"attempts,omitempty"`
	// Spent counts the attempts that failed. It is never less than those listed.
	Spent int32 `json:"spent,omitempty"`
	// Flaps counts the attempts that held until their cooldown was over, and after which the application failed again.
	Flaps int32 `json:"flaps,omitempty"`
	// Proven is the time in which the application was well since the last failure that was its own.
	Proven metav1.Duration `json:"proven,omitzero"`
	// ProvenAt is up to when Proven was counted.
	ProvenAt *Instant `json:"provenAt,omitempty"`
	// Alerts are those that were sent, by their key, and when last.
	// +listType=atomic
	Alerts []SentAlert `json:"alerts,omitempty"`
	// ResolvedAt is when everything held again.
	ResolvedAt *Instant `json:"resolvedAt,omitempty"`
}

// SentAlert is an alert that was handed to the sinks.
type SentAlert struct {
	// Key is the kind and the blame.
	Key string `json:"key"`
	// At is when it was last sent.
	At Instant `json:"at"`
	// Resolved says that its end was told.
	Resolved bool `json:"resolved,omitempty"`
}

// AttemptOutcome says what became of an attempt.
// +kubebuilder:validation:Enum=Pending;Failed;Held;Excused
type AttemptOutcome string

// The outcomes of an attempt.
const (
	// AttemptPending: its cooldown is not over; it may yet fail.
	AttemptPending AttemptOutcome = "Pending"
	// AttemptFailed: within its cooldown something failed that is blamed on the application. It is spent.
	AttemptFailed AttemptOutcome = "Failed"
	// AttemptHeld: the application came up, and nothing failed within its cooldown.
	AttemptHeld AttemptOutcome = "Held"
	// AttemptExcused: the application did not come up, for a reason that is blamed on others. It is not spent.
	AttemptExcused AttemptOutcome = "Excused"
)

// Attempt is one automatic recovery.
type Attempt struct {
	// Number counts within the incident, from 1.
	Number int32 `json:"number"`
	// StartedAt is when the recovery began.
	StartedAt Instant `json:"startedAt"`
	// Outcome says what became of it.
	Outcome AttemptOutcome `json:"outcome"`
	// Reason is the verdict's reason that led to it; Message is how it ended.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// AtHoldLimit says that it was made because a hold had reached its limit: then whatever does not hold spends it.
	AtHoldLimit bool `json:"atHoldLimit,omitempty"`
	// Took is how long the recovery took.
	Took metav1.Duration `json:"took,omitzero"`
}

// Trigger says who began a recovery.
// +kubebuilder:validation:Enum=Automatic;Operator
type Trigger string

// The triggers.
const (
	// TriggerAutomatic recoveries spend attempts and keep the cooldown.
	TriggerAutomatic Trigger = "Automatic"
	// TriggerOperator recoveries spend nothing.
	TriggerOperator Trigger = "Operator"
)

// Recovery is one run of a plan.
type Recovery struct {
	// ID names the run within this App.
	ID string `json:"id"`
	// Trigger says who began it.
	Trigger Trigger `json:"trigger"`
	// Blame and Reason of the verdict that led to it.
	Blame  Blame  `json:"blame,omitempty"`
	Reason string `json:"reason,omitempty"`
	// StartedAt is when it began.
	StartedAt Instant `json:"startedAt"`
	// Plan is the plan under way, such as Plain or Clean.
	Plan string `json:"plan"`
	// Pending are the steps of the plan that are still to come, in order.
	// +listType=atomic
	Pending []string `json:"pending,omitempty"`
	// Step is the step under way: written before it begins. Empty between two steps and at the end.
	Step string `json:"step,omitempty"`
	// StepAt is when the step under way began.
	StepAt *Instant `json:"stepAt,omitempty"`
	// Stopped says that the application may have been stopped by us and not yet been started again.
	Stopped bool `json:"stopped,omitempty"`
	// Hung says that the application did not answer when the recovery began.
	Hung bool `json:"hung,omitempty"`
	// Undecided says that the plan has not helped: whether another one follows is decided on the next look.
	Undecided bool `json:"undecided,omitempty"`
	// Steps that are done, oldest first, 64 at most.
	// +listType=atomic
	Steps []StepRecord `json:"steps,omitempty"`
	// FinishedAt is when it ended; absent while it is under way.
	FinishedAt *Instant `json:"finishedAt,omitempty"`
	// Verified says that the application came up and answered.
	Verified bool `json:"verified,omitempty"`
	// Message says how it ended.
	Message string `json:"message,omitempty"`
}

// Open tells whether the recovery is under way.
func (r *Recovery) Open() bool { return r != nil && r.FinishedAt == nil }

// StepOutcome says how a step ended.
// +kubebuilder:validation:Enum=Done;Skipped;Failed;Interrupted
type StepOutcome string

// The outcomes of a step.
const (
	// StepDone: it did what it is for.
	StepDone StepOutcome = "Done"
	// StepSkipped: there was nothing to do, or it was not allowed; the message says why.
	StepSkipped StepOutcome = "Skipped"
	// StepFailed: it did not succeed; the message says why.
	StepFailed StepOutcome = "Failed"
	// StepInterrupted: evenkeel was ended while it ran; it was begun again.
	StepInterrupted StepOutcome = "Interrupted"
)

// StepRecord is one step as it ended.
type StepRecord struct {
	// Step is its name, and Plan the plan to which it belongs.
	Step string `json:"step"`
	Plan string `json:"plan"`
	// StartedAt and Took say when, and for how long.
	StartedAt Instant         `json:"startedAt"`
	Took      metav1.Duration `json:"took"`
	// Outcome and Message say how it ended.
	Outcome StepOutcome `json:"outcome"`
	Message string      `json:"message,omitempty"`
}

// Blame names the layer at fault.
type Blame string

// The layers.
const (
	BlameApp         Blame = "App"
	BlamePort        Blame = "Port"
	BlameCache       Blame = "Cache"
	BlameMemory      Blame = "Memory"
	BlameProxy       Blame = "Proxy"
	BlameCertificate Blame = "Certificate"
	BlameDNS         Blame = "DNS"
	BlameNetwork     Blame = "Network"
	BlameDatabase    Blame = "Database"
	BlameDeploy      Blame = "Deploy"
	BlameConfig      Blame = "Config"
	BlameDisk        Blame = "Disk"
	BlameHost        Blame = "Host"
	BlameRuntime     Blame = "Runtime"
	BlameOperator    Blame = "Operator"
	BlameNone        Blame = "None"
)

// Remedy says what a verdict asks for.
// +kubebuilder:validation:Enum=None;Wait;Hold;Recover
type Remedy string

// The remedies.
const (
	// RemedyNone: everything holds.
	RemedyNone Remedy = "None"
	// RemedyWait: too early to say; look again soon. It does not degrade, and it does not last.
	RemedyWait Remedy = "Wait"
	// RemedyHold: acting would not help, or would harm.
	RemedyHold Remedy = "Hold"
	// RemedyRecover: a recovery could help.
	RemedyRecover Remedy = "Recover"
)

// Verdict says who is to blame and what could help.
type Verdict struct {
	// Rule is the name of the rule that applied.
	Rule string `json:"rule"`
	// Blame names the layer at fault.
	Blame Blame `json:"blame"`
	// Reason is one CamelCase word; Message a sentence for the operator.
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Remedy is what could help.
	Remedy Remedy `json:"remedy"`
	// Plan is the plan to begin with, where the remedy is Recover.
	Plan string `json:"plan,omitempty"`
	// Certain says that the failure needs no more looks: it is confirmed by its own evidence.
	Certain bool `json:"certain,omitempty"`
	// OwnFault says that the failure is blamed on the application, so that an attempt that meets it is spent.
	OwnFault bool `json:"ownFault,omitempty"`
	// Down says that the application's process does not run, Up that it runs and nobody is about to stop it; neither is said
	// where the runtime could not be asked. Hung says that it runs and does not answer in time.
	Down bool `json:"down,omitempty"`
	Up   bool `json:"up,omitempty"`
	Hung bool `json:"hung,omitempty"`
	// Deploy says that a deploy is at work, and Stranger that another program has the port: these hold even an operator's
	// own order (force overrules the deploy).
	Deploy   bool `json:"deploy,omitempty"`
	Stranger bool `json:"stranger,omitempty"`
	// HoldLimit is how long a hold may last; nothing means without limit.
	HoldLimit metav1.Duration `json:"holdLimit,omitzero"`
	// ActAtLimit says that at the limit one plain recovery is tried; otherwise the hold goes on and the alert is repeated.
	ActAtLimit bool `json:"actAtLimit,omitempty"`
	// AtLimit says in words what happens at the limit, or why there is none.
	AtLimit string `json:"atLimit,omitempty"`
	// LookAgain asks for the next look sooner than the interval.
	LookAgain metav1.Duration `json:"lookAgain,omitzero"`
	// Evidence lists what was seen.
	// +listType=atomic
	Evidence []string `json:"evidence,omitempty"`
	// Next lists where to look and what to do.
	// +listType=atomic
	Next []string `json:"next,omitempty"`
}

// Blocked is what stands against the next action.
type Blocked struct {
	// Reason is one CamelCase word, such as Paused, Cooldown, Hold or Failed; Message is a sentence.
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Until is when it ends by itself, by the clock on the wall; for reading.
	Until *metav1.Time `json:"until,omitempty"`
}

// Would is a recovery that evenkeel would have begun, had it not been told to observe only.
type Would struct {
	// At is when it would have begun.
	At Instant `json:"at"`
	// Blame and Reason of the verdict that would have led to it.
	Blame  Blame  `json:"blame,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Plan and its Steps are what would have been begun with; without steps evenkeel would have given up.
	Plan string `json:"plan,omitempty"`
	// +listType=atomic
	Steps []string `json:"steps,omitempty"`
	// ToldAt is when it was last journalled.
	ToldAt Instant `json:"toldAt"`
}

// UnknownCheck is a required check that cannot be asked.
type UnknownCheck struct {
	// Check is its name.
	Check string `json:"check"`
	// Since is the first look at which it could not be asked.
	Since Instant `json:"since"`
	// Alerted says that the operator was told, and RemindedAt when he was last reminded.
	Alerted    bool     `json:"alerted,omitempty"`
	RemindedAt *Instant `json:"remindedAt,omitempty"`
}

// Demand is an operator's order to recover.
type Demand struct {
	// At is when it was taken.
	At Instant `json:"at"`
	// Force overrules a deploy.
	Force bool `json:"force,omitempty"`
}

// Hold is a verdict's wish that nothing be done.
type Hold struct {
	// Rule, Blame and Reason of the verdict that holds.
	Rule   string `json:"rule"`
	Blame  Blame  `json:"blame"`
	Reason string `json:"reason"`
	// Since is when the holding began; a change from one hold to another does not begin it anew.
	Since Instant `json:"since"`
	// Until is when its limit ends, by the clock on the wall; for reading.
	Until *metav1.Time `json:"until,omitempty"`
	// LimitSpent says that the one recovery at its limit was tried.
	LimitSpent bool `json:"limitSpent,omitempty"`
}
