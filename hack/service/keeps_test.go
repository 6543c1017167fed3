//go:build vps

package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAKilledEvenkeelIsBackWithinSeconds(t *testing.T) {
	m := boot(t)
	m.install()
	site, first := m.pid("site/server.js"), m.property("MainPID")
	begun := time.Now()
	m.root("kill -KILL " + first)
	m.eventually(10*time.Second, "another process supervises", func() (string, bool) {
		now := m.property("MainPID")
		s, raw := m.status("site")
		return now + " " + raw, now != first && now != "0" && s.Status.Phase == "Healthy" && m.property("ActiveState") == "active"
	})
	t.Logf("back after %s, as seen from outside", time.Since(begun).Round(100*time.Millisecond))
	if now := m.pid("site/server.js"); now != site {
		t.Errorf("the site was process %d, and is %d", site, now)
	}
}

func TestAPassThatHangsIsEndedByTheWatchdog(t *testing.T) {
	m := boot(t)
	// The site does not answer, and evenkeel is told to wait for it longer than the unit's watchdog takes.
	m.write("/home/deploy/site.yaml", strings.Replace(brisk, "local: {timeout: 1s}", "local: {timeout: 5m}", 1))
	m.root("mkdir -p /etc/systemd/system/evenkeel.service.d && printf '[Service]\\nWatchdogSec=4s\\n' >/etc/systemd/system/evenkeel.service.d/own.conf")
	m.hang("site/server.js")
	m.root("evenkeel install -f /home/deploy/site.yaml")
	first := m.property("MainPID")
	m.eventually(40*time.Second, "the watchdog has restarted it", func() (string, bool) {
		now := m.property("MainPID")
		return now, now != first && now != "0"
	})
	m.wants(m.root("journalctl -u evenkeel --no-pager"), "Watchdog timeout (limit 4s)!", "Failed with result 'watchdog'", "Scheduled restart job")
}

const execYAML = `apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: kept}
spec:
  directory: /home/deploy/kept
  runtime: {exec: {command: [node, server.js]}}
  port: 3005
  interval: 1s
  checks: {local: {timeout: 1s}}
`

func TestARestartOfEvenkeelLeavesApplicationsAlone(t *testing.T) {
	m := boot(t)
	m.deploy("cp -r site kept")
	m.write("/home/deploy/site.yaml", brisk)
	m.write("/home/deploy/kept.yaml", execYAML)
	m.root("evenkeel install -f /home/deploy/site.yaml -f /home/deploy/kept.yaml")
	m.untilPhase("site", "Healthy", 10*time.Second)
	m.eventually(20*time.Second, "kept answers", func() (string, bool) {
		out, err := m.try("root", "curl -sS -m 3 http://localhost:3005/")
		return out, err == nil
	})
	daemon, site, kept := m.pid("God Daemon"), m.pid("site/server.js"), m.pid("node server.js")
	first := m.property("MainPID")
	m.root("systemctl restart evenkeel")
	if now := m.property("MainPID"); now == first {
		t.Fatalf("process %s was not restarted", first)
	}
	m.untilPhase("site", "Healthy", 10*time.Second)
	m.untilPhase("kept", "Healthy", 10*time.Second)
	for what, pids := range map[string][2]int{"PM2": {daemon, m.pid("God Daemon")}, "site": {site, m.pid("site/server.js")}, "kept": {kept, m.pid("node server.js")}} {
		if pids[0] == 0 || pids[0] != pids[1] {
			t.Errorf("%s was process %d, and is %d", what, pids[0], pids[1])
		}
	}
	// They go on logging.
	m.root("curl -sS http://localhost:3005/after-the-restart; curl -sS http://localhost:3003/after-the-restart")
	m.eventually(10*time.Second, "both have logged a request", func() (string, bool) {
		out, err := m.try("root", "grep -l after-the-restart /home/deploy/.pm2/logs/site-out.log && grep -rl after-the-restart /var/lib/evenkeel")
		return out, err == nil
	})
}

func TestTheJournalTellsWhatMonitorLogTells(t *testing.T) {
	m := boot(t)
	m.install()
	m.hang("site/server.js")
	m.untilPhase("site", "Cooldown", 60*time.Second)
	m.root("systemctl stop evenkeel")
	file := m.root("cat /var/lib/evenkeel/monitor.log")
	// Nothing else of evenkeel's own stands in the journal: what systemd says of the unit has no time of evenkeel's.
	var journal []string
	for line := range strings.Lines(m.root("journalctl -u evenkeel -o cat --no-pager")) {
		if strings.HasPrefix(line, "time=") {
			journal = append(journal, line)
		}
	}
	logged := slices.Collect(strings.Lines(file))
	for what, pair := range map[string][2][]string{"monitor.log": {journal, logged}, "the journal": {logged, journal}} {
		for _, line := range pair[0] {
			if !slices.Contains(pair[1], line) {
				t.Errorf("%s has no %s", what, line)
			}
		}
	}
	if len(logged) < 10 || len(logged) != len(journal) {
		t.Errorf("%d lines in monitor.log, %d in the journal:\n%s", len(logged), len(journal), file)
	}
}

func TestAllSevenStepsInTheSandbox(t *testing.T) {
	m := boot(t)
	m.install()
	// The site hangs, and does not come up with what is in its cache.
	m.deploy("mkdir -p site/.next/cache && touch site/.next/cache/poison")
	m.hang("site/server.js")
	m.untilPhase("site", "Cooldown", 90*time.Second)
	m.eventually(20*time.Second, "the site answers", func() (string, bool) {
		out, err := m.try("root", "curl -sS -m 3 http://www.site.test/")
		return out, err == nil && out == "hello\n"
	})
	events := m.deploy("evenkeel events -o json")
	for _, step := range []string{"stop", "linger", "port", "caches", "memory", "start", "verify"} {
		m.wants(events, fmt.Sprintf(`"step":%q`, step))
	}
	m.wants(events, `"outcome":"Verified"`)
	if out, err := m.try("root", "ls /home/deploy/site/.next/cache/poison 2>/dev/null"); err == nil {
		t.Errorf("the cache was not cleared: %s", out)
	}
	if s, raw := m.status("site"); s.Status.Incident == nil || len(s.Status.Incident.Attempts) != 1 {
		t.Errorf("want one attempt: %s", raw)
	}
}

func TestAPM2ThatIsBroughtBackLivesOutsideOfTheUnit(t *testing.T) {
	m := boot(t)
	m.install()
	first, daemon := m.pid("God Daemon"), 0
	m.root(fmt.Sprintf("kill -KILL %d", first))
	m.eventually(90*time.Second, "PM2 is back with the site", func() (string, bool) {
		_, raw := m.status("site")
		out, err := m.try("root", "curl -sS -m 3 http://www.site.test/")
		daemon = m.pid("God Daemon")
		return raw + out, err == nil && daemon != 0 && daemon != first
	})
	group := m.root(fmt.Sprintf("cat /proc/%d/cgroup", daemon))
	if strings.Contains(group, "evenkeel.service") || !strings.Contains(group, "/user@1000.service/") {
		t.Errorf("it lives in %s", group)
	}
	m.wants(m.root(fmt.Sprintf("cat /proc/%d/status", daemon)), "NoNewPrivs:\t0\n", m.root("grep Seccomp_filters /proc/1/status")) // the container's own
	// It does not end with evenkeel.
	m.root("systemctl stop evenkeel")
	if now := m.pid("God Daemon"); now != daemon {
		t.Errorf("daemon %d became %d", daemon, now)
	}
}
