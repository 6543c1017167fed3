//go:build linux

package keeper

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/signals"
)

// BenchmarkRespawn measures the time from a SIGKILL to the next life: kept by the keeper, and beside it the least that the
// machine can do, which is to see the death and make a process.
func BenchmarkRespawn(b *testing.B) {
	b.Run("kept", func(b *testing.B) {
		w := newWorld(b)
		app := w.app("web", "web")
		w.k.Keep(app)
		measure(b, func() time.Duration {
			if _, err := w.k.Start(context.Background(), app, v1alpha1.Instant{}); err != nil {
				b.Fatal(err)
			}
			ward := w.k.known("web")
			ward.mu.Lock()
			old := ward.life
			ward.mu.Unlock()
			begun := time.Now()
			_ = syscall.Kill(old.Process.PID, syscall.SIGKILL)
			<-old.ended
			ward.mu.Lock() // whoever noted the end holds it until the next life has begun
			took := time.Since(begun)
			if ward.life == nil {
				b.Fatal("it was not brought back at once")
			}
			ward.mu.Unlock()
			if _, err := w.k.Stop(context.Background(), app, patience); err != nil {
				b.Fatal(err)
			}
			return took
		})
	})
	b.Run("bare", func(b *testing.B) {
		w := newWorld(b)
		app := w.app("web", "web")
		spawn := func() (*os.Process, procfs.Identity) {
			p, id, err := w.k.spawn(app, newLife())
			if err != nil {
				b.Fatal(err)
			}
			return p, id
		}
		measure(b, func() time.Duration {
			p, id := spawn()
			begun := time.Now()
			_ = syscall.Kill(p.Pid, syscall.SIGKILL)
			if err := signals.Wait(context.Background(), id); err != nil {
				b.Fatal(err)
			}
			_, _ = p.Wait()
			next, _ := spawn()
			took := time.Since(begun)
			_ = next.Kill()
			_, _ = next.Wait()
			return took
		})
	})
}

func measure(b *testing.B, once func() time.Duration) {
	var total, most time.Duration
	n := 0
	for b.Loop() {
		took := once()
		total, most, n = total+took, max(most, took), n+1
	}
	b.ReportMetric(float64(total.Microseconds())/float64(n), "us/respawn")
	b.ReportMetric(float64(most.Microseconds()), "us/slowest")
}
