//go:build linux

package keeper

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
)

func TestWhatIsKeptIsStartedByItself(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/nobody")
	t.Setenv("EVENKEEL_HOME", "/of/another")
	w := newWorld(t)
	app := w.app("web", "web", "SECRET", "known")
	w.k.Keep(app)
	row := w.running(app)
	p, err := procfs.Default().Process(row.PID)
	if err != nil || p.SID != p.PID || p.PGID != p.PID {
		t.Errorf("it leads no session and group of its own: %+v, %v", p, err)
	}
	if cwd, _ := procfs.Default().Cwd(row.Identity); cwd != w.dir {
		t.Errorf("it works in %s, want %s", cwd, w.dir)
	}
	want := fmt.Sprintf("PORT 3003 HOME %s SECRET known NOTIFY \n", w.dir)
	runtimetest.Eventually(t, "both of its outputs are in the file", func() bool {
		out, _ := os.ReadFile(w.k.Output("web"))
		return strings.Contains(string(out), fmt.Sprintf("hello from %d\n", row.PID)) && strings.Contains(string(out), want)
	})
	if row.Restarts != 0 || row.ErrLog != w.k.Output("web") {
		t.Errorf("row: %+v", row)
	}
	if record, _ := os.ReadFile(recordPath(w.dir, "web")); strings.Contains(string(record), "known\"") && strings.Contains(string(record), "SECRET") {
		t.Errorf("the record holds a secret: %s", record)
	}
}

func TestItIsFoundAgainAfterAKill(t *testing.T) {
	for name, harm := range map[string]func(*world){
		"as it was left":                func(*world) {},
		"without its record":            func(w *world) { _ = os.Remove(recordPath(w.dir, "web")) },
		"with a record that is nothing": func(w *world) { _ = os.WriteFile(recordPath(w.dir, "web"), []byte("{"), 0o600) },
		"killed between the fork and the record": func(w *world) {
			r, err := readRecord(w.dir, "web")
			if err != nil {
				w.t.Fatal(err)
			}
			r.Life.Process = procfs.Identity{}
			if err := writeRecord(w.dir, &r); err != nil {
				w.t.Fatal(err)
			}
		},
		"with the record of the life before": func(w *world) {
			r, err := readRecord(w.dir, "web")
			if err != nil {
				w.t.Fatal(err)
			}
			r.Life.ID, r.Life.Process = newLife(), procfs.Identity{PID: 1 << 22, StartTicks: 1}
			if err := writeRecord(w.dir, &r); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			app := w.app("web", "web")
			w.k.Keep(app)
			row := w.running(app)
			harm(w)
			w.again()
			if glance := w.row(app); glance.Identity != row.Identity || glance.State != runtime.Running {
				t.Errorf("one look, by somebody who keeps nothing: %+v", glance)
			}
			w.k.Keep(app)
			if again := w.running(app); again.Identity != row.Identity {
				t.Errorf("found %s, want %s", again.Identity, row.Identity)
			}
			if all := w.marked(); len(all) != 1 {
				t.Errorf("%d processes, want 1: %v", len(all), all)
			}
			w.signal(row.Identity, syscall.SIGKILL) // it is no child of the new keeper's making
			next := w.running(app, row.Identity)
			if all := w.marked(); len(all) != 1 || all[0] != next.Identity {
				t.Errorf("after its crash: %v, want %s alone", all, next.Identity)
			}
		})
	}
}

func TestAnIntentOfAMomentAgoIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	app := w.app("web", "web")
	now := instant()
	r := record{Version: recordVersion, App: "web", Known: true, Starts: 1}
	r.Life = &birth{ID: newLife(), BootID: now.BootID, At: now.Wall.Time, Boot: now.Boot.Duration}
	if err := writeRecord(w.dir, &r); err != nil {
		t.Fatal(err)
	}
	w.k.Keep(app)
	// Its process comes late: made by the evenkeel that was killed, it was still a copy of it.
	p, id, err := w.k.spawn(app, r.Life.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.signal(id, syscall.SIGKILL)
		_, _ = p.Wait()
	})
	if row := w.running(app); row.Identity != id {
		t.Errorf("%s runs, want %s", row.Identity, id)
	}
	if all := w.marked(); len(all) != 1 {
		t.Errorf("%d processes: %v", len(all), all)
	}
}

func TestAProgramMayWriteOverItsEnvironment(t *testing.T) {
	w := newWorld(t)
	app := w.app("web", "wiped")
	w.k.Keep(app)
	row := w.running(app)
	t.Cleanup(func() { // the keeper first, which would bring it back; and no mark tells what it was
		w.k.Close()
		w.signal(row.Identity, syscall.SIGKILL)
	})
	runtimetest.Eventually(t, "it has done so", func() bool {
		out, _ := os.ReadFile(w.k.Output("web"))
		return strings.Contains(string(out), "wiped")
	})
	if env, err := procfs.Default().Environ(row.Identity, varHome); err != nil || len(env) != 0 {
		t.Fatalf("its environment still says %v, %v", env, err)
	}
	w.again()
	w.k.Keep(app)
	if again := w.running(app); again.Identity != row.Identity {
		t.Errorf("found %s, want %s", again.Identity, row.Identity)
	}
}

func TestADeathWhileNobodyWatchedIsMendedAndNoted(t *testing.T) {
	w := newWorld(t)
	app := w.app("web", "web")
	w.k.Keep(app)
	row := w.running(app)
	w.k.Close()
	w.clear()
	w.again()
	w.k.Keep(app)
	w.running(app, row.Identity)
	if exits := w.exits(app); len(exits) != 1 || exits[0].Cause != runtime.CauseCrash || exits[0].Code != -1 {
		t.Errorf("exits: %+v", exits)
	}
}

func TestNothingIsBroughtBackWhileItMustNotBe(t *testing.T) {
	end := metav1.NewTime(time.Now().Add(time.Hour))
	for name, forbid := range map[string]func(*v1alpha1.App){
		"paused":          func(a *v1alpha1.App) { a.Spec.Paused = true },
		"only observed":   func(a *v1alpha1.App) { a.Spec.Mode = v1alpha1.ModeObserve },
		"paused until":    func(a *v1alpha1.App) { a.Spec.Paused, a.Spec.PausedUntil = true, &end },
		"failed":          func(a *v1alpha1.App) { a.Status.Phase = v1alpha1.PhaseFailed },
		"being recovered": func(a *v1alpha1.App) { a.Status.Recovery = &v1alpha1.Recovery{ID: "1"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			app := w.app("web", "web")
			w.k.Keep(app)
			row := w.running(app)
			forbidden := app.DeepCopy()
			forbid(forbidden)
			w.k.Keep(forbidden)
			w.row(app) // whoever asks finds that taken up
			w.signal(row.Identity, syscall.SIGKILL)
			runtimetest.Eventually(t, "it is said to be stopped", func() bool { return w.row(app).State == runtime.Stopped })
			if m := w.row(app).Message; !strings.Contains(m, "not started again") {
				t.Errorf("message: %q", m)
			}
			if all := w.marked(); len(all) != 0 {
				t.Errorf("processes: %v", all)
			}
			w.k.Keep(app)
			w.running(app, row.Identity)
		})
	}
}

func TestItWaitsLongerAndLonger(t *testing.T) {
	w := newWorld(t)
	app := w.app("web", "die", "CODE", "7")
	w.k.Keep(app)
	runtimetest.Eventually(t, "it waits", func() bool { r := w.row(app); return r.State == runtime.Waiting && r.BackoffNow >= firstWait })
	row := w.row(app)
	if row.ExitCode == nil || *row.ExitCode != 7 || row.Restarts < 1 {
		t.Errorf("row: %+v", row)
	}
	if r, err := w.k.Stop(context.Background(), app, time.Second); err != nil {
		t.Errorf("stop: %+v, %v", r, err)
	}
	if state := w.row(app).State; state != runtime.Stopped {
		t.Errorf("after the stop: %s", state)
	}
}

func TestAProgramThatIsNotThereIsSaid(t *testing.T) {
	w := newWorld(t)
	app := w.app("web", "web")
	app.Spec.Runtime.Exec.Command = []string{"no-such-program"}
	_, err := w.k.Start(context.Background(), app, v1alpha1.Instant{})
	if err == nil || !strings.Contains(err.Error(), "there is no program no-such-program in ") {
		t.Fatalf("start: %v", err)
	}
	w.k.Keep(app)
	if row := w.row(app); row.State != runtime.Waiting || !strings.Contains(row.Message, "no-such-program") {
		t.Errorf("row: %+v", row)
	}
	good := w.app("web", "web")
	if _, err := w.k.Start(context.Background(), good, v1alpha1.Instant{}); err != nil {
		t.Fatal(err)
	}
	if row := w.running(good); row.Message != "" {
		t.Errorf("it still says %q", row.Message)
	}
}

func TestItGoesOnWhereNothingCanBeWritten(t *testing.T) {
	w := newWorld(t)
	w.k.dir = w.dir + "/gone" // as a file system that is read-only, for a user who is root too
	app := w.app("web", "web")
	w.k.Keep(app)
	row := w.running(app)
	t.Cleanup(func() { w.signal(row.Identity, syscall.SIGKILL) })
	w.signal(row.Identity, syscall.SIGKILL)
	next := w.running(app, row.Identity)
	t.Cleanup(func() { w.signal(next.Identity, syscall.SIGKILL) })
}

func TestOutputIsBounded(t *testing.T) {
	w := newWorld(t)
	app := w.app("web", "torrent")
	w.k.Keep(app)
	row := w.running(app)
	runtimetest.Eventually(t, "it was rotated twice", func() bool {
		_, err := os.Stat(w.k.Output("web") + ".2")
		return err == nil
	})
	if again := w.running(app); again.Identity != row.Identity {
		t.Errorf("the writer noticed: %s became %s", row.Identity, again.Identity)
	}
	first, err := os.ReadFile(w.k.Output("web") + ".1")
	if err != nil || len(first) > 2*64<<10+1000 {
		t.Errorf("the copy has %d bytes, %v", len(first), err)
	}
	if strings.ContainsRune(string(first), 0) {
		t.Error("the copy has a hole")
	}
	if _, err := os.Stat(w.k.Output("web") + ".3"); err == nil {
		t.Error("there are more files than wanted")
	}
}

func TestReleasedItLivesOnUnkept(t *testing.T) {
	w := newWorld(t)
	app := w.app("web", "web")
	w.k.Keep(app)
	row := w.running(app)
	w.k.Release("web")
	if again := w.row(app); again.Identity != row.Identity || again.State != runtime.Running {
		t.Errorf("released: %+v", again)
	}
	w.signal(row.Identity, syscall.SIGKILL)
	runtimetest.Eventually(t, "it stays away", func() bool { return w.row(app).State == runtime.Stopped })
	if all := w.marked(); len(all) != 0 {
		t.Errorf("processes: %v", all)
	}
}

func TestShutdownEndsAllAndTheNextBringsThemBack(t *testing.T) {
	w := newWorld(t)
	web, stubborn := w.app("web", "web"), w.app("stubborn", "stubborn")
	stubborn.Spec.Recovery.StopTimeout.Duration = 50 * time.Millisecond
	w.k.Keep(web)
	w.k.Keep(stubborn)
	first, _ := w.running(web), w.running(stubborn)
	if err := w.k.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if all := w.marked(); len(all) != 0 {
		t.Fatalf("left: %v", all)
	}
	w.again()
	w.k.Keep(web)
	w.running(web, first.Identity)
	if exits := w.exits(web); len(exits) != 1 || !exits[0].Cause.Planned() {
		t.Errorf("exits: %+v", exits)
	}
}
