//go:build vps

package service

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// debOf makes the Debian package of a version, and puts it into the machine.
func (m *machine) debOf(version string) string {
	m.Helper()
	build := exec.Command(filepath.Join(filepath.Dir(script), "package", "build"), m.TempDir())
	build.Env = append(os.Environ(), "VERSION="+version)
	var stderr strings.Builder
	build.Stderr = &stderr
	out, err := build.Output()
	if err != nil {
		m.Fatalf("hack/package/build: %v\n%s", err, stderr.String())
	}
	file := strings.TrimSpace(string(out))
	m.vps("copy", file, "/root/")
	return "/root/" + filepath.Base(file)
}

func TestTheDebianPackage(t *testing.T) {
	m := bare(t)
	older, newer := m.debOf("1.0.0"), m.debOf("1.0.1")

	// Three commands to a Healthy site.
	m.root("dpkg -i " + older)
	m.deploy("evenkeel init")
	m.root("evenkeel install -f /home/deploy/site.yaml")
	m.untilPhase("site", "Healthy", 20*time.Second)
	m.wants(m.root("evenkeel version; man -P cat evenkeel-install; dpkg -L evenkeel"), "evenkeel v1.0.0", "evenkeel install -f FILE",
		"/usr/share/bash-completion/completions/evenkeel", "/usr/share/man/man1/evenkeel-why.1.gz")
	// This machine keeps no documentation.
	if out := m.root("dpkg -V evenkeel | grep -v /usr/share/doc/ || true"); out != "" {
		t.Errorf("dpkg -V: %s", out)
	}

	// An upgrade in place: applications, attempts, cooldowns and the operator's settings are kept.
	m.write("/home/deploy/site.yaml", brisk)
	m.hang("site/server.js")
	before := m.untilPhase("site", "Cooldown", 90*time.Second)
	m.root("echo '# mine' >>/etc/default/evenkeel")
	site, first := m.pid("site/server.js"), m.property("MainPID")
	m.root("dpkg -i " + newer)
	m.wants(m.root("evenkeel version"), "evenkeel v1.0.1")
	if now := m.property("MainPID"); now == first || m.property("ActiveState") != "active" {
		t.Errorf("process %s became %s (%s)", first, now, m.property("ActiveState"))
	}
	m.untilPhase("site", "Cooldown", 20*time.Second)
	m.sameBudget(before)
	if now := m.pid("site/server.js"); now != site {
		t.Errorf("the site was process %d, and is %d", site, now)
	}
	m.wants(m.root("cat /etc/default/evenkeel"), "# mine")

	// Removed, it leaves what it knows and the settings; purged, nothing. The site runs on.
	m.root("dpkg -r evenkeel")
	m.root("test -e /var/lib/evenkeel/site.yaml -a -e /etc/default/evenkeel -a ! -e /etc/systemd/system/evenkeel.service -a ! -e /usr/bin/evenkeel")
	m.root("dpkg -P evenkeel")
	if out := m.root("find / -xdev -name '*evenkeel*' -not -path '/root/*' -not -path '/home/*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/log/*' -not -path '/var/cache/man/*'"); out != "" {
		t.Errorf("left behind: %s", out)
	}
	if now := m.pid("site/server.js"); now != site {
		t.Errorf("the site was process %d, and is %d", site, now)
	}
}
