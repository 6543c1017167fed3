//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
)

func init() {
	for _, c := range []struct {
		test, major, row string
		run              func(w *world, major, row string)
	}{
		{"pm2-5", "5", "pm2-5-hangs", testOldPM2Hangs},
		{"pm2-5-killed", "5", "pm2-5-daemon-killed", testOldPM2Killed},
		{"pm2-5-cluster", "5", "pm2-5-cluster-hangs", testOldPM2Cluster},
		{"pm2-6", "6", "pm2-6-hangs", testOldPM2Hangs},
		{"pm2-6-killed", "6", "pm2-6-daemon-killed", testOldPM2Killed},
		{"pm2-6-cluster", "6", "pm2-6-cluster-hangs", testOldPM2Cluster},
	} {
		register(testCase{Name: c.test, Seconds: 55, Run: func(w *world) { c.run(w, c.major, c.row) }})
	}
}

// oldPM2 is an older PM2, which keeps the site in a home of its own.
type oldPM2 struct {
	*world
	major, program, home string
}

// oldPM2 has the site run by an older PM2, with these settings, and gives a document that says so.
func (w *world) oldPM2(major, settings string) (*oldPM2, *desired) {
	w.Helper()
	if settings != "" {
		w.fault("pm2-with", settings)
	}
	w.fault("pm2-" + major + "-elsewhere")
	o := &oldPM2{world: w, major: major, program: "/home/deploy/bin/pm2-" + major, home: w.live("pm2-of-deploy")}
	if daemon := o.daemon(); daemon.PID == 0 {
		w.Fatalf("no daemon of PM2 %s runs in %s", major, o.home)
	}
	return o, w.brisk().Set("spec.runtime.pm2.home", o.home).Set("spec.runtime.pm2.command", []any{o.program})
}

// daemon is PM2's own process, by its title, which tells its version.
func (o *oldPM2) daemon() (d proc) {
	o.Helper()
	out, _, _ := o.as("deploy", "pgrep", "-f", "^PM2 v"+o.major+`\..*God Daemon \(`+o.home+`\)`)
	pids := strings.Fields(out)
	if len(pids) == 1 {
		var pid int
		_, _ = fmt.Sscan(pids[0], &pid)
		d = procOf(pid)
	}
	return d
}

// workers are the living processes that it keeps as the site.
func (o *oldPM2) workers() (list []proc) {
	o.Helper()
	out, _, _ := o.as("deploy", "env", "PM2_HOME="+o.home, o.program, "-s", "jlist")
	var rows []pm2Row
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "[{") {
			_ = json.Unmarshal([]byte(line), &rows)
		}
	}
	for _, r := range rows {
		if p := procOf(r.PID); r.Name == "bbyatch" && r.Env.Status == "online" && p.PID != 0 {
			list = append(list, p)
		}
	}
	return list
}

// aloneWith says that the site is below this PM2's one daemon, and that the user's usual one has nothing of it.
func (o *oldPM2) aloneWith(daemon proc) {
	o.Helper()
	if now := o.daemon(); now.PID == 0 || daemon.PID != 0 && now != daemon {
		o.Errorf("the daemon of PM2 %s was %s and is %s", o.major, daemon, now)
	}
	if now := o.pm2Daemons(); len(now) != 1 || now[0] != o.spared["pm2"] || count(o.pm2List(), "bbyatch") != 0 {
		o.Errorf("the user's usual PM2 is %v, was %s, and lists the site %d times", now, o.spared["pm2"], count(o.pm2List(), "bbyatch"))
	}
}

func testOldPM2Hangs(w *world, major, row string) {
	o, d := w.oldPM2(major, "")
	in := w.inbox(d)
	s := w.supervise(d)
	daemon := o.daemon()
	p := s.proof(row, in).of(o.workers)
	w.signal(p.old[0], syscall.SIGSTOP)
	done := s.mendedOnce(p)
	o.aloneWith(daemon)
	w.measure.add("a recovery of %.1f s", done.Took.Seconds())
}

func testOldPM2Killed(w *world, major, row string) {
	o, d := w.oldPM2(major, "")
	in := w.inbox(d)
	s := w.supervise(d)
	p := s.proof(row, in).of(o.workers)
	dead := o.daemon()
	w.signal(dead, syscall.SIGKILL)
	done := s.mendedOnce(p)
	if o.daemon() == dead {
		w.Errorf("%s is still the daemon", dead)
	}
	o.aloneWith(proc{})
	w.measure.add("a recovery of %.1f s", done.Took.Seconds())
}

func testOldPM2Cluster(w *world, major, row string) {
	o, d := w.oldPM2(major, "exec_mode: 'cluster', instances: 2")
	in := w.inbox(d)
	s := w.supervise(d)
	daemon := o.daemon()
	p := s.proof(row, in).of(o.workers)
	if len(p.old) != 2 {
		w.Fatalf("PM2 %s runs %v, want two workers", major, p.old)
	}
	for _, worker := range p.old {
		w.signal(worker, syscall.SIGSTOP)
	}
	done := s.mendedOnce(p)
	if now := o.workers(); len(now) != 2 || slices.ContainsFunc(now, func(p proc) bool { return !p.alive() }) || w.local() != http.StatusOK {
		w.Errorf("the workers are %v, and the site answers %d", now, w.local())
	}
	o.aloneWith(daemon)
	w.measure.add("a recovery of %.1f s", done.Took.Seconds())
}
