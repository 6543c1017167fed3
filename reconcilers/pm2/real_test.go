//go:build linux

package pm2

import (
	"context"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// All of these run under one daemon: starting one costs more than all the rest.
const ecosystem = `module.exports = {apps: [
 {name: 'web', script: 'web.js', env: {STATUS: 'evil', PM_ID: 'x', NAME: 'evil', Pid: '1', FROM_FILE: 'kept'}},
 {name: 'we[b] x:1', script: 'web.js'},
 {name: 'killed', script: 'web.js'},
 {name: 'loop', script: 'die.js', env: {LIFE: '1100'}},
 {name: 'errored', script: 'die.js', max_restarts: 2, min_uptime: 20000},
 {name: 'errored late', script: 'die.js', max_restarts: 2, min_uptime: 20000, restart_delay: 5},
 {name: 'backoff', script: 'die.js', exp_backoff_restart_delay: 15000},
 {name: 'once', script: 'die.js', autorestart: false},
 {name: 'once late', script: 'die.js', autorestart: false, restart_delay: 60000},
 {name: 'stuck', script: 'web.js', kill_timeout: 60000},
 {name: 'stuck short', script: 'stubborn.js', kill_timeout: 200},
 {name: 'by hand', script: 'web.js'},
 {name: 'twin', script: 'web.js', instances: 2, exec_mode: 'fork'},
 {name: 'cluster', script: 'web.js', instances: 2, exec_mode: 'cluster'},
 {name: 'manual', script: 'web.js', autostart: false},
]}`

func TestRealPM2(t *testing.T) {
	for _, major := range majors {
		t.Run("PM2 "+major, func(t *testing.T) { testReal(t, newWorldOf(t, major)) })
	}
}

func testReal(t *testing.T, w *world) {
	w.write("all.config.js", ecosystem)
	w.pm2("start", "all.config.js")
	daemon := w.daemons()
	if len(daemon) != 1 {
		t.Fatalf("%d daemons, want 1", len(daemon))
	}
	for name, test := range map[string]func(*testing.T, *world){
		"a healthy row tells all that it holds":                       healthy,
		"names with brackets and blanks":                              oddName,
		"killed hard, it is back with a new pid, and unplanned":       killedHard,
		"a crash loop shows in pids and restarts, and can be stopped": crashLoop,
		"errored, and started from there":                             errored,
		"given up on, though PM2 says waiting":                        gaveUpWaiting,
		"waiting for its next life, stopped in between":               backoff,
		"autorestart off":                                             once,
		"a stopped one outlives our patience":                         stuck,
		"PM2 kills what does not listen":                              stuckShort,
		"stopped by hand":                                             byHand,
		"several rows of one name":                                    twins,
		"cluster mode":                                                cluster,
		"autostart off":                                               manual,
		"not listed":                                                  notListed,
		"a file that cannot be read is not quoted":                    quotesNothing,
		"created from a script, with nothing of our environment":      created,
		"many looks at once":                                          manyLooks,
		"the command gives the same list":                             sameByCommand,
	} {
		t.Run(name, func(t *testing.T) {
			v := *w
			v.t = t
			test(t, &v)
		})
	}
	if now := w.daemons(); len(now) != 1 || now[0].Identity != daemon[0].Identity {
		t.Errorf("the daemon is another one now: %v, was %v", now, daemon)
	}
}

func healthy(t *testing.T, w *world) {
	s := w.look("web")
	d := s.Daemon
	if !d.Reachable || d.PID != w.daemons()[0].PID || d.Identity.PID != d.PID || !strings.HasPrefix(d.Version, w.major+".") || d.Home != w.home || s.Via != "socket" {
		t.Errorf("daemon %+v via %s", d, s.Via)
	}
	p := w.untilState("web", runtime.Running)
	if p.Lying || !p.Alive() || p.Identity.PID != p.PID || !p.Autorestart || p.ExitCode != nil || p.Restarts != 0 {
		t.Errorf("row %+v", p)
	}
	if p.StopTimeout != 1600*time.Millisecond || p.ExecMode != "fork_mode" || p.Home != w.home || p.Cwd != w.dir || p.Raw != "online" {
		t.Errorf("row %+v", p)
	}
	if p.Script != w.dir+"/web.js" || !strings.HasPrefix(p.OutLog, w.home) || !strings.HasSuffix(p.PIDPath, "web-"+p.ID+".pid") {
		t.Errorf("files of %+v", p)
	}
	if age := time.Since(p.StartedAt); age < 0 || age > time.Hour {
		t.Errorf("started %s ago", age)
	}
	env, err := procfs.Default().Environ(p.Identity, "unique_id", "PM2_HOME")
	if err != nil || env["unique_id"] != p.Mark || p.Mark == "" || env["PM2_HOME"] != w.home {
		t.Errorf("the mark %q is not that of the process: %v, %v", p.Mark, env, err)
	}
	if len(s.Others) < 5 {
		t.Errorf("%d others", len(s.Others))
	}
	before := p
	r, err := w.m.Start(t.Context(), w.app("web"), v1alpha1.Instant{})
	if err != nil || r.How != runtime.AlreadyRunning {
		t.Errorf("start of a running one: %+v, %v", r, err)
	}
	since := now(t)
	since.Boot.Duration += time.Second
	if r, err = w.m.Start(t.Context(), w.app("web"), since); err != nil || r.How != runtime.Restarted {
		t.Errorf("start of one that is too old: %+v, %v", r, err)
	}
	t.Logf("restarted in %s", r.Took)
	p = w.until("web", "a new process", func(p runtime.Process) bool {
		return p.State == runtime.Running && p.Identity != before.Identity
	})
	if p.Restarts != 1 {
		t.Errorf("%d restarts, want 1", p.Restarts)
	}
	checkEnvironment(t, p, "kept")
	h, err := w.m.Exits(t.Context(), w.app("web"), time.Time{})
	if err != nil || len(h.Exits) != 1 || h.Exits[0].Cause != runtime.CauseOrder || h.LastStop == nil || h.LastStop.Standing || !h.Complete {
		t.Errorf("exits %+v, %v", h, err)
	}
}

func oddName(t *testing.T, w *world) {
	p := w.untilState("we[b] x:1", runtime.Running)
	w.signal(p.Identity, syscall.SIGKILL)
	w.until("we[b] x:1", "back", func(q runtime.Process) bool { return q.State == runtime.Running && q.Identity != p.Identity })
	h, err := w.m.Exits(t.Context(), w.app("we[b] x:1"), time.Time{})
	if err != nil || len(h.Exits) != 1 || h.Exits[0].Signal != "SIGKILL" || h.Exits[0].Cause.Planned() {
		t.Errorf("exits %+v, %v", h, err)
	}
}

func killedHard(t *testing.T, w *world) {
	begin := time.Now()
	p := w.untilState("killed", runtime.Running)
	w.signal(p.Identity, syscall.SIGKILL)
	q := w.until("killed", "back", func(q runtime.Process) bool { return q.State == runtime.Running && q.Identity != p.Identity })
	if q.Restarts != p.Restarts+1 || q.ExitCode == nil || *q.ExitCode != 0 {
		t.Errorf("row %+v", q)
	}
	h, err := w.m.Exits(t.Context(), w.app("killed"), begin)
	if err != nil || h.Unplanned() != 1 || h.Exits[0].Signal != "SIGKILL" || h.LastStop != nil {
		t.Fatalf("exits %+v, %v", h, err)
	}
	if off := h.Exits[0].At.Sub(begin); off < -time.Second || off > patience {
		t.Errorf("PM2's log puts it %s after the kill", off)
	}
}

func crashLoop(t *testing.T, w *world) {
	p := w.one("loop")
	w.until("loop", "in a loop", func(q runtime.Process) bool { return q.Restarts > p.Restarts+1 })
	stop(t, w, "loop", 10*time.Second)
	h, err := w.m.Exits(t.Context(), w.app("loop"), time.Time{})
	if err != nil || h.Unplanned() < 2 || h.Exits[0].Code != 3 || h.LastStop == nil || !h.LastStop.Standing {
		t.Errorf("exits %+v, %v", h, err)
	}
}

// stop stops and sees to it that it stays so.
func stop(t *testing.T, w *world, name string, timeout time.Duration) runtime.StopResult {
	t.Helper()
	r, err := w.m.Stop(t.Context(), w.app(name), timeout)
	if err != nil || len(r.Alive) != 0 {
		t.Fatalf("stop %s: %+v, %v", name, r, err)
	}
	for _, p := range w.look(name).Processes {
		if p.State != runtime.Stopped || p.PID != 0 {
			t.Errorf("after the stop: %+v", p)
		}
	}
	t.Logf("%s: stopped in %s", name, r.Took)
	if again, err := w.m.Stop(t.Context(), w.app(name), timeout); err != nil || !again.Already {
		t.Errorf("stopped again: %+v, %v", again, err)
	}
	return r
}

func errored(t *testing.T, w *world) {
	// PM2 says so a moment before it forgets the pid.
	p := w.until("errored", "given up", func(p runtime.Process) bool { return p.State == runtime.Errored && p.PID == 0 })
	if p.ExitCode == nil || *p.ExitCode != 3 {
		t.Errorf("row %+v", p)
	}
	h, err := w.m.Exits(t.Context(), w.app("errored"), time.Time{})
	if err != nil || h.GaveUpAt.IsZero() || h.Unplanned() != 2 {
		t.Errorf("exits %+v, %v", h, err)
	}
	begin := time.Now()
	if r, err := w.m.Start(t.Context(), w.app("errored"), now(t)); err != nil || r.How != runtime.Restarted {
		t.Fatalf("start: %+v, %v", r, err)
	}
	// The exit status proves nothing: it dies again.
	w.untilState("errored", runtime.Errored)
	if h, _ = w.m.Exits(t.Context(), w.app("errored"), begin); len(h.Exits) < 2 {
		t.Errorf("exits since the start %+v", h)
	}
	stop(t, w, "errored", 10*time.Second)
}

func gaveUpWaiting(t *testing.T, w *world) {
	p := w.untilState("errored late", runtime.Errored)
	if p.Raw != "waiting restart" || p.PID != 0 {
		t.Errorf("row %+v", p)
	}
	stop(t, w, "errored late", 10*time.Second)
}

func backoff(t *testing.T, w *world) {
	p := w.untilState("backoff", runtime.Waiting)
	if p.BackoffNow != 15*time.Second || p.Alive() {
		t.Errorf("row %+v", p)
	}
	begin := now(t)
	if r, err := w.m.Start(t.Context(), w.app("backoff"), begin); err != nil || r.How != runtime.Restarted {
		t.Fatalf("start: %+v, %v", r, err)
	}
	w.untilState("backoff", runtime.Waiting)
	if r := stop(t, w, "backoff", 10*time.Second); r.Already {
		t.Error("nothing was ordered")
	}
}

func once(t *testing.T, w *world) {
	p := w.untilState("once", runtime.Stopped)
	if p.Autorestart || *p.ExitCode != 3 {
		t.Errorf("row %+v", p)
	}
	p = w.untilState("once late", runtime.Stopped)
	if p.Raw != "waiting restart" || p.Message == "" {
		t.Errorf("row %+v", p)
	}
	h, err := w.m.Exits(t.Context(), w.app("once"), time.Time{})
	if err != nil || h.LastStop != nil || h.Unplanned() != 1 {
		t.Errorf("exits %+v, %v", h, err)
	}
}

func stuck(t *testing.T, w *world) {
	p := w.untilState("stuck", runtime.Running)
	if p.StopTimeout != time.Minute {
		t.Errorf("row %+v", p)
	}
	w.signal(p.Identity, syscall.SIGSTOP)
	r, err := w.m.Stop(t.Context(), w.app("stuck"), 500*time.Millisecond)
	if !errors.Is(err, runtime.ErrStillAlive) || len(r.Alive) != 1 || r.Alive[0].Identity != p.Identity || r.Took > 10*time.Second {
		t.Fatalf("stop of a halted process: %+v, %v", r, err)
	}
	w.untilState("stuck", runtime.Stopping)
	// Starting has to wait for the stop, and says so.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	if r, err := w.m.Start(ctx, w.app("stuck"), now(t)); !errors.Is(err, runtime.ErrBusy) {
		t.Errorf("start while it is stopping: %+v, %v", r, err)
	}
	cancel()
	// What the caller does: end it through a pidfd, and let PM2 notice.
	w.signal(p.Identity, syscall.SIGKILL)
	stop(t, w, "stuck", 10*time.Second)
	if r, err := w.m.Start(t.Context(), w.app("stuck"), now(t)); err != nil || r.How != runtime.Restarted {
		t.Fatalf("start from stopped: %+v, %v", r, err)
	} else {
		t.Logf("started in %s", r.Took)
	}
	checkEnvironment(t, w.untilState("stuck", runtime.Running), "")
}

func stuckShort(t *testing.T, w *world) {
	begin := time.Now()
	p := w.untilState("stuck short", runtime.Running)
	stop(t, w, "stuck short", 20*time.Second)
	w.gone(p.Identity)
	h, err := w.m.Exits(t.Context(), w.app("stuck short"), begin)
	if err != nil || len(h.Exits) != 1 || h.Exits[0].Signal != "SIGKILL" || h.Exits[0].Cause != runtime.CauseOrder {
		t.Errorf("exits %+v, %v", h, err)
	}
}

func byHand(t *testing.T, w *world) {
	w.untilState("by hand", runtime.Running)
	w.pm2("stop", "by hand")
	w.untilState("by hand", runtime.Stopped)
	h, err := w.m.Exits(t.Context(), w.app("by hand"), time.Time{})
	if err != nil || h.LastStop == nil || !h.LastStop.Standing || h.LastStop.Cause != runtime.CauseOrder || h.Unplanned() != 0 {
		t.Errorf("exits %+v, %v", h, err)
	}
}

func twins(t *testing.T, w *world) { several(t, w, "twin", false) }

func cluster(t *testing.T, w *world) { several(t, w, "cluster", true) }

func several(t *testing.T, w *world, name string, clustered bool) {
	eventually(t, "both run", func() bool {
		s := w.look(name)
		return len(s.Processes) == 2 && s.Processes[0].State == runtime.Running && s.Processes[1].State == runtime.Running
	})
	s := w.look(name)
	a, b := s.Processes[0], s.Processes[1]
	if a.ID == b.ID || a.PID == b.PID || a.Cluster != clustered || !a.Alive() || !b.Alive() {
		t.Errorf("rows %+v and %+v", a, b)
	}
	w.pm2("stop", b.ID)
	s = w.look(name)
	if s.State() != runtime.Running || s.Processes[1].State != runtime.Stopped {
		t.Errorf("one stopped: %s, %+v", s.State(), s.Processes)
	}
	r, err := w.m.Start(t.Context(), w.app(name), v1alpha1.Instant{})
	if err != nil || len(r.IDs) != 1 || r.IDs[0] != b.ID {
		t.Errorf("start of the other: %+v, %v", r, err)
	}
	stop(t, w, name, 20*time.Second)
	w.gone(a.Identity)
}

func manyLooks(t *testing.T, w *world) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 25 {
				if s, err := w.m.Look(t.Context(), w.app("web")); err != nil || len(s.Processes) != 1 {
					t.Errorf("look: %v", err)
				}
			}
		})
	}
	all.Wait()
}

func sameByCommand(t *testing.T, w *world) {
	h, spec, err := w.m.open(w.app("web"))
	if err != nil {
		t.Fatal(err)
	}
	s := w.look("web")
	rows, err := lister(&command{m: w.m, home: h, spec: spec, daemon: s.Daemon}).list(t.Context())
	if err != nil || len(rows) != len(s.Processes)+len(s.Others) {
		t.Fatalf("%d rows by command, %d over the socket, %v", len(rows), len(s.Processes)+len(s.Others), err)
	}
	for i := range rows {
		if rows[i].ID.n == 0 && rows[i].process(w.home).Mark == "" {
			t.Errorf("row %+v", rows[i])
		}
	}
}
