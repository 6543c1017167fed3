//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

func init() {
	register(testCase{Name: "order-reset", Seconds: 8, Run: testOrderReset})
	register(testCase{Name: "order-stand-down", Seconds: 18, Run: testOrderStandDown})
	register(testCase{Name: "order-recover", Seconds: 45, Run: testOrderRecover})
	register(testCase{Name: "order-rejected", Seconds: 8, Run: testOrderRejected})
}

// The ways in which an operator's order may get into the state file.
const (
	vim     = "vim"          // an editor that renames and writes anew
	sed     = "sed -i"       // a new file that takes the name
	rename  = "rename"       // the same, with a backup
	inPlace = "in place"     // truncated and written
	slowly  = "bit by bit"   // the same, with pauses in which half of it is there
	down    = "while down"   // edited while evenkeel does not run
	stale   = "stale"        // from an editor that was opened before the last transition
	command = "command line" // evenkeel reset, evenkeel recover
)

// orderLimit is within which time an order is obeyed.
const orderLimit = 2 * time.Second

var phaseLine = regexp.MustCompile(`(?m)^phase: .*$`)

// withPhase is a state file's text with another phase in its line.
func withPhase(text string, phase v1alpha1.Phase) string {
	return phaseLine.ReplaceAllString(text, "phase: "+string(phase))
}

// save gives an order in one of the ways, and waits until it is obeyed; it gives how long that took from the save on.
// opened is what a stale editor holds.
func (s *supervisor) save(way string, phase v1alpha1.Phase, opened string) time.Duration {
	s.Helper()
	file := s.stateFile()
	inside := func(args ...string) {
		s.Helper()
		if out, errs, code := s.as("deploy", args...); code != 0 {
			s.Fatalf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
	before := len(s.journal())
	since := func(reason string) []v1alpha1.Event { return ofReason(s.journal()[before:], reason) }
	at := time.Now()
	switch way {
	case vim:
		inside("vim", "-N", "-u", "NONE", "-i", "NONE", "-es", "-c", "%s/^phase: .*/phase: "+string(phase)+"/", "-c", "wq", file)
	case sed:
		inside("sed", "-i", "s/^phase: .*/phase: "+string(phase)+"/", file)
	case rename:
		text := s.read(file)
		if err := os.Rename(file, file+"~"); err != nil {
			s.Fatal(err)
		}
		at = time.Now()
		s.write(file, withPhase(text, phase), 0o600)
	case inPlace:
		text := withPhase(s.read(file), phase)
		at = time.Now()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			s.Fatal(err)
		}
	case slowly:
		text := withPhase(s.read(file), phase)
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			s.Fatal(err)
		}
		// Half of the phase line is there, then the line without its successor, then all.
		cut := strings.Index(text, "\nphase: ") + len("\nphase: He")
		for n, part := range []string{text[:cut], text[cut : cut+40], text[cut+40:]} {
			if n > 0 {
				time.Sleep(60 * time.Millisecond) // it is the writer who is slow
			}
			if _, err := f.WriteString(part); err != nil {
				s.Fatal(err)
			}
		}
		at = time.Now()
		if err := f.Close(); err != nil {
			s.Fatal(err)
		}
	case down:
		if code := s.term(); code != 0 {
			s.Fatalf("exit code %d after SIGTERM", code)
		}
		s.write(file, withPhase(s.read(file), phase), 0o600)
		at = time.Now()
		s.begin()
	case stale:
		s.write(file, withPhase(opened, phase), 0o600)
	case command:
		verb := map[v1alpha1.Phase]string{v1alpha1.PhaseHealthy: "reset", v1alpha1.PhaseRecovering: "recover"}[phase]
		out, errs, code := s.cli(verb)
		s.Logf("$ evenkeel %s   (exit %d)\n%s%s", verb, code, out, errs)
		if code != 0 {
			s.Errorf("evenkeel %s: exit code %d", verb, code)
		}
	default:
		s.Fatalf("no such way: %s", way)
	}
	var done v1alpha1.Event
	s.eventually(30*time.Second, "order "+string(phase)+", saved "+way, func() (string, bool) {
		changes := since(v1alpha1.ReasonPhaseChanged)
		n := slices.IndexFunc(changes, func(e v1alpha1.Event) bool { return e.Phase == phase })
		if n >= 0 {
			done = changes[n]
		}
		return s.summary(), n >= 0
	})
	took := max(done.Time.Sub(at), 0)
	if took > orderLimit {
		s.Errorf("phase: %s, saved %s, was obeyed after %s, want %s", phase, way, took, orderLimit)
	}
	if taken := since(v1alpha1.ReasonOrderTaken); len(taken) != 1 {
		s.Errorf("phase: %s, saved %s, was taken %d times", phase, way, len(taken))
	}
	return took
}

// mustBeReset looks that the budget is full: no incident, no cooldown, and the file says so too. next is the number that
// the next incident will bear; 0 where that does not matter.
func (s *supervisor) mustBeReset(next int64) {
	s.Helper()
	s.eventually(5*time.Second, "Healthy, no incident, and the file written anew", func() (string, bool) {
		st := s.state()
		file, err := os.ReadFile(s.stateFile())
		return fmt.Sprintf("%+v", st.AppStatus), err == nil && st.Phase == v1alpha1.PhaseHealthy && st.Incident == nil &&
			st.Cooldown == nil && st.CooldownUntil == nil && !st.StoodDown && (next == 0 || st.LastIncident == next-1) &&
			strings.Contains(string(file), "\nphase: Healthy\nobservedPhase: Healthy\n")
	})
}

// failedState prepares, with evenkeel down, a state in which three attempts have failed.
func (s *supervisor) failedState(incident int64) {
	s.Helper()
	st := s.state()
	now := s.pass().At
	st.Phase, st.ObservedPhase = v1alpha1.PhaseFailed, v1alpha1.PhaseFailed
	st.Message, st.LastIncident = "3 of 3 attempts are spent, and still: prepared by a test", incident
	st.Incident = &v1alpha1.Incident{Number: incident, StartedAt: now, Blame: v1alpha1.BlameApp, Reason: "NoAnswer", Spent: 3}
	for n := range int32(3) {
		st.Incident.Attempts = append(st.Incident.Attempts, v1alpha1.Attempt{Number: n + 1, StartedAt: now, Outcome: v1alpha1.AttemptFailed, Reason: "NoAnswer"})
	}
	st.Cooldown = v1alpha1.NewWait(now, 5*time.Minute)
	store, err := state.NewStore(s.StateDir, s.App, state.Options{})
	if err != nil {
		s.Fatal(err)
	}
	store.Load()
	if err := store.Write(st.AppStatus, st.Generation); err != nil {
		s.Fatal(err)
	}
	for _, name := range []string{".yaml", ".previous.yaml"} {
		if path := filepath.Join(s.StateDir, s.App+name); exists(path) {
			s.own(path)
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// testOrderReset leads out of Failed in every way.
func testOrderReset(w *world) {
	s := w.supervise(w.quick(time.Minute))
	site := w.mustSite()
	incident := int64(6)
	var said []string
	for _, way := range []string{vim, sed, rename, inPlace, slowly, stale, command, down} {
		incident++
		opened := s.read(s.stateFile()) // an editor opened while all was well
		if code := s.term(); code != 0 {
			w.Fatalf("exit code %d after SIGTERM", code)
		}
		s.failedState(incident)
		s.mustRestart(10 * time.Second)
		s.waitPasses(1, 10*time.Second)
		w.eventually(5*time.Second, "Failed, with three attempts spent, in evenkeel's own hand", func() (string, bool) {
			st := s.state()
			text, _ := os.ReadFile(s.stateFile())
			return s.summary(), st.Phase == v1alpha1.PhaseFailed && st.Incident != nil && st.Incident.Spent == 3 && strings.HasPrefix(string(text), "#")
		})
		if way == stale { // it was opened in the middle of the incident
			opened = strings.Replace(opened, "observedPhase: Healthy", "observedPhase: Cooldown", 1)
		}
		took := s.save(way, v1alpha1.PhaseHealthy, opened)
		s.mustBeReset(incident + 1)
		said = append(said, fmt.Sprintf("%s %.2f s", way, took.Seconds()))
	}
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s", site, now)
	}
	w.measure.add("reset: %s", strings.Join(said, ", "))
}

// testOrderStandDown stands evenkeel down in every way, and looks that it then does nothing.
func testOrderStandDown(w *world) {
	d := w.quick(time.Minute)
	in := w.inbox(d)
	s := w.supervise(d)
	site := w.mustSite()
	var said []string
	for _, way := range []string{vim, sed, rename, inPlace, slowly, stale, down} {
		opened := strings.Replace(s.read(s.stateFile()), "observedPhase: Healthy", "observedPhase: Degraded", 1)
		took := s.save(way, v1alpha1.PhaseFailed, opened)
		said = append(said, fmt.Sprintf("%s %.2f s", way, took.Seconds()))
		s.eventually(10*time.Second, "it says that it was stood down", func() (string, bool) {
			st := s.state()
			return s.summary(), st.StoodDown && st.Blocked != nil && st.Blocked.Reason == "StoodDown"
		})
		if way == down { // and it does nothing, even where something is wrong
			w.hang()
			at := time.Now()
			w.eventually(30*time.Second, "it sees that the site hangs", func() (string, bool) {
				return s.summary(), s.state().Verdict != nil && s.state().Verdict.Blame == v1alpha1.BlameApp
			})
			s.waitPasses(5, time.Minute)
			if did := s.events(at, v1alpha1.ReasonRecoveryStarted, v1alpha1.ReasonPhaseChanged); len(did) > 0 {
				w.Errorf("stood down, and yet: %v", did)
			}
			w.resume(site)
			s.eventually(10*time.Second, "the site is well again", func() (string, bool) { return s.summary(), s.pass().Holds() })
		}
		s.save(sed, v1alpha1.PhaseHealthy, "")
		s.mustBeReset(0)
	}
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s", site, now)
	}
	w.measure.add("stand down: %s; alerts %v", strings.Join(said, ", "), words(in.byProgram()))
}

// testOrderRecover orders recoveries; they spend nothing.
func testOrderRecover(w *world) {
	s := w.supervise(w.quick(time.Minute))
	var said []string
	for _, way := range []string{command, vim, sed, rename, inPlace, slowly, stale, down} {
		site, mark, at := w.mustSite(), w.pm2Mark(), time.Now()
		opened := strings.Replace(s.read(s.stateFile()), "\nobservedPhase: "+string(s.state().Phase), "\nobservedPhase: Failed", 1)
		took := s.save(way, v1alpha1.PhaseRecovering, opened)
		said = append(said, fmt.Sprintf("%s %.2f s", way, took.Seconds()))
		end := s.waitEvent(45*time.Second, at, "the recovery ends", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
		if end.Outcome != "Verified" {
			w.Errorf("%s: %s", way, end.Message)
		}
		now := s.waitSettled(10 * time.Second)
		if now == site {
			w.Errorf("%s: the site is still %s", way, site)
		}
		if did := w.pm2Since(mark); did.Starts != 1 {
			w.Errorf("%s: %s, want one start", way, did)
		}
		st := s.state()
		if st.Recovery == nil || st.Recovery.Trigger != v1alpha1.TriggerOperator || st.Incident == nil || len(st.Incident.Attempts) != 0 || st.Incident.Spent != 0 {
			w.Errorf("%s: recovery %+v, incident %+v: an order spends nothing", way, st.Recovery, st.Incident)
		}
	}
	// Out of Failed it leads as well, and is no longer stood down after it.
	s.save(sed, v1alpha1.PhaseFailed, "")
	at := time.Now()
	took := s.save(inPlace, v1alpha1.PhaseRecovering, "")
	said = append(said, fmt.Sprintf("out of Failed %.2f s", took.Seconds()))
	s.waitPhase(45*time.Second, at, v1alpha1.PhaseCooldown)
	s.waitSettled(10 * time.Second)
	if st := s.state(); st.Phase == v1alpha1.PhaseFailed || st.StoodDown {
		w.Errorf("after a recovery out of Failed: phase %s, stood down: %t", st.Phase, st.StoodDown)
	}
	w.measure.add("recover: %s", strings.Join(said, ", "))
}

// testOrderRejected saves what cannot be obeyed, and what is no order at all.
func testOrderRejected(w *world) {
	s := w.supervise(w.quick(time.Minute))
	site := w.mustSite()
	rejected := filepath.Join(s.StateDir, s.App+".rejected.yaml")
	written := func(phase v1alpha1.Phase) {
		w.Helper()
		w.eventually(5*time.Second, "the file is evenkeel's own again", func() (string, bool) {
			text, err := os.ReadFile(s.stateFile())
			return string(text), err == nil && strings.Contains(string(text), fmt.Sprintf("\nphase: %s\nobservedPhase: %s\n", phase, phase))
		})
	}
	longest := time.Duration(0)
	for name, c := range map[string]struct{ old, new, says string }{
		"Degraded":      {"\nphase: Healthy", "\nphase: Degraded", "Degraded is not for an operator to order"},
		"Cooldown":      {"\nphase: Healthy", "\nphase: Cooldown", "Cooldown is not for an operator to order"},
		"no such phase": {"\nphase: Healthy", "\nphase: Fine", `"Fine" is no phase`},
		"no YAML":       {"\nphase: Healthy", "\nphase: [Healthy\n\t}", "line "},
		"twice":         {"\nphase: Healthy", "\nphase: Failed\nphase: Healthy", "stands twice"},
	} {
		text := strings.Replace(s.read(s.stateFile()), c.old, c.new, 1)
		at := time.Now()
		s.write(s.stateFile(), text, 0o600)
		e := s.waitEvent(10*time.Second, at, name+" is rejected", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonStateRejected })
		if !strings.Contains(e.Message, c.says) || !strings.Contains(e.Message, "line ") || !strings.Contains(e.Message, rejected) {
			w.Errorf("%s: the event says %q, want %q, the line and where it is kept", name, e.Message, c.says)
		}
		longest = max(longest, e.Time.Sub(at))
		if kept := w.read(rejected); kept != text {
			w.Errorf("%s: what is kept is not what was saved:\n%s", name, kept)
		}
		written(v1alpha1.PhaseHealthy)
	}

	// A stale save without an order: phase and observedPhase say the same, and it is simply written over.
	opened := s.read(s.stateFile())
	s.save(sed, v1alpha1.PhaseFailed, "")
	written(v1alpha1.PhaseFailed)
	at := time.Now()
	s.write(s.stateFile(), opened, 0o600)
	written(v1alpha1.PhaseFailed)
	s.waitPasses(2, 10*time.Second)
	if did := s.events(at, v1alpha1.ReasonOrderTaken, v1alpha1.ReasonOrderRefused, v1alpha1.ReasonStateRejected, v1alpha1.ReasonPhaseChanged); len(did) > 0 {
		w.Errorf("a stale save that orders nothing: %v", did)
	}

	// The file is removed: it is written again, and nothing is forgotten.
	if err := os.Remove(s.stateFile()); err != nil {
		w.Fatal(err)
	}
	written(v1alpha1.PhaseFailed)
	if !s.state().StoodDown {
		w.Error("the removal of the file has made evenkeel forget that it was stood down")
	}
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s", site, now)
	}
	names, _ := filepath.Glob(filepath.Join(s.StateDir, "*"))
	for n := range names {
		names[n] = filepath.Base(names[n])
	}
	slices.Sort(names)
	w.measure.add("rejected within %.2f s; a stale save and a removed file are written over; state folder: %v", longest.Seconds(), names)
}
