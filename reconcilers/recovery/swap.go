package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// swapLimit bounds how long swap is cleared: longer than this the machine may stand still for it.
const swapLimit = 5 * time.Second

// DecideSwap says whether swap is cleared, and in a sentence why or why not. `swapoff` reads all that is swapped out back
// into memory at once: it is done only if that fits into what is available, and leaves the wanted headroom and a tenth
// of the machine's memory besides.
func DecideSwap(info procfs.Meminfo, areas []procfs.Swap, wanted uint64, allowed bool, why string) (bool, string) {
	var used uint64
	for _, a := range areas {
		used += a.Used
	}
	margin := wanted + info.Total/10
	switch {
	case len(areas) == 0:
		return false, "there is none"
	case used == 0:
		return false, "none of it is used"
	case !allowed:
		return false, fmt.Sprintf("%d MiB of it are used, but %s", used>>20, why)
	case info.Available < used+margin:
		return false, fmt.Sprintf("%d MiB of it are used, and with a margin of %d MiB that does not fit into the %d MiB available",
			used>>20, margin>>20, info.Available>>20)
	}
	return true, fmt.Sprintf("%d MiB of swap are read back into %d MiB available", used>>20, info.Available>>20)
}

// RootSwitcher switches swap with swapoff(8) and swapon(8).
type RootSwitcher struct{}

// Allowed says whether this process is root.
func (RootSwitcher) Allowed() (bool, string) {
	if os.Geteuid() != 0 {
		return false, "only root may clear it, and evenkeel runs as an ordinary user"
	}
	return true, ""
}

// Cycle switches an area off, for as long as the context lasts, and on again in any case.
func (RootSwitcher) Cycle(ctx context.Context, area procfs.Swap) error {
	off := swapCommand(ctx, "swapoff", area.Path)
	onCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), swapLimit)
	defer cancel()
	args := []string{area.Path}
	if area.Priority >= 0 {
		args = []string{"-p", strconv.Itoa(area.Priority), area.Path}
	}
	on := swapCommand(onCtx, "swapon", args...)
	if off != nil {
		// An interrupted swapoff leaves the area on; then swapon has nothing to do and says so.
		return off
	}
	return on
}

func swapCommand(ctx context.Context, name string, args ...string) error {
	var said bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr = &said, &said
	c.WaitDelay = time.Second
	if err := c.Run(); err != nil {
		return errors.Join(fmt.Errorf("%s %v: %w", name, args, err), ctx.Err())
	}
	return nil
}
