//go:build linux

package pm2

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/json"
)

// socketPath is where PM2's daemon takes calls.
func socketPath(home string) string { return filepath.Join(home, "rpc.sock") }

// conn is a connection to a daemon. It is not safe for use by several goroutines.
type conn struct {
	net    *net.UnixConn
	daemon runtime.Daemon
	// foreign says that the daemon's pids are not ours: it lives in another pid namespace.
	foreign bool
	// file tells the socket that was dialled from one that was put in its place since.
	file   fileID
	calls  uint64
	frame  frame
	broken bool
}

type fileID struct {
	dev, ino     uint64
	sec, nanosec int64
}

// dial connects to the daemon of a home. That is the probe: somebody listens, or nobody does, and nothing is started.
func dial(ctx context.Context, fs procfs.FS, home string) (*conn, runtime.Daemon, error) {
	path := socketPath(home)
	d := runtime.Daemon{Home: home, Socket: path}
	file, err := identify(path)
	if err == nil {
		var c net.Conn
		if c, err = (&net.Dialer{}).DialContext(ctx, "unix", path); err == nil {
			d.Reachable = true
			k := &conn{net: c.(*net.UnixConn), daemon: d, file: file}
			if err = k.peer(fs); err != nil {
				k.close()
				d.Why = err.Error()
				return nil, d, err
			}
			return k, k.daemon, nil
		}
	}
	err = explainDial(&d, err)
	return nil, d, err
}

// explainDial turns a failure to connect into one of the runtime's errors, and into words.
func explainDial(d *runtime.Daemon, err error) error {
	kind := error(nil)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		kind, d.Why = runtime.ErrNoDaemon, "there is no socket at "+d.Socket
		if _, e := os.Stat(d.Home); errors.Is(e, os.ErrNotExist) {
			d.Why = "there is no folder " + d.Home + ": is that the right PM2_HOME?"
		}
	case errors.Is(err, unix.ECONNREFUSED):
		d.Leftover = true
		kind, d.Why = runtime.ErrNoDaemon, "nobody listens at "+d.Socket+": PM2 was killed, or this is from before a reboot"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		kind, d.Why = runtime.ErrPermission, fmt.Sprintf("user %d may not open %s: PM2 runs as another user", os.Geteuid(), d.Socket)
	case errors.Is(err, unix.EAGAIN), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		d.Reachable = true // its queue of callers is full
		kind, d.Why = runtime.ErrTimeout, "PM2 at "+d.Socket+" takes no more calls: it hangs"
	default:
		d.Why = err.Error()
		return fmt.Errorf("connect to PM2: %w", err)
	}
	return fmt.Errorf("%w: %s", kind, d.Why)
}

func identify(path string) (fileID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return fileID{}, os.NewSyscallError("stat "+path, err)
	}
	return fileID{dev: uint64(st.Dev), ino: st.Ino, sec: int64(st.Ctim.Sec), nanosec: int64(st.Ctim.Nsec)}, nil
}

// peer asks the kernel who is at the other end. PM2's own pid file proves nothing: it was seen missing under a living
// daemon, and left over after a dead one.
func (c *conn) peer(fs procfs.FS) error {
	raw, err := c.net.SyscallConn()
	if err != nil {
		return fmt.Errorf("peer of PM2's socket: %w", err)
	}
	var cred *unix.Ucred
	var optErr error
	err = raw.Control(func(fd uintptr) { cred, optErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, optErr); err != nil {
		return fmt.Errorf("peer of PM2's socket: %w", err)
	}
	c.daemon.PID, c.daemon.UID = int(cred.Pid), cred.Uid
	if p, err := fs.Process(c.daemon.PID); err == nil {
		c.daemon.Identity = p.Identity
	}
	ours, err1 := os.Readlink("/proc/self/ns/pid")
	theirs, err2 := os.Readlink("/proc/" + strconv.Itoa(c.daemon.PID) + "/ns/pid")
	// Pid 0 is a peer that this namespace cannot see at all. Not being allowed to ask says nothing.
	c.foreign = c.daemon.PID == 0 || err1 == nil && err2 == nil && ours != theirs
	return nil
}

// fresh tells whether the connection still is the way that anybody who connects now would take. A second daemon of the
// same home puts its own socket in the place of the first one's, which would otherwise be believed for ever.
func (c *conn) fresh() bool {
	if c == nil || c.broken {
		return false
	}
	file, err := identify(c.daemon.Socket)
	return err == nil && file == c.file
}

func (c *conn) close() {
	c.broken = true
	c.frame.wipe()
	_ = c.net.Close()
}

type call struct {
	Type   string `json:"type"`
	Method string `json:"method"`
	Args   []any  `json:"args"`
}

// reply is decoded into a target that names what is wanted of args.
type reply[T any] struct {
	Args  []T       `json:"args"`
	Error looseText `json:"error"`
}

// nothing is a result that nobody wants; PM2 answers orders with the whole row.
type nothing struct{}

// UnmarshalJSON takes anything.
func (nothing) UnmarshalJSON([]byte) error { return nil }

// ask calls a method of the daemon with one argument and decodes its first result. After an error other than
// [runtime.ErrRefused] the connection cannot be used any more: an answer that comes late would be taken for the next one.
func ask[T any](ctx context.Context, c *conn, method string, arg any) (T, error) {
	var r reply[T]
	if err := c.roundTrip(ctx, method, arg, &r); err != nil {
		c.close()
		var none T
		return none, fmt.Errorf("PM2's %s: %w", method, c.explain(ctx, err))
	}
	var first T
	if r.Error != "" {
		return first, fmt.Errorf("PM2's %s: %w: %s", method, runtime.ErrRefused, firstLine(string(r.Error)))
	}
	if len(r.Args) > 0 {
		first = r.Args[0]
	}
	return first, nil
}

func (c *conn) roundTrip(ctx context.Context, method string, arg any, into any) error {
	if c.broken {
		return io.EOF
	}
	body, err := stdjson.Marshal(call{Type: "call", Method: method, Args: []any{arg}})
	if err != nil {
		return err
	}
	c.calls++
	id := "s:ek:" + strconv.FormatUint(c.calls, 10)
	deadline, _ := ctx.Deadline()
	if err := c.net.SetDeadline(deadline); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.net.Write(appendFrame(nil, append([]byte("j:"), body...), []byte(id))); err != nil {
		return err
	}
	defer c.frame.wipe()
	if err := c.frame.read(c.net, maxFrame); err != nil {
		return err
	}
	if c.frame.n != 2 || string(c.frame.arg(1)) != id || len(c.frame.arg(0)) < 2 || string(c.frame.arg(0)[:2]) != "j:" {
		return errFrame
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(c.frame.arg(0)[2:], into); err != nil {
		return errFrame // and not err, which may quote the contents
	}
	return nil
}

// explain turns a failed call into one of the runtime's errors.
func (c *conn) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded), ctx.Err() != nil:
		return fmt.Errorf("%w (daemon %d)", runtime.ErrTimeout, c.daemon.PID)
	case errors.Is(err, errFrame):
		return fmt.Errorf("%w: %w", runtime.ErrNotUnderstood, err)
	case lost(err):
		return fmt.Errorf("%w: it closed the connection", runtime.ErrNoDaemon)
	default:
		return err
	}
}

// lost tells whether the other end is gone.
func lost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed)
}
