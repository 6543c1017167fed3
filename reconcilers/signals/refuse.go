//go:build linux

package signals

import (
	"errors"
	"fmt"
	"os"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// refuse is the last line of defence. It does not know which processes are the app's; it knows which cannot be.
func refuse(id procfs.Identity) error {
	switch {
	case id.PID <= 1:
		return fmt.Errorf("%w: process %d is the system's", ErrRefused, id.PID)
	case id.StartTicks == 0:
		return fmt.Errorf("%w: process %d without its start time could be any", ErrRefused, id.PID)
	case id.PID == os.Getpid():
		return fmt.Errorf("%w: process %d is this one", ErrRefused, id.PID)
	}
	fs := procfs.Default()
	for pid := os.Getppid(); pid > 1; {
		if pid == id.PID {
			return fmt.Errorf("%w: process %d is above this one", ErrRefused, pid)
		}
		p, err := fs.Process(pid)
		if errors.Is(err, procfs.ErrGone) || errors.Is(err, os.ErrPermission) {
			return nil // what is gone is nobody's parent; what is above a hidden one cannot be seen, and may be refused by the kernel
		}
		if err != nil {
			return fmt.Errorf("who is above this process: %w", err)
		}
		pid = p.PPID
	}
	return nil
}
