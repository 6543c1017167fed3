//go:build vps && qemu

package service

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// growing is a site that takes, when it is asked for /grow, all of the machine's memory but 100 MiB.
const growing = `'use strict';
const fs = require('node:fs');
const kept = [];
const available = () => Number(/MemAvailable: +(\d+)/.exec(fs.readFileSync('/proc/meminfo', 'utf8'))[1]) >> 10;
require('node:http').createServer((req, res) => {
  if (req.url === '/grow') while (available() > 100) kept.push(Buffer.alloc(8 << 20, 1));
  res.end('hello\n');
}).listen(3003);
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));
`

// idle is a program that waits, and when it is asked (SIGUSR1) says whether its 24 MiB are what they were.
const idle = `$| = 1;
$kept = '';
$kept .= chr($_ % 251) x 4096 for 1 .. 6144;
$sum = unpack '%32C*', $kept;
$SIG{USR1} = sub { print unpack('%32C*', $kept) == $sum ? "all is there\n" : "something is lost\n" };
sleep 60 while 1;
`

// With the tag qemu all tests of this package run on the emulated machine. It is slow, and given time.
func init() {
	emulated, slow = true, 12
	brisk = strings.NewReplacer("interval: 1s", "interval: 5s", "timeout: 2s", "timeout: 30s", "timeout: 1s", "timeout: 20s",
		"stopTimeout: 1s", "stopTimeout: 10s", "deadline: 10s", "deadline: 2m", "startupGrace: 5s", "startupGrace: 2m").Replace(brisk)
}

// TestARecoveryClearsSwapThroughTheHelper wants swap of the machine's own, which no container has.
func TestARecoveryClearsSwapThroughTheHelper(t *testing.T) {
	m := &machine{T: t}
	m.vps("up")
	m.vps("copy", binary, "/usr/bin/evenkeel")
	m.root("fallocate -l 256M /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon -p 7 /swapfile")
	m.write("/home/deploy/site/server.js", growing)
	m.deploy("cd site && pm2 start ecosystem.config.js && pm2 save")

	// Somebody else's memory is swapped out, and stays there.
	m.write("/usr/local/bin/idle", idle)
	m.root("systemd-run --unit=idle -p User=other -p MemoryAccounting=yes -p MemoryHigh=8M perl /usr/local/bin/idle")
	m.eventually(30*time.Second, "it is swapped out", func() (string, bool) {
		area := m.area()
		return fmt.Sprintf("%+v", area), area.used >= 12<<10
	})
	m.root("systemctl set-property --runtime idle.service MemoryHigh=infinity")

	file := strings.Replace(brisk, "memory: {timeout: 30s}", "memory: {timeout: 30s, minAvailable: 150Mi, for: 5s, baselineAfter: 10s}", 1)
	m.write("/home/deploy/site.yaml", file)
	m.root("evenkeel install -f /home/deploy/site.yaml --with-swap-helper")
	m.untilPhase("site", "Healthy", 10*time.Second)
	m.wants(m.deploy("evenkeel status"), "cleared where it fits, by evenkeel-swap.service")
	m.wants(m.root("cat /proc/"+m.property("MainPID")+"/status"), "Uid:\t1000\t1000\t1000\t1000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2")
	before := m.area()
	m.root("curl -sS -m 120 http://localhost:3003/grow")
	m.untilPhase("site", "Cooldown", 30*time.Second)

	events := m.deploy("evenkeel events -o json")
	for _, step := range []string{"stop", "linger", "port", "memory", "start", "verify"} {
		m.wants(events, fmt.Sprintf(`"step":%q`, step))
	}
	m.wants(events, "MiB of swap are read back into", "AppGrew", `"outcome":"Verified"`)
	said := m.root("journalctl -u evenkeel-swap -o cat --no-pager")
	m.wants(said, "outcome=Cleared", "uid=1000")
	t.Log(said)
	after := m.area()
	t.Logf("swap was %+v, and is %+v", before, after)
	if before.used == 0 || after != (area{path: "/swapfile", priority: 7}) {
		t.Errorf("swap was %+v, and is %+v", before, after)
	}
	m.root("systemctl kill --kill-whom=main --signal=USR1 idle")
	m.eventually(20*time.Second, "what was swapped out is what it was", func() (string, bool) {
		out := m.root("journalctl -u idle -o cat --no-pager")
		return out, strings.Contains(out, "all is there")
	})
	m.root("curl -sSf -m 60 http://www.site.test/")
}

// area is the one swap area of a machine.
type area struct {
	path           string
	used, priority int // KiB
}

func (m *machine) area() (a area) {
	m.Helper()
	words := strings.Fields(m.root("tail -n +2 /proc/swaps"))
	if len(words) != 5 {
		m.Fatalf("one swap area, want: %q", words)
	}
	a.path = words[0]
	var err error
	if a.used, err = strconv.Atoi(words[3]); err == nil {
		a.priority, err = strconv.Atoi(words[4])
	}
	if err != nil {
		m.Fatal(err)
	}
	return a
}
