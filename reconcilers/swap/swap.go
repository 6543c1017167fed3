// Package swap decides whether swap may be cleared, and clears it: directly where this process may, else through a helper that
// root has installed for that alone. The helper is here too; it takes nothing from whoever asks it, and decides for itself.
package swap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// Limit bounds how long swap is cleared: longer than this the machine may stand still for it.
const Limit = 5 * time.Second

// Decide says whether swap is cleared, and in a sentence why or why not. `swapoff` reads all that is swapped out back
// into memory at once: it is done only if that fits into what is available, and leaves the wanted headroom and a tenth
// of the machine's memory besides. Where it is not allowed, why says so.
func Decide(info procfs.Meminfo, areas []procfs.Swap, wanted uint64, allowed bool, why string) (bool, string) {
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

// LeftError says that swap was left as it is, and why. Nothing was tried, and nothing is wrong.
type LeftError struct{ Why string }

// Error says why.
func (e *LeftError) Error() string { return "swap is left alone: " + e.Why }

// Way is how a process may have swap cleared.
type Way int

// The ways.
const (
	None     Way = iota // it may not
	Directly            // it has the right itself
	ByHelper            // the helper does it when it is asked
)

// Socket is where the helper is asked.
const Socket = "/run/evenkeel-swap.sock"

// Install is how the helper comes there; a note to the operator.
const Install = "install evenkeel once more, with --with-swap-helper"

// WayOf tells how a process may have swap cleared, by its own rights and the helper's socket, and if it may not, why.
// It fails where the process cannot be looked at. Nothing is asked, and nothing is begun.
func WayOf(proc procfs.FS, pid int, socket string) (Way, string, error) {
	rights, err := proc.Rights(pid)
	if err != nil {
		return None, "", err
	}
	if rights.Admin {
		return Directly, "", nil
	}
	who := "evenkeel runs as an ordinary user"
	if rights.UID == 0 {
		who = "evenkeel runs in a sandbox without that right"
	}
	info, err := os.Lstat(socket)
	if errors.Is(err, fs.ErrNotExist) {
		return None, fmt.Sprintf("only root may clear it, and %s; a helper of root's can: %s", who, Install), nil
	}
	if err != nil {
		return None, fmt.Sprintf("only root may clear it, %s, and whether there is a helper cannot be told: %v", who, err), nil
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode().Type() != fs.ModeSocket || !ok:
		return None, fmt.Sprintf("only root may clear it, %s, and %s is no socket of its helper; %s", who, socket, Install), nil
	case int(st.Uid) != rights.UID:
		return None, fmt.Sprintf("only root may clear it, %s, and its helper serves another user (uid %d); %s", who, st.Uid, Install), nil
	}
	return ByHelper, "", nil
}
