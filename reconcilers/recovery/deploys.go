package recovery

import (
	"context"
	"os"
	"strings"
	"sync"

	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// ownWay are the processes of the application's own way of running, by number: those that were its rows' when its stop began,
// those that hold its port, and whatever stands above these. A deploy that one of them has begun does not protect it: it is
// what is to be ended, and the deploy lives on without it.
type ownWay struct {
	roots   []procfs.Identity
	holders func() []int // who holds the port; nil where that is not asked
	pids    map[int]bool
}

// portHolders asks who holds the port, once, and only when somebody wants to know.
func portHolders(ctx context.Context, fs procfs.FS, port int32) func() []int {
	return sync.OnceValue(func() (pids []int) {
		owners, err := listeners.Owners(ctx, fs, uint16(port))
		if err != nil {
			return nil
		}
		for _, o := range owners {
			if o.Known {
				pids = append(pids, o.Process.PID)
			}
		}
		return pids
	})
}

// owns tells whether a process belongs to the application's own way of running.
func (g *guard) owns(p procfs.Process) bool {
	if g.own.pids == nil {
		g.own.pids = map[int]bool{}
		for _, id := range g.own.roots {
			if root, ok := g.procs.Get(id.PID); ok && root.Identity == id {
				g.own.pids[id.PID] = true
			}
		}
		if g.own.holders != nil {
			for _, pid := range g.own.holders() {
				g.own.pids[pid] = true
				for _, up := range g.procs.Ancestors(pid) {
					if g.outside(up) {
						break
					}
					g.own.pids[up.PID] = true
				}
			}
		}
	}
	return g.own.pids[p.PID]
}

// outside tells of a process above others that it is no part of what they are at: the machine's first process, a process
// manager, evenkeel.
func (g *guard) outside(up procfs.Process) bool {
	why := g.forbid[up.PID]
	return up.PID == 1 || up.PID == os.Getpid() || why == guardAbove || why == guardDaemon || strings.HasPrefix(up.Comm, "PM2 v")
}

// inDeploy tells whether a process is a deploy at work, runs one, or is run by one: without its script a deploy stops
// half-way, and without its workers a build fails.
func (g *guard) inDeploy(p procfs.Process) bool {
	works := false
	for _, below := range g.procs.Tree(p.PID) { // it is the first of them itself
		works = works || g.deploys(below)
	}
	for _, up := range g.procs.Ancestors(p.PID) {
		if works || g.outside(up) || g.owns(up) {
			break
		}
		works = g.deploys(up)
	}
	return works && !g.owns(p)
}

// deploys tells whether a process is itself a checkout, an install or a build at work.
func (g *guard) deploys(p procfs.Process) bool {
	if does, known := g.deploying[p.PID]; known {
		return does
	}
	args, err := g.fs.Cmdline(p.Identity)
	does := err == nil && p.Alive() && checks.DeployWork(p.Comm, args) != ""
	g.deploying[p.PID] = does
	return does
}
