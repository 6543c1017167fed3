//go:build linux

package pm2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// answer is PM2's list, and who gave it.
type answer struct {
	daemon  runtime.Daemon
	foreign bool
	via     string
	rows    []row
}

// lister is a way to get PM2's list from a daemon that is known to be there.
type lister interface {
	list(ctx context.Context) ([]row, error)
}

// rows asks for the list: over the socket, and by command where the daemon's answer is not understood.
func (m *Manager) rows(ctx context.Context, h *home, spec *v1alpha1.PM2Runtime) (answer, error) {
	if err := take(ctx, h.asking); err != nil {
		return answer{daemon: runtime.Daemon{Home: h.dir, Socket: socketPath(h.dir)}}, err
	}
	defer func() { <-h.asking }()

	kept := h.conn != nil
	a, err := m.overSocket(ctx, h)
	if kept && errors.Is(err, runtime.ErrNoDaemon) {
		// The daemon of the kept connection is gone. Who is there now tells only a new one.
		a, err = m.overSocket(ctx, h)
	}
	if !errors.Is(err, runtime.ErrNotUnderstood) {
		return a, err
	}
	cmd := &command{m: m, home: h, spec: spec, daemon: a.daemon}
	rows, cmdErr := lister(cmd).list(ctx)
	if cmdErr != nil {
		return a, fmt.Errorf("%w; by command: %w", err, cmdErr)
	}
	a.rows, a.via = rows, "command"
	return a, nil
}

// overSocket asks over the kept connection, or a new one.
func (m *Manager) overSocket(ctx context.Context, h *home) (answer, error) {
	if !h.conn.fresh() {
		h.drop()
		c, d, err := dial(ctx, m.fs, h.dir)
		if err != nil {
			return answer{daemon: d}, err
		}
		h.conn = c
		h.rivals = m.rivals(c, h.dir)
		h.last = m.mannersOf(c.daemon.Identity)
	}
	rows, err := lister(h.conn).list(ctx)
	// Who has come beside it since has put its own socket in the place of this one, and a new connection was made.
	h.rivals = slices.DeleteFunc(h.rivals, func(id procfs.Identity) bool {
		alive, err := m.fs.Alive(id)
		return err == nil && !alive
	})
	a := answer{daemon: h.conn.daemon, foreign: h.conn.foreign, via: "socket", rows: rows}
	a.daemon.Rivals = slices.Clone(h.rivals)
	if h.conn.broken {
		h.conn = nil
	}
	if errors.Is(err, runtime.ErrNoDaemon) {
		a.daemon.Reachable = false
	}
	return a, err
}

// rivals are the other daemons of the home that live. It is asked once for each connection: it goes through all processes.
func (m *Manager) rivals(c *conn, dir string) []procfs.Identity {
	if c.foreign {
		return nil
	}
	all, err := m.living(dir)
	if err != nil {
		return nil
	}
	var others []procfs.Identity
	for _, p := range all {
		if p.PID != c.daemon.PID {
			others = append(others, p.Identity)
		}
	}
	return others
}

func (h *home) drop() {
	if h.conn != nil {
		h.conn.close()
		h.conn = nil
	}
}

// list asks over the socket.
func (c *conn) list(ctx context.Context) ([]row, error) {
	if c.daemon.Version == "" {
		version, err := ask[looseText](ctx, c, "getVersion", struct{}{})
		if err != nil {
			return nil, unlessLost(err)
		}
		c.daemon.Version = tail([]byte(version))
	}
	rows, err := ask[[]row](ctx, c, "getMonitorData", struct{}{})
	if err != nil {
		return nil, unlessLost(err)
	}
	return sane(rows)
}

// unlessLost: these two calls have nothing to refuse. A daemon that does speaks another protocol.
func unlessLost(err error) error {
	if errors.Is(err, runtime.ErrRefused) {
		return fmt.Errorf("%w: %w", runtime.ErrNotUnderstood, err)
	}
	return err
}

// list asks by `pm2 jlist`.
func (c *command) list(ctx context.Context) ([]row, error) {
	out, err := c.run(ctx, maxFrame, "jlist")
	defer clear(out)
	if err != nil {
		return nil, err
	}
	return parseList(out)
}

var spawning = []byte("Spawning PM2 daemon")

// parseList finds the list in what `pm2 jlist` prints: the last line that is one. Banners, hints to update and colour
// codes come before it, and they hold "[" too.
func parseList(out []byte) ([]row, error) {
	// An empty list of a daemon that was born for this question would tell that everything is gone.
	if bytes.Contains(out[:min(len(out), 16<<10)], spawning) {
		return nil, fmt.Errorf("pm2 jlist: it wanted to start a daemon: %w", runtime.ErrNoDaemon)
	}
	for len(out) > 0 {
		at := bytes.LastIndexByte(out, '\n')
		line := bytes.TrimSpace(out[at+1:])
		out = out[:max(at, 0)]
		if len(line) < 2 || line[0] != '[' || line[len(line)-1] != ']' {
			continue
		}
		if rows, err := decodeRows(line); err == nil {
			return rows, nil
		}
	}
	return nil, fmt.Errorf("pm2 jlist: no list in what it printed: %w", runtime.ErrNotUnderstood)
}
