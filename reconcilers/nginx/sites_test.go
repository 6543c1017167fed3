package nginx

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// reference is what certbot and an owner make of it together.
const reference = `
user www-data; worker_processes auto; pid /run/nginx.pid;
events { worker_connections 768; }
http {
  log_format main '$remote_addr "$request" {$status}';
  upstream app { server 127.0.0.1:3003 weight=2 max_fails=3; server [::1]:3004 backup; server unix:/run/x.sock; keepalive 8; }
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  server { listen 80 default_server; server_name _; return 444; }
  server {
    if ($host = www.example.com) { return 301 https://$host$request_uri; } # managed by Certbot
    listen 80; listen [::]:80;
    server_name www.example.com example.com;
    return 404;
  }
  server {
    listen [::]:443 ssl ipv6only=on http2; listen 443 ssl http2; listen 443 quic;
    server_name www.example.com example.com;
    location /_next/static/ { alias /srv/static/; }
    location ~* \.(js|css)$ { proxy_pass http://app; expires 30d; }
    location / {
      proxy_pass http://app;
      proxy_set_header Host $host;
      if ($request_method = POST) { proxy_pass http://127.0.0.1:3999; }
      limit_except GET { proxy_pass http://unix:/run/y.sock:/; }
    }
  }
}
stream { server { listen 5432; proxy_pass 127.0.0.1:3003; } }
`

func sites(t *testing.T, in string) []Site {
	t.Helper()
	list, err := Parse("f", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return (&Config{Directives: list}).Sites()
}

func TestSites(t *testing.T) {
	got := sites(t, reference)
	if len(got) != 3 {
		t.Fatalf("%d sites, want 3: %+v", len(got), got)
	}
	s := got[2]
	if !slices.Equal(s.Names, []string{"www.example.com", "example.com"}) || fmt.Sprint(s.Listens) != "[{443 true false}]" || s.Line != 15 {
		t.Errorf("%+v", s)
	}
	if p, ok := s.LeadsTo(3003, Loopback); !ok || p.Location != "/" || p.Path() != "/" || p.Line != 21 {
		t.Errorf("%+v, %v", p, ok)
	}
	if p, ok := s.LeadsTo(3004, Loopback); !ok || p.Location != "/" {
		t.Errorf("the second of an upstream: %+v, %v", p, ok)
	}
	if _, ok := s.LeadsTo(3999, Loopback); !ok {
		t.Error("in a condition")
	}
	if _, ok := s.LeadsTo(80, Loopback); ok {
		t.Error("nothing leads to 80")
	}
	if fmt.Sprint(got[0].Listens) != "[{80 false true}]" || len(got[1].Proxies) != 0 {
		t.Errorf("%+v", got[:2])
	}
}

func TestProxies(t *testing.T) {
	for in, want := range map[string]string{
		"location / { proxy_pass http://localhost:3003; }":                                                          "/",
		"location / { proxy_pass http://[::1]:3003/; }":                                                             "/",
		"location / { proxy_pass http://0.0.0.0:3003/x/; }":                                                         "/",
		"location / { proxy_pass http://127.0.0.2:3003$request_uri; }":                                              "it leads to a variable",
		"location / { proxy_pass $up; }":                                                                            "it leads to a variable",
		"location / { proxy_pass http://10.0.0.9:3003; }":                                                           "none",
		"location / { proxy_pass http://localhost; }":                                                               "none",
		"location / { proxy_pass http://unix:/x.sock; }":                                                            "none",
		"location / { proxy_pass x; }":                                                                              "its address is not understood",
		"location / { proxy_pass http://localhost:99999; }":                                                         "its address is not understood",
		"location /api/ { proxy_pass http://localhost:3003; }":                                                      "/api/",
		"location = /x { proxy_pass http://localhost:3003; }":                                                       "/x",
		"location =/x { proxy_pass http://localhost:3003; }":                                                        "/x",
		`location ~ ^/a { proxy_pass http://localhost:3003; }`:                                                      "/",
		"location @app { proxy_pass http://localhost:3003; }":                                                       "/",
		"proxy_pass http://localhost:3003;":                                                                         "/",
		"location /a/ { proxy_pass http://localhost:3003; } location @b { proxy_pass http://localhost:3003; }":      "/",
		"location /a/b/ { proxy_pass http://localhost:3003; } location ^~ /a { proxy_pass http://localhost:3003; }": "/a",
		"location = /a { proxy_pass http://localhost:3003; } location /c { location /c/d { proxy_pass http://localhost:3003; } proxy_pass http://o:3003; }": "/c/d",
	} {
		all := sites(t, "server { "+in+" }")
		if len(all) != 1 || fmt.Sprint(all[0].Listens) != "[{80 false false}]" {
			t.Fatalf("%s: %+v", in, all)
		}
		got := "none"
		if p, ok := all[0].LeadsTo(3003, Loopback); ok {
			got = p.Path()
		} else if len(all[0].Proxies) > 0 && all[0].Proxies[0].Why != "" {
			got = all[0].Proxies[0].Why
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestListens(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "[{80 false false}]",
		"listen 8080;":               "[{8080 false false}]",
		"listen 127.0.0.1:81;":       "[{81 false false}]",
		"listen 127.0.0.1;":          "[{80 false false}]",
		"listen [::];":               "[{80 false false}]",
		"listen *:443 ssl default;":  "[{443 true true}]",
		"listen 443; ssl on;":        "[{443 true false}]",
		"listen unix:/run/x.sock;":   "[]",
		"listen 443 quic reuseport;": "[]",
		"listen 99999;":              "[]",
	} {
		if got := fmt.Sprint(sites(t, "server { "+in+" }")[0].Listens); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("nginx.conf", "http {\n include mime.types;\n include missing.conf;\n include conf.d/*.conf;\n include "+dir+"/sites-enabled/*;\n include none/*.conf;\n include '[';\n}")
	write("mime.types", "types { text/html html; }")
	write("conf.d/b.conf", "server { server_name b; include snippets/proxy.conf; }")
	write("conf.d/.hidden.conf", "server { server_name hidden; }")
	write("conf.d/loop.conf", "include conf.d/loop.conf;\nserver { server_name loop; }")
	write("conf.d/broken.conf", "server { server_name broken; \n")
	write("conf.d/large.conf", "#"+strings.Repeat("x", MaxSize))
	write("snippets/proxy.conf", "location / { proxy_pass http://127.0.0.1:3003; }")
	write("sites-available/a", "server { server_name a; include snippets/proxy.conf; }")
	write("sites-available/off", "server { server_name off; }")
	if err := os.MkdirAll(filepath.Join(dir, "sites-enabled", "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"a": "../sites-available/a", "dangling": "../nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, "sites-enabled", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "conf.d", "pipe.conf"), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := Load(filepath.Join(dir, "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Sites() {
		p, _ := s.LeadsTo(3003, Loopback)
		got = append(got, fmt.Sprintf("%s %s %s:%d", strings.Join(s.Names, ","), strings.TrimPrefix(s.File, dir+"/"), strings.TrimPrefix(p.File, dir+"/"), p.Line))
	}
	want := []string{"b conf.d/b.conf snippets/proxy.conf:1", "broken conf.d/broken.conf :0", "loop conf.d/loop.conf :0", "a sites-enabled/a snippets/proxy.conf:1"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{"missing.conf", "broken.conf:2: the file ends", "large.conf: too large", "pipe.conf: is not a regular file",
		"loop.conf: includes itself", "dangling", "sites-enabled/folder: is not a regular file", "nginx.conf:7: include [:"} {
		if !strings.Contains(notes, want) {
			t.Errorf("not noted: %s", want)
		}
	}
	if len(c.Notes) != 8 {
		t.Errorf("notes:\n%s", notes)
	}
	if _, err := Load(filepath.Join(dir, "nothing.conf")); err == nil {
		t.Error("a main file that is missing is an error")
	}
}
