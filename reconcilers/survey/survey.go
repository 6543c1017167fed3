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

// Looker is what is needed of a process manager; [pm2.Manager] and [systemd.Manager] are two.
type Looker interface {
	Look(ctx context.Context, app *v1alpha1.App) (runtime.Snapshot, error)
}

// Surveyor looks at a machine. The zero value of each field but PM2 is this machine.
type Surveyor struct {
	PM2 Looker
	// Systemd tells of units; nil means that no unit is looked for.
	Systemd Looker
	FS      procfs.FS
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

// Survey looks at the application that PM2 knows under a name, or systemd: a unit, with ".service" or without. With an empty name
// it looks at the only one there is, or the only one that serves HTTP; PM2's come first. Where that cannot be told it fails with a
// [ChoiceError], and with one of package runtime's errors where PM2 could not be asked and no service was found.
func (s *Surveyor) Survey(ctx context.Context, name string) (Facts, error) {
	s.setUp()
	m, err := s.look(ctx, name)
	if err != nil {
		return Facts{}, err
	}
	app, err := choose(m.apps, name)
	switch {
	case err != nil && m.without != nil:
		return Facts{}, fmt.Errorf("%w; and no service of systemd's was seen that could be it", m.without)
	case err != nil:
		return Facts{}, err
	}
	f := Facts{At: s.Clock(), User: userName(os.Geteuid())}
	if app.unit {
		f.Systemd = systemdFacts(app)
	} else {
		f.PM2 = pm2Facts(m, app)
	}
	if name == "" {
		f.Beside = beside(m.apps, app)
	}
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

// Choice is one of the applications that PM2 lists, or a service.
type Choice struct {
	// Name is PM2's name of it, or the unit's, which Unit says.
	Name string `json:"name"`
	Unit bool   `json:"unit,omitempty"`
	// State is PM2's or systemd's word.
	State string `json:"state"`
	// Ports are those that it answers on.
	Ports []int `json:"ports,omitempty"`
}

// String is the choice as it stands in a sentence.
func (c *Choice) String() string {
	text := c.Name + " (" + c.State
	for n, p := range c.Ports {
		text += map[bool]string{true: ", answers on ", false: " and "}[n == 0] + strconv.Itoa(p)
	}
	return text + ")"
}

// Error says what there is to choose from.
func (e *ChoiceError) Error() string {
	var list, units []string
	for i := range e.Apps {
		if e.Apps[i].Unit {
			units = append(units, e.Apps[i].String())
		} else {
			list = append(list, e.Apps[i].String())
		}
	}
	said, what := "PM2 lists "+strings.Join(list, ", "), ""
	switch {
	case len(list) == 0:
		said = "PM2 lists no application"
	case e.Name == "" && len(list) > 1:
		said = "PM2 lists several applications: " + strings.Join(list, ", ")
	}
	if len(units) > 0 {
		said += "; systemd keeps " + strings.Join(units, ", ")
	}
	if e.Name != "" && len(e.Apps) > 0 {
		what = fmt.Sprintf("there is no application %q; ", e.Name)
	}
	return what + said
}

// choose takes the application that is named, or the only one that can be meant. What PM2 lists was put there as an application;
// a service may be anything that answers.
func choose(apps []candidate, name string) (*candidate, error) {
	var listed, serving, units []*candidate
	for i := range apps {
		a := &apps[i]
		switch {
		case name != "":
			if a.name == name {
				return a, nil
			}
		case a.unit && len(a.answering()) > 0:
			units = append(units, a)
		case a.unit:
		default:
			listed = append(listed, a)
			if len(a.answering()) > 0 {
				serving = append(serving, a)
			}
		}
	}
	for i := range apps {
		if name != "" && apps[i].unit && apps[i].name == name+unitSuffix {
			return &apps[i], nil
		}
	}
	switch {
	case len(serving) == 1:
		return serving[0], nil
	case len(serving) == 0 && len(units) == 1:
		return units[0], nil
	case len(units) == 0 && len(listed) == 1:
		return listed[0], nil
	}
	e := &ChoiceError{Name: name}
	for i := range apps {
		e.Apps = append(e.Apps, apps[i].choice())
	}
	return nil, e
}

func (c *candidate) choice() Choice {
	return Choice{Name: c.name, Unit: c.unit, State: c.rows[0].Raw, Ports: c.answering()}
}

// beside are the services that answer, but for the one that was chosen.
func beside(apps []candidate, chosen *candidate) (list []Choice) {
	for i := range apps {
		if a := &apps[i]; a != chosen && a.unit && len(a.answering()) > 0 {
			list = append(list, a.choice())
		}
	}
	return list
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}
