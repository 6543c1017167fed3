package nginx

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

func TestMainFile(t *testing.T) {
	for title, want := range map[string]string{
		"nginx: master process /usr/sbin/nginx -g daemon on; master_process on;": "",
		"nginx: master process /usr/sbin/nginx -e /x/e.log -c /x/nginx.conf":     "/x/nginx.conf",
		"nginx: master process nginx -p /srv/ng -c conf/n.conf":                  "/srv/ng/conf/n.conf",
		"nginx: master process nginx -p /srv/ng":                                 "/srv/ng/conf/nginx.conf",
		"nginx: master process nginx -c n.conf":                                  "",
		"nginx: master process nginx -c":                                         "",
	} {
		if file, master := mainFile(title); file != want || !master {
			t.Errorf("%s: %q, %v", title, file, master)
		}
	}
	if _, master := mainFile("nginx: worker process"); master {
		t.Error("a worker is no master")
	}
}

func TestFilesAreThoseOfTheRunningMastersElseTheUsualOnes(t *testing.T) {
	proc := func(list ...string) procfs.FS {
		dir := t.TempDir()
		for n, title := range list {
			at := filepath.Join(dir, string(rune('1'+n)))
			if err := os.MkdirAll(at, 0o700); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{
				"stat":    string(rune('1'+n)) + " (nginx) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 1000000 100\n",
				"cmdline": title + "\x00",
			} {
				if err := os.WriteFile(filepath.Join(at, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		return procfs.New(dir)
	}
	for _, test := range []struct {
		titles   []string
		want     []string
		optional bool
	}{
		{nil, usualFiles, true},
		{[]string{"nginx: master process nginx -c /x/n.conf", "nginx: worker process"}, []string{"/x/n.conf"}, false},
		{[]string{"nginx: master process nginx -c /x/n.conf", "nginx: master process nginx"}, append([]string{"/x/n.conf"}, usualFiles...), true},
	} {
		if got, optional := Files(proc(test.titles...)); !slices.Equal(got, test.want) || optional != test.optional {
			t.Errorf("%q: %v %v", test.titles, got, optional)
		}
	}
}

func TestForChoosesAsNginxDoes(t *testing.T) {
	list := sites(t, strings.ReplaceAll(`http {
		ssl_certificate /c/all.crt;
		server { listen 443 ssl; server_name first.test; }
		server { listen 443 ssl default_server; server_name _; ssl_certificate $name.crt; }
		server { listen 443 ssl; server_name *.example.test; }
		server { listen 443 ssl; server_name *.deep.example.test; }
		server { listen 443 ssl; server_name .dotted.test; }
		server { listen 443 ssl; server_name www.example.* ; }
		server { listen 443 ssl; server_name Www.Example.test; ssl_certificate /c/own.crt; ssl_certificate /c/rsa.crt; }
		server { listen 8443 ssl; server_name other.test; }
	}`, "\t", " "))
	for _, test := range []struct {
		host  string
		port  int
		line  int
		named bool
		file  string
	}{
		{"www.example.test", 443, 9, true, "/c/own.crt"},
		{"a.example.test", 443, 5, true, "/c/all.crt"},
		{"a.deep.example.test", 443, 6, true, "/c/all.crt"},
		{"dotted.test", 443, 7, true, "/c/all.crt"},
		{"a.dotted.test", 443, 7, true, "/c/all.crt"},
		{"www.example.com", 443, 8, true, "/c/all.crt"},
		{"nobody.test", 443, 4, false, ""},
		{"nobody.test", 8443, 10, false, "/c/all.crt"},
		{"nobody.test", 80, 0, false, ""},
	} {
		s, named, ok := For(list, test.host, test.port)
		if s.Line != test.line || named != test.named || ok != (test.line > 0) || s.Certificate != test.file {
			t.Errorf("%s:%d: line %d, named %v, %q", test.host, test.port, s.Line, named, s.Certificate)
		}
	}
}

func TestARelativeCertificateLiesBesideTheMainFile(t *testing.T) {
	dir := t.TempDir()
	main := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(main, []byte("http { server { ssl_certificate x/c.crt; } }"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(main)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Sites()[0].Certificate; got != filepath.Join(dir, "x/c.crt") {
		t.Error(got)
	}
}
