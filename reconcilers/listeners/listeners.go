//go:build linux

package listeners

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Listener is one listening TCP socket. Several may listen at one address (SO_REUSEPORT).
type Listener struct {
	Addr    netip.AddrPort `json:"addr"`
	UID     uint32         `json:"uid"`     // who opened the socket
	Inode   uint64         `json:"inode"`   // 0 where no process has it open
	RecvQ   uint32         `json:"recvQ"`   // connections that wait to be accepted; grows while the app hangs
	Backlog uint32         `json:"backlog"` // how many may wait
	V6Only  bool           `json:"v6Only"`  // an IPv6 socket that takes no IPv4 connections
	// Group is the number of the control group in which the socket was opened, see [procfs.FS.GroupNumbers]; 0 where the kernel
	// (before 5.8) does not tell.
	Group uint64 `json:"group,omitempty"`
}

const (
	answerTime = 2 * time.Second // without a deadline in the context; the kernel answers in less than a millisecond
	attempts   = 3
	anyPort    = 0 // nothing listens on it
)

// Listeners returns the sockets that listen on the port, over IPv4 first. None is an empty answer, not an error; an
// error means that the kernel could not be asked.
func Listeners(ctx context.Context, port uint16) ([]Listener, error) {
	found, err := sorted(ctx, port)
	if err != nil {
		return nil, fmt.Errorf("who listens on port %d: %w", port, err)
	}
	return found, nil
}

// All returns the sockets that listen on any port, in the order of [Listeners].
func All(ctx context.Context) ([]Listener, error) {
	found, err := sorted(ctx, anyPort)
	if err != nil {
		return nil, fmt.Errorf("who listens: %w", err)
	}
	return found, nil
}

func sorted(ctx context.Context, port uint16) (found []Listener, err error) {
	for range attempts {
		if found, err = ask(ctx, port); !errors.Is(err, errInterrupted) {
			break
		}
	}
	slices.SortFunc(found, func(a, b Listener) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Inode, b.Inode))
	})
	return found, err
}

func ask(ctx context.Context, port uint16) ([]Listener, error) {
	var found []Listener
	err := each(ctx, func() *dump { return &dump{port: port, states: 1 << listenState} }, func(d *dump) { found = append(found, d.found...) })
	if err != nil {
		return nil, err
	}
	return found, nil
}

// each asks for both address families, and hands over each answer.
func each(ctx context.Context, begin func() *dump, take func(*dump)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	defer unix.Close(fd)
	wait := answerTime
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, max(time.Until(deadline), time.Millisecond))
	}
	limit := unix.NsecToTimeval(wait.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	self, ok := own.(*unix.SockaddrNetlink)
	if !ok {
		return errors.New("netlink socket without a netlink address")
	}

	buf := make([]byte, 32<<10) // the most that the kernel puts into one answer
	for i, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		d := begin()
		d.sequence, d.receiver = uint32(i+1), self.Pid
		err := d.run(ctx, fd, family, buf)
		if family == unix.AF_INET6 && errors.Is(err, unix.ENOENT) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return err
		}
		take(d)
	}
	return nil
}

// run asks for one address family and reads until the kernel says that this was all.
func (d *dump) run(ctx context.Context, fd int, family uint8, buf []byte) error {
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(fd, request(family, d.sequence, d.states), 0, kernel); err != nil {
		return fmt.Errorf("ask sock_diag: %w", err)
	}
	for !d.done {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, _, flags, from, err := unix.Recvmsg(fd, buf, nil, 0)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			if err := ctx.Err(); err != nil {
				return err
			}
			return errors.New("sock_diag did not answer in time")
		}
		if err != nil {
			return fmt.Errorf("read from sock_diag: %w", err)
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue // not from the kernel: any process may send to a netlink socket
		}
		if flags&unix.MSG_TRUNC != 0 {
			return errors.New("answer of sock_diag was cut off")
		}
		if err := d.parse(buf[:n]); err != nil {
			return err
		}
	}
	if d.interrupted {
		return errInterrupted
	}
	return nil
}
