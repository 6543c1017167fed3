//go:build linux

package fake_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/fake"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
)

func now() v1alpha1.Instant {
	i := v1alpha1.Instant{BootID: "boot"}
	i.Boot.Duration = procfs.SinceBoot()
	i.Wall.Time = time.Now()
	return i
}

func named(name string) *v1alpha1.App {
	a := &v1alpha1.App{}
	a.Name = name
	return a
}

func TestTheFakeIsARuntime(t *testing.T) {
	runtimetest.Run(t, func(*testing.T) runtimetest.Subject {
		f := fake.New(now)
		f.Stubborn("stubborn")
		return runtimetest.Subject{
			Runtime: f, App: named("app"), Stubborn: named("stubborn"), Now: now, Alive: f.Alive,
			Signal: func(id procfs.Identity, sig unix.Signal) { f.Signal(id, sig) },
			Ready:  func(runtime.Process) bool { return true },
			Marked: func(_ runtime.Badge, id procfs.Identity, marks []string) bool { return f.Marked(id, marks) },
		}
	})
}

func TestItFailsOnRequest(t *testing.T) {
	ctx, app := context.Background(), named("app")
	f := fake.New(now)
	state := func() runtime.State {
		s, err := f.Look(ctx, app)
		if err != nil {
			t.Fatal(err)
		}
		return s.State()
	}
	if _, err := f.Start(ctx, app, v1alpha1.Instant{}); err != nil {
		t.Fatal(err)
	}
	if !f.Crash("app") || state() != runtime.Running {
		t.Errorf("after a crash: %s", state())
	}
	f.Hang("app")
	if _, err := f.Stop(ctx, app, time.Millisecond); err != nil {
		t.Errorf("a hung one is let run to be stopped: %v", err)
	}
	if _, err := f.Start(ctx, app, v1alpha1.Instant{}); err != nil {
		t.Fatal(err)
	}
	f.KeepDown("app")
	if !f.Crash("app") || state() != runtime.Errored || f.Crash("app") {
		t.Errorf("after a crash that was kept down: %s", state())
	}
	f.Refuse(runtime.ErrPermission)
	if _, err := f.Look(ctx, app); !errors.Is(err, runtime.ErrPermission) {
		t.Errorf("refusing: %v", err)
	}
	f.Refuse(nil)
	if state() != runtime.Errored {
		t.Errorf("after it refused: %s", state())
	}
}
