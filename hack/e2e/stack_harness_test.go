//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stack is the machine in the box.
type stack struct {
	script string // hack/stack
	dir    string // its folder
	work   string // our own folder in it, which deploy may read
	binary string // the built evenkeel
	env    map[string]string
	uid    int
	gid    int
	client *http.Client
	held   *os.File // the lock
}

var theStack = &stack{}

// prepare builds the program and brings the stack up.
func (s *stack) prepare() error {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	s.script = filepath.Join(root, "hack", "stack")
	dir, err := s.command("path").Output()
	if err != nil {
		return fmt.Errorf("hack/stack path: %w", err)
	}
	s.dir = strings.TrimSpace(string(dir))
	if err := s.lock(); err != nil {
		return err
	}
	s.work = filepath.Join(s.dir, "e2e")
	s.binary = filepath.Join(s.work, "evenkeel")
	if err := s.endLeftovers(); err != nil {
		return err
	}
	up := s.command("up")
	up.Stderr = os.Stderr
	if err := up.Run(); err != nil {
		return fmt.Errorf("hack/stack up: %w", err)
	}
	if err := os.RemoveAll(s.work); err != nil {
		return err
	}
	if err := os.MkdirAll(s.work, 0o755); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", s.binary, ".")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := os.Chmod(s.binary, 0o755); err != nil {
		return err
	}
	deploy, err := user.Lookup("deploy")
	if err != nil {
		return err
	}
	s.uid, _ = strconv.Atoi(deploy.Uid)
	s.gid, _ = strconv.Atoi(deploy.Gid)
	if err := s.readEnv(); err != nil {
		return err
	}
	ca, err := os.ReadFile(s.env["CA_FILE"])
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return errors.New("the stack's CA cannot be read")
	}
	s.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			var c net.Conn
			err = s.inside(func() (err error) {
				c, err = (&net.Dialer{}).DialContext(ctx, "tcp4", "127.0.0.1:"+port)
				return err
			})
			return c, err
		},
	}}
	return nil
}

// endLeftovers ends the evenkeels of a run that was killed: they would go on acting on the site beside that which is tested.
// They are known by the program that only these tests start.
func (s *stack) endLeftovers() error {
	exes, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range exes {
		program, _ := os.Readlink(exe)
		if program != s.binary && program != s.binary+" (deleted)" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(exe)))
		if err := endLeftover(pid, program); err != nil {
			return err
		}
	}
	return nil
}

func endLeftover(pid int, program string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // it has ended
	}
	defer func() { _ = unix.Close(fd) }()
	if now, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); now != program {
		return nil // its number is another's
	}
	fmt.Fprintf(os.Stderr, "e2e: evenkeel, pid %d, is left over from a run that was killed; it is ended\n", pid)
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} // #nosec G115 -- a descriptor
	if n, err := unix.Poll(ended, 5000); n == 0 || err != nil {
		return fmt.Errorf("evenkeel, pid %d, is left over from another run and does not end (%v)", pid, err)
	}
	return nil
}

// lock waits until no other run of these tests uses the stack; the lock goes with this process.
func (s *stack) lock() error {
	f, err := os.OpenFile(s.dir+".e2e.lock", os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	s.held = f
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, "e2e: another run uses", s.dir+"; waiting for its end")
	return unix.Flock(int(f.Fd()), unix.LOCK_EX)
}

func (s *stack) readEnv() error {
	out, err := s.command("env").Output()
	if err != nil {
		return fmt.Errorf("hack/stack env: %w", err)
	}
	s.env = map[string]string{}
	for line := range strings.Lines(string(out)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s.env[k] = strings.Trim(v, "'")
		}
	}
	return nil
}

// command is a call of hack/stack. Its context is the caller's own affair.
func (s *stack) command(args ...string) *exec.Cmd { return exec.Command(s.script, args...) }

// inside runs f in the stack's network namespace; f must not start goroutines that make sockets.
func (s *stack) inside(f func() error) error {
	runtime.LockOSThread()
	own, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return err
	}
	defer own.Close()
	there, err := os.Open("/proc/" + s.env["STACK_PID"] + "/ns/net")
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	err = f()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		return back // the thread stays locked, and dies with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// listen listens on the loopback of the stack; port 0 takes any.
func (s *stack) listen(port int) (net.Listener, error) {
	var l net.Listener
	err := s.inside(func() (err error) {
		l, err = net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
		return err
	})
	return l, err
}
