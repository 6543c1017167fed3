package cmd

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/alert"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// TestWhatAKillHasKeptFromBeingToldIsToldAtTheNextStart, and at no other: an event that the journal does not hold, and an alert of
// which neither the outbox nor the journal knows.
func TestWhatAKillHasKeptFromBeingToldIsToldAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	inbox := filepath.Join(dir, "inbox")
	app := site(t)
	app.UID = "11111111-2222-4333-8444-555555555555"
	app.Spec.Alerts = []v1alpha1.AlertSpec{{Exec: []string{"/bin/sh", "-c", "echo told >>" + inbox}}}
	event := func(d time.Duration, message string) v1alpha1.Event {
		return v1alpha1.Event{Time: at(d).Wall, Type: v1alpha1.EventWarning, Reason: v1alpha1.ReasonPhaseChanged, Message: message, App: app.Name}
	}
	telling := &v1alpha1.Telling{
		Events: []v1alpha1.Event{event(0, "first"), event(0, "second")},
		Alerts: []v1alpha1.Alert{{Time: at(0).Wall, Kind: v1alpha1.AlertFailed, App: app.Name, Phase: v1alpha1.PhaseFailed, Message: "evenkeel has given up"}},
	}
	journal, err := state.NewJournal(dir, app.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := journal.Append(event(-time.Hour, "second"), telling.Events[0]); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		out, err := newOutlets(&globals{Stderr: io.Discard, clock: realNow}, dir, runFlags{logFile: "-", logFormat: "text"})
		if err != nil {
			t.Fatal(err)
		}
		sink := out.sink(app.Name, journal)
		status := v1alpha1.AppStatus{Telling: telling}
		(&supervisor{owed: out.owed}).tellAgain(app, &status, journal, sink, out.log())
		if owed := status.Telling != nil && len(status.Telling.Alerts) == 1; owed != (round == 0) {
			t.Errorf("round %d: to be told: %+v", round, status.Telling)
		}
		if status.Telling != nil {
			kept := false
			sink.Alert(app, status.Telling.Alerts[0], func() { kept = true })
			if !kept {
				t.Error("it waits for nobody, and is not kept")
			}
		}
		out.close()
		events, err := journal.Read(state.Query{})
		if err != nil {
			t.Fatal(err)
		}
		said := make([]string, 0, len(events))
		for _, e := range events {
			said = append(said, e.Message)
		}
		if got := strings.Join(said, ", "); !strings.HasPrefix(got, "second, first, second, alert Failed was taken") || len(said) != 4 {
			t.Errorf("round %d: the journal holds %s", round, got)
		}
		if got, _ := os.ReadFile(inbox); string(got) != "told\n" {
			t.Errorf("round %d: the receiver was told %q", round, got)
		}
	}
}

// TestAnAlertThatWaitsToBeJoinedIsNotKept until it has been told.
func TestAnAlertThatWaitsToBeJoinedIsNotKept(t *testing.T) {
	told := 0
	j := newJoint(realNow, func(items []alert.Item) { told += len(items) })
	j.supervised("one", true)
	j.supervised("two", true)
	app := v1alpha1.NewApp()
	app.Name = "one"
	kept := 0
	j.alert(app, v1alpha1.Alert{Kind: v1alpha1.AlertDegraded, Blame: v1alpha1.BlameProxy, Time: metav1.NowMicro()}, func() { kept++ })
	if told != 0 || kept != 0 {
		t.Fatalf("%d told, %d kept: it was not to be told before the other App has had the time to", told, kept)
	}
	j.alert(app, v1alpha1.Alert{Kind: v1alpha1.AlertFailed}, func() { kept += 10 })
	if told != 2 || kept != 11 {
		t.Errorf("%d told, %d kept", told, kept)
	}
	j.alert(app, v1alpha1.Alert{Kind: v1alpha1.AlertDegraded, Blame: v1alpha1.BlameProxy, Time: metav1.NowMicro()}, func() { kept += 100 })
	j.close()
	if told != 3 || kept != 111 {
		t.Errorf("%d told, %d kept at the end", told, kept)
	}
}
