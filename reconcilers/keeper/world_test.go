//go:build linux

package keeper

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
)

// actAs names the part that this test's own program plays when it is started as an application.
const actAs = "KEEPER_TEST_ACT"

func TestMain(m *testing.M) {
	if part := os.Getenv(actAs); part != "" {
		act(part)
		return
	}
	goleak.VerifyTestMain(m)
}

// act is an application.
func act(part string) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	switch part {
	case "web":
		fmt.Println("hello from", os.Getpid())
		fmt.Fprintln(os.Stderr, "PORT", os.Getenv("PORT"), "HOME", os.Getenv("EVENKEEL_HOME"), "SECRET", os.Getenv("SECRET"), "NOTIFY", os.Getenv("NOTIFY_SOCKET"))
		<-asked
	case "stubborn":
		fmt.Printf("ready %d\n", os.Getpid())
		for {
			<-asked
		}
	case "die":
		code, _ := strconv.Atoi(os.Getenv("CODE"))
		os.Exit(code)
	case "torrent":
		line := make([]byte, 1000)
		for n := range line {
			line[n] = 'x'
		}
		line[len(line)-1] = '\n'
		for n := 0; ; n++ {
			select {
			case <-asked:
				return
			default:
				copy(line, fmt.Sprintf("%09d ", n))
				_, _ = os.Stdout.Write(line)
				if n%50 == 0 {
					rest()
				}
			}
		}
	case "wiped":
		wipeEnvironment()
		fmt.Println("wiped")
		<-asked
	}
}

// wipeEnvironment writes over the environment that the kernel shows, as programs do that set their title.
func wipeEnvironment() {
	stat, _ := os.ReadFile("/proc/self/stat")
	_, after, _ := strings.Cut(string(stat), ") ")
	words := strings.Fields(after) // from field 3 of proc(5) on
	start, _ := strconv.ParseUint(words[50-3], 10, 64)
	end, _ := strconv.ParseUint(words[51-3], 10, 64)
	mem, err := os.OpenFile("/proc/self/mem", os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	defer mem.Close()
	if _, err := mem.WriteAt(make([]byte, end-start), int64(start)); err != nil {
		panic(err)
	}
}

const patience = 30 * time.Second

func rest() {
	t := time.NewTimer(5 * time.Millisecond)
	defer t.Stop()
	<-t.C
}

var boot, _ = procfs.Default().BootID()

func instant() v1alpha1.Instant {
	i := v1alpha1.Instant{BootID: boot}
	i.Boot.Duration = procfs.SinceBoot()
	i.Wall.Time = time.Now()
	return i
}

// world is a keeper's folder, and the keeper that works in it.
type world struct {
	t   testing.TB
	dir string
	k   *Keeper
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.k = New(w.options())
	t.Cleanup(func() {
		w.k.Close()
		w.clear()
	})
	return w
}

// apart moves processes out of the service that the tests run in, where they do and systemd is there for real; nil elsewhere.
var apart func(ctx context.Context, unit, description string, pids []int) error

func (w *world) options() Options {
	return Options{Dir: w.dir, Clock: instant, OutputSize: 64 << 10, OutputFiles: 3, Apart: apart}
}

// clear ends every process that bears this folder's mark: all that this world has made.
func (w *world) clear() {
	for _, id := range w.marked() {
		w.signal(id, syscall.SIGKILL)
		runtimetest.Eventually(w.t, "a process of the test is gone", func() bool {
			alive, err := procfs.Default().Alive(id)
			return err == nil && !alive
		})
	}
}

func (w *world) marked() []procfs.Identity {
	fs := procfs.Default()
	all, err := fs.Processes()
	if err != nil {
		w.t.Fatal(err)
	}
	var found []procfs.Identity
	for _, p := range all {
		if env, err := fs.Environ(p.Identity, varHome); p.Alive() && err == nil && env[varHome] == w.dir && p.PID != os.Getpid() {
			found = append(found, p.Identity)
		}
	}
	return found
}

func (w *world) signal(id procfs.Identity, sig syscall.Signal) {
	if alive, _ := procfs.Default().Alive(id); alive {
		_ = syscall.Kill(id.PID, sig)
	}
}

// again is the keeper after a kill and a new start of evenkeel.
func (w *world) again() {
	w.k.Close()
	w.k = New(w.options())
}

// app is an App whose program is this test's own, in one of its parts.
func (w *world) app(name, part string, env ...string) *v1alpha1.App {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	a := v1alpha1.NewApp()
	a.Name, a.Spec.Directory = name, w.dir
	a.Spec.Runtime.Exec = &v1alpha1.ExecRuntime{Command: []string{self}, Env: map[string]string{actAs: part}}
	for n := 0; n+1 < len(env); n += 2 {
		a.Spec.Runtime.Exec.Env[env[n]] = env[n+1]
	}
	a.Status.Phase = v1alpha1.PhaseHealthy
	return a
}

func (w *world) row(app *v1alpha1.App) runtime.Process {
	w.t.Helper()
	s, err := w.k.Look(context.Background(), app)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Processes[0]
}

func (w *world) running(app *v1alpha1.App, not ...procfs.Identity) runtime.Process {
	w.t.Helper()
	var row runtime.Process
	runtimetest.Eventually(w.t, app.Name+" runs", func() bool {
		row = w.row(app)
		for _, id := range not {
			if row.Identity == id {
				return false
			}
		}
		return row.State == runtime.Running
	})
	return row
}

func (w *world) exits(app *v1alpha1.App) []runtime.Exit {
	w.t.Helper()
	h, err := w.k.Exits(context.Background(), app, time.Time{})
	if err != nil {
		w.t.Fatal(err)
	}
	return h.Exits
}
