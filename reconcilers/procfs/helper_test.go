//go:build linux

package procfs

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const helperEnv = "EVENKEEL_PROCFS_HELPER"

// The first thread stands for the whole process in /proc; kept here, it is never the one that asNobody spoils.
func init() { runtime.LockOSThread() }

// TestMain lets the test binary play the processes that are looked at. A helper says "ready" and ends with its stdin.
func TestMain(m *testing.M) {
	switch mode := os.Getenv(helperEnv); mode {
	case "":
		os.Exit(m.Run())
	case "comm":
		if err := os.WriteFile("/proc/self/comm", []byte(os.Getenv("HELPER_COMM")), 0); err != nil {
			panic(err)
		}
	case "parent":
		// A child below the helper, which shares its stdin and so its end.
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), helperEnv+"=plain")
		child.Stdin, child.Stdout = os.Stdin, os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		_ = child.Wait()
		os.Exit(0)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// helper starts the test binary in the given mode and waits until it says that it is ready.
func helper(t testing.TB, mode string, env ...string) *exec.Cmd {
	t.Helper()
	return start(t, mode, env)
}

func start(t testing.TB, mode string, env []string, files ...*os.File) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.ExtraFiles = files
	cmd.Env = append(append(os.Environ(), helperEnv+"="+mode), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("helper said %q, %v", line, err)
	}
	return cmd
}

// asNobody runs f on a thread of its own that has lost root's rights, and gives the thread back to the kernel.
func asNobody(t *testing.T, prepare, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give its rights up")
	}
	skipped := ""
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if prepare != nil {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				skipped = "unshare: " + err.Error()
				return
			}
			prepare()
		}
		for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, errno := unix.RawSyscall(call, 65534, 65534, 65534); errno != 0 {
				skipped = "become nobody: " + errno.Error()
				return
			}
		}
		f()
	}()
	<-done
	if skipped != "" {
		t.Skip(skipped)
	}
}

// eventually asks until the answer is yes.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// listen opens a TCP socket and returns its inode.
func listen(t testing.TB) (*net.TCPListener, uint64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }); err != nil {
		t.Fatal(err)
	}
	return l.(*net.TCPListener), st.Ino
}

// helperWithFile is a helper that has inherited an open file.
func helperWithFile(t *testing.T, f *os.File) *exec.Cmd {
	t.Helper()
	return start(t, "plain", nil, f)
}
