package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IncidentReport is an incident as it is kept and listed: open, or closed. Its kind is Incident.
type IncidentReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Status is what happened.
	Status IncidentStatus `json:"status"`
}

// IncidentReportList is a Kubernetes List of incidents.
type IncidentReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IncidentReport `json:"items"`
}

// IncidentStatus is an incident with what came of it.
type IncidentStatus struct {
	// App is the App's name.
	App      string `json:"app"`
	Incident `json:",inline"`
	// ClosedAt is when it was closed; absent while it is open. Closed says why it was.
	ClosedAt *Instant `json:"closedAt,omitempty"`
	Closed   string   `json:"closed,omitempty"`
	// Timeline are the journal's events that belong to it, oldest first, 200 at most: the newest.
	// +listType=atomic
	Timeline []Event `json:"timeline,omitempty"`
	// Evidence is what was kept before the first kill of each recovery. It is shown, and kept in files of its own.
	// +listType=atomic
	Evidence []Evidence `json:"evidence,omitempty"`
}

// CheckDowntime is for how long a check did not hold in an incident.
type CheckDowntime struct {
	// Check is the check's name. Leading marks the one that must be True for the application to be well.
	Check   string `json:"check"`
	Leading bool   `json:"leading,omitempty"`
	// Total is the time that is over; Since is when the time began that goes on. For the leading check time in which it could
	// not be asked counts too.
	Total metav1.Duration `json:"total,omitzero"`
	Since *Instant        `json:"since,omitempty"`
}

// Mended says what brought health back.
type Mended struct {
	// At is when everything held again.
	At Instant `json:"at"`
	// By says what did it, in a few words.
	By string `json:"by"`
}

// Evidence is what was seen just before a recovery ended the first process. Secrets in it are masked.
type Evidence struct {
	// Recovery is the recovery's ID.
	Recovery string `json:"recovery"`
	// At is when it was gathered; Took how long that took.
	At   Instant         `json:"at"`
	Took metav1.Duration `json:"took"`
	// Parts, each bounded in size.
	// +listType=atomic
	Parts []EvidencePart `json:"parts"`
}

// EvidencePart is one thing that was looked at.
type EvidencePart struct {
	// Name says what it is, such as processes, sockets, memory or answers.
	Name string `json:"name"`
	// Text is what was seen, for people.
	Text string `json:"text,omitempty"`
	// Cut says that there was more.
	Cut bool `json:"cut,omitempty"`
	// Error says what could not be seen.
	Error string `json:"error,omitempty"`
}
