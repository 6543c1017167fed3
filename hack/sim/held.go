package main

import (
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// Faults that evenkeel has to hold for: a restart mends none of them, though some have a limit at which one is tried.

// The ways in which the database does not serve, and those in which there is little room on the disk.
const (
	dbSilent = 2
	diskHeld = 3
)

var databaseEnds = []facts.DatabaseClass{facts.DatabaseRefused, facts.DatabaseFull, facts.DatabaseTimeout, facts.DatabaseAuthFailed, facts.DatabaseStartingUp}

func addHeld() {
	hold := func(name, blame string, least, most time.Duration, begin func(w *world, e *Entry), end func(s *sim)) {
		add(kind{name: name, whose: foreign, expect: held, blame: blame, least: least, most: most,
			begin: func(s *sim, e *Entry) { begin(s.w, e); s.w.note("") },
			end:   func(s *sim, _ *Entry) { end(s); s.w.note("") }})
	}
	hold("no-env-file", "Config", 5*time.Minute, 4*time.Hour,
		func(w *world, _ *Entry) { w.env.noEnv = true; w.cond.reads++ },
		func(s *sim) { s.w.env.noEnv = false; s.w.cond.reads++ })
	hold("database-down", "Database", 5*time.Minute, 4*time.Hour,
		func(w *world, e *Entry) {
			w.cond.dbErrors, w.env.how.database = true, int(e.N%uint64(len(databaseEnds))) // #nosec G115 -- small
		},
		func(s *sim) { s.w.cond.dbErrors = false })
	hold("disk-full", "Disk", 5*time.Minute, time.Hour,
		func(w *world, e *Entry) {
			w.env.how.disk = int(e.N % 4) // #nosec G115 -- small
			w.disk.full, w.env.diskShort = w.env.how.disk < 2, w.env.how.disk >= 2
		},
		func(s *sim) { s.w.disk.full, s.w.env.diskShort = false, false })
	// A module was removed, and the application restarted: it cannot start until somebody has put it back.
	hold("module-missing", "Config", 10*time.Minute, 3*time.Hour,
		func(w *world, _ *Entry) { w.cond.noModule = true; w.cond.reads++; w.ends("a module is missing") },
		func(s *sim) { s.w.cond.noModule = false; s.w.cond.reads++ })
	// The application's folder is gone, a volume that was unmounted say, and the application with it.
	hold("folder-gone", "Config", 10*time.Minute, 3*time.Hour,
		func(w *world, _ *Entry) { w.cond.noFolder = true; w.cond.reads++; w.ends("its folder is gone") },
		func(s *sim) { s.w.cond.noFolder = false; s.w.cond.reads++ })
	// Its clients hold all the files that it may open, until they leave.
	hold("files-used-up", "App", 2*time.Minute, 20*time.Minute,
		func(w *world, _ *Entry) {
			if w.app != nil {
				w.app.full = true
			}
		},
		func(s *sim) {
			if s.w.app != nil {
				s.w.app.full = false
			}
		})
	// PM2's daemon has lost its socket, and a second one was started, which now takes the calls: the first one keeps the
	// application, and brings it back.
	hold("two-daemons", "Runtime", 10*time.Minute, 2*time.Hour,
		func(w *world, _ *Entry) {
			if l := w.app; l != nil && w.pm2.up && w.orphan == nil && w.strange == nil && w.now >= l.ready {
				w.orphan = &holder{pid: l.pid, mark: w.pm2.mark, born: l.born, under: w.pid()}
				w.die(l, "another daemon has it")
			}
		},
		func(s *sim) {
			if w := s.w; w.orphan != nil && w.orphan.under != 0 {
				w.orphan = nil
			}
		})
}

// ends lets the application's process end, if there is one.
func (w *world) ends(why string) {
	if w.app != nil {
		w.die(w.app, why)
	}
}
