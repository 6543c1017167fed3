package database

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

func startPostgreSQL(t testing.TB) *server {
	t.Helper()
	bin := filepath.Dir(find(t, "PostgreSQL", "/usr/lib/postgresql/*/bin/initdb"))
	s := &server{dir: workshop(t), port: freePort(t)}
	data := filepath.Join(s.dir, "data")
	run(t, command(s.dir, filepath.Join(bin, "initdb"), "-D", data, "-U", "keeper", "--auth-local=trust", "--auth-host=scram-sha-256", "-N", "-E", "UTF8"), "")
	s.run(t, bin)
	until(t, parse(t, "postgresql://keeper@h/postgres?host=%s&port=%s", s.dir, s.port), facts.DatabaseReachable)
	return s
}

func (s *server) run(t testing.TB, bin string) {
	s.start(t, filepath.Join(bin, "postgres"), "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-p", s.port,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "shared_buffers=1MB", "-c", "max_connections=5",
		"-c", "superuser_reserved_connections=1")
}

// query says something to the server as its owner.
func (s *server) query(t testing.TB, sql string) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), "host="+s.dir+" port="+s.port+" user=keeper dbname=postgres sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestPostgreSQL(t *testing.T) {
	s := startPostgreSQL(t)
	_ = s.query(t, "CREATE ROLE app LOGIN PASSWORD '"+marked+"'").Close(t.Context())
	_ = s.query(t, "CREATE DATABASE site OWNER app").Close(t.Context())
	good := "postgresql://app:" + marked + "@127.0.0.1:" + s.port + "/site?schema=public&connection_limit=3"
	is := func(what, url string, want facts.DatabaseClass, code string) {
		t.Helper()
		if a := ask(t, parse(t, "%s", url), 5*time.Second); a.Class != want || a.Code != code || a.ReadOnly {
			t.Errorf("%s: %+v, want %s %s", what, a, want, code)
		}
	}
	is("as it should be", good, facts.DatabaseReachable, "")
	is("TLS is wished for", good+"&sslmode=prefer", facts.DatabaseReachable, "")
	is("by the socket", "postgresql://app:x@localhost/site?host="+s.dir+"&port="+s.port, facts.DatabaseReachable, "")
	is("a wrong password", strings.Replace(good, marked, "wrong", 1), facts.DatabaseAuthFailed, "28P01")
	is("no such database", strings.Replace(good, "/site", "/nothing", 1), facts.DatabaseNoSuchDatabase, "3D000")
	is("TLS is wanted, and there is none", good+"&sslmode=require", facts.DatabaseTLS, "")
	is("nobody listens", "postgresql://app:x@127.0.0.1:"+freePort(t)+"/site", facts.DatabaseRefused, "")
	is("no socket", "postgresql://app:x@h/site?host=/nowhere", facts.DatabaseRefused, "")
	is("the name does not resolve", "postgresql://app:x@nothing.invalid/site", facts.DatabaseNameNotResolved, "")

	_ = s.query(t, "ALTER DATABASE site SET default_transaction_read_only = on").Close(t.Context())
	if a := ask(t, parse(t, "%s", good), 5*time.Second); a.Class != facts.DatabaseReachable || !a.ReadOnly {
		t.Errorf("read-only: %+v", a)
	}
	_ = s.query(t, "ALTER DATABASE site RESET default_transaction_read_only").Close(t.Context())

	// Whoever asks leaves at once, and properly.
	var busy []*pgconn.PgConn
	for range 4 {
		busy = append(busy, s.query(t, "SELECT 1"))
	}
	until(t, parse(t, "%s", good), facts.DatabaseFull)
	for _, c := range busy {
		_ = c.Close(t.Context())
	}
	until(t, parse(t, "%s", good), facts.DatabaseReachable)

	// It takes the call and never answers.
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if a := ask(t, parse(t, "%s", good), 300*time.Millisecond); a.Class != facts.DatabaseTimeout || time.Since(began) > 3*time.Second {
		t.Errorf("stopped: %+v after %s", a, time.Since(began))
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, parse(t, "%s", good), facts.DatabaseReachable)
	s.stop(syscall.SIGINT)
	is("stopped", good, facts.DatabaseRefused, "")
}

// TestOwnEnvironmentIsNotTheDatabases: what libpq would take from the environment or the home changes nothing.
func TestOwnEnvironmentIsNotTheDatabases(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "elsewhere.invalid", "PGPASSWORD": marked, "PGSSLMODE": "verify-full", "PGSERVICE": "", "PGTARGETSESSIONATTRS": "read-only",
		"PGSSLROOTCERT": "/nowhere", "PGUSER": "other", "HOME": "/nowhere",
	} {
		t.Setenv(name, value)
	}
	target := parse(t, "postgresql://u@127.0.0.1:5432/x")
	ways, err := target.ways()
	if err != nil {
		t.Fatal(err)
	}
	config, err := target.postgreSQL(&dialer{}, ways[0].first)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "127.0.0.1" || config.Password != "" || config.User != "u" || config.TLSConfig != nil || config.ValidateConnect != nil {
		t.Errorf("%s %q %s %v", config.Host, config.Password, config.User, config.TLSConfig)
	}
	if os.Getenv("PGHOST") == "" {
		t.Error("the test tests nothing")
	}
}

func BenchmarkAskPostgreSQL(b *testing.B) {
	s := startPostgreSQL(b)
	_ = s.query(b, "CREATE ROLE app LOGIN PASSWORD 'x'").Close(b.Context())
	target := parse(b, "postgresql://app:x@127.0.0.1:%s/postgres", s.port)
	b.ReportAllocs()
	for b.Loop() {
		if a := target.Ask(context.Background()); a.Class != facts.DatabaseReachable && a.Class != facts.DatabaseFull {
			b.Fatal(a)
		}
	}
}
