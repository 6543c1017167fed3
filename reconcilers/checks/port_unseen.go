package checks

import (
	"fmt"
	"slices"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// rootGroup is the number of the control group that everything begins in: it tells nothing.
const rootGroup = 1

// sealedText says why the application's own process may not be looked into by the user that it runs as.
const sealedText = "; the application's own process may not be looked at, as one with file capabilities: getcap $(readlink -f $(command -v node))"

// listensAt is where somebody listens, and with which process where that is known.
func listensAt(who facts.Listener) string {
	if who.PID == 0 {
		return who.Addr
	}
	return fmt.Sprintf("%s (pid %d)", who.Addr, who.PID)
}

// whoseUnseen says whose a socket is that nobody can be seen to hold, because some processes may not be looked into: those of
// other users, and those of our own with more rights than ours. It is the application's where nobody else is left who could
// have it. That it is another's is said only of a user as whom neither the application nor evenkeel runs.
//
// Nothing is ended for this: a recovery stops the application through its runtime, and ends of who holds the port only whom it
// has seen.
func (p *Prober) whoseUnseen(l *look, o listeners.Owner) facts.Whose {
	if p.onlyOursCould(l, o) {
		return facts.Ours
	}
	for _, proc := range l.tree {
		if proc.UID == o.Listener.UID {
			return facts.CannotTell
		}
	}
	if l.uid != 0 && o.Listener.UID != l.uid {
		return facts.Stranger
	}
	return facts.CannotTell
}

// onlyOursCould tells whether all who could hold a socket are the application's: of those who may not be looked into, those in the
// control group in which it was opened, whoever they are. Where that is not known, those of the user who opened it.
func (p *Prober) onlyOursCould(l *look, o listeners.Owner) bool {
	if o.Hidden {
		return false
	}
	could := func(proc procfs.Process) bool { return proc.UID == o.Listener.UID }
	if o.Group > rootGroup {
		var ids []procfs.Identity
		for _, proc := range o.Unseen {
			ids = append(ids, proc.Identity)
		}
		if groups, err := p.FS.GroupNumbers(ids...); err == nil {
			could = func(proc procfs.Process) bool { return groups[proc.Identity] == o.Group }
		}
	}
	ours := false
	for _, proc := range o.Unseen {
		switch {
		case !could(proc):
		case l.tree[proc.PID].Identity == proc.Identity:
			ours = true
		case proc.Identity != l.snapshot.Daemon.Identity || !daemonListensForOurs(&l.snapshot):
			return false
		}
	}
	return ours
}

// daemonListensForOurs tells whether a socket of PM2's daemon itself could only be one for a cluster of the application's own.
func daemonListensForOurs(s *runtime.Snapshot) bool {
	cluster := func(p runtime.Process) bool { return p.Cluster }
	return !slices.ContainsFunc(s.Others, cluster) && (!slices.ContainsFunc(s.Processes, cluster) || clusters(s) == facts.Ours)
}

// ownIsSealed tells whether the application's own process, though it runs as the user that looks, is one of those that may not
// be looked into.
func ownIsSealed(l *look, o listeners.Owner) bool {
	for _, proc := range o.Unseen {
		if proc.UID == l.uid && o.Listener.UID == l.uid && l.tree[proc.PID].Identity == proc.Identity {
			return true
		}
	}
	return false
}
