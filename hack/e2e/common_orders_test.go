//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// quick is the reference document with times so short that a failure is confirmed within a second or so.
func (w *world) quick(cooldown time.Duration) *desired {
	return w.reference().
		Set("spec.interval", "1s").
		Set("spec.checks.local.timeout", "1s").
		Set("spec.checks.public.timeout", "2s").
		Set("spec.recovery.cooldown", cooldown.String())
}

// phasesOf are the phases that were entered, in order.
func phasesOf(events []v1alpha1.Event) (list []v1alpha1.Phase) {
	for _, e := range events {
		if e.Reason == v1alpha1.ReasonPhaseChanged {
			list = append(list, e.Phase)
		}
	}
	return list
}

// ofReason are the events with one reason.
func ofReason(events []v1alpha1.Event, reason string) (list []v1alpha1.Event) {
	for _, e := range events {
		if e.Reason == reason {
			list = append(list, e)
		}
	}
	return list
}

// pm2Did is what PM2's own log says was done with the site since a mark of pm2Mark.
type pm2Did struct {
	Stops  int // somebody asked for a stop
	Starts int // a process was started, by order or by PM2 itself
	Exits  int
}

func (d pm2Did) String() string {
	return fmt.Sprintf("%d stops, %d starts, %d exits", d.Stops, d.Starts, d.Exits)
}

// pm2Mark is the present end of PM2's own log.
func (w *world) pm2Mark() int64 {
	w.Helper()
	info, err := os.Stat(w.home(".pm2", "pm2.log"))
	if err != nil {
		w.Fatal(err)
	}
	return info.Size()
}

func (w *world) pm2Since(mark int64) (d pm2Did) {
	w.Helper()
	text := w.read(w.home(".pm2", "pm2.log"))
	if int64(len(text)) < mark {
		w.Fatalf("PM2's log is shorter (%d bytes) than before (%d)", len(text), mark)
	}
	for line := range strings.Lines(text[mark:]) {
		switch {
		case strings.Contains(line, "Stopping app:bbyatch id:"):
			d.Stops++
		case strings.Contains(line, "App [bbyatch:") && strings.Contains(line, "starting in"):
			d.Starts++
		case strings.Contains(line, "App [bbyatch:") && strings.Contains(line, "exited with code"):
			d.Exits++
		}
	}
	return d
}

// hang stops the site's process by SIGSTOP, at once, and gives it.
func (w *world) hang() proc {
	w.Helper()
	p := w.mustSite()
	if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
		w.Fatal(err)
	}
	return p
}

// waitSettled waits until no recovery is under way any more and the site runs and answers.
func (s *supervisor) waitSettled(limit time.Duration) proc {
	s.Helper()
	s.eventually(limit, "the site runs and answers, and no recovery is under way", func() (string, bool) {
		return fmt.Sprintf("site %s answers %d; %s", s.site(), s.local(), s.summary()),
			s.site().PID != 0 && s.local() == 200 && !s.state().Recovery.Open() && s.state().Phase != v1alpha1.PhaseRecovering
	})
	return s.mustSite()
}

// mustRestart begins evenkeel anew after it has ended.
func (s *supervisor) mustRestart(limit time.Duration) time.Time {
	s.Helper()
	at := time.Now()
	s.begin()
	s.waitEvent(limit, at, "supervision begins", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonStarted })
	return at
}

// sameKinds tells whether alerts are of these kinds, in this order.
func sameKinds(list []v1alpha1.Alert, kinds ...v1alpha1.AlertKind) bool {
	return slices.EqualFunc(list, kinds, func(a v1alpha1.Alert, k v1alpha1.AlertKind) bool { return a.Kind == k })
}

// resume lets a process go on that was stopped by SIGSTOP.
func (w *world) resume(p proc) {
	w.Helper()
	if !p.alive() {
		w.Fatalf("process %s has ended", p)
	}
	if err := syscall.Kill(p.PID, syscall.SIGCONT); err != nil {
		w.Fatal(err)
	}
}
