//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "cluster", Seconds: 90, Run: testCluster})
	register(testCase{Name: "listed-twice", Seconds: 75, Run: testListedTwice})
	register(testCase{Name: "another-home", Seconds: 50, Run: testAnotherHome})
	register(testCase{Name: "as-root", Seconds: 35, Run: testAsRoot})
}

// workers are the living processes that PM2 keeps under the site's name.
func (w *world) workers() (list []proc) {
	w.Helper()
	for _, r := range w.pm2List() {
		if p := procOf(r.PID); r.Name == "bbyatch" && r.Env.Status == "online" && p.PID != 0 {
			list = append(list, p)
		}
	}
	return list
}

// waitWorkers waits until two workers run, none of which is one of the old ones, and the site answers.
func (w *world) waitWorkers(limit time.Duration, old ...proc) (list []proc) {
	w.Helper()
	w.eventually(limit, fmt.Sprintf("two workers that are none of %v", old), func() (string, bool) {
		list = w.workers()
		fresh := !slices.ContainsFunc(list, func(p proc) bool { return slices.Contains(old, p) })
		return fmt.Sprint(list), len(list) == 2 && fresh && w.local() == http.StatusOK
	})
	return list
}

func (w *world) signal(p proc, sig syscall.Signal) {
	w.Helper()
	if err := syscall.Kill(p.PID, sig); err != nil {
		w.Fatal(err)
	}
}

// mendedOnce follows a recovery to its good end and to Healthy, and holds what came of it against the row.
func (s *supervisor) mendedOnce(p *proof) v1alpha1.Event {
	s.Helper()
	done := s.mended(p.from)
	p.judge()
	return done
}

// mended follows a recovery to its good end and to Healthy.
func (s *supervisor) mended(since time.Time) v1alpha1.Event {
	s.Helper()
	done := s.waitEvent(60*time.Second, since, "the recovery's end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
	if done.Outcome != "Verified" {
		s.Errorf("the recovery ended %s: %s", done.Outcome, done.Message)
	}
	for _, e := range s.events(since, v1alpha1.ReasonStepFinished) {
		s.note("%-7s %-9s %5.1f s %s", e.Step, e.Outcome, e.Took.Seconds(), e.Message)
	}
	s.waitPhase(testCooldown+30*time.Second, done.Time.Time, v1alpha1.PhaseHealthy)
	s.waitHealthy(20 * time.Second)
	return done
}

// brisk is the reference document with timeouts that make a hang known soon.
func (w *world) brisk() *desired {
	return w.reference().Set("spec.checks.local.timeout", "2s").Set("spec.checks.public.timeout", "3s")
}

// testCluster has two workers, for which PM2's daemon itself listens. A reload and a killed worker are PM2's own affair; a
// worker that hangs is given no more visitors, so that the site goes on; where both hang, both are made anew. PM2 is never
// touched for it.
func testCluster(w *world) {
	w.fault("pm2-with", "exec_mode: 'cluster', instances: 2")
	d := w.brisk()
	in := w.inbox(d)
	s := w.supervise(d)
	workers := w.workers()
	if len(workers) != 2 || w.pm2Row("bbyatch").Env.Mode != "cluster_mode" {
		w.Fatalf("workers %v of %+v", workers, w.pm2Row("bbyatch"))
	}
	for _, check := range []string{v1alpha1.CheckProcess, v1alpha1.CheckPort, v1alpha1.CheckWorkers} {
		if r, ok := s.pass().Result(check); !ok || r.Status != metav1.ConditionTrue {
			w.Errorf("%s is %s: %s", check, r.Status, r.Message)
		}
	}

	begin := time.Now()
	p := s.proof("cluster-reload", in).of(w.workers)
	w.fault("pm2-reload")
	workers = w.waitWorkers(20*time.Second, workers...)
	s.waitPasses(4, 30*time.Second)
	p.over()
	p = s.proof("cluster-worker-killed", in).of(w.workers)
	w.signal(workers[0], syscall.SIGKILL)
	w.waitWorkers(20*time.Second, workers[0])
	s.waitPasses(4, 30*time.Second)
	p.over()
	workers = w.workers()
	p = s.proof("cluster-worker-hangs", in).of(w.workers)
	w.signal(workers[0], syscall.SIGSTOP)
	lost, asked := 0, 20
	for range asked {
		if w.local() != http.StatusOK {
			lost++
		}
	}
	if lost > 1 {
		w.Errorf("%d of %d answers lost with one of two workers halted", lost, asked)
	}
	s.waitPasses(8, 60*time.Second)
	s.costNothing(in, begin)
	p.over()

	p = s.proof("cluster-hangs", in).of(w.workers)
	w.signal(workers[1], syscall.SIGSTOP)
	done := s.mendedOnce(p)
	w.waitWorkers(10*time.Second, workers...)
	w.measure.add("%d of %d answers lost with one worker halted; both halted: a recovery of %.1f s", lost, asked, done.Took.Seconds())
	if now := w.pm2Daemons(); len(now) != 1 || now[0] != w.spared["pm2"] {
		w.Errorf("PM2's daemons are %v, was %v", now, w.spared["pm2"])
	}
}

// testListedTwice has the site started a second time under its name: the second finds the port taken, and comes and goes
// for ever, or until PM2 gives up on it. Nothing is done for its sake, since the first one serves; when that hangs, it is
// recovered.
func testListedTwice(w *world) {
	d := w.brisk()
	in := w.inbox(d)
	s := w.supervise(d)
	site := w.mustSite()
	serving := func() []proc { return slices.DeleteFunc([]proc{site}, func(p proc) bool { return !p.alive() }) }
	p := s.proof("listed-twice", in).of(serving)
	w.fault("pm2-twice")
	w.within(60*time.Second, func() (string, bool) { return "no warning", len(in.byProgram()) > 0 && len(in.byWebhook()) > 0 })
	s.waitPasses(10, 60*time.Second)
	if n := count(w.pm2List(), "bbyatch"); n != 2 {
		w.Fatalf("PM2 lists the site %d times, want twice", n)
	}
	p.over()
	at := time.Now()
	w.signal(site, syscall.SIGSTOP)
	done := s.mended(at)
	started := s.events(at, v1alpha1.ReasonRecoveryStarted)
	if len(started) != 1 || started[0].Blame != v1alpha1.BlameApp {
		w.Errorf("want one recovery, for the application's own fault: %v", started)
	}
	if site.alive() {
		w.Errorf("the site's process %s hangs and still lives", site)
	}
	w.measure.add("a recovery of %.1f s", done.Took.Seconds())
}

// othersIn are the files in a folder that are not of the user whose it is.
func (w *world) othersIn(folder string, uid int) (list []string) {
	w.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && int(info.Sys().(*syscall.Stat_t).Uid) != uid {
			list = append(list, path)
		}
		return nil
	})
	if err != nil {
		w.Error(err)
	}
	return list
}

// testAnotherHome has the site under a PM2 of its own, in another home than the user's usual one, whose daemon keeps the shop.
func testAnotherHome(w *world) {
	w.fault("pm2-elsewhere", "deploy")
	d := w.brisk().Set("spec.runtime.pm2.home", w.live("pm2-of-deploy"))
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof("another-home", in).of(func() []proc { return []proc{w.listener()} })
	w.signal(p.old[0], syscall.SIGSTOP)
	done := s.mendedOnce(p)
	now := w.listener()
	if p := procOf(now.ppid()); p == w.spared["pm2"] || count(w.pm2List(), "bbyatch") != 0 {
		w.Errorf("the site has come up under the user's usual PM2 (%s)", p)
	}
	w.measure.add("a recovery of %.1f s", done.Took.Seconds())
}

// listener is the process that listens on the site's port.
func (w *world) listener() (p proc) {
	w.Helper()
	w.eventually(10*time.Second, "somebody listens on the site's port", func() (string, bool) {
		out, _, _ := w.as("root", "sh", "-c", "ss -Hltnp 'sport = :"+w.env["APP_PORT"]+"' | grep -o 'pid=[0-9]*' | head -n 1 | cut -d= -f2")
		var pid int
		_, _ = fmt.Sscan(out, &pid)
		p = procOf(pid)
		return out, p.PID != 0
	})
	return p
}

// testAsRoot has evenkeel run by root, as many run it: PM2 and the site stay deploy's, and so do their files.
func testAsRoot(w *world) {
	d := w.brisk().Set("spec.runtime.pm2.home", w.env["PM2_HOME"])
	in := w.inbox(d)
	s := w.prepare("evenkeel", d)
	s.User = "root"
	s.begin()
	before := w.othersIn(w.home(), w.uid)
	s.waitHealthy(30 * time.Second)
	site := w.mustSite()
	p := s.proof("supervised-by-root", in)
	w.fault("hang")
	done := s.mendedOnce(p)
	p = s.proof("supervised-by-root-errored", in)
	w.unseen("crash-errored")
	again := s.mendedOnce(p)
	if now := w.mustSite(); now == site || statUID(now) != w.uid {
		w.Errorf("the site was %s and is %s of user %d", site, now, statUID(now))
	}
	if after := w.othersIn(w.home(), w.uid); !slices.Equal(after, before) {
		w.Errorf("files that are not deploy's: %v; before: %v", after, before)
	}
	w.measure.add("recoveries of %.1f and %.1f s", done.Took.Seconds(), again.Took.Seconds())
}
