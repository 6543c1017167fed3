package alone

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/hack/story"
	"github.com/evenkeel/evenkeel/state"
)

const (
	incidents = 3
	// instant is the longest time between what happened and the kill that follows it.
	instant = 300 * time.Millisecond
)

// TestNothingToldIsLostOrDoubled: a webhook and a mail server are down while the application fails and is well again, three times;
// evenkeel is killed soon after each of these, and started again. When the receivers are back, each is told everything once, in its
// order, each incident in a thread of its own; and another kill doubles nothing.
func TestNothingToldIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	hook, post := &receiver{place: newPlace(t)}, &receiver{place: newPlace(t)}
	m := newTold(t, hookAt(hook.place)+"}, "+mailAt(post.place)+"}", "provenAfter: 1s, ")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 5))
	m.run()
	m.well()
	m.paused = true // so that failures are told, and not mended
	m.desire()
	m.until("it is paused", func() bool { return m.journal(v1alpha1.ReasonPaused) })
	for n := range incidents {
		m.failing(true)
		m.until("it is seen to fail", func() bool { return m.phase() == string(v1alpha1.PhaseDegraded) })
		m.killedSoon(random)
		m.until("its failure waits for both receivers", func() bool { return m.waiting() >= 2*(2*n+1) })
		m.failing(false)
		m.until("it is seen to be well", func() bool { return m.phase() == string(v1alpha1.PhaseHealthy) })
		m.killedSoon(random)
		m.until("the end of it waits, too", func() bool {
			return m.waiting() >= 2*(2*n+2) && m.told(v1alpha1.ReasonIncidentClosed) > n
		})
	}
	if got := len(hook.taken()) + len(post.taken()) + m.told(v1alpha1.ReasonAlertSent); got > 0 {
		t.Fatalf("%d were told though they were down", got)
	}
	m.killedSoon(random)
	hook.answer(http.StatusOK)
	post.receive()
	m.until("all is told, and noted", func() bool { return m.told(v1alpha1.ReasonAlertSent) >= 4*incidents && m.waiting() == 0 })
	m.killedSoon(random)
	m.well()
	m.end() // what it would still say, it says now
	var want []string
	for n := range incidents {
		for _, kind := range []v1alpha1.AlertKind{v1alpha1.AlertDegraded, v1alpha1.AlertResolved} {
			want = append(want, fmt.Sprintf("incident %d %s", n+1, kind))
		}
	}
	for who, got := range map[string][]told{"webhook": hook.taken(), "mail server": post.taken()} {
		said, ids, threads := []string{}, map[string]bool{}, map[string]string{}
		for _, a := range got {
			said = append(said, a.about+" "+a.kind)
			ids[a.id] = true
			if threads[a.about] == "" {
				threads[a.about] = a.thread
			}
			if threads[a.about] != a.thread {
				t.Errorf("seed %d: the %s is told of %s in the threads %s and %s", seed, who, a.about, threads[a.about], a.thread)
			}
		}
		if !slices.Equal(said, want) || len(ids) != len(want) {
			t.Errorf("seed %d: the %s is told %q under %d names, want %q", seed, who, said, len(ids), want)
		}
	}
	if sent, failed := m.told(v1alpha1.ReasonAlertSent), m.told(v1alpha1.ReasonAlertFailed); sent != 2*len(want) || failed > 0 {
		t.Errorf("seed %d: the journal tells of %d alerts that were sent, want %d, and %d that were not", seed, sent, 2*len(want), failed)
	}
	t.Logf("seed %d: %d kills, %d alerts waited for two receivers, each told each of them once", seed, 2*incidents+2, len(want))
}

// killedSoon kills evenkeel at some instant that is near, and starts it again.
func (m *machine) killedSoon(random *rand.Rand) {
	m.Helper()
	timer := time.NewTimer(time.Duration(random.Int64N(int64(instant))))
	<-timer.C
	m.kill()
	m.run()
	m.ready()
}

// TestWhoNeverAnswersDelaysNoPass: a webhook, a mail server and a service for heartbeats take every call and never say a word. All
// that time passes go on, what fails is mended, metrics are served, and evenkeel ends when it is asked to.
func TestWhoNeverAnswersDelaysNoPass(t *testing.T) {
	t.Parallel()
	hook, post, beat := newPlace(t), newPlace(t), newPlace(t)
	m := newTold(t, hookAt(hook)+", timeout: 5m}, "+mailAt(post)+", timeout: 5m}", "tell: Always, ")
	change := m.change
	m.change = func(text string) string {
		return change(text) + fmt.Sprintf("  heartbeat: {url: 'http://%s/beat', interval: 10s, timeout: 5m}\n", beat.address)
	}
	m.desire()
	hooked, posted, beaten := hook.hanging(), post.hanging(), beat.hanging()
	m.run()
	m.well()
	m.hang() // and is mended
	m.until("it hangs on each of them", func() bool { return hooked() > 0 && posted() > 0 && beaten() > 0 })
	m.well()
	before := m.passes()
	m.until("passes go on", func() bool { return m.passes() >= before+25 })
	m.hang()
	m.well()
	if sent, failed := m.told(v1alpha1.ReasonAlertSent), m.told(v1alpha1.ReasonAlertFailed); sent+failed > 0 {
		t.Errorf("%d alerts were taken and %d given up: nobody was waited for, and the test proves nothing", sent, failed)
	}
	if n := m.told(v1alpha1.ReasonRecoveryStarted); n < 2 {
		t.Errorf("%d recoveries", n)
	}
	m.end()
	if m.waiting() == 0 {
		t.Error("what was not taken is not kept")
	}
}

// passes is how many have finished, by what evenkeel counts.
func (m *machine) passes() float64 {
	m.Helper()
	return story.Value(m.metrics(), `evenkeel_passes_total{app="site"}`)
}

func (m *machine) metrics() string {
	m.Helper()
	served, err := story.Scrape(m.Context(), m.socket())
	if err != nil {
		m.Fatal(err)
	}
	return served
}

// TestMetricsTellWhatTheJournalTells: recoveries that work and that do not, attempts that are spent, giving up, a reset, a kill in
// the midst of a recovery, alerts that are taken and that are not. What is counted is what was journalled and logged, and promtool
// finds nothing amiss in how it is served.
func TestMetricsTellWhatTheJournalTells(t *testing.T) {
	t.Parallel()
	good, bad := &receiver{place: newPlace(t)}, &receiver{place: newPlace(t)}
	good.answer(http.StatusOK)
	bad.answer(http.StatusNotFound) // which is final
	m := newTold(t, hookAt(good.place)+"}, "+hookAt(bad.place)+"}", "tell: Always, ")
	change := m.change
	m.change = func(text string) string {
		return strings.NewReplacer("maxAttempts: 20", "maxAttempts: 2", "startupGrace: 20s", "startupGrace: 1s", "deadline: 20s", "deadline: 3s").
			Replace(change(text))
	}
	m.desire()
	m.run()
	m.well()
	m.hang()
	m.well()
	m.failing(true)
	m.until("evenkeel has given up", func() bool { return m.phase() == string(v1alpha1.PhaseFailed) })
	m.failing(false)
	m.sameStory(0, 0)
	for _, reason := range []string{v1alpha1.ReasonAttemptSpent, v1alpha1.ReasonAlertSent, v1alpha1.ReasonAlertFailed} {
		if !m.journal(reason) {
			t.Errorf("the journal tells of no %s: the test proves little", reason)
		}
	}
	m.until("a reset is saved", func() bool { return m.save(v1alpha1.PhaseHealthy) })
	m.well()
	m.until("a recovery is asked for", m.order)
	m.until("it is under way", func() bool { return m.fact("observedPhase: ") == string(v1alpha1.PhaseRecovering) })
	m.kill()
	events, passes := len(m.story()), m.logged()
	m.run()
	m.well()
	m.sameStory(events, passes)
	promtoolFinds(t, m.metrics(), "check", "metrics")
}

// story are the events in the journal.
func (m *machine) story() []v1alpha1.Event {
	m.Helper()
	events, err := story.Journal(m.state + "/site.journal.jsonl")
	if err != nil {
		m.Fatal(err)
	}
	return events
}

// sameStory waits until the evenkeel that runs has counted what it journalled and logged, after so many events and passes of those
// before it, and what it tells of now is what the state file holds.
func (m *machine) sameStory(events, passes int) {
	m.Helper()
	var other []string
	m.until("what is counted is what is journalled and logged", func() bool {
		served := m.metrics()
		other = story.Differences(served, "site", m.story()[events:])
		if n := m.logged() - passes; float64(n) != story.Value(served, `evenkeel_passes_total{app="site"}`) {
			other = append(other, fmt.Sprintf("%d passes are logged", n))
		}
		if st, err := state.ReadState(m.state, "site"); err != nil || story.Value(served, fmt.Sprintf("evenkeel_app_phase{app=\"site\",phase=%q}", st.Phase)) != 1 {
			other = append(other, fmt.Sprintf("the phase is not that of the state file (%v)", err))
		}
		return len(other) == 0
	}, func() string { return fmt.Sprint(other) })
}
