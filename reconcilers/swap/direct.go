package swap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// Switcher has swap cleared in the way that this process may.
type Switcher struct {
	// FS is the proc file system, Socket the helper's.
	FS     procfs.FS
	Socket string
}

// Allowed says whether there is a way, and if not, why.
func (s *Switcher) Allowed() (bool, string) {
	way, why, err := WayOf(s.FS, os.Getpid(), s.Socket)
	if err != nil {
		return false, fmt.Sprintf("whether evenkeel may clear it cannot be told: %v", err)
	}
	return way != None, why
}

// Clear clears swap: these areas directly, or what the helper finds for itself. A *LeftError says that it was left alone.
func (s *Switcher) Clear(ctx context.Context, areas []procfs.Swap) error {
	way, why, err := WayOf(s.FS, os.Getpid(), s.Socket)
	switch {
	case err != nil:
		return err
	case way == Directly:
		return Direct{}.Clear(ctx, areas)
	case way == ByHelper:
		return ask(ctx, s.Socket)
	}
	return &LeftError{Why: why}
}

// Direct switches swap with swapoff(8) and swapon(8); it needs CAP_SYS_ADMIN.
type Direct struct{}

// Clear switches the areas that are used off and on again, in Limit.
func (Direct) Clear(ctx context.Context, areas []procfs.Swap) error {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	for _, area := range areas {
		if area.Used == 0 {
			continue
		}
		if err := cycle(ctx, area); err != nil {
			return fmt.Errorf("clearing swap on %s: %w", area.Path, err)
		}
	}
	return nil
}

// cycle switches an area off, for as long as the context lasts, and on again in any case.
func cycle(ctx context.Context, area procfs.Swap) error {
	if err := command(ctx, "swapoff", area.Path); err != nil {
		// An interrupted swapoff leaves the area on.
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Limit)
	defer cancel()
	args := []string{area.Path}
	if area.Priority >= 0 { // else it is the kernel that chooses
		args = []string{"-p", strconv.Itoa(area.Priority), area.Path}
	}
	if err := command(ctx, "swapon", args...); err != nil {
		return fmt.Errorf("it is off now, and does not come back (%w); as root: swapon %s", err, area.Path)
	}
	return nil
}

func command(ctx context.Context, name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil { // an ordinary PATH has no administration in it
		path = "/usr/sbin/" + name
	}
	var said bytes.Buffer
	c := exec.CommandContext(ctx, path, args...)
	c.Stdout, c.Stderr = &said, &said
	c.WaitDelay = time.Second
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: broken off: %w", name, errors.Join(ctx.Err(), err))
		}
		return fmt.Errorf("%s: %w: %s", name, err, strings.Join(strings.Fields(said.String()), " "))
	}
	return nil
}
