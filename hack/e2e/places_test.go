//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

func init() {
	register(testCase{Name: "symlinked-cache", Seconds: 18, Run: testSymlinkedCache})
	register(testCase{Name: "log-rotation", Seconds: 15, Run: testLogRotation})
	register(testCase{Name: "foreground", Seconds: 16, Run: testForeground})
	register(testCase{Name: "under-pm2", Seconds: 60, Run: testUnderPM2})
	register(testCase{Name: "down-while-nginx-is", Seconds: 30, Run: func(w *world) { testDownWhileNginxIs(w, "down-and-nginx-too", v1alpha1.BlameProxy) }})
	register(testCase{Name: "down-while-all-are", Seconds: 40, Run: func(w *world) {
		testDownWhileNginxIs(w, "down-and-all-else-too", v1alpha1.BlameDatabase, "postgres-stop")
	}})
	register(testCase{Name: "down-while-postgres-is", Seconds: 18, Run: testDownWhilePostgresIs})
	register(testCase{Name: "gives-up", Seconds: 50, Run: testGivesUp})
}

func onDisk(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// inventory is what lies in a folder: each file with its kind, size, time of change and contents.
func (w *world) inventory(folder string) map[string]string {
	w.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%s %d %d.%09d inode %d", info.Mode(), info.Size(), st.Ctim.Sec, st.Ctim.Nsec, st.Ino)
		if d.Type().IsRegular() && info.Size() < 1<<16 {
			text += " " + w.read(path)
		}
		found[path] = text
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return found
}

func (w *world) sameInventory(before, after map[string]string) {
	w.Helper()
	for path, was := range before {
		if now, ok := after[path]; !ok {
			w.Errorf("%s is gone", path)
		} else if now != was {
			w.Errorf("%s was\n%s\nand is\n%s", path, was, now)
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			w.Errorf("%s is new", path)
		}
	}
}

// testSymlinkedCache has one cache that is a link out of the site's folder, and another one with a link in it, and makes
// a clean recovery necessary.
func testSymlinkedCache(w *world) {
	elsewhere := w.home("elsewhere")
	inside := "/home/deploy/elsewhere" // the same, as the stack sees it
	for _, dir := range []string{"", "linked", "linked/deep", "in-cache"} {
		w.mkdir(filepath.Join(elsewhere, dir))
	}
	for n, f := range []string{"linked/a", "linked/deep/b", "in-cache/c", "d"} {
		w.write(filepath.Join(elsewhere, f), fmt.Sprintf("precious %d\n", n), 0o600)
	}
	cache := w.app(".next", "cache")
	kept := w.app(".next", "cache-kept")
	link := func(target, path string) {
		if err := os.Symlink(target, path); err != nil {
			w.Fatal(err)
		}
		w.own(path)
	}
	if err := os.Rename(cache, kept); err != nil {
		w.Fatal(err)
	}
	link(inside+"/linked", cache)
	w.Cleanup(func() {
		_ = os.Remove(cache)
		_ = os.Rename(kept, cache)
		_ = os.RemoveAll(elsewhere)
	})
	w.mkdir(w.app("node_modules", ".cache"))
	w.mkdir(w.app("node_modules", ".cache", "site"))
	link(inside+"/in-cache", w.app("node_modules", ".cache", "out"))
	// the site follows the link too, and writes its index there; so it is there before the inventory is taken
	w.write(filepath.Join(elsewhere, "linked", "site-index.json"), `{"version": 1, "pages": []}`, 0o644)

	d := w.reference()
	s := w.supervise(d)
	old := w.mustSite()
	outside := w.inventory(elsewhere)
	shop := w.inventory(w.home("shop"))
	w.write(w.app("node_modules", ".cache", "site", "index.json"), `{"version": 1, "pages": ["/", "/yac`, 0o644)
	t0 := w.fault("kill9")
	back := w.eventually(60*time.Second, "200 through Nginx from a new process", func() (string, bool) {
		now, code := w.site(), w.public()
		return fmt.Sprintf("site %s, public %d; %s", now, code, s.summary()), code == http.StatusOK && now.PID != 0 && now != old
	})
	s.waitPhase(40*time.Second, t0, v1alpha1.PhaseCooldown)
	w.sameInventory(outside, w.inventory(elsewhere))
	w.sameInventory(shop, w.inventory(w.home("shop")))
	if target, err := os.Readlink(cache); err != nil || target != inside+"/linked" {
		w.Errorf("the link .next/cache is now %q, %v", target, err)
	}
	said := map[string]v1alpha1.Event{}
	for _, e := range s.events(t0, v1alpha1.ReasonStepFinished) {
		w.note("%-7s %-9s %s", e.Step, e.Outcome, e.Message)
		said[e.Step] = e
	}
	if e := said["caches"]; e.Outcome != string(v1alpha1.StepDone) || !strings.Contains(e.Message, ".next/cache: left alone") ||
		!strings.Contains(e.Message, "node_modules/.cache: ") {
		w.Errorf("caches: %s %s", e.Outcome, e.Message)
	}
	if e := said["memory"]; e.Outcome != string(v1alpha1.StepSkipped) || !strings.Contains(e.Message, "swap is left alone: ") {
		w.Errorf("memory: %s %s", e.Outcome, e.Message)
	}
	w.measure.times(t0, firstFailure(s, t0), s.waitPhase(time.Second, t0, v1alpha1.PhaseDegraded).Time.Time, back)
	s.waitPhase(40*time.Second, t0, v1alpha1.PhaseHealthy)
}

// The log's bounds, as the design has them.
const (
	logSize  = 10 << 20
	logFiles = 5
)

// testLogRotation fills the log and the files put aside nearly up to their bound before evenkeel begins.
func testLogRotation(w *world) {
	s := w.prepare("evenkeel", w.reference().Set("spec.interval", "200ms"))
	path := filepath.Join(s.StateDir, "monitor.log")
	line := strings.Repeat("x", 1023) + "\n"
	fill := func(path string, size int) {
		w.write(path, strings.Repeat(line, size/len(line)), 0o600)
	}
	for n := range logFiles - 1 {
		at := time.Now().Add(-time.Duration(n+1) * time.Hour).UTC()
		fill(filepath.Join(s.StateDir, "monitor-"+at.Format("2006-01-02T15-04-05.000")+".log"), logSize)
	}
	sizes := func() (total int64, files int) {
		list, _ := filepath.Glob(filepath.Join(s.StateDir, "monitor*.log"))
		for _, f := range list {
			if info, err := os.Stat(f); err == nil {
				total += info.Size()
				files++
			}
		}
		return total, files
	}
	followed := &lines{}
	rotations := 0
	for round := range 2 {
		fill(path, logSize-3*len(line))
		if round == 0 {
			tail := exec.Command("tail", "-n", "0", "-F", path)
			tail.Stdout = followed
			if err := tail.Start(); err != nil {
				w.Fatal(err)
			}
			defer func() { _ = tail.Process.Kill(); _ = tail.Wait() }()
		}
		before := inode(w, path)
		s.begin()
		s.waitHealthy(30 * time.Second)
		w.eventually(60*time.Second, "the log is put aside", func() (string, bool) {
			return "", onDisk(path) && inode(w, path) != before
		})
		rotations++
		// goes on in the new file, and tail sees it
		s.waitPasses(5, 30*time.Second)
		mark := followed.count()
		w.eventually(30*time.Second, "tail -F goes on", func() (string, bool) {
			return fmt.Sprintf("%d lines", followed.count()), followed.count() > mark+3
		})
		w.eventually(20*time.Second, "the oldest file is removed", func() (string, bool) {
			total, files := sizes()
			return fmt.Sprintf("%d files, %d bytes", files, total), files <= logFiles && total <= logFiles*logSize
		})
		if code := s.term(); code != 0 {
			w.Errorf("exit code %d", code)
		}
	}
	total, files := sizes()
	w.measure.add("%d rotations; %d files, %.1f MiB of %d", rotations, files, float64(total)/(1<<20), logFiles*logSize>>20)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 != 0 || info.Size() > logSize {
		w.Errorf("monitor.log: %v %v", info, err)
	}
	if text := followed.text(); !strings.Contains(text, "local") || !strings.Contains(text, "bbyatch") {
		w.Error("what tail has followed does not tell of the checks")
	}
}

func inode(w *world, path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// lines collects what a program prints.
type lines struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *lines) count() int { return strings.Count(l.text(), "\n") }

// testForeground runs it by hand on a terminal, where the site is errored, and ends it with Ctrl-C.
func testForeground(w *world) {
	master, slave := w.terminal()
	screen := &lines{}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			_, _ = screen.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	w.fault("crash-errored")
	if row := w.pm2Row("bbyatch"); row.Env.Status != "errored" {
		w.Fatalf("PM2 says %q, want errored", row.Env.Status)
	}
	s := w.prepare("evenkeel", w.reference())
	s.Terminal = slave
	t0 := time.Now()
	s.begin()
	_ = slave.Close()
	back := w.waitPublic(40 * time.Second)
	s.waitPhase(60*time.Second, t0, v1alpha1.PhaseHealthy)
	s.waitHealthy(20 * time.Second)
	w.measure.times(t0, firstFailure(s, t0), s.waitPhase(time.Second, t0, v1alpha1.PhaseDegraded).Time.Time, back)
	for _, want := range []string{"bbyatch", "recovery", "phase"} {
		if !strings.Contains(screen.text(), want) {
			w.Errorf("the terminal does not show %q:\n%s", want, screen.text())
		}
	}
	site := w.mustSite()
	if _, err := master.Write([]byte{3}); err != nil { // Ctrl-C
		w.Fatal(err)
	}
	if code := s.wait(20 * time.Second); code != 0 {
		w.Errorf("exit code %d after Ctrl-C", code)
	}
	if now := w.site(); now != site || w.public() != http.StatusOK {
		w.Errorf("the site was %s and is %s", site, now)
	}
}

// terminal makes a pseudo-terminal.
func (w *world) terminal() (master, slave *os.File) {
	w.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		w.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		w.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		w.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = master.Close() })
	return master, slave
}

// testUnderPM2 runs it as one more process of the same PM2, and lets it recover the site twice.
func testUnderPM2(w *world) {
	w.fault("crash-errored")
	d := w.reference()
	s := w.prepare("evenkeel", d)
	t0 := time.Now()
	w.pm2("start", s.binary, "--name", "keeper", "--interpreter", "none", "--", "run", "-f", s.File, "--state-dir", s.StateDir)
	w.Cleanup(func() { _, _, _ = w.as("deploy", "pm2", "-s", "delete", "keeper") })
	s.Elsewhere = func() proc { return w.pm2Proc("keeper") }
	s.record()
	self := s.Elsewhere()
	if self.PID == 0 {
		w.Fatal("PM2 does not run it")
	}
	w.waitPublic(40 * time.Second)
	s.waitPhase(60*time.Second, t0, v1alpha1.PhaseHealthy)
	s.waitHealthy(20 * time.Second)
	first := s.waitEvent(time.Second, t0, "the first recovery", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })

	t1 := w.fault("hang")
	second := s.waitEvent(looks(testTimeout)+30*time.Second+noise, t1, "the second recovery", func(e v1alpha1.Event) bool {
		return e.Reason == v1alpha1.ReasonRecoveryFinished
	})
	w.waitPublic(20 * time.Second)
	if first.Outcome != "Verified" || second.Outcome != "Verified" {
		w.Errorf("recoveries ended %s and %s", first.Outcome, second.Outcome)
	}
	if now := s.Elsewhere(); now != self {
		w.Errorf("evenkeel was %s and is %s", self, now)
	}
	row := w.pm2Row("keeper")
	if row.Env.Status != "online" || row.Env.RestartTime != 0 {
		w.Errorf("PM2 shows %+v", row)
	}
	for _, o := range s.trace.all() {
		f, _ := facts.Of[facts.Workers](&o, v1alpha1.CheckWorkers)
		if slices.ContainsFunc(f.Processes, func(p facts.Worker) bool { return p.PID == self.PID }) {
			w.Fatalf("evenkeel counts itself as the site's: %+v", f)
		}
	}
	w.measure.add("recoveries of %.1f and %.1f s, same pid, 0 restarts", first.Took.Seconds(), second.Took.Seconds())

	// pm2 stop is an orderly end
	site := w.mustSite()
	w.pm2("-s", "stop", "keeper")
	w.eventually(10*time.Second, "its end", func() (string, bool) { return "", !self.alive() })
	if last := s.journal(); len(last) == 0 || last[len(last)-1].Reason != v1alpha1.ReasonStopped {
		w.Error("its end was not orderly: the journal does not end with it")
	}
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s", site, now)
	}
}

// testDownWhileNginxIs: what is not running is started, whoever else is down. What is left then is another's fault.
func testDownWhileNginxIs(w *world, name string, others v1alpha1.Blame, also ...string) {
	d := w.reference()
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof(name, in)
	t0 := w.unseenAll(append(append([]string{"nginx-stop"}, also...), "crash-errored")...)
	back := w.eventually(40*time.Second, "200 on the site's own port", func() (string, bool) {
		return s.summary(), w.local() == http.StatusOK && w.site().PID != 0
	})
	finished := s.waitEvent(40*time.Second, t0, "the recovery's end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
	if finished.Outcome != "Verified" {
		w.Errorf("the recovery ended %s: %s; the public path must not fail it", finished.Outcome, finished.Message)
	}
	s.eventually(testCooldown+30*time.Second, "held for "+string(others), func() (string, bool) {
		st := s.state()
		return s.summary(), st.Phase == v1alpha1.PhaseDegraded && st.Verdict != nil && st.Verdict.Blame == others && st.Verdict.Remedy == v1alpha1.RemedyHold
	})
	site := w.mustSite()
	s.waitPasses(4, 30*time.Second)
	w.fault("nginx-start")
	for _, f := range also {
		w.clear(f)
	}
	s.waitHealthy(30 * time.Second)
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s", site, now)
	}
	p.judge()
	if i := s.state().Incident; i == nil || i.Spent != 0 {
		w.Errorf("another's failure has spent an attempt: %+v", i)
	}
	w.measure.times(t0, firstFailure(s, t0), s.waitPhase(time.Second, t0, v1alpha1.PhaseDegraded).Time.Time, back)
	w.measure.add("alerts %q", words(in.byProgram()))
}

func testDownWhilePostgresIs(w *world) {
	d := w.reference()
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof("down-and-postgres-too", in)
	w.fault("postgres-stop")
	t0 := w.unseen("crash-errored")
	back := w.waitPublic(40 * time.Second)
	finished := s.waitEvent(40*time.Second, t0, "the recovery's end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
	if finished.Outcome != "Verified" {
		w.Errorf("the recovery ended %s: %s", finished.Outcome, finished.Message)
	}
	w.measure.times(t0, firstFailure(s, t0), s.waitPhase(time.Second, t0, v1alpha1.PhaseDegraded).Time.Time, back)
	s.eventually(testCooldown+30*time.Second, "held for the database", func() (string, bool) {
		v := s.state().Verdict
		return s.summary(), v != nil && v.Blame == v1alpha1.BlameDatabase && v.Remedy == v1alpha1.RemedyHold
	})
	w.clear("postgres-stop")
	s.waitPhase(60*time.Second, t0, v1alpha1.PhaseHealthy)
	s.waitHealthy(60 * time.Second)
	p.judge()
}

// testGivesUp: every start dies, for good. Three attempts, never two within the cooldown; then it waits for a person.
func testGivesUp(w *world) {
	d := w.reference()
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof("dies-at-once", in)
	t0 := w.fault("die")
	failed := s.waitPhase(3*time.Minute, t0, v1alpha1.PhaseFailed)
	starts := s.events(t0, v1alpha1.ReasonRecoveryStarted)
	for n := 1; n < len(starts); n++ {
		if gap := starts[n].Time.Sub(starts[n-1].Time.Time); gap < testCooldown {
			w.Errorf("recoveries %d and %d are %s apart, less than the cooldown", n, n+1, gap)
		}
	}
	s.waitPasses(5, time.Minute)
	if n := len(s.events(t0, v1alpha1.ReasonRecoveryStarted)); n != len(starts) {
		w.Errorf("%d recoveries after it had given up", n)
	}
	p.lasts = true // the reset begins a new incident
	p.over()
	if last := in.byProgram(); len(last) == 2 {
		next := strings.Join(last[1].Next, "\n")
		for _, want := range []string{"monitor.log", "pm2 ls", "pm2 logs", "free", "df", "evenkeel reset"} {
			if !strings.Contains(next, want) {
				w.Errorf("the alert does not say to look at %q:\n%s", want, next)
			}
		}
	}
	out, _, code := s.cli("status")
	w.Logf("$ evenkeel status   (exit %d)\n%s", code, out)
	if code != 1 || !strings.Contains(out, "Failed") {
		w.Errorf("status: exit code %d", code)
	}
	// the operator mends it and resets
	w.clear("die")
	t1 := time.Now()
	if out, errs, code := s.cli("reset", "bbyatch"); code != 0 {
		w.Errorf("reset: exit code %d\n%s%s", code, out, errs)
	}
	back := w.waitPublic(60 * time.Second)
	s.waitHealthy(60 * time.Second)
	w.measure.times(t0, firstFailure(s, t0), s.waitPhase(time.Second, t0, v1alpha1.PhaseDegraded).Time.Time, t0)
	w.measure.add("Failed after %.0f s; 200 again %.1f s after the reset", failed.Time.Sub(t0).Seconds(), back.Sub(t1).Seconds())
}
