//go:build linux

package pm2

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// What `pm2 stop <id>` and `pm2 restart <id>` do is one call each to the daemon; `pm2 start <id>` is the same call as
// restart. Made here, it costs no program, can start no daemon, and changes nothing of the row. The command changes some
// even without --update-env: it sends its own defaults along, and they replace the row's merge_logs, instance_var,
// kill_retry_time, filter_env and username (with the name of who runs the command), and with `start` also watch.

// order makes one of the two calls, for one row.
type order string

const (
	orderStop    order = "stop"
	orderRestart order = "restart"
)

// method and argument of the call that the command of the same name makes.
func (o order) call(id int64) (string, any) {
	if o == orderStop {
		return "stopProcessId", id
	}
	return "restartProcessId", map[string]any{"id": id, "env": map[string]string{}}
}

// give gives an order and waits until PM2 says that it is carried out. It uses a connection of its own: stopping takes as
// long as the application takes, and looking goes on meanwhile.
func (m *Manager) give(ctx context.Context, h *home, spec *v1alpha1.PM2Runtime, o order, id string, snap *runtime.Snapshot) error {
	n, err := strconv.ParseInt(id, 10, 32)
	if err != nil {
		return fmt.Errorf("pm2 %s %q: no id of a row: %w", o, id, runtime.ErrNotListed)
	}
	c, d, err := dial(ctx, m.fs, h.dir)
	if err != nil {
		return err
	}
	defer c.close()
	method, arg := o.call(n)
	_, err = ask[nothing](ctx, c, method, arg)
	if errors.Is(err, runtime.ErrNotUnderstood) || errors.Is(err, runtime.ErrRefused) && strings.Contains(err.Error(), "does not exist") {
		if who := named(snap, id); who != "" {
			return fmt.Errorf("%w; `pm2 %s %s` would not do it either: to PM2 that is %s", err, o, id, who)
		}
		cmd := &command{m: m, home: h, spec: spec, daemon: d}
		_, err = cmd.run(ctx, 64<<10, string(o), id)
	}
	return err
}

// named is what else the command would take the id of a row for: it prefers names and namespaces to ids.
func named(snap *runtime.Snapshot, id string) string {
	for _, rows := range [][]runtime.Process{snap.Processes, snap.Others} {
		for i := range rows {
			switch id {
			case rows[i].Name:
				return "the name of row " + rows[i].ID
			case rows[i].Namespace:
				return "the namespace of row " + rows[i].ID
			}
		}
	}
	return ""
}

// taken tells whether PM2 would signal a stranger, were it told to stop or restart the row: it does that by the number
// alone, also of a process that it knows to be dead, and kills what is still there after the row's stop timeout.
func (m *Manager) taken(p *runtime.Process) bool {
	if p.PID == 0 || p.Alive() || p.Unseen {
		return false
	}
	found, err := m.fs.Process(p.PID)
	return err == nil && found.Alive()
}

// seen are the processes that belonged to the application at some look, by identity.
type seen map[procfs.Identity]runtime.Process

func (s seen) add(rows []runtime.Process) {
	for _, p := range rows {
		if p.Alive() {
			s[p.Identity] = p
		}
	}
}

// alive are those that still live. What cannot be told counts as living: it is about to be reported, not killed.
func (s seen) alive(fs procfs.FS) []runtime.Process {
	var left []runtime.Process
	for id, p := range s {
		if alive, err := fs.Alive(id); alive || err != nil {
			left = append(left, p)
		}
	}
	return left
}

// Waiting for PM2: it looks itself every 100 ms whether what it stops has ended.
const (
	firstPoll = 10 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
)

// with adds a second error to a first one, in one line, as every message of ours is.
func with(err, also error) error {
	if also == nil || errors.Is(err, also) {
		return err
	}
	return fmt.Errorf("%w; %w", err, also)
}
