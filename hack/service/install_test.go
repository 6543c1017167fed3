//go:build vps

package service

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestFromAFreshMachineToHealthyInTwoCommands(t *testing.T) {
	m := boot(t)
	m.wants(m.deploy("evenkeel init"), "wrote site.yaml")
	m.wants(m.root("evenkeel install -f /home/deploy/site.yaml --print"), "# /etc/systemd/system/evenkeel.service", "User=deploy",
		"Environment=PATH=/home/deploy/.nvm/versions/node/", "systemctl enable evenkeel.service")
	if out, err := m.try("root", "ls /etc/systemd/system/evenkeel.service"); err == nil {
		t.Errorf("--print has written %s", out)
	}
	m.wants(m.root("evenkeel install -f /home/deploy/site.yaml"), "runs as deploy", "no unit brings PM2", "pm2 startup systemd -u deploy", "clearing swap is off")
	s := m.untilPhase("site", "Healthy", 10*time.Second)
	if s.Status.Incident != nil {
		t.Errorf("an incident: %+v", s.Status.Incident)
	}
	if out := m.root("systemd-analyze verify /etc/systemd/system/evenkeel.service 2>&1"); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	security := m.root("systemd-analyze security --no-pager evenkeel")
	t.Log(security[strings.LastIndex(security, "→"):])

	first := m.property("MainPID")
	m.wants(m.root("evenkeel install -f /home/deploy/site.yaml"), "already installed")
	if now := m.property("MainPID"); now != first {
		t.Errorf("process %s became %s", first, now)
	}
	if who := m.root("ps -o user= -p " + first); who != "deploy\n" {
		t.Errorf("runs as %s", who)
	}
	// Another file in its place would end the supervision of the first one.
	m.deploy("sed 's/name: site}/name: other}/; s/process: site /process: other /; s/port: 3003/port: 3004/' site.yaml >other.yaml")
	out, err := m.try("root", "evenkeel install -f /home/deploy/other.yaml")
	if err == nil {
		t.Error("the first file was replaced")
	}
	m.wants(out, "would not be supervised any more", "-f /home/deploy/site.yaml")

	m.wants(m.root("evenkeel uninstall"), "the applications run on", "/var/lib/evenkeel is left")
	m.wants(m.root("ls /var/lib/evenkeel"), "site.yaml", "monitor.log")
	if pid := m.pid("evenkeel run"); pid != 0 {
		t.Errorf("it runs on as %d", pid)
	}
	m.root("evenkeel install -f /home/deploy/site.yaml")
	m.wants(m.root("evenkeel uninstall --purge"), "removed /var/lib/evenkeel too")
	if out, err := m.try("root", "ls -d /var/lib/evenkeel /etc/systemd/system/evenkeel.service /etc/systemd/system/multi-user.target.wants/evenkeel.service 2>/dev/null"); err == nil || out != "" {
		t.Errorf("left behind: %s", out)
	}
	if _, err := m.try("root", "curl -sSf -m 3 http://www.site.test/"); err != nil {
		t.Errorf("the site does not answer: %v", err)
	}
}

func TestItIsNotInstalledBesideAnotherWatchdog(t *testing.T) {
	m := boot(t)
	m.write("/home/deploy/site.yaml", brisk)
	m.root("mkdir -p /etc/cron.d && echo '* * * * * deploy curl -sf localhost:3003 || pm2 restart site' >/etc/cron.d/watch")
	out, err := m.try("root", "evenkeel install -f /home/deploy/site.yaml")
	if err == nil {
		t.Error("installed")
	}
	m.wants(out, "not installed", "/etc/cron.d/watch", "--force")
	m.root("rm /etc/cron.d/watch")

	// Another evenkeel, by hand.
	m.deploy("(setsid evenkeel run -f site.yaml >by-hand.log 2>&1 </dev/null &)")
	m.untilPhase("site", "Healthy", 10*time.Second)
	out, err = m.try("root", "evenkeel install -f /home/deploy/site.yaml")
	if err == nil {
		t.Error("installed")
	}
	m.wants(out, "site is already supervised by process", "end that one first")
	m.root(fmt.Sprintf("kill %d", m.pid("evenkeel run")))
	m.eventually(10*time.Second, "it has ended", func() (string, bool) { return "", m.pid("evenkeel run") == 0 })
	m.root("evenkeel install -f /home/deploy/site.yaml")
	m.untilPhase("site", "Healthy", 10*time.Second)
}

func TestAUnitOfTheUsersOwn(t *testing.T) {
	m := boot(t)
	m.write("/home/deploy/site.yaml", brisk)
	m.wants(m.deploy("evenkeel install -f site.yaml --user"), "/home/deploy/.config/systemd/user/evenkeel.service")
	m.untilPhase("site", "Healthy", 10*time.Second)
	if out := m.deploy("systemd-analyze --user verify ~/.config/systemd/user/evenkeel.service 2>&1"); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	out, err := m.try("root", "evenkeel install -f /home/deploy/site.yaml")
	if err == nil {
		t.Error("two evenkeels for one file")
	}
	m.wants(out, "supervises the same file")
	m.vps("reboot") // nobody logs in
	m.untilPhase("site", "Healthy", 60*time.Second)
	m.wants(m.deploy("evenkeel uninstall --user --purge"), "removed /home/deploy/.local/state/evenkeel too")
	if pid := m.pid("evenkeel run"); pid != 0 {
		t.Errorf("it runs on as %d", pid)
	}
}

func TestAsAProcessOfPM2(t *testing.T) {
	m := boot(t)
	m.write("/home/deploy/site.yaml", brisk)
	m.wants(m.deploy("evenkeel install -f site.yaml --pm2"), "PM2's process evenkeel", "pm2 save")
	m.untilPhase("site", "Healthy", 15*time.Second)
	self := m.pid("evenkeel run")
	m.hang("site/server.js")
	before := m.untilPhase("site", "Cooldown", 60*time.Second)
	site, restarts := m.pid("site/server.js"), m.pm2Restarts()
	if now := m.pid("evenkeel run"); now != self || restarts["evenkeel"] != 0 {
		t.Errorf("it has restarted itself, or was restarted: process %d became %d, %d restarts", self, now, restarts["evenkeel"])
	}
	m.deploy("pm2 restart evenkeel")
	m.eventually(20*time.Second, "another evenkeel supervises", func() (string, bool) {
		s, raw := m.status("site")
		return raw, m.pid("evenkeel run") != self && s.Status.Phase == "Cooldown"
	})
	m.sameBudget(before)
	if now := m.pid("site/server.js"); now != site {
		t.Errorf("the site was process %d, and is %d", site, now)
	}
	// A recovery that is asked for, from within PM2, leaves evenkeel alone too.
	self = m.pid("evenkeel run")
	m.wants(m.deploy("evenkeel recover site"), "site")
	m.eventually(60*time.Second, "the site is another process, and answers", func() (string, bool) {
		out, err := m.try("root", "curl -sS -m 3 http://www.site.test/")
		now := m.pid("site/server.js")
		return out, err == nil && now != 0 && now != site && m.told("RecoveryFinished") == 2
	})
	if now, n := m.pid("evenkeel run"), m.pm2Restarts()["evenkeel"]; now != self || n != 1 {
		t.Errorf("process %d became %d, with %d restarts of which one was ordered", self, now, n)
	}
	m.deploy("evenkeel uninstall --pm2")
	if out := m.deploy("pm2 jlist"); strings.Contains(out, `"name":"evenkeel"`) || !strings.Contains(out, `"name":"site"`) {
		t.Errorf("pm2 lists %s", out)
	}
}

// pm2Restarts is how often PM2 has restarted each of its processes, by name.
func (m *machine) pm2Restarts() map[string]int {
	m.Helper()
	out := m.deploy("pm2 jlist")
	var list []struct {
		Name string
		Env  struct {
			Restarts int `json:"restart_time"`
		} `json:"pm2_env"`
	}
	if err := json.Unmarshal([]byte(out[max(strings.Index(out, "[{"), 0):]), &list); err != nil {
		m.Fatalf("pm2 jlist: %v\n%s", err, out)
	}
	all := map[string]int{}
	for _, p := range list {
		all[p.Name] = p.Env.Restarts
	}
	return all
}

// told is how many events of a reason the site's journal tells of.
func (m *machine) told(reason string) int {
	m.Helper()
	return strings.Count(m.deploy("evenkeel events -o json site"), fmt.Sprintf(`"reason":%q`, reason))
}

// hang stops a process so that it does not answer any more.
func (m *machine) hang(pattern string) {
	m.Helper()
	pid := m.pid(pattern)
	if pid == 0 {
		m.Fatalf("no process %s", pattern)
	}
	m.root(fmt.Sprintf("kill -STOP %d", pid))
}

// sameBudget says that attempts and cooldown are what they were.
func (m *machine) sameBudget(before status) {
	m.Helper()
	now, raw := m.status("site")
	if before.Status.Incident == nil || now.Status.Incident == nil || len(now.Status.Incident.Attempts) != len(before.Status.Incident.Attempts) ||
		now.Status.CooldownUntil != before.Status.CooldownUntil || len(before.Status.Incident.Attempts) != 1 {
		m.Errorf("attempts and cooldown: %+v became %+v in %s", before.Status, now.Status, raw)
	}
}
