//go:build linux

package keeper

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// newLife makes a name that no other life has.
func newLife() string { return strings.ToLower(rand.Text()) }

// spawn makes the process. That it succeeds says that the program was executed, and nothing more.
func (k *Keeper) spawn(app *v1alpha1.App, life string) (*os.Process, procfs.Identity, error) {
	spec := app.Spec.Runtime.Exec
	env := k.environment(app, life)
	program, err := lookUp(spec.Command[0], app.Spec.Directory, env)
	if err != nil {
		return nil, procfs.Identity{}, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, procfs.Identity{}, fmt.Errorf("opening %s: %w", os.DevNull, err)
	}
	defer null.Close()
	out, err := openOutput(k.Output(app.Name))
	if err != nil { // where nothing can be written, the application shall run all the same
		k.log.WithField("app", app.Name).WithError(err).Warn("output cannot be kept; this life's is lost")
		out = null
	} else {
		defer out.Close()
	}
	p, err := os.StartProcess(program, spec.Command, &os.ProcAttr{
		Dir: app.Spec.Directory, Env: env, Files: []*os.File{null, out, out},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, procfs.Identity{}, fmt.Errorf("starting %s in %s: %w", program, app.Spec.Directory, cause(err))
	}
	// It is ours to reap, so that its number stays its own even if it has ended already.
	found, err := k.fs.Process(p.Pid)
	if err != nil {
		return p, procfs.Identity{PID: p.Pid}, nil
	}
	return p, found.Identity, nil
}

// cause leaves the program's name out of an error: it was said already.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// notInherited are variables that speak of evenkeel itself: of its unit, its sockets and its watchdog.
var notInherited = []string{
	"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID",
	"JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
	"STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY",
	"PORT", "PWD", "OLDPWD",
}

// environment is evenkeel's own, without what speaks of evenkeel itself; then the spec's; then the mark.
func (k *Keeper) environment(app *v1alpha1.App, life string) []string {
	set := app.Spec.Runtime.Exec.Env
	var env []string
	for _, entry := range k.environ() {
		name, _, _ := strings.Cut(entry, "=")
		_, given := set[name]
		if name != "" && !given && !strings.HasPrefix(name, v1alpha1.EnvPrefix) && !slices.Contains(notInherited, name) {
			env = append(env, entry)
		}
	}
	env = append(env, "PWD="+app.Spec.Directory)
	if _, given := set["PORT"]; !given {
		env = append(env, "PORT="+strconv.Itoa(int(app.Spec.Port)))
	}
	for name, value := range set {
		env = append(env, name+"="+value)
	}
	return append(env, varHome+"="+k.dir, varApp+"="+app.Name, varLife+"="+life)
}

// LookUp finds the program of an App's command, as a start by this process would.
func LookUp(app *v1alpha1.App) (string, error) {
	env := os.Environ()
	if path, given := app.Spec.Runtime.Exec.Env["PATH"]; given {
		env = append(env, "PATH="+path)
	}
	file, err := lookUp(app.Spec.Runtime.Exec.Command[0], app.Spec.Directory, env)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() || unix.Access(file, unix.X_OK) != nil {
		return "", fmt.Errorf("there is no program %s that this user can run (spec.runtime.exec.command)", file)
	}
	return file, nil
}

// lookUp finds a program: by its path, below the directory, or on the PATH that it will be given itself.
func lookUp(program, dir string, env []string) (string, error) {
	if filepath.IsAbs(program) {
		return program, nil
	}
	if v1alpha1.IsBelowDirectory(program) {
		return filepath.Join(dir, program), nil
	}
	path := ""
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value
		}
	}
	for _, folder := range filepath.SplitList(path) {
		file := filepath.Join(folder, program)
		if !filepath.IsAbs(folder) {
			continue // what a relative folder means depends on where one stands
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("there is no program %s in %s that this user can run; give its whole path in spec.runtime.exec.command, or set PATH in spec.runtime.exec.env",
		program, path)
}
