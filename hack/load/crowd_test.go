//go:build load

package load

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/state"
)

// crowd is many Apps under one evenkeel.
type crowd struct {
	*testing.T
	dir, state string
	program    string
	names      []string // of all Apps
	failing    []string // the tenth that fails later
	healthy    []string
	running    *exec.Cmd
	deaf       *os.File // the end of standard error's pipe that nobody reads

	hanging atomic.Bool  // whether sinks hang
	hung    atomic.Int64 // how many requests of theirs were not answered
	ended   chan struct{}
}

func newCrowd(t *testing.T, apps int) *crowd {
	c := &crowd{T: t, dir: t.TempDir(), ended: make(chan struct{})}
	c.state, c.program = filepath.Join(c.dir, "state"), filepath.Join(c.dir, "evenkeel")
	for name, source := range map[string]string{"evenkeel": "../..", "site": "../alone/site"} {
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(c.dir, name), source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", name, err, out)
		}
	}
	sink := c.sink()
	var text bytes.Buffer
	for n, port := range ports(t, apps) {
		name := fmt.Sprintf("app-%03d", n)
		c.names = append(c.names, name)
		if n%10 == 5 {
			c.failing = append(c.failing, name)
		} else {
			c.healthy = append(c.healthy, name)
		}
		if err := os.MkdirAll(filepath.Join(c.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, `---
apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: %[1]s}
spec:
  directory: %[2]s/%[1]s
  runtime: {exec: {command: [%[2]s/site], env: {FAULT: %[2]s/%[1]s/fault}}}
  port: %[3]d
  interval: %[4]s
  confirmInterval: 500ms
  checks: {local: {timeout: 1s}}
  recovery: {cooldown: 1s, maxAttempts: 20, startupGrace: 3s, deadline: 3s, stopTimeout: 1s, caches: []}
  heartbeat: {url: "http://%[5]s/heartbeat", interval: 10s}
  alerts: [{webhook: "http://%[5]s/webhook"}, {exec: [/bin/sleep, "86400"]}]
`, name, c.dir, port, interval, sink)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "apps.yaml"), text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.clear)
	return c
}

// ports are free ones.
func ports(t *testing.T, n int) []int {
	t.Helper()
	var list []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		list = append(list, l.Addr().(*net.TCPAddr).Port)
	}
	return list
}

// sink takes heartbeats and alerts, until it hangs.
func (c *crowd) sink() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if c.hanging.Load() {
			c.hung.Add(1)
			select {
			case <-r.Context().Done():
			case <-c.ended:
			}
		}
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	c.Cleanup(func() {
		close(c.ended)
		_ = server.Close()
		<-served
	})
	return l.Addr().String()
}

// run starts evenkeel, and never reads what it says on standard error: its pipe is soon full.
func (c *crowd) run() {
	c.Helper()
	deaf, said, err := os.Pipe()
	if err != nil {
		c.Fatal(err)
	}
	defer said.Close()
	c.deaf = deaf
	c.running = exec.Command(c.program, "run", "-f", filepath.Join(c.dir, "apps.yaml"), "--state-dir", c.state,
		"--log-file", c.log(), "--log-format", "json", "--metrics", "unix:"+c.socket())
	c.running.Stdout, c.running.Stderr = said, said
	if err := c.running.Start(); err != nil {
		c.Fatal(err)
	}
}

func (c *crowd) log() string    { return filepath.Join(c.dir, "monitor.log") }
func (c *crowd) socket() string { return filepath.Join(c.dir, "metrics") }

// fail makes a tenth of the Apps fail, each in its way, and every sink hang.
func (c *crowd) fail() {
	c.Helper()
	c.hanging.Store(true)
	for n, name := range c.failing {
		how := [...]string{"crash", "hang", "error"}[n%3]
		if err := os.WriteFile(filepath.Join(c.dir, name, "fault"), []byte(how), 0o600); err != nil {
			c.Fatal(err)
		}
	}
}

func (c *crowd) clear() {
	if c.running != nil {
		if c.Failed() {
			said := make([]byte, 16<<10)
			n, _ := c.deaf.Read(said)
			c.Logf("evenkeel said at its start:\n%s", said[:n])
		}
		_ = c.running.Process.Kill()
		_ = c.running.Wait()
		c.deaf.Close()
	}
	for _, id := range c.marked() {
		_ = syscall.Kill(id.PID, syscall.SIGKILL)
	}
	for end := time.Now().Add(patience); len(c.marked()) > 0 && time.Now().Before(end); {
		rest := time.NewTimer(20 * time.Millisecond)
		<-rest.C
	}
}

// marked are the living processes of the Apps, by the mark that they bear; of several of one App, the first.
func (c *crowd) marked() map[string]procfs.Identity {
	fs := procfs.Default()
	all, err := fs.Processes()
	if err != nil {
		c.Fatal(err)
	}
	found := map[string]procfs.Identity{}
	for _, p := range all {
		env, err := fs.Environ(p.Identity, "EVENKEEL_HOME", "EVENKEEL_APP")
		if _, have := found[env["EVENKEEL_APP"]]; p.Alive() && err == nil && env["EVENKEEL_HOME"] == c.state && !have {
			found[env["EVENKEEL_APP"]] = p.Identity
		}
	}
	return found
}

// lives are the processes of some Apps; each has one.
func (c *crowd) lives(names []string) map[string]procfs.Identity {
	c.Helper()
	all, some := c.marked(), map[string]procfs.Identity{}
	for _, name := range names {
		if some[name] = all[name]; some[name].PID == 0 {
			c.Errorf("%s has no process", name)
		}
	}
	return some
}

func (c *crowd) until(what string, is func() bool) {
	c.Helper()
	rest := time.NewTicker(250 * time.Millisecond)
	defer rest.Stop()
	for end := time.Now().Add(patience); !is(); <-rest.C {
		if alive, err := procfs.Default().Process(c.running.Process.Pid); err != nil || !alive.Alive() {
			c.Fatal("evenkeel has ended")
		}
		if time.Now().After(end) {
			c.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// well tells whether the last pass of each held.
func (c *crowd) well(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		o, err := state.ReadLastPass(c.state, name)
		return err != nil || !o.Holds() || c.phase(name) != v1alpha1.PhaseHealthy
	})
}

// degraded tells whether evenkeel has seen that each of them fails.
func (c *crowd) degraded(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		st, err := state.ReadState(c.state, name)
		return err != nil || st == nil || st.LastIncident == 0
	})
}

func (c *crowd) phase(name string) v1alpha1.Phase {
	st, err := state.ReadState(c.state, name)
	if err != nil || st == nil {
		return ""
	}
	return st.Phase
}

func (c *crowd) recoveries(name string) int {
	c.Helper()
	journal, err := os.ReadFile(filepath.Join(c.state, name+".journal.jsonl"))
	if err != nil {
		c.Fatal(err)
	}
	return bytes.Count(journal, []byte(`"`+v1alpha1.ReasonRecoveryStarted+`"`))
}
