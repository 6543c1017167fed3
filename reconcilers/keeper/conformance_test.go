//go:build linux

package keeper

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
)

func TestTheKeeperIsARuntime(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T) runtimetest.Subject {
		w := newWorld(t)
		return runtimetest.Subject{
			Runtime: w.k, App: w.app("web", "web"), Stubborn: w.app("stubborn", "stubborn"),
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
			Now: instant,
		}
	})
}
