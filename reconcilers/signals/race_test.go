//go:build linux

package signals

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"golang.org/x/sys/unix"
)

// TestAReusedPIDIsSparedForReal lets one pid be taken by process after process, in a pid namespace of its own in which the next
// pid can be chosen, while others go on signalling the one before. Nobody but the one that was meant is ever hit.
func TestAReusedPIDIsSparedForReal(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("a pid namespace needs root; TestReusedPIDIsSpared does it with an identity that was changed")
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"=reuse")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(strings.TrimSpace(string(out)))
}

// raceRounds is how often the pid changes hands; RACE_ROUNDS sets it, hack/prove wants 1000.
func raceRounds() int {
	if n, err := strconv.Atoi(os.Getenv("RACE_ROUNDS")); err == nil {
		return n
	}
	return 200
}

// reuse is the test, as process 1 of its namespace.
func reuse() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts to itself: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	var sent, gone atomic.Int64
	var before procfs.Identity
	var signalling sync.WaitGroup
	stop := func() {}
	rounds, pid := raceRounds(), 3000
	for round := range rounds {
		cmd, id, err := occupy(&pid)
		if err != nil {
			return err
		}
		if round > 0 && id == before {
			return fmt.Errorf("round %d: two processes of one identity %s", round, id)
		}
		// Those that signal the one before must meet this one some times.
		for met := gone.Load(); round > 0 && gone.Load() < met+5; pause() {
			if alive, err := procfs.Default().Alive(id); !alive || err != nil {
				return fmt.Errorf("round %d: %s was ended in the place of %s (%v)", round, id, before, err)
			}
		}
		stop()
		signalling.Wait()
		if alive, err := procfs.Default().Alive(id); !alive || err != nil {
			return fmt.Errorf("round %d: %s was ended in the place of %s (%v)", round, id, before, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		for range 2 {
			signalling.Go(func() {
				for ctx.Err() == nil {
					switch err := Send(ctx, id, unix.SIGKILL); {
					case err == nil:
						sent.Add(1)
					case errors.Is(err, ErrGone):
						gone.Add(1)
					}
				}
			})
		}
		stop, before = cancel, id
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait()
		// Within one tick of the kernel's clock the next one would bear the same identity.
		for began := procfs.SinceBoot(); procfs.SinceBoot()-began < 25*time.Millisecond; {
			pause()
		}
	}
	stop()
	signalling.Wait()
	fmt.Printf("the pid changed hands %d times; %d signals to the one that was meant, %d times it was gone, nobody else was hit\n",
		rounds, sent.Load(), gone.Load())
	return nil
}

// occupy starts a process under that pid, or under the next one where a thread of ours has it, and keeps it.
func occupy(pid *int) (*exec.Cmd, procfs.Identity, error) {
	for range 100 {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", *pid)); err == nil {
			*pid++
		}
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(*pid-1)), 0o600); err != nil {
			return nil, procfs.Identity{}, fmt.Errorf("choosing the next pid: %w", err)
		}
		cmd := exec.CommandContext(context.Background(), "/bin/sleep", "600")
		if err := cmd.Start(); err != nil {
			return nil, procfs.Identity{}, err
		}
		if cmd.Process.Pid == *pid {
			p, err := procfs.Default().Process(*pid)
			return cmd, p.Identity, err
		}
		_ = cmd.Process.Kill() // something of ours came in between
		_ = cmd.Wait()
	}
	return nil, procfs.Identity{}, fmt.Errorf("the pid %d could not be had", *pid)
}

func pause() {
	t := time.NewTimer(time.Millisecond)
	defer t.Stop()
	<-t.C
}
