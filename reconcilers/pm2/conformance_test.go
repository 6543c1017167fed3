//go:build linux

package pm2

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
)

func TestPM2IsARuntime(t *testing.T) {
	for _, major := range longOnes() {
		t.Run("PM2 "+major, func(t *testing.T) {
			runtimetest.Run(t, func(t *testing.T) runtimetest.Subject { return subject(t, major) })
		})
	}
}

func subject(t *testing.T, major string) runtimetest.Subject {
	w := newWorldOf(t, major)
	w.pm2("ping") // a daemon with an empty list
	app, stubborn := w.app("web"), w.app("stubborn")
	app.Name, stubborn.Name = "web", "stubborn"
	app.Spec.Runtime.PM2.Start, stubborn.Spec.Runtime.PM2.Start = "web.js", "stubborn.js"
	return runtimetest.Subject{
		Runtime: w.m, App: app, Stubborn: stubborn,
		Signal: func(id procfs.Identity, sig unix.Signal) { w.signal(id, syscall.Signal(sig)) },
		Alive: func(id procfs.Identity) bool {
			alive, err := procfs.Default().Alive(id)
			return err == nil && alive
		},
		Ready: func(p runtime.Process) bool {
			said, err := os.ReadFile(p.OutLog)
			return err == nil && strings.Contains(string(said), fmt.Sprintf("ready %d\n", p.PID))
		},
		Marked: func(b runtime.Badge, id procfs.Identity, marks []string) bool {
			return b.On(procfs.Default(), id, marks)
		},
		Now: func() v1alpha1.Instant { return now(t) },
	}
}
