//go:build linux

package pm2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// command runs `pm2`. It is made for a daemon that has just taken a call, and for bringing one back.
type command struct {
	m      *Manager
	home   *home
	spec   *v1alpha1.PM2Runtime
	daemon runtime.Daemon
	dir    string
	file   string // that it is given to start, if any
	// revives says that it is to bring a daemon into being: like behaves what it has to be like, and apart is put in front
	// of it, where that daemon would be born into our own service.
	revives bool
	like    manners
	apart   []string
}

// manners are what one has to know of a daemon to run another one like it: its way to node, and how it names things.
type manners struct {
	vars map[string]string
	exe  string
	path []string // further folders
}

func (m *Manager) mannersOf(id procfs.Identity) manners {
	var d manners
	d.vars, _ = m.fs.Environ(id, "PATH", "LANG", "LC_ALL", "TZ", "SHELL")
	d.exe, _ = m.fs.Exe(id)
	return d
}

const (
	tailSize  = 600
	drainTime = 2 * time.Second
	// noSpawn makes it impossible for `pm2` to start a daemon, should ours die before the command has connected: PM2 hands
	// this to node as an option when it starts one, node refuses it, and `pm2` ends. It must not be set where an application
	// is added to the list, since that one would inherit it.
	noSpawn = "PM2_NODE_OPTIONS=--evenkeel-starts-no-pm2-daemon"
)

// run runs one command that starts nothing new and returns what it printed on its standard output.
func (c *command) run(ctx context.Context, limit int, args ...string) ([]byte, error) {
	return c.exec(ctx, limit, []string{noSpawn}, args...)
}

func (c *command) exec(ctx context.Context, limit int, extra []string, args ...string) ([]byte, error) {
	env := c.environment()
	argv, err := c.program(env)
	if err != nil {
		return nil, err
	}
	if err := take(ctx, c.home.commanding); err != nil {
		return nil, err
	}
	defer func() { <-c.home.commanding }()
	dir := c.dir
	if dir == "" {
		dir = "/"
	}
	vars := append(env.list(), extra...)
	argv = append(c.inUnit(dir, vars), append(argv, args...)...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = vars, dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: c.credential()}
	// Its own session is its own group, so that this ends our child and what it started, and nobody else.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = drainTime
	out, errOut := &bounded{limit: limit}, &bounded{limit: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, errOut
	err = cmd.Run()
	failed := &runtime.CommandError{Args: cmd.Args, Code: -1, Tail: said(errOut.b.Bytes(), c.file)}
	if cmd.ProcessState != nil {
		failed.Code = cmd.ProcessState.ExitCode()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		failed.Err = timeoutOr(ctx)
	case !c.revives && bytes.Contains(out.b.Bytes()[:min(out.b.Len(), 16<<10)], spawning):
		failed.Err = runtime.ErrNoDaemon
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), failed.Code == 126, failed.Code == 127:
		failed.Err = fmt.Errorf("%w: %w", runtime.ErrNoCommand, err)
	case bytes.Contains(errOut.b.Bytes(), []byte("Permission denied")):
		failed.Err = runtime.ErrPermission
	case out.cut && limit == maxFrame:
		failed.Err = fmt.Errorf("%w: it printed more than %d bytes", runtime.ErrNotUnderstood, limit)
	case err == nil:
		return out.b.Bytes(), nil
	case failed.Code < 0:
		failed.Err = err
	}
	clear(out.b.Bytes())
	clear(errOut.b.Bytes())
	return nil, failed
}

// inUnit is what is put before a command that is to live in a unit of its own: the service manager starts it then, with this
// folder and environment.
func (c *command) inUnit(dir string, vars []string) []string {
	if len(c.apart) == 0 {
		return nil
	}
	argv := append(slices.Clone(c.apart), "--working-directory="+dir)
	for _, v := range vars {
		argv = append(argv, "--setenv="+v)
	}
	return append(argv, "--")
}

// bounded keeps the first bytes and swallows the rest, so that the program is never blocked by us.
type bounded struct {
	b     bytes.Buffer
	limit int
	cut   bool
}

// Write never fails.
func (w *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), w.limit-w.b.Len())
	w.cut = w.cut || keep < len(p)
	w.b.Write(p[:keep])
	return len(p), nil
}

// tail is the end of a text, in one line, without colours and control characters.
func tail(b []byte) string {
	var out strings.Builder
	inCode := false
	for _, r := range strings.ToValidUTF8(string(b), "?") {
		switch {
		case r == '\x1b':
			inCode = true
		case inCode:
			inCode = !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
		case r == '\n', r == '\t', r == '\r':
			out.WriteByte(' ')
		case r >= ' ' && r != 0x7f:
			out.WriteRune(r)
		}
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	if len(text) > tailSize {
		text = "…" + strings.ToValidUTF8(text[len(text)-tailSize:], "")
	}
	return text
}

// environment is all that the command is given. What it is given at `pm2 start` becomes the application's environment and
// is stored by PM2, so nothing of evenkeel's own is in it but the way to its programs.
type environment struct {
	path []string
	vars []string
}

func (e environment) list() []string {
	return append(slices.Clone(e.vars), "PATH="+strings.Join(e.path, ":"))
}

func (c *command) environment() environment {
	var e environment
	add := func(dirs ...string) {
		for _, dir := range dirs {
			if filepath.IsAbs(dir) && !slices.Contains(e.path, dir) {
				e.path = append(e.path, dir)
			}
		}
	}
	// The daemon's own way to node is the one that works: it was started by the shell in which the operator uses pm2.
	like := c.like
	if !c.revives {
		like = c.m.mannersOf(c.daemon.Identity)
	}
	theirs := like.vars
	add(filepath.SplitList(theirs["PATH"])...)
	if filepath.Base(like.exe) == "node" {
		add(filepath.Dir(like.exe))
	}
	add(like.path...)
	if len(c.spec.Command) > 0 {
		add(filepath.Dir(c.spec.Command[0]))
	}
	add(filepath.SplitList(c.m.getenv("PATH"))...)
	add("/usr/local/bin", "/usr/bin", "/bin")

	home, name := c.m.getenv("HOME"), ""
	if u := c.user(); u != nil {
		home, name = u.HomeDir, u.Username
	}
	for _, v := range [][2]string{{"PM2_HOME", c.home.dir}, {"HOME", home}, {"USER", name}, {"LOGNAME", name},
		{"SHELL", theirs["SHELL"]}, {"LANG", theirs["LANG"]}, {"LC_ALL", theirs["LC_ALL"]}, {"TZ", theirs["TZ"]},
		{"PM2_DISABLE_VERSION_CHECK", "true"}} {
		if v[1] != "" {
			e.vars = append(e.vars, v[0]+"="+v[1])
		}
	}
	return e
}

// user is who the daemon runs as.
func (c *command) user() *user.User {
	u, err := user.LookupId(strconv.FormatUint(uint64(c.daemon.UID), 10))
	if err != nil {
		return nil
	}
	return u
}

// credential makes the command run as the daemon's user, where that is another one and we are root: an ecosystem file is
// a program of that user's, and what the command writes into PM2_HOME must stay that user's.
func (c *command) credential() *syscall.Credential {
	if os.Geteuid() != 0 || c.daemon.UID == 0 || len(c.apart) > 0 { // only root may make the unit, which has its own user
		return nil
	}
	cred := &syscall.Credential{Uid: c.daemon.UID, Gid: c.daemon.UID}
	if u := c.user(); u != nil {
		if gid, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
			cred.Gid = uint32(gid)
		}
		ids, _ := u.GroupIds()
		for _, id := range ids {
			if gid, err := strconv.ParseUint(id, 10, 32); err == nil {
				cred.Groups = append(cred.Groups, uint32(gid))
			}
		}
	}
	return cred
}

// program finds the pm2 program, and makes sure that the node it needs is on the path that it gets.
func (c *command) program(e environment) ([]string, error) {
	argv := slices.Clone(c.spec.Command)
	if len(argv) == 0 {
		argv = []string{"pm2"}
	}
	if !strings.Contains(argv[0], "/") {
		path := find(e.path, argv[0])
		if path == "" {
			return nil, fmt.Errorf("%w: no %s in %s; set spec.runtime.pm2.command", runtime.ErrNoCommand, argv[0], strings.Join(e.path, ":"))
		}
		argv[0] = path
	} else if !executable(argv[0]) {
		return nil, fmt.Errorf("%w: %s of spec.runtime.pm2.command is no program", runtime.ErrNoCommand, argv[0])
	}
	if len(c.spec.Command) == 0 && find(e.path, "node") == "" {
		return nil, fmt.Errorf("%w: %s needs node, and there is none in %s; set spec.runtime.pm2.command to [<node>, %s]",
			runtime.ErrNoCommand, argv[0], strings.Join(e.path, ":"), argv[0])
	}
	return argv, nil
}

func find(path []string, name string) string {
	for _, dir := range path {
		if file := filepath.Join(dir, name); executable(file) {
			return file
		}
	}
	return ""
}

func executable(file string) bool {
	st, err := os.Stat(file)
	return err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0
}
