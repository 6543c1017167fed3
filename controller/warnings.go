package controller

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
)

// warningEvery is the floor rate at which a warning that lasts, or comes and goes, is told again: what it warns of is days
// away.
var warningEvery = noticeWarning.Every

// noteWarnings keeps and tells what is well now and will not stay so. What could not be told of changes nothing; what is
// not spoken of any more, because its check is gone say, is over.
func (s *stepper) noteWarnings(list []pass.Warning) {
	for n := range s.r.Warnings {
		old := &s.r.Warnings[n]
		i := slices.IndexFunc(list, func(w pass.Warning) bool { return w.Reason == old.Reason })
		if old.EndedAt == nil && (i < 0 || list[i].Status == metav1.ConditionFalse) {
			s.warningOver(old)
		}
	}
	for n := range list {
		if list[n].Status == metav1.ConditionTrue {
			s.warn(&list[n])
		}
	}
	s.r.Warnings = slices.DeleteFunc(s.r.Warnings, func(w v1alpha1.Warning) bool {
		return w.EndedAt != nil && s.c.Now.Since(w.ToldAt) >= warningEvery
	})
	if len(s.r.Warnings) == 0 {
		s.r.Warnings = nil
	}
}

func (s *stepper) warn(w *pass.Warning) {
	n := slices.IndexFunc(s.r.Warnings, func(old v1alpha1.Warning) bool { return old.Reason == w.Reason })
	if n < 0 {
		s.r.Warnings = append(s.r.Warnings, v1alpha1.Warning{Reason: w.Reason, Since: s.c.Now})
		n = len(s.r.Warnings) - 1
	}
	kept := &s.r.Warnings[n]
	if kept.EndedAt != nil {
		kept.EndedAt, kept.Since = nil, s.c.Now
	}
	kept.Blame, kept.Message, kept.Next = w.Blame, w.Message, slices.Clone(w.Next)
	if !kept.ToldAt.IsZero() && s.c.Now.Since(kept.ToldAt) < warningEvery {
		return
	}
	if !kept.Told {
		s.event(v1alpha1.EventWarning, v1alpha1.ReasonWarning, kept.Message)
	}
	kept.Told, kept.ToldAt = true, s.c.Now
	s.tellWarning(noticeWarning, kept, kept.Message, kept.Next)
}

// warningOver notes the end of a warning, which is told if it was.
func (s *stepper) warningOver(w *v1alpha1.Warning) {
	now := s.c.Now
	w.EndedAt = &now
	if !w.Told {
		return
	}
	w.Told = false
	text := "over: " + w.Message
	s.event(v1alpha1.EventNormal, v1alpha1.ReasonWarningOver, text)
	s.tellWarning(noticeWarningOver, w, text, nil)
}

func (s *stepper) tellWarning(n *Notice, w *v1alpha1.Warning, message string, next []string) {
	s.tell(n, v1alpha1.Alert{
		Blame: w.Blame, Reason: w.Reason, Message: message, Next: slices.Clone(next),
		Duration: metav1.Duration{Duration: s.c.Now.Since(w.Since)},
	})
}
