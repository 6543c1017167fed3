//go:build linux

package signals

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"golang.org/x/sys/unix"
)

var (
	// ErrRefused says that a process is one that is never touched: see the package comment.
	ErrRefused = errors.New("refused")
	// ErrGone is [procfs.ErrGone]: the process meant has ended, is a zombie, or its pid is another one's now.
	ErrGone = procfs.ErrGone
)

// Send sends a signal to the process that id means. The error matches [ErrGone], [ErrRefused] or [os.ErrPermission]
// where those are the reason. That it was sent does not say that it was heeded.
func Send(ctx context.Context, id procfs.Identity, sig unix.Signal) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := refuse(id); err != nil {
		return err
	}
	h, err := open(id)
	if err != nil {
		return err
	}
	defer h.close()
	return h.send(sig)
}

// Wait returns nil once the process that id means has ended, a zombie included, and at once if it has already. It costs
// no thread. When the context ends first, its error is returned.
func Wait(ctx context.Context, id procfs.Identity) error {
	h, err := open(id)
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.close()
	return h.wait(ctx)
}

// WaitExit is Wait, and tells how the process ended, where that can be told. Of a child of ours only its reaping tells; of
// another process newer kernels (6.15) do, once its own parent has reaped it, for which a few milliseconds are waited.
func WaitExit(ctx context.Context, id procfs.Identity) (status unix.WaitStatus, known bool, err error) {
	h, err := open(id)
	if errors.Is(err, ErrGone) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer h.close()
	if err := h.wait(ctx); err != nil {
		return 0, false, err
	}
	status, known = h.exit()
	return status, known, nil
}

// handle is a pidfd whose process is known to be the one that id means.
type handle struct {
	id   procfs.Identity
	file *os.File
}

func open(id procfs.Identity) (*handle, error) {
	if id.PID <= 0 {
		return nil, fmt.Errorf("process %s: %w", id, ErrGone)
	}
	fd, err := unix.PidfdOpen(id.PID, 0)
	if err == unix.ESRCH {
		return nil, fmt.Errorf("process %s: %w", id, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("process %s: pidfd_open: %w", id, err)
	}
	// By fcntl, since the flag of pidfd_open is younger than pidfds are. Go's poller takes only such descriptors.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("process %s: pidfd: %w", id, err)
	}
	h := &handle{id: id, file: os.NewFile(uintptr(fd), "pidfd")}
	// Only now: what is compared here is the process behind the handle, or one that took its pid after it had ended,
	// which then cannot have the start time that was noted earlier.
	if _, err := procfs.Default().Check(id); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *handle) close() { _ = h.file.Close() }

func (h *handle) send(sig unix.Signal) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("process %s: %w", h.id, err)
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return fmt.Errorf("process %s: %w", h.id, err)
	}
	switch sent {
	case nil:
		return nil
	case unix.ESRCH:
		return fmt.Errorf("process %s: %w", h.id, ErrGone)
	default:
		return fmt.Errorf("send %s to process %s: %w", unix.SignalName(sig), h.id, sent)
	}
}

// wait returns nil when the process has ended.
func (h *handle) wait(ctx context.Context) error {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("process %s: %w", h.id, err)
	}
	if err := h.file.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("wait for process %s: %w", h.id, err)
	}
	// A past deadline wakes the poller.
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { _ = h.file.SetReadDeadline(past) })
	defer stop()
	var asked error
	err = raw.Read(func(fd uintptr) bool {
		var over bool
		over, asked = ended(int(fd))
		return over || asked != nil
	})
	switch {
	case asked != nil:
		return fmt.Errorf("wait for process %s: %w", h.id, asked)
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("wait for process %s: %w", h.id, err)
	}
}

// ended asks without waiting: a pidfd is readable once its process has ended.
func ended(fd int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		return n > 0, err
	}
}

// pidfdInfo is the kernel's struct pidfd_info, as far as is asked for.
type pidfdInfo struct {
	mask     uint64
	_        [52]byte
	exitCode int32
}

const (
	getInfo  = 0xC040FF0B // PIDFD_GET_INFO
	infoExit = 1 << 3     // PIDFD_INFO_EXIT
	// reapTime is how long the parent of a process that has ended may take to reap it, for its status to be told.
	reapTime = 5 * time.Millisecond
)

// exit asks the kernel how the process ended.
func (h *handle) exit() (unix.WaitStatus, bool) {
	raw, err := h.file.SyscallConn()
	if err != nil {
		return 0, false
	}
	for begun := time.Now(); ; {
		info := pidfdInfo{mask: infoExit}
		var errno unix.Errno
		err := raw.Control(func(fd uintptr) {
			_, _, errno = unix.Syscall(unix.SYS_IOCTL, fd, getInfo, uintptr(unsafe.Pointer(&info))) // #nosec G103 -- there is no wrapper
		})
		switch {
		case err == nil && errno == 0 && info.mask&infoExit != 0:
			return unix.WaitStatus(info.exitCode), true
		case err != nil, errno != 0 && errno != unix.ESRCH, time.Since(begun) > reapTime:
			return 0, false
		}
		time.Sleep(time.Millisecond / 2)
	}
}
