package alone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// programs are evenkeel and the application, built once.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ek-alone-")
	if err != nil {
		return "", err
	}
	for name, source := range map[string]string{"evenkeel": "../..", "site": "./site"} {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, name), source)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return dir, os.Chmod(dir, 0o755)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// patience bounds every wait for a fact; it is long because the machine may be busy.
const patience = 60 * time.Second

// machine is one App on one state folder.
type machine struct {
	*testing.T
	bin, dir, state, file string
	port                  int
	env                   map[string]string
	paused                bool
	cooldown              time.Duration
	user                  uint32 // whom evenkeel runs as; 0 is whoever runs the test
	running               *exec.Cmd
	runtime               string // the line of the desired state; empty: evenkeel keeps it itself
	change                func(desired string) string
	more                  []string // arguments of evenkeel run
}

func newMachine(t *testing.T, env map[string]string) *machine {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m := &machine{T: t, bin: bin, dir: dir, state: filepath.Join(dir, "state"), file: filepath.Join(dir, "site.yaml"), env: env, cooldown: time.Second,
		port: l.Addr().(*net.TCPAddr).Port}
	m.desire()
	t.Cleanup(m.clear)
	return m
}

// desire writes the desired state.
func (m *machine) desire() {
	m.Helper()
	if err := os.WriteFile(m.file+".new", []byte(m.wanted()), 0o600); err != nil {
		m.Fatal(err)
	}
	if m.user != 0 {
		if err := os.Chown(m.file+".new", int(m.user), int(m.user)); err != nil {
			m.Fatal(err)
		}
	}
	if err := os.Rename(m.file+".new", m.file); err != nil {
		m.Fatal(err)
	}
}

// wanted is the desired state.
func (m *machine) wanted() string {
	var env strings.Builder
	for name, value := range m.env {
		fmt.Fprintf(&env, "%s: %q, ", name, value)
	}
	runtime := m.runtime
	if runtime == "" {
		runtime = fmt.Sprintf("{exec: {command: [%s/site], env: {%s}}}", m.bin, env.String())
	}
	text := fmt.Sprintf(`apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: site}
spec:
  paused: %v
  directory: %s
  runtime: %s
  port: %d
  interval: 200ms
  confirmInterval: 100ms
  checks: {local: {timeout: 500ms}}
  recovery: {cooldown: %s, maxAttempts: 20, startupGrace: 20s, deadline: 20s, stopTimeout: 2s, caches: []}
`, m.paused, m.dir, runtime, m.port, m.cooldown)
	if m.change != nil {
		text = m.change(text)
	}
	return text
}

// asUser lets evenkeel run as an ordinary user, also where the test is run by root, who may read and write everything.
func (m *machine) asUser() {
	m.Helper()
	if os.Geteuid() != 0 {
		return
	}
	m.user = 65534
	if err := os.Chmod(filepath.Dir(m.dir), 0o755); err != nil { // #nosec G302 -- that user has to come through
		m.Fatal(err)
	}
	m.own()
}

// own gives that user all that lies in the machine's folder.
func (m *machine) own() {
	m.Helper()
	if m.user == 0 {
		return
	}
	err := filepath.WalkDir(m.dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(m.user), int(m.user))
	})
	if err != nil {
		m.Fatal(err)
	}
}

// ownDisk puts the state folder on a file system of its own, which takes root.
func (m *machine) ownDisk(size string) {
	m.Helper()
	if err := os.MkdirAll(m.state, 0o700); err != nil {
		m.Fatal(err)
	}
	if err := unix.Mount("tmpfs", m.state, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700,size="+size); err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() {
		m.clear()
		if err := unix.Unmount(m.state, unix.MNT_DETACH); err != nil {
			m.Error(err)
		}
	})
}

func (m *machine) arguments() []string {
	return append([]string{"run", "-f", m.file, "--state-dir", m.state}, m.more...)
}

// run starts evenkeel.
func (m *machine) run() {
	m.Helper()
	m.launch(exec.Command(filepath.Join(m.bin, "evenkeel"), m.arguments()...))
}

func (m *machine) launch(cmd *exec.Cmd) {
	m.Helper()
	said, err := os.Create(filepath.Join(m.dir, "said"))
	if err != nil {
		m.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if m.user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: m.user, Gid: m.user}}
		cmd.Env = append(os.Environ(), "HOME="+m.dir)
	}
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	m.running = cmd
}

// said is what the last evenkeel has said so far.
func (m *machine) said() string {
	data, _ := os.ReadFile(filepath.Join(m.dir, "said"))
	return string(data)
}

// kill ends evenkeel as kill -9 does.
func (m *machine) kill() {
	m.Helper()
	_ = m.running.Process.Kill()
	_ = m.running.Wait()
	m.running = nil
}

// end asks evenkeel to end, and waits.
func (m *machine) end() {
	m.Helper()
	_ = m.running.Process.Signal(syscall.SIGTERM)
	if err := m.running.Wait(); err != nil {
		m.Fatalf("evenkeel did not end well: %v\n%s", err, m.said())
	}
	m.running = nil
}

// clear ends all that this machine has made: by the mark that it bears, and by id.
func (m *machine) clear() {
	if m.running != nil {
		m.kill()
	}
	if m.Failed() {
		out, _ := os.ReadFile(filepath.Join(m.state, "site.output.log"))
		m.Logf("evenkeel said:\n%s\nthe application, at its end:\n%s", m.said(), out[max(0, len(out)-400):])
	}
	for _, id := range m.marked() {
		_ = syscall.Kill(id.PID, syscall.SIGKILL)
	}
	m.until("all is cleared", func() bool { return len(m.marked()) == 0 })
}

// marked are the living processes that bear the mark of this machine's keeper.
func (m *machine) marked() []procfs.Identity {
	fs := procfs.Default()
	all, err := fs.Processes()
	if err != nil {
		m.Fatal(err)
	}
	var found []procfs.Identity
	for _, p := range all {
		env, err := fs.Environ(p.Identity, "EVENKEEL_HOME", "EVENKEEL_APP")
		if p.Alive() && err == nil && env["EVENKEEL_HOME"] == m.state && env["EVENKEEL_APP"] == "site" {
			found = append(found, p.Identity)
		}
	}
	return found
}

// only is the one process of the application; there must be no second one.
func (m *machine) only() procfs.Identity {
	m.Helper()
	all := m.marked()
	if len(all) != 1 {
		m.Fatalf("%d processes of the application, want 1: %v", len(all), all)
	}
	return all[0]
}

// until waits for a fact; seen says what there is instead.
func (m *machine) until(what string, is func() bool, seen ...func() string) {
	m.Helper()
	for end := time.Now().Add(patience); !is(); rest() {
		if time.Now().After(end) {
			for _, say := range seen {
				what += "; " + say()
			}
			m.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (m *machine) never(what string, during time.Duration, is func() bool) {
	m.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); rest() {
		if is() {
			m.Fatal(what)
		}
	}
}

func rest() {
	t := time.NewTimer(10 * time.Millisecond)
	defer t.Stop()
	<-t.C
}

// phase is what the state file says.
func (m *machine) phase() string { return m.fact("phase: ") }

func (m *machine) fact(name string) string {
	data, _ := os.ReadFile(filepath.Join(m.state, "site.yaml"))
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// well waits until the application answers, and evenkeel says Healthy.
func (m *machine) well() {
	m.Helper()
	m.until("it answers and evenkeel says Healthy", func() bool { return m.answers() != 0 && m.phase() == "Healthy" })
}

// answers is the pid that answers; 0 where nobody does.
func (m *machine) answers() int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(m.port))
	if err != nil {
		return 0
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	answer := make([]byte, 4096)
	n := 0
	for n < len(answer) {
		got, err := conn.Read(answer[n:])
		n += got
		if err != nil {
			break
		}
	}
	_, body, _ := strings.Cut(string(answer[:n]), "\r\n\r\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(body))
	return pid
}

// output is what the application has written.
func (m *machine) output() string {
	data, _ := os.ReadFile(filepath.Join(m.state, "site.output.log"))
	return string(data)
}

// journal tells whether the journal holds an event of that reason.
func (m *machine) journal(reason string) bool {
	data, err := os.ReadFile(filepath.Join(m.state, "site.journal.jsonl"))
	return (err == nil || errors.Is(err, os.ErrNotExist)) && bytes.Contains(data, []byte(`"`+reason+`"`))
}

func (m *machine) signal(id procfs.Identity, sig syscall.Signal) {
	m.Helper()
	if alive, _ := procfs.Default().Alive(id); !alive {
		m.Fatalf("process %s is gone already", id)
	}
	if err := syscall.Kill(id.PID, sig); err != nil {
		m.Fatal(err)
	}
}
