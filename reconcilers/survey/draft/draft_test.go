package draft

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/nginx"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
	"github.com/evenkeel/evenkeel/state/desired"
)

var update = flag.Bool("update", false, "write the golden files")

// recorded are the facts of a reference machine: a Next.js site under PM2 behind Nginx, with a database.
func recorded() survey.Facts {
	site := nginx.Site{File: "/etc/nginx/sites-enabled/bbyatch", Line: 9, Names: []string{"example.com", "www.example.com"},
		Listens: []nginx.Listen{{Port: 443, TLS: true}}}
	by := nginx.Proxy{File: site.File, Line: 14, Location: "/", Targets: []nginx.Target{{Host: "127.0.0.1", Port: 3003}}}
	return survey.Facts{
		At: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), User: "deploy",
		PM2:       survey.PM2{Process: "bbyatch", Rows: 1, Version: "7.0.4", State: "online", Autorestart: true},
		Directory: "/home/deploy/bbyatch/bbyatchv2-master",
		Ecosystem: &survey.Ecosystem{File: "ecosystem.config.js", Names: true},
		Next:      true,
		Port:      survey.Port{Number: 3003, From: survey.FromListener, Addresses: []string{"::"}},
		Local:     answered("http://127.0.0.1:3003/", 200, ""),
		Proxy:     survey.Proxy{Files: []string{"/etc/nginx/nginx.conf"}, Sites: []survey.Site{{Site: site, By: by}}, Listening: []int{80, 443}},
		Public: []survey.Answer{
			{URL: "https://example.com/", Site: site.File + ":9", Answer: *answered("https://example.com/", 200, "https://www.example.com/"), Hops: []string{"https://www.example.com/"}},
			{URL: "https://www.example.com/", Site: site.File + ":9", Answer: *answered("https://www.example.com/", 200, "")},
		},
		Env:   survey.Env{Files: []string{".env.production", ".env"}, Database: []string{"DATABASE_URL", "SHADOW_DATABASE_URL"}, Main: true},
		Total: 2 << 30, Available: 812 << 20,
	}
}

func answered(url string, status int, final string) *facts.HTTP {
	return &facts.HTTP{URL: url, Class: facts.Answered, Status: status, Final: final}
}

func failed(url string, class facts.Class, text string) facts.HTTP {
	return facts.HTTP{URL: url, Class: class, Error: text}
}

// said is what a draft says beside its text.
func said(d Draft) string {
	var b strings.Builder
	for _, part := range []struct {
		title string
		lines []string
	}{{"unknown", d.Unknown}, {"watchdogs", d.Watchdogs}, {"noticed", d.Noticed}} {
		for _, line := range part.lines {
			b.WriteString("#@ " + part.title + ": " + line + "\n")
		}
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	for name, change := range map[string]func(f *survey.Facts){
		"reference": func(*survey.Facts) {},
		"nothing-known": func(f *survey.Facts) {
			*f = survey.Facts{At: f.At, User: "deploy", Directory: "/srv/app", PM2: survey.PM2{Process: "My App", Rows: 1, Version: "7.0.4", State: "stopped", Autorestart: true}}
		},
		"habits": func(f *survey.Facts) {
			f.PM2 = survey.PM2{Process: "bbyatch", Rows: 4, Version: "7.0.4", State: "online", Cluster: true, Unstartable: true, Watch: true,
				Cron: "0 4 * * *", MaxMemory: 300 << 20, Home: "/srv/pm2 home", Restarts: 7}
			f.Port.Others = []int{3103, 9229}
		},
		"watchdogs": func(f *survey.Facts) {
			f.Watchdogs = []survey.Watchdog{
				{What: "the script /home/deploy/monitor.sh", Where: "process 812", Sure: true},
				{What: "a cron job", Where: "crontab -l, line 4", Sure: true}, {What: "Monit", Where: "process 99"},
			}
			f.Unread = []string{"/var/spool/cron/crontabs", "/etc/monit/monitrc"}
		},
		"small-machine-without-next": func(f *survey.Facts) {
			f.Next, f.Total, f.Available = false, 480<<20, 60<<20
			f.Env = survey.Env{Files: []string{".env"}, Main: true, Empty: []string{"DB_HOST"}}
			f.Ecosystem.Names = false
		},
		"https-elsewhere": func(f *survey.Facts) { // port 80 leads to the application, and a proxy in front of it makes it https
			f.Public = []survey.Answer{{URL: "http://example.com/", Site: "/etc/nginx/conf.d/x.conf:3",
				Answer: *answered("http://example.com/", 200, "https://www.example.com/en"), Hops: []string{"https://www.example.com/en"}}}
		},
		"login-elsewhere": func(f *survey.Facts) {
			f.Public = f.Public[1:]
			f.Public[0].Answer.Final = "https://login.example.net/x"
		},
		"not-reachable-from-here": func(f *survey.Facts) {
			f.Public = []survey.Answer{{URL: "https://www.example.com/", Site: "/etc/nginx/sites-enabled/bbyatch:9",
				Answer: failed("https://www.example.com/", facts.Timeout, "no answer in time"), Here: answered("https://www.example.com/", 200, "")}}
		},
		"bad-certificate-and-500": func(f *survey.Facts) {
			f.Public = []survey.Answer{{URL: "https://www.example.com/", Site: "/etc/nginx/sites-enabled/bbyatch:9",
				Answer: failed("https://www.example.com/", facts.Certificate, "x509: certificate has expired")}}
			f.Local = answered("http://127.0.0.1:3003/", 500, "")
		},
		"not-found-at-the-root": func(f *survey.Facts) {
			f.Public = f.Public[1:]
			f.Public[0].Answer.Status, f.Local.Status = 404, 404
		},
		"behind-a-login": func(f *survey.Facts) { f.Public = f.Public[1:]; f.Public[0].Answer.Status = 401 },
		"no-name": func(f *survey.Facts) {
			f.Public, f.Proxy.Sites[0].Names = nil, []string{"_"}
			f.Port = survey.Port{Number: 3003, From: survey.FromArguments}
			f.Local = nil
		},
		"a-variable": func(f *survey.Facts) {
			f.Public, f.Proxy.Sites = nil, nil
			f.Proxy.Unclear = []string{"/etc/nginx/sites-enabled/bbyatch:14 (www.example.com): it leads to a variable"}
			f.Proxy.Notes = slices.Repeat([]string{"open /etc/nginx/secret.conf: permission denied"}, 7)
			f.Env = survey.Env{Main: true, Error: "open /home/deploy/bbyatch/bbyatchv2-master/.env: permission denied"}
		},
		"another-proxy": func(f *survey.Facts) {
			f.Public, f.Proxy = nil, survey.Proxy{Listening: []int{443}}
			f.Ecosystem = nil
			f.Env = survey.Env{Files: []string{".env.local"}, Database: []string{"DB_HOST", "MONGODB_URI"}}
			f.Local = new(failed("http://127.0.0.1:3003/", facts.Timeout, "no answer in time"))
		},
		"a-unit-of-the-users": func(f *survey.Facts) {
			f.PM2, f.Ecosystem = survey.PM2{}, nil
			f.Systemd = &survey.Systemd{Unit: "my-site.service", User: true, May: true, Autorestart: true, Kind: "simple", State: "active (running)",
				File: "/home/deploy/.config/systemd/user/my-site.service"}
			f.Beside = []survey.Choice{{Name: "api.service", Unit: true, State: "active (running)", Ports: []int{3004}}}
		},
		"a-unit-of-the-systems": func(f *survey.Facts) {
			f.PM2, f.Ecosystem = survey.PM2{}, nil
			f.Systemd = &survey.Systemd{Unit: `site\x2db@blue.service`, Kind: "oneshot", State: "failed (failed)"}
			f.Watchdogs = []survey.Watchdog{{What: "a cron job", Where: "/etc/cron.d/web, line 2", Sure: true}}
		},
		"odd-names": func(f *survey.Facts) {
			f.PM2.Process = "Büro: Yacht, №1 #x"
			f.Directory = `/srv/a "b": {c} # d`
			f.Env = survey.Env{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := recorded()
			change(&f)
			// What is recorded must come through JSON as it is: facts are plain data.
			raw, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			var again survey.Facts
			if err := json.Unmarshal(raw, &again); err != nil {
				t.Fatal(err)
			}
			d, err := Write(again, "")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".golden.yaml")
			got := d.Text + said(d)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			taken(t, f, d)
			for n, line := range strings.Split(d.Text, "\n") {
				if len([]rune(line)) > width+40 || strings.TrimRight(line, " ") != line {
					t.Errorf("line %d: %q", n+1, line)
				}
			}
		})
	}
}

// taken makes sure that the strict loader takes a draft, and reads of it what was meant.
func taken(t interface {
	Helper()
	Fatalf(string, ...any)
}, f survey.Facts, d Draft) {
	t.Helper()
	set := desired.Parse([]byte(d.Text), d.Name+".yaml")
	if err := set.Err(); err != nil {
		t.Fatalf("the loader refuses it: %v\n%s", err, d.Text)
	}
	spec := set.Apps[0].App.Spec
	if u := f.Systemd; u != nil {
		if got := spec.Runtime.Systemd; set.Apps[0].App.Name != d.Name || got.Unit != u.Unit || got.User != u.User || spec.Directory != f.Directory {
			t.Fatalf("it was read as %+v\n%s", spec, d.Text)
		}
	} else if set.Apps[0].App.Name != d.Name || spec.Runtime.PM2.Process != f.PM2.Process || spec.Runtime.PM2.Home != f.PM2.Home || spec.Directory != f.Directory {
		t.Fatalf("it was read as %+v\n%s", spec, d.Text)
	}
	if f.Port.Number != 0 && int(spec.Port) != f.Port.Number {
		t.Fatalf("port %d\n%s", spec.Port, d.Text)
	}
	if (len(spec.Recovery.Caches) > 0) != f.Next {
		t.Fatalf("caches %q\n%s", spec.Recovery.Caches, d.Text)
	}
}

// TestAnythingIsWrittenRightly: whatever people call their things, the file is right, or it is refused to write one.
func TestAnythingIsWrittenRightly(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z: #{}\[\]"'&*!|>%@,?\\-]{0,40}`), rapid.SampledFrom([]string{"yes", "null", "1e3", "a\nb", ".", "on"}))
	rapid.Check(t, func(t *rapid.T) {
		f := recorded()
		f.PM2.Process = text.Draw(t, "process")
		f.PM2.State = text.Draw(t, "state")
		f.PM2.Cron = text.Draw(t, "cron")
		f.Directory = filepath.Clean("/" + text.Draw(t, "directory"))
		f.Proxy.Sites[0].Names = []string{text.Draw(t, "server name")}
		f.Public[1].Answer.Error = text.Draw(t, "error")
		f.Public[1].Answer.Class = rapid.SampledFrom([]facts.Class{facts.Answered, facts.Garbage}).Draw(t, "class")
		f.Public = f.Public[rapid.IntRange(0, 2).Draw(t, "addresses"):]
		f.Env.Error = text.Draw(t, "env error")
		f.Watchdogs = []survey.Watchdog{{What: text.Draw(t, "what"), Where: text.Draw(t, "where")}}
		file := text.Draw(t, "file")
		f.Port.Number = rapid.IntRange(1, 65535).Draw(t, "port")
		f.Total = rapid.Uint64Range(0, 64<<30).Draw(t, "total")
		if rapid.Bool().Draw(t, "unit") {
			f.Systemd = &survey.Systemd{Unit: f.PM2.Process + ".service", User: rapid.Bool().Draw(t, "user"), State: f.PM2.State, File: f.Directory}
		}
		d, err := Write(f, file)
		if errors.Is(err, ErrImpossible) {
			return
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		taken(t, f, d)
	})
}

func TestImpossible(t *testing.T) {
	for process, dir := range map[string]string{"all": "/srv/a", "17": "/srv/a", "-x": "/srv/a", "a": "/", "b": ""} {
		f := recorded()
		f.PM2.Process, f.Directory = process, dir
		if _, err := Write(f, ""); !errors.Is(err, ErrImpossible) || !strings.Contains(err.Error(), "pm2 start") {
			t.Errorf("%s in %q: %v", process, dir, err)
		}
	}
}

func TestImpossibleOfAUnit(t *testing.T) {
	for _, test := range []struct{ unit, dir, want string }{
		{"web.service", "/", "WorkingDirectory="}, {"web.socket", "/srv/a", "another name"}, {"evenkeel.service", "/srv/a", "another name"},
	} {
		f := recorded()
		f.Systemd, f.Directory = &survey.Systemd{Unit: test.unit}, test.dir
		if _, err := Write(f, ""); !errors.Is(err, ErrImpossible) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "pm2") {
			t.Errorf("%s in %q: %v", test.unit, test.dir, err)
		}
	}
}

func TestName(t *testing.T) {
	for process, want := range map[string]string{
		"bbyatch": "bbyatch", "My App": "my-app", "web_1.prod": "web-1-prod", "--": "app", "web.service": "web", "site@blue.service": "site-blue", "Ü": "app", "": "app",
		strings.Repeat("a", 62) + "-b": strings.Repeat("a", 62),
	} {
		if got := Name(process); got != want {
			t.Errorf("%q gives %q, want %q", process, got, want)
		}
	}
}
