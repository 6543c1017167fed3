package state

import (
	"bytes"
	"testing"

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
		record, _, err := recordOf(&states[n], 1)
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
