//go:build linux

package pm2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func itoa(n int) string { return strconv.Itoa(n) }

// fake listens where PM2's daemon would and lets answer say what is sent back for a method. It hangs without.
func fake(t *testing.T, home string, answer func(method string) []byte) {
	t.Helper()
	l, err := net.Listen("unix", socketPath(home))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var conns []net.Conn
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
			if answer != nil {
				go serve(c, answer)
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		for _, c := range conns {
			_ = c.Close()
		}
	})
}

func serve(c net.Conn, answer func(string) []byte) {
	for {
		var f frame
		if f.read(c, maxFrame) != nil || f.n != 2 {
			return
		}
		var q call
		if json.Unmarshal(f.arg(0)[2:], &q) != nil {
			return
		}
		out := answer(q.Method)
		if out == nil {
			_ = c.Close()
			return
		}
		if out[0] == '{' {
			out = appendFrame(nil, append([]byte("j:"), out...), f.arg(1))
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

func fakeWorld(t *testing.T, command string, answer func(string) []byte) (*Manager, *v1alpha1.App) {
	t.Helper()
	home, err := os.MkdirTemp("", "ek-pm2-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	script := filepath.Join(home, "pm2")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"+command), 0o755); err != nil {
		t.Fatal(err)
	}
	m := New()
	app := &v1alpha1.App{}
	app.Spec.Directory = home
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "web", Home: home, Command: []string{script}}
	fake(t, home, answer)
	t.Cleanup(m.Close)
	return m, app
}

// list answers as PM2 does.
func list(rows string) func(string) []byte {
	return func(method string) []byte {
		if method == "getVersion" {
			return []byte(`{"args":["7.0.4"]}`)
		}
		return []byte(`{"args":[` + rows + `]}`)
	}
}

func TestWhatPM2SaysIsAskedOfTheKernel(t *testing.T) {
	child := exec.Command("sleep", "600")
	zombie := exec.Command("true")
	for _, c := range []*exec.Cmd{child, zombie} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Wait()
	}
	defer child.Process.Kill()
	eventually(t, "the child is a zombie", func() bool {
		p, err := procfs.Default().Process(zombie.Process.Pid)
		return err == nil && !p.Alive()
	})
	dead := 1 << 22 // pids end below
	for name, c := range map[string]struct {
		status string
		pid    int
		more   string
		want   runtime.State
		lying  bool
		alive  bool
	}{
		"online and alive":                  {"online", child.Process.Pid, "", runtime.Running, false, true},
		"online and dead":                   {"online", dead, "", runtime.Stopped, true, false},
		"online and a zombie":               {"online", zombie.Process.Pid, "", runtime.Stopped, true, false},
		"online and a stranger's pid":       {"online", 1, "", runtime.Stopped, true, false},
		"online without a pid":              {"online", 0, "", runtime.Stopped, true, false},
		"launching":                         {"launching", child.Process.Pid, "", runtime.Starting, false, true},
		"launching and dead":                {"launching", dead, "", runtime.Stopped, true, false},
		"one-launch-status":                 {"one-launch-status", child.Process.Pid, "", runtime.Starting, false, true},
		"stopping":                          {"stopping", child.Process.Pid, "", runtime.Stopping, false, true},
		"stopping and dead":                 {"stopping", dead, "", runtime.Stopping, false, false},
		"stopped":                           {"stopped", 0, "", runtime.Stopped, false, false},
		"stopped on its way back":           {"stopped", dead, "", runtime.Waiting, false, false},
		"errored":                           {"errored", 0, "", runtime.Errored, false, false},
		"errored, PM2 could not kill it":    {"errored", child.Process.Pid, "", runtime.Errored, true, true},
		"waiting restart":                   {"waiting restart", dead, "", runtime.Waiting, false, false},
		"waiting restart, pid given away":   {"waiting restart", child.Process.Pid, "", runtime.Waiting, false, false},
		"waiting restart, given up":         {"waiting restart", 0, `,"created_at":null`, runtime.Errored, false, false},
		"waiting restart, autorestart off":  {"waiting restart", 0, `,"created_at":5`, runtime.Stopped, false, false},
		"a word of the future":              {"dreaming", child.Process.Pid, "", runtime.Unknown, false, true},
		"a variable named like a field":     {"online", child.Process.Pid, `,"STATUS":"stopped","Status":"errored"`, runtime.Running, false, true},
		"types that nobody foresaw":         {"online", child.Process.Pid, `,"restart_time":{},"watch":["a"],"args":7,"autorestart":"false","kill_timeout":"8000","pm_uptime":true,"exit_code":"x"`, runtime.Running, false, true},
		"a number too large for everything": {"online", child.Process.Pid, `,"restart_time":1e300,"pm_uptime":-1`, runtime.Running, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			m, app := fakeWorld(t, "exit 9", list(fmt.Sprintf(
				`[{"pid":%d,"name":"web","pm_id":0,"pm2_env":{"status":%q%s}},{"pid":1,"name":"other","pm_id":1,"pm2_env":{"status":"stopped"}}]`,
				c.pid, c.status, c.more)))
			s, err := m.Look(t.Context(), app)
			if err != nil || len(s.Processes) != 1 || len(s.Others) != 1 {
				t.Fatalf("look: %+v, %v", s, err)
			}
			p := s.Processes[0]
			if p.State != c.want || p.Lying != c.lying || p.Alive() != c.alive || p.Raw != c.status || c.lying && p.Message == "" {
				t.Errorf("state %s, lying %v, alive %v, %q", p.State, p.Lying, p.Alive(), p.Message)
			}
			if strings.Contains(c.more, "8000") && (p.StopTimeout != 8*time.Second || p.Autorestart) {
				t.Errorf("row %+v", p)
			}
		})
	}
}

// PM2 would send its signals to whoever has the number now.
func TestNoOrderForARowWhosePidWasGivenAway(t *testing.T) {
	var orders atomic.Int32
	m, app := fakeWorld(t, "exit 9", func(method string) []byte {
		if strings.HasSuffix(method, "ProcessId") {
			orders.Add(1)
		}
		return list(`[{"pid":1,"name":"web","pm_id":0,"pm2_env":{"status":"waiting restart"}}]`)(method)
	})
	if _, err := m.Stop(t.Context(), app, 200*time.Millisecond); !errors.Is(err, runtime.ErrBusy) {
		t.Errorf("stop: %v", err)
	}
	if n := orders.Load(); n != 0 {
		t.Errorf("%d orders were given", n)
	}
}

func TestTheCommandIsTheWayOut(t *testing.T) {
	noise := `printf '\033[31m\033[1m>>>> In-memory PM2 is out-of-date, do:\033[22m\n[]x\n'; echo '[{"pid":0,"name":"web","pm_id":3,"pm2_env":{"status":"stopped"}}]'`
	huge := appendFrame(nil, []byte("j:{}"))
	huge[1] = 0xff
	for name, answer := range map[string]func(string) []byte{
		"no frame at all":          func(string) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") },
		"a frame without an end":   func(string) []byte { return huge },
		"another version of it":    func(string) []byte { return []byte{0x22, 0, 0, 0, 0} },
		"a method it lost":         func(string) []byte { return []byte(`{"error":"method \"getMonitorData\" does not exist"}`) },
		"JSON of another shape":    list(`{"rows":[]}`),
		"rows without their names": list(`[{"pid":5,"pm2_env":{}}]`),
		"no JSON":                  func(string) []byte { return []byte(`{"args":[`) },
		"an answer to another":     func(string) []byte { return appendFrame(nil, []byte(`j:{"args":[[]]}`), []byte("s:0")) },
	} {
		t.Run(name, func(t *testing.T) {
			m, app := fakeWorld(t, noise, answer)
			s, err := m.Look(t.Context(), app)
			if err != nil || s.Via != "command" || len(s.Processes) != 1 || s.Processes[0].ID != "3" || s.State() != runtime.Stopped {
				t.Errorf("look: %+v, %v", s, err)
			}
		})
	}
	t.Run("neither is understood", func(t *testing.T) {
		m, app := fakeWorld(t, "echo nothing of use", list(`7`))
		s, err := m.Look(t.Context(), app)
		if !errors.Is(err, runtime.ErrNotUnderstood) || !runtime.CouldNotAsk(err) || !s.Daemon.Reachable {
			t.Errorf("look: %+v, %v", s.Daemon, err)
		}
	})
	t.Run("it closes on us", func(t *testing.T) {
		m, app := fakeWorld(t, noise, func(string) []byte { return nil })
		if _, err := m.Look(t.Context(), app); !errors.Is(err, runtime.ErrNoDaemon) {
			t.Errorf("look: %v", err)
		}
	})
}

func TestNoErrorQuotesAnAnswer(t *testing.T) {
	for _, answer := range []string{
		`{"args":[[{"pid":1,"pm2_env":{"DATABASE_URL":"postgres://u:hunter2@h/d"}}]]}`,
		`{"args":[[{"pid":1,"pm2_env":{"DATABASE_URL":"postgres://u:hunter2@h/d"`,
		`{"args":"hunter2"}`,
	} {
		m, app := fakeWorld(t, "echo '"+answer+"'; echo hunter2", func(string) []byte { return []byte(answer) })
		s, err := m.Look(t.Context(), app)
		if err == nil || strings.Contains(err.Error()+s.Daemon.Why, "hunter2") {
			t.Errorf("look: %v", err)
		}
	}
}

func TestOrdersByCommandWhereTheProtocolIsAnother(t *testing.T) {
	var stopped atomic.Bool
	var file string // set before the first question
	m, app := fakeWorld(t, `echo "$@ $PM2_NODE_OPTIONS" >> "$(dirname "$0")/asked"`, func(method string) []byte {
		if strings.HasSuffix(method, "ProcessId") {
			return []byte(`{"error":"method \"` + method + `\" does not exist"}`)
		}
		b, _ := os.ReadFile(file)
		if stopped.Store(strings.Contains(string(b), "stop 3 --evenkeel")); stopped.Load() {
			return list(`[{"pid":0,"name":"web","pm_id":3,"pm2_env":{"status":"stopped"}}]`)(method)
		}
		return list(`[{"pid":0,"name":"web","pm_id":3,"pm2_env":{"status":"errored"}}]`)(method)
	})
	file = filepath.Join(app.Spec.Directory, "asked")
	if r, err := m.Stop(t.Context(), app, patience); err != nil || r.Already {
		t.Fatalf("stop: %+v, %v", r, err)
	}
	if r, err := m.Start(t.Context(), app, v1alpha1.Instant{}); err != nil || r.How != runtime.Restarted || r.IDs[0] != "3" {
		t.Fatalf("start: %+v, %v", r, err)
	}
	if b, _ := os.ReadFile(file); !strings.HasSuffix(string(b), "restart 3 --evenkeel-starts-no-pm2-daemon\n") {
		t.Errorf("it was asked %q", b)
	}
}

// The time of a start may run out in the middle of a question. It failed so once: the caller was told of a manager that
// does not answer, and not of the stop that it had waited for.
func TestAnOrderThatRunsOutOfTimeSaysWhatItWaitedFor(t *testing.T) {
	for name, order := range map[string]func(ctx context.Context, m *Manager, app *v1alpha1.App) error{
		"start": func(ctx context.Context, m *Manager, app *v1alpha1.App) error {
			_, err := m.Start(ctx, app, v1alpha1.Instant{})
			return err
		},
		"stop": func(ctx context.Context, m *Manager, app *v1alpha1.App) error {
			_, err := m.Stop(ctx, app, patience)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			stopping := list(`[{"pid":0,"name":"web","pm_id":3,"pm2_env":{"status":"stopping"}}]`)
			var looks atomic.Int32
			m, app := fakeWorld(t, "exit 1", func(method string) []byte {
				if method == "getMonitorData" && looks.Add(1) > 1 {
					cancel()
					<-ctx.Done()
				}
				return stopping(method)
			})
			if err := order(ctx, m, app); !errors.Is(err, runtime.ErrBusy) || !strings.Contains(err.Error(), `row 3 is "stopping"`) {
				t.Error(err)
			}
		})
	}
}

func TestTimeIsOverAMomentBeforeItsEnd(t *testing.T) {
	for left, want := range map[time.Duration]bool{-time.Second: true, time.Millisecond: true, time.Minute: false} {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		if got := over(ctx); got != want {
			t.Errorf("%s before its end: over is %v", left, got)
		}
		cancel()
	}
	if over(t.Context()) {
		t.Error("what has no end is over")
	}
}
