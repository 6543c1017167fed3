package survey

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/nginx"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// tree writes files below a folder of the test's own; a text that begins with "-> " makes a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, link := strings.CutPrefix(text, "-> "); link {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func row(name string, answering ...int) candidate {
	c := candidate{name: name, rows: []runtime.Process{{Name: name, Raw: "online"}}}
	for _, p := range answering {
		c.ports = append(c.ports, openPort{number: p, answer: facts.HTTP{Class: facts.Answered}})
	}
	return c
}

func TestChoose(t *testing.T) {
	for name, test := range map[string]struct {
		apps       []candidate
		name       string
		want, fail string
	}{
		"the one named":                     {[]candidate{row("a", 1), row("b", 2)}, "b", "b", ""},
		"the only one, though it is silent": {[]candidate{row("a")}, "", "a", ""},
		"the only one that serves":          {[]candidate{row("a"), row("b", 2), row("c")}, "", "b", ""},
		"two that serve":                    {[]candidate{row("a", 1, 3), row("b", 2)}, "", "", "PM2 lists several applications: a (online, answers on 1 and 3), b (online, answers on 2)"},
		"none that serves":                  {[]candidate{row("a"), row("b")}, "", "", "PM2 lists several applications: a (online), b (online)"},
		"one that is not there":             {[]candidate{row("a")}, "x", "", `there is no application "x"; PM2 lists a (online)`},
		"none at all":                       {nil, "x", "", "PM2 lists no application"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := choose(test.apps, test.name)
			if err != nil && err.Error() != test.fail || err == nil && c.name != test.want {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
}

func TestChoosePort(t *testing.T) {
	proxied := func(ports ...int) func(int) bool { return func(p int) bool { return slices.Contains(ports, p) } }
	silent := row("a", 4000)
	silent.ports = append(silent.ports, openPort{number: 3500, answer: facts.HTTP{Class: facts.Garbage}})
	for name, test := range map[string]struct {
		app     candidate
		hint    portHint
		proxied func(int) bool
		want    int
		from    Source
	}{
		"the only one":                  {row("a", 3003), portHint{}, proxied(), 3003, FromListener},
		"not the debugger":              {row("a", inspector, 9300), portHint{}, proxied(), 9300, FromListener},
		"the one that Nginx leads to":   {row("a", 3000, 3001), portHint{3000, FromArguments}, proxied(3001), 3001, FromListener},
		"the one that it was told":      {row("a", 3000, 3001), portHint{3001, FromVariable}, proxied(), 3001, FromListener},
		"the lowest":                    {row("a", 3000, 3001), portHint{}, proxied(3000, 3001), 3000, FromListener},
		"the one that speaks HTTP":      {silent, portHint{}, proxied(), 4000, FromListener},
		"nothing listens, but was told": {row("a"), portHint{3003, FromArguments}, proxied(), 3003, FromArguments},
		"nothing at all":                {row("a"), portHint{}, proxied(), 0, FromNowhere},
	} {
		if got := choosePort(&test.app, test.hint, test.proxied); got.Number != test.want || got.From != test.from {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPortArgument(t *testing.T) {
	for args, want := range map[string]int{
		"start -p 3003": 3003, "start -p3003": 3003, "start --port 3003": 3003, "--port=3003": 3003, "-p=3003": 3003,
		"start": 0, "-p": 0, "-p x": 0, "--port 99999": 0, "--profile 3003": 0, "-pretty": 0,
	} {
		if got := portArgument(strings.Fields(args)); got != want {
			t.Errorf("%s: %d, want %d", args, got, want)
		}
	}
}

func TestDirectory(t *testing.T) {
	dir := tree(t, map[string]string{
		"app/package.json": "{}", "app/server.js": "", "app/node_modules/next/package.json": "{}", "app/node_modules/next/dist/bin/next": "",
		"built/.next/standalone/server.js": "", "built/.next/standalone/package.json": "{}", "built/package.json": "{}", "plain/x.js": "", "home/.bashrc": "",
	})
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, test := range []struct{ cwd, script, want string }{
		{"app", "app/node_modules/next/dist/bin/next", "app"},
		{"home", "app/node_modules/next/dist/bin/next", "app"}, // started from elsewhere
		{"home", "app/server.js", "app"},
		{"built/.next/standalone", "built/.next/standalone/server.js", "built"},
		{"home", "built/.next/standalone/server.js", "built"},
		{"plain", "plain/x.js", "plain"},
	} {
		if got := directory(&runtime.Process{Cwd: at(test.cwd), Script: at(test.script)}); got != at(test.want) {
			t.Errorf("%+v: %s", test, got)
		}
	}
	if got := directory(&runtime.Process{Cwd: at("app") + "/", Script: "/usr/bin/npm"}); got != at("app") {
		t.Errorf("npm start: %s", got)
	}
}

func TestEcosystem(t *testing.T) {
	for _, test := range []struct {
		files map[string]string
		want  Ecosystem
	}{
		{map[string]string{"ecosystem.config.js": "{name: 'web', x: 1}"}, Ecosystem{"ecosystem.config.js", true}},
		{map[string]string{"ecosystem.config.js": `{name: "web-2"}`, "process.json": `{"name": "web"}`}, Ecosystem{"process.json", true}},
		{map[string]string{"pm2.yml": "apps:\n  - name: web # it\n"}, Ecosystem{"pm2.yml", true}},
		{map[string]string{"pm2.config.cjs": "{name: process.env.NAME}"}, Ecosystem{"pm2.config.cjs", false}},
		{map[string]string{"package.json": `{"name": "web"}`}, Ecosystem{}},
	} {
		got := ecosystem(tree(t, test.files), "web")
		if got == nil {
			got = &Ecosystem{}
		}
		if *got != test.want {
			t.Errorf("%v: %+v", test.files, got)
		}
	}
}

func TestEnvironment(t *testing.T) {
	dir := tree(t, map[string]string{
		".env":                  "DATABASE_URL=postgres://u:hunter2@h/d\nDB_HOST=\nNEXT_PUBLIC_DATABASE_URL=x\nMONGODB_URI=y\nOTHER=1\nPOSTGRES_PRISMA_URL=z",
		".env.production.local": "MONGODB_URI=\n",
	})
	e := environment(dir)
	if !e.Main || !slices.Equal(e.Files, []string{".env.production.local", ".env"}) || e.Error != "" ||
		!slices.Equal(e.Database, []string{"DATABASE_URL", "POSTGRES_PRISMA_URL"}) || !slices.Equal(e.Empty, []string{"DB_HOST", "MONGODB_URI"}) {
		t.Errorf("%+v", e)
	}
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		names, want string
		listens     []nginx.Listen
		location    string
	}{
		{"www.Example.com example.com", "https://www.example.com/ https://example.com/", []nginx.Listen{{Port: 80}, {Port: 443, TLS: true}}, "/"},
		{"_ localhost ~^x$ *.example.com a..b", "", []nginx.Listen{{Port: 443, TLS: true}}, "/"},
		{".example.com", "http://example.com:8080/", []nginx.Listen{{Port: 8080}}, "/"},
		{"203.0.113.7", "http://203.0.113.7/", []nginx.Listen{{Port: 80}}, "/"},
		{"203.0.113.7 a.example.com", "https://a.example.com:8443/api/", []nginx.Listen{{Port: 8443, TLS: true}}, "/api/"},
		{"a.example.com", "", nil, "/"},
		{"a.example.com", "https://a.example.com/", []nginx.Listen{{Port: 8443, TLS: true}, {Port: 443, TLS: true}}, "~ ^/x"},
	} {
		s := Site{Site: nginx.Site{Names: strings.Fields(test.names), Listens: test.listens}, By: nginx.Proxy{Location: test.location}}
		if got := strings.Join(addresses(&s), " "); got != test.want {
			t.Errorf("%s: %q, want %q", test.names, got, test.want)
		}
	}
}

func TestProxies(t *testing.T) {
	dir := tree(t, map[string]string{
		"nginx.conf":           "http { include sites-enabled/*; include gone.conf; }",
		"sites-available/shop": "upstream shop { server localhost:3003; }\nserver { listen 443 ssl; server_name shop.example.com; location / { proxy_pass http://shop; } }",
		"sites-available/off":  "server { location / { proxy_pass http://127.0.0.1:3003; } }",
		"sites-available/var":  "server { server_name v.example.com; location / { proxy_pass http://$up; } }",
		"sites-enabled/shop":   "-> ../sites-available/shop",
		"sites-enabled/var":    "-> ../sites-available/var",
	})
	s := Surveyor{Nginx: []string{filepath.Join(dir, "nginx.conf"), filepath.Join(dir, "none.conf")}}
	p := s.proxies()
	f := p.facts(3003)
	if len(f.Sites) != 1 || f.Sites[0].Names[0] != "shop.example.com" || len(f.Files) != 1 || len(f.Notes) != 2 ||
		len(f.Unclear) != 1 || !strings.Contains(f.Unclear[0], "sites-enabled/var:1 (v.example.com): it leads to a variable") {
		t.Errorf("%+v", f)
	}
	if !p.leadsTo(3003) || p.leadsTo(3004) {
		t.Error("which port does it lead to?")
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil || len(addrs) == 0 {
		t.Fatal(addrs, err)
	}
	if own := addrs[0].(*net.IPNet).IP.String(); !p.local(own) || p.local("192.0.2.1") {
		t.Errorf("%s is this machine, and 192.0.2.1 is not", own)
	}
}
