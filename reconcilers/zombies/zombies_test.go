//go:build linux

package zombies

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// zombie makes a child that has ended and that nobody has waited for yet.
func zombie(t *testing.T) (*exec.Cmd, procfs.Process) {
	t.Helper()
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; {
		p, err := procfs.Default().Process(cmd.Process.Pid)
		if err == nil && p.State == procfs.Zombie {
			return cmd, p
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("it is no zombie: %+v, %v", p, err)
		}
		timer := time.NewTimer(time.Millisecond)
		<-timer.C
	}
}

func TestAZombieIsTakenOnceNobodyHasWaitedForLong(t *testing.T) {
	_, p := zombie(t)
	r := reaper{fs: procfs.Default(), self: os.Getpid(), seen: map[procfs.Identity]time.Duration{}, take: take}
	for _, at := range []time.Duration{0, Linger - 1} {
		if left := r.look(at); left != 1 {
			t.Errorf("at %s %d are left, want 1", at, left)
		}
		if _, err := procfs.Default().Process(p.PID); err != nil {
			t.Fatalf("at %s it was taken: %v", at, err)
		}
	}
	if left := r.look(Linger); left != 0 {
		t.Errorf("%d are left", left)
	}
	if _, err := procfs.Default().Process(p.PID); err == nil {
		t.Error("it is still there")
	}
}

func TestWhatSomebodyWaitsForIsLeftToHim(t *testing.T) {
	cmd, _ := zombie(t)
	r := reaper{fs: procfs.Default(), self: os.Getpid(), seen: map[procfs.Identity]time.Duration{}, take: take}
	r.look(0)
	if err := cmd.Wait(); err != nil {
		t.Errorf("whoever started it was not told its end: %v", err)
	}
	if left := r.look(Linger); left != 0 {
		t.Errorf("%d are left", left)
	}
}

func TestNobodyElsesChildIsTaken(t *testing.T) {
	cmd, _ := zombie(t)
	r := reaper{fs: procfs.Default(), self: os.Getpid() + 1, seen: map[procfs.Identity]time.Duration{}, take: func(int) bool {
		t.Error("it was taken")
		return true
	}}
	r.look(0)
	r.look(2 * Linger)
	_ = cmd.Wait()
}
