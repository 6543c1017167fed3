package controller

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

var errKilled = errors.New("killed")

// unsynced is a file system that does not wait for its disk: the power stays on.
type unsynced struct{ state.FS }

func (unsynced) SyncDir(string) error { return nil }

func (u unsynced) Create(path string) (state.File, error) {
	f, err := u.FS.Create(path)
	return unsyncedFile{f}, err
}

type unsyncedFile struct{ state.File }

func (unsyncedFile) Sync() error { return nil }

// mortal is all that a loop works on, with a real state file and a real journal. It is killed (by a panic) at the die-th of its
// operations: before a state is written and after it, before an event is appended and after it, and so on.
type mortal struct {
	fakeJudge
	store   *state.Store
	journal *state.Journal
	mu      sync.Mutex // a look or a step of a run that was killed may still be under way
	local   bool       // the application answers
	mends   bool       // a start brings it up
	now     v1alpha1.Instant
	ops     int
	die     int
	what    string
	waiting []func() // alerts that are in memory only, until the next event
	outbox  []v1alpha1.Alert
	reports map[int64]string // why each incident was closed, as it is kept
	// events, alerts and closed are those that belong to states which are on disk.
	events []v1alpha1.Event
	alerts []v1alpha1.Alert
	closed map[int64]bool
}

func (m *mortal) crash(mends bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.local, m.mends = false, mends
}

// pass lets time pass.
func (m *mortal) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

func (m *mortal) op(what string) {
	if m.ops++; m.ops == m.die {
		m.what = what
		panic(errKilled)
	}
}

func (m *mortal) Observe(context.Context, *v1alpha1.App, []string) v1alpha1.Observation {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.local {
		return seen(m.now, yes, yes)
	}
	return seen(m.now, no, yes)
}

func (m *mortal) Act(_ context.Context, _ *v1alpha1.App, step pass.Step) pass.StepResult {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.local = m.local || step.Name == "start" && m.mends
	if step.Name == "verify" && !m.local {
		return pass.StepResult{Step: step.Name, Outcome: v1alpha1.StepFailed, Message: "it does not answer"}
	}
	return pass.StepResult{Step: step.Name, Outcome: v1alpha1.StepDone}
}

func (m *mortal) Write(status v1alpha1.AppStatus, generation int64) error {
	m.op("before a write")
	before := m.store.Meta().ResourceVersion
	if err := m.store.Write(status, generation); err != nil {
		return err
	}
	if m.store.Meta().ResourceVersion != before && status.Telling != nil {
		m.events = append(m.events, status.Telling.Events...)
		for _, a := range status.Telling.Alerts {
			if !slices.ContainsFunc(m.alerts, func(b v1alpha1.Alert) bool { return sameAlert(a, b) }) {
				m.alerts = append(m.alerts, a)
			}
		}
	}
	for number := int64(1); number <= status.LastIncident; number++ {
		m.closed[number] = status.Incident == nil || status.Incident.Number != number
	}
	m.op("after a write")
	return nil
}

func (m *mortal) TakeOrder() (state.Order, error)           { return m.store.TakeOrder() }
func (m *mortal) Refuse(why string) *state.RejectedError    { return m.store.Refuse(why) }
func (m *mortal) Pass(*v1alpha1.App, *v1alpha1.Observation) {}
func sameAlert(a, b v1alpha1.Alert) bool {
	return a.Kind == b.Kind && a.Time.Equal(&b.Time) && a.Message == b.Message
}
func sameEvent(a, b v1alpha1.Event) bool {
	return a.Time.Equal(&b.Time) && a.Message == b.Message && a.Reason == b.Reason
}
func (m *mortal) Alert(_ *v1alpha1.App, a v1alpha1.Alert, kept func()) {
	m.op("before an alert")
	m.waiting = append(m.waiting, func() { m.outbox = append(m.outbox, a); kept() })
	m.op("after an alert, which waits")
}

func (m *mortal) file(_ *v1alpha1.App, i v1alpha1.Incident, closed string, _ v1alpha1.Instant, kept func()) {
	m.op("before an incident is filed")
	m.waiting = append(m.waiting, func() {
		if closed != "" {
			m.reports[i.Number] = closed
		}
		kept()
	})
	m.op("after an incident was filed, which waits")
}

func (m *mortal) Event(e v1alpha1.Event) {
	m.op("before an event")
	if err := m.journal.Append(e); err != nil {
		panic(err)
	}
	m.op("after an event")
	m.flush()
}

// flush lets what waits reach the outbox.
func (m *mortal) flush() {
	for _, deliver := range m.waiting {
		m.op("before an alert is kept")
		deliver()
		m.op("after an alert was kept")
	}
	m.waiting = nil
}

// run is one run of evenkeel, until it is killed, or for so many steps.
func (m *mortal) run(steps int) (killed bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != errKilled {
				panic(p)
			}
			killed = true
		}
		m.waiting = nil
	}()
	loaded := m.store.Load()
	log := logrus.New()
	log.SetOutput(io.Discard)
	l := &Loop{Domain: m, Store: m, Sink: m, Clock: func() v1alpha1.Instant { return m.now }, Log: log, File: m.file}
	l.app = newApp()
	l.app.Spec.Recovery.Tell, l.app.Spec.Recovery.MaxAttempts = v1alpha1.TellWhenNotMended, 1
	l.app.Spec.Recovery.ProvenAfter.Duration = 10 * time.Minute
	l.results = make(chan result, 1)
	l.retry = pace.New(time.Second, time.Minute, 2)
	telling := loaded.State.Telling
	loaded.State.Telling = nil
	l.status = loaded.State.AppStatus
	if telling != nil { // as the supervisor does
		missing, err := m.journal.Missing(telling.Events)
		if err != nil {
			panic(err)
		}
		l.tellAgain(&v1alpha1.Telling{Events: missing, Closed: telling.Closed, Alerts: slices.DeleteFunc(telling.Alerts, func(a v1alpha1.Alert) bool {
			return slices.ContainsFunc(m.outbox, func(b v1alpha1.Alert) bool { return sameAlert(a, b) })
		})})
	}
	in := Input{Started: true}
	for n := range steps {
		switch n {
		case 8, 30: // it crashes, and is mended, and once more
			m.crash(true)
		case 70: // its incident is closed by then: it crashes for good
			m.crash(false)
		}
		next, _ := l.step(in)
		in = Input{}
		if l.busy {
			in = l.take(<-l.results)
			m.pass(time.Second)
			continue
		}
		m.pass(min(next, 5*time.Minute))
	}
	m.flush()
	return false
}

// TestNoKillLosesAnEventOrAnAlert kills evenkeel at every single operation of an incident that is mended and one that is not, and
// starts it again. Each event of a state that is on disk is in the journal once, and each alert in the outbox.
func TestNoKillLosesAnEventOrAnAlert(t *testing.T) {
	points := map[string]int{}
	var kinds []string
	step := 1
	if testing.Short() {
		step = 9
	}
	for die := 1; ; die += step {
		dir := t.TempDir()
		m := &mortal{fakeJudge: fakeJudge{verdict: crashed}, local: true, now: at(0), die: die, reports: map[int64]string{}, closed: map[int64]bool{}}
		open := func() {
			var err error
			if m.store, err = state.NewStore(dir, "site", state.Options{FS: unsynced{state.OS()}, Settle: func() {}}); err != nil {
				t.Fatal(err)
			}
			if m.journal, err = state.NewJournal(dir, "site"); err != nil {
				t.Fatal(err)
			}
		}
		open()
		killed := m.run(120)
		if killed {
			open()
			m.pass(10 * time.Second)
			if m.run(3) {
				t.Fatal("killed twice")
			}
		}
		told, err := m.journal.Read(state.Query{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range m.events {
			n := 0
			for _, have := range told {
				if sameEvent(e, have) {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("killed %s (operation %d): %q is in the journal %d times", m.what, die, e.Message, n)
			}
		}
		for _, a := range m.alerts {
			n := 0
			for _, have := range m.outbox {
				if sameAlert(a, have) {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("killed %s (operation %d): alert %s is in the outbox %d times", m.what, die, a.Kind, n)
			}
		}
		for number, closed := range m.closed {
			if (m.reports[number] != "") != closed {
				t.Fatalf("killed %s (operation %d): incident %d is closed: %v, and its report says %q", m.what, die, number, closed, m.reports[number])
			}
		}
		if !killed {
			for _, a := range m.outbox {
				kinds = append(kinds, string(a.Kind))
			}
			t.Logf("%d events, %d alerts (%s) and %d incidents (the last of them open), killed at %d operations (%v): none is lost, none is doubled",
				len(m.events), len(m.alerts), strings.Join(kinds, ", "), len(m.closed), (die-1)/step, points)
			break
		}
		points[m.what]++
	}
	if !slices.Contains(kinds, "Failed") {
		t.Errorf("it did not come to the end: %v", kinds)
	}
}

// TestWhatIsToBeToldIsBounded, whatever a step has to tell.
func TestWhatIsToBeToldIsBounded(t *testing.T) {
	long := strings.Repeat("é", 100_000)
	var commands []Command
	for range 100 {
		commands = append(commands, Record{v1alpha1.Event{Message: long}}, Tell{v1alpha1.Alert{
			Message: long, Evidence: slices.Repeat([]string{long}, 100), Next: slices.Repeat([]string{long}, 100),
		}})
	}
	commands = append(commands, Tell{v1alpha1.Alert{Kind: v1alpha1.AlertFailed}})
	got := Telling(Waiting{Alerts: []v1alpha1.Alert{{Message: "old"}}}, commands, at(0))
	size := 0
	for _, e := range got.Events {
		size += len(e.Message)
	}
	for _, a := range got.Alerts {
		size += len(a.Message) + len(strings.Join(append(a.Evidence, a.Next...), ""))
	}
	if len(got.Events) != maxTold || len(got.Alerts) != maxUnkept || got.Alerts[maxUnkept-1].Kind != v1alpha1.AlertFailed || size > state.MaxSize/4 {
		t.Errorf("%d events, %d alerts, %d bytes", len(got.Events), len(got.Alerts), size)
	}
	if a := commands[1].(Tell).Alert; a.Message != long || a.Evidence[0] != long {
		t.Error("what is told is changed by what is written of it")
	}
	if Telling(Waiting{}, []Command{Observe{}, File{}}, at(0)) != nil {
		t.Error("there is nothing to tell")
	}
}
