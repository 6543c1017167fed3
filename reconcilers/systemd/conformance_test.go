//go:build linux && vps

package systemd

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
)

func TestSystemdIsARuntime(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T) runtimetest.Subject {
		w := newWorld(t)
		return runtimetest.Subject{
			Runtime: w.m, App: w.app("web", "web"), Stubborn: w.app("stubborn", "stubborn"),
			Signal: send, Alive: alive,
			Ready: func(p runtime.Process) bool {
				log := p.OutLog
				if log == "" { // it was looked at before systemd had opened it
					log, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/1", p.PID))
				}
				said, err := os.ReadFile(log)
				return err == nil && strings.Contains(string(said), fmt.Sprintf("ready %d\n", p.PID))
			},
			Marked: func(b runtime.Badge, id procfs.Identity, marks []string) bool {
				return b.On(procfs.Default(), id, marks)
			},
			Now: now,
		}
	})
}
