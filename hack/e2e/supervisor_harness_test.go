//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// supervisor is `evenkeel run` as the site's ordinary user. Its files outlive it: begin starts it anew on them.
type supervisor struct {
	*world
	App      string
	File     string // the desired file
	StateDir string
	Log      string // what it wrote on standard output and error
	// User is who runs it, and its other commands: deploy, or root.
	User string
	// Wrap stands before the program (strace and the like); Args behind `run -f … --state-dir …`.
	Wrap, Args []string
	// Terminal, if set, is the terminal that it is started on, in a session of its own, instead of the log.
	Terminal *os.File
	// Elsewhere, if set, finds the process where somebody else (PM2) has started it; begin is not used then.
	Elsewhere func() proc

	cmd    *exec.Cmd
	ended  chan struct{}
	code   int
	expect bool // its end was ordered
	trace  *passTrace
}

// prepare writes the desired file and makes a state folder, and starts nothing.
func (w *world) prepare(name string, d *desired) *supervisor {
	w.Helper()
	s := &supervisor{world: w, App: "bbyatch", User: "deploy", StateDir: filepath.Join(w.dir, name+"-state"),
		File: filepath.Join(w.dir, name+".yaml"), Log: filepath.Join(w.dir, name+".log")}
	if err := os.MkdirAll(s.StateDir, 0o700); err != nil {
		w.Fatal(err)
	}
	w.own(s.StateDir)
	w.write(s.File, d.Text(), 0o644)
	w.runs = append(w.runs, s)
	return s
}

// supervise starts evenkeel on a document, and waits until it is Healthy with a finished pass.
func (w *world) supervise(d *desired) *supervisor {
	w.Helper()
	s := w.prepare("evenkeel", d)
	s.begin()
	s.waitHealthy(30 * time.Second)
	return s
}

// begin starts the process.
func (s *supervisor) begin() {
	s.Helper()
	args := append([]string{"exec", "-u", s.User, "--"}, s.Wrap...)
	args = append(args, s.binary, "run", "-f", s.File, "--state-dir", s.StateDir)
	s.cmd = s.command(append(args, s.Args...)...)
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if tty := s.Terminal; tty != nil {
		s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.ended, s.expect = make(chan struct{}), false
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		s.code = cmd.ProcessState.ExitCode()
		close(ended)
	}(s.cmd, s.ended)
	s.record()
}

// record begins to remember the passes.
func (s *supervisor) record() {
	if s.trace == nil {
		s.trace = newPassTrace(s.StateDir, s.App)
	}
}

// pid is evenkeel's own, below whatever wraps it; 0 while there is none.
func (s *supervisor) pid() int {
	if s.Elsewhere != nil {
		return s.Elsewhere().PID
	}
	for _, p := range descendants(s.cmd.Process.Pid) {
		if exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", p)); exe == s.binary {
			return p
		}
	}
	return 0
}

func (s *supervisor) running() bool {
	if s.Elsewhere != nil {
		return s.Elsewhere().PID != 0
	}
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// wait waits for its end, and gives the exit code (-1 for a signal).
func (s *supervisor) wait(limit time.Duration) int {
	s.Helper()
	s.expect = true
	select {
	case <-s.ended:
		return s.code
	case <-time.After(limit):
		s.Fatalf("evenkeel did not end within %s", limit)
		return -1
	}
}

// term sends SIGTERM and waits no longer than a recovery may take; it gives the exit code.
func (s *supervisor) term() int {
	s.Helper()
	s.expect = true
	if p := s.pid(); p != 0 {
		_ = syscall.Kill(p, syscall.SIGTERM)
	}
	return s.wait(90 * time.Second)
}

// kill ends it with SIGKILL, and whatever wraps it.
func (s *supervisor) kill() {
	s.Helper()
	s.expect = true
	for _, p := range slices.Backward(append([]int{s.cmd.Process.Pid}, s.pid())) {
		if p != 0 {
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
	}
	s.wait(10 * time.Second)
}

// end is what a test's end does: SIGTERM gives exit code 0, and an end that nobody ordered is a failure.
func (s *supervisor) end() {
	defer s.trace.stop()
	if s.cmd == nil {
		return
	}
	if !s.running() {
		if !s.expect {
			s.Errorf("evenkeel ended by itself with exit code %d", s.code)
		}
	} else if code := s.term(); code != 0 {
		s.Errorf("evenkeel ended with exit code %d after SIGTERM", code)
	}
}

// cli runs another command of evenkeel's as its user: stdout, stderr, exit code.
func (s *supervisor) cli(args ...string) (string, string, int) {
	s.Helper()
	return s.as(s.User, append([]string{s.binary, "--state-dir", s.StateDir}, args...)...)
}

// get is the App as `evenkeel status -o json` shows it.
func (s *supervisor) get() v1alpha1.App {
	s.Helper()
	out, errs, _ := s.cli("status", "-o", "json")
	var list v1alpha1.AppList
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.Fatalf("evenkeel status -o json: %v\n%s%s", err, out, errs)
	}
	for _, app := range list.Items {
		if app.Name == s.App {
			return app
		}
	}
	return v1alpha1.App{}
}

// stateFile is where the phase stands that an operator may edit.
func (s *supervisor) stateFile() string { return filepath.Join(s.StateDir, s.App+".yaml") }

// state is what the state file holds; empty while there is none.
func (s *supervisor) state() v1alpha1.AppState {
	st, err := state.ReadState(s.StateDir, s.App)
	if err != nil || st == nil {
		return v1alpha1.AppState{}
	}
	return *st
}

// pass is the last finished pass; nil while there is none.
func (s *supervisor) pass() *v1alpha1.Observation {
	o, err := state.ReadLastPass(s.StateDir, s.App)
	if err != nil {
		return nil
	}
	return o
}

// journal is all that was recorded, oldest first.
func (s *supervisor) journal() []v1alpha1.Event {
	j, err := state.NewJournal(s.StateDir, s.App)
	if err != nil {
		return nil
	}
	events, _ := j.Read(state.Query{})
	return events
}

// events are those of the journal since a moment, with one of the reasons (any where none is named).
func (s *supervisor) events(since time.Time, reasons ...string) (list []v1alpha1.Event) {
	for _, e := range s.journal() {
		if !e.Time.Time.Before(since) && (len(reasons) == 0 || slices.Contains(reasons, e.Reason)) {
			list = append(list, e)
		}
	}
	return list
}

// waitEvent waits for the first event since a moment that fits.
func (s *supervisor) waitEvent(limit time.Duration, since time.Time, what string, fits func(e v1alpha1.Event) bool) (found v1alpha1.Event) {
	s.Helper()
	s.eventually(limit, what, func() (string, bool) {
		list := s.events(since)
		for _, e := range list {
			if fits(e) {
				found = e
				return "", true
			}
		}
		return s.summary(), false
	})
	return found
}

// waitPhase waits for the change into a phase since a moment, and gives its event.
func (s *supervisor) waitPhase(limit time.Duration, since time.Time, phase v1alpha1.Phase) v1alpha1.Event {
	s.Helper()
	return s.waitEvent(limit, since, "phase "+string(phase), func(e v1alpha1.Event) bool {
		return e.Reason == v1alpha1.ReasonPhaseChanged && e.Phase == phase
	})
}

// waitHealthy waits until the phase is Healthy and the last pass holds.
func (s *supervisor) waitHealthy(limit time.Duration) time.Time {
	s.Helper()
	return s.eventually(limit, "Healthy, with everything holding", func() (string, bool) {
		if !s.running() {
			s.Fatalf("evenkeel has ended with exit code %d", s.code)
		}
		return s.summary(), s.state().Phase == v1alpha1.PhaseHealthy && s.pass().Holds()
	})
}

// waitPasses waits until so many more passes are finished.
func (s *supervisor) waitPasses(n int, limit time.Duration) {
	s.Helper()
	have := len(s.trace.all())
	s.eventually(limit, fmt.Sprintf("%d more passes", n), func() (string, bool) {
		more := len(s.trace.all()) - have
		return fmt.Sprintf("%d more", more), more >= n
	})
}

// summary says in a line how it stands.
func (s *supervisor) summary() string {
	st := s.state()
	text := "phase " + string(st.Phase)
	if v := st.Verdict; v != nil {
		text += fmt.Sprintf(", verdict %s (%s, %s): %s", v.Rule, v.Blame, v.Remedy, v.Message)
	}
	if o := s.pass(); o != nil {
		for _, r := range o.Results {
			if r.Status != metav1.ConditionTrue {
				text += fmt.Sprintf("; %s %s %s", r.Check, r.Status, r.Message)
			}
		}
	}
	return text
}

// passTrace remembers every pass that was finished. It looks at the file of the last pass, so that it is independent of the
// log and the journal.
type passTrace struct {
	mu     sync.Mutex
	passes []v1alpha1.Observation
	rules  []metRule
	end    context.CancelFunc
	done   chan struct{}
}

// metRule is a rule that gave the verdict at a moment.
type metRule struct {
	at   time.Time
	name string
}

func newPassTrace(dir, app string) *passTrace {
	ctx, cancel := context.WithCancel(context.Background())
	tr := &passTrace{end: cancel, done: make(chan struct{})}
	path := filepath.Join(dir, app+".pass.json")
	go func() {
		defer close(tr.done)
		ticker := time.NewTicker(15 * time.Millisecond)
		defer ticker.Stop()
		var last, lastState os.FileInfo
		changed := func(path string, last *os.FileInfo) bool {
			info, err := os.Stat(path)
			if err != nil || *last != nil && os.SameFile(info, *last) && info.ModTime().Equal((*last).ModTime()) {
				return false
			}
			*last = info
			return true
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if changed(path, &last) {
				if o, err := state.ReadLastPass(dir, app); err == nil && o != nil {
					tr.add(*o)
				}
			}
			if changed(filepath.Join(dir, app+".yaml"), &lastState) {
				if st, err := state.ReadState(dir, app); err == nil && st != nil && st.Verdict != nil {
					tr.met(st.Verdict.Rule)
				}
			}
		}
	}()
	return tr
}

func (tr *passTrace) add(o v1alpha1.Observation) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if n := len(tr.passes); n > 0 && tr.passes[n-1].At == o.At {
		return
	}
	tr.passes = append(tr.passes, o)
}

func (tr *passTrace) met(rule string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.rules = append(tr.rules, metRule{time.Now(), rule})
}

func (tr *passTrace) all() []v1alpha1.Observation {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.passes)
}

// since are the passes that began after a moment.
func (tr *passTrace) since(t time.Time) []v1alpha1.Observation {
	return slices.DeleteFunc(tr.all(), func(o v1alpha1.Observation) bool { return o.At.Wall.Time.Before(t) })
}

func (tr *passTrace) stop() {
	if tr != nil {
		tr.end()
		<-tr.done
	}
}

// end of a result: when the check was answered.
func answeredAt(r v1alpha1.CheckResult) time.Time { return r.At.Wall.Time.Add(r.Took.Duration) }
