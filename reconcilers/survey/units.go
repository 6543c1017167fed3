package survey

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// unitSuffix ends the name of every service.
const unitSuffix = ".service"

// service is a unit that listens, or one that was named.
type service struct {
	name string
	user bool
	pids []int // the processes that listen
}

// notSites are programs that listen and are never the application: proxies, databases, and what a machine runs for itself.
var notSites = regexp.MustCompile(`^(nginx|apache2|httpd|lighttpd|caddy|traefik|haproxy|envoy|varnishd|squid|` +
	`mysqld|mariadbd|mariadb|postgres|postmaster|mongod|mongos|redis-server|valkey-server|keydb-server|memcached|influxd|etcd|clickhouse-serv|` +
	`sshd|master|exim[0-9]*|dovecot|named|dnsmasq|unbound|cupsd|chronyd|dockerd|docker-proxy|containerd|conmon|rootlessport|` +
	`systemd|systemd-.*|monit|node_exporter|PM2 v.*)$`)

// notUnits are units that are never the application: evenkeel's own, and PM2's, where PM2 is who runs it.
var notUnits = regexp.MustCompile(`^(evenkeel([@-].*)?|pm2([@-].*)?)\.service$`)

// listening finds the services of the system's manager and of this user's among who listens. A unit in which PM2 lives, or anything
// that PM2 lists (listed), is PM2's.
func listening(owners []listeners.Owner, procs *procfs.Snapshot, uid int, group func(procfs.Identity) string, listed func(pid int) bool) (found []service) {
	type place struct {
		unit    string
		manager int
	}
	in := func(id procfs.Identity) place {
		unit, manager := procfs.Service(group(id))
		return place{unit, manager}
	}
	pm2s := map[place]bool{in(self(procs)): true}
	for i := range procs.Processes {
		if p := &procs.Processes[i]; strings.HasPrefix(p.Comm, "PM2 v") || listed(p.PID) {
			pm2s[in(p.Identity)] = true
		}
	}
	for _, o := range owners {
		at := in(o.Process)
		if !o.Known || at.unit == "" || at.manager != procfs.SystemManager && at.manager != uid || pm2s[at] || notSites.MatchString(o.Comm) || notUnits.MatchString(at.unit) {
			continue
		}
		user := at.manager != procfs.SystemManager
		n := slices.IndexFunc(found, func(s service) bool { return s.name == at.unit && s.user == user })
		if n < 0 {
			n = len(found)
			found = append(found, service{name: at.unit, user: user})
		}
		if !slices.Contains(found[n].pids, o.Process.PID) {
			found[n].pids = append(found[n].pids, o.Process.PID)
		}
	}
	return found
}

// self is this process.
func self(procs *procfs.Snapshot) procfs.Identity {
	p, _ := procs.Get(os.Getpid())
	return p.Identity
}

// services adds the services that could be meant: those that listen and have a unit file that somebody has written on this machine,
// and the one that is named, whatever it is. What systemd does not tell of is none.
func (s *Surveyor) services(ctx context.Context, m *machine, owners []listeners.Owner, whose map[int]int, name string) {
	if s.Systemd == nil {
		return
	}
	group := func(id procfs.Identity) string {
		g, _ := s.FS.ControlGroup(id) // who is gone, or may not be looked at, is in none
		return g
	}
	listed := func(pid int) bool { _, is := whose[pid]; return is }
	found := listening(owners, &m.procs, os.Geteuid(), group, listed)
	named := func(unit string) bool { return unit == name || unit == name+unitSuffix }
	if !slices.ContainsFunc(found, func(f service) bool { return named(f.name) }) && strings.HasSuffix(name, unitSuffix) && !notUnits.MatchString(name) {
		found = append(found, service{name: name, user: true}, service{name: name}) // it may be down
	}
	for _, f := range found {
		if len(f.pids) == 0 && slices.ContainsFunc(m.apps, func(c candidate) bool { return c.unit && c.name == f.name }) {
			continue
		}
		row, ok := s.unit(ctx, f)
		if !ok || !named(f.name) && !written(row.Config) {
			continue
		}
		for _, pid := range f.pids {
			whose[pid] = len(m.apps)
		}
		m.apps = append(m.apps, candidate{name: f.name, unit: true, user: f.user, rows: []runtime.Process{row}})
	}
}

// unit asks systemd for a unit, and fills in what only its process tells. A unit that lasts no longer than its process, as
// systemd-run makes them, could never be started again, and is none.
func (s *Surveyor) unit(ctx context.Context, f service) (runtime.Process, bool) {
	app := &v1alpha1.App{}
	app.Spec.Runtime.Systemd = &v1alpha1.SystemdRuntime{Unit: f.name, User: f.user}
	snap, err := s.Systemd.Look(ctx, app)
	if err != nil || len(snap.Processes) != 1 {
		return runtime.Process{}, false
	}
	row := snap.Processes[0]
	if row.State == runtime.Missing || strings.Contains(row.Config, "/systemd/transient/") {
		return row, false
	}
	set, here := filepath.IsAbs(row.Cwd), "/" // WorkingDirectory= may be left out, or be "~"
	if row.Alive() {
		if args, err := s.FS.Cmdline(row.Identity); err == nil && len(args) > 1 {
			row.Args = args[1:]
		}
		if cwd, err := s.FS.Cwd(row.Identity); err == nil {
			here = cwd
		}
	}
	if !set {
		row.Cwd = here
	}
	file, is := scriptOf(row.Cwd, row.Args)
	if is {
		row.Script = file
	}
	if is && !set {
		row.Cwd = filepath.Dir(file)
	}
	return row, true
}

// scriptOf is the file of the application among its arguments: the first of them, if it is one.
func scriptOf(cwd string, args []string) (file string, is bool) {
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			continue
		}
		if !filepath.IsAbs(a) {
			a = filepath.Join(cwd, a)
		}
		info, err := os.Stat(a)
		return a, err == nil && info.Mode().IsRegular()
	}
	return "", false
}

// written tells whether somebody has written a unit's file on this machine: it came with no package, and was not made anew by systemd.
func written(file string) bool {
	for _, made := range []string{"/usr/lib/", "/lib/", "/run/", "/usr/share/"} {
		if strings.HasPrefix(file, made) {
			return false
		}
	}
	return file != ""
}

func systemdFacts(app *candidate) *Systemd {
	row := &app.rows[0]
	return &Systemd{
		Unit: app.name, User: app.user, File: row.Config, Kind: row.ExecMode, State: row.Raw, Autorestart: row.Autorestart,
		May: app.user || os.Geteuid() == 0,
	}
}

// steersUnit is what starts and stops a service.
func steersUnit(unit string) *regexp.Regexp {
	name := regexp.QuoteMeta(strings.TrimSuffix(unit, unitSuffix))
	return regexp.MustCompile(fmt.Sprintf(`\bsystemctl\b[^\n;|&#]*\b(re|try-re|reload-or-re)?(start|stop|kill)\b[^\n;|&#]*[ \t"']%s(\.service)?($|[^\w.@-])`, name))
}
