//go:build linux

package pm2

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// system is this machine's service manager, as far as bringing PM2 back needs it.
type system struct {
	units  []string // folders of unit files, the most telling first
	run    string   // where the managers' own sockets are
	cgroup string   // the file that says which service we are in
	path   []string // where its programs are
}

var machine = system{
	units:  []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"},
	run:    "/run",
	cgroup: "/proc/self/cgroup",
	path:   []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"},
}

// unitSize bounds what is read of a unit file.
const unitSize = 64 << 10

// unitOf is the service that keeps PM2 in a home, as `pm2 startup` makes it; empty where there is none.
func (s *system) unitOf(home string) string {
	if _, err := os.Stat(filepath.Join(s.run, "systemd/system")); err != nil {
		return "" // the machine does not run under systemd
	}
	for _, dir := range s.units {
		files, _ := filepath.Glob(filepath.Join(dir, "pm2*.service")) // the pattern is right
		for _, file := range files {
			if namesHome(file, home) {
				return filepath.Base(file)
			}
		}
	}
	return ""
}

// namesHome tells whether a unit file sets this PM2_HOME.
func namesHome(file, home string) bool {
	b, _, err := readTail(file, unitSize)
	if err != nil {
		return false
	}
	lines := bufio.NewScanner(strings.NewReader(string(b)))
	for lines.Scan() {
		value, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "Environment=")
		if !ok {
			continue
		}
		dir, ok := strings.CutPrefix(strings.Trim(value, `"'`), "PM2_HOME=")
		if ok && filepath.Clean(strings.Trim(dir, `"'`)) == home {
			return true
		}
	}
	return false
}

// service is the service that we run in; empty where we run in none. What we start would be ended with it.
func (s *system) service() string { return serviceIn(s.cgroup) }

func serviceIn(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		_, rest, _ := strings.Cut(line, ":")
		controllers, group, _ := strings.Cut(rest, ":")
		if controllers != "" && controllers != "name=systemd" {
			continue
		}
		for ; group != "/" && group != "." && group != ""; group = path.Dir(group) {
			switch path.Ext(group) {
			case ".service":
				return path.Base(group)
			case ".scope": // a login, or a scope that was made for us
				return ""
			}
		}
	}
	return ""
}

// apart is what is put before a command so that it and what it starts live in a unit of their own, as a user; and why there
// can be none. It is a service and not a scope, for what is started in a scope would inherit our own unit's sandbox.
func (s *system) apart(uid uint32) ([]string, error) {
	run := find(s.path, "systemd-run")
	if run == "" {
		return nil, errors.New("there is no systemd-run")
	}
	// PM2's command ends when the daemon is there, and the daemon lives on. None of its processes is the main one, whose end
	// would end all others: the unit lasts as long as anything lives in it.
	args := []string{run, "--quiet", "--collect", "--service-type=forking", "--property=GuessMainPID=no",
		"--description=PM2, brought back by evenkeel"}
	id := strconv.FormatUint(uint64(uid), 10)
	switch {
	case os.Geteuid() != 0:
		if _, err := os.Stat(filepath.Join(s.userRun(uid), "systemd/private")); err != nil {
			return nil, fmt.Errorf("no service manager of user %d runs, which a unit for PM2 would need (loginctl enable-linger %d)", uid, uid)
		}
		return append(args, "--user"), nil
	case uid == 0:
		return args, nil
	}
	gid := id
	if u := (&command{daemon: runtime.Daemon{UID: uid}}).user(); u != nil {
		gid = u.Gid
	}
	return append(args, "--uid="+id, "--gid="+gid), nil
}

// userRun is where a user's own service manager has its sockets.
func (s *system) userRun(uid uint32) string {
	return filepath.Join(s.run, "user", strconv.FormatUint(uint64(uid), 10))
}

// unitTimeout bounds the start of PM2's own service.
const unitTimeout = 15 * time.Second

// startUnit starts PM2's own service. errNotAllowed says that we may not.
func (s *system) startUnit(ctx context.Context, unit string) error {
	program := find(s.path, "systemctl")
	if program == "" {
		return fmt.Errorf("%w: there is no systemctl", errNotAllowed)
	}
	ctx, cancel := context.WithTimeout(ctx, unitTimeout)
	defer cancel()
	// Nobody sits there to be asked for a password.
	out, err := s.systemctl(ctx, program, "--no-ask-password", "start", unit)
	switch text := tail(out); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("systemctl start %s: %w", unit, timeoutOr(ctx))
	case strings.Contains(text, "Access denied"), strings.Contains(text, "authentication required"), strings.Contains(text, "Permission denied"):
		return fmt.Errorf("%w: systemctl start %s: %s", errNotAllowed, unit, text)
	default:
		return fmt.Errorf("systemctl start %s: %w: %s", unit, err, text)
	}
}

var errNotAllowed = errors.New("evenkeel may not start it")

// unitIsAtWork tells whether the service manager is just starting the unit, or about to start it again.
func (s *system) unitIsAtWork(ctx context.Context, unit string) bool {
	program := find(s.path, "systemctl")
	if program == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, unitTimeout/3)
	defer cancel()
	out, err := s.systemctl(ctx, program, "show", "--property=ActiveState", "--value", unit)
	return err == nil && strings.HasPrefix(string(out), "activating")
}

func (s *system) systemctl(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"PATH=" + strings.Join(s.path, ":"), "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = drainTime
	out := &bounded{limit: 16 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	return out.b.Bytes(), err
}
