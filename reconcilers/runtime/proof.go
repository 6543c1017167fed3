//go:build linux

package runtime

import (
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// Badge is what a manager writes into the environment of every process that it starts, and what their descendants inherit:
// where it keeps its things, in the variable HomeVar, and the mark of the row, in MarkVar. The two together prove whose a
// process is; either alone proves nothing.
type Badge struct {
	HomeVar, MarkVar string
	// Home is what HomeVar holds.
	Home string
}

// On tells whether a process was born with this home and one of these marks in its environment. What cannot be looked at
// has no proof.
func (b Badge) On(fs procfs.FS, id procfs.Identity, marks []string) bool {
	if b.Home == "" || b.HomeVar == "" || len(marks) == 0 {
		return false
	}
	env, err := fs.Environ(id, b.HomeVar, b.MarkVar)
	if err != nil {
		return false
	}
	mark := env[b.MarkVar]
	return env[b.HomeVar] == b.Home && mark != "" && slices.Contains(marks, mark)
}

// startTick is how exactly start times are known.
const startTick = 10 * time.Millisecond

// Young tells whether a process was born at or after since; bootID is that of now. Start times are known to a hundredth of
// a second. Every process is young for a zero since.
func Young(id procfs.Identity, since v1alpha1.Instant, bootID string) bool {
	switch {
	case since.IsZero():
		return true
	case since.BootID == "":
		age := procfs.SinceBoot() - id.StartedAt()
		return !time.Now().Add(-age + startTick).Before(since.Wall.Time)
	case bootID != "" && since.BootID != bootID:
		return true // a moment of another boot lies before every process of this one
	default:
		return id.StartedAt()+startTick >= since.Boot.Duration
	}
}
