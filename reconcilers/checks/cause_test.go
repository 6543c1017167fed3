package checks

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// TestACauseIsAnotherOneWhenWhatAStartReadsHasChanged, and the same as long as nothing has.
func TestACauseIsAnotherOneWhenWhatAStartReadsHasChanged(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin)
	app := v1alpha1.NewApp()
	app.Spec.Directory = dir
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "site", Start: "ecosystem.config.js"}
	app.Spec.Checks.Database = &v1alpha1.DatabaseCheck{EnvFile: "conf/site.env"}
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	last := causeOf(app)
	for _, change := range []struct {
		name string
		make func()
	}{
		{"a module is installed", func() { write(filepath.Join(dir, "node_modules/pg/package.json"), "{}") }},
		{"the lock file is written", func() { write(filepath.Join(dir, "package-lock.json"), "{}") }},
		{"a build is finished", func() { write(filepath.Join(dir, ".next/BUILD_ID"), "a") }},
		{"the environment is put back", func() { write(filepath.Join(dir, ".env"), "A=1") }},
		{"the environment elsewhere is put back", func() { write(filepath.Join(dir, "conf/site.env"), "A=1") }},
		{"the environment is edited, to the same size", func() {
			write(filepath.Join(dir, ".env"), "A=2")
			if err := os.Chtimes(filepath.Join(dir, ".env"), time.Time{}, time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
		}},
		{"how it is started is edited", func() { write(filepath.Join(dir, "ecosystem.config.js"), "module.exports = {}") }},
		{"the interpreter is there", func() { write(filepath.Join(bin, "node"), "#!/bin/sh") }},
		{"the folder is another one", func() {
			if err := os.Rename(dir, dir+".old"); err != nil {
				t.Fatal(err)
			}
			write(filepath.Join(dir, "x"), "")
		}},
	} {
		change.make()
		now := causeOf(app)
		if now == last {
			t.Errorf("%s, and the cause is the same", change.name)
		}
		write(filepath.Join(dir, "site.log"), change.name) // what an application does to its own folder
		write(filepath.Join(dir, ".next/cache/page"), change.name)
		if again := causeOf(app); again != now {
			t.Errorf("%s: another cause without a change", change.name)
		}
		last = now
	}
	app.Spec.Runtime = v1alpha1.RuntimeSpec{Exec: &v1alpha1.ExecRuntime{Command: []string{"tool", "./server.js"}}}
	for _, path := range []string{filepath.Join(bin, "tool"), filepath.Join(dir, "server.js")} {
		before := causeOf(app)
		write(path, "x")
		if causeOf(app) == before {
			t.Errorf("%s was made, and the cause is the same", path)
		}
	}
}

func TestAFolderIsMissingOnlyWhereThatIsKnown(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]bool{dir: false, filepath.Join(dir, "none"): true, filepath.Join(dir, "none", "deeper"): true, "": false} {
		if folderMissing(path) != want {
			t.Errorf("%q: %t", path, !want)
		}
	}
}

func TestAnInterpreterThatWasNotFound(t *testing.T) {
	for line, want := range map[string]bool{
		"/usr/bin/env: 'node': No such file or directory\n":      true,
		"env: ‘node’: No such file or directory\n":               true,
		"sh: 1: next: not found\n":                               true,
		"Error: ENOENT: no such file or directory, open 'x'\n":   false,
		"GET /favicon.ico: not found\n":                          false,
		"Error: /usr/bin/env: 'node': Permission denied\n":       false,
		"env: NODE_ENV is production\n":                          false,
		"publish: not found\n":                                   false,
		"[site] /usr/bin/env: 'node': No such file or directory": true,
	} {
		if interpreterMissing([]byte(line)) != want {
			t.Errorf("%q: %t", line, !want)
		}
	}
	for message, want := range map[string]bool{
		`exec: "node": executable file not found in $PATH`:   true,
		"fork/exec /opt/node: no such file or directory":     true,
		"it is not started again: the application is paused": false,
	} {
		if notExecutable(message) != want {
			t.Errorf("%q: %t", message, !want)
		}
	}
}
