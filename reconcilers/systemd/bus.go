//go:build linux

package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	dbus "github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// bus is what is used of systemd over D-Bus. Every call ends when its context does.
type bus interface {
	// properties are all of a unit's; watch sees to it that its changes are told.
	properties(ctx context.Context, unit string) (map[string]any, error)
	watch(ctx context.Context, unit string) error
	// order queues a job; what becomes of it comes over the channel, unless the connection is lost.
	order(ctx context.Context, verb verb, unit string) (<-chan string, error)
	resetFailed(ctx context.Context, unit string) error
	// processes are the pids in the unit's control group; services are the services that run.
	processes(ctx context.Context, unit string) ([]int, error)
	services(ctx context.Context) ([]string, error)
	mainPID(ctx context.Context, unit string) (int, error)
	// stopping tells whether the manager itself is about to end.
	stopping(ctx context.Context) (bool, error)
	// scope makes a unit of processes that run; what becomes of it comes over the channel.
	scope(ctx context.Context, name, description string, pids []int) (<-chan string, error)
	// peer is the manager's own pid, or 0.
	peer() int
	connected() bool
	close()
}

// verb is an order to systemd.
type verb string

const (
	verbStop    verb = "stop"
	verbRestart verb = "restart"
)

// Where systemd is spoken to. The private sockets need no message bus; that of the system answers to root alone.
const (
	systemPrivate = "/run/systemd/private"
	systemBus     = "/run/dbus/system_bus_socket"
	userPrivate   = "/run/user/%d/systemd/private"
)

// connection is a bus for real.
type connection struct {
	*dbus.Conn
	calls, signals *godbus.Conn
	pid            int
	overBus        bool
	cancel         context.CancelFunc

	mu      sync.Mutex
	watched map[string]bool
}

// dial connects to the manager of the system, or to that of the user. heard is called for every change of a watched unit.
func dial(ctx context.Context, user bool, uid int, heard func(unit string, changed map[string]any)) (bus, error) {
	if user {
		return connect(ctx, fmt.Sprintf(userPrivate, uid), false, heard)
	}
	if uid == 0 {
		if c, err := connect(ctx, systemPrivate, false, heard); err == nil {
			return c, nil
		}
	}
	return connect(ctx, systemBus, true, heard)
}

func connect(ctx context.Context, socket string, hello bool, heard func(string, map[string]any)) (bus, error) {
	alive, cancel := context.WithCancel(context.Background()) // the connection outlives the call that makes it
	c := &connection{cancel: cancel, overBus: hello, watched: map[string]bool{}}
	conn, err := dbus.NewConnection(func() (*godbus.Conn, error) {
		one, pid, err := open(ctx, alive, socket, hello)
		if err != nil {
			return nil, err
		}
		if c.calls == nil {
			c.calls = one
		} else {
			c.signals = one
		}
		if !hello {
			c.pid = pid
		}
		return one, nil
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%s: %w", socket, err)
	}
	c.Conn = conn
	if hello {
		c.pid = 1
	}
	told := make(chan *godbus.Signal, 512)
	c.signals.Signal(told) // closed with the connection
	go func() {
		for s := range told {
			c.hear(s, heard)
		}
	}()
	// Who is not subscribed is told of his own jobs only, and of no unit. A second time is an error of no weight.
	_ = c.manager(c.signals).CallWithContext(ctx, managerFace+"Subscribe", 0).Err
	return c, nil
}

// open makes one connection. godbus would wait for an answer to its greeting for ever.
func open(ctx, alive context.Context, socket string, hello bool) (*godbus.Conn, int, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, 0, err
	}
	pid := peerOf(raw)
	if deadline, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(deadline)
	}
	unhook := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Now()) })
	conn, err := godbus.NewConn(raw, godbus.WithContext(alive))
	if err != nil {
		unhook()
		_ = raw.Close()
		return nil, 0, err
	}
	err = conn.Auth([]godbus.Auth{godbus.AuthExternal(strconv.Itoa(os.Getuid()))})
	if err == nil && hello {
		err = conn.Hello()
	}
	if !unhook() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, 0, err
	}
	return conn, pid, raw.SetDeadline(time.Time{})
}

// peerOf is the process at the other end of a socket, as the kernel names it; 0 where it does not.
func peerOf(conn net.Conn) int {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

const (
	systemdName = "org.freedesktop.systemd1"
	systemdPath = "/org/freedesktop/systemd1"
	managerFace = systemdName + ".Manager."
	changed     = "org.freedesktop.DBus.Properties.PropertiesChanged"
)

func (c *connection) manager(conn *godbus.Conn) godbus.BusObject {
	return conn.Object(systemdName, systemdPath)
}

func unitPath(unit string) godbus.ObjectPath {
	return godbus.ObjectPath(systemdPath + "/unit/" + dbus.PathBusEscape(unit))
}

func (c *connection) hear(s *godbus.Signal, heard func(string, map[string]any)) {
	if s.Name != changed || len(s.Body) < 2 {
		return
	}
	values, ok := s.Body[1].(map[string]godbus.Variant)
	if !ok {
		return
	}
	c.mu.Lock()
	var unit string
	for name := range c.watched {
		if unitPath(name) == s.Path {
			unit = name
		}
	}
	c.mu.Unlock()
	if unit == "" {
		return
	}
	m := make(map[string]any, len(values))
	for name, v := range values {
		m[name] = v.Value()
	}
	heard(unit, m)
}

func (c *connection) properties(ctx context.Context, unit string) (map[string]any, error) {
	return c.GetAllPropertiesContext(ctx, unit)
}

func (c *connection) watch(ctx context.Context, unit string) error {
	c.mu.Lock()
	known := c.watched[unit]
	c.watched[unit] = true
	c.mu.Unlock()
	if known || !c.overBus { // over a private socket everything is told
		return nil
	}
	return c.signals.AddMatchSignalContext(ctx, godbus.WithMatchObjectPath(unitPath(unit)),
		godbus.WithMatchInterface("org.freedesktop.DBus.Properties"), godbus.WithMatchMember("PropertiesChanged"))
}

func (c *connection) order(ctx context.Context, v verb, unit string) (<-chan string, error) {
	done := make(chan string, 1)
	var err error
	if v == verbStop {
		_, err = c.StopUnitContext(ctx, unit, "replace", done)
	} else {
		_, err = c.RestartUnitContext(ctx, unit, "replace", done)
	}
	return done, err
}

func (c *connection) resetFailed(ctx context.Context, unit string) error {
	return c.ResetFailedUnitContext(ctx, unit)
}

func (c *connection) processes(ctx context.Context, unit string) ([]int, error) {
	var list []struct {
		Group   string
		PID     uint32
		Command string // may hold secrets; not looked at
	}
	err := c.manager(c.calls).CallWithContext(ctx, managerFace+"GetUnitProcesses", 0, unit).Store(&list)
	pids := make([]int, len(list))
	for n := range list {
		pids[n] = int(list[n].PID)
	}
	return pids, err
}

func (c *connection) services(ctx context.Context) ([]string, error) {
	list, err := c.ListUnitsByPatternsContext(ctx, []string{"active"}, []string{"*.service"})
	names := make([]string, len(list))
	for n := range list {
		names[n] = list[n].Name
	}
	return names, err
}

func (c *connection) mainPID(ctx context.Context, unit string) (int, error) {
	p, err := c.GetServicePropertyContext(ctx, unit, "MainPID")
	if err != nil {
		return 0, err
	}
	pid, ok := p.Value.Value().(uint32)
	if !ok {
		return 0, errors.New("MainPID is no number")
	}
	return int(pid), nil
}

func (c *connection) peer() int       { return c.pid }
func (c *connection) connected() bool { return c.Connected() }

func (c *connection) close() {
	c.Close()
	c.cancel()
}
