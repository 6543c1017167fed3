//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// proc names a process for good.
type proc struct {
	PID   int
	Start string // in clock ticks since boot
}

func (p proc) String() string { return fmt.Sprintf("%d:%s", p.PID, p.Start) }

// procOf reads which process a pid is now; no process, or a zombie, is the zero proc.
func procOf(pid int) proc {
	fields := statOf(pid)
	if pid <= 0 || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return proc{}
	}
	return proc{PID: pid, Start: fields[19]}
}

// statOf are the fields of /proc/<pid>/stat behind the name: state, parent, …
func statOf(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
}

func (p proc) alive() bool { return p.PID > 0 && procOf(p.PID) == p }

// statUID is whose a process is; -1 where it does not live.
func statUID(p proc) int {
	info, err := os.Stat(fmt.Sprintf("/proc/%d", p.PID))
	if err != nil || !p.alive() {
		return -1
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// ppid is the parent, 0 where there is none.
func (p proc) ppid() int {
	fields := statOf(p.PID)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1])
	return n
}

func children(pid int) (list []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		data, _ := os.ReadFile(task)
		for _, f := range strings.Fields(string(data)) {
			n, _ := strconv.Atoi(f)
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

// descendants are all processes below pid, pid itself first.
func descendants(pid int) []int {
	list := []int{pid}
	for n := 0; n < len(list); n++ {
		list = append(list, children(list[n])...)
	}
	return list
}

func pidIn(path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(fields[0])
	return n
}

// live is a path in the part of the stack that runs.
func (s *stack) live(parts ...string) string {
	return filepath.Join(append([]string{s.dir, "live"}, parts...)...)
}

// home is a path in deploy's home, as seen from outside.
func (s *stack) home(parts ...string) string {
	return s.live(append([]string{"home", "deploy"}, parts...)...)
}

// app is a path in the site's folder, as seen from outside.
func (s *stack) app(parts ...string) string {
	return s.home(append([]string{"bbyatch", "bbyatchv2-master"}, parts...)...)
}

// pm2Daemon is PM2's daemon of this stack.
func (s *stack) pm2Daemon() proc {
	net, err := os.Readlink("/proc/" + s.env["STACK_PID"] + "/ns/net")
	if err != nil {
		return proc{}
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		data, _ := os.ReadFile(path)
		if !strings.HasPrefix(string(data), "PM2 v") || !strings.Contains(string(data), "God Daemon ("+s.env["PM2_HOME"]+")") {
			continue
		}
		if ns, _ := os.Readlink(filepath.Join(filepath.Dir(path), "ns", "net")); ns == net {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return procOf(pid)
		}
	}
	return proc{}
}

// pm2Proc is the process that PM2 keeps under a name, from its pid file; the zero proc where it does not live.
func (s *stack) pm2Proc(name string) proc {
	files, _ := filepath.Glob(s.home(".pm2", "pids", name+"-*.pid"))
	for _, f := range files {
		p := procOf(pidIn(f))
		if p.PID != 0 && p.ppid() == s.pm2Daemon().PID {
			return p
		}
	}
	return proc{}
}

// survivors are those whom no recovery may touch, by name.
func (s *stack) survivors() map[string]proc {
	m := map[string]proc{
		"shop":      s.pm2Proc("shop"),
		"stray":     procOf(pidIn(filepath.Join(s.dir, "run", "stray"))),
		"neighbour": procOf(pidIn(filepath.Join(s.dir, "run", "neighbour"))),
		"pm2":       s.pm2Daemon(),
		"nginx":     procOf(pidIn(s.live("nginx", "nginx.pid"))),
		"postgres":  procOf(pidIn(s.live("pg", "data", "postmaster.pid"))),
	}
	for n, pid := range children(m["nginx"].PID) {
		m[fmt.Sprintf("nginx worker %d", n)] = procOf(pid)
	}
	return m
}
