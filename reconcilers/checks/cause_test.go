package checks

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
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
	p, l := prober(t), &look{app: app}
	last := p.causeOf(l)
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
		now := p.causeOf(l)
		if now == last {
			t.Errorf("%s, and the cause is the same", change.name)
		}
		write(filepath.Join(dir, "site.log"), change.name) // what an application does to its own folder
		write(filepath.Join(dir, ".next/cache/page"), change.name)
		if again := p.causeOf(l); again != now {
			t.Errorf("%s: another cause without a change", change.name)
		}
		last = now
	}
	app.Spec.Runtime = v1alpha1.RuntimeSpec{Exec: &v1alpha1.ExecRuntime{Command: []string{"tool", "./server.js"}}}
	for _, path := range []string{filepath.Join(bin, "tool"), filepath.Join(dir, "server.js")} {
		before := p.causeOf(l)
		write(path, "x")
		if p.causeOf(l) == before {
			t.Errorf("%s was made, and the cause is the same", path)
		}
	}
}

// What is started, what it is built into and what is checked out are of the cause too, wherever they lie.
func TestACauseKnowsWhatIsBuiltAndWhatIsRun(t *testing.T) {
	t.Setenv("PATH", "")
	for name, tc := range map[string]struct {
		before map[string]string // files that are there
		script string            // what PM2 runs, from the application's directory
		made   string            // what somebody mends it by
	}{
		"what a compiler writes":            {nil, "dist/main.js", "dist/main.js"},
		"deep in what a compiler writes":    {map[string]string{"dist/src/old.js": "x"}, "dist/src/main.js", "dist/src/main.js"},
		"by npm start":                      {map[string]string{"package.json": `{"scripts":{"start":"NODE_ENV=production node dist/src/main.js --port 3003"}}`, "dist/src/old.js": "x"}, "/usr/bin/npm", "dist/src/main.js"},
		"by npm start, a file of its own":   {map[string]string{"package.json": `{"scripts":{"start":"node server.js"}}`}, "/usr/bin/npm", "server.js"},
		"Nuxt":                              {map[string]string{".output/nitro.json": "{}"}, ".output/server/index.mjs", ".output/server/index.mjs"},
		"standalone":                        {map[string]string{".next/standalone/package.json": "{}"}, ".next/standalone/server.js", ".next/standalone/server.js"},
		"a manifest of standalone":          {map[string]string{".next/standalone/server.js": "x"}, ".next/standalone/server.js", ".next/standalone/.next/routes-manifest.json"},
		"a build in a folder of its own":    {map[string]string{"next.config.js": "distDir: 'built',"}, "node_modules/next/dist/bin/next", "built/BUILD_ID"},
		"a manifest in a folder of its own": {map[string]string{"next.config.js": "module.exports = {\n distDir: 'built',\n}", "built/BUILD_ID": "a"}, "node_modules/next/dist/bin/next", "built/routes-manifest.json"},
		"a script that lies elsewhere":      {nil, "../releases/7/server.js", "../releases/7/server.js"},
		"another version":                   {map[string]string{".git/HEAD": "ref: refs/heads/main"}, "server.js", ".git/index"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "site")
			write(t, filepath.Join(dir, "README.md"), "")
			for file, text := range tc.before {
				write(t, filepath.Join(dir, file), text)
			}
			app := site("site")
			app.Spec.Directory = dir
			script := tc.script
			if !filepath.IsAbs(script) {
				script = filepath.Join(dir, script)
			}
			p, l := prober(t), &look{app: app, snapshot: runtime.Snapshot{Processes: []runtime.Process{{Script: script, Interpreter: "node"}}}}
			before := p.causeOf(l)
			if p.causeOf(l) != before {
				t.Fatal("another cause without a change")
			}
			write(t, filepath.Join(dir, tc.made), "made")
			if p.causeOf(l) == before {
				t.Errorf("%s was made, and the cause is the same", tc.made)
			}
		})
	}
}

// Where the operator's shell has its node, PM2's daemon has it, and evenkeel may not.
func TestACauseLooksForTheInterpreterWhereTheProcessManagerDoes(t *testing.T) {
	bin, own, later := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("PATH", own)
	daemon := proc{pid: 50, parent: 1, comm: "PM2 v7.0.4: God", env: []string{"SECRET=x", "PATH=" + bin + ":" + later}}
	app := site("site")
	app.Spec.Directory = t.TempDir()
	p := proberOn(machine(t, daemon))
	l := &look{app: app, snapshot: runtime.Snapshot{Daemon: runtime.Daemon{PID: 50, Identity: daemon.identity()}, Processes: []runtime.Process{{Interpreter: "tsx"}}}}
	last := p.causeOf(l)
	for _, step := range []struct {
		at   string
		mode os.FileMode
		want bool
	}{
		{filepath.Join(bin, "node"), 0o644, false}, // no program
		{filepath.Join(later, "node"), 0o755, true},
		{filepath.Join(bin, "tsx"), 0o755, true},
		{filepath.Join(later, "tsx"), 0o755, false}, // another one comes first
		{filepath.Join(own, "node"), 0o755, true},
		{filepath.Join(bin, "other"), 0o755, false},
	} {
		if err := os.WriteFile(step.at, []byte("#!/bin/sh"), step.mode); err != nil {
			t.Fatal(err)
		}
		now := p.causeOf(l)
		if (now != last) != step.want {
			t.Errorf("%s was made: another cause %t, want %t", step.at, now != last, step.want)
		}
		last = now
	}
}

// TestAScriptNamesItsInterpreter in its first line, as the kernel reads it, or env for it.
func TestAScriptNamesItsInterpreter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	for text, want := range map[string]string{
		"#!/usr/bin/env bun\nrun()":                      "bun",
		"#! /usr/bin/env -S node --enable-source-maps\n": "node",
		"#!/usr/bin/env -i A=b deno\n":                   "deno",
		"#!/opt/bun/bin/bun run\n":                       "/opt/bun/bin/bun",
		"#!/bin/sh":                                      "/bin/sh",
		"#!/usr/bin/env\n":                               "",
		"#!\n":                                           "",
		"'use strict'\n#!/bin/sh":                        "",
		"":                                               "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := interpreterOf(path); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := interpreterOf(filepath.Dir(path)) + interpreterOf(path+"/none"); got != "" {
		t.Errorf("no file: %q", got)
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
