package checks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// processResult says whether the application's process runs, by the process manager's word and the kernel's.
func processResult(l *look, start ofStart) v1alpha1.CheckResult {
	s := &l.snapshot
	f := facts.Process{
		Runtime: l.app.Spec.Runtime.Kind(), Home: s.Daemon.Home, Daemon: s.Daemon.Reachable, DaemonPID: s.Daemon.PID, State: string(s.State()),
		Life: l.life, Age: l.age, Answered: l.answered, Crashes: l.history.Unplanned(), Ordered: len(l.history.Exits) - l.history.Unplanned(), Killed: l.history.Killed(), Signs: start.signs, Needs: start.needs,
		FolderMissing: start.folderMissing, Cause: start.cause,
	}
	manager := l.app.Spec.Runtime.Manager()
	for n := range s.Processes {
		row := &s.Processes[n]
		if row.OutLog == row.ErrLog {
			f.Output = row.OutLog
		}
		fr := facts.Row{
			ID: row.ID, State: string(row.State), Raw: row.Raw, PID: row.PID, Restarts: row.Restarts, ExitCode: row.ExitCode,
			Mark: row.Mark, Cluster: row.Cluster, Message: row.Message,
			Bound: row.StopTimeout + row.ReadyTimeout + row.RestartDelay + row.BackoffNow,
		}
		if row.Alive() {
			fr.Life = row.Identity.String()
		}
		f.Rows = append(f.Rows, fr)
	}
	for _, rival := range s.Daemon.Rivals {
		f.Rivals = append(f.Rivals, rival.PID)
	}
	noteStop(l, &f)
	r := v1alpha1.CheckResult{Took: metav1.Duration{Duration: l.tookRuntime}}
	switch {
	case errors.Is(l.snapshotErr, runtime.ErrNoDaemon):
		f.Daemon, f.Leftover, f.Revival, f.NoRevival = false, s.Daemon.Leftover, s.Daemon.Revival.How, s.Daemon.Revival.Why
		r.Status, r.Reason = metav1.ConditionFalse, "NoDaemon"
		r.Message = "no " + manager + " daemon runs in " + s.Daemon.Home
	case l.snapshotErr != nil && runtime.CouldNotAsk(l.snapshotErr):
		f.Error = l.snapshotErr.Error()
		f.State = string(runtime.Unknown)
		r.Status, r.Reason = metav1.ConditionUnknown, "CouldNotAsk"
		r.Message = manager + " could not be asked: " + l.snapshotErr.Error()
	default:
		r.Status, r.Reason, r.Message = processStatus(l, &f)
	}
	if start.hangs != "" {
		r.Message += "; " + start.hangs
	}
	r.Facts = facts.Raw(f)
	return r
}

func processStatus(l *look, f *facts.Process) (metav1.ConditionStatus, string, string) {
	s := &l.snapshot
	state, manager := s.State(), l.app.Spec.Runtime.Manager()
	if state == runtime.Missing {
		return metav1.ConditionFalse, "NotListed", notListed(s, manager)
	}
	row := s.Processes[0]
	for n := range s.Processes {
		if s.Processes[n].State == state && (l.lifeOf == "" || s.Processes[n].ID == l.lifeOf) {
			row = s.Processes[n]
			break
		}
	}
	exit := ""
	if row.ExitCode != nil {
		exit = fmt.Sprintf(", last exit code %d", *row.ExitCode)
	}
	id := ""
	switch l.app.Spec.Runtime.Kind() {
	case v1alpha1.RuntimePM2:
		id = "id " + row.ID + ", "
	case v1alpha1.RuntimeSystemd:
		id = row.ID + ", "
	}
	text := fmt.Sprintf("%s says %s (%s%s%s)", manager, row.Raw, id, count(f.Restarts(), "restart"), exit)
	switch {
	case row.Lying:
		text += ", but " + row.Message
	case row.Message != "" && !row.Alive():
		text += ": " + row.Message
	}
	switch state {
	case runtime.Running:
		text = fmt.Sprintf("%s, pid %d, up %s", text, row.PID, l.age.Round(time.Second))
		text += rowsDown(s)
		if comesAndGoes(&l.history, l.lifeOf, l.age) {
			return metav1.ConditionFalse, facts.ReasonCrashLoop, fmt.Sprintf("%s, after %d unplanned exits in ten minutes", text, f.Crashes)
		}
		return metav1.ConditionTrue, "Running", text
	case runtime.Starting:
		return metav1.ConditionUnknown, "Starting", text
	case runtime.Waiting, runtime.Stopping:
		return metav1.ConditionFalse, string(state), text
	default:
		if f.StopOrdered {
			text += fmt.Sprintf(", stopped by hand %s ago", f.StopOrderedFor.Round(time.Second))
		}
		return metav1.ConditionFalse, string(state), text
	}
}

// notListed says that the process manager does not know the application, or cannot use what it knows.
func notListed(s *runtime.Snapshot, manager string) string {
	if len(s.Processes) > 0 && s.Processes[0].Message != "" {
		return manager + " says: " + s.Processes[0].Message
	}
	return manager + " in " + s.Daemon.Home + " lists no process of that name"
}

// rowsDown names the rows that do not run while others do.
func rowsDown(s *runtime.Snapshot) string {
	var down []string
	for n := range s.Processes {
		if p := &s.Processes[n]; p.State != runtime.Running {
			down = append(down, fmt.Sprintf("id %s is %s", p.ID, p.Raw))
		}
	}
	if len(down) == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of its %d rows do not run: %s", len(down), len(s.Processes), strings.Join(down, ", "))
}

// count is a number of things, in words.
func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// crashExits is how many unplanned exits within crashWindow make a crash loop.
const crashExits = 5

// comesAndGoes tells whether the process is one more of a crash loop, though it may be well at this moment: it is not
// believed until it has outlived its predecessors clearly. Where several rows run, id is the one whose process has lived the
// longest; if that one did not end itself, it serves, whatever the others do.
func comesAndGoes(h *runtime.History, id string, age time.Duration) bool {
	var first, last time.Time
	n := 0
	rows := map[string]bool{}
	for _, e := range h.Exits {
		if e.Cause.Planned() || e.At.IsZero() {
			continue
		}
		rows[e.ID] = true
		if n == 0 {
			first = e.At
		}
		last = e.At
		n++
	}
	if n < crashExits || !rows[id] {
		return false
	}
	const margin = 3 * time.Second                                           // the notes tell whole seconds
	usual := last.Sub(first) / time.Duration(n-1) * time.Duration(len(rows)) // of one row's life
	return age < 2*usual+margin
}

// noteStop tells whether the application is stopped because somebody else had it stopped: a stop that no step of ours
// explains. Where the process manager itself is gone, having ended it counts as having stopped the application; but what a
// reboot has ended was to come back.
func noteStop(l *look, f *facts.Process) {
	gone := errors.Is(l.snapshotErr, runtime.ErrNoDaemon)
	stop := l.history.LastStop
	switch {
	case stop == nil || !stop.Standing || stop.At.IsZero():
		return
	case slices.ContainsFunc(l.snapshot.Processes, func(p runtime.Process) bool { return p.State == runtime.Errored }):
		return // one row was stopped, and another one has died since
	case stop.Cause != runtime.CauseOrder && !(gone && stop.Cause == runtime.CauseDaemon):
		return
	case gone && stop.At.Before(l.now.Wall.Add(-l.up())): // it ended with the machine: a reboot may take a second only
		return
	}
	if OrderedByUs(l.app, stop.At) {
		return
	}
	f.StopOrdered = true
	f.StopOrderedFor = max(l.now.Wall.Sub(stop.At), 0)
}

// up is how long this machine runs: as long as its process 1. In a container, as many a VPS is one, the kernel is older.
func (l *look) up() time.Duration {
	for i := range l.procs.Processes {
		if first := &l.procs.Processes[i]; first.PID == 1 {
			return min(l.now.Boot.Duration, l.began-first.StartedAt())
		}
	}
	return l.now.Boot.Duration
}

// StepVerify names the step of a recovery that only watches: who stops the application in it is somebody else.
const StepVerify = "verify"

// stopSlack is how far the process manager's notes, which tell whole seconds, may be off.
const stopSlack = 2 * time.Second

// OrderedByUs tells whether a stop, by the clock on the wall, falls into a step of our last recovery that gives orders. It goes by the steps and not
// by the recovery: that stays open while evenkeel is down, and somebody may stop the application meanwhile. A step that
// evenkeel's own end has cut off counts for as long as it could have taken.
func OrderedByUs(app *v1alpha1.App, at time.Time) bool {
	rec := app.Status.Recovery
	if rec == nil {
		return false
	}
	longest := app.Spec.Recovery.StopTimeout.Duration + 30*time.Second
	during := func(step string, from v1alpha1.Instant, took time.Duration) bool {
		return step != StepVerify && !at.Before(from.Wall.Add(-stopSlack)) && !at.After(from.Wall.Add(took+stopSlack))
	}
	if rec.Step != "" && rec.StepAt != nil && during(rec.Step, *rec.StepAt, longest) {
		return true
	}
	for n := range rec.Steps {
		s := &rec.Steps[n]
		took := s.Took.Duration
		if s.Outcome == v1alpha1.StepInterrupted {
			took = min(took, longest)
		}
		if during(s.Step, s.StartedAt, took) {
			return true
		}
	}
	return false
}

const (
	// signTail is how much of the error log is looked at; signAge how old it may be.
	signTail = 16 << 10
	signAge  = 2 * time.Minute
)

// readSigns looks for known signs at the end of a log that was written to lately. No line of the log is kept: it may hold
// anything.
func readSigns(path string, now time.Time, caches []string) []facts.Sign {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // the name may be that of a pipe
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) > signAge {
		return nil
	}
	data := make([]byte, signTail)
	n, err := f.ReadAt(data, max(info.Size()-signTail, 0))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return SignsIn(data[:n], caches)
}

// SignsIn finds the known signs of a start that fails in the end of a log. The sign of a cache is an error that names one of the cache folders.
func SignsIn(log []byte, caches []string) []facts.Sign {
	var found []facts.Sign
	for _, known := range []struct {
		sign facts.Sign
		text string
	}{
		{facts.SignAddressInUse, "EADDRINUSE"},
		{facts.SignBuildMissing, "Could not find a production build"},
		{facts.SignModuleNotFound, "MODULE_NOT_FOUND"},
		{facts.SignOutOfMemory, "JavaScript heap out of memory"},
	} {
		if bytes.Contains(log, []byte(known.text)) && !slices.Contains(found, known.sign) {
			found = append(found, known.sign)
		}
	}
	for line := range bytes.Lines(log) {
		if interpreterMissing(line) && !slices.Contains(found, facts.SignInterpreter) {
			found = append(found, facts.SignInterpreter)
		}
		if !bytes.Contains(line, []byte("Error")) {
			continue
		}
		for _, folder := range caches {
			if bytes.Contains(line, []byte("/"+folder+"/")) {
				return append(found, facts.SignCache)
			}
		}
	}
	return found
}
