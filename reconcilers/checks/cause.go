package checks

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// startReads are the files, from the application's directory, of which a start can fail whatever is done to its process:
// what it is made of, what it is built into, and its environment.
var startReads = []string{
	"package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb",
	"node_modules", "node_modules/.bin", "node_modules/.package-lock.json", "node_modules/.modules.yaml", "node_modules/.yarn-state.yml",
	".next/BUILD_ID", ".env", ".env.local", ".env.production", ".env.production.local",
}

// interpreterPlaces are looked into beside evenkeel's own PATH.
var interpreterPlaces = []string{"/usr/local/bin", "/usr/bin", "/bin"}

// causeOf is the signature of all that a start of an application reads: if it is another one, what failed before may work
// now. It holds names, sizes and times, and nothing of what is in the files.
func causeOf(app *v1alpha1.App) string {
	dir := app.Spec.Directory
	under := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(dir, name)
	}
	paths := []string{dir}
	for _, name := range startReads {
		paths = append(paths, under(name))
	}
	if d := app.Spec.Checks.Database; d != nil && d.EnvFile != "" {
		paths = append(paths, under(d.EnvFile))
	}
	if pm2 := app.Spec.Runtime.PM2; pm2 != nil && pm2.Start != "" {
		paths = append(paths, under(pm2.Start))
	}
	programs := []string{"node"}
	if exec := app.Spec.Runtime.Exec; exec != nil {
		for n, word := range exec.Command {
			switch {
			case strings.Contains(word, "/"):
				paths = append(paths, under(word))
			case n == 0:
				programs = append(programs, word)
			}
		}
	}
	for _, place := range append(filepath.SplitList(os.Getenv("PATH")), interpreterPlaces...) {
		for _, program := range programs {
			paths = append(paths, filepath.Join(place, program))
		}
	}
	sum := sha256.New()
	for _, path := range paths {
		fmt.Fprintln(sum, path, stampOf(path, path == dir))
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
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
