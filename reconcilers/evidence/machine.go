//go:build linux

package evidence

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

const (
	// maxCommand bounds a command line, in characters; maxListed how many processes are listed.
	maxCommand = 400
	maxListed  = 200
	// heaviest is how many of the processes that weigh most are named.
	heaviest = 10
)

// processes is the application's whole tree, and what is above it.
func (c *Collector) processes(ctx context.Context, s *scene) part {
	p := part{name: "processes", limit: 24 << 10}
	var b strings.Builder
	listed := map[int]bool{}
	line := func(mark string, q *procfs.Process) {
		if listed[q.PID] || len(listed) >= maxListed || ctx.Err() != nil {
			return
		}
		listed[q.PID] = true
		b.WriteString(mark + c.processLine(s, q))
	}
	for n := range s.snapshot.Processes {
		if row := &s.snapshot.Processes[n]; row.Alive() {
			for _, above := range s.procs.Ancestors(row.PID) {
				line("above: ", &above)
			}
		}
	}
	for n := range s.tree {
		line("", &s.tree[n])
	}
	if len(s.tree) == 0 {
		b.WriteString("the application has no process\n")
	}
	p.text, p.tail = b.String(), len(listed) >= maxListed
	return p
}

func (c *Collector) processLine(s *scene, q *procfs.Process) string {
	wchan, call := c.FS.WaitsIn(q.Identity)
	waits := ""
	if wchan != "" || call != "" {
		waits = fmt.Sprintf(", waits in %s (system call %s)", orDash(wchan), orDash(call))
	}
	return fmt.Sprintf("pid %d, parent %d, %s, uid %d, started %s before now, %d MiB, %s of CPU, %d threads%s, %s: %s\n",
		q.PID, q.PPID, q.State, q.UID, (procfs.SinceBoot() - q.StartedAt()).Round(time.Second), q.RSS>>20, q.CPU.Round(time.Millisecond),
		q.Threads, waits, q.Comm, c.command(s, q.Identity))
}

// command is a process's command line, masked before it is cut.
func (c *Collector) command(s *scene, id procfs.Identity) string {
	args, _ := c.FS.Cmdline(id)
	return procfs.Short([]string{s.masker.Text(strings.Join(args, " "))}, maxCommand)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// sockets is who listens on the port, and how many connections there are.
func (c *Collector) sockets(ctx context.Context, s *scene) part {
	p := part{name: "sockets", limit: 6 << 10}
	port := uint16(s.app.Spec.Port)
	var b strings.Builder
	owners, err := listeners.Owners(ctx, c.FS, port)
	if len(owners) == 0 && err == nil {
		fmt.Fprintf(&b, "nobody listens on port %d\n", port)
	}
	for _, o := range owners {
		if !o.Known {
			fmt.Fprintf(&b, "%s: a process of %s; %s\n", o.Addr, o.User, o.Why)
			continue
		}
		fmt.Fprintf(&b, "%s: pid %d of %s, %s, in %s: %s; %d of %d wait to be accepted\n",
			o.Addr, o.Process.PID, o.User, o.Comm, o.Cwd, c.command(s, o.Process), o.RecvQ, o.Backlog)
	}
	counts, countErr := listeners.Count(ctx, port)
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "connections %s: %d\n", state, counts[state])
	}
	p.text, p.err = b.String(), errors.Join(err, countErr)
	return p
}

// memory is what the machine has left, and who has the rest.
func (c *Collector) memory(_ context.Context, s *scene) part {
	p := part{name: "memory", limit: 8 << 10}
	var b strings.Builder
	m, err := c.FS.Meminfo()
	if err == nil {
		fmt.Fprintf(&b, "available %d of %d MiB, swap used %d of %d MiB\n", m.Available>>20, m.Total>>20, m.SwapUsed()>>20, m.SwapTotal>>20)
	}
	for _, of := range []procfs.Resource{procfs.RAM, procfs.CPU, procfs.IO} {
		if q, known, err := c.FS.Pressure(of); err == nil && known {
			fmt.Fprintf(&b, "pressure of %s: some %.1f %.1f %.1f, full %.1f %.1f %.1f (percent of 10 s, 60 s, 300 s)\n", of,
				q.Some.Avg10, q.Some.Avg60, q.Some.Avg300, q.Full.Avg10, q.Full.Avg60, q.Full.Avg300)
		}
	}
	if l, err := c.FS.LoadAvg(); err == nil {
		fmt.Fprintf(&b, "load %.2f %.2f %.2f, %d of %d tasks run\n", l.Avg1, l.Avg5, l.Avg15, l.Runnable, l.Tasks)
	}
	if kills, known, err := c.FS.OOMKills(); err == nil && known {
		fmt.Fprintf(&b, "processes killed for want of memory since boot: %d\n", kills)
	}
	all := slices.Clone(s.procs.Processes)
	slices.SortFunc(all, func(x, y procfs.Process) int {
		if x.RSS != y.RSS {
			return int(max(min(int64(y.RSS)-int64(x.RSS), 1), -1))
		}
		return x.PID - y.PID
	})
	for _, q := range all[:min(len(all), heaviest)] {
		fmt.Fprintf(&b, "pid %d, uid %d, %d MiB: %s\n", q.PID, q.UID, q.RSS>>20, q.Comm)
	}
	p.text, p.err = b.String(), err
	return p
}
