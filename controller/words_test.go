package controller

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// TestWordsAloneAreNotWrittenAtEveryPass pins a bug: while a stranger had the port, or an application came and went under a
// hold, the state file was written at every pass, since how long and how often it had been so is said in the verdict.
func TestWordsAloneAreNotWrittenAtEveryPass(t *testing.T) {
	var w Words
	record := func(message string, spent int32) *v1alpha1.AppStatus {
		return &v1alpha1.AppStatus{
			Phase: v1alpha1.PhaseDegraded, Incident: &v1alpha1.Incident{Number: 1, Spent: spent},
			Verdict: &v1alpha1.Verdict{Rule: "stranger-on-port", Message: message, Evidence: []string{message}, Next: []string{message}},
			Blocked: &v1alpha1.Blocked{Reason: "Hold", Message: message}, Conditions: []metav1.Condition{{Type: "Well", Message: message}},
		}
	}
	due := func(after time.Duration, old, now *v1alpha1.AppStatus, commands ...Command) bool {
		t.Helper()
		ok := w.Due(old, now, commands, at(after))
		if ok {
			w.Written(at(after))
		}
		return ok
	}
	for _, tc := range []struct {
		name     string
		after    time.Duration
		old, now *v1alpha1.AppStatus
		commands []Command
		want     bool
	}{
		{"the first of all", 0, record("", 0), record("for 1 s", 0), nil, true},
		{"nothing has changed", time.Second, record("for 1 s", 0), record("for 1 s", 0), nil, false},
		{"words", 2 * time.Second, record("for 1 s", 0), record("for 2 s", 0), []Command{Observe{}}, false},
		{"nothing since those words", 3 * time.Second, record("for 2 s", 0), record("for 2 s", 0), nil, false},
		{"words, and something to tell", 4 * time.Second, record("for 2 s", 0), record("for 3 s", 0), []Command{Record{}}, true},
		{"more than words", 5 * time.Second, record("for 3 s", 0), record("for 3 s", 1), nil, true},
		{"words again", wordsEvery, record("for 3 s", 1), record("for 4 s", 1), nil, false},
		{"nothing since, but it is time", wordsEvery + 5*time.Second, record("for 4 s", 1), record("for 4 s", 1), nil, true},
		{"nothing that is not on disk", 3 * wordsEvery, record("for 4 s", 1), record("for 4 s", 1), nil, false},
		{"words after a long time", 3 * wordsEvery, record("for 4 s", 1), record("for 5 s", 1), nil, true},
	} {
		if got := due(tc.after, tc.old, tc.now, tc.commands...); got != tc.want {
			t.Errorf("%s: due %v, want %v", tc.name, got, tc.want)
		}
	}
}
