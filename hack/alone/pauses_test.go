package alone

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state/desired"
)

// lasts is how long the pauses of these tests last: long enough for what is to be done in them.
const lasts = "8s"

// operator is evenkeel with a command of an operator's.
func (m *machine) operator(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(m.Context(), filepath.Join(m.bin, "evenkeel"), append([]string{"--state-dir", m.state}, args...)...) // #nosec G204 -- a test's own program
	cmd.Dir = m.dir
	return cmd
}

// says runs a command of an operator's, and gives what it says and its exit code.
func (m *machine) says(args ...string) (string, int) {
	m.Helper()
	out, err := m.operator(args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.Fatal(err)
	}
	if exit != nil {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

// pausedUntil is when the pause that stands in the desired file ends; zero where there is none.
func (m *machine) pausedUntil() time.Time {
	m.Helper()
	entry := desired.Load([]string{m.file}).App("site")
	if entry == nil || !entry.App.Spec.Paused || entry.App.Spec.PausedUntil == nil {
		return time.Time{}
	}
	return entry.App.Spec.PausedUntil.Time
}

// TestAPauseEndsByItself: that of a deploy that is killed in the middle, of one whose terminal goes, and one for a time. While it
// lasts, evenkeel leaves an application alone that has ended; after it, and not before, that is brought back.
func TestAPauseEndsByItself(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	m.run()
	m.well()
	for _, c := range []struct {
		name  string
		pause func()
	}{
		{"deploy, killed", func() { m.deployEndedBy(syscall.SIGKILL) }},
		{"deploy, without its terminal", func() { m.deployEndedBy(syscall.SIGHUP) }},
		{"pause --for", func() {
			if out, code := m.says("pause", "site", "--for", lasts, "--reason", "a backup"); code != 0 || !strings.Contains(out, "a backup") {
				t.Errorf("pause: %d\n%s", code, out)
			}
		}},
	} {
		c.pause()
		until := m.pausedUntil()
		if until.IsZero() {
			t.Fatalf("%s: no pause with an end stands in the file:\n%s", c.name, m.wanted())
		}
		if out, _ := m.says("status", "site"); !strings.Contains(out, "paused") {
			t.Errorf("%s: status says nothing of it:\n%s", c.name, out)
		}
		was := m.only()
		m.signal(was, syscall.SIGKILL)
		m.until("it is brought back", func() bool { return m.answers() != 0 })
		if back := time.Now(); back.Before(until) {
			t.Errorf("%s: it was brought back %s before the pause was over", c.name, until.Sub(back))
		}
		m.well()
		m.only()
	}
}

// deployEndedBy begins a deploy, and ends it in the middle: by SIGKILL it alone, its command goes on; by SIGHUP both.
func (m *machine) deployEndedBy(sig syscall.Signal) {
	m.Helper()
	at := filepath.Join(m.dir, "at-work")
	_ = os.Remove(at)
	cmd := m.operator("deploy", "site", "--for", lasts, "--", "/bin/sh", "-c", "echo $$ >at-work.new && mv at-work.new at-work && exec sleep 300")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Under nohup a hangup is ignored by whatever we start, unless we take it ourselves.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	child := 0
	m.until("its command is at work", func() bool {
		text, err := os.ReadFile(at)
		if err == nil {
			child, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	m.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	to := cmd.Process.Pid
	if sig == syscall.SIGHUP {
		to = -to // as a terminal does it
	}
	if err := syscall.Kill(to, sig); err != nil {
		m.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != sig {
		m.Errorf("deploy was ended by %s, and is %v", sig, err)
	}
	if sig == syscall.SIGKILL {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
}

// TestADeployBesideASupervisor: it exits with its command's code, or with 1 where the application is not well afterwards, and evenkeel
// goes on then.
func TestADeployBesideASupervisor(t *testing.T) {
	t.Parallel()
	m := newMachine(t, nil)
	m.run()
	m.well()
	for n, c := range []struct {
		command string
		code    int
		says    string
	}{
		{"cp site.yaml during.yaml", 0, "site is well"},
		{"false", 1, "ended with 1"},
		{"exit 7", 7, "ended with 7"},
		{"kill -9 " + strconv.Itoa(m.only().PID), 1, "is not well within 2s"}, // paused, nobody brings it back
	} {
		out, code := m.says("deploy", "site", "--well-within", map[bool]string{true: "2s", false: "1m"}[n == 3], "--", "/bin/sh", "-c", c.command)
		if code != c.code || !strings.Contains(out, c.says) || !strings.Contains(out, "no longer paused") || !m.pausedUntil().IsZero() {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", c.command, code, c.code, c.says, out)
		}
	}
	m.well() // evenkeel acts again
	m.only()
	text, err := os.ReadFile(filepath.Join(m.dir, "during.yaml"))
	if err != nil || !strings.Contains(string(text), "paused: true") || !strings.Contains(string(text), "pausedUntil: ") {
		t.Errorf("while it ran the file said (%v)\n%s", err, text)
	}
	if n := m.told(v1alpha1.ReasonPaused); n != 4 {
		t.Errorf("paused %d times", n)
	}
}
