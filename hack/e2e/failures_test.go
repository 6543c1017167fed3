//go:build e2e

package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// The plans, as they must stand in the journal.
var (
	plainSteps = []string{"stop", "linger", "port", "memory", "start", "verify"}
	cleanSteps = []string{"stop", "linger", "port", "caches", "memory", "start", "verify"}
)

// noise is what a busy machine with two cores may add to a bound.
const noise = 6 * time.Second

// quick is how long an answer takes that is no timeout, on a busy machine.
const quick = time.Second

// looks is the longest time from an injection to the third failure in a row, each of which takes so long.
func looks(each time.Duration) time.Duration {
	return testInterval + 3*each + 2*testConfirm
}

// failure is one of the mission's failures.
type failure struct {
	name    string
	seconds int
	// row of the table, which says who is to blame and what follows. Default: that of its name.
	row string
	// setup changes the document, and may prepare the machine.
	setup func(w *world, d *desired)
	// inject breaks something; it gives the moment from which on it is broken.
	inject func(w *world) time.Time
	// begun is called when the recovery has begun; it takes the cause away where that lasts.
	begun func(w *world)
	// bound of detection and confirmation.
	bound time.Duration
	// steps that the recovery must have taken, plan after plan.
	steps [][]string
	// outcomes that single steps must have had.
	outcomes map[string]v1alpha1.StepOutcome
	// takes is how long the recovery may take; 30 s.
	takes time.Duration
	// after looks at what is left.
	after func(w *world, s *supervisor, since time.Time)
}

func init() {
	for _, f := range failures {
		register(testCase{Name: f.name, Seconds: f.seconds, Always: true, Run: f.run})
	}
}

var failures = []failure{
	{
		name: "crash-errored", seconds: 20,
		inject: func(w *world) time.Time { return w.unseen("crash-errored") },
		bound:  testInterval + 2*time.Second + quick, // gone for two seconds
		steps:  [][]string{plainSteps},
	},
	{
		name: "crash-loop", seconds: 22,
		inject: func(w *world) time.Time { return w.fault("crash-loop") },
		begun:  func(w *world) { w.clear("crash-loop") },
		bound:  testInterval + 5*3*time.Second, // five exits of lives of 1.2 s, with PM2's own time to start each
		steps:  [][]string{plainSteps},
	},
	{
		name: "hang", seconds: 60,
		inject: func(w *world) time.Time { return w.fault("hang") },
		bound:  looks(testTimeout), steps: [][]string{plainSteps},
		outcomes: map[string]v1alpha1.StepOutcome{"stop": v1alpha1.StepDone, "port": v1alpha1.StepDone},
	},
	{
		name: "stuck-in-a-loop", seconds: 60, row: "endless-loop",
		inject: func(w *world) time.Time { return w.fault("loop") },
		bound:  looks(testTimeout), steps: [][]string{plainSteps},
		outcomes: map[string]v1alpha1.StepOutcome{"stop": v1alpha1.StepDone, "port": v1alpha1.StepDone},
	},
	{
		name: "http-500", seconds: 18,
		inject: func(w *world) time.Time { return w.fault("http-500") },
		bound:  looks(quick), steps: [][]string{plainSteps},
	},
	{
		name: "memory-leak", seconds: 22,
		setup: func(w *world, d *desired) {
			w.smallMachine(700)
			d.Set("spec.checks.memory.minAvailable", "500Mi")
		},
		inject: func(w *world) time.Time { return w.fault("memory-leak", "400") },
		bound:  testInterval + 3*time.Second + testInterval + quick, // low for 3 s
		steps:  [][]string{plainSteps},
	},
	{
		name: "port-free", seconds: 18, row: "not-listening",
		inject: func(w *world) time.Time { return w.fault("port-free") },
		bound:  looks(quick), steps: [][]string{plainSteps},
	},
	{
		name: "port-orphan", seconds: 20, row: "orphan",
		inject: func(w *world) time.Time { return w.fault("port-orphan") },
		bound:  looks(quick), steps: [][]string{plainSteps},
		after: func(w *world, _ *supervisor, _ time.Time) {
			if p := pidIn(w.dirOf("run", "orphan")); procOf(p).PID != 0 {
				w.Errorf("the orphan %d still lives", p)
			}
		},
	},
	{
		name: "cache-corrupt", seconds: 20,
		inject: func(w *world) time.Time { return w.fault("cache-corrupt") },
		// Its log does not name the cache as an error's place; so a plain start is tried first, within the same attempt.
		bound: testInterval + 3*3*time.Second, // three lives
		steps: [][]string{plainSteps, cleanSteps}, outcomes: map[string]v1alpha1.StepOutcome{"caches": v1alpha1.StepDone},
		takes: 60 * time.Second,
		after: cachesAreNew,
	},
}

// cachesAreNew looks at what a clean recovery has left: caches that the new process made, and nothing put aside.
func cachesAreNew(w *world, s *supervisor, since time.Time) {
	if rec := s.state().Recovery; rec.Blame != v1alpha1.BlameCache || rec.Plan != "Clean" {
		w.Errorf("the recovery ended as %s with plan %s, want Cache and Clean", rec.Blame, rec.Plan)
	}
	for _, f := range []string{w.app(".next", "cache", "site-index.json"), w.app("node_modules", ".cache", "site", "index.json")} {
		var index any
		if err := json.Unmarshal([]byte(w.read(f)), &index); err != nil {
			w.Errorf("%s: %v", f, err)
		}
	}
	for _, folder := range []string{w.app(".next"), w.app("node_modules")} {
		w.eventually(10*time.Second, "nothing put aside is left in "+folder, func() (string, bool) {
			entries, err := os.ReadDir(folder)
			if err != nil {
				w.Fatal(err)
			}
			left := slices.IndexFunc(entries, func(e os.DirEntry) bool {
				return strings.Contains(e.Name(), "evenkeel") || strings.Contains(e.Name(), "trash")
			})
			if left < 0 {
				return "", true
			}
			return entries[left].Name(), false
		})
	}
	// each of its two starts for itself
	var begun time.Time
	for _, e := range s.events(since, v1alpha1.ReasonStepStarted, v1alpha1.ReasonStepFinished) {
		switch {
		case e.Step == "stop" && e.Reason == v1alpha1.ReasonStepStarted:
			begun = e.Time.Time
		case e.Step == "verify" && e.Reason == v1alpha1.ReasonStepFinished:
			took := e.Time.Time.Sub(begun)
			w.measure.add("start %.1f s", took.Seconds())
			if took > 30*time.Second {
				w.Errorf("one of the two starts took %s", took)
			}
		}
	}
}

func (s *stack) dirOf(parts ...string) string {
	return strings.Join(append([]string{s.dir}, parts...), "/")
}

// run is the life of one failure: healthy, broken, confirmed, mended, healthy.
func (f *failure) run(w *world) {
	old := w.mustSite()
	d := w.reference()
	if f.setup != nil {
		f.setup(w, d)
	}
	in := w.inbox(d)
	s := w.supervise(d)
	w.settled(s)

	p := s.proof(cmp.Or(f.row, f.name), in)
	t0 := f.inject(w)
	started := s.waitEvent(f.bound+2*noise, t0, "a recovery", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryStarted })
	if f.begun != nil {
		f.begun(w)
	}
	takes := max(f.takes, 30*time.Second)
	back := w.eventually(takes+noise, "200 through Nginx from a new process", func() (string, bool) {
		now, code := w.site(), w.public()
		return fmt.Sprintf("site %s, public %d; %s", now, code, s.summary()), code == http.StatusOK && now.PID != 0 && now != old
	})
	finished := s.waitEvent(takes+noise, started.Time.Time, "the recovery's end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })

	// for what, when it was seen, and when it was confirmed
	degraded := s.waitPhase(time.Second, t0, v1alpha1.PhaseDegraded)
	state := s.state()
	if state.Recovery == nil || state.Incident == nil {
		w.Fatalf("the state file holds no recovery or no incident:\n%s", w.read(s.stateFile()))
	}
	if want := reasons(p.row); !slices.Contains(want, state.Incident.Reason) {
		w.Errorf("reason %s, want one of %v", state.Incident.Reason, want)
	}
	seen := firstFailure(s, t0)
	w.measure.times(t0, seen, degraded.Time.Time, back)
	w.measure.add("recovery %.1f s", finished.Took.Seconds())
	if confirmed := degraded.Time.Time.Sub(t0); confirmed > f.bound+noise {
		w.Errorf("confirmed after %s; the intervals and timeouts allow %s and %s of noise", confirmed, f.bound, noise)
	}
	if finished.Took.Duration > takes {
		w.Errorf("the recovery took %s, more than %s", finished.Took.Duration, takes)
	}
	if finished.Outcome != "Verified" {
		w.Errorf("the recovery ended %s: %s", finished.Outcome, finished.Message)
	}
	f.checkSteps(w, s, started)

	// the new process stays, and the whole comes to rest
	site := w.mustSite()
	s.waitPhase(testCooldown+20*time.Second, finished.Time.Time, v1alpha1.PhaseHealthy)
	s.waitHealthy(20 * time.Second)
	if now := w.site(); now != site {
		w.Errorf("the site was %s after the recovery and is %s", site, now)
	}
	if row := w.pm2Row("bbyatch"); row.Env.Status != "online" || row.PID != site.PID {
		w.Errorf("PM2 shows %+v, want it online as %s", row, site)
	}
	if n := count(w.pm2List(), "bbyatch"); n != 1 {
		w.Errorf("PM2 lists the site %d times", n)
	}
	if code := w.public(); code != http.StatusOK {
		w.Errorf("public answers %d in the end", code)
	}
	p.judge()
	if f.after != nil {
		f.after(w, s, t0)
	}
}

// unseen injects a fault that takes a while, while nobody looks: else evenkeel would act half-way through it, at which
// time the cause is still there. It gives the moment from which on it looks again.
func (w *world) unseen(args ...string) time.Time {
	w.Helper()
	signal := func(sig syscall.Signal) {
		for _, s := range w.runs {
			if s.running() {
				_ = syscall.Kill(s.pid(), sig)
			}
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	w.fault(args...)
	return time.Now()
}

// settled waits until the site is old enough for a normal size to be known, and has been looked at a few times.
func (w *world) settled(s *supervisor) {
	w.Helper()
	w.eventually(30*time.Second, "a baseline", func() (string, bool) {
		l := s.state().Learned
		return s.summary(), l != nil && l.Baseline != nil && l.Baseline.Settled
	})
	s.waitPasses(1, 20*time.Second)
}

// firstFailure is when a required check was first seen to fail.
func firstFailure(s *supervisor, since time.Time) time.Time {
	var first time.Time
	for _, o := range s.trace.since(since.Add(-testTimeout)) {
		for _, r := range o.Results {
			if at := answeredAt(r); r.Required && r.Status == metav1.ConditionFalse && at.After(since) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
	}
	return first
}

func count(rows []pm2Row, name string) (n int) {
	for _, r := range rows {
		if r.Name == name {
			n++
		}
	}
	return n
}

// checkSteps holds the journal's steps against the plans: each begun and ended, in their order, with the times.
func (f *failure) checkSteps(w *world, s *supervisor, started v1alpha1.Event) {
	w.Helper()
	var begun, ended []string
	var outcomes = map[string]string{}
	var sum time.Duration
	last := started.Time.Time
	for _, e := range s.events(started.Time.Time, v1alpha1.ReasonStepStarted, v1alpha1.ReasonStepFinished) {
		if e.Recovery != started.Recovery || e.Time.Time.Before(last) {
			w.Errorf("event out of place: %+v", e)
		}
		last = e.Time.Time
		if e.Reason == v1alpha1.ReasonStepStarted {
			begun = append(begun, e.Step)
			continue
		}
		ended = append(ended, e.Step)
		outcomes[e.Step] = e.Outcome
		sum += e.Took.Duration
		w.note("%-7s %-9s %6.2f s  %s", e.Step, e.Outcome, e.Took.Seconds(), e.Message)
		if e.Outcome == string(v1alpha1.StepFailed) && !(len(f.steps) != 1 && e.Step == "verify") {
			w.Errorf("step %s failed: %s", e.Step, e.Message)
		}
	}
	if !slices.Equal(begun, ended) {
		w.Errorf("steps begun %v, ended %v", begun, ended)
	}
	var want []string
	for _, plan := range f.steps {
		want = append(want, plan...)
	}
	if len(want) > 0 && !slices.Equal(ended, want) {
		w.Errorf("steps %v, want %v", ended, want)
	}
	for step, outcome := range f.outcomes {
		if outcomes[step] != string(outcome) {
			w.Errorf("step %s was %s, want %s", step, outcomes[step], outcome)
		}
	}
	if sum == 0 {
		w.Error("the steps have no times")
	}
}

// smallMachine makes the stack a machine with so many MiB available now: what the site's process takes more than now is
// missing there, and comes back with it. What else happens on the real machine does not disturb it.
func (w *world) smallMachine(mib int) {
	w.Helper()
	w.fault("memory-low", strconv.Itoa(mib))
	base := residentKiB(w.mustSite().PID)
	path := w.live("etc", "meminfo")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(30 * time.Millisecond):
			}
			taken := 0
			if p := w.site(); p.PID != 0 {
				taken = max(residentKiB(p.PID)-base, 0)
			}
			setAvailable(path, max(mib*1024-taken, 1024))
		}
	}()
	w.Cleanup(func() { close(stop); <-done })
}

func residentKiB(pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize() / 1024
}

// setAvailable writes the number into its place of a false meminfo, so that no reader sees half a file.
func setAvailable(path string, kib int) {
	data, err := os.ReadFile(path)
	if err != nil {
		return
	}
	text := string(data)
	at := strings.Index(text, "MemAvailable:")
	if at < 0 {
		return
	}
	line, _, _ := strings.Cut(text[at:], "\n")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	number := fmt.Sprintf("%*d kB", len(line)-len("MemAvailable:")-len(" kB"), kib)
	_, _ = f.WriteAt([]byte(number), int64(at+len("MemAvailable:")))
}
