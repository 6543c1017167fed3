package v1alpha1

// Types of conditions in status.
const (
	// ConditionAvailable: the leading check holds.
	ConditionAvailable = "Available"
	// ConditionHealthy: everything holds.
	ConditionHealthy = "Healthy"
	// ConditionPaused: the operator has paused evenkeel for this App.
	ConditionPaused = "Paused"
	// ConditionObserving: evenkeel does nothing for this App but watch (spec.mode Observe, or run --dry-run).
	ConditionObserving = "Observing"
	// ConditionSpecAccepted: the desired-state file, as it stands, is in force.
	ConditionSpecAccepted = "SpecAccepted"
	// ConditionStatePersisted: what evenkeel knows is on disk.
	ConditionStatePersisted = "StatePersisted"
	// ConditionEditAccepted: the last edit of the state file was understood and taken. Absent where there was none.
	ConditionEditAccepted = "LastEditAccepted"
	// ConditionAlertsConfigured: somebody would be told.
	ConditionAlertsConfigured = "AlertsConfigured"
)
