package alone

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// kills is how often TestNothingIsForgottenByAKill kills evenkeel; hack/prove wants 500.
func kills(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("ALONE_KILLS"))
	if err != nil {
		return 30
	}
	return n
}

// TestNothingIsForgottenByAKill orders recoveries and kills evenkeel with SIGKILL at random instants of them. The state is the
// old or the new one and never an older one, no copy of it is ever needed, every order is taken once and every recovery that was
// begun is ended, no event stands twice in the journal, and there is never a second copy of the application.
func TestNothingIsForgottenByAKill(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	m.run()
	m.well()
	rounds, seed := kills(t), uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	version, ordered := int64(0), 0
	phases := map[v1alpha1.Phase]int{}
	for round := range rounds {
		if m.order() {
			ordered++
		}
		timer := time.NewTimer(time.Duration(random.Int64N(int64(600 * time.Millisecond))))
		<-timer.C
		m.kill()
		st, err := state.ReadState(m.state, "site")
		if err != nil {
			t.Fatalf("seed %d, round %d: the state after a kill: %v", seed, round, err)
		}
		now, err := strconv.ParseInt(st.ResourceVersion, 10, 64)
		if err != nil || now < version {
			t.Fatalf("seed %d, round %d: version %q after %d", seed, round, st.ResourceVersion, version)
		}
		version = now
		phases[st.Phase]++
		if all := m.marked(); len(all) > 1 {
			t.Fatalf("seed %d, round %d: %d copies of the application", seed, round, len(all))
		}
		m.run()
		m.until("evenkeel is back", func() bool { return bytes.Contains([]byte(m.said()), []byte("evenkeel is ready")) })
	}
	m.well()
	m.only()
	m.until("every recovery that was begun is ended", func() bool {
		return m.told(v1alpha1.ReasonRecoveryStarted) <= m.told(v1alpha1.ReasonRecoveryFinished)
	})
	if taken := m.told(v1alpha1.ReasonOrderTaken); taken != ordered {
		t.Errorf("seed %d: %d orders were saved, %d were taken", seed, ordered, taken)
	}
	for event, n := range m.events() {
		if n > 1 {
			t.Errorf("seed %d: %d times in the journal: %s", seed, n, event)
		}
	}
	for _, reason := range []string{v1alpha1.ReasonStateLost, v1alpha1.ReasonStateRestored, v1alpha1.ReasonStateRejected} {
		if n := m.told(reason); n > 0 {
			t.Errorf("seed %d: %d events %s", seed, n, reason)
		}
	}
	t.Logf("%d kills at random instants (phase on disk: %v), %d orders, %d taken, %d recoveries begun and ended, version %d: nothing forgotten",
		rounds, phases, ordered, m.told(v1alpha1.ReasonOrderTaken), m.told(v1alpha1.ReasonRecoveryStarted), version)
}

// events are the lines of the journal, and how often each stands in it.
func (m *machine) events() map[string]int {
	m.Helper()
	data, err := os.ReadFile(filepath.Join(m.state, "site.journal.jsonl"))
	if err != nil {
		m.Fatal(err)
	}
	found := map[string]int{}
	for line := range bytes.Lines(data) {
		found[string(line)]++
	}
	return found
}

// order saves the order to recover, as an editor does; false where the state file already holds an order.
func (m *machine) order() bool { m.Helper(); return m.save(v1alpha1.PhaseRecovering) }

// save saves a phase in the state file, as an editor does; false where the file already holds an order, or that phase. An editor
// that is slower than evenkeel saves an older state over a newer one, which evenkeel, were it killed before it has seen that,
// would rightly say at its next start: so that is waited for.
func (m *machine) save(to v1alpha1.Phase) bool {
	m.Helper()
	path := filepath.Join(m.state, "site.yaml")
	was, err := os.ReadFile(path)
	if err != nil {
		m.Fatal(err)
	}
	observed := []byte("\nobservedPhase: ")
	_, rest, _ := bytes.Cut(was, observed)
	phase, _, _ := bytes.Cut(rest, []byte("\n"))
	from := []byte("\nphase: " + string(phase) + "\n")
	if string(phase) == string(to) || string(phase) == string(v1alpha1.PhaseRecovering) || !bytes.Contains(was, from) {
		return false
	}
	saved := bytes.Replace(was, from, []byte("\nphase: "+string(to)+"\n"), 1)
	if err := os.WriteFile(path+".edited", saved, 0o600); err != nil {
		m.Fatal(err)
	}
	if err := state.OS().Exchange(path+".edited", path); err != nil {
		m.Fatal(err)
	}
	replaced, err := os.ReadFile(path + ".edited")
	if err != nil {
		m.Fatal(err)
	}
	if !bytes.Equal(replaced, was) {
		m.until("evenkeel has seen what was saved", func() bool {
			now, err := os.ReadFile(path)
			return err == nil && !bytes.Equal(now, saved)
		})
	}
	return true
}
