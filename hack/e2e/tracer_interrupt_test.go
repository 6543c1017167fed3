//go:build e2e && linux

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The tracer stops evenkeel at exact points of its work: at the system calls by which the state file of an App is
// committed, counted over all of its threads (strace counts for each thread by itself). It is this test program itself,
// started anew, because a tracer waits for everything that is its child.
//
// It attaches to the process named by tracerPID, says "ready", and then a line for each point. With tracerKill=N it ends
// the process with SIGKILL at the N-th, before the call is carried out. With tracerHold=REGEXP it lets the first thread
// that commits a state matching the expression stand still there until a line comes on its standard input; all the other
// threads go on.
const (
	tracerPID  = "EVENKEEL_TRACER_PID"
	tracerDir  = "EVENKEEL_TRACER_DIR"
	tracerKill = "EVENKEEL_TRACER_KILL"
	tracerHold = "EVENKEEL_TRACER_HOLD"
)

func init() {
	if os.Getenv(tracerPID) == "" {
		return
	}
	if err := traceMain(); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// point is one system call by which something of the state is committed.
type point struct {
	call string // fsync or rename
	what string // the names it is about, relative to the state folder
}

func (p point) String() string { return p.call + " " + p.what }

type tracee struct {
	pid    int
	dir    string // the state folder, as this process sees it
	inside string // and as the traced one does
	kill   int
	hold   *regexp.Regexp
	in     *bufio.Reader
	points int
	freed  chan struct{}
	held   int // the thread that stands still
	inCall map[int]bool
}

func traceMain() error {
	runtime.LockOSThread()
	t := &tracee{in: bufio.NewReader(os.Stdin), freed: make(chan struct{}), inCall: map[int]bool{}}
	var err error
	if t.pid, err = strconv.Atoi(os.Getenv(tracerPID)); err != nil {
		return err
	}
	t.inside = os.Getenv(tracerDir)
	t.dir = fmt.Sprintf("/proc/%d/root%s", t.pid, t.inside)
	if n := os.Getenv(tracerKill); n != "" {
		if t.kill, err = strconv.Atoi(n); err != nil {
			return err
		}
	}
	if h := os.Getenv(tracerHold); h != "" {
		t.hold = regexp.MustCompile(h)
	}
	if err := t.attach(); err != nil {
		return err
	}
	fmt.Println("ready")
	return t.loop()
}

// attach takes every thread; those that are born while it does are taken along by their parents, or in the next round.
func (t *tracee) attach() error {
	taken := map[int]bool{}
	for again := true; again; {
		again = false
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", t.pid))
		if err != nil {
			return err
		}
		for _, e := range tasks {
			tid, _ := strconv.Atoi(e.Name())
			if taken[tid] {
				continue
			}
			taken[tid], again = true, true
			err := ptrace(unix.PTRACE_SEIZE, tid, 0, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACESYSGOOD)
			switch {
			case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EPERM): // it is gone, or taken already by way of its parent
			case err != nil:
				return fmt.Errorf("thread %d: %w", tid, err)
			default:
				if err := ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0); err != nil && !errors.Is(err, unix.ESRCH) {
					return fmt.Errorf("thread %d: %w", tid, err)
				}
			}
		}
	}
	return nil
}

func ptrace(request, tid int, addr, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// loop lets the threads run from stop to stop until the process has ended.
func (t *tracee) loop() error {
	for {
		var status unix.WaitStatus
		flags := unix.WALL
		if t.held != 0 {
			flags |= unix.WNOHANG
		}
		tid, err := unix.Wait4(-1, &status, flags, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return nil // nobody is left
		case err != nil:
			return err
		case tid == 0: // only while one is held
			select {
			case <-t.freed:
				held := t.held
				t.held = 0
				_ = ptrace(unix.PTRACE_SYSCALL, held, 0, 0)
			case <-time.After(2 * time.Millisecond):
			}
			continue
		case !status.Stopped():
			continue
		}
		t.stopped(tid, status)
	}
}

// stopped deals with one stop of one thread.
func (t *tracee) stopped(tid int, status unix.WaitStatus) {
	signal := uintptr(0)
	event := int(status) >> 16
	switch {
	case status.StopSignal() == unix.SIGTRAP|0x80:
		if !t.call(tid) {
			return
		}
	case event == unix.PTRACE_EVENT_STOP && stops(status.StopSignal()):
		_ = ptrace(unix.PTRACE_LISTEN, tid, 0, 0)
		return
	case event != 0: // a new thread, or the stop that was asked for
	default:
		signal = uintptr(status.StopSignal())
	}
	_ = ptrace(unix.PTRACE_SYSCALL, tid, 0, signal)
}

func stops(s syscall.Signal) bool {
	return s == unix.SIGSTOP || s == unix.SIGTSTP || s == unix.SIGTTIN || s == unix.SIGTTOU
}

// callInfo is struct ptrace_syscall_info at the entry of a call.
type callInfo struct {
	Op  uint8
	_   [3]byte
	_   uint32
	_   [2]uint64
	Nr  uint64
	Arg [6]uint64
}

const (
	getSyscallInfo = 0x420e
	callEntry      = 1
)

// call looks at a call that a thread enters or leaves. It tells whether the thread is to go on.
func (t *tracee) call(tid int) bool {
	var info callInfo
	size := unsafe.Sizeof(info)
	if ptrace(getSyscallInfo, tid, size, uintptr(unsafe.Pointer(&info))) != nil || info.Op != callEntry {
		return true
	}
	p, ok := t.pointOf(&info)
	if !ok {
		return true
	}
	t.points++
	fmt.Println("point", t.points, p)
	if t.points == t.kill {
		_ = unix.Kill(t.pid, unix.SIGKILL)
		fmt.Println("killed", t.points, p)
		return true
	}
	if t.hold != nil && p.call == "rename" && !strings.HasSuffix(p.what, ".previous.yaml") {
		name, _, _ := strings.Cut(p.what, " ")
		data, err := os.ReadFile(filepath.Join(t.dir, name))
		if err == nil && t.hold.Match(data) {
			t.hold, t.held = nil, tid
			fmt.Println("held", t.points, p)
			go func() {
				_, _ = t.in.ReadString('\n')
				close(t.freed)
			}()
			return false
		}
	}
	return true
}

// pointOf tells whether a call commits something of the state: an fsync of the new state or of its folder, or a rename.
func (t *tracee) pointOf(info *callInfo) (point, bool) {
	switch info.Nr {
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, info.Arg[0]))
		if err != nil {
			return point{}, false
		}
		what, ok := t.inFolder(path)
		return point{"fsync", what}, ok
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		from, ok := t.inFolder(t.text(info.Arg[1]))
		to, ok2 := t.inFolder(t.text(info.Arg[3]))
		if strings.HasSuffix(from, ".pass.json.new") || !ok || !ok2 { // passes are not committed; nothing hangs on them
			return point{}, false
		}
		return point{"rename", from + " → " + to}, true
	}
	return point{}, false
}

func (t *tracee) inFolder(path string) (string, bool) {
	if path == t.inside {
		return ".", true
	}
	return strings.CutPrefix(path, t.inside+"/")
}

// text reads a C string of the traced process.
func (t *tracee) text(addr uint64) string {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.pid))
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, 4096)
	// It may lie at the end of a page behind which there is nothing.
	n, err := f.ReadAt(buf[:min(4096, int(4096-addr%4096))], int64(addr))
	if err == nil && n > 0 && !strings.Contains(string(buf[:n]), "\x00") {
		more, _ := f.ReadAt(buf[n:], int64(addr)+int64(n))
		n += more
	}
	text, _, _ := strings.Cut(string(buf[:n]), "\x00")
	return text
}

// tracing is a tracer as a test sees it.
type tracing struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  chan string
	mu     sync.Mutex
	points []string
}

// attach attaches a tracer to a process whose state folder is dir (as that process names it).
func attach(t *testing.T, pid int, dir string, extra ...string) *tracing {
	t.Helper()
	tr := &tracing{cmd: exec.Command("/proc/self/exe"), lines: make(chan string, 4096)}
	tr.cmd.Env = append([]string{tracerPID + "=" + strconv.Itoa(pid), tracerDir + "=" + dir}, extra...)
	tr.cmd.Stderr = os.Stderr
	var err error
	if tr.stdin, err = tr.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := tr.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(tr.lines)
		scanner := bufio.NewScanner(out)
		for scanner.Scan() {
			line := scanner.Text()
			if rest, ok := strings.CutPrefix(line, "point "); ok {
				_, p, _ := strings.Cut(rest, " ")
				tr.mu.Lock()
				tr.points = append(tr.points, p)
				tr.mu.Unlock()
				continue
			}
			tr.lines <- line
		}
	}()
	t.Cleanup(tr.end)
	if line := tr.line(t, 10*time.Second); line != "ready" {
		t.Fatalf("the tracer says %q", line)
	}
	return tr
}

// line is the next thing that the tracer says, other than that a point was passed.
func (tr *tracing) line(t *testing.T, limit time.Duration) string {
	t.Helper()
	select {
	case line, ok := <-tr.lines:
		if !ok {
			t.Fatal("the tracer has ended")
		}
		return line
	case <-time.After(limit):
		t.Fatalf("the tracer said nothing for %s; points so far: %v", limit, tr.passed())
		return ""
	}
}

// passed are the points so far.
func (tr *tracing) passed() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return append([]string(nil), tr.points...)
}

// release lets the held thread go on.
func (tr *tracing) release(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(tr.stdin, "\n"); err != nil {
		t.Fatal(err)
	}
}

// end lets the process go, which goes on untraced.
func (tr *tracing) end() {
	_ = tr.cmd.Process.Kill()
	_ = tr.cmd.Wait()
}
