//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "down-while-disk-is-full", Seconds: 60, Run: testDownWhileDiskIsFull})
	register(testCase{Name: "state-cannot-be-written", Seconds: 80, Run: testStateCannotBeWritten})
}

// testDownWhileDiskIsFull: what is not running is started, though nothing more can be written where it lies.
func testDownWhileDiskIsFull(w *world) {
	w.fault("disk-small", "app")
	d := w.reference()
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof("down-and-disk-full", in)
	t0 := w.unseenAll("disk-full", "crash-errored")
	back := w.waitPublic(40 * time.Second)
	finished := s.waitEvent(40*time.Second, t0, "the recovery's end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
	if finished.Outcome != "Verified" {
		w.Errorf("the recovery ended %s: %s", finished.Outcome, finished.Message)
	}
	// what is left is the disk's
	s.eventually(testCooldown+30*time.Second, "held for the disk", func() (string, bool) {
		st := s.state()
		return s.summary(), st.Phase == v1alpha1.PhaseDegraded && st.Verdict != nil && st.Verdict.Rule == "disk-short"
	})
	site := w.mustSite()
	s.waitPasses(4, 30*time.Second)
	w.clear("disk-full")
	s.waitHealthy(30 * time.Second)
	if now := w.site(); now != site || w.public() != http.StatusOK {
		w.Errorf("the site was %s and is %s", site, now)
	}
	p.judge()
	if i := s.state().Incident; i != nil && i.Spent != 0 {
		w.Errorf("the disk has spent an attempt: %+v", i)
	}
	w.measure.times(t0, firstFailure(s, t0), s.waitPhase(time.Second, t0, v1alpha1.PhaseDegraded).Time.Time, back)
	w.measure.add("alerts %q", words(in.byProgram()))
}

// testStateCannotBeWritten: nothing more can be written where evenkeel's own state lies. It tells so, goes on in its memory, and
// heals all the same; when there is room again, what it knows is on disk.
func testStateCannotBeWritten(w *world) {
	w.fault("disk-small", "state")
	w.Cleanup(func() { w.clear("disk-small") })
	d := w.reference()
	in := w.inbox(d)
	s := w.prepare("evenkeel", d)
	s.StateDir = filepath.Join(w.dirOf("e2e", "small"), "state")
	if err := os.Mkdir(s.StateDir, 0o700); err != nil {
		w.Fatal(err)
	}
	w.own(s.StateDir)
	s.begin()
	s.waitHealthy(30 * time.Second)
	old := w.mustSite()
	p := s.proof("state-cannot-be-written", in)
	w.fault("disk-full")
	w.eventually(30*time.Second, "an alert because of the disk", func() (string, bool) {
		list := in.byProgram()
		return fmt.Sprintf("%q", words(list)), slices.ContainsFunc(list, func(a v1alpha1.Alert) bool { return a.Blame == v1alpha1.BlameDisk })
	})
	p.over()

	p = s.proof("hangs-while-state-cannot-be-written", in)
	w.hang()
	back := w.eventually(looks(testTimeout)+40*time.Second, "200 through Nginx from a new process", func() (string, bool) {
		now, code := w.site(), w.public()
		return fmt.Sprintf("site %s, public %d", now, code), code == http.StatusOK && now.PID != 0 && now != old
	})
	site := w.mustSite()
	t1 := time.Now()
	w.clear("disk-full")
	w.eventually(testCooldown+40*time.Second, "the state is written again, and the recovery stands in it", func() (string, bool) {
		st := s.state()
		return string(st.Phase), st.Recovery != nil && st.Phase == v1alpha1.PhaseHealthy
	})
	s.waitHealthy(testCooldown + 40*time.Second)
	if now := w.site(); now != site {
		w.Errorf("the site was %s after the recovery and is %s", site, now)
	}
	p.judge()
	w.measure.add("healed while nothing could be written, 200 again %.1f s before there was room; alerts %q", t1.Sub(back).Seconds(), words(in.byProgram()))
}
