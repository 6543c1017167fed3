//go:build linux

// Package zombies does the duty of process 1 of a container: whoever loses its parent there becomes our child, and when it
// ends, somebody must take note of it, or its entry stays for ever.
package zombies

import (
	"context"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// Linger is how long a child must have been a zombie before it is taken to have nobody who waits for it. Whoever starts a
// program here also waits for it, and is woken at its end; taking it from them would make their answer an error.
const Linger = 3 * time.Second

// Reap takes away the zombies for which nobody waits, until the context ends. It looks only when a child has ended.
func Reap(ctx context.Context, fs procfs.FS) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	defer signal.Stop(ended)
	r := reaper{fs: fs, self: os.Getpid(), seen: map[procfs.Identity]time.Duration{}, take: take}
	timer := time.NewTimer(0) // those from before us
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			timer.Reset(Linger / 3)
		case <-timer.C:
			if r.look(procfs.SinceBoot()) > 0 {
				timer.Reset(Linger / 3)
			}
		}
	}
}

type reaper struct {
	fs   procfs.FS
	self int
	// seen are the zombies of the last look, and when each was first seen.
	seen map[procfs.Identity]time.Duration
	take func(pid int) bool
}

// look looks once, takes what has lingered, and tells how many zombies are left.
func (r *reaper) look(now time.Duration) int {
	procs, err := r.fs.Processes()
	if err != nil {
		return len(r.seen) // the next look is as good
	}
	still := map[procfs.Identity]time.Duration{}
	for _, p := range procs {
		if p.PPID != r.self || p.State != procfs.Zombie {
			continue
		}
		first, known := r.seen[p.Identity]
		if !known {
			first = now
		}
		if now-first >= Linger && r.take(p.PID) {
			continue
		}
		still[p.Identity] = first
	}
	r.seen = still
	return len(still)
}

// take reaps one child that has ended. Its number cannot be another's as long as it is a zombie.
func take(pid int) bool {
	for {
		got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
		if err != unix.EINTR {
			return got == pid || err != nil
		}
	}
}
