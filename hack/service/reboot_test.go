//go:build vps

package service

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pm2Unit has PM2 write the unit that brings it back.
const pm2Unit = "env PATH=$PATH:$(echo /home/deploy/.nvm/versions/node/*/bin) /home/deploy/.nvm/versions/node/*/bin/pm2 startup systemd -u deploy --hp /home/deploy"

// TestAReboot: the site is back by itself, and what evenkeel has spent and waits for is what it was. A container gets a boot id of
// its own each time, and its clock goes on; the kernel of an emulated machine begins at zero.
func TestAReboot(t *testing.T) {
	for name, c := range map[string]struct {
		prepare  string
		cooldown time.Duration // must be longer than a reboot takes
		attempts int           // when the site is back
	}{
		"with a unit of PM2's": {pm2Unit, 5 * time.Minute, 1},
		// evenkeel brings PM2 back, when the cooldown is over.
		"without a unit of PM2's": {"true", 2 * time.Minute, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if emulated {
				c.cooldown *= 3
			}
			m := boot(t)
			m.root(c.prepare)
			m.write("/home/deploy/site.yaml", strings.Replace(brisk, "cooldown: 5m", fmt.Sprintf("cooldown: %s", c.cooldown), 1))
			m.root("evenkeel install -f /home/deploy/site.yaml")
			m.untilPhase("site", "Healthy", 10*time.Second)
			m.hang("site/server.js")
			before := m.untilPhase("site", "Cooldown", 60*time.Second)
			first, _ := m.boot()
			begun := time.Now()
			m.vps("reboot")
			m.eventually(60*time.Second, "evenkeel is back", func() (string, bool) {
				s, raw := m.status("site")
				return raw, s.Status.Phase == "Cooldown" && m.property("ActiveState") == "active"
			})
			m.sameBudget(before)
			now, up := m.boot()
			away := time.Since(begun)
			t.Logf("the kernel is up for %s, and the reboot was ordered %s ago", up, away)
			if now == first || (up < away) != emulated {
				t.Errorf("boot %s became %s; the kernel is up for %s, and the reboot was ordered %s ago", first, now, up, away)
			}
			m.eventually(2*time.Minute+c.cooldown/slow, "the site is back", func() (string, bool) {
				out, err := m.try("root", "curl -sS -m 3 http://www.site.test/")
				return out, err == nil && out == "hello\n"
			})
			m.cooldownWasKept(before, c.attempts)
		})
	}
}

// cooldownWasKept says that there are so many attempts now, of which none after the first began before the cooldown was over.
func (m *machine) cooldownWasKept(before status, attempts int) {
	m.Helper()
	now, raw := m.status("site")
	if now.Status.Incident == nil || len(now.Status.Incident.Attempts) != attempts {
		m.Fatalf("%d attempts, want: %s", attempts, raw)
	}
	until, err := time.Parse(time.RFC3339, before.Status.CooldownUntil)
	if err != nil {
		m.Fatal(err)
	}
	for _, a := range now.Status.Incident.Attempts[1:] {
		m.Logf("attempt %d began at %s, and the cooldown ended at %s", a.Number, a.StartedAt.Wall, until)
		if a.StartedAt.Wall.Before(until) {
			m.Errorf("attempt %d began at %s, before the cooldown was over: %s", a.Number, a.StartedAt.Wall, until)
		}
	}
}

// boot is the boot that the machine is in, and for how long its kernel has been up.
func (m *machine) boot() (id string, up time.Duration) {
	m.Helper()
	words := strings.Fields(m.root("cat /proc/sys/kernel/random/boot_id /proc/uptime"))
	if len(words) != 3 {
		m.Fatalf("boot and uptime: %q", words)
	}
	seconds, err := strconv.ParseFloat(words[1], 64)
	if err != nil {
		m.Fatal(err)
	}
	return words[0], time.Duration(seconds * float64(time.Second))
}
