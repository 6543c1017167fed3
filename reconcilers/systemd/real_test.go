//go:build linux && vps

package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
)

func unitOf(app *v1alpha1.App) string { return app.Spec.Runtime.Systemd.Unit }

func TestAnOperatorsStopIsToldFromAnEnd(t *testing.T) {
	w := newWorld(t)
	app := w.special("web", "web")
	w.want(app)
	w.start(app)
	w.ctl("stop", unitOf(app))
	w.until(app, runtime.Stopped)
	stop := w.history(app).LastStop
	if stop == nil || !stop.Standing || stop.Cause != runtime.CauseOrder || time.Since(stop.At).Abs() > time.Minute {
		t.Errorf("after a stop by hand: %+v", stop)
	}
	w.m.Close()
	w.m = New() // evenkeel was not there when it happened
	if stop := w.history(app).LastStop; stop == nil || !stop.Standing {
		t.Errorf("for who comes later: %+v", stop)
	}
	w.start(app)
	if stop := w.history(app).LastStop; stop != nil && stop.Standing {
		t.Errorf("after a start: %+v", stop)
	}
	w.ctl("restart", unitOf(app))
	w.until(app, runtime.Running)
	if h := w.history(app); h.Unplanned() != 0 {
		t.Errorf("a restart by hand is no crash: %+v", h)
	}
}

// What no other unit wants is forgotten by systemd when it is down. Who was there remembers.
func TestWhatSystemdForgetsIsRemembered(t *testing.T) {
	w := newWorld(t)
	app := w.app("web", "web")
	before := w.start(app)
	w.ctl("stop", unitOf(app))
	w.until(app, runtime.Stopped)
	if h := w.history(app); h.LastStop == nil || !h.LastStop.Standing || len(h.Exits) != 1 || h.Unplanned() != 0 {
		t.Errorf("%+v", h)
	}
	if row := w.start(app); row.Identity == before.Identity || row.Mark == before.Mark {
		t.Errorf("%+v became %+v", before, row)
	}
	if stop := w.history(app).LastStop; stop == nil || stop.Standing {
		t.Errorf("after a start: %+v", stop)
	}
}

func TestAStopCallsOffTheRestartAndIsSeen(t *testing.T) {
	w := newWorld(t)
	app := w.special("failing", "fails", "RestartSec=300")
	if _, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); err != nil {
		t.Fatal(err)
	}
	row := w.until(app, runtime.Waiting)
	if row.RestartDelay != 300*time.Second || !row.Autorestart || row.Alive() {
		t.Errorf("while systemd waits: %+v", row)
	}
	h := w.history(app)
	if h.Unplanned() != 1 || h.Exits[0].Code != 3 || h.LastStop != nil {
		t.Errorf("history: %+v", h)
	}
	w.ctl("stop", unitOf(app))
	if row := w.until(app, runtime.Stopped); row.ExitCode == nil || *row.ExitCode != 3 {
		t.Errorf("exit code: %+v", row)
	}
	if stop := w.history(app).LastStop; stop == nil || !stop.Standing {
		t.Errorf("a stop in systemd's wait was not seen: %+v", stop)
	}
}

func TestWhoEndsByHimselfWasNotStopped(t *testing.T) {
	w := newWorld(t)
	for _, part := range []string{"fails", "ends"} {
		app := w.special(part, part, "Restart=no")
		if _, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); err != nil {
			t.Fatal(err)
		}
		row := w.until(app, runtime.Stopped)
		if h := w.history(app); h.LastStop != nil || h.Unplanned() != 1 {
			t.Errorf("%s: %+v, %+v", part, h, row)
		}
	}
}

func TestWhatSystemdHasGivenUpOnIsStartedAnew(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.dir, "environment")
	if err := os.WriteFile(file, []byte(part+"=fails\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	app := w.special("limited", "web", "EnvironmentFile="+file, "RestartSec=1ms", "[Unit]", "StartLimitBurst=2", "StartLimitIntervalSec=600")
	_, _ = w.m.Start(t.Context(), app, v1alpha1.Instant{}) // it may be given up on meanwhile
	row := w.until(app, runtime.Errored)
	if !strings.Contains(row.Message, "given up") || w.history(app).GaveUpAt.IsZero() {
		t.Errorf("given up: %+v, %+v", row, w.history(app))
	}
	if h := w.history(app); h.LastStop != nil {
		t.Errorf("nobody has stopped it: %+v", h.LastStop)
	}
	if r, err := w.m.Stop(t.Context(), app, time.Second); err != nil || !r.Already {
		t.Errorf("stop: %+v, %v", r, err)
	}
	if err := os.WriteFile(file, []byte(part+"=web\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := w.m.Start(t.Context(), app, v1alpha1.Instant{})
	if err != nil || !strings.Contains(r.Message, "reset") {
		t.Errorf("start: %+v, %v", r, err)
	}
	w.until(app, runtime.Running)
}

func TestAUnitThatCannotBeUsedIsNamed(t *testing.T) {
	w := newWorld(t)
	missing, masked, broken := w.of("missing", "ek-nowhere.service"), w.special("masked", "web"), w.special("broken", "web", "Type=nonsense", "ExecStart=relative", "ExecStart=", "ExecStart=")
	if err := os.Remove(filepath.Join(w.where, unitOf(masked))); err != nil {
		t.Fatal(err)
	}
	w.ctl("mask", "--runtime", unitOf(masked))
	for app, want := range map[*v1alpha1.App]string{missing: "there is no unit", masked: "masked", broken: "cannot be used"} {
		row := w.look(app)
		if row.State != runtime.Missing || !strings.Contains(row.Message, want) {
			t.Errorf("%s: %+v", app.Name, row)
		}
		if _, err := w.m.Stop(t.Context(), app, time.Second); !errors.Is(err, runtime.ErrNotListed) {
			t.Errorf("%s: stop: %v", app.Name, err)
		}
		if _, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); !errors.Is(err, runtime.ErrNotListed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: start: %v", app.Name, err)
		}
	}
	w.ctl("unmask", "--runtime", unitOf(masked))
}

func TestAServiceThatTakesItsTimeToBeReady(t *testing.T) {
	w := newWorld(t)
	gate := filepath.Join(w.dir, "gate")
	app := w.special("slow", "slow", "Type=notify", "TimeoutStartSec=120", "Environment=EK_GATE="+gate)
	r, err := w.m.Start(t.Context(), app, v1alpha1.Instant{})
	if err != nil || r.Took > 20*time.Second {
		t.Errorf("start: %+v, %v", r, err)
	}
	row := w.look(app)
	if row.State != runtime.Starting || row.ReadyTimeout != 120*time.Second || !row.Alive() {
		t.Errorf("%+v", row)
	}
	if r, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); err != nil || r.How != runtime.AlreadyRunning {
		t.Errorf("a second start: %+v, %v", r, err)
	}
	w.ctl("stop", unitOf(app)) // before it was ever up
	w.until(app, runtime.Stopped)
	if stop := w.history(app).LastStop; stop == nil || !stop.Standing {
		t.Errorf("a stop while it came up was not seen: %+v", stop)
	}
	if err := os.WriteFile(gate, []byte("open"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.start(app)
}

func TestAChildThatOutlivesTheUnitIsKnown(t *testing.T) {
	w := newWorld(t)
	app := w.special("mother", "mother", "KillMode=process")
	row := w.start(app)
	said := func() string {
		text, _ := os.ReadFile(w.output(unitOf(app)))
		return string(text)
	}
	known := func() bool {
		row = w.look(app)
		return len(row.Members) == 1 && strings.Contains(said(), fmt.Sprintf("child %d\n", row.Members[0].PID))
	}
	runtimetest.Eventually(t, "its child is a member", known)
	child := row.Members[0]
	if _, err := w.m.Stop(t.Context(), app, patience); err != nil {
		t.Fatal(err)
	}
	if !alive(child) {
		t.Fatal("the unit lets it live, and it is dead")
	}
	t.Cleanup(func() { send(child, unix.SIGKILL) })
	s, err := w.m.Look(t.Context(), app)
	if err != nil || !s.Daemon.Badge.On(procfs.Default(), child, []string{row.Mark}) {
		t.Errorf("it is not proved to be the application's: %+v, %v", s.Daemon, err)
	}
	before := row
	w.start(app)
	runtimetest.Eventually(t, "the next life has a child of its own", known)
	if row.Members[0] == child || row.Mark == before.Mark {
		t.Errorf("one of an earlier life counts as this one's: %+v", row)
	}
}

func TestTheOutputsFileIsKnownAfterDeath(t *testing.T) {
	w := newWorld(t)
	app := w.special("web", "web")
	if row := w.start(app); row.OutLog != w.output(unitOf(app)) || row.Config != filepath.Join(w.where, unitOf(app)) {
		t.Errorf("%+v", row)
	}
	if _, err := w.m.Stop(t.Context(), app, patience); err != nil {
		t.Fatal(err)
	}
	if row := w.look(app); row.OutLog != w.output(unitOf(app)) {
		t.Errorf("when it is stopped: %+v", row)
	}
}

func TestSystemdIsAskedAgainWhenItBeginsAnew(t *testing.T) {
	w := newWorld(t)
	app := w.app("web", "web")
	before := w.start(app)
	w.ctl("daemon-reexec")
	if row := w.until(app, runtime.Running); row.Identity != before.Identity {
		t.Errorf("%+v became %+v", before, row)
	}
	send(before.Identity, unix.SIGKILL)
	runtimetest.Eventually(t, "an end is noted over the new connection", func() bool { h := w.history(app); return h.Unplanned() == 1 })
}

func TestAnOrdinaryUserIsRefusedAndToldWhatHelps(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("root is refused nothing")
		return
	}
	w := newWorld(t)
	app := w.of("cron", "systemd-journald.service")
	w.made = nil
	app.Spec.Runtime.Systemd.User = false
	row := w.look(app)
	if row.State != runtime.Running || !row.Alive() {
		t.Fatalf("a unit of the system's is not seen: %+v", row)
	}
	began := time.Now()
	for what, err := range map[string]error{
		"stop":  func() error { _, err := w.m.Stop(t.Context(), app, 20*time.Second); return err }(),
		"start": func() error { _, err := w.m.Start(t.Context(), app, now()); return err }(),
	} {
		if !errors.Is(err, runtime.ErrPermission) || !runtime.CouldNotAsk(err) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, want := range []string{"deploy", "polkit", "/etc/polkit-1/rules.d/50-evenkeel.rules", "spec.runtime.systemd.user: true"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in: %v", what, want, err)
			}
		}
	}
	if again := w.look(app); again.Identity != row.Identity || time.Since(began) > 20*time.Second {
		t.Errorf("%+v became %+v, after %s", row, again, time.Since(began))
	}
}

// BenchmarkLook is what a look at a unit that runs costs.
func BenchmarkLook(b *testing.B) {
	m := New()
	defer m.Close()
	app := v1alpha1.NewApp()
	app.Spec.Runtime.Systemd = &v1alpha1.SystemdRuntime{Unit: "nginx.service"}
	for b.Loop() {
		if _, err := m.Look(context.Background(), app); err != nil {
			b.Fatal(err)
		}
	}
}
