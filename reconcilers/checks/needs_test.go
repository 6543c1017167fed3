package checks

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestNeedsIn: what programs say when they could not reach somebody, and what only looks like it.
func TestNeedsIn(t *testing.T) {
	database := func(end facts.NeedEnd, port int) facts.Need {
		return facts.Need{Kind: facts.NeedDatabase, End: end, Port: port}
	}
	service := func(end facts.NeedEnd, port int) facts.Need {
		return facts.Need{Kind: facts.NeedService, End: end, Port: port}
	}
	name := facts.Need{Kind: facts.NeedName, End: facts.NeedNoName}
	for _, tc := range []struct {
		log  string
		want []facts.Need
	}{
		{"Error: connect ECONNREFUSED 127.0.0.1:5432\n    at TCPConnectWrap.afterConnect [as oncomplete]\n", []facts.Need{database(facts.NeedRefused, 5432)}},
		{"  [errors]: [ Error: connect ECONNREFUSED ::1:6379, Error: connect ECONNREFUSED 127.0.0.1:6379 ]\n", []facts.Need{database(facts.NeedRefused, 6379)}},
		{"Error: connect ENOENT /var/run/postgresql/.s.PGSQL.5432\n", []facts.Need{database(facts.NeedRefused, 0)}},
		{"Error: connect ECONNREFUSED 10.0.0.7:8080\n", []facts.Need{service(facts.NeedRefused, 8080)}},
		{"Error: connect ETIMEDOUT\n    at Connection._handleTimeoutError (mysql2/lib/connection.js:189:13)\n", []facts.Need{service(facts.NeedSilent, 0)}},
		{"2026-11-27T12:34:56: Error: connect ETIMEDOUT 10.0.0.7:443\n", []facts.Need{service(facts.NeedSilent, 443)}},
		{"ConnectTimeoutError: Connect Timeout Error (attempted address: api.example.test:443, timeout: 10000ms)\n", []facts.Need{service(facts.NeedSilent, 443)}},
		{"Error: connect EHOSTUNREACH 10.0.0.7:9200 - Local (10.0.0.2:40112)\n", []facts.Need{service(facts.NeedNoWay, 9200)}},
		{"Error: getaddrinfo EAI_AGAIN api.example.test\n", []facts.Need{name}},
		{"Error: getaddrinfo ENOTFOUND db.example.test\nError: getaddrinfo ENOTFOUND db.example.test\n", []facts.Need{name}},
		{"2026/11/27 12:34:56 dial tcp 127.0.0.1:3306: connect: connection refused\n", []facts.Need{database(facts.NeedRefused, 3306)}},
		{"dial tcp: lookup db on 127.0.0.53:53: no such host\n", []facts.Need{name}},
		{"connection to server at \"127.0.0.1\", port 5432 failed: Connection refused\n", []facts.Need{database(facts.NeedRefused, 5432)}},
		{"SQLSTATE[HY000] [2002] Connection refused (SQL: select * from users)\n", []facts.Need{database(facts.NeedRefused, 0)}},
		{"error: password authentication failed for user \"site\"\n", []facts.Need{database(facts.NeedLogin, 0)}},
		{"code: 'ER_ACCESS_DENIED_ERROR',\n", []facts.Need{database(facts.NeedLogin, 0)}},
		{"WRONGPASS invalid username-password pair or user is disabled.\n", []facts.Need{database(facts.NeedLogin, 6379)}},
		// its own port, somebody who left, its own pool, its own listening, and other people's words
		{"TypeError: fetch failed\n  [cause]: Error: connect ECONNREFUSED 127.0.0.1:3003\n", nil},
		{"Error: read ECONNRESET\nError: aborted\n", nil},
		{"Error: timeout exceeded when trying to connect\n", nil},
		{"Error: listen EADDRINUSE: address already in use :::3003\n", nil},
		{"code: 'ECONNREFUSED',\n", nil},
		{"", nil},
	} {
		if got := NeedsIn([]byte(tc.log), 3003); !slices.Equal(got, tc.want) {
			t.Errorf("NeedsIn(%q) = %v, want %v", tc.log, got, tc.want)
		}
	}
}

// TestNeedsAreOfThisFailureAndThisLife: what was written before the failure began, by another life, or long ago says nothing
// of it, and neither does anything before the first look.
func TestNeedsAreOfThisFailureAndThisLife(t *testing.T) {
	const refused = "Error: connect ECONNREFUSED 127.0.0.1:5432 for user site with hunter2\nPrismaClientInitializationError: P1001\n"
	type step struct {
		adds   string
		empty  bool // the log is emptied first
		moved  bool // another file takes its place first
		after  time.Duration
		life   string
		well   bool
		wanted bool
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"since it fails", []step{{well: true}, {adds: refused, wanted: true}, {wanted: true}}},
		{"before it failed, and evenkeel saw it well", []step{{well: true}, {adds: refused, well: true}, {}}},
		{"before the first look", []step{{adds: refused}, {}, {adds: refused, wanted: true}}},
		{"by another life", []step{{well: true}, {adds: refused, life: "200:2"}, {life: "200:2"}, {life: "200:2", adds: refused, wanted: true}}},
		{"long ago in the same failure", []step{{well: true}, {adds: refused, wanted: true}, {after: 3 * time.Minute}}},
		{"lately, into a log that was quiet for long", []step{{well: true}, {after: time.Minute}, {after: time.Minute}, {after: time.Minute}, {after: time.Minute}, {adds: refused, wanted: true}, {wanted: true}, {after: time.Minute, wanted: true}, {after: time.Minute}}},
		{"at the look before, and looks are far apart", []step{{well: true}, {after: time.Minute, adds: refused, wanted: true}, {after: time.Minute, wanted: true}}},
		{"into a log that was emptied", []step{{well: true, adds: strings.Repeat("x\n", 999)}, {empty: true, adds: refused, wanted: true}}},
		{"into a log that was put aside", []step{{well: true, adds: strings.Repeat("x\n", 9)}, {moved: true, adds: refused + strings.Repeat("x\n", 999), wanted: true}}},
		{"of no process", []step{{well: true}, {adds: refused, life: "none"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "error.log")
			write(t, log, "started\n")
			p := &Prober{}
			app := v1alpha1.NewApp()
			app.Name, app.Spec.Port = "site", 3003
			v1alpha1.SetDefaults(app)
			now := v1alpha1.Instant{Boot: metav1.Duration{Duration: time.Hour}, BootID: "b"}
			for n, s := range tc.steps {
				now.Boot.Duration += max(s.after, time.Second)
				if s.moved {
					if err := os.Rename(log, log+".1"); err != nil {
						t.Fatal(err)
					}
				}
				add(t, log, s.adds, s.empty)
				l := &look{app: app, now: now, life: "100:1"}
				if s.life != "" {
					l.life = strings.TrimPrefix(s.life, "none")
				}
				l.snapshot.Processes = []runtime.Process{{ErrLog: log}, {ErrLog: log}, {}}
				local := no
				if s.well {
					local = yes
				}
				got := p.others(l, local)
				if (len(got.needs) > 0) != s.wanted || got.database != s.wanted {
					t.Errorf("look %d: %v", n+1, got)
				}
				if raw, _ := json.Marshal(got.needs); strings.Contains(string(raw), "hunter2") {
					t.Errorf("look %d keeps more than it may: %s", n+1, raw)
				}
			}
		})
	}
}

// TestWhatTheLogSaidLatelyIsASuspicion: the database is asked though all is well, where the log names it; not for what stood
// there before, however often the log is written to.
func TestWhatTheLogSaidLatelyIsASuspicion(t *testing.T) {
	const named = "Can't reach database server at db:5432\n"
	log := filepath.Join(t.TempDir(), "error.log")
	write(t, log, named)
	p := &Prober{}
	app := v1alpha1.NewApp()
	app.Name = "site"
	v1alpha1.SetDefaults(app)
	now := v1alpha1.Instant{Boot: metav1.Duration{Duration: time.Hour}, BootID: "b"}
	for n, s := range []struct {
		adds  string
		after time.Duration
		want  bool
	}{
		{"", 0, false},
		{"a request\n", time.Second, false},
		{named, time.Second, true},
		{"a request\n", time.Minute, true},
		{"a request\n", 3 * time.Minute, false},
		{"", time.Second, false},
	} {
		add(t, log, s.adds, false)
		now.Boot.Duration += s.after
		l := &look{app: app, now: now, life: "100:1"}
		l.snapshot.Processes = []runtime.Process{{ErrLog: log}}
		if got := p.isToAsk(l, v1alpha1.DatabaseConnectOnSuspicion, surroundings{local: yes, public: yes}); got != s.want {
			t.Errorf("look %d: asked %t, want %t", n+1, got, s.want)
		}
	}
}

func add(t *testing.T, path, text string, empty bool) {
	t.Helper()
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if empty {
		flags |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
