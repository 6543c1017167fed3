// Package v1alpha1 holds every type that evenkeel reads from or writes for its operators: the App with its spec and
// status, the AppState that is kept on disk, events and alerts. The types are real Kubernetes API types, so that the
// same object can one day live in an API server.
//
// Defaults are set before a document is decoded over them, so that a value given as zero can be told from a value not
// given. Validation names the field and what would be right.
//
// +kubebuilder:object:generate=true
// +groupName=evenkeel.dev
package v1alpha1

// Group, Version and the kinds, as they stand in every document.
const (
	Group        = "evenkeel.dev"
	Version      = "v1alpha1"
	GroupVersion = Group + "/" + Version

	KindApp      = "App"
	KindAppList  = "AppList"
	KindAppState = "AppState"

	KindIncident     = "Incident"
	KindIncidentList = "IncidentList"
)
