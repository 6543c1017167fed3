package survey

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// askTimeout bounds one HTTP request. What needs longer is not well.
const askTimeout = 8 * time.Second

// Looker is what is needed of PM2; [pm2.Manager] is one.
type Looker interface {
	Look(ctx context.Context, app *v1alpha1.App) (runtime.Snapshot, error)
}

// Surveyor looks at a machine. The zero value of each field but PM2 is this machine.
type Surveyor struct {
	PM2 Looker
	FS  procfs.FS
	// Getenv is evenkeel's own environment.
	Getenv func(string) string
	// Etc is the folder of the machine's configuration, Spool that of the users' cron jobs.
	Etc, Spool string
	// Nginx are the main files of Nginx's configuration; nil asks running ones for theirs and then looks in the usual places.
	Nginx []string
	// Crontab gives the cron jobs of this user.
	Crontab func(ctx context.Context) ([]byte, error)
	// Dial and Roots are for asking public addresses.
	Dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	Roots *x509.CertPool
	// Clock tells the moment.
	Clock func() time.Time
}

func (s *Surveyor) setUp() {
	if s.FS == (procfs.FS{}) {
		s.FS = procfs.Default()
	}
	if s.Getenv == nil {
		s.Getenv = os.Getenv
	}
	if s.Etc == "" {
		s.Etc = "/etc"
	}
	if s.Spool == "" {
		s.Spool = "/var/spool/cron"
	}
	if s.Crontab == nil {
		s.Crontab = ownCrontab
	}
	if s.Clock == nil {
		s.Clock = time.Now
	}
}

// Survey looks at the application that PM2 knows under a name; with an empty name at the only one there is, or the only one
// that serves HTTP. Where that cannot be told it fails with a [ChoiceError], and with one of package runtime's errors where
// PM2 could not be asked.
func (s *Surveyor) Survey(ctx context.Context, name string) (Facts, error) {
	s.setUp()
	m, err := s.look(ctx)
	if err != nil {
		return Facts{}, err
	}
	app, err := choose(m.apps, name)
	if err != nil {
		return Facts{}, err
	}
	f := Facts{At: s.Clock(), User: userName(os.Geteuid()), PM2: pm2Facts(m, app)}
	s.folder(&f, &app.rows[0])
	proxies := s.proxies()
	f.Port = choosePort(app, s.hint(m, app), proxies.leadsTo)
	for i := range app.ports {
		if app.ports[i].number == f.Port.Number {
			f.Local = &app.ports[i].answer
		}
	}
	f.Proxy = proxies.facts(f.Port.Number)
	f.Proxy.Listening = m.web
	f.Public = s.askPublic(ctx, f.Proxy.Sites)
	if mem, err := s.FS.Meminfo(); err == nil {
		f.Total, f.Available = mem.Total, mem.Available
	}
	s.watchdogs(ctx, &f, m, app)
	return f, ctx.Err()
}

func pm2Facts(m *machine, app *candidate) PM2 {
	row := &app.rows[0]
	f := PM2{
		Process: app.name, Rows: len(app.rows), Version: m.daemon.Version, Home: m.home,
		State: row.Raw, Restarts: row.Restarts, Cluster: row.Cluster, Autorestart: row.Autorestart,
		Unstartable: row.Unstartable, Watch: row.Watch, MaxMemory: row.MaxMemory,
	}
	if row.Cron != "0" { // PM2 writes that for none
		f.Cron = row.Cron
	}
	return f
}

// ChoiceError says that it is not clear which application is meant.
type ChoiceError struct {
	// Name is what was asked for; empty if nothing was.
	Name string
	// Apps are those there are.
	Apps []Choice
}

// Choice is one of the applications that PM2 lists.
type Choice struct {
	Name  string
	State string
	// Ports are those that it answers on.
	Ports []int
}

// Error says what there is to choose from.
func (e *ChoiceError) Error() string {
	var list []string
	for _, c := range e.Apps {
		text := c.Name + " (" + c.State
		for n, p := range c.Ports {
			text += map[bool]string{true: ", answers on ", false: " and "}[n == 0] + strconv.Itoa(p)
		}
		list = append(list, text+")")
	}
	switch {
	case len(list) == 0:
		return "PM2 lists no application"
	case e.Name != "":
		return fmt.Sprintf("PM2 lists no application %q; it lists %s", e.Name, strings.Join(list, ", "))
	}
	return "PM2 lists several applications: " + strings.Join(list, ", ")
}

// choose takes the application that is named, or the only one that can be meant.
func choose(apps []candidate, name string) (*candidate, error) {
	var serving []*candidate
	for i := range apps {
		a := &apps[i]
		if a.name == name || name == "" && len(apps) == 1 {
			return a, nil
		}
		if name == "" && len(a.answering()) > 0 {
			serving = append(serving, a)
		}
	}
	if len(serving) == 1 {
		return serving[0], nil
	}
	e := &ChoiceError{Name: name}
	for i := range apps {
		e.Apps = append(e.Apps, Choice{Name: apps[i].name, State: apps[i].rows[0].Raw, Ports: apps[i].answering()})
	}
	return nil, e
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}
