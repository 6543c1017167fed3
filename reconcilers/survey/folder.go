package survey

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/bounded"
	"github.com/evenkeel/evenkeel/reconcilers/dotenv"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// maxScript bounds what is read of files that people wrote by hand.
const maxScript = 256 << 10

// folder finds the application's folder, and looks into it.
func (s *Surveyor) folder(f *Facts, row *runtime.Process) {
	f.Directory = directory(row)
	if f.Systemd == nil {
		f.Ecosystem = ecosystem(f.Directory, row.Name)
	}
	f.Next = exists(filepath.Join(f.Directory, ".next"))
	f.Env = environment(f.Directory)
}

// directory is the application's folder: where it is started, unless that holds nothing of an application and the script's
// package does.
func directory(row *runtime.Process) string {
	cwd := filepath.Clean(row.Cwd)
	if app, ok := strings.CutSuffix(cwd, "/.next/standalone"); ok { // a copy that a build makes anew
		return app
	}
	for _, sign := range []string{"package.json", ".next", ".env"} {
		if exists(filepath.Join(cwd, sign)) {
			return cwd
		}
	}
	script, _, _ := strings.Cut(row.Script, "/node_modules/")
	script, _, _ = strings.Cut(script, "/.next/standalone")
	for dir := script; filepath.IsAbs(dir) && dir != "/"; dir = filepath.Dir(dir) {
		if exists(filepath.Join(dir, "package.json")) {
			return filepath.Clean(dir)
		}
	}
	return cwd
}

// ecosystemFiles are the names under which people keep what PM2 is to run, the usual one first.
var ecosystemFiles = []string{
	"ecosystem.config.js", "ecosystem.config.cjs", "ecosystem.config.mjs", "ecosystem.json", "ecosystem.yml", "ecosystem.yaml",
	"pm2.config.js", "pm2.config.cjs", "pm2.config.mjs", "pm2.json", "pm2.yml", "pm2.yaml",
	"process.json", "process.yml", "process.yaml", "processes.json",
}

// ecosystem finds the file that the application can be started from: one that names it, else any.
func ecosystem(dir, name string) (found *Ecosystem) {
	for _, file := range ecosystemFiles {
		text, err := bounded.Read(filepath.Join(dir, file), maxScript)
		if err != nil {
			continue
		}
		e := &Ecosystem{File: file, Names: quotes(string(text), name)}
		if e.Names {
			return e
		}
		if found == nil {
			found = e
		}
	}
	return found
}

// quotes tells whether a name stands in a text as JavaScript, JSON or YAML write a value.
func quotes(text, name string) bool {
	n := regexp.QuoteMeta(name)
	return regexp.MustCompile(`(?m)(["'` + "`" + `]` + n + `["'` + "`" + `])|(:\s*` + n + `\s*(#.*)?$)`).MatchString(text)
}

// environment reads which variables the environment files name.
func environment(dir string) Env {
	set, err := dotenv.Load(dir)
	e := Env{Main: exists(filepath.Join(dir, ".env"))}
	if err != nil {
		e.Error = err.Error()
	}
	for _, f := range set.Files {
		e.Files = append(e.Files, f.Name)
	}
	for name, filled := range set.Vars {
		switch {
		case !namesDatabase(name):
		case filled:
			e.Database = append(e.Database, name)
		default:
			e.Empty = append(e.Empty, name)
		}
	}
	slices.Sort(e.Database)
	slices.Sort(e.Empty)
	return e
}

// databaseVariable is how people name the address of a database.
var databaseVariable = regexp.MustCompile(`^([A-Z0-9_]+_)?(DATABASE|DB|POSTGRES|POSTGRESQL|PG|MYSQL|MARIADB|MONGO|MONGODB)(_PRISMA)?_(URL|URI|HOST)$`)

func namesDatabase(variable string) bool {
	return databaseVariable.MatchString(variable) && !strings.HasPrefix(variable, "NEXT_PUBLIC_")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
