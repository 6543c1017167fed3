package checks

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/evenkeel/evenkeel/reconcilers/bounded"
)

// startReads are the files, from the application's directory, of which a start can fail whatever is done to its process:
// what it is made of, which version of it is checked out, what the usual builders make, and its environment. What this very
// application is built into, and what its process manager runs, is added to them.
var startReads = []string{
	"package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb",
	"node_modules", "node_modules/.bin", "node_modules/.package-lock.json", "node_modules/.modules.yaml", "node_modules/.yarn-state.yml",
	".git/HEAD", ".git/index", ".next/BUILD_ID", "dist", "build", ".output", ".output/server",
	".env", ".env.local", ".env.production", ".env.production.local",
}

// interpreterPlaces are looked into beside evenkeel's own PATH.
var interpreterPlaces = []string{"/usr/local/bin", "/usr/bin", "/bin"}

// causeOf is the signature of all that a start of the application reads: if it is another one, what failed before may work
// now. It holds names, sizes and times, and nothing of what is in the files. It costs some sixty questions to the file
// system, and is only asked for where the application does not answer.
func (p *Prober) causeOf(l *look) string {
	app := l.app
	dir := app.Spec.Directory
	under := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	paths := []string{dir}
	add := func(names ...string) {
		for _, name := range names {
			if name != "" {
				paths = append(paths, under(name))
			}
		}
	}
	add(startReads...)
	if d := app.Spec.Checks.Database; d != nil {
		add(d.EnvFile)
	}
	if pm2 := app.Spec.Runtime.PM2; pm2 != nil {
		add(pm2.Start)
	}
	_, stamp, needed := p.whatIsBuilt(l)
	add(stamp)
	add(needed...)
	add(scriptsOf(dir)...)
	programs := []string{"node"}
	program := func(word string) {
		switch {
		case strings.Contains(word, "/"):
			add(word)
		case word != "" && word != "none" && !slices.Contains(programs, word): // PM2 says none of what runs itself
			programs = append(programs, word)
		}
	}
	for n := range l.snapshot.Processes {
		row := &l.snapshot.Processes[n]
		add(row.Script, row.Config)
		program(row.Interpreter)
		program(interpreterOf(under(row.Script)))
	}
	if exec := app.Spec.Runtime.Exec; exec != nil {
		for n, word := range exec.Command {
			if n == 0 || strings.Contains(word, "/") {
				program(word)
			}
		}
	}
	sum := sha256.New()
	for _, path := range paths {
		fmt.Fprintln(sum, path, stampOf(path, path == dir))
	}
	for _, places := range p.searched(l) {
		for _, name := range programs {
			path := firstIn(places, name)
			fmt.Fprintln(sum, name, path, stampOf(path, false))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// searched are the lists of folders in which a program is looked for by its name: that of the process manager's daemon, which
// the shell gave it that it was started from (nvm keeps node in a folder of the user's), and evenkeel's own.
func (p *Prober) searched(l *look) [][]string {
	lists := [][]string{append(filepath.SplitList(os.Getenv("PATH")), interpreterPlaces...)}
	daemon := l.snapshot.Daemon.Identity
	if daemon.PID == 0 {
		return lists
	}
	var theirs []string
	if vars, err := p.FS.Environ(daemon, "PATH"); err == nil {
		theirs = filepath.SplitList(vars["PATH"])
	}
	if exe, err := p.FS.Exe(daemon); err == nil {
		theirs = append(theirs, filepath.Dir(exe))
	}
	return append(lists, theirs)
}

// interpreterOf is the program that a script names in its first line, as the kernel and env(1) read it; empty where it names none.
func interpreterOf(script string) string {
	f, err := os.OpenFile(script, os.O_RDONLY|syscall.O_NONBLOCK, 0) // the name may be that of a pipe
	if err != nil {
		return ""
	}
	defer f.Close()
	var head [256]byte // the kernel reads no more, either
	n, _ := f.Read(head[:])
	line, isScript := bytes.CutPrefix(head[:n], []byte("#!"))
	if !isScript {
		return ""
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	for n, word := range strings.Fields(string(line)) {
		// env's own options and the variables that it sets stand before the program.
		if n == 0 && filepath.Base(word) == "env" || n > 0 && (strings.HasPrefix(word, "-") || strings.Contains(word, "=")) {
			continue
		}
		return word
	}
	return ""
}

// firstIn is the file that a name stands for in a list of folders; empty where it is in none.
func firstIn(places []string, name string) string {
	for _, place := range places {
		path := filepath.Join(place, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// scriptsOf are the files that package.json names for a start: what `npm start` runs stands in no list of a process manager.
func scriptsOf(dir string) []string {
	text, err := bounded.Read(filepath.Join(dir, "package.json"), 1<<20)
	if err != nil {
		return nil
	}
	var pkg struct {
		Main    string `json:"main"`
		Scripts struct {
			Prestart string `json:"prestart"`
			Start    string `json:"start"`
		} `json:"scripts"`
	}
	if json.Unmarshal(text, &pkg) != nil {
		return nil // whoever starts it will say so
	}
	files := []string{pkg.Main}
	for _, word := range strings.Fields(pkg.Scripts.Prestart + " " + pkg.Scripts.Start) {
		word = strings.Trim(word, `"'`)
		if ext := filepath.Ext(word); filepath.IsLocal(word) && slices.Contains([]string{".js", ".cjs", ".mjs", ".ts", ".sh"}, ext) {
			files = append(files, word)
		}
	}
	return files
}

// stampOf is what a change of a file shows in. A folder that is written to at run time shows only whether it is the same.
func stampOf(path string, identity bool) string {
	info, err := os.Stat(path)
	if err != nil {
		return "absent"
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	case identity:
		return fmt.Sprint(st.Dev, st.Ino)
	}
	return fmt.Sprint(st.Dev, st.Ino, info.Size(), info.ModTime().UnixNano(), info.Mode())
}

// folderMissing tells whether a directory is known not to be there. What may not be looked at is not missing.
func folderMissing(dir string) bool {
	_, err := os.Stat(dir)
	return dir != "" && errors.Is(err, fs.ErrNotExist)
}

// interpreterMissing tells whether a line of a log says that the program that runs a script was not found, as env and the
// shell say it.
func interpreterMissing(line []byte) bool {
	_, rest, env := bytes.Cut(line, []byte("env: "))
	if env && bytes.Contains(rest, []byte("No such file or directory")) {
		return true
	}
	return bytes.HasPrefix(line, []byte("sh: ")) && bytes.HasSuffix(bytes.TrimSpace(line), []byte(": not found"))
}

// notExecutable tells whether a runtime says that a program could not be run because it is not there.
func notExecutable(message string) bool {
	return strings.Contains(message, "executable file not found") || strings.Contains(message, "no such file or directory")
}
