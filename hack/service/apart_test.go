//go:build vps

package service

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestTheKeeperIsARuntimeInAService runs the tests of reconcilers/keeper, the suite of all runtimes among them, in a service: every
// process that the keeper makes is moved out of it, by the system's manager and by a user's.
func TestTheKeeperIsARuntimeInAService(t *testing.T) {
	m := fresh(t)
	m.packageTests("keeper")
	for user, where := range map[string]string{"root": "/system.slice/evenkeel-web-", "deploy": "/user@1000.service/"} {
		t.Run(user, func(t *testing.T) {
			out, err := m.try("root", "systemd-run --quiet --wait --pipe --uid="+user+" -E EK_VPS=1 -E PATH=$PATH -p KillMode=process -p WorkingDirectory=/tmp "+
				"keeper.test -test.v -test.timeout 5m 2>&1")
			passed(t, out, err, "TestTheKeeperIsARuntime")
			if !strings.Contains(out, where) {
				t.Errorf("no life was moved to %s", where)
			}
		})
	}
}

// keeping is a machine on which evenkeel keeps a site itself.
func keeping(t *testing.T, install string) (m *machine, said string) {
	m = fresh(t)
	m.vps("copy", binary, "/usr/bin/evenkeel")
	m.root("chmod 755 /usr/bin/evenkeel")
	m.deploy("cp -r site kept")
	m.write("/home/deploy/kept.yaml", strings.Replace(execYAML, "command: [node,", "command: ['"+strings.TrimSpace(m.deploy("readlink -f \"$(which node)\""))+"',", 1))
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := m.try("root", "journalctl --no-pager -n 100 -o short-precise; evenkeel status --state-dir /var/lib/evenkeel")
			t.Log(out)
		}
	})
	m.root("loginctl disable-linger deploy")
	said = m.root("evenkeel install -f /home/deploy/kept.yaml " + install)
	m.keeps()
	return m, said
}

// keeps waits until evenkeel says that the site is well, to root: it may be whose it is.
func (m *machine) keeps() {
	m.Helper()
	m.eventually(30*time.Second, "kept is Healthy", func() (string, bool) {
		out, err := m.try("root", "evenkeel status kept --state-dir /var/lib/evenkeel")
		return out, err == nil && strings.Contains(out, "Healthy")
	})
}

// group is the control group of the site's process, whoever that is now.
func (m *machine) group() string {
	m.Helper()
	out, _ := m.try("root", fmt.Sprintf("cat /proc/%d/cgroup", m.pid(keptSite)))
	return out
}

// keptSite is how the site that evenkeel keeps looks in a list of processes.
const keptSite = "bin/node server.js"

func TestWhatEvenkeelKeepsLivesOutsideOfItsUnit(t *testing.T) {
	for name, c := range map[string]struct{ install, where, said string }{
		"as an ordinary user": {"", "/user@1000.service/app.slice/evenkeel-kept-", "goes on without a login now"},
		"as root":             {"--run-as root", "/system.slice/evenkeel-kept-", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, said := keeping(t, c.install)
			m.wants(said, c.said)
			outside := func() (string, bool) {
				group := m.group()
				return group, strings.Contains(group, c.where) && !strings.Contains(group, "evenkeel.service")
			}
			m.eventually(30*time.Second, "it lives outside", outside)
			m.wants(m.root(fmt.Sprintf("cat /proc/%d/status", m.pid(keptSite))), "NoNewPrivs:\t0\n")

			// The next life does, too.
			first := m.pid(keptSite)
			m.root(fmt.Sprintf("kill -KILL %d", first))
			m.eventually(20*time.Second, "there is another one", func() (string, bool) {
				now := m.pid(keptSite)
				return fmt.Sprint(now), now != 0 && now != first
			})
			m.eventually(30*time.Second, "it lives outside", outside)
			m.answers()

			// It goes on under the same number, and goes on logging, whatever becomes of evenkeel.
			second := m.pid(keptSite)
			m.root("systemctl restart evenkeel")
			m.keeps()
			m.root("systemctl stop evenkeel && ! cat /sys/fs/cgroup/system.slice/evenkeel.service/cgroup.procs /sys/fs/cgroup/systemd/system.slice/evenkeel.service/cgroup.procs 2>/dev/null | grep .")
			m.root("curl -sS http://localhost:3005/nobody-watches && grep -r nobody-watches /var/lib/evenkeel")
			m.root("systemctl start evenkeel")
			m.keeps()
			if now := m.pid(keptSite); now != second {
				t.Errorf("process %d became %d", second, now)
			}
			if out := m.root("evenkeel events -o json kept --state-dir /var/lib/evenkeel"); strings.Contains(out, "RecoveryStarted") {
				t.Errorf("a recovery was made of it: %s", out)
			}
		})
	}
}

func TestWhereNobodyGivesItAUnitItStaysAndIsKept(t *testing.T) {
	m, _ := keeping(t, "")
	// A manager that ends is not asked for a unit any more, which would keep it from ending.
	m.root("loginctl disable-linger deploy && systemctl mask --runtime user@1000.service && timeout 20 systemctl stop user@1000.service")
	m.eventually(40*time.Second, "it is brought back, in evenkeel's own group", func() (string, bool) {
		group := m.group()
		return group, strings.Contains(group, "/evenkeel.service")
	})
	m.answers()
	m.eventually(90*time.Second, "it is said", func() (string, bool) {
		out := m.root("journalctl -u evenkeel --no-pager -o cat")
		return out, strings.Contains(out, "stays in evenkeel's own control group") && strings.Contains(out, "loginctl enable-linger deploy")
	})
	first := m.pid(keptSite)
	m.root("systemctl restart evenkeel")
	m.keeps()
	if now := m.pid(keptSite); now != first || now == 0 {
		t.Errorf("process %d became %d", first, now)
	}
	// As soon as there is a manager, it is moved.
	m.root("systemctl unmask --runtime user@1000.service && loginctl enable-linger deploy")
	m.eventually(90*time.Second, "it lives outside", func() (string, bool) {
		group := m.group()
		return group, strings.Contains(group, "/user@1000.service/")
	})
	if now := m.pid(keptSite); now != first {
		t.Errorf("process %d became %d", first, now)
	}
}
