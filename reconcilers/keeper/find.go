//go:build linux

package keeper

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// The variables that every process of the keeper bears.
const (
	varHome = "EVENKEEL_HOME" // the keeper's folder
	varApp  = "EVENKEEL_APP"  // the App's name
	varLife = "EVENKEEL_LIFE" // the name of this life
)

// bearer is a leader of a session that bears the App's mark.
type bearer struct {
	procfs.Identity
	life string
}

// bearers finds them. A process that may not be looked at is not ours: we have made ours ourselves.
func (k *Keeper) bearers(app string) ([]bearer, error) {
	procs, err := k.fs.Processes()
	if err != nil {
		return nil, fmt.Errorf("reading the machine's processes: %w", err)
	}
	var found []bearer
	for _, p := range procs {
		if p.Kernel || !p.Alive() || p.SID != p.PID {
			continue
		}
		env, err := k.fs.Environ(p.Identity, varHome, varApp, varLife)
		if err == nil && env[varHome] == k.dir && env[varApp] == app {
			found = append(found, bearer{p.Identity, env[varLife]})
		}
	}
	return found, nil
}

// find finds the App's main process. The record says which it should be; whether it is, its start time and its own
// environment say.
func (k *Keeper) find(r *record, boot string) (bearer, bool, error) {
	meant := r.Life
	if meant != nil && meant.BootID != boot {
		meant = nil
	}
	if meant != nil && meant.Process.PID != 0 {
		if k.same(meant, r.App) {
			return bearer{meant.Process, meant.ID}, true, nil
		}
	}
	all, err := k.bearers(r.App)
	if err != nil {
		return bearer{}, false, err
	}
	b, ok := choose(all, r, meant)
	return b, ok, nil
}

// same tells whether the process of the record is alive and ours. Some programs write over their environment; then pid and
// start time, which no other process of this boot can have, and that it leads a session, have to do.
func (k *Keeper) same(b *birth, app string) bool {
	p, err := k.fs.Check(b.Process)
	if err != nil || p.SID != p.PID {
		return false
	}
	env, err := k.fs.Environ(b.Process, varHome, varApp, varLife)
	if err != nil {
		return false
	}
	if len(env) == 0 {
		return true
	}
	return env[varHome] == k.dir && env[varApp] == app && env[varLife] == b.ID
}

// choose picks the main process out of all that bear the App's mark and lead a session; a process may have made others
// that do. The first of a life is its main process.
//
// Of the record's life it can only be one that was meant and whose process is not known: a known one was looked at before,
// and is dead. A life that the record does not know at all came after it, when it could not be written; the last such
// counts. Lives that the record knows to be over are left to the recovery's linger step.
func choose(all []bearer, r *record, meant *birth) (bearer, bool) {
	first := map[string]bearer{}
	for _, b := range all {
		switch {
		case b.life == "" || r.past(b.life):
			continue
		case meant != nil && b.life == meant.ID && meant.Process.PID != 0:
			continue
		case meant == nil && r.Life != nil && b.life == r.Life.ID: // of another boot: a name is never given twice
			continue
		}
		if have, ok := first[b.life]; !ok || older(b, have) < 0 {
			first[b.life] = b
		}
	}
	if meant != nil {
		if b, ok := first[meant.ID]; ok {
			return b, true
		}
	}
	var lives []bearer
	for _, b := range first {
		lives = append(lives, b)
	}
	if len(lives) == 0 {
		return bearer{}, false
	}
	return slices.MaxFunc(lives, older), true
}

func older(a, b bearer) int {
	return cmp.Or(cmp.Compare(a.StartTicks, b.StartTicks), cmp.Compare(a.PID, b.PID))
}
