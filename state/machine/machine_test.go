package machine

import (
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the diagram into docs/state-machine.md")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	healthy    = v1alpha1.PhaseHealthy
	degraded   = v1alpha1.PhaseDegraded
	recovering = v1alpha1.PhaseRecovering
	cooldown   = v1alpha1.PhaseCooldown
	failed     = v1alpha1.PhaseFailed
)

// want is the table of design.md once more, by phase and in the order of its rows: a pair that is not here is refused.
var want = map[v1alpha1.Phase]map[Event]v1alpha1.Phase{
	healthy: {Degrade: degraded, Demand: recovering, StandDown: failed},
	degraded: {Heal: healthy, Recover: recovering, Demand: recovering, GiveUp: failed, Reset: healthy,
		StandDown: failed},
	recovering: {Settle: cooldown, StandDown: failed},
	cooldown: {Demand: recovering, Stabilize: healthy, Relapse: degraded, GiveUp: failed, Reset: healthy,
		StandDown: failed},
	failed: {Demand: recovering, Reset: healthy, Restore: healthy, StandDown: failed},
}

var allEvents = []Event{Degrade, Heal, Recover, Demand, Settle, Stabilize, Relapse, GiveUp, Reset, Restore, StandDown}

func TestEveryPairOfPhaseAndEvent(t *testing.T) {
	for _, phase := range v1alpha1.Phases() {
		for _, event := range allEvents {
			t.Run(string(phase)+"/"+string(event), func(t *testing.T) {
				to, allowed := want[phase][event]
				got, err := Next(phase, event)
				if allowed {
					if err != nil || got != to {
						t.Fatalf("got %s, %v; want %s", got, err, to)
					}
					return
				}
				var refused *RefusedError
				if !errors.As(err, &refused) {
					t.Fatalf("got %v, want a *RefusedError", err)
				}
				if refused.Phase != phase || refused.Event != event || got != phase {
					t.Errorf("refused %+v and went to %s", refused, got)
				}
				for e := range want[phase] {
					if !strings.Contains(err.Error(), string(e)) {
						t.Errorf("%q does not say that %s would be possible", err, e)
					}
				}
			})
		}
	}
}

func TestAllowedIsWhatNextAllows(t *testing.T) {
	for _, phase := range v1alpha1.Phases() {
		var expected []Event
		for _, event := range allEvents {
			if _, ok := want[phase][event]; ok {
				expected = append(expected, event)
			}
		}
		if got := Allowed(phase); !slices.Equal(got, expected) {
			t.Errorf("%s: got %v, want %v", phase, got, expected)
		}
	}
}

func TestEventsAreThoseOfTheTable(t *testing.T) {
	if !slices.Equal(Events(), allEvents) {
		t.Errorf("got %v, want %v", Events(), allEvents)
	}
}

// Of two rows for one pair the library would silently take the last.
func TestNoPairStandsTwice(t *testing.T) {
	type pair struct {
		event Event
		from  v1alpha1.Phase
	}
	seen := map[pair]bool{}
	for _, r := range table {
		for _, from := range r.from {
			p := pair{r.event, from}
			if seen[p] {
				t.Errorf("%s from %s stands twice", r.event, from)
			}
			seen[p] = true
		}
	}
}

func TestWhatIsNoPhaseOrNoEventIsRefused(t *testing.T) {
	for _, phase := range []v1alpha1.Phase{"", "healthy", "Unwell"} {
		_, err := Next(phase, StandDown)
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "Recovering") {
			t.Errorf("phase %q: got %v", phase, err)
		}
		if got := Allowed(phase); got != nil {
			t.Errorf("phase %q allows %v", phase, got)
		}
	}
	if _, err := Next(healthy, "degrade"); !errors.As(err, new(*RefusedError)) {
		t.Errorf("unknown event: got %v", err)
	}
}

func TestManyMayAskAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for phase, events := range want {
				for event, to := range events {
					if got, err := Next(phase, event); err != nil || got != to {
						t.Errorf("%s in %s: %s, %v", event, phase, got, err)
					}
				}
				Allowed(phase)
				Mermaid()
			}
		})
	}
	wg.Wait()
}

const docPage = "../../docs/state-machine.md"

// The page holds exactly the diagram that the machine draws of itself, and a word on every event and phase.
func TestDocumentationHoldsTheDiagram(t *testing.T) {
	content, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	const open, end = "```mermaid\n", "```\n"
	before, rest, ok := strings.Cut(page, open)
	if !ok {
		t.Fatalf("%s has no mermaid block", docPage)
	}
	drawn, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s: the mermaid block does not end", docPage)
	}
	if drawn != Mermaid() {
		if !*update {
			t.Fatalf("%s is not up to date; run go test ./state/machine -update", docPage)
		}
		if err := os.WriteFile(docPage, []byte(before+open+Mermaid()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, event := range allEvents {
		if !strings.Contains(after, "**"+string(event)+"**") {
			t.Errorf("%s does not explain %s", docPage, event)
		}
	}
	for _, phase := range v1alpha1.Phases() {
		if !strings.Contains(before, "**"+string(phase)+"**") {
			t.Errorf("%s does not explain %s", docPage, phase)
		}
	}
}
