//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone says that the process meant is not there any more: it ended, or its pid belongs to another one now.
var ErrGone = errors.New("process is gone")

// tick is the unit of start times in /proc: USER_HZ is 100 on every machine that Go runs on.
const tick = time.Second / 100

// FS is a proc file system.
type FS struct{ root string }

// Default is the kernel's own /proc.
func Default() FS { return FS{root: "/proc"} }

// New reads from another folder that is laid out like /proc.
func New(root string) FS { return FS{root: root} }

// Identity names one process for ever, within one boot: a pid is given away again, a pid with its start time is not.
type Identity struct {
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"startTicks"`
}

// String is "pid:ticks", which [ParseIdentity] reads.
func (id Identity) String() string {
	return strconv.Itoa(id.PID) + ":" + strconv.FormatUint(id.StartTicks, 10)
}

// StartedAt is the moment of its start on the boot-time clock, see [SinceBoot].
func (id Identity) StartedAt() time.Duration {
	const most = uint64(1<<63-1) / uint64(tick)
	return time.Duration(min(id.StartTicks, most)) * tick
}

// ParseIdentity reads what [Identity.String] wrote.
func ParseIdentity(s string) (Identity, error) {
	left, right, found := strings.Cut(s, ":")
	pid, okPID := number([]byte(left))
	ticks, okTicks := number([]byte(right))
	if !found || !okPID || !okTicks || pid == 0 || pid > 1<<31-1 {
		return Identity{}, fmt.Errorf("process identity %q: want pid:ticks", s)
	}
	return Identity{PID: int(pid), StartTicks: ticks}, nil
}

// State is the state letter of /proc/<pid>/stat.
type State byte

// The states a supervisor tells apart; others exist.
const (
	Running         State = 'R'
	Sleeping        State = 'S'
	Uninterruptible State = 'D'
	Stopped         State = 'T'
	Traced          State = 't'
	Zombie          State = 'Z'
	Dead            State = 'X'
)

// String is the letter itself.
func (s State) String() string { return string(rune(s)) }

// Alive is false for what has ended and only waits for its parent to notice.
func (s State) Alive() bool { return s != Zombie && s != Dead && s != 'x' && s != 0 }

// Process is what /proc/<pid>/stat and the owner of its folder tell, read in one go.
type Process struct {
	Identity
	PPID    int
	PGID    int
	SID     int
	Comm    string // at most 15 bytes; may hold blanks, brackets and newlines
	State   State
	UID     uint32 // effective
	Threads int
	CPU     time.Duration // user and system time used so far
	RSS     uint64        // bytes, shared pages included
	Kernel  bool          // a kernel thread
}

// Alive says whether it runs. A zombie does not: it holds no port, no memory and no lock.
func (p Process) Alive() bool { return p.State.Alive() }

// SinceBoot is the boot-time clock, which start times are measured on and which no change of the wall clock moves.
func SinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Process reads one process. The error matches [ErrGone] or [os.ErrPermission] where those are the reason.
func (fs FS) Process(pid int) (Process, error) {
	h, err := fs.open(pid)
	if err != nil {
		return Process{}, err
	}
	defer h.close()
	return h.process()
}

// Check reads the process that id means, or fails with [ErrGone] if it is dead or another one has its pid.
func (fs FS) Check(id Identity) (Process, error) {
	p, err := fs.Process(id.PID)
	if err != nil {
		return Process{}, err
	}
	if p.StartTicks != id.StartTicks || !p.Alive() {
		return p, fmt.Errorf("process %s: %w", id, ErrGone)
	}
	return p, nil
}

// Alive says whether the process that id means still runs. An error means that this cannot be told.
func (fs FS) Alive(id Identity) (bool, error) {
	switch _, err := fs.Check(id); {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrGone):
		return false, nil
	default:
		return false, err
	}
}

// handle is an open /proc/<pid>. It stays with that process: once that has ended every question to it fails, even if
// the pid has been given away again.
type handle struct {
	fd  int
	pid int
	uid uint32
}

func (h handle) close() { _ = unix.Close(h.fd) }

func (fs FS) open(pid int) (handle, error) {
	if pid <= 0 {
		return handle{}, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	fd, err := unix.Open(fs.root+"/"+strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return handle{}, fs.explain(pid, err)
	}
	return fs.handle(fd, pid)
}

// handle takes over an open folder. Its owner is the effective uid, also where the files in it belong to root because
// the process is not dumpable. A hidden process shows here, not at the opening.
func (fs FS) handle(fd, pid int) (handle, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return handle{}, fs.explain(pid, err)
	}
	return handle{fd: fd, pid: pid, uid: st.Uid}, nil
}

// openSame opens the very process that id means.
func (fs FS) openSame(id Identity) (handle, error) {
	h, err := fs.open(id.PID)
	if err != nil {
		return h, err
	}
	p, err := h.process()
	if err == nil && (p.StartTicks != id.StartTicks || !p.Alive()) {
		err = fmt.Errorf("process %s: %w", id, ErrGone)
	}
	if err != nil {
		h.close()
		return handle{}, err
	}
	return h, nil
}

// explain tells a process that is gone from one that is hidden: mounted with hidepid=2, /proc says "no such file"
// about other users' processes, and the supervisor would take the living for dead.
func (fs FS) explain(pid int, err error) error {
	if !missing(err) {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	if fs.root == "/proc" && unix.Kill(pid, 0) == unix.EPERM {
		return fmt.Errorf("process %d is hidden by the mount options of /proc: %w", pid, os.ErrPermission)
	}
	return fmt.Errorf("process %d: %w", pid, ErrGone)
}

func missing(err error) bool { return err == unix.ENOENT || err == unix.ESRCH }

var statName = []byte("stat\x00")

// process reads the process's stat file.
func (h handle) process() (Process, error) {
	var buf [2048]byte
	var p Process
	if err := h.stat(&p, buf[:]); err != nil {
		return Process{}, err
	}
	return p, nil
}

func (h handle) stat(p *Process, buf []byte) error {
	fd, err := openat(h.fd, statName, unix.O_RDONLY)
	if err != nil {
		return h.fail("stat", err)
	}
	b, err := readSmall(fd, buf)
	_ = unix.Close(fd)
	if err != nil {
		return h.fail("stat", err)
	}
	if err := parseStatOf(h.pid, b, p); err != nil {
		return err
	}
	p.UID = h.uid
	return nil
}

// parseStatOf reads what a process's stat file says; one that speaks of another process is nothing to act upon.
func parseStatOf(pid int, b []byte, p *Process) error {
	if err := parseStat(b, p); err != nil {
		return fmt.Errorf("process %d: stat: %w", pid, err)
	}
	if p.PID != pid {
		return fmt.Errorf("process %d: stat of process %d: %w", pid, p.PID, errStat)
	}
	return nil
}

// statAt reads a process without a handle on it, in as few system calls as there can be: this is done for every process of the
// machine at every look. path is that of its stat file below root, and ends in a NUL byte. Should the number have been given
// away between the two questions, which takes another four million processes, the user is that of the one before.
func statAt(root, pid int, path []byte, p *Process, buf []byte) error {
	h := handle{pid: pid}
	fd, err := openat(root, path, unix.O_RDONLY)
	if err != nil {
		return h.fail("stat", err)
	}
	b, err := readLine(fd, buf)
	_ = unix.Close(fd)
	if err != nil {
		return h.fail("stat", err)
	}
	if err := parseStatOf(pid, b, p); err != nil {
		return err
	}
	// The folder tells who runs it; of the files in it, those of a process that may not be looked into are root's.
	var st unix.Stat_t
	if err := unix.Fstatat(root, string(path[:len(path)-len("/stat\x00")]), &st, 0); err != nil {
		return h.fail("folder", err)
	}
	p.UID = st.Uid
	return nil
}

// fail names the file, and knows what the kernel says once a process has ended.
func (h handle) fail(file string, err error) error {
	if missing(err) {
		return fmt.Errorf("process %d: %s: %w", h.pid, file, ErrGone)
	}
	return fmt.Errorf("process %d: %s: %w", h.pid, file, err)
}
