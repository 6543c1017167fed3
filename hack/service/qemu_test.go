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

// idle is a program that waits, and when it is asked (SIGUSR1) says whether its memory, so many MiB, is what it was.
const idle = `$| = 1;
$kept = '';
$kept .= chr($_ % 251) x 4096 for 1 .. $ARGV[0] << 8;
$sum = unpack '%32C*', $kept;
$SIG{USR1} = sub { print unpack('%32C*', $kept) == $sum ? "all is there\n" : "something is lost\n" };
print "it waits\n";
sleep 60 while 1;
`

// swapsOut has somebody else's program take so much memory (MiB) that is then swapped out, all but 8 MiB, and stays there.
func (m *machine) swapsOut(unit string, size int) {
	m.Helper()
	before := m.area()
	m.runs(unit, size)
	m.root("systemctl set-property --runtime " + unit + " MemoryHigh=8M")
	m.eventually(20*time.Second, "it is swapped out", func() (string, bool) {
		now := m.area()
		return fmt.Sprintf("%+v", now), now.used-before.used >= (size-12)<<10
	})
	m.root("systemctl set-property --runtime " + unit + " MemoryHigh=infinity")
}

// runs has somebody else's program take so much memory (MiB).
func (m *machine) runs(unit string, size int) {
	m.Helper()
	m.root(fmt.Sprintf("systemd-run --unit=%s -p User=other -p MemoryAccounting=yes perl /usr/local/bin/idle %d", unit, size))
	m.says(unit, "it waits")
}

// says waits until a unit has said something.
func (m *machine) says(unit, what string) {
	m.Helper()
	m.eventually(20*time.Second, unit+" has said "+what, func() (string, bool) {
		out := m.root("journalctl -o cat --no-pager -u " + unit)
		return out, strings.Contains(out, what)
	})
}

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

	m.write("/usr/local/bin/idle", idle)
	m.swapsOut("idle", 24)

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
	m.says("idle", "all is there")
	m.root("curl -sSf -m 60 http://www.site.test/")

	// What does not fit stays where it is, also when the helper is asked by itself.
	m.swapsOut("large", 200)
	m.runs("full", m.available()-260)
	before = m.area()
	said = m.deploy(askHelper)
	m.wants(said, `"outcome":"LeftAlone"`, "does not fit into the")
	t.Log(said)
	if after := m.area(); after.used < before.used-4<<10 {
		t.Errorf("swap was %+v, and is %+v", before, after)
	}
}

// available is the machine's available memory (MiB).
func (m *machine) available() int {
	m.Helper()
	kib, err := strconv.Atoi(strings.TrimSpace(m.root("sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")))
	if err != nil {
		m.Fatal(err)
	}
	return kib >> 10
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
