package main

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
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
	hold := func(name, blame string, least, most time.Duration, begin func(w *world, e *Entry) bool, end func(s *sim)) {
		add(kind{name: name, whose: foreign, expect: held, blame: blame, least: least, most: most,
			begin: func(s *sim, e *Entry) bool { defer s.w.note(""); return begin(s.w, e) },
			end:   func(s *sim, _ *Entry) { end(s); s.w.note("") }})
	}
	hold("no-env-file", "Config", 5*time.Minute, 4*time.Hour,
		func(w *world, _ *Entry) bool { w.cond.reads++; return set(&w.env.noEnv) },
		func(s *sim) { s.w.env.noEnv = false; s.w.cond.reads++ })
	hold("database-down", "Database", 5*time.Minute, 4*time.Hour,
		func(w *world, e *Entry) bool {
			w.env.how.database = int(e.N % uint64(len(databaseEnds))) // #nosec G115 -- small
			return set(&w.cond.dbErrors)
		},
		func(s *sim) { s.w.cond.dbErrors = false })
	// What evenkeel does not ask: another service, the name servers, a Redis. Only the application's log tells.
	for name, by := range map[string]struct {
		blame string
		need  facts.Need
	}{
		"service-down":      {"Network", facts.Need{Kind: facts.NeedService, End: facts.NeedSilent, Port: 443}},
		"names-down":        {"DNS", facts.Need{Kind: facts.NeedName, End: facts.NeedNoName}},
		"cache-server-down": {"Database", facts.Need{Kind: facts.NeedDatabase, End: facts.NeedRefused, Port: 6379}},
	} {
		hold(name, by.blame, 5*time.Minute, 4*time.Hour,
			func(w *world, _ *Entry) bool { w.cond.need = by.need; return set(&w.cond.needErrors) },
			func(s *sim) { s.w.cond.needErrors = s.under("service-down", "names-down", "cache-server-down") })
	}
	hold("disk-full", "Disk", 5*time.Minute, time.Hour,
		func(w *world, e *Entry) bool {
			was := w.disk.full || w.env.diskShort
			w.env.how.disk = int(e.N % 4) // #nosec G115 -- small
			w.disk.full, w.env.diskShort = w.env.how.disk < 2, w.env.how.disk >= 2
			return !was
		},
		func(s *sim) { s.w.disk.full, s.w.env.diskShort = false, false })
	// A module was removed, and the application restarted: it cannot start until somebody has put it back.
	hold("module-missing", "Config", 10*time.Minute, 3*time.Hour,
		func(w *world, _ *Entry) bool {
			w.cond.reads++
			began := set(&w.cond.noModule)
			return w.ends("a module is missing") || began
		},
		func(s *sim) { s.w.cond.noModule = false; s.w.cond.reads++ })
	// The application's folder is gone, a volume that was unmounted say, and the application with it.
	hold("folder-gone", "Config", 10*time.Minute, 3*time.Hour,
		func(w *world, _ *Entry) bool {
			w.cond.reads++
			began := set(&w.cond.noFolder)
			return w.ends("its folder is gone") || began
		},
		func(s *sim) { s.w.cond.noFolder = false; s.w.cond.reads++ })
	// Its port was changed where it is started, and not in spec.port: it answers, and nobody finds it.
	hold("moved-port", "Config", 5*time.Minute, 4*time.Hour,
		func(w *world, _ *Entry) bool {
			p := &w.pm2
			if !p.up || !p.listed || p.hung || w.app == nil || !set(&w.cond.moved) {
				return false
			}
			w.orderStart()
			return true
		},
		func(s *sim) {
			s.w.cond.moved = false
			if p := &s.w.pm2; p.up && p.listed && !p.hung && s.w.app != nil && s.w.app.moved {
				s.w.orderStart()
			}
		})
	// Whoever wrote the desired file expects what the application has never answered.
	add(kind{name: "wrong-expectation", whose: foreign, expect: held, blame: "Config", least: 5 * time.Minute, most: 4 * time.Hour,
		begin: func(s *sim, _ *Entry) bool {
			if s.expectsInVain() {
				return false
			}
			s.spec(func(a *v1alpha1.App) { a.Spec.Checks.Local.ExpectBody = "what it never says" })
			return true
		},
		end: func(s *sim, _ *Entry) {
			s.spec(func(a *v1alpha1.App) { a.Spec.Checks.Local.ExpectBody = "" })
		}})
	// Its clients hold all the files that it may open, until they leave.
	hold("files-used-up", "App", 2*time.Minute, 20*time.Minute,
		func(w *world, _ *Entry) bool { return w.app != nil && set(&w.app.full) },
		func(s *sim) {
			if s.w.app != nil {
				s.w.app.full = false
			}
		})
	// PM2's daemon has lost its socket, and a second one was started, which now takes the calls: the first one keeps the
	// application, and brings it back.
	hold("two-daemons", "Runtime", 10*time.Minute, 2*time.Hour,
		func(w *world, _ *Entry) bool {
			l := w.app
			if l == nil || !w.pm2.up || w.orphan != nil || w.strange != nil || w.now < l.ready {
				return false
			}
			w.orphan = &holder{pid: l.pid, mark: w.pm2.mark, born: l.born, under: w.pid()}
			w.die(l, "another daemon has it")
			return true
		},
		func(s *sim) {
			if w := s.w; w.orphan != nil && w.orphan.under != 0 {
				w.orphan = nil
			}
		})
	kinds["files-used-up"].turns = 2
	kinds["two-daemons"].turns = 2
}

// expectsInVain says that the desired file expects what the application has never answered.
func (s *sim) expectsInVain() bool { return s.desired.Spec.Checks.Local.ExpectBody != "" }

// ends lets the application's process end, and says whether there was one.
func (w *world) ends(why string) bool {
	if w.app == nil {
		return false
	}
	w.die(w.app, why)
	return true
}
