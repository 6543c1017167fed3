//go:build vps

package service

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestInitFindsTheUnitThatHoldsThePort: a site that is a service, of the system's manager and of a user's own, behind Nginx, without
// any PM2. What init writes is enough for evenkeel to keep it; Restart= is off, so that who is killed is started by evenkeel alone.
func TestInitFindsTheUnitThatHoldsThePort(t *testing.T) {
	for name, user := range map[string]bool{"the system's": false, "the user's": true} {
		t.Run(name, func(t *testing.T) {
			m := kept(t, user)
			m.deploy("pgrep -f 'God Daemo[n]' && exit 1; exit 0")
			file, ctl := "/etc/systemd/system/kept.service", m.root
			if user {
				file, ctl = "/home/deploy/.config/systemd/user/kept.service", m.deploy
			}
			ctl("sed -i 's/^Restart=.*/Restart=no/; s/PORT=3005/PORT=3003/' " + file)
			if user {
				ctl("systemctl --user daemon-reload && systemctl --user restart kept")
			} else {
				ctl("systemctl daemon-reload && systemctl restart kept")
			}
			m.eventually(20*time.Second, "the site answers", func() (string, bool) {
				out, err := m.try("root", "curl -sS -m 3 http://www.site.test/")
				return out, err == nil && out == "hello\n"
			})

			m.deploy("rm kept.yaml")
			said := m.deploy("evenkeel init")
			m.wants(said, "wrote kept.yaml", "Restart= is off")
			text := m.deploy("cat kept.yaml")
			m.wants(text, "unit: kept.service", file, "directory: /home/deploy/kept", "port: 3003", "url: http://www.site.test/", "answered 200", "require: [DATABASE_URL]")
			if strings.Contains(text, "user: true") != user || strings.Contains(said, "polkit") == user {
				t.Errorf("whose unit is it? %s\n%s", said, text)
			}
			m.deploy("evenkeel check -f kept.yaml")

			m.deploy("sed -i 's/interval: 60s/interval: 1s/; s/cooldown: 5m/startupGrace: 5s/' kept.yaml")
			if !user {
				m.root("evenkeel install -f /home/deploy/kept.yaml --print | sed -n '/^polkit.addRule/,/^});/p' >/etc/polkit-1/rules.d/50-evenkeel.rules && systemctl restart polkit")
			}
			m.root("evenkeel install -f /home/deploy/kept.yaml")
			m.untilPhase("kept", "Healthy", 20*time.Second)
			first := m.pid(node)
			m.root(fmt.Sprintf("kill -KILL %d", first))
			s := m.untilPhase("kept", "Cooldown", 60*time.Second)
			if now := m.pid(node); now == 0 || now == first || s.Status.Incident == nil || len(s.Status.Incident.Attempts) != 1 {
				t.Errorf("process %d became %d, %+v", first, now, s.Status)
			}
			m.eventually(20*time.Second, "the site answers", func() (string, bool) {
				out, err := m.try("root", "curl -sS -m 3 http://www.site.test/")
				return out, err == nil && out == "hello\n"
			})
			m.wants(m.root(fmt.Sprintf("cat /proc/%d/cgroup", m.pid(node))), "/kept.service")

			// evenkeel's own unit is none that it could keep.
			for _, unit := range []string{"evenkeel.service", "none.service"} {
				if out, err := m.try("deploy", "evenkeel init "+unit+" -o -"); err == nil {
					t.Errorf("init %s: %s", unit, out)
				}
			}
		})
	}
}
