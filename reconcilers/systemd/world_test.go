//go:build linux && vps

package systemd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
)

// These tests speak to a systemd for real. hack/service builds them, and runs them on the machine of hack/vps: as root, where they
// make units of the system's, and as an ordinary user, where they make units of that user's manager. They are not for another machine.

// part names what this test's own program does when a unit starts it.
const part = "EK_SYSTEMD_PART"

// inside says that this is a machine of hack/vps.
const inside = "EK_VPS"

func TestMain(m *testing.M) {
	if p := os.Getenv(part); p != "" {
		act(p)
		return
	}
	if os.Getenv(inside) == "" {
		fmt.Fprintln(os.Stderr, "these tests make units of systemd's; they are run by: go test -tags vps ./hack/service")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// act is an application.
func act(p string) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	fmt.Printf("ready %d\n", os.Getpid())
	switch p {
	case "stubborn":
		for {
			<-asked
		}
	case "slow": // says that it is ready only when it is told to
		conn, err := os.ReadFile(os.Getenv("EK_GATE"))
		for err != nil || len(conn) == 0 {
			select {
			case <-asked:
				return
			default:
				rest()
			}
			conn, err = os.ReadFile(os.Getenv("EK_GATE"))
		}
		notify()
		<-asked
	case "fails":
		os.Exit(3)
	case "ends":
		return
	case "mother": // a child outlives the application, where the unit lets it
		child := exec.Command("/proc/self/exe")
		child.Env = append(os.Environ(), part+"=web")
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Printf("child %d\n", child.Process.Pid) // making one makes others that do not last
		<-asked
	default:
		<-asked
	}
}

// notify tells systemd that the service is ready.
func notify() {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err == nil {
		err = unix.Sendto(fd, []byte("READY=1"), 0, &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")})
	}
	if err != nil {
		panic(err)
	}
}

const patience = 30 * time.Second

func rest() {
	t := time.NewTimer(5 * time.Millisecond)
	defer t.Stop()
	<-t.C
}

func now() v1alpha1.Instant {
	i := v1alpha1.Instant{}
	i.BootID, _ = procfs.Default().BootID()
	i.Boot.Duration = procfs.SinceBoot()
	i.Wall.Time = time.Now()
	return i
}

// world is the units of one test.
type world struct {
	t     *testing.T
	dir   string // for what they write
	where string // for their files
	user  bool
	made  []string // units
	files []string // their files, which no other test uses
	m     *Manager
}

var counter int

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), user: os.Getuid() != 0, where: "/run/systemd/system", m: New()}
	if w.user {
		w.where = fmt.Sprintf("/run/user/%d/systemd/user", os.Getuid())
		if err := os.MkdirAll(w.where, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		w.m.Close()
		for _, unit := range w.made {
			w.try("kill", "--signal=KILL", unit)
			w.try("stop", unit)
			w.try("reset-failed", unit)
			_ = os.Remove(outputs + "/" + unit + ".log")
		}
		for _, unit := range w.files {
			_ = os.Remove(filepath.Join(w.where, unit))
		}
	})
	return w
}

func (w *world) try(args ...string) (string, error) {
	if w.user {
		args = append([]string{"--user"}, args...)
	}
	cmd := exec.Command("systemctl", args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("XDG_RUNTIME_DIR=/run/user/%d", os.Getuid()))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w *world) ctl(args ...string) {
	w.t.Helper()
	if out, err := w.try(args...); err != nil {
		w.t.Fatalf("systemctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// plain is a unit as most tests want it: one instance of a template for each, since systemd takes its time to read files anew.
const plain = "ek-%s@.service"

// app is an App of a part, which a plain unit runs.
func (w *world) app(name, part string) *v1alpha1.App {
	w.t.Helper()
	template := fmt.Sprintf(plain, part)
	if _, err := os.Stat(filepath.Join(w.where, template)); err != nil {
		w.write(template, part, "StandardOutput=append:"+outputs+"/%n.log")
		w.ctl("daemon-reload")
	}
	counter++
	return w.of(name, fmt.Sprintf("ek-%s@%d-%d.service", part, os.Getpid(), counter))
}

// special is an App of a part, whose unit has further lines in its [Service] section.
func (w *world) special(name, part string, lines ...string) *v1alpha1.App {
	w.t.Helper()
	counter++
	unit := fmt.Sprintf("ek-%s-%d-%d.service", name, os.Getpid(), counter)
	w.write(unit, part, append([]string{"StandardOutput=append:" + w.output(unit)}, lines...)...)
	w.files = append(w.files, unit)
	w.ctl("daemon-reload")
	return w.of(name, unit)
}

// want lets the target of the machine, or of the user, want a unit, as one that is enabled is wanted.
func (w *world) want(app *v1alpha1.App) {
	w.t.Helper()
	target := "multi-user.target.wants"
	if w.user {
		target = "default.target.wants"
	}
	link := filepath.Join(target, unitOf(app))
	w.files = append(w.files, link)
	if err := os.MkdirAll(filepath.Join(w.where, target), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(w.where, unitOf(app)), filepath.Join(w.where, link)); err != nil {
		w.t.Fatal(err)
	}
	w.ctl("daemon-reload")
}

func (w *world) of(name, unit string) *v1alpha1.App {
	w.made = append(w.made, unit)
	a := v1alpha1.NewApp()
	a.Name, a.Spec.Directory = name, w.dir
	a.Spec.Runtime.Systemd = &v1alpha1.SystemdRuntime{Unit: unit, User: w.user}
	return a
}

func (w *world) write(unit, as string, lines ...string) {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	text := "[Service]\nRestart=always\nRestartSec=50ms\nExecStart=" + self + "\nEnvironment=" + part + "=" + as + "\n" + strings.Join(lines, "\n") +
		"\n[Unit]\n"
	if !strings.Contains(text, "StartLimitBurst") {
		text += "StartLimitIntervalSec=0\n"
	}
	if err := os.WriteFile(filepath.Join(w.where, unit), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// outputs is where plain units write.
const outputs = "/tmp"

func (w *world) output(unit string) string { return filepath.Join(w.dir, unit+".log") }

func (w *world) look(app *v1alpha1.App) runtime.Process {
	w.t.Helper()
	s, err := w.m.Look(context.Background(), app)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Processes[0]
}

func (w *world) until(app *v1alpha1.App, state runtime.State) runtime.Process {
	w.t.Helper()
	var row runtime.Process
	runtimetest.Eventually(w.t, app.Name+" is "+string(state), func() bool {
		row = w.look(app)
		return row.State == state
	})
	return row
}

func (w *world) start(app *v1alpha1.App) runtime.Process {
	w.t.Helper()
	if _, err := w.m.Start(context.Background(), app, v1alpha1.Instant{}); err != nil {
		w.t.Fatal(err)
	}
	return w.until(app, runtime.Running)
}

func (w *world) history(app *v1alpha1.App) runtime.History {
	w.t.Helper()
	h, err := w.m.Exits(context.Background(), app, time.Time{})
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func alive(id procfs.Identity) bool {
	is, err := procfs.Default().Alive(id)
	return err == nil && is
}

func send(id procfs.Identity, sig unix.Signal) {
	if alive(id) {
		_ = unix.Kill(id.PID, sig)
	}
}
