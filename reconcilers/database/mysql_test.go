package database

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

func TestMariaDB(t *testing.T) {
	program := find(t, "MariaDB", "/usr/sbin/mariadbd")
	s := &server{dir: workshop(t), port: freePort(t)}
	data, socket := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "s")
	if err := os.Mkdir(data, 0o755); err != nil { // as mariadb-install-db does it, without the client's programs
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(data, asNobody, asNobody); err != nil {
			t.Fatal(err)
		}
	}
	sqlText := "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
	for _, name := range []string{"mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql"} {
		sql, err := os.ReadFile(find(t, "MariaDB", "/usr/share/m*/"+name))
		if err != nil {
			t.Fatal(err)
		}
		sqlText += string(sql) + "\n"
	}
	run(t, command(s.dir, program, "--no-defaults", "--bootstrap", "--datadir="+data, "--pid-file="+s.dir+"/b.pid"),
		sqlText+"FLUSH PRIVILEGES;\nCREATE DATABASE site;\nCREATE USER app@'%' IDENTIFIED BY '"+marked+"';\nGRANT ALL ON site.* TO app@'%';\n")
	s.start(t, program, "--no-defaults", "--datadir="+data, "--socket="+socket, "--port="+s.port, "--bind-address=127.0.0.1",
		"--pid-file="+s.dir+"/pid", "--skip-name-resolve", "--max-connections=10", "--max-connect-errors=3", "--innodb-buffer-pool-size=8M")
	good := "mysql://app:" + marked + "@127.0.0.1:" + s.port + "/site?connection_limit=2"
	until(t, parse(t, "%s", good), facts.DatabaseReachable)
	is := func(what, url string, want facts.DatabaseClass, code string) {
		t.Helper()
		if a := ask(t, parse(t, "%s", url), 5*time.Second); a.Class != want || a.Code != code || a.ReadOnly {
			t.Errorf("%s: %+v, want %s %s", what, a, want, code)
		}
	}
	for range 10 { // many more than max-connect-errors: every one is a whole handshake
		is("as it should be", good, facts.DatabaseReachable, "")
	}
	is("by the socket", "mysql://app:"+marked+"@h/site?socket="+socket, facts.DatabaseReachable, "")
	is("a wrong password", strings.Replace(good, marked, "wrong", 1), facts.DatabaseAuthFailed, "1045")
	is("no right to that database", strings.Replace(good, "/site", "/mysql", 1), facts.DatabaseAuthFailed, "1044")
	is("TLS is wanted, and there is none", good+"&sslaccept=strict", facts.DatabaseTLS, "")
	is("nobody listens", "mysql://app:x@127.0.0.1:"+freePort(t)+"/site", facts.DatabaseRefused, "")
	is("no such database", "mysql://root@h/nothing?socket="+socket, facts.DatabaseNoSuchDatabase, "1049")
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, parse(t, "%s", good), 300*time.Millisecond); a.Class != facts.DatabaseTimeout {
		t.Errorf("stopped: %+v", a)
	}
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, parse(t, "%s", good), facts.DatabaseReachable)
}
