//go:build linux

package pm2

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// The lines of PM2's log that tell of an application. A name may hold blanks, brackets and colons; the number behind it
// cannot, so names reach as far as they can.
var (
	lineExit     = regexp.MustCompile(`^App \[(.*):((?:_old_)?\d{1,9})\] exited with code \[(-?\d{1,9})\] via signal \[(\w{1,20})\]$`)
	lineStarting = regexp.MustCompile(`^App \[(.*):(\d{1,9})\] starting in -\w+ mode-$`)
	lineStopping = regexp.MustCompile(`^Stopping app:(.*) id:((?:_old_)?\d{1,9})$`)
	lineMemory   = regexp.MustCompile(`^\[PM2\]\[WORKER\] Process (\d{1,9}) restarted because it exceeds --max-memory-restart `)
	lineWatch    = regexp.MustCompile(`^Change detected on path .* for app (.*) - restarting$`)
	lineGaveUp   = regexp.MustCompile(`^Script .* had too many unstable restarts \(\d+\)\. Stopped\. "errored"$`)
)

const (
	// outgoing is put before the id of a cluster worker whose successor runs already (pm2 reload).
	outgoing      = "_old_"
	lineNewDaemon = "--- New PM2 Daemon started ---"
	lineShutdown  = "pm2 has been killed by signal"
	stampLayout   = "2006-01-02T15:04:05"
	// memoryHolds is how long a word of PM2's memory guard explains the stop that follows it.
	memoryHolds = 10 * time.Second
)

// rowLog is what the log has told of one row so far.
type rowLog struct {
	ordered runtime.Cause // a stop was ordered for this, and no end has come of it yet
	memory  time.Time     // the memory guard spoke
	guard   bool
}

// logReader goes through a log from top to bottom.
type logReader struct {
	name    string
	since   time.Time
	rows    map[string]*rowLog
	watch   bool   // files changed, and the stop for it is still to come
	down    bool   // the daemon is being ended, and with it everything
	lastEnd string // the row whose end stood in the line before
	h       runtime.History
	first   time.Time
}

// parseLog reads what a log tells of the application of a name.
func parseLog(b []byte, whole bool, name string, since time.Time, zone *time.Location) runtime.History {
	r := &logReader{name: name, since: since, rows: map[string]*rowLog{}}
	for line := range strings.SplitSeq(string(b), "\n") {
		at, text := splitStamp(strings.TrimSuffix(line, "\r"), zone)
		if r.first.IsZero() {
			r.first = at
		}
		r.line(at, text)
	}
	r.h.Complete = whole || !r.first.IsZero() && r.first.Before(since)
	return r.h
}

// splitStamp cuts off "2026-11-23T03:12:41: PM2 log: ". With PM2_LOG_DATE_FORMAT set there is another stamp, or none:
// then the line is read without a time.
func splitStamp(line string, zone *time.Location) (time.Time, string) {
	for _, kind := range []string{": PM2 log: ", ": PM2 error: ", ": PM2 info: ", ": PM2 warn: "} {
		stamp, text, found := strings.Cut(line, kind)
		if !found || len(stamp) > 40 {
			continue
		}
		at, err := time.ParseInLocation(stampLayout, stamp, zone)
		if err != nil {
			return time.Time{}, text
		}
		return at, text
	}
	return time.Time{}, line
}

func (r *logReader) row(id string) *rowLog {
	if r.rows[id] == nil {
		r.rows[id] = &rowLog{}
	}
	return r.rows[id]
}

func (r *logReader) line(at time.Time, text string) {
	ended := r.lastEnd
	r.lastEnd = ""
	switch {
	case strings.HasPrefix(text, "App ["):
		if m := lineExit.FindStringSubmatch(text); m != nil && m[1] == r.name {
			r.exit(at, m[2], m[3], m[4])
		} else if m := lineStarting.FindStringSubmatch(text); m != nil && m[1] == r.name {
			r.starting(m[2])
		}
	case strings.HasPrefix(text, "Stopping app:"):
		if m := lineStopping.FindStringSubmatch(text); m != nil && m[1] == r.name {
			r.stopping(at, m[2])
		}
	case strings.HasPrefix(text, "[PM2][WORKER]"):
		if m := lineMemory.FindStringSubmatch(text); m != nil {
			row := r.row(m[1])
			row.guard, row.memory = true, at
		}
	case strings.HasPrefix(text, "Change detected"):
		if m := lineWatch.FindStringSubmatch(text); m != nil && m[1] == r.name {
			r.watch = true
		}
	case strings.HasPrefix(text, "Script "):
		// It names only the script, but comes in one breath with the end that made the measure full.
		if ended != "" && lineGaveUp.MatchString(text) {
			r.h.GaveUpAt = at
		}
	case strings.HasPrefix(text, lineShutdown):
		r.down = true
	case strings.HasPrefix(text, lineNewDaemon):
		// Ids begin anew, and what the old daemon had begun it will not end.
		r.down, r.watch, r.rows, r.h.GaveUpAt = false, false, map[string]*rowLog{}, time.Time{}
	}
}

func (r *logReader) stopping(at time.Time, id string) {
	plain, reloaded := strings.CutPrefix(id, outgoing)
	guarded := r.row(plain)
	cause := runtime.CauseOrder
	switch {
	case r.down:
		cause = runtime.CauseDaemon
	case guarded.guard && at.Sub(guarded.memory) <= memoryHolds:
		cause = runtime.CauseMemory
	case r.watch:
		cause = runtime.CauseWatch
	}
	guarded.guard, r.watch = false, false
	r.row(id).ordered = cause
	// The successor was started before: no start follows, and nothing is stopped by it.
	r.h.LastStop = &runtime.Order{At: at, ID: plain, Cause: cause, Standing: !reloaded || cause == runtime.CauseDaemon}
}

func (r *logReader) starting(id string) {
	// A row that was not there before takes the place of one that was removed. (Without this a `pm2 delete` would stand for
	// ever as the last thing that was ordered.)
	replaces := r.rows[id] == nil
	r.row(id).ordered = ""
	r.h.GaveUpAt = time.Time{}
	if r.h.LastStop != nil && (r.h.LastStop.ID == id || replaces) {
		r.h.LastStop.Standing = false
	}
}

func (r *logReader) exit(at time.Time, id, code, signal string) {
	r.lastEnd = id
	row := r.row(id)
	e := runtime.Exit{At: at, ID: strings.TrimPrefix(id, outgoing), Cause: runtime.CauseCrash}
	e.Code, _ = strconv.Atoi(code)
	if signal != "SIGINT" { // PM2 writes SIGINT where there was no signal
		e.Signal = signal
	}
	if row.ordered != "" {
		e.Cause = row.ordered
		row.ordered = ""
	}
	switch {
	case at.IsZero() && !r.since.IsZero():
		r.h.Untimed++
	case !at.Before(r.since.Truncate(time.Second)):
		r.h.Exits = append(r.h.Exits, e)
	}
}
