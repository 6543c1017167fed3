package database

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// The real servers, each in a folder of its own, as a user without rights. hack/test installs them.

const asNobody = 65534

// workshop is a folder that the server's user may write. Its path is short: that of a socket has to be.
func workshop(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ekdb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, asNobody, asNobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func command(dir, program string, args ...string) *exec.Cmd {
	c := exec.Command(program, args...)
	c.Dir = dir
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=" + dir}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: asNobody, Gid: asNobody}
	}
	return c
}

func run(t testing.TB, c *exec.Cmd, stdin string) {
	t.Helper()
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", c.Path, err, out)
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// server is a running server.
type server struct {
	dir, port string
	cmd       *exec.Cmd
	done      chan struct{}
}

func (s *server) start(t testing.TB, program string, args ...string) {
	t.Helper()
	s.cmd, s.done = command(s.dir, program, args...), make(chan struct{})
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, done := s.cmd, s.done
	go func() {
		_ = cmd.Wait()
		_ = log.Close()
		close(done)
	}()
	t.Cleanup(func() { s.stop(syscall.SIGKILL) })
}

func (s *server) stop(sig syscall.Signal) {
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	_ = s.cmd.Process.Signal(sig)
	<-s.done
}

// until asks until the class is as wanted: the fact that is waited for.
func until(t testing.TB, target Target, want facts.DatabaseClass) Answer {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		a := ask(t, target, 5*time.Second)
		if a.Class == want {
			return a
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v: %+v, want %s", target, a, want)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func ask(t testing.TB, target Target, within time.Duration) Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return target.Ask(ctx)
}

func parse(t testing.TB, format string, args ...any) Target {
	t.Helper()
	target, err := Parse(fmt.Sprintf(format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func find(t testing.TB, what string, patterns ...string) string {
	t.Helper()
	for _, pattern := range patterns {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Fatalf("there is no %s on this machine (%s); hack/test installs it", what, strings.Join(patterns, ", "))
	return ""
}
