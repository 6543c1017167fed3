package survey

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

const (
	oursUID  = 1000
	usersOwn = "/user.slice/user-1000.slice/user@1000.service"
)

// recorded is a process as /proc shows it on a machine: its name, its control group, and the port that it listens on.
type recorded struct {
	comm, group string
	port        uint16
	listed      bool // by PM2
}

func TestWhichServicesListen(t *testing.T) {
	for name, test := range map[string]struct {
		machine []recorded
		want    string
	}{
		"a unit of the system's": {[]recorded{{comm: "node", group: "/system.slice/web.service", port: 3003}}, "web.service"},
		"with its workers, once": {[]recorded{
			{comm: "node", group: "/system.slice/web.service"},
			{comm: "node", group: "/system.slice/web.service", port: 3003}, {comm: "node", group: "/system.slice/web.service", port: 3003},
		}, "web.service"},
		"of a template":                 {[]recorded{{comm: "next-server", group: "/system.slice/system-site.slice/site@blue.service", port: 3003}}, "site@blue.service"},
		"a unit of this user's":         {[]recorded{{comm: "node", group: usersOwn + "/app.slice/web.service", port: 3003}}, "web.service (user)"},
		"a unit of another user's":      {[]recorded{{comm: "node", group: "/user.slice/user-1001.slice/user@1001.service/app.slice/web.service", port: 3003}}, ""},
		"the same name twice":           {[]recorded{{comm: "node", group: "/system.slice/web.service", port: 1}, {comm: "node", group: usersOwn + "/app.slice/web.service", port: 2}}, "web.service, web.service (user)"},
		"a login":                       {[]recorded{{comm: "node", group: "/user.slice/user-1000.slice/session-3.scope", port: 3003}}, ""},
		"a terminal of this user's":     {[]recorded{{comm: "node", group: usersOwn + "/app.slice/tmux-spawn-1.scope", port: 3003}}, ""},
		"the user's manager itself":     {[]recorded{{comm: "systemd", group: usersOwn + "/init.scope", port: 3003}}, ""},
		"a container":                   {[]recorded{{comm: "node", group: "/system.slice/docker-0123.scope", port: 3003}}, ""},
		"no systemd":                    {[]recorded{{comm: "node", group: "/", port: 3003}, {comm: "node", port: 3004}}, ""},
		"Nginx":                         {[]recorded{{comm: "nginx", group: "/system.slice/nginx.service", port: 80}}, ""},
		"databases":                     {[]recorded{{comm: "postgres", group: "/system.slice/system-postgresql.slice/postgresql@15-main.service", port: 5432}, {comm: "mariadbd", group: "/system.slice/mariadb.service", port: 3306}, {comm: "redis-server", group: "/system.slice/redis-server.service", port: 6379}}, ""},
		"evenkeel's own unit":           {[]recorded{{comm: "evenkeel", group: "/system.slice/evenkeel.service", port: 9090}, {comm: "node", group: "/system.slice/evenkeel.service", port: 3003}}, ""},
		"and one of its instances":      {[]recorded{{comm: "node", group: usersOwn + "/app.slice/evenkeel@web.service", port: 3003}}, ""},
		"PM2's unit, by its name":       {[]recorded{{comm: "node", group: "/system.slice/pm2-deploy.service", port: 3003}}, ""},
		"PM2's unit, however called":    {[]recorded{{comm: "PM2 v7.0.4: God", group: "/system.slice/apps.service"}, {comm: "node", group: "/system.slice/apps.service", port: 3003}}, ""},
		"a unit whose process it lists": {[]recorded{{comm: "node", group: "/system.slice/runtime.service", listed: true}, {comm: "node", group: "/system.slice/runtime.service", port: 3003}}, ""},
		"beside all of these":           {[]recorded{{comm: "nginx", group: "/system.slice/nginx.service", port: 80}, {comm: "sshd", group: "/system.slice/ssh.service", port: 22}, {comm: "node", group: "/system.slice/web.service", port: 3003}}, "web.service"},
	} {
		t.Run(name, func(t *testing.T) {
			var procs procfs.Snapshot
			var owners []listeners.Owner
			groups := map[int]string{}
			for n, r := range test.machine {
				p := procfs.Process{Identity: procfs.Identity{PID: n + 2, StartTicks: uint64(n + 1)}, Comm: r.comm, State: procfs.Sleeping}
				procs.Processes = append(procs.Processes, p)
				groups[p.PID] = r.group
				if r.port != 0 {
					o := listeners.Owner{Known: true, Process: p.Identity, Comm: r.comm}
					o.Addr = netip.AddrPortFrom(netip.IPv6Unspecified(), r.port)
					owners = append(owners, o)
				}
			}
			owners = append(owners, listeners.Owner{Why: "may not be looked at"})
			var got []string
			for _, f := range listening(owners, &procs, oursUID, func(id procfs.Identity) string { return groups[id.PID] },
				func(pid int) bool { return pid >= 2 && test.machine[pid-2].listed }) {
				got = append(got, f.name+map[bool]string{true: " (user)"}[f.user])
			}
			if strings.Join(got, ", ") != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// units is a systemd that knows these.
type units map[string]runtime.Process

func (u units) Look(_ context.Context, app *v1alpha1.App) (runtime.Snapshot, error) {
	s := app.Spec.Runtime.Systemd
	row, ok := u[s.Unit+map[bool]string{true: " (user)"}[s.User]]
	if !ok {
		row = runtime.Process{Name: s.Unit, State: runtime.Missing}
	}
	return runtime.Snapshot{Processes: []runtime.Process{row}}, nil
}

func TestWhatIsTakenOfAService(t *testing.T) {
	dir := tree(t, map[string]string{"app/server.js": "", "app/package.json": "{}"})
	at := func(name string) string { return filepath.Join(dir, name) }
	me, err := procfs.Default().Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s := &Surveyor{FS: procfs.Default(), Systemd: units{
		"set.service":            {State: runtime.Stopped, Cwd: at("app"), Script: "/usr/bin/node", Config: "/etc/systemd/system/set.service"},
		"unset.service":          {State: runtime.Running, Script: "/usr/bin/node", Identity: me.Identity, PID: me.PID},
		"home.service (user)":    {State: runtime.Running, Cwd: "~", Script: "/usr/bin/node", Identity: me.Identity, PID: me.PID},
		"down.service":           {State: runtime.Stopped, Script: "/usr/bin/node"},
		"passing.service":        {State: runtime.Running, Config: "/run/systemd/transient/passing.service"},
		"passing.service (user)": {State: runtime.Running, Config: "/run/user/1000/systemd/transient/passing.service"},
	}}
	for _, test := range []struct {
		unit service
		want string
	}{
		{service{name: "set.service"}, at("app")}, {service{name: "unset.service"}, here}, {service{name: "home.service", user: true}, here}, {service{name: "down.service"}, "/"},
		{service{name: "gone.service"}, ""}, {service{name: "passing.service"}, ""}, {service{name: "passing.service", user: true}, ""},
	} {
		row, ok := s.unit(t.Context(), test.unit)
		if ok != (test.want != "") || ok && row.Cwd != test.want {
			t.Errorf("%s: %v, %q, want %q", test.unit.name, ok, row.Cwd, test.want)
		}
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--max-old-space-size=512", "server.js", "--token", "x"}, at("app/server.js")}, {[]string{at("app/server.js")}, at("app/server.js")},
		{[]string{"start"}, ""}, {nil, ""}, {[]string{"-p", "3003"}, ""},
	} {
		if got, is := scriptOf(at("app"), test.args); is != (test.want != "") || is && got != test.want {
			t.Errorf("%q: %q, %v", test.args, got, is)
		}
	}
}

func TestAUnitIsNamedOrWrittenHere(t *testing.T) {
	found := func(name string) (list []string) {
		s := &Surveyor{FS: procfs.Default(), Systemd: units{
			"own.service": {State: runtime.Running, Config: "/etc/systemd/system/own.service"}, "vendor.service": {State: runtime.Running, Config: "/usr/lib/systemd/system/vendor.service"},
			"both.service (user)": {State: runtime.Stopped, Config: "/home/deploy/.config/systemd/user/both.service"}, "both.service": {State: runtime.Stopped, Config: "/etc/x"},
			"evenkeel.service": {State: runtime.Running, Config: "/etc/systemd/system/evenkeel.service"}, "pm2-deploy.service": {State: runtime.Running, Config: "/etc/systemd/system/pm2-deploy.service"},
		}}
		m := &machine{}
		s.services(t.Context(), m, nil, map[int]int{}, name)
		for _, c := range m.apps {
			list = append(list, c.name+map[bool]string{true: " (user)"}[c.user])
		}
		return list
	}
	for name, want := range map[string][]string{
		"": nil, "own.service": {"own.service"}, "vendor.service": {"vendor.service"}, "both.service": {"both.service (user)"}, "none.service": nil,
		"evenkeel.service": nil, "pm2-deploy.service": nil, "own": nil, // which might be one of PM2's: only what listens is found by half its name
	} {
		if got := found(name); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for file, want := range map[string]bool{
		"/etc/systemd/system/a.service": true, "/home/deploy/.config/systemd/user/a.service": true, "/usr/local/lib/systemd/system/a.service": true,
		"/usr/lib/systemd/system/a.service": false, "/lib/systemd/system/a.service": false, "/run/systemd/generator.late/a.service": false, "": false,
	} {
		if got := written(file); got != want {
			t.Errorf("%s: %v", file, got)
		}
	}
}

func unitRow(name string, answering ...int) candidate {
	c := row(name, answering...)
	c.unit, c.rows[0].Raw = true, "active (running)"
	return c
}

func TestChooseAmongServices(t *testing.T) {
	deaf := unitRow("deaf.service")
	deaf.ports = []openPort{{number: 25, answer: facts.HTTP{Class: facts.Garbage}}}
	for name, test := range map[string]struct {
		apps       []candidate
		name       string
		want, fail string
	}{
		"the only one":                       {[]candidate{unitRow("a.service", 1)}, "", "a.service", ""},
		"the only one that answers":          {[]candidate{deaf, unitRow("a.service", 1)}, "", "a.service", ""},
		"by half its name":                   {[]candidate{unitRow("a.service", 1), unitRow("b.service", 2)}, "b", "b.service", ""},
		"one that does not answer, by name":  {[]candidate{deaf, unitRow("a.service", 1)}, "deaf.service", "deaf.service", ""},
		"PM2's comes first":                  {[]candidate{row("web", 1), unitRow("a.service", 2)}, "", "web", ""},
		"PM2's comes first by name, too":     {[]candidate{unitRow("web.service", 2), row("web", 1)}, "web", "web", ""},
		"unless it does not serve":           {[]candidate{row("worker"), unitRow("a.service", 2)}, "", "a.service", ""},
		"PM2's only one, and none that does": {[]candidate{row("worker"), deaf}, "", "worker", ""},
		"two": {[]candidate{unitRow("a.service", 1), unitRow("b.service", 2)}, "", "",
			"PM2 lists no application; systemd keeps a.service (active (running), answers on 1), b.service (active (running), answers on 2)"},
		"none of that name": {[]candidate{row("web", 1), unitRow("a.service", 2)}, "x", "",
			`there is no application "x"; PM2 lists web (online, answers on 1); systemd keeps a.service (active (running), answers on 2)`},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := choose(test.apps, test.name)
			if err != nil && err.Error() != test.fail || err == nil && c.name != test.want {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	apps := []candidate{row("web", 1), unitRow("a.service", 2), deaf}
	if got := beside(apps, &apps[0]); len(got) != 1 || got[0].String() != "a.service (active (running), answers on 2)" {
		t.Errorf("beside: %v", got)
	}
}

func TestWhoRestartsAUnit(t *testing.T) {
	of := target{process: "web.service", directory: "/srv/web", port: 3003}
	for text, want := range map[string][2]bool{
		"curl -fsS localhost:3003 || systemctl restart web":    {true, true},
		"systemctl --user try-restart web.service":             {true, true},
		"sudo systemctl stop web && sudo systemctl start web":  {true, true},
		"systemctl restart nginx":                              {},
		"systemctl restart web-worker":                         {},
		"systemctl restart web.timer":                          {},
		"systemctl restart my-web":                             {},
		"systemctl reload web":                                 {},
		"systemctl status web; echo restart":                   {},
		"pm2 restart blog":                                     {true, false},
		"fuser -k 3003/tcp":                                    {true, true},
		"systemctl restart web # see evenkeel's documentation": {},
	} {
		if found, sure := judge(text, of); found != want[0] || sure != want[1] {
			t.Errorf("%s: %v, %v", text, found, sure)
		}
	}
}
