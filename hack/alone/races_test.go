package alone

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// races is how often a race is run; hack/prove wants hundreds.
func races(few int) int {
	if n, err := strconv.Atoi(os.Getenv("RACE_ROUNDS")); err == nil {
		return max(n/10, 1)
	}
	return few
}

// replacements are what somebody makes of the desired file: whether it is right, and how it comes of the one before.
var replacements = map[string]func(text string, random *rand.Rand) string{
	"another interval": func(text string, random *rand.Rand) string {
		return strings.Replace(text, "interval: 200ms", fmt.Sprintf("interval: %dms", 150+random.IntN(300)), 1)
	},
	"paused":            replacing("paused: false", "paused: true"),
	"only observed":     replacing("paused: false", "mode: Observe"),
	"other step times":  replacing("stopTimeout: 2s", "stopTimeout: 5s"),
	"a comment":         func(text string, _ *rand.Rand) string { return "# a comment\n" + text },
	"the same":          func(text string, _ *rand.Rand) string { return text },
	"a wrong name":      replacing("interval: 200ms", "intervall: 200ms"),
	"a wrong type":      replacing("port: ", "port: x"),
	"no runtime":        replacing("  runtime:", "  runtimes:"),
	"noise":             func(string, *rand.Rand) string { return "\x00\x01 spec: [" },
	"nothing":           func(string, *rand.Rand) string { return "" },
	"half of it":        func(text string, random *rand.Rand) string { return text[:random.IntN(len(text))] },
	"another App's too": func(text string, _ *rand.Rand) string { return text + "---\n" + text },
}

func replacing(from, to string) func(string, *rand.Rand) string {
	return func(text string, _ *rand.Rand) string { return strings.Replace(text, from, to, 1) }
}

// TestTheDesiredFileIsReplacedDuringRecoveries lets recoveries run, of the operator's and of evenkeel's own (the application is
// frozen), while somebody replaces the desired file again and again at random instants, by right and by wrong ones, by renaming
// and in place, in two halves. There is never a second copy of the application, nothing outside is touched, each recovery ends,
// attempts are counted without a gap, and with the right file in place all is well again. RACE_ROUNDS is ten times how often.
func TestTheDesiredFileIsReplacedDuringRecoveries(t *testing.T) {
	t.Parallel()
	for rounds := races(5); rounds > 0; rounds -= batch {
		replaceDuringRecoveries(t, min(rounds, batch))
	}
}

// batch is how many rounds one state folder sees: its journal is not put aside in them.
const batch = 25

func replaceDuringRecoveries(t *testing.T, rounds int) {
	t.Helper()
	m := newMachine(t, nil)
	const precious = "not evenkeel's"
	if err := os.WriteFile(filepath.Join(m.dir, "precious"), []byte(precious), 0o600); err != nil {
		t.Fatal(err)
	}
	m.run()
	m.well()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 3))
	kinds := slices.Sorted(maps.Keys(replacements))
	right, replaced, begun, ordered, frozen := m.wanted(), 0, 0, 0, 0
	for round := range rounds {
		before := m.told(v1alpha1.ReasonRecoveryStarted)
		if random.IntN(3) > 0 {
			for !m.order() {
				rest()
			}
			ordered++
		} else {
			m.signal(m.only(), syscall.SIGSTOP)
			frozen++
		}
		m.until("a recovery begins", func() bool { return m.told(v1alpha1.ReasonRecoveryStarted) > before })
		begun++
		for m.told(v1alpha1.ReasonRecoveryFinished) < m.told(v1alpha1.ReasonRecoveryStarted) {
			kind := kinds[random.IntN(len(kinds))]
			m.replace(replacements[kind](right, random), random)
			replaced++
			pause(time.Duration(random.Int64N(int64(150 * time.Millisecond))))
			if all := m.marked(); len(all) > 1 {
				t.Fatalf("seed %d, round %d: %d copies of the application", seed, round, len(all))
			}
			if replaced%20 == 19 { // nobody is kept from mending what he has broken
				m.replace(right, random)
				m.until("the recovery ends with the right file in place", func() bool {
					return m.told(v1alpha1.ReasonRecoveryFinished) >= m.told(v1alpha1.ReasonRecoveryStarted)
				})
			}
		}
		m.replace(right, random)
		m.until("the right file is in force", func() bool { return strings.Contains(m.record(), "reason: Accepted") })
		m.well()
		m.only()
		m.anew()
	}
	if got, err := os.ReadFile(filepath.Join(m.dir, "precious")); err != nil || string(got) != precious {
		t.Errorf("seed %d: what lies beside is %q, %v", seed, got, err)
	}
	m.attemptsAreWhole(seed)
	t.Logf("%d recoveries, %d ordered and %d of a frozen application, while the desired file was replaced %d times: one copy, each ended, well in the end",
		begun, ordered, frozen, replaced)
}

// replace puts a text in the place of the desired file: by renaming, or in place, in two halves.
func (m *machine) replace(text string, random *rand.Rand) {
	m.Helper()
	if random.IntN(2) == 0 {
		if err := os.WriteFile(m.file+".new", []byte(text), 0o600); err != nil {
			m.Fatal(err)
		}
		if err := os.Rename(m.file+".new", m.file); err != nil {
			m.Fatal(err)
		}
		return
	}
	f, err := os.OpenFile(m.file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		m.Fatal(err)
	}
	defer f.Close()
	half := len(text) / 2
	for n, part := range []string{text[:half], text[half:]} {
		if _, err := f.WriteString(part); err != nil {
			m.Fatal(err)
		}
		if n == 0 {
			pause(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
		}
	}
}

// anew begins anew, so that no cooldown grows: it stands evenkeel down, and resets.
func (m *machine) anew() {
	m.Helper()
	m.until("the order to stand down is saved", func() bool { return m.save(v1alpha1.PhaseFailed) })
	m.until("it has stood down", func() bool { return m.phase() == "Failed" && m.fact("observedPhase: ") == "Failed" })
	m.command("reset", "site", "--state-dir", m.state)
	m.well()
}

// attemptsAreWhole looks through the journal: the attempts of each incident are numbered without a gap and without a double, and
// what was begun has ended.
func (m *machine) attemptsAreWhole(seed uint64) {
	m.Helper()
	data, err := os.ReadFile(filepath.Join(m.state, "site.journal.jsonl"))
	if err != nil {
		m.Fatal(err)
	}
	open, last := map[string]bool{}, map[int64]int32{}
	for line := range strings.Lines(string(data)) {
		var e v1alpha1.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			m.Fatal(err)
		}
		switch {
		case e.Reason == v1alpha1.ReasonRecoveryStarted && open[e.Recovery]:
			m.Errorf("seed %d: recovery %s begins twice", seed, e.Recovery)
		case e.Reason == v1alpha1.ReasonRecoveryStarted:
			open[e.Recovery] = true
			if e.Attempt < last[e.Incident] || e.Attempt > last[e.Incident]+1 {
				m.Errorf("seed %d: attempt %d of incident %d follows on %d", seed, e.Attempt, e.Incident, last[e.Incident])
			}
			last[e.Incident] = e.Attempt
		case e.Reason == v1alpha1.ReasonRecoveryFinished:
			if !open[e.Recovery] {
				m.Errorf("seed %d: recovery %s ends, and had not begun", seed, e.Recovery)
			}
			delete(open, e.Recovery)
		}
	}
	if len(open) > 0 {
		m.Errorf("seed %d: begun and not ended: %v", seed, open)
	}
}

// command runs a command of evenkeel.
func (m *machine) command(args ...string) {
	m.Helper()
	cmd := exec.CommandContext(m.Context(), filepath.Join(m.bin, "evenkeel"), args...) // #nosec G204 -- a test's own program
	if out, err := cmd.CombinedOutput(); err != nil {
		m.Fatalf("evenkeel %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// record is the state file.
func (m *machine) record() string {
	data, _ := os.ReadFile(filepath.Join(m.state, "site.yaml"))
	return string(data)
}

func pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}
