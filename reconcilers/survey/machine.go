package survey

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// machine is PM2's list and systemd's services, joined with the processes and who listens.
type machine struct {
	daemon runtime.Daemon
	// without says why PM2 has told nothing.
	without error
	// home is PM2's home if it must be told in the desired state.
	home    string
	apps    []candidate
	modules []string
	procs   procfs.Snapshot
	// web are those of the ports 80 and 443 on which somebody listens.
	web []int
}

// candidate is an application: the rows of one name in PM2's list, or a service.
type candidate struct {
	name  string
	unit  bool // a service of systemd's
	user  bool // and of this user's own manager
	rows  []runtime.Process
	ports []openPort
}

// openPort is a port that an application listens on, and what it answered.
type openPort struct {
	number    int
	listeners []listeners.Listener
	answer    facts.HTTP
}

// answering are the ports on which the application speaks HTTP.
func (c *candidate) answering() (list []int) {
	for _, p := range c.ports {
		if p.answer.Class == facts.Answered {
			list = append(list, p.number)
		}
	}
	return list
}

// look asks PM2, systemd, the kernel, and every port of what could be meant by a name. Where PM2 has nothing to tell, the rest does.
func (s *Surveyor) look(ctx context.Context, name string) (*machine, error) {
	procs, err := s.FS.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("reading the processes: %w", err)
	}
	m := &machine{procs: procs}
	rows, err := s.ask(ctx, m)
	if err != nil {
		none := errors.Is(err, runtime.ErrNoDaemon) || errors.Is(err, runtime.ErrPermission)
		if s.Systemd == nil || !none && !strings.HasSuffix(name, unitSuffix) {
			return nil, err
		}
		m.without = err
	}
	for _, row := range rows {
		if within(row.Script, filepath.Join(m.daemon.Home, "modules")) {
			m.modules = append(m.modules, row.Name)
			continue
		}
		at := slices.IndexFunc(m.apps, func(c candidate) bool { return !c.unit && c.name == row.Name })
		if at < 0 {
			at = len(m.apps)
			m.apps = append(m.apps, candidate{name: row.Name})
		}
		m.apps[at].rows = append(m.apps[at].rows, row)
	}
	if err := s.listen(ctx, m, name); err != nil {
		return nil, err
	}
	return m, nil
}

// ask gives PM2's list: of the home that evenkeel would take by itself, else of the only other one that this user has.
func (s *Surveyor) ask(ctx context.Context, m *machine) ([]runtime.Process, error) {
	app := &v1alpha1.App{}
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{} // no process has an empty name, so that all are somebody else's
	snapshot, err := s.PM2.Look(ctx, app)
	if err == nil {
		m.daemon = snapshot.Daemon
		// A service would not have PM2_HOME in its environment.
		if s.Getenv("PM2_HOME") != "" && m.daemon.Home != filepath.Join(s.Getenv("HOME"), ".pm2") {
			m.home = m.daemon.Home
		}
		return snapshot.Others, nil
	}
	if !errors.Is(err, runtime.ErrNoDaemon) && !errors.Is(err, runtime.ErrPermission) {
		return nil, err
	}
	mine, others := s.daemons(m)
	switch {
	case len(mine) == 1 && s.Getenv("PM2_HOME") == "":
		m.home = mine[0]
		app.Spec.Runtime.PM2.Home = m.home
		snapshot, err = s.PM2.Look(ctx, app)
		m.daemon = snapshot.Daemon
		return snapshot.Others, err
	case len(mine) > 0:
		return nil, fmt.Errorf("%w; but PM2 runs with another home: %s; say which with PM2_HOME=… before the command", err, strings.Join(mine, ", "))
	case len(others) > 0:
		return nil, fmt.Errorf("%w; but PM2 runs as another user: %s; look as that user: sudo -iu %s evenkeel init",
			err, strings.Join(others, ", "), strings.Fields(others[0])[0])
	}
	return nil, fmt.Errorf("%w; want PM2 running with the application in its list: pm2 start …", err)
}

// daemons finds PM2's daemons by what they write on themselves: the homes of this user's, and whose the others are.
func (s *Surveyor) daemons(m *machine) (mine, others []string) {
	for i := range m.procs.Processes {
		p := &m.procs.Processes[i]
		if !p.Alive() || !strings.HasPrefix(p.Comm, "PM2 v") {
			continue
		}
		args, _ := s.FS.Cmdline(p.Identity)
		_, home, found := strings.Cut(strings.Join(args, " "), "God Daemon (")
		home = strings.TrimSuffix(strings.TrimSpace(home), ")")
		contained, _ := s.FS.Contained(p.Identity)
		switch {
		case !found || !filepath.IsAbs(home) || contained:
		case int(p.UID) == os.Geteuid():
			mine = append(mine, home)
		default:
			others = append(others, userName(int(p.UID))+" ("+home+")")
		}
	}
	slices.Sort(mine)
	slices.Sort(others)
	return slices.Compact(mine), slices.Compact(others)
}

// listen finds the ports of each application and asks them. In cluster mode PM2's daemon has the socket: then it belongs to
// the only application in cluster mode, if there is only one. Who listens besides may be a service.
func (s *Surveyor) listen(ctx context.Context, m *machine, name string) error {
	whose := map[int]int{} // the place in m.apps
	var cluster []int
	for i := range m.apps {
		c := &m.apps[i]
		for n := range c.rows {
			if c.rows[n].Alive() {
				for _, p := range m.procs.Tree(c.rows[n].PID) {
					whose[p.PID] = i
				}
			}
		}
		if c.rows[0].Cluster {
			cluster = append(cluster, i)
		}
	}
	if len(cluster) == 1 && m.daemon.PID != 0 {
		whose[m.daemon.PID] = cluster[0]
	}
	var pids []int
	for pid := range whose {
		pids = append(pids, pid)
	}
	all, err := listeners.All(ctx)
	if err != nil {
		return err
	}
	owners, err := listeners.Join(s.FS, all, pids...)
	if err != nil {
		return err
	}
	s.services(ctx, m, owners, whose, name)
	for _, o := range owners {
		port := int(o.Addr.Port())
		if (port == 80 || port == 443) && !slices.Contains(m.web, port) {
			m.web = append(m.web, port)
		}
		i, ok := whose[o.Process.PID]
		if !o.Known || !ok {
			continue
		}
		c := &m.apps[i]
		at := slices.IndexFunc(c.ports, func(p openPort) bool { return p.number == port })
		if at < 0 {
			at = len(c.ports)
			c.ports = append(c.ports, openPort{number: port})
		}
		c.ports[at].listeners = append(c.ports[at].listeners, o.Listener)
	}
	var asking sync.WaitGroup
	for i := range m.apps {
		c := &m.apps[i]
		slices.SortFunc(c.ports, func(a, b openPort) int { return a.number - b.number })
		for n := range c.ports {
			p := &c.ports[n]
			addr, ok := listeners.DialAddr(p.listeners)
			if !ok {
				continue
			}
			asking.Go(func() {
				p.answer, _ = checks.Ask(ctx, checks.Question{URL: "http://" + addr.String() + "/", Timeout: askTimeout})
				p.answer.Addr = addr.String()
			})
		}
	}
	asking.Wait()
	return nil
}

// portHint is a port that is written somewhere.
type portHint struct {
	number int
	from   Source
}

// hint reads which port the application was told to take. Of its arguments and its environment nothing else is kept.
func (s *Surveyor) hint(m *machine, app *candidate) portHint {
	row := &app.rows[0]
	if port := portArgument(row.Args); port != 0 {
		return portHint{port, FromArguments}
	}
	for _, p := range row.Tree(&m.procs) {
		env, err := s.FS.Environ(p.Identity, "PORT")
		if err != nil {
			continue
		}
		if port, err := strconv.Atoi(env["PORT"]); err == nil && validPort(port) {
			return portHint{port, FromVariable}
		}
	}
	return portHint{}
}

// portArgument reads -p 3003, -p3003, --port 3003 and --port=3003.
func portArgument(args []string) int {
	for i, a := range args {
		value := ""
		switch name, after, found := strings.Cut(a, "="); {
		case found && (name == "--port" || name == "-p"):
			value = after
		case a == "-p" || a == "--port":
			if i+1 < len(args) {
				value = args[i+1]
			}
		case strings.HasPrefix(a, "-p"):
			value = a[2:]
		}
		if port, err := strconv.Atoi(value); err == nil && validPort(port) {
			return port
		}
	}
	return 0
}

func validPort(port int) bool { return port > 0 && port < 1<<16 }

// inspector is where Node's debugger listens, which speaks HTTP too.
const inspector = 9229

// choosePort takes of the application's ports the one that the site is served on: the one that the proxy leads to, else the
// one that it was told to take, else the lowest that answers.
func choosePort(app *candidate, hint portHint, proxied func(port int) bool) Port {
	rank := func(p openPort) int {
		r := 0
		for n, is := range []bool{p.number != inspector, p.answer.Class == facts.Answered, p.number == hint.number, proxied(p.number)} {
			if is {
				r |= 1 << n
			}
		}
		return r
	}
	if len(app.ports) == 0 {
		return Port{Number: hint.number, From: hint.from}
	}
	best := slices.MaxFunc(app.ports, func(a, b openPort) int { return rank(a) - rank(b) })
	f := Port{Number: best.number, From: FromListener}
	for _, l := range best.listeners {
		if addr := l.Addr.Addr().String(); !slices.Contains(f.Addresses, addr) {
			f.Addresses = append(f.Addresses, addr)
		}
	}
	for _, p := range app.ports {
		if p.number != best.number {
			f.Others = append(f.Others, p.number)
		}
	}
	return f
}

// within tells whether a path lies in a folder or is it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// localHosts tells the hosts that are this machine from others.
func localHosts() func(host string) bool {
	own := map[string]bool{}
	if name, err := os.Hostname(); err == nil {
		own[strings.ToLower(name)] = true
	}
	addrs, _ := net.InterfaceAddrs() // what is not known counts as another machine's
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			own[n.IP.String()] = true
		}
	}
	return func(host string) bool { return own[strings.ToLower(host)] }
}
