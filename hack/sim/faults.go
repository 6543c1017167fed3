package main

import (
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// whose says at whose door a fault lies.
type whose int

const (
	own      whose = iota // the application's
	foreign               // somebody else's: a restart of the application does not help
	operator              // what people do
	machine               // reboots, clocks, evenkeel's own end
)

// kind is a kind of fault.
type kind struct {
	name  string
	whose whose
	// begin lets it happen, and says whether anything has: a process that is not there does not crash. end is what its end
	// brings, if anything.
	begin func(s *sim, e *Entry) bool
	end   func(s *sim, e *Entry)
	// length bounds how long it lasts.
	least, most time.Duration
	// turns is how often its turn comes in a round of all kinds (see kindsInTurn); 0 is 1. What often comes to nothing, because
	// what it needs is seldom there, has more.
	turns int
	// expect is what evenkeel has to make of it where nothing else is wrong; see liveness.go.
	expect expectation
	blame  string
	// needsStart says that it is mended by the start in the spec, and is not judged where there is none.
	needsStart bool
}

// kinds are all kinds of faults, by name; names lists them in order.
var kinds = map[string]*kind{}

func names() []string {
	var list []string
	for name := range kinds {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func add(k kind) { kinds[k.name] = &k }

// alive does something to the application's process, if there is one.
func alive(do func(w *world, l *life, e *Entry) bool) func(s *sim, e *Entry) bool {
	return func(s *sim, e *Entry) bool {
		l := s.w.app
		if l == nil || !do(s.w, l, e) {
			return false
		}
		s.w.note("")
		return true
	}
}

// always is a beginning that something comes of whatever there is.
func always(do func(s *sim, e *Entry)) func(s *sim, e *Entry) bool {
	return func(s *sim, e *Entry) bool { do(s, e); return true }
}

// set switches something on, and says whether it was off.
func set(what *bool) bool {
	was := *what
	*what = true
	return !was
}

// switched is a fault that is one switch.
func switched(which func(w *world) *bool) (begin func(s *sim, e *Entry) bool, end func(s *sim, e *Entry)) {
	return func(s *sim, _ *Entry) bool { defer s.w.note(""); return set(which(s.w)) },
		func(s *sim, _ *Entry) { *which(s.w) = false; s.w.note("") }
}

func addFlag(k kind, which func(w *world) *bool) {
	k.begin, k.end = switched(which)
	add(k)
}

func init() {
	addLives()
	addConditions()
	addSurroundings()
	addWay()
	addHeld()
	addRuntime()
	addOperators()
	addMachine()
}

// addLives are faults of one life of the application: a new one is free of them.
func addLives() {
	add(kind{name: "crash", whose: own, expect: nothing, begin: alive(func(w *world, l *life, _ *Entry) bool { w.die(l, "crash"); return true })})
	add(kind{name: "exit-for-good", whose: own, expect: mended, least: time.Second, most: time.Second,
		begin: func(s *sim, _ *Entry) bool {
			s.w.pm2.noRestart = true
			return s.w.ends("exit")
		},
		end: func(s *sim, _ *Entry) { s.w.pm2.noRestart = false }})
	add(kind{name: "errored", whose: own, expect: mended, begin: alive(func(w *world, l *life, _ *Entry) bool {
		w.pm2.noRestart = true
		w.die(l, "too many unstable restarts")
		w.pm2.noRestart, w.pm2.state = false, runtime.Errored
		return true
	})})
	add(kind{name: "lie", whose: own, expect: mended, begin: alive(func(w *world, l *life, _ *Entry) bool {
		w.app, w.env.leak = nil, false
		w.pm2.state, w.pm2.lying = runtime.Running, true
		w.onDeath(l, "unseen by pm2")
		return true
	})})
	add(kind{name: "hang", whose: own, expect: mended, begin: alive(func(_ *world, l *life, _ *Entry) bool { return set(&l.hung) })})
	// Three seconds in which it does not answer, and evenkeel's next look falls into them.
	add(kind{name: "pause-3s", whose: own, expect: nothing, turns: 2, begin: func(s *sim, _ *Entry) bool {
		w, wait := s.w, time.Duration(0)
		if s.k != nil && !s.k.busy() {
			wait = min(s.k.wakeAt-w.now-time.Second, time.Minute)
		}
		w.in(wait, func() {
			l := w.app
			if l == nil || l.hung {
				return
			}
			l.hung = true
			w.note("it pauses")
			w.in(3*time.Second, func() { l.hung = w.cond.hangs; w.note("") })
		})
		return w.app != nil && !w.app.hung
	}})
	add(kind{name: "errors", whose: own, expect: mended, begin: alive(func(_ *world, l *life, _ *Entry) bool { return set(&l.errors) })})
	add(kind{name: "deaf", whose: own, expect: mended, begin: alive(func(_ *world, l *life, e *Entry) bool {
		l.metrics = e.Alone && e.N%2 == 0 // whoever has lost its record cannot know that this one has listened
		return set(&l.deaf)
	})})
	add(kind{name: "leak", whose: own, expect: mended, least: time.Hour, most: time.Hour, begin: func(s *sim, _ *Entry) bool {
		w := s.w
		if w.app == nil || w.env.leak {
			return false
		}
		w.env.leak, w.env.leakAt = true, w.now
		var grow func()
		grow = func() {
			if w.env.leak {
				w.changed++
				w.in(time.Minute, grow)
			}
		}
		grow()
		return true
	}, end: func(s *sim, _ *Entry) { s.w.env.leak = false; s.w.changed++ }})
	add(kind{name: "orphan", whose: own, expect: mended, begin: alive(func(w *world, l *life, _ *Entry) bool {
		if w.orphan != nil || w.strange != nil || w.now < l.ready {
			return false
		}
		w.orphan = &holder{pid: l.pid, mark: w.pm2.mark, born: l.born}
		w.die(l, "its wrapper was killed; the server lives on")
		return true
	})})
}

// addConditions are faults that every new life meets.
func addConditions() {
	hours := func(k kind) kind { k.least, k.most = 40*time.Minute, 3*time.Hour; return k }
	k := hours(kind{name: "hang-always", whose: own, expect: failed})
	k.begin = func(s *sim, _ *Entry) bool {
		began := set(&s.w.cond.hangs)
		if s.w.app != nil {
			s.w.app.hung = true
		}
		s.w.note("")
		return began
	}
	k.end = func(s *sim, _ *Entry) { s.w.cond.hangs = false; s.w.changed++ }
	add(k)
	k = hours(kind{name: "errors-always", whose: own, expect: failed})
	k.begin = func(s *sim, _ *Entry) bool {
		began := set(&s.w.cond.errors)
		if s.w.app != nil {
			s.w.app.errors = true
		}
		s.w.note("")
		return began
	}
	k.end = func(s *sim, _ *Entry) { s.w.cond.errors = false; s.w.changed++ }
	add(k)
	k = hours(kind{name: "crash-loop", whose: own, expect: failed})
	k.begin = always(func(s *sim, e *Entry) {
		s.w.cond.diesIn = []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 8 * time.Second, 40 * time.Second}[e.N%4]
		s.w.pm2.backoff = e.N/4%4 == 1
		if s.w.app != nil {
			s.w.die(s.w.app, "crash loop")
		}
	})
	k.end = func(s *sim, _ *Entry) { s.w.cond.diesIn, s.w.pm2.backoff = 0, false; s.w.changed++ }
	add(k)
	add(kind{name: "cache-corrupt", whose: own, expect: mended, begin: func(s *sim, e *Entry) bool {
		began := set(&s.w.cond.cache)
		s.w.cond.cacheSay = e.N%2 == 0
		return s.w.ends("broken cache") || began
	}})
	add(kind{name: "cache-fills-disk", whose: own, expect: mended, begin: func(s *sim, _ *Entry) bool {
		defer s.w.note("its cache fills the disk")
		return set(&s.w.cond.cacheFull)
	}})
	add(kind{name: "slow-start", whose: own, expect: nothing, least: 2 * time.Minute, most: 5 * time.Minute, begin: always(func(s *sim, e *Entry) {
		s.w.cond.starts = 20*time.Second + time.Duration(e.N%30)*time.Second
		s.w.ends("crash")
	}), end: func(s *sim, _ *Entry) { s.w.cond.starts = 3 * time.Second }})
	add(kind{name: "too-slow-start", whose: own, least: 10 * time.Minute, most: time.Hour, begin: always(func(s *sim, e *Entry) {
		s.w.cond.starts = 70*time.Second + time.Duration(e.N%60)*time.Second
		s.w.ends("crash")
	}), end: func(s *sim, _ *Entry) { s.w.cond.starts = 3 * time.Second }})
	add(kind{name: "flaky", whose: own, least: time.Minute, most: 40 * time.Minute, begin: func(s *sim, _ *Entry) bool {
		if !set(&s.w.env.flaky) {
			return false
		}
		var tick func()
		tick = func() {
			if s.w.env.flaky {
				s.w.changed++
				s.w.in(7*time.Second, tick)
			}
		}
		tick()
		return true
	}, end: func(s *sim, _ *Entry) { s.w.env.flaky = false; s.w.note("") }})
}

// addSurroundings are faults of somebody else.
func addSurroundings() {
	// Another program takes the memory; or it leaves a little, of which the application takes a part, as it does at times.
	add(kind{name: "hog", whose: foreign, expect: held, blame: "Memory", least: 5 * time.Minute, most: 4 * time.Hour,
		begin: func(s *sim, e *Entry) bool {
			w := s.w
			began := set(&w.env.hog)
			w.env.hogTakes = 1150 << 20
			if w.app != nil && e.N%2 == 1 {
				w.env.hogTakes, w.app.tree = 1090<<20, 230<<20
			}
			w.note("")
			return began
		},
		end: func(s *sim, _ *Entry) { s.w.env.hog = false; s.w.note("") }})
	addFlag(kind{name: "starved", whose: foreign, least: time.Minute, most: 40 * time.Minute}, func(w *world) *bool { return &w.env.starved })
	// Ten minutes, and one recovery is tried; before that it is nobody's fault but the other program's.
	addFlag(kind{name: "squeezed", whose: foreign, expect: held, blame: "Host", least: 2 * time.Minute, most: 9 * time.Minute}, func(w *world) *bool { return &w.env.squeezed })
	// Whose socket it is cannot be told, or nothing at all can be asked.
	add(kind{name: "blind", whose: foreign, expect: nothing, least: time.Minute, most: time.Hour,
		begin: func(s *sim, e *Entry) bool {
			defer s.w.note("")
			s.w.env.unasked = e.N%2 == 1
			return set(&s.w.env.blind)
		},
		end: func(s *sim, _ *Entry) { s.w.env.blind, s.w.env.unasked = false, false; s.w.note("") }})
	add(kind{name: "stranger", whose: foreign, expect: held, blame: "Port", least: 10 * time.Minute, most: 3 * time.Hour,
		begin: func(s *sim, _ *Entry) bool {
			w := s.w
			if w.strange != nil || w.orphan != nil {
				return false
			}
			w.strange = &holder{pid: w.pid(), mark: strangersMark, born: w.now}
			w.ends("its port is taken")
			w.note("")
			return true
		},
		end: func(s *sim, _ *Entry) { s.w.strange = nil; s.w.note("the stranger leaves") }})
	add(kind{name: "deploy", whose: foreign, expect: quiet, least: 2 * time.Minute, most: 15 * time.Minute, begin: always(deployBegins), end: func(s *sim, _ *Entry) {
		s.w.env.deploying, s.w.cond.noBuild = s.under("deploy-hangs"), false
		if s.w.pm2.up && s.w.pm2.listed && !s.w.pm2.hung {
			s.w.orderStart() // as a deploy script does
		}
		s.w.note("")
	}})
	add(kind{name: "deploy-fails", whose: foreign, expect: held, blame: "Config", least: 30 * time.Minute, most: 2 * time.Hour, begin: always(func(s *sim, e *Entry) {
		deployBegins(s, e)
		s.w.in(3*time.Minute, func() {
			s.w.env.deploying = s.under("deploy", "deploy-hangs")
			if l := s.w.app; l != nil && e.N%2 == 0 {
				s.w.die(l, "its build is gone")
			}
			s.w.note("the deploy has failed: no build")
		})
	}), end: func(s *sim, _ *Entry) {
		s.w.cond.noBuild = s.under("deploy", "deploy-hangs")
		s.w.note("")
	}})
	add(kind{name: "deploy-hangs", whose: foreign, expect: quiet, least: 20 * time.Minute, most: 2 * time.Hour, begin: always(func(s *sim, e *Entry) {
		s.w.env.deploying, s.w.env.deploy = true, s.w.now
		if l := s.w.app; l != nil && e.N%2 == 0 {
			s.w.die(l, "the deploy")
		}
		s.w.note("")
	}), end: func(s *sim, _ *Entry) {
		s.w.env.deploying = s.under("deploy")
		s.w.cond.noBuild = s.w.cond.noBuild && s.under("deploy", "deploy-fails") // whoever ends it sees to the build
		s.w.note("")
	}})
}

func deployBegins(s *sim, _ *Entry) {
	s.w.env.deploying, s.w.env.deploy, s.w.cond.noBuild = true, s.w.now, true
	s.w.cond.reads++
	s.w.note("")
}

// addRuntime are PM2's own faults.
func addRuntime() {
	addFlag(kind{name: "pm2-hangs", whose: foreign, least: time.Minute, most: time.Hour, expect: nothing}, func(w *world) *bool { return &w.pm2.hung })
	add(kind{name: "pm2-killed", whose: own, expect: mended, begin: func(s *sim, _ *Entry) bool {
		up := s.w.pm2.up
		s.w.killDaemon()
		return up
	}})
	add(kind{name: "pm2-killed-under-npm", whose: own, expect: mended, begin: alive(func(w *world, l *life, _ *Entry) bool {
		if !w.pm2.up || w.orphan != nil || w.strange != nil || w.now < l.ready {
			return false
		}
		w.orphan = &holder{pid: l.pid, mark: w.pm2.mark, born: l.born}
		w.killDaemon() // and with it npm; the server below it lives on
		return true
	})})
	add(kind{name: "pm2-gone", whose: foreign, expect: held, blame: "Runtime", least: 10 * time.Minute, most: 3 * time.Hour,
		begin: func(s *sim, _ *Entry) bool {
			up := s.w.pm2.up
			s.w.pm2.lost = true
			s.w.killDaemon()
			return up
		},
		end: func(s *sim, _ *Entry) { s.w.resurrect() }})
	// It is taken out of PM2's list: by an operator, as PM2's log says, or because the list was emptied otherwise.
	for name, by := range map[string]struct {
		whose  whose
		expect expectation
	}{"pm2-delete": {operator, respected}, "not-listed": {foreign, mended}} {
		add(kind{name: name, whose: by.whose, expect: by.expect, needsStart: true, least: time.Hour, most: 3 * time.Hour,
			begin: func(s *sim, _ *Entry) bool { return unlist(s, by.whose == operator) },
			end: func(s *sim, _ *Entry) {
				if p := &s.w.pm2; p.up && !p.listed {
					p.listed = true
					s.w.orderStart()
				}
			}})
	}
}

func unlist(s *sim, byHand bool) bool {
	p := &s.w.pm2
	if !p.up || !p.listed {
		return false
	}
	if l := s.w.app; l != nil {
		s.w.app, s.w.env.leak = nil, false
		s.w.onDeath(l, "pm2 delete")
	}
	p.plan++
	stopped := p.standing && !p.byKeeper // by hand, before: who takes it out of the list then stops nothing
	p.listed, p.state, p.standing = false, runtime.Stopped, byHand
	if byHand && !stopped {
		p.stopAt, p.stopTrue, p.byKeeper = s.w.wall(), s.w.now, false
		s.check.stoppedByHand()
	}
	s.w.note("pm2 delete")
	return true
}
