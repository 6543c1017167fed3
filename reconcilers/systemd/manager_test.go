//go:build linux

package systemd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// wire is a connection that says what it is told to.
type wire struct {
	mu     sync.Mutex
	says   map[string]any
	err    error // of every call
	lost   bool
	hangs  bool
	orders []verb
	resets int
	scopes []string
	ends   bool   // the manager is about to end
	result string // of the job that makes a scope; empty: it never ends
}

func (w *wire) answer(ctx context.Context) error {
	if w.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return godbus.ErrClosed
	}
	return w.err
}

func (w *wire) properties(ctx context.Context, _ string) (map[string]any, error) {
	err := w.answer(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.says, err
}
func (w *wire) watch(ctx context.Context, _ string) error { return w.answer(ctx) }
func (w *wire) order(ctx context.Context, v verb, _ string) (<-chan string, error) {
	if err := w.answer(ctx); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders = append(w.orders, v)
	done := make(chan string, 1)
	return done, nil
}
func (w *wire) resetFailed(ctx context.Context, _ string) error {
	w.mu.Lock()
	w.resets++
	w.mu.Unlock()
	return w.answer(ctx)
}
func (w *wire) processes(ctx context.Context, _ string) ([]int, error) { return nil, w.answer(ctx) }
func (w *wire) services(ctx context.Context) ([]string, error)         { return nil, w.answer(ctx) }
func (w *wire) mainPID(ctx context.Context, _ string) (int, error)     { return 0, w.answer(ctx) }
func (w *wire) stopping(ctx context.Context) (bool, error)             { return w.ends, w.answer(ctx) }
func (w *wire) scope(ctx context.Context, name, _ string, pids []int) (<-chan string, error) {
	if err := w.answer(ctx); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scopes = append(w.scopes, fmt.Sprint(name, pids))
	done := make(chan string, 1)
	if w.result != "" {
		done <- w.result
	}
	return done, nil
}
func (w *wire) peer() int       { return 1 }
func (w *wire) connected() bool { w.mu.Lock(); defer w.mu.Unlock(); return !w.lost }
func (w *wire) close()          {}

// over is a Manager whose connections are these, one after the other.
func over(t *testing.T, wires ...*wire) (*Manager, *v1alpha1.App) {
	t.Helper()
	m := New()
	m.self = "/system.slice/evenkeel.service"
	m.dial = func(context.Context, bool, func(string, map[string]any)) (bus, error) {
		if len(wires) == 0 {
			return nil, errors.New("nobody there")
		}
		w := wires[0]
		wires = wires[1:]
		return w, nil
	}
	app := v1alpha1.NewApp()
	app.Name = "web"
	app.Spec.Runtime.Systemd = &v1alpha1.SystemdRuntime{Unit: "web.service"}
	return m, app
}

func down(more map[string]any) map[string]any {
	m := said(map[string]any{"ActiveState": "inactive", "SubState": "dead"})
	for name, v := range more {
		m[name] = v
	}
	return m
}

func TestALostConnectionIsMadeAnew(t *testing.T) {
	first, second := &wire{says: down(nil)}, &wire{says: down(nil)}
	m, app := over(t, first, second)
	if _, err := m.Look(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	first.mu.Lock()
	first.lost = true
	first.mu.Unlock()
	if s, err := m.Look(t.Context(), app); err != nil || s.State() != runtime.Stopped {
		t.Errorf("%+v, %v", s, err)
	}
	second.lost = true
	if _, err := m.Look(t.Context(), app); !runtime.CouldNotAsk(err) || !strings.Contains(err.Error(), "nobody there") {
		t.Errorf("nobody can be reached: %v", err)
	}
}

func TestWhoDoesNotAnswerIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, app := over(t, &wire{hangs: true})
		began := time.Now()
		s, err := m.Look(t.Context(), app)
		if !errors.Is(err, runtime.ErrTimeout) || s.Daemon.Why == "" || time.Since(began) > callTimeout+time.Second {
			t.Errorf("%+v, %v, after %s", s.Daemon, err, time.Since(began))
		}
		began = time.Now()
		if r, err := m.Stop(t.Context(), app, time.Second); !errors.Is(err, runtime.ErrTimeout) || len(r.Alive) > 0 || time.Since(began) > 2*time.Second {
			t.Errorf("%+v, %v, after %s", r, err, time.Since(began))
		}
	})
}

func TestAStopThatSystemdDoesNotCarryOutEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{says: said(map[string]any{"ActiveState": "deactivating", "SubState": "stop-sigterm"})}
		m, app := over(t, w)
		if _, err := m.Stop(t.Context(), app, 3*time.Second); !errors.Is(err, runtime.ErrBusy) || !errors.Is(err, runtime.ErrTimeout) || len(w.orders) != 0 {
			t.Errorf("%v, orders %v", err, w.orders)
		}
		w.says = down(map[string]any{"ActiveState": "failed", "Result": "exit-code"})
		began := time.Now()
		if _, err := m.Start(t.Context(), app, v1alpha1.Instant{}); !errors.Is(err, runtime.ErrBusy) || time.Since(began) > startTimeout+time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if w.resets != 1 || len(w.orders) != 1 || w.orders[0] != verbRestart {
			t.Errorf("%d resets, orders %v", w.resets, w.orders)
		}
	})
}

func TestErrorsSayWhatHelps(t *testing.T) {
	refused := godbus.Error{Name: "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", Body: []any{"Interactive authentication required."}}
	for name, c := range map[string]struct {
		err  error
		kind error
		want string
	}{
		"polkit asks for a password": {refused, runtime.ErrPermission, "/etc/polkit-1/rules.d/50-evenkeel.rules"},
		"there is no polkit":         {godbus.Error{Name: "org.freedesktop.DBus.Error.AccessDenied"}, runtime.ErrPermission, "spec.runtime.systemd.user: true"},
		"it refuses":                 {godbus.Error{Name: "org.freedesktop.systemd1.TransactionIsDestructive"}, runtime.ErrRefused, "web.service"},
		"the bus gives up":           {godbus.Error{Name: "org.freedesktop.DBus.Error.NoReply"}, runtime.ErrTimeout, "web.service"},
	} {
		w := &wire{says: down(nil)}
		m, app := over(t, w)
		if _, err := m.Look(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		w.err = nil
		b := &refusing{wire: w, err: c.err}
		m.system.bus = b
		_, err := m.Start(t.Context(), app, v1alpha1.Instant{})
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || !runtime.CouldNotAsk(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// refusing answers questions, and refuses orders.
type refusing struct {
	*wire
	err error
}

func (r *refusing) order(context.Context, verb, string) (<-chan string, error) { return nil, r.err }

func TestWhoCannotBeReachedIsNoFailureOfTheApplication(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "left")
	l, err := net.Listen("unix", left)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	mute := filepath.Join(dir, "mute")
	if l, err = net.Listen("unix", mute); err != nil { // takes the call, and says nothing
		t.Fatal(err)
	}
	defer l.Close()
	for name, socket := range map[string]string{"none": filepath.Join(dir, "none"), "left over": left, "mute": mute} {
		for _, user := range []bool{false, true} {
			m, app := over(t)
			app.Spec.Runtime.Systemd.User = user
			m.dial = func(ctx context.Context, _ bool, heard func(string, map[string]any)) (bus, error) {
				return connect(ctx, socket, false, heard)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			_, err := m.Look(ctx, app)
			cancel()
			if !runtime.CouldNotAsk(err) || !strings.Contains(err.Error(), "cannot be reached") {
				t.Errorf("%s: %v", name, err)
			}
			if user && name != "mute" && !strings.Contains(fmt.Sprint(err), "loginctl enable-linger") {
				t.Errorf("%s, user's: %v", name, err)
			}
		}
	}
}

func TestEvenkeelsOwnUnitIsLeftAlone(t *testing.T) {
	m, app := over(t, &wire{says: down(nil)})
	m.self = "/system.slice/keeper-of-sites.service"
	app.Spec.Runtime.Systemd.Unit = "keeper-of-sites.service"
	_, look := m.Look(t.Context(), app)
	_, stop := m.Stop(t.Context(), app, time.Second)
	_, start := m.Start(t.Context(), app, v1alpha1.Instant{})
	_, exits := m.Exits(t.Context(), app, time.Time{})
	for _, err := range []error{look, stop, start, exits} {
		if !errors.Is(err, runtime.ErrRefused) || !strings.Contains(err.Error(), "evenkeel itself runs in keeper-of-sites.service") {
			t.Errorf("%v", err)
		}
	}
}

func TestAProcessThatSystemdHasNotMissedYet(t *testing.T) {
	self, err := procfs.Default().Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{says: said(map[string]any{"MainPID": uint32(os.Getpid())})}
	m, app := over(t, w)
	s, err := m.Look(t.Context(), app)
	if err != nil || s.State() != runtime.Running || s.Processes[0].Identity != self.Identity {
		t.Errorf("%+v, %v", s.Processes, err)
	}
	w.says = said(map[string]any{"MainPID": uint32(1<<22 + 1)}) // no kernel gives such a pid
	if s, err = m.Look(t.Context(), app); err != nil || s.State() != runtime.Stopped || !s.Processes[0].Lying {
		t.Errorf("%+v, %v", s.Processes, err)
	}
}

func TestAScopeIsMadeOrSaidWhyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			wire *wire
			want error
			text string
		}{
			"made":                         {&wire{result: "done"}, nil, ""},
			"about to end":                 {&wire{ends: true, result: "done"}, nil, "is about to end"},
			"its job failed":               {&wire{result: "failed"}, nil, `it ended with "failed"`},
			"may not":                      {&wire{err: godbus.Error{Name: "org.freedesktop.DBus.Error.AccessDenied"}}, runtime.ErrPermission, "make a.scope"},
			"does not answer":              {&wire{hangs: true}, runtime.ErrTimeout, "make a.scope"},
			"answers, and does not end it": {&wire{}, runtime.ErrTimeout, "make a.scope"},
		} {
			m, _ := over(t, c.wire)
			err := m.Apart(t.Context(), "a.scope", "a", []int{7, 8})
			if (err == nil) != (c.text == "") || c.want != nil && !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v", name, err)
			}
			if c.wire.ends && len(c.wire.scopes) > 0 {
				t.Errorf("%s: it was asked for %q", name, c.wire.scopes)
			}
			if len(c.wire.scopes) > 0 && c.wire.scopes[0] != "a.scope[7 8]" {
				t.Errorf("%s: %q", name, c.wire.scopes)
			}
		}
		m, _ := over(t)
		if err := m.Apart(t.Context(), "a.scope", "a", nil); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
			t.Errorf("nobody there: %v", err)
		}
	})
	for name, want := range map[string]bool{
		"org.freedesktop.DBus.Error.PropertyReadOnly": true, "org.freedesktop.DBus.Error.UnknownProperty": true, "org.freedesktop.DBus.Error.AccessDenied": false,
	} {
		if refused(godbus.Error{Name: name}) != want {
			t.Errorf("%s: a setting that is not known: %v", name, !want)
		}
	}
}
