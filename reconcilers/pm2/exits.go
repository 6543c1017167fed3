//go:build linux

package pm2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"golang.org/x/sys/unix"
)

// logTail is how much of PM2's own log is read, from its end: about 2 500 lines, or 800 lives of a crash loop.
const logTail = 256 << 10

// Exits reads the end of PM2's own log, `<home>/pm2.log`, the only place where signals show. See [runtime.Runtime].
//
// PM2 writes times to the second, in the daemon's time zone and without naming it: the zone is taken from the daemon's
// environment where that may be read, else ours is. In the hour that is twice in autumn they may be an hour off.
func (m *Manager) Exits(ctx context.Context, app *v1alpha1.App, since time.Time) (runtime.History, error) {
	h, spec, err := m.open(app)
	if err != nil {
		return runtime.History{}, err
	}
	if err := ctx.Err(); err != nil {
		return runtime.History{}, err
	}
	b, whole, err := readTail(filepath.Join(h.dir, "pm2.log"), logTail)
	if errors.Is(err, os.ErrNotExist) {
		return runtime.History{Complete: true}, nil
	}
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			err = fmt.Errorf("%w: %w", runtime.ErrPermission, err)
		}
		return runtime.History{}, fmt.Errorf("PM2's log: %w", err)
	}
	return parseLog(b, whole, spec.Process, since, m.zone(ctx, h)), nil
}

// readTail reads the last bytes of a file, from the beginning of a line on, and tells whether that was all of it.
func readTail(file string, limit int64) ([]byte, bool, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0) // a fifo in its place must not hold us up
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if !st.Mode().IsRegular() {
		return nil, false, fmt.Errorf("%s is not a regular file", file)
	}
	start := max(st.Size()-limit, 0)
	b, err := io.ReadAll(io.NewSectionReader(f, start, limit))
	if err != nil {
		return nil, false, err
	}
	if start > 0 {
		_, after, found := strings.Cut(string(b), "\n")
		if !found {
			return nil, false, nil
		}
		b = []byte(after)
	}
	return b, start == 0, nil
}

// zone is the daemon's time zone.
func (m *Manager) zone(ctx context.Context, h *home) *time.Location {
	if take(ctx, h.asking) != nil {
		return time.Local
	}
	var id procfs.Identity
	if h.conn != nil {
		id = h.conn.daemon.Identity
	}
	<-h.asking
	if id.PID == 0 {
		return time.Local
	}
	env, err := m.fs.Environ(id, "TZ")
	if err != nil || env["TZ"] == "" {
		return time.Local
	}
	zone, err := time.LoadLocation(strings.TrimPrefix(env["TZ"], ":"))
	if err != nil {
		return time.Local
	}
	return zone
}
