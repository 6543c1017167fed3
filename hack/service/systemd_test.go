//go:build vps

package service

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fresh boots a machine on which nothing runs yet.
func fresh(t *testing.T) *machine {
	t.Helper()
	m := &machine{T: t}
	m.vps("up")
	return m
}

// TestSystemdIsARuntimeOnThisMachine runs the tests of reconcilers/systemd, the suite of all runtimes among them, where there is a
// systemd: as root with its units, and as an ordinary user with his own manager's.
func TestSystemdIsARuntimeOnThisMachine(t *testing.T) {
	m := fresh(t)
	m.packageTests("systemd")
	for _, user := range []string{"root", "deploy"} {
		t.Run(user, func(t *testing.T) {
			out, err := m.try(user, "EK_VPS=1 exec systemd.test -test.v -test.timeout 5m 2>&1")
			passed(t, out, err, "TestSystemdIsARuntime")
		})
	}
}

// packageTests puts the tests of a package of reconcilers onto the machine, as NAME.test.
func (m *machine) packageTests(name string) {
	m.Helper()
	file := filepath.Join(m.TempDir(), name+".test")
	build := exec.Command("go", "test", "-c", "-tags", "vps", "-o", file, "./reconcilers/"+name)
	build.Dir, build.Env = filepath.Dir(filepath.Dir(script)), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		m.Fatalf("go test -c: %v\n%s", err, out)
	}
	m.vps("copy", file, "/usr/local/bin/"+name+".test")
	m.root("chmod 755 /usr/local/bin/" + name + ".test")
}

// passed says how a package's tests ended, this one among them.
func passed(t *testing.T, out string, err error, test string) {
	t.Helper()
	if err != nil || !strings.Contains(out, "\nPASS\n") || !strings.Contains(out, "--- PASS: "+test) {
		t.Errorf("%v\n%s", err, out)
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "--- ") {
			t.Log(strings.TrimRight(line, "\n"))
		}
	}
}

const (
	keptUnit = `[Unit]
StartLimitIntervalSec=0
[Service]
%sWorkingDirectory=/home/deploy/kept
Environment=PORT=3005
ExecStart=/bin/sh -c 'exec /home/deploy/.nvm/versions/node/*/bin/node server.js'
Restart=always
RestartSec=200ms
[Install]
WantedBy=%s
`
	keptYAML = `apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: kept}
spec:
  directory: /home/deploy/kept
  runtime: {systemd: {unit: kept.service, user: %v}}
  port: 3005
  interval: 1s
  checks: {local: {timeout: 1s}, process: {timeout: 2s}, port: {timeout: 2s}}
  recovery: {cooldown: 5m, stopTimeout: 1s, deadline: 10s, startupGrace: 5s}
`
)

// kept makes a service of the site, and gives it to evenkeel in its sandbox.
func kept(t *testing.T, user bool) *machine {
	m := fresh(t)
	m.vps("copy", binary, "/usr/bin/evenkeel")
	m.root("chmod 755 /usr/bin/evenkeel")
	m.deploy("cp -r site kept")
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := m.try("root", "journalctl --no-pager -n 100 -o short-precise -u evenkeel -u kept -u polkit; evenkeel status --state-dir /var/lib/evenkeel")
			t.Log(out)
		}
	})
	if user {
		m.deploy("mkdir -p .config/systemd/user")
		m.write("/home/deploy/.config/systemd/user/kept.service", fmt.Sprintf(keptUnit, "", "default.target"))
		m.deploy("systemctl --user daemon-reload && systemctl --user enable --now kept.service")
	} else {
		m.write("/etc/systemd/system/kept.service", fmt.Sprintf(keptUnit, "User=deploy\n", "multi-user.target"))
		m.root("systemctl daemon-reload && systemctl enable --now kept.service")
	}
	m.write("/home/deploy/kept.yaml", fmt.Sprintf(keptYAML, user))
	return m
}

func (m *machine) answers() {
	m.Helper()
	m.eventually(30*time.Second, "the site answers", func() (string, bool) {
		out, err := m.try("root", "curl -sS -m 3 http://localhost:3005/")
		return out, err == nil && out == "hello\n"
	})
}

const node = "node server.js"

func TestAServiceOfTheUsersManagerIsKept(t *testing.T) {
	m := kept(t, true)
	m.root("evenkeel install -f /home/deploy/kept.yaml")
	m.wants(m.root("systemctl show -p After --value evenkeel"), "user@1000.service")
	m.untilPhase("kept", "Healthy", 20*time.Second)

	// Its end is systemd's own business, and costs no attempt.
	first := m.pid(node)
	m.root(fmt.Sprintf("kill -KILL %d", first))
	m.eventually(20*time.Second, "systemd has brought it back", func() (string, bool) {
		now := m.pid(node)
		return fmt.Sprint(now), now != 0 && now != first
	})
	m.answers()
	if s, raw := m.status("kept"); s.Status.Phase != "Healthy" || s.Status.Incident != nil {
		t.Errorf("after one crash: %s", raw)
	}

	// One that hangs is ended and started anew, through systemd.
	m.hang(node)
	s := m.untilPhase("kept", "Cooldown", 60*time.Second)
	m.answers()
	if s.Status.Incident == nil || len(s.Status.Incident.Attempts) != 1 {
		t.Errorf("want one attempt: %+v", s.Status)
	}
	group := m.root(fmt.Sprintf("cat /proc/%d/cgroup", m.pid(node)))
	if strings.Contains(group, "evenkeel.service") || !strings.Contains(group, "/kept.service") {
		t.Errorf("it lives in %s", group)
	}
	events := m.deploy("evenkeel events -o json kept")
	for _, step := range []string{"stop", "linger", "port", "memory", "start", "verify"} {
		m.wants(events, fmt.Sprintf(`"step":%q`, step))
	}
	m.wants(events, `"outcome":"Verified"`, "kept.service")
}

func TestAServiceOfTheSystemsIsKeptWherePolkitAllowsIt(t *testing.T) {
	m := kept(t, false)
	shown := m.root("evenkeel install -f /home/deploy/kept.yaml --print")
	m.wants(shown, "/etc/polkit-1/rules.d/50-evenkeel.rules", `["kept.service"].indexOf(action.lookup("unit"))`)
	m.wants(m.root("evenkeel install -f /home/deploy/kept.yaml"), "deploy may see kept.service, but not start and stop it")
	m.untilPhase("kept", "Healthy", 20*time.Second)

	// Without the rule it is seen that it hangs, and said what has to be done.
	m.hang(node)
	m.eventually(60*time.Second, "it is said what helps", func() (string, bool) {
		out, err := m.try("deploy", "evenkeel events -o json kept")
		return out, err == nil && strings.Contains(out, "50-evenkeel.rules")
	})
	m.root("evenkeel install -f /home/deploy/kept.yaml --print | sed -n '/^polkit.addRule/,/^});/p' >/etc/polkit-1/rules.d/50-evenkeel.rules && systemctl restart polkit")
	m.eventually(60*time.Second, "a recovery that is asked for comes through", func() (string, bool) {
		out, err := m.try("deploy", "evenkeel recover kept")
		if err != nil {
			return out, false
		}
		out, err = m.try("root", "curl -sS -m 3 http://localhost:3005/")
		return out, err == nil && out == "hello\n"
	})
	out := m.root("evenkeel install -f /home/deploy/kept.yaml")
	if strings.Contains(out, "polkit") {
		t.Errorf("it is still warned of: %s", out)
	}

	// Whom the operator stops stays so.
	m.untilPhase("kept", "Cooldown", 60*time.Second) // a reset is refused before
	m.deploy("evenkeel reset kept")
	m.untilPhase("kept", "Healthy", 20*time.Second)
	m.root("systemctl stop kept")
	m.eventually(20*time.Second, "it is respected", func() (string, bool) {
		out, err := m.try("deploy", "evenkeel status kept; evenkeel why kept")
		return out, err != nil && strings.Contains(out, "StoppedByOperator") && strings.Contains(out, "systemctl start kept.service")
	})
	if pid := m.pid(node); pid != 0 {
		t.Errorf("it was started against the operator's will: %d", pid)
	}
	m.root("systemctl start kept")
	m.untilPhase("kept", "Healthy", 20*time.Second)

	// A unit that is masked is the operator's own doing, and is named.
	m.root("systemctl stop kept && mv /etc/systemd/system/kept.service /root/ && systemctl mask --runtime kept")
	m.eventually(20*time.Second, "it is named", func() (string, bool) {
		out, _ := m.try("deploy", "evenkeel why kept")
		return out, strings.Contains(out, "kept.service is masked") && strings.Contains(out, "systemctl unmask kept.service")
	})
}
