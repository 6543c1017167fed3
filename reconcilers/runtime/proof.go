//go:build linux

package runtime

import (
	"encoding/json"
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
	// Wrapped is a variable that holds both in a JSON object instead, and then it is what counts: the worker of a cluster
	// inherits the two themselves from the manager. Empty if the manager has none such.
	Wrapped string
	// Home is what HomeVar holds.
	Home string
	// Unit takes the place of HomeVar and Home where the manager is systemd, whose marks are given only once in the world: the
	// process has to be in the control group of this unit. Who was moved out of it was meant to live elsewhere.
	Unit string
}

// On tells whether a process was born with this home and one of these marks in its environment. What cannot be looked at
// has no proof.
func (b Badge) On(fs procfs.FS, id procfs.Identity, marks []string) bool {
	if b.Unit != "" {
		return b.inUnit(fs, id, marks)
	}
	if b.Home == "" || b.HomeVar == "" || len(marks) == 0 {
		return false
	}
	home, mark := b.read(fs, id)
	return home == b.Home && mark != "" && slices.Contains(marks, mark)
}

func (b Badge) inUnit(fs procfs.FS, id procfs.Identity, marks []string) bool {
	mark := b.Mark(fs, id)
	if mark == "" || !slices.Contains(marks, mark) {
		return false
	}
	group, err := fs.ControlGroup(id)
	return err == nil && procfs.InUnit(group, b.Unit)
}

// Mark is the mark that a process was born with; empty if it has none, or cannot be looked at.
func (b Badge) Mark(fs procfs.FS, id procfs.Identity) string {
	_, mark := b.read(fs, id)
	return mark
}

func (b Badge) read(fs procfs.FS, id procfs.Identity) (home, mark string) {
	env, err := fs.Environ(id, b.HomeVar, b.MarkVar, b.Wrapped)
	if err != nil {
		return "", ""
	}
	if b.Wrapped != "" && env[b.Wrapped] != "" {
		var inner map[string]json.RawMessage // the rest of it, the application's environment, stays undecoded
		if json.Unmarshal([]byte(env[b.Wrapped]), &inner) != nil {
			return "", ""
		}
		_ = json.Unmarshal(inner[b.HomeVar], &home) // what is no text is no home
		_ = json.Unmarshal(inner[b.MarkVar], &mark)
		return home, mark
	}
	return env[b.HomeVar], env[b.MarkVar]
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
