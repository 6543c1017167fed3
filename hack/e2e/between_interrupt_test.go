//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	for name, run := range map[string]func(*between){
		"pause": betweenPause, "stand-down": betweenStandDown, "sigterm": betweenSIGTERM, "spec": betweenSpec, "removal": betweenRemoval,
	} {
		register(testCase{Name: "between-" + name, Seconds: 38, Run: func(w *world) {
			var said []string
			for _, step := range []string{"linger", "start"} {
				b := stopped(w, step)
				run(b)
				b.after()
				said = append(said, fmt.Sprintf("at %s: the site ran %.1f s after it arrived", step, b.ran.Seconds()))
			}
			w.measure.add("%s", strings.Join(said, "; "))
		}})
	}
}

// between is a recovery that stands still, by the tracer's hand, after the site was stopped and before it is started
// again: while the state is being written that says that the named step comes next.
type between struct {
	*supervisor
	tracer *tracing
	doc    *desired
	step   string
	mark   int64
	broke  time.Time
	held   time.Time
	ran    time.Duration
}

// stopped begins such a recovery.
func stopped(w *world, step string) *between {
	w.Helper()
	b := &between{doc: w.quick(10 * time.Second), step: step, mark: w.pm2Mark()}
	b.supervisor = w.prepare("at-"+step, b.doc)
	b.begin()
	b.waitHealthy(30 * time.Second)
	b.tracer = attach(w.T, b.pid(), b.StateDir, tracerHold+`=(?m)^  step: `+step+`$`)
	b.broke = time.Now()
	site := w.hang()
	if line := b.tracer.line(w.T, time.Minute); !strings.HasPrefix(line, "held ") {
		w.Fatalf("the tracer says %q", line)
	}
	b.held = time.Now()
	if site.alive() || w.site().PID != 0 {
		w.Fatalf("the site was to be stopped by now: it was %s, and is %s", site, w.site())
	}
	return b
}

// release lets the recovery go on, and waits until the site runs and answers.
func (b *between) release() {
	b.Helper()
	b.tracer.release(b.T)
	b.ran = b.eventually(20*time.Second, "the site runs again", func() (string, bool) {
		return fmt.Sprintf("site %s answers %d; %s", b.site(), b.local(), b.summary()), b.site().PID != 0 && b.local() == 200
	}).Sub(b.held)
}

// after looks at what came of it: it did arrive between stop and start, and the site was started once.
func (b *between) after() {
	b.Helper()
	times := map[string]time.Time{}
	for _, e := range b.events(b.broke, v1alpha1.ReasonStepFinished) {
		if e.Outcome == "Done" {
			times[e.Step] = e.Time.Time
		}
	}
	stop, start := times["stop"], times["start"]
	if stop.IsZero() || stop.After(b.held) || start.Before(b.held) {
		b.Errorf("%s: it did not arrive between stop (%s) and start (%s), but at %s", b.step, stop, start, b.held)
	}
	if did := b.pm2Since(b.mark); did.Starts != 1 {
		b.Errorf("%s: %s, want one start", b.step, did)
	}
	if b.site().PID == 0 || b.local() != 200 {
		b.Errorf("%s: the site does not run", b.step)
	}
	if b.running() {
		if code := b.term(); code != 0 {
			b.Errorf("exit code %d after SIGTERM", code)
		}
	}
	if b.site().PID == 0 || b.local() != 200 {
		b.Errorf("%s: the site does not run after evenkeel's end", b.step)
	}
	b.tracer.end()
}

// startDone is when the step start ended.
func (b *between) startDone() time.Time {
	b.Helper()
	return b.waitEvent(20*time.Second, b.held, "the step start ends", func(e v1alpha1.Event) bool {
		return e.Reason == v1alpha1.ReasonStepFinished && e.Step == "start"
	}).Time.Time
}

// mustBeRead waits until evenkeel has read the desired file that was saved.
func (b *between) mustBeRead(text string) {
	b.Helper()
	b.eventually(10*time.Second, "the desired file that was saved is read", func() (string, bool) {
		data, _ := os.ReadFile(filepath.Join(b.StateDir, b.App+".desired.yaml"))
		return string(data), strings.HasSuffix(string(data), text)
	})
}

func betweenPause(b *between) {
	text := pausedText(b.doc, true)
	b.write(b.File, text, 0o644)
	b.mustBeRead(text)
	b.release()
	e := b.waitEvent(20*time.Second, b.held, "the pause is in force", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonPaused })
	if done := b.startDone(); e.Time.Time.Before(done) {
		b.Errorf("the pause was in force at %s, before the start was done at %s", e.Time, done)
	}
	b.mustTake(b.held, v1alpha1.ConditionPaused, metav1.ConditionTrue)
	b.waitSettled(30 * time.Second)
}

func betweenStandDown(b *between) {
	// The thread that writes the state file stands still in front of the exchange: this save comes at the last moment.
	if _, errs, code := b.as("deploy", "sed", "-i", "s/^phase: .*/phase: Failed/", b.stateFile()); code != 0 {
		b.Fatal(errs)
	}
	b.release()
	e := b.waitPhase(20*time.Second, b.held, v1alpha1.PhaseFailed)
	if done := b.startDone(); e.Time.Time.Before(done) {
		b.Errorf("Failed at %s, before the start was done at %s", e.Time, done)
	}
	b.eventually(10*time.Second, "Failed, and stood down", func() (string, bool) {
		st := b.state()
		return b.summary(), st.Phase == v1alpha1.PhaseFailed && st.StoodDown && !st.Recovery.Open()
	})
	if n := len(b.events(b.broke, v1alpha1.ReasonOrderTaken)); n != 1 {
		b.Errorf("the order was taken %d times", n)
	}
}

func betweenSIGTERM(b *between) {
	pid := b.pid()
	at := time.Now()
	b.expect = true
	for range 2 { // somebody is impatient
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			b.Fatal(err)
		}
	}
	b.release()
	if code := b.wait(15 * time.Second); code != 0 {
		b.Errorf("exit code %d after SIGTERM", code)
	}
	if took := time.Since(at); took > 10*time.Second {
		b.Errorf("SIGTERM between stop and start took %s", took)
	}
	b.note("%s: exit 0 %.1f s after SIGTERM", b.step, time.Since(at).Seconds())
	if b.site().PID == 0 {
		b.Error("the site does not run after SIGTERM")
	}
	// What was left open is closed by the next run, and counts once.
	started := b.state().Recovery.StartedAt
	b.mustRestart(10 * time.Second)
	b.waitHealthy(40 * time.Second)
	st := b.state()
	if i := st.Incident; i == nil || len(i.Attempts) != 1 || i.Attempts[0].StartedAt != started || st.Recovery.Open() {
		b.Errorf("after the restart: incident %+v, recovery %+v", i, st.Recovery)
	}
}

func betweenSpec(b *between) {
	text := strings.Replace(b.doc.Text(), "interval: 1s", "interval: 700ms", 1)
	if text == b.doc.Text() {
		b.Fatal("nothing was changed")
	}
	b.write(b.File, text, 0o644)
	b.mustBeRead(text)
	b.release()
	e := b.waitEvent(20*time.Second, b.held, "the new spec is in force", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonSpecAccepted })
	if done := b.startDone(); e.Time.Time.Before(done) {
		b.Errorf("the spec was in force at %s, before the start was done at %s", e.Time, done)
	}
	b.waitSettled(30 * time.Second)
	if st := b.state(); st.ObservedGeneration != 2 || !meta.IsStatusConditionTrue(st.Conditions, v1alpha1.ConditionSpecAccepted) {
		b.Errorf("generation %d is in force, want 2: %+v", st.ObservedGeneration, st.Conditions)
	}
}

func betweenRemoval(b *between) {
	text := b.read(b.File)
	if err := os.Remove(b.File); err != nil {
		b.Fatal(err)
	}
	b.eventually(20*time.Second, "the removal is taken for one", func() (string, bool) {
		log := b.read(filepath.Join(b.StateDir, "monitor.log"))
		return "", strings.Contains(log, "removed from the desired state")
	})
	b.release()
	e := b.waitEvent(20*time.Second, b.held, "supervision ends", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonStopped })
	if done := b.startDone(); e.Time.Time.Before(done) {
		b.Errorf("supervision ended at %s, before the start was done at %s", e.Time, done)
	}
	// The file is put back: supervision begins again, and what was left open is closed.
	at := time.Now()
	b.write(b.File, text, 0o644)
	b.waitEvent(10*time.Second, at, "supervision begins again", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonStarted })
	b.waitHealthy(40 * time.Second)
	if i := b.state().Incident; i == nil || len(i.Attempts) != 1 {
		b.Errorf("after all: incident %+v", i)
	}
}
