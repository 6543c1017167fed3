//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "pm2-daemon-killed", Seconds: 40, Always: true, Run: testDaemonKilled})
	register(testCase{Name: "three-apps", Seconds: 60, Always: true, Run: testThreeApps})
}

// testDaemonKilled: PM2's daemon is killed, as the kernel's memory killer does. The site is back, below one daemon, and that
// one is nobody's of evenkeel: it lives on when evenkeel is killed.
func testDaemonKilled(w *world) {
	w.pm2("save")
	d := w.reference()
	in := w.inbox(d)
	s := w.supervise(d)
	dead := w.pm2Daemon()
	p := s.proof("daemon-killed", in)
	t0 := w.fault("pm2-daemon-kill")
	started := s.waitEvent(30*time.Second, t0, "a recovery", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryStarted })
	finished := s.waitEvent(60*time.Second, t0, "its end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
	w.note("%s: %s", finished.Outcome, finished.Message)
	for _, e := range s.events(started.Time.Time, v1alpha1.ReasonStepFinished) {
		w.note("%-7s %-9s %6.2f s  %s", e.Step, e.Outcome, e.Took.Seconds(), e.Message)
	}
	if finished.Outcome != "Verified" || finished.Took.Duration > 30*time.Second {
		w.Errorf("the recovery ended %s after %s: %s", finished.Outcome, finished.Took.Duration, finished.Message)
	}
	back := w.waitPublic(10 * time.Second)
	w.note("the site is back %.1f s after the kill", back.Sub(t0).Seconds())

	daemons := w.pm2Daemons()
	if len(daemons) != 1 || daemons[0] == dead {
		w.Fatalf("PM2's daemons: %v; the dead one was %s", daemons, dead)
	}
	site := w.mustSite()
	for _, name := range []string{"bbyatch", "shop"} {
		if n := count(w.pm2List(), name); n != 1 {
			w.Errorf("PM2 lists %s %d times", name, n)
		}
	}
	own := s.pid()
	if statOf(daemons[0].PID)[3] == statOf(own)[3] {
		w.Errorf("the daemon is in evenkeel's session")
	}
	if group := serviceOf(own); group != "" && serviceOf(daemons[0].PID) == group {
		w.Errorf("the daemon was born into evenkeel's own service, %s", group)
	}
	s.waitHealthy(testCooldown + 30*time.Second)
	p.judge()
	s.kill()
	if !daemons[0].alive() || !site.alive() || w.public() != http.StatusOK {
		w.Errorf("with evenkeel the daemon (%t) or the site (%t) went away", daemons[0].alive(), site.alive())
	}
}

// pm2Daemons are PM2's daemons of this stack.
func (w *world) pm2Daemons() (list []proc) {
	w.Helper()
	net, err := os.Readlink("/proc/" + w.env["STACK_PID"] + "/ns/net")
	if err != nil {
		w.Fatal(err)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		data, _ := os.ReadFile(path)
		ns, _ := os.Readlink(filepath.Join(filepath.Dir(path), "ns", "net"))
		if ns == net && strings.HasPrefix(string(data), "PM2 v") && strings.Contains(string(data), "God Daemon ("+w.env["PM2_HOME"]+")") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			list = append(list, procOf(pid))
		}
	}
	return list
}

// serviceOf is the systemd service that a process is in; empty where it is in none.
func serviceOf(pid int) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	for line := range strings.Lines(string(data)) {
		if name := filepath.Base(strings.TrimSpace(line)); strings.HasSuffix(name, ".service") {
			return name
		}
	}
	return ""
}

const smallDocument = `apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: %s}
spec:
  directory: %s
  runtime: {pm2: {process: %s}}
  port: %d
  interval: 2s
  checks: {local: {timeout: 1s}, database: {disabled: true}}
  recovery: {cooldown: 8s, startupGrace: 20s}
`

// testThreeApps: three Apps in a folder, two of which hang at once. Both are mended, one after the other; the third, which is
// a survivor of every test, is not touched; and a broken file beside them, and a fourth that comes later, change nothing.
func testThreeApps(w *world) {
	const wikiPort, late = 3015, 3016
	server := filepath.Join(w.dir, "server.js")
	w.write(server, w.read(w.home("shop", "server.js")), 0o644)
	w.pm2("start", server, "--name", "wiki", "--cwd", w.dir, "--", strconv.Itoa(wikiPort), "wiki")
	w.Cleanup(func() { w.pm2("delete", "wiki") })

	folder := filepath.Join(w.dir, "desired")
	w.mkdir(folder)
	write := func(file, text string) { w.write(filepath.Join(folder, file), text, 0o644) }
	write("site.yaml", w.reference().Set("spec.checks.local.timeout", "1s").Text())
	write("shop.yaml", fmt.Sprintf(smallDocument, "shop", "/home/deploy/shop", "shop", 3004))
	write("wiki.yml", fmt.Sprintf(smallDocument, "wiki", w.dir, "wiki", wikiPort))
	write("broken.yaml", "kind: App\nmetadata: {name: broken}\nspec: {prot: 1}\n")
	s := w.prepare("three", w.reference())
	s.File = folder
	s.begin()
	of := map[string]*supervisor{"bbyatch": s, "shop": s.beside("shop"), "wiki": s.beside("wiki")}
	for _, name := range []string{"bbyatch", "shop", "wiki"} {
		of[name].waitHealthy(30 * time.Second)
	}
	if !strings.Contains(w.read(s.Log), "broken.yaml") {
		w.Error("the broken file is not told of")
	}

	wiki := w.pm2Proc("wiki")
	t0 := w.fault("hang")
	if err := syscall.Kill(wiki.PID, syscall.SIGSTOP); err != nil {
		w.Fatal(err)
	}
	type span struct{ from, to time.Time }
	runs := map[string]span{}
	for _, name := range []string{"bbyatch", "wiki"} {
		a := of[name]
		started := a.waitEvent(90*time.Second, t0, "a recovery of "+name, func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryStarted })
		finished := a.waitEvent(60*time.Second, t0, "its end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
		if finished.Outcome != "Verified" {
			w.Errorf("the recovery of %s ended %s: %s", name, finished.Outcome, finished.Message)
		}
		runs[name] = span{started.Time.Time, finished.Time.Time}
		w.note("%s: %.1f s to %.1f s after the fault", name, started.Time.Sub(t0).Seconds(), finished.Time.Sub(t0).Seconds())
	}
	if a, b := runs["bbyatch"], runs["wiki"]; a.from.Before(b.to) && b.from.Before(a.to) {
		w.Error("the two recoveries overlap")
	}
	for _, name := range []string{"bbyatch", "wiki"} {
		of[name].waitHealthy(testCooldown + 30*time.Second)
		if n := len(of[name].events(t0, v1alpha1.ReasonRecoveryStarted)); n != 1 {
			w.Errorf("%d recoveries of %s, want 1", n, name)
		}
	}
	if now := w.pm2Proc("wiki"); now.PID == 0 || now == wiki {
		w.Errorf("wiki was %s and is %s", wiki, now)
	}
	if list := of["shop"].events(t0, v1alpha1.ReasonRecoveryStarted, v1alpha1.ReasonPhaseChanged); len(list) != 0 {
		w.Errorf("the shop was touched: %+v", list)
	}
	w.pm2("start", server, "--name", "late", "--cwd", w.dir, "--", strconv.Itoa(late), "late")
	w.Cleanup(func() { w.pm2("delete", "late") })
	write("late.yaml", fmt.Sprintf(smallDocument, "late", w.dir, "late", late))
	s.beside("late").waitHealthy(20 * time.Second)
}

// beside is the same process, as the supervisor of another App.
func (s *supervisor) beside(app string) *supervisor {
	return &supervisor{world: s.world, App: app, File: s.File, StateDir: s.StateDir, Log: s.Log,
		Elsewhere: func() proc {
			if !s.running() {
				return proc{}
			}
			return procOf(s.pid())
		}}
}
