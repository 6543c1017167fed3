package state

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// TestWhatIsKeptOfAFieldIsNeverStale lets states follow one another in which fields change, come and go, and come back. An
// encoder that has written the ones before writes the same bytes as a new one.
func TestWhatIsKeptOfAFieldIsNeverStale(t *testing.T) {
	full := status(v1alpha1.PhaseDegraded, "one")
	full.LastIncident = 1<<53 + 1 // a float would lose it
	states := []v1alpha1.AppStatus{full, status(v1alpha1.PhaseDegraded, "two"), {Phase: v1alpha1.PhaseHealthy}, full}
	one := &v1alpha1.AppState{}
	one.Name = "bbyatch"
	var used encoder
	for n := range states {
		states[n].ObservedPhase = states[n].Phase
		record, _, _, err := recordOf(states[n], 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := used.encode(&one.ObjectMeta, record)
		if err != nil {
			t.Fatal(err)
		}
		want, err := new(encoder).encode(&one.ObjectMeta, record)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("state %d: %v\n%s\nis not\n%s", n, err, got, want)
		}
		if back, err := decode(got, "bbyatch"); err != nil || back.LastIncident != states[n].LastIncident {
			t.Errorf("state %d: %v, %v", n, back, err)
		}
	}
}

// BenchmarkWrite is the writing of a state of which little has changed, on a simulated disk.
func BenchmarkWrite(b *testing.B) {
	fs := newSim()
	s, err := NewStore("/state", "bbyatch", Options{FS: fs})
	if err != nil {
		b.Fatal(err)
	}
	s.Load()
	st := status(v1alpha1.PhaseCooldown, "one")
	for b.Loop() {
		st.LastIncident++
		mustWrite(b, s, st)
	}
}

// BenchmarkWriteTelling is the same for a state that has three events and an alert to tell, which all are new.
func BenchmarkWriteTelling(b *testing.B) {
	fs := newSim()
	s, err := NewStore("/state", "bbyatch", Options{FS: fs})
	if err != nil {
		b.Fatal(err)
	}
	s.Load()
	st := status(v1alpha1.PhaseCooldown, "one")
	for b.Loop() {
		st.LastIncident++
		e := v1alpha1.Event{
			Time: metav1.NewMicroTime(testNow), Type: v1alpha1.EventWarning, Reason: v1alpha1.ReasonPhaseChanged, App: "bbyatch", UID: "11111111-2222-4333-8444-555555555555",
			Message: "Healthy → Degraded (Degrade): the application does not answer on port 3003", Incident: st.LastIncident, Phase: v1alpha1.PhaseDegraded,
		}
		st.Telling = &v1alpha1.Telling{Events: []v1alpha1.Event{e, e, e}, Alerts: []v1alpha1.Alert{{
			Time: e.Time, Kind: v1alpha1.AlertDegraded, App: e.App, Incident: e.Incident, Phase: e.Phase, Blame: v1alpha1.BlameApp,
			Reason: "Hangs", Message: e.Message, Evidence: []string{e.Message, e.Message}, Next: []string{"pm2 logs bbyatch"},
		}}}
		mustWrite(b, s, st)
	}
}

// TestEveryCharacterCanBeTold writes and loads what is to be told with every character there is, in what is read whole and in
// what an order is looked for in.
func TestEveryCharacterCanBeTold(t *testing.T) {
	fs := newSim()
	s := open(t, fs, nil)
	s.Load()
	st := status(v1alpha1.PhaseHealthy, "")
	const chunk = 0x1000
	for from := rune(0); from <= unicode.MaxRune; from += chunk {
		var text strings.Builder
		for r := from; r < from+chunk; r++ {
			text.WriteRune(r) // what is no character becomes the one that says so
		}
		st.LastIncident++
		st.Telling = &v1alpha1.Telling{Events: []v1alpha1.Event{{Reason: "Held", Message: text.String()}}}
		mustWrite(t, s, st)
		was := fs.ops
		again := open(t, fs, nil)
		l := again.Load()
		mustWrite(t, again, l.State.AppStatus)
		if l.State.Telling == nil || l.State.Telling.Events[0].Message != text.String() || l.Rejected != nil || fs.ops != was {
			t.Fatalf("from %U: %v, %v", from, l.Rejected, l.Warnings)
		}
	}
	st.LastIncident++
	st.Telling.Events[0].Message = "\xff \xc3\x28 'a': {b} [c] \" \\ # - ? & * ! | > % @ `"
	mustWrite(t, s, st)
	was := fs.ops
	again := open(t, fs, nil)
	l := again.Load()
	mustWrite(t, again, l.State.AppStatus)
	if want := strings.ToValidUTF8(st.Telling.Events[0].Message, "\ufffd"); l.State.Telling.Events[0].Message != want || fs.ops != was {
		t.Errorf("%q", l.State.Telling.Events[0].Message)
	}
}
