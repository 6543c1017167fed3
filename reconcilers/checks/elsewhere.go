package checks

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

const (
	inspectorPort = 9229 // Node's, where nothing else is said; SIGUSR1 opens it at any time
	// placesTold bounds how many other ports are told.
	placesTold = 8
)

// lookElsewhere finds where else the application listens: where nobody listens on its port, since that may be a mistake of
// whoever wrote it down; and in the first ten minutes of a life that does listen there, so that it is known what it opens
// beside it.
func (p *Prober) lookElsewhere(ctx context.Context, l *look) {
	if l.portErr != nil || l.life == "" {
		return
	}
	ours := slices.ContainsFunc(l.holders, func(h facts.Listener) bool { return h.Whose == facts.Ours })
	learned := l.app.Status.Learned
	noted := learned != nil && learned.Listened != nil && learned.Listened.Incarnation == l.life && learned.Listened.Port == l.app.Spec.Port
	if len(l.holders) > 0 && (!ours || noted && l.age > crashWindow) {
		return
	}
	all, err := listeners.All(ctx)
	if err != nil {
		return // then nothing is known of other ports, and the rest goes by this one
	}
	l.elsewhere = p.ownPlaces(l, all)
}

// ownPlaces are those of all listening sockets that are the application's own, lie at another port and serve others.
func (p *Prober) ownPlaces(l *look, all []listeners.Listener) []facts.Place {
	first, last, err := p.FS.LocalPorts()
	if err != nil {
		first, last = 32768, 60999 // the kernel's own
	}
	// What it opens for itself alone takes any port; a port that others are to know was chosen by somebody.
	private := func(a netip.AddrPort) bool { return a.Addr().IsLoopback() && a.Port() >= first && a.Port() <= last }
	var inodes []uint64
	var asked []listeners.Listener
	for _, s := range all {
		if s.Inode != 0 && int32(s.Addr.Port()) != l.app.Spec.Port && !private(s.Addr) {
			inodes, asked = append(inodes, s.Inode), append(asked, s)
		}
	}
	pids := slices.Sorted(maps.Keys(l.tree))
	if clusterAlone(l) {
		pids = append(pids, l.snapshot.Daemon.PID)
	}
	held := p.FS.Held(inodes, pids)
	var found []facts.Place
	inspectors := map[procfs.Identity][]uint16{}
	for _, s := range asked {
		if len(held[s.Inode]) == 0 {
			continue
		}
		id := held[s.Inode][0] // a socket that several of its processes share is one place
		if _, known := inspectors[id]; !known {
			inspectors[id] = p.inspectors(id)
		}
		if !slices.Contains(inspectors[id], s.Addr.Port()) {
			found = append(found, facts.Place{Addr: s.Addr.String(), Port: int32(s.Addr.Port()), PID: id.PID})
		}
	}
	// What the world may reach comes first: that is what was meant by a port.
	slices.SortStableFunc(found, func(a, b facts.Place) int { return cmp.Compare(onLoopback(a), onLoopback(b)) })
	return found[:min(len(found), placesTold)]
}

func onLoopback(p facts.Place) int {
	if a, err := netip.ParseAddrPort(p.Addr); err == nil && a.Addr().IsLoopback() {
		return 1
	}
	return 0
}

// clusterAlone says that PM2's daemon, which listens for every cluster that it keeps, listens for this application alone.
func clusterAlone(l *look) bool {
	ours := false
	for n := range l.snapshot.Processes {
		p := &l.snapshot.Processes[n]
		ours = ours || p.Cluster && p.Alive()
	}
	for n := range l.snapshot.Others {
		if l.snapshot.Others[n].Cluster {
			return false
		}
	}
	return ours && l.snapshot.Daemon.PID != 0
}

// inspectors are the ports at which a process of Node lets itself be looked into.
func (p *Prober) inspectors(id procfs.Identity) []uint16 {
	ports := []uint16{inspectorPort}
	args, _ := p.FS.Cmdline(id) // Next.js overwrites them, but not its environment
	if env, err := p.FS.Environ(id, nodeOptions); err == nil {
		args = append(args, strings.Fields(env[nodeOptions])...)
	}
	for _, arg := range args {
		name, at, _ := strings.Cut(arg, "=")
		if !slices.Contains(inspectArgs, name) {
			continue
		}
		if port, err := strconv.ParseUint(at[strings.LastIndexByte(at, ':')+1:], 10, 16); err == nil {
			ports = append(ports, uint16(port))
		}
	}
	return ports
}

const nodeOptions = "NODE_OPTIONS"

var inspectArgs = []string{"--inspect", "--inspect-brk", "--inspect-wait", "--inspect-port", "--debug-port"}
