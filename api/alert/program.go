package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxOutput   = 4 << 10 // of a program's output that is kept: its end
	maxVariable = 8 << 10 // of one variable
	// lingering is how long the output of a program that has ended is waited for, where its children hold it open.
	lingering = 500 * time.Millisecond
	usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// program runs a program with the alert as JSON on standard input. There is no shell between.
type program struct{ args []string }

// name leaves the arguments out: they may hold secrets.
func (p program) name() string { return "program " + p.args[0] }

func (p program) send(ctx context.Context, d *delivery) error {
	return p.run(ctx, d.body, environment(d))
}

// run runs the program. What it writes is quoted where it fails, without what its arguments hold.
func (p program) run(ctx context.Context, input []byte, env []string) error {
	output := &tail{limit: maxOutput}
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = env
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = lingering
	group := &group{}
	cmd.Cancel = func() error { return group.kill(cmd.Process.Pid) }
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("it cannot be run: %w", withoutPath(err))
	}
	group.awaitExit(cmd.Process.Pid)
	err := cmd.Wait()
	if cmd.ProcessState != nil && cmd.ProcessState.Success() {
		return nil // acknowledged, even where a child of it still holds its output
	}
	if said := p.clean(output.kept); said != "" {
		return fmt.Errorf("%w: %q", err, said)
	}
	return err
}

// clean is the end of what the program has written as one line, without what its arguments hold: they may be secrets.
func (p program) clean(said []byte) string {
	text := oneLine(said)
	for _, arg := range p.args[1:] {
		arg = oneLine([]byte(arg))
		_, value, _ := strings.Cut(arg, "=")
		text = withoutSecrets(text, arg, arg, value)
	}
	if over := len(text) - maxQuoted; over > 0 {
		text = strings.ToValidUTF8(text[over:], "")
	}
	return text
}

// environment is all that a program gets to know beside the alert on its standard input.
func environment(d *delivery) []string {
	a := &d.Alert
	env := plainEnvironment()
	for _, v := range [...]struct{ name, value string }{
		{"APP", a.App},
		{"APPS", strings.Join(orAlone(a.Apps, a.App), " ")},
		{"HOST", a.Host},
		{"KIND", string(a.Kind)},
		{"PHASE", string(a.Phase)},
		{"BLAME", string(a.Blame)},
		{"REASON", a.Reason},
		{"MESSAGE", a.Message},
		{"INCIDENT", strconv.FormatInt(a.Incident, 10)},
		{"ID", d.ID},
		{"THREAD", d.thread()},
		{"SUBJECT", Subject(a)},
	} {
		env = append(env, "EVENKEEL_"+v.name+"="+shorten(strings.ReplaceAll(v.value, "\x00", ""), maxVariable))
	}
	return env
}

func plainEnvironment() []string {
	return []string{
		"PATH=" + orElse(os.Getenv("PATH"), usualPath),
		"HOME=" + orElse(os.Getenv("HOME"), "/"),
		"LANG=" + orElse(os.Getenv("LANG"), "C.UTF-8"),
	}
}

// group kills a program's process group, but only while its leader has not been reaped: until then nobody else can have
// its number.
type group struct {
	mu     sync.Mutex
	exited bool
}

// awaitExit waits until the leader has exited, and leaves it to be reaped.
func (g *group) awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.exited = true
}

func (g *group) kill(pid int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.exited {
		return os.ErrProcessDone
	}
	return unix.Kill(-pid, unix.SIGKILL)
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	kept  []byte
}

// Write takes everything.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	p = p[max(0, n-t.limit):]
	t.kept = append(t.kept[max(0, min(len(t.kept), len(t.kept)+len(p)-t.limit)):], p...)
	return n, nil
}

// withoutPath leaves the arguments' side of an error out; exec names the program itself, which is no secret.
func withoutPath(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func orAlone(list []string, one string) []string {
	if len(list) == 0 {
		return []string{one}
	}
	return list
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
