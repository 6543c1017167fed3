package database

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

func TestSQLite(t *testing.T) {
	app := t.TempDir()
	schema := filepath.Join(app, "prisma")
	if err := os.Mkdir(schema, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name, content string) {
		if err := os.WriteFile(filepath.Join(app, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("prisma/dev.db", "SQLite format 3\x00 and so on")
	put("beside.db", "SQLite format 3\x00")
	put("prisma/empty.db", "")
	put("prisma/short.db", "SQLite")
	put("prisma/other.db", "something else altogether")
	if err := unix.Mkfifo(filepath.Join(app, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]facts.DatabaseClass{
		"./dev.db": facts.DatabaseReachable, "beside.db": facts.DatabaseReachable, "empty.db": facts.DatabaseReachable,
		"short.db": facts.DatabaseNotADatabase, "other.db": facts.DatabaseNotADatabase, "../prisma": facts.DatabaseNotADatabase,
		"../pipe": facts.DatabaseNotADatabase, "gone.db": facts.DatabaseFileMissing, app + "/beside.db?mode=ro": facts.DatabaseReachable,
	} {
		target, err := Parse("file:"+path, schema, app)
		if err != nil {
			t.Fatal(err)
		}
		if a := ask(t, target, time.Second); a.Class != want || a.ReadOnly {
			t.Errorf("%s: %+v, want %s", path, a, want)
		}
	}
}
