//go:build vps

package service

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// askHelper is what evenkeel does to have swap cleared, as any program may try it.
const askHelper = `perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new("/run/evenkeel-swap.sock") or die "refused: $!\n"; print <$s>'`

// noSwap boots a machine whose list of swap areas is the test's own. Nothing is ever switched: the
// kernel lets nobody in a container do that, and no area of that name is there.
func noSwap(t *testing.T) *machine {
	t.Helper()
	m := boot(t)
	m.swaps("")
	m.write("/home/deploy/site.yaml", brisk)
	return m
}

// swaps says which areas the kernel knows of.
func (m *machine) swaps(lines string) {
	m.Helper()
	m.write("/root/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"+lines)
	m.root("umount /proc/swaps 2>/dev/null; chown root: /root/swaps; mount --bind /root/swaps /proc/swaps")
}

func TestTheSwapHelperOnAMachineWithSystemd(t *testing.T) {
	m := noSwap(t)
	m.wants(m.root("evenkeel install -f /home/deploy/site.yaml"), "clearing swap is off", "--with-swap-helper")
	m.untilPhase("site", "Healthy", 10*time.Second)
	m.wants(m.deploy("evenkeel status"), "never cleared: only root may clear it, and evenkeel runs as an ordinary user")
	main := m.property("MainPID")

	m.wants(m.root("evenkeel install -f /home/deploy/site.yaml --with-swap-helper --print"), "# /etc/systemd/system/evenkeel-swap.service", "SocketUser=deploy")
	m.wants(m.root("evenkeel install -f /home/deploy/site.yaml --with-swap-helper"), "nobody but deploy may ask")
	if now := m.property("MainPID"); now != main {
		t.Errorf("process %s became %s for the helper", main, now)
	}
	if out := m.root("systemd-analyze verify /etc/systemd/system/evenkeel-swap.service /etc/systemd/system/evenkeel-swap.socket 2>&1"); out != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	security := m.root("systemd-analyze security --no-pager evenkeel-swap.service")
	t.Log(security[strings.LastIndex(security, "→"):])
	m.wants(m.deploy("evenkeel status"), "cleared where it fits, by evenkeel-swap.service")
	m.wants(m.root("evenkeel install -f /home/deploy/site.yaml"), "already installed")
	if out := m.root("systemctl is-active evenkeel-swap.service || true"); out != "inactive\n" {
		t.Errorf("before anybody asks it is %s", out)
	}

	// Only deploy may ask.
	if out, err := m.try("other", askHelper); err == nil || !strings.Contains(out, "refused: Permission denied") {
		t.Errorf("another user: %s", out)
	}
	m.wants(m.deploy(askHelper), `"outcome":"LeftAlone"`, "there is none")
	pid := strings.TrimSpace(m.root("systemctl show -p MainPID --value evenkeel-swap"))
	m.wants(m.root("cat /proc/"+pid+"/status"), "Uid:\t0\t0\t0\t0", "NoNewPrivs:\t1", "CapBnd:\t0000000000200000")
	if out := m.root(fmt.Sprintf("readlink /proc/%s/ns/mnt /proc/1/ns/mnt | uniq | wc -l", pid)); out != "1\n" {
		t.Error("it has a view of the file system of its own: what it switches on would be known by another path")
	}

	// It decides by what it sees itself: this does not fit into any machine.
	m.swaps("/swapfile                               file\t\t9999999999\t9999999999\t-2\n")
	m.wants(m.deploy(askHelper), `"outcome":"LeftAlone"`, "does not fit")
	// What fits it tries to clear; here the kernel refuses that. Once in a minute.
	m.root("touch /swapfile && chmod 600 /swapfile")
	m.swaps("/swapfile                               file\t\t1048572\t\t1024\t\t-2\n")
	m.wants(m.deploy(askHelper), `"outcome":"Failed"`, "clearing swap on /swapfile", "swapoff: Not superuser")
	m.wants(m.deploy(askHelper), `"outcome":"LeftAlone"`, "once in 60s")
	m.wants(m.root("journalctl -u evenkeel-swap -o cat --no-pager"), "uid=1000", "Not superuser")
	// However often it is asked, it answers.
	m.deploy("for n in $(seq 100); do " + askHelper + " >/dev/null || exit 1; done")
	m.wants(m.deploy(askHelper), `"outcome":"LeftAlone"`)

	// It comes with the machine.
	m.vps("reboot")
	m.eventually(60*time.Second, "evenkeel can have it cleared", func() (string, bool) {
		out, _ := m.try("deploy", "evenkeel status")
		return out, strings.Contains(out, "cleared where it fits, by evenkeel-swap.service")
	})
	m.wants(m.deploy(askHelper), `"outcome":`)

	m.wants(m.root("evenkeel uninstall"), "evenkeel-swap.socket")
	if out, err := m.try("root", "ls -d /run/evenkeel-swap.sock /etc/systemd/system/evenkeel-swap.* /etc/systemd/system/sockets.target.wants/evenkeel-swap.socket 2>/dev/null"); err == nil || out != "" {
		t.Errorf("left behind: %s", out)
	}
	if pid := m.pid("evenkeel swap-helper"); pid != 0 {
		t.Errorf("it runs on as %d", pid)
	}
}

func TestTheSwapHelperIsNoWayToBecomeRoot(t *testing.T) {
	m := noSwap(t)
	// Whoever may replace the program would be root.
	m.deploy("mkdir -p bin && cp /usr/bin/evenkeel bin/")
	out, err := m.try("root", "/home/deploy/bin/evenkeel install -f /home/deploy/site.yaml --with-swap-helper")
	if err == nil {
		t.Error("installed")
	}
	m.wants(out, "does not belong to root", "sudo install /home/deploy/bin/evenkeel /usr/local/bin/")
	if out, err := m.try("root", "ls /etc/systemd/system/evenkeel-swap.* /etc/systemd/system/evenkeel.service 2>/dev/null"); err == nil {
		t.Errorf("written: %s", out)
	}
}

// leaking is a site that takes memory when it is asked for /grow, and of which the machine, as the test tells it, has then too little
// left until it ends: what it has taken itself, and more than enough when it has ended.
const leaking = `'use strict';
const fs = require('node:fs');
const tell = (mib) => fs.writeFileSync('/home/deploy/meminfo',
  'MemTotal: 4194304 kB\nMemFree: 1024 kB\nMemAvailable: ' + mib * 1024 + ' kB\nSwapTotal: 1048572 kB\nSwapFree: 1047548 kB\n');
const kept = [];
require('node:http').createServer((req, res) => {
  if (req.url === '/grow') {
    for (let n = 0; n < 25; n++) kept.push(Buffer.alloc(8 << 20, 1));
    tell(50);
  }
  res.end('hello\n');
}).listen(3003);
const end = () => {
  tell(3000);
  process.exit(0);
};
process.on('SIGTERM', end);
process.on('SIGINT', end);
tell(260);
`

func TestARecoveryAsksTheSwapHelper(t *testing.T) {
	m := noSwap(t)
	m.root("touch /swapfile && chmod 600 /swapfile")
	m.swaps("/swapfile                               file\t\t1048572\t\t1024\t\t-2\n")
	m.write("/home/deploy/site/server.js", leaking)
	m.deploy("cd site && pm2 restart site")
	m.eventually(20*time.Second, "it has told of the memory", func() (string, bool) {
		out, err := m.try("root", "grep 266240 /home/deploy/meminfo")
		return out, err == nil
	})
	m.root("mount --bind /home/deploy/meminfo /proc/meminfo")
	// evenkeel's own sandbox has a /proc of its own.
	m.root("mkdir -p /etc/systemd/system/evenkeel.service.d && printf '[Service]\\nBindReadOnlyPaths=/home/deploy/meminfo:/proc/meminfo /root/swaps:/proc/swaps\\n' >/etc/systemd/system/evenkeel.service.d/own.conf")
	m.write("/home/deploy/site.yaml", strings.Replace(brisk, "memory: {timeout: 2s}", "memory: {timeout: 2s, minAvailable: 100Mi, for: 1s, baselineAfter: 1s}", 1))
	m.root("evenkeel install -f /home/deploy/site.yaml --with-swap-helper")
	// Were it the unit's own sandbox that refuses, it would do so by another error than the kernel.
	m.root("mkdir -p /etc/systemd/system/evenkeel-swap.service.d && printf '[Service]\\nSystemCallErrorNumber=EUCLEAN\\n' >/etc/systemd/system/evenkeel-swap.service.d/own.conf && systemctl daemon-reload")
	m.untilPhase("site", "Healthy", 10*time.Second)
	m.root("curl -sS -m 20 http://localhost:3003/grow")
	m.untilPhase("site", "Cooldown", 60*time.Second)

	// The step has asked, the helper has tried, the kernel has refused, and the recovery has gone on.
	events := m.deploy("evenkeel events -o json")
	m.wants(events, "AppGrew", "the swap helper: clearing swap on /swapfile: swapoff: ", "Not superuser", `"outcome":"Verified"`)
	m.wants(m.root("journalctl -u evenkeel-swap -o cat --no-pager"), "outcome=Failed", "uid=1000")
	s, raw := m.status("site")
	if s.Status.Incident == nil || len(s.Status.Incident.Attempts) != 1 {
		t.Errorf("want one attempt: %s", raw)
	}
	m.root("curl -sSf -m 20 http://www.site.test/")
}
