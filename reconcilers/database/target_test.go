package database

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const marked = "marked-s3cret"

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		url   string
		kind  Kind
		where string
		user  string
		name  string
		why   bool
	}{
		{"postgresql://bbyatch:marked-s3cret@127.0.0.1:5432/bbyatch?schema=public", PostgreSQL, "127.0.0.1:5432", "bbyatch", "bbyatch", false},
		{"postgres://u:marked-s3cret@db", PostgreSQL, "db:5432", "u", "", false},
		{"postgres://u:marked-s3cret@db:6543/x?pgbouncer=true&connection_limit=1&pool_timeout=5&sslmode=require&connect_timeout=3", PostgreSQL, "db:6543", "u", "x", false},
		{"postgresql://u:marked-s3cret@localhost/x?host=/var/run/postgresql", PostgreSQL, "/var/run/postgresql/.s.PGSQL.5432", "u", "x", false},
		{"postgresql://u@%2Frun%2Fpg:6000/x", PostgreSQL, "/run/pg/.s.PGSQL.6000", "u", "x", false},
		{"postgresql://u:p@a:1,b:2/x", PostgreSQL, "a:1,b:2", "u", "x", false},
		{"postgresql://u:p@[::1]:5433/x", PostgreSQL, "[::1]:5433", "u", "x", false},
		{"postgresql://us%40er:marked%2Ds3cret@h/d%20b", PostgreSQL, "h:5432", "us@er", "d b", false},
		{"postgresql://u:p@ss@h/x", PostgreSQL, "h:5432", "u", "x", false},
		{"postgresql://h/x", PostgreSQL, "h:5432", "", "x", true},
		{"mysql://u:p@h/x?socket=/run/mysqld/mysqld.sock&sslaccept=strict", MySQL, "/run/mysqld/mysqld.sock", "u", "x", false},
		{"mariadb://u:p@h:3307/x", MySQL, "h:3307", "u", "x", false},
		{"mysql://u:p@h/x?sslidentity=client.p12", MySQL, "h:3306", "u", "x", true},
		{"mongodb://u:p@a,b:27018/x?replicaSet=r", MongoDB, "a:27017,b:27018", "u", "x", false},
		{"mongodb+srv://u:p@cluster.example.net/x?retryWrites=true", MongoDB, "cluster.example.net", "u", "x", false},
		{"mongodb://%2Ftmp%2Fmongodb-27017.sock/x", MongoDB, "/tmp/mongodb-27017.sock", "", "x", false},
		{"file:./dev.db?connection_limit=1", SQLite, "/app/prisma/dev.db", "", "", false},
		{"file:///var/lib/x.db", SQLite, "/var/lib/x.db", "", "", false},
		{"file::memory:", SQLite, "", "", "", true},
		{"sqlserver://h:1433;database=x;password=marked-s3cret", Other, "", "", "", true},
		{"prisma://accelerate.prisma-data.net/?api_key=marked-s3cret", Other, "", "", "", true},
		{"prisma+postgres://localhost:51213/?api_key=marked-s3cret", Other, "", "", "", true},
	} {
		got, err := Parse(c.url, "/app/prisma", "/app")
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if got.Kind != c.kind || got.Where() != c.where || got.User != c.user || got.name != c.name || (got.Why != "") != c.why {
			t.Errorf("%s: %s, where %q, user %q, name %q, why %q", c.url, got.Kind, got.Where(), got.User, got.name, got.Why)
		}
		if !Known(c.url) {
			t.Errorf("%s is not known", c.url)
		}
		if shown := fmt.Sprintf("%v %+v %#v %s", got, got, &got, got); strings.Contains(shown, marked) {
			t.Error(shown)
		}
	}
}

func TestSecurityOfAnAddress(t *testing.T) {
	for url, want := range map[string]security{
		"postgresql://u:p@h/x":                         preferred,
		"postgresql://u:p@h/x?sslmode=disable":         never,
		"postgresql://u:p@h/x?sslmode=require":         required,
		"postgresql://u:p@h/x?sslmode=verify-full":     verified,
		"mysql://u:p@h/x?sslaccept=strict":             verified,
		"mysql://u:p@h/x?ssl-mode=REQUIRED":            required,
		"mongodb://h/x":                                never,
		"mongodb://h/x?tls=true":                       required,
		"mongodb+srv://h/x":                            required,
		"mongodb+srv://h/x?ssl=false":                  never,
		"postgresql://u:p@h/x?sslmode=prefer&sslcert=": preferred,
	} {
		if got, err := Parse(url); err != nil || got.security != want {
			t.Errorf("%s: %d, want %d, %v", url, got.security, want, err)
		}
	}
}

func TestNoAddress(t *testing.T) {
	for _, url := range []string{
		"", marked, "http://u:marked-s3cret@h", "postgresql://u:mark/marked-s3cret@h/x", "postgresql://u:p@h:marked-s3cret/x",
		"postgresql://u:p@h:0/x", "postgresql://u:p@h:99999/x", "mysql:///x", "mongodb+srv://a,b/x", "mongodb+srv://a:1/x",
		"file:", "postgresql://u:p@h?port=x&host=/s", "postgresql://u:p@h i/x", "postgresql://u:p@h:1:marked-s3cret/x", "postgresql://u:p@[::1/x",
	} {
		got, err := Parse(url, "/app")
		if !errors.Is(err, ErrBadURL) {
			t.Errorf("%q: %v, %v", url, got, err)
			continue
		}
		if strings.Contains(err.Error(), marked) {
			t.Error(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, url := range []string{
		"postgresql://u:p@127.0.0.1:5432/x?schema=public&host=/s", "mysql://u:%zz@h/x?socket=/a", "mongodb+srv://u:p@h/x?tls=true",
		"file:./dev.db?x", "file:///a", "sqlserver://h", "postgres://[::1]:1,b/x#y", "postgres://%00/",
	} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		got, err := Parse(url, "/app/prisma", "/app")
		again, err2 := Parse(url, "/app/prisma", "/app")
		if (err == nil) != (err2 == nil) || err == nil && got.String() != again.String() {
			t.Fatalf("%q: twice, and not the same", url)
		}
		if err != nil {
			if !errors.Is(err, ErrBadURL) {
				t.Fatal(err)
			}
			return
		}
		if got.Why == "" && len(got.Hosts) == 0 && got.Socket == "" && got.seeds == "" && len(got.Paths) == 0 {
			t.Fatalf("%q: nowhere", url)
		}
		if slices.ContainsFunc(got.Paths, func(p string) bool { return p == "" || p[0] != '/' }) || strings.ContainsRune(got.Socket, 0) {
			t.Fatalf("%q: %q, %q", url, got.Paths, got.Socket)
		}
		if got.Kind == PostgreSQL && got.Why == "" && got.ca == "" {
			if ways, err := got.ways(); err != nil || len(ways) == 0 {
				t.Fatalf("%q: %v, %v", url, ways, err)
			}
		}
	})
}
