package controller

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// conditions brings those conditions up to date that follow from the record and the newest observation. The others
// (SpecAccepted, StatePersisted, AlertsConfigured) are the loop's.
func (s *stepper) conditions() {
	spec := &s.c.App.Spec
	paused := metav1.Condition{Type: v1alpha1.ConditionPaused, Status: metav1.ConditionFalse, Reason: "NotPaused"}
	if Paused(s.c.App, s.c.Now) {
		paused.Status, paused.Reason, paused.Message = metav1.ConditionTrue, "Paused", pauseBlocks(spec).Message
	}
	s.set(paused)
	observing := metav1.Condition{Type: v1alpha1.ConditionObserving, Status: metav1.ConditionFalse, Reason: "Active"}
	if spec.Observes() {
		observing.Status, observing.Reason = metav1.ConditionTrue, "ModeObserve"
		observing.Message = "evenkeel only observes; it says what it would do, and does nothing"
	}
	s.set(observing)
	latest := s.c.Latest()
	if latest == nil {
		return
	}
	lead, _ := latest.Leading()
	s.set(metav1.Condition{
		Type: v1alpha1.ConditionAvailable, Status: orUnknown(lead.Status), Reason: orElse(lead.Reason, "NotAsked"),
	})
	var held, asked int
	var wrong []string
	for _, res := range latest.Results {
		if !res.Required {
			continue
		}
		asked++
		switch res.Status {
		case metav1.ConditionTrue:
			held++
		default:
			wrong = append(wrong, res.Check+"="+string(res.Status))
		}
	}
	healthy := metav1.Condition{Type: v1alpha1.ConditionHealthy, Status: metav1.ConditionTrue, Reason: "AllHold",
		Message: fmt.Sprintf("%d of %d checks hold", held, asked)}
	if !latest.Holds() {
		healthy.Status, healthy.Reason = metav1.ConditionFalse, "SomeDoNotHold"
		healthy.Message += ": " + strings.Join(wrong, ", ")
	}
	s.set(healthy)
}

func (s *stepper) set(c metav1.Condition) {
	c.ObservedGeneration = s.c.App.Generation
	SetCondition(s.r, c, s.c.Now)
}

// SetCondition sets a condition; its transition time moves only when its status does.
func SetCondition(r *v1alpha1.AppStatus, c metav1.Condition, now v1alpha1.Instant) {
	if old := meta.FindStatusCondition(r.Conditions, c.Type); old == nil || old.Status != c.Status {
		c.LastTransitionTime = metav1.NewTime(now.Wall.Time)
	} else {
		c.LastTransitionTime = old.LastTransitionTime
	}
	meta.SetStatusCondition(&r.Conditions, c)
}

func orUnknown(s metav1.ConditionStatus) metav1.ConditionStatus {
	if s == "" {
		return metav1.ConditionUnknown
	}
	return s
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
