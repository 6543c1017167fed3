package nginx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzSites reads two files, of which the first may include the second and itself, as init and the public check do.
func FuzzSites(f *testing.F) {
	for _, seed := range [][2]string{
		{reference, ""}, {"http { include conf.d/*; }", "server { listen 443 ssl; server_name a b; location / { proxy_pass http://u; } }"},
		{"include nginx.conf;", ""}, {"include conf.d/a.conf;", "include ../nginx.conf;"}, {"include /etc/passwd;", ""}, {"include ../../../../etc/*;", ""},
		{"http { upstream u { server u; server [::1]:3003 weight=2; server unix:/x; } server { listen [::]:80 default_server; return 301 https://$host; } }", ""},
		{"http { server { listen 99999; listen -1; listen :; server_name \"\"; ssl_certificate /x$y; location = / { proxy_pass http://127.0.0.1:3003$uri; } } }", ""},
		{"include [;", ""}, {"http{server{location /a{location /b{proxy_pass http://[::1;}}}}", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		if strings.Contains(first+second, "/*/") || strings.Contains(first+second, "..") {
			return // what lies outside of the test's own folder is not its business
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o700); err != nil {
			t.Fatal(err)
		}
		main := filepath.Join(dir, "nginx.conf")
		for name, text := range map[string]string{main: first, filepath.Join(dir, "conf.d", "a.conf"): second} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Load(main)
		if err != nil {
			return
		}
		if len(c.Files) > MaxFiles || len(c.Notes) > 50 {
			t.Fatalf("%d files, %d notes", len(c.Files), len(c.Notes))
		}
		sites := c.Sites()
		for i := range sites {
			for _, l := range sites[i].Listens {
				if l.Port < 1 || l.Port > 65535 {
					t.Fatalf("port %d", l.Port)
				}
			}
			sites[i].LeadsTo(3003, Loopback)
			for j := range sites[i].Proxies {
				sites[i].Proxies[j].Path()
			}
			if cert := sites[i].Certificate; cert != "" && !filepath.IsAbs(cert) {
				t.Fatalf("certificate %q", cert)
			}
		}
		For(sites, "www.example.com", 443)
	})
}
