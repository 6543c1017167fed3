//go:build linux

package keeper

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

const (
	// firstApart and mostApart are the waits between two tries to give a life a unit of its own. A user's service manager may come up
	// after evenkeel.
	firstApart = time.Second
	mostApart  = time.Minute
	// apartTimeout bounds one try, and apartPatience is how long they may fail before that is worth a word.
	apartTimeout  = 10 * time.Second
	apartPatience = 30 * time.Second
)

// moveApart gives a life a unit of systemd's own. A process is born in evenkeel's control group, at once and whether systemd answers or
// not; then it is moved, with what it has made meanwhile. Where that cannot be done it stays, and lives on as well: evenkeel's unit
// ends nothing but evenkeel (KillMode=process).
func (w *ward) moveApart(l *life) {
	waits := pace.New(firstApart, mostApart, 2)
	log := w.k.log.WithField("app", w.name).WithField("pid", l.Process.PID)
	began, said := time.Now(), false
	for try := 1; ; try++ {
		stays := w.staying(l)
		if len(stays) == 0 || w.closed() {
			return
		}
		unit := apartName(w.name, l.ID, try)
		ctx, cancel := context.WithTimeout(w.ctx, apartTimeout)
		err := w.k.apart(ctx, unit, w.name+", kept by evenkeel", stays)
		cancel()
		switch {
		case err == nil:
			log.WithField("unit", unit).Debug("its process has a unit of its own")
			waits.Reset() // and what was just being made when the others were moved is looked for once more
		case !said && time.Since(began) > apartPatience && len(w.staying(l)) > 0:
			said = true
			log.WithError(err).Warn("its process stays in evenkeel's own control group; it lives on when evenkeel is restarted, and counts as evenkeel's for limits of that unit")
		}
		timer := time.NewTimer(waits.Next())
		select {
		case <-timer.C:
		case <-l.ended:
		case <-w.ctx.Done():
		}
		timer.Stop()
	}
}

// staying are the processes of a life that live in evenkeel's own control group; none where it has ended.
func (w *ward) staying(l *life) (pids []int) {
	select {
	case <-l.ended:
		return nil
	default:
	}
	for _, p := range w.k.tree(l.Process) {
		if w.k.within(p.Identity) {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// within tells whether a process lives in evenkeel's own control group.
func (k *Keeper) within(id procfs.Identity) bool {
	group, err := k.groupOf(id)
	return err == nil && (group == k.group || strings.HasPrefix(group, k.group+"/"))
}

// apartName is the name of a life's unit.
func apartName(app, life string, try int) string {
	if try == 1 {
		return fmt.Sprintf("evenkeel-%s-%s.scope", app, life)
	}
	return fmt.Sprintf("evenkeel-%s-%s-%d.scope", app, life, try)
}
