package checks

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	yes   = metav1.ConditionTrue
	no    = metav1.ConditionFalse
	maybe = metav1.ConditionUnknown
)

const pm2Home = "/home/site/.pm2"

// proc is one process of a made-up machine. Its start time is its pid.
type proc struct {
	pid, parent int
	comm        string
	args        []string
	env         []string
	cwd         string
	state       string   // S if empty
	sockets     []uint64 // inodes
}

func (p proc) identity() procfs.Identity {
	return procfs.Identity{PID: p.pid, StartTicks: uint64(p.pid)}
}

// marked is the environment that PM2 gives to the processes of a row.
func marked(mark string) []string { return []string{"PM2_HOME=" + pm2Home, "unique_id=" + mark} }

// machine is the proc file system of a made-up machine.
func machine(t testing.TB, list ...proc) procfs.FS {
	t.Helper()
	dir := t.TempDir()
	for _, p := range list {
		at := filepath.Join(dir, strconv.Itoa(p.pid))
		state := p.state
		if state == "" {
			state = "S"
		}
		write(t, filepath.Join(at, "stat"), fmt.Sprintf("%d (%s) %s %d %d %d 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 1000000 100\n",
			p.pid, p.comm, state, p.parent, p.pid, p.pid, p.pid))
		write(t, filepath.Join(at, "cmdline"), strings.Join(p.args, "\x00")+"\x00")
		write(t, filepath.Join(at, "environ"), strings.Join(p.env, "\x00")+"\x00")
		if p.cwd != "" {
			link(t, p.cwd, filepath.Join(at, "cwd"))
		}
		if err := os.MkdirAll(filepath.Join(at, "fd"), 0o700); err != nil {
			t.Fatal(err)
		}
		for n, inode := range p.sockets {
			link(t, fmt.Sprintf("socket:[%d]", inode), filepath.Join(at, "fd", strconv.Itoa(n)))
		}
	}
	return procfs.New(dir)
}

func link(t testing.TB, to, from string) {
	t.Helper()
	if err := os.Symlink(to, from); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fakeRuntime answers with what a test says and takes no orders.
type fakeRuntime struct {
	runtime.Runtime
	snapshot runtime.Snapshot
	err      error
	history  runtime.History
}

func (r *fakeRuntime) Look(context.Context, *v1alpha1.App) (runtime.Snapshot, error) {
	return r.snapshot, r.err
}

func (r *fakeRuntime) Exits(context.Context, *v1alpha1.App, time.Time) (runtime.History, error) {
	return r.history, nil
}

// row is a row of PM2's list with a living process behind it, or with none.
func row(name, mark string, p proc) runtime.Process {
	r := runtime.Process{Name: name, ID: "0", State: runtime.Stopped, Raw: "stopped", Mark: mark}
	if p.pid != 0 {
		r.State, r.Raw, r.PID, r.Identity = runtime.Running, "online", p.pid, p.identity()
	}
	return r
}

// site is an App that PM2 runs under this name.
func site(name string) *v1alpha1.App {
	app := v1alpha1.NewApp()
	app.Name = "site"
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: name}
	return app
}

// listenersAt are sockets that listen at these addresses.
func listenersAt(addrs ...string) (list []listeners.Listener) {
	for _, a := range addrs {
		list = append(list, listeners.Listener{Addr: netip.MustParseAddrPort(a)})
	}
	return list
}
