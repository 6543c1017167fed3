package main

import (
	"fmt"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// life is one process of the application.
type life struct {
	pid  int
	born time.Duration
	// listens and ready are when it opens its port and when its answers are good; forever where that never comes.
	listens, ready time.Duration
	hung           bool // it takes connections and does not answer
	errors         bool // it answers 500
	deaf           bool // it runs and does not listen
	metrics        bool // what is left of a deaf one: it still listens where it shows its metrics
	moved          bool // it listens on another port than it should
	full           bool // it can open no more files: connections end at once
	tree           int64
}

// open says whether somebody listens on the application's port.
func (l *life) open(now time.Duration) bool {
	return l != nil && !l.deaf && !l.moved && now >= l.listens
}

func (l *life) id() string { return fmt.Sprintf("%d:%d", l.pid, l.born/(10*time.Millisecond)) }

// holder is a process on the application's port that is not the application's live one.
type holder struct {
	pid   int
	mark  string // an orphan bears the application's, a stranger that of another application under PM2
	under int    // another PM2 daemon of the same home, which would bring it back
	born  time.Duration
}

// strangersMark is the mark that PM2 gave to another application.
const strangersMark = "mark-2"

// exit is one end of a life as PM2's log has it.
type exit struct {
	wall    time.Time
	planned bool
}

// pm2 is the process manager.
type pm2 struct {
	up, hung  bool
	lost      bool // gone, it cannot be brought back by evenkeel
	listed    bool
	state     runtime.State
	lying     bool // it says online, and its process is dead
	noRestart bool // autorestart is off
	restarts  int64
	young     int           // lives in a row that ended within a second
	backoff   bool          // it waits longer before each restart
	delay     time.Duration // for so long now
	mark      string
	saved     bool // what it runs comes back after a reboot
	exits     []exit
	stopAt    time.Time     // by the wall clock, as its log has it
	stopTrue  time.Duration // in truth
	standing  bool          // no start came after the stop
	byKeeper  bool          // the stop was ordered by evenkeel (the world knows; evenkeel has to find out)
	plan      int           // numbers planned restarts, so that one that was dropped does nothing
}

// conditions are what meets every new life of the application, until somebody changes it.
type conditions struct {
	starts   time.Duration // time from birth to the first good answer
	diesIn   time.Duration // crash loop: every life ends after this time; 0 means none
	hangs    bool          // every life hangs
	errors   bool          // every life answers 500
	cache    bool          // the cache is corrupt: every life ends at once
	cacheSay bool          // and its log says so
	// cacheFull says that the cache has filled the disk.
	cacheFull bool
	noBuild   bool // the build output is missing
	noModule  bool // a module is missing: every life ends at once, and its log says so
	noFolder  bool // the application's folder is gone
	moved     bool // it is told to listen on another port
	reads     int  // numbers what a start reads: another one where somebody has changed it
	dbErrors  bool // the database is down, and pages answer 500 because of it
	// needErrors: another thing that it needs is down, and pages answer 500 because of it; need is what its log says of it.
	needErrors bool
	need       facts.Need
}

// surroundings are the machine and the way to the public.
type surroundings struct {
	proxy, proxyBad, dns, cert, network bool // each: is broken
	// how says in which of its ways each looks; certUntil is until when the certificate is good, where that is soon.
	how       struct{ proxy, proxyBad, dns, cert, network, database, disk int }
	certUntil time.Time
	noEnv     bool // the database's configuration is gone
	hog       bool // another program takes the memory: so many bytes
	hogTakes  int64
	leak      bool // the application takes the memory, in this life
	leakAt    time.Duration
	squeezed  bool // another program keeps the application from a processor, and nobody else
	starved   bool // the machine is so slow that no look is to be trusted
	blind     bool // whose socket it is cannot be told
	unasked   bool // evenkeel itself can ask nothing at all
	diskShort bool // there is little room on the disk
	deploy    time.Duration
	deploying bool
	flaky     bool // every other answer is an error
}

// world is the machine without evenkeel.
type world struct {
	clock
	app     *life
	pm2     pm2
	cond    conditions
	env     surroundings
	orphan  *holder
	strange *holder
	disk    *disk
	pids    int
	// changed counts changes that a look could see; two looks at the same count see the same.
	changed int
	// wellSince is since when the application has been well without a break; forever while it is not.
	wellSince time.Duration
	// faultSince is when a fault of somebody else last began or ended.
	faultSince time.Duration
	onDeath    func(l *life, why string)
	log        func(format string, args ...any)
}

func newWorld() *world {
	w := &world{disk: newDisk(), wellSince: forever, pids: 1000}
	w.onDeath = func(*life, string) {}
	w.log = func(string, ...any) {}
	w.cond.starts = 3 * time.Second
	w.pm2 = pm2{up: true, listed: true, state: runtime.Stopped, mark: "mark-1", saved: true}
	w.boots = 1
	w.spawn()
	return w
}

func (w *world) note(format string, args ...any) {
	w.changed++
	if format != "" {
		w.log(format, args...)
	}
	w.reckon()
}

func (w *world) pid() int { w.pids++; return w.pids }

// well says whether a visitor on this machine gets a good answer from the application itself.
func (w *world) well() bool {
	a := w.app
	return a != nil && !a.hung && !a.errors && !a.deaf && !a.moved && !a.full && w.now >= a.ready && w.orphan == nil && w.strange == nil &&
		!w.cond.dbErrors && !w.cond.needErrors && !w.env.starved && !w.env.squeezed && !w.env.flaky
}

// served says whether the world gets the site. An orphan serves too, if old pages.
func (w *world) served() bool {
	local := w.well() || w.orphan != nil
	e := &w.env
	return local && !e.proxy && !e.proxyBad && !e.dns && !e.cert && !e.network
}

// reckon keeps since when the application has been well. It is called after every change.
func (w *world) reckon() {
	switch {
	case !w.well():
		w.wellSince = forever
	case w.wellSince == forever:
		w.wellSince = w.now
	}
}

// spawn lets PM2 make a new life of the application.
func (w *world) spawn() {
	p := &w.pm2
	l := &life{pid: w.pid(), born: w.now, tree: 180 << 20}
	l.listens, l.ready = w.now+min(800*time.Millisecond, w.cond.starts), w.now+w.cond.starts
	w.app = l
	p.state, p.lying, p.standing, p.byKeeper = runtime.Running, false, false, false
	dies, why := time.Duration(0), ""
	switch {
	case w.orphan != nil || w.strange != nil:
		dies, why = 1500*time.Millisecond, "EADDRINUSE"
	case w.cond.noFolder:
		dies, why = 300*time.Millisecond, "no folder"
	case w.cond.noModule:
		dies, why = 400*time.Millisecond, "a module is missing"
	case w.cond.noBuild:
		dies, why = 1200*time.Millisecond, "no build"
	case w.cond.cache:
		dies, why = 1500*time.Millisecond, "broken cache"
	case w.cond.diesIn > 0:
		dies, why = w.cond.diesIn, "crash loop"
	}
	if dies > 0 {
		l.listens, l.ready = forever, forever
		if dies > time.Second {
			l.listens = w.now + 900*time.Millisecond
			if why == "EADDRINUSE" {
				l.listens = forever
			}
		}
		w.in(dies, func() { w.die(l, why) })
	}
	l.hung, l.errors, l.moved = w.cond.hangs, w.cond.errors, w.cond.moved
	w.note("pm2 starts the application (pid %d)", l.pid)
	for _, at := range []time.Duration{l.listens, l.ready} {
		if at != forever {
			w.in(at-w.now, func() { w.changed++; w.reckon() })
		}
	}
	// Ages at which a look may say something else.
	for _, age := range []time.Duration{time.Minute, 10 * time.Minute} {
		w.in(age, func() { w.changed++ })
	}
}

// die ends a life that nobody wanted to end, and lets PM2 do what it does then.
func (w *world) die(l *life, why string) {
	if w.app != l {
		return
	}
	p := &w.pm2
	w.app = nil
	w.env.leak = false
	w.onDeath(l, why)
	if !p.up {
		w.note("the application dies (%s)", why)
		return
	}
	p.exits = append(p.exits, exit{wall: w.wall()})
	if over := len(p.exits) - 50; over > 0 {
		p.exits = append(p.exits[:0], p.exits[over:]...)
	}
	if p.young < 2 { // in a loop everything changes all the time anyhow
		w.in(10*time.Minute, func() { w.changed++ })
	}
	switch {
	case p.state == runtime.Stopping:
		p.state = runtime.Stopped
	case p.noRestart:
		p.state = runtime.Stopped
	default:
		if w.now-l.born < time.Second {
			p.young++
		} else {
			p.young = 0
		}
		if p.young >= 16 {
			p.state, p.young = runtime.Errored, 0
			break
		}
		p.state = runtime.Waiting
		p.restarts++
		w.planStart(p.pause(w.now - l.born))
	}
	w.note("the application dies (%s); pm2: %s", why, p.state)
}

// pause is how long PM2 waits before its own restart after a life of that length.
func (p *pm2) pause(lived time.Duration) time.Duration {
	switch {
	case !p.backoff || lived > 30*time.Second:
		p.delay = 100 * time.Millisecond
	default:
		p.delay = min(max(p.delay, 100*time.Millisecond)*3/2, 15*time.Second)
	}
	return p.delay
}

// planStart lets PM2 start the application after a while, unless it is told otherwise until then.
func (w *world) planStart(after time.Duration) {
	w.pm2.plan++
	plan := w.pm2.plan
	w.in(after, func() {
		if p := &w.pm2; p.plan == plan && p.up && p.listed && w.app == nil {
			w.spawn()
		}
	})
}

// orderStop is `pm2 stop`; it gives the time until the application is gone. by says whether evenkeel ordered it.
func (w *world) orderStop(byKeeper bool) time.Duration {
	p := &w.pm2
	p.plan++
	p.young = 0
	p.stopAt, p.stopTrue, p.standing, p.byKeeper = w.wall(), w.now, true, byKeeper
	l := w.app
	if l == nil {
		p.state = runtime.Stopped
		w.note("pm2 stop: it was not running")
		return 20 * time.Millisecond
	}
	p.state = runtime.Stopping
	takes := 250 * time.Millisecond
	if l.hung {
		takes = 1600 * time.Millisecond // PM2's own SIGKILL
	}
	w.note("pm2 stop")
	w.in(takes, func() { w.stopped(l) })
	return takes
}

// stopped ends a life that PM2 was told to end.
func (w *world) stopped(l *life) {
	if w.app != l || w.pm2.state != runtime.Stopping {
		return
	}
	w.app = nil
	w.env.leak = false
	w.onDeath(l, "stopped")
	w.pm2.exits = append(w.pm2.exits, exit{wall: w.wall(), planned: true})
	w.pm2.state = runtime.Stopped
	w.note("the application is stopped")
}

// orderStart is `pm2 restart` of a row that is listed: what runs is ended first.
func (w *world) orderStart() {
	p := &w.pm2
	p.young = 0
	if l := w.app; l != nil {
		w.app = nil
		w.env.leak = false
		p.plan++
		p.exits = append(p.exits, exit{wall: w.wall(), planned: true})
		p.restarts++
		w.onDeath(l, "restarted")
	}
	p.state = runtime.Waiting
	p.standing, p.byKeeper = false, false
	w.note("pm2 start")
	w.planStart(150 * time.Millisecond)
}

// unplanned counts the exits that nobody asked for since a moment of the wall clock.
func (w *world) unplanned(since time.Time) int {
	n := 0
	for _, e := range w.pm2.exits {
		if !e.planned && !e.wall.Before(since) && !e.wall.After(w.wall().Add(time.Second)) {
			n++
		}
	}
	return n
}

// planned counts the exits that somebody asked for since a moment of the wall clock.
func (w *world) planned(since time.Time) int {
	n := 0
	for _, e := range w.pm2.exits {
		if e.planned && !e.wall.Before(since) && !e.wall.After(w.wall().Add(time.Second)) {
			n++
		}
	}
	return n
}

// available is the machine's available memory.
func (w *world) available() int64 {
	free := int64(1200 << 20)
	if w.env.hog {
		free -= w.env.hogTakes
	}
	if w.app != nil {
		free -= w.tree() - 180<<20
	}
	return max(free, 10<<20)
}

// tree is the memory of the application's processes: a leak grows by 100 MiB a minute, up to what there is.
func (w *world) tree() int64 {
	if w.app == nil {
		return 0
	}
	grown := int64(0)
	if w.env.leak {
		grown = min(int64((w.now-w.env.leakAt)/time.Minute)*(100<<20), 1150<<20)
	}
	return w.app.tree + grown
}

// shutDown ends everything on the machine; boot begins it anew.
func (w *world) shutDown() {
	if l := w.app; l != nil {
		w.app = nil
		w.onDeath(l, "reboot")
	}
	p := &w.pm2
	p.up, p.hung, p.lost = false, false, false
	p.plan++
	w.orphan, w.strange = nil, nil
	w.env.squeezed = false
	w.env.hog, w.env.leak, w.env.starved, w.env.deploying, w.env.blind, w.env.unasked = false, false, false, false, false, false
	w.note("the machine goes down")
}

func (w *world) boot(resurrect bool) {
	w.bootAt = w.now
	w.boots++
	w.note("the machine comes up")
	if resurrect {
		w.in(4*time.Second, func() { w.resurrect() })
	}
}

// resurrect is PM2 coming up with what it had saved: a row that was stopped is not started.
func (w *world) resurrect() {
	p := &w.pm2
	if p.up {
		return
	}
	p.up, p.hung, p.lost, p.young, p.restarts, p.listed = true, false, false, 0, 0, true
	p.exits, p.standing, p.byKeeper = nil, false, false
	if w.app == nil {
		w.spawn()
	}
	w.note("pm2 is back")
}

// killDaemon kills PM2 itself, and with it the application.
func (w *world) killDaemon() {
	w.pm2.up = false
	w.pm2.plan++
	if w.app != nil {
		w.die(w.app, "PM2's daemon was killed")
	}
	w.note("PM2's daemon is killed")
}

// signs are the known signs in the application's error log.
func (w *world) signs() []facts.Sign {
	var list []facts.Sign
	if w.cond.cache && w.cond.cacheSay {
		list = append(list, facts.SignCache)
	}
	if w.cond.dbErrors {
		list = append(list, facts.SignDatabase)
	}
	if w.cond.noModule {
		list = append(list, facts.SignModuleNotFound)
	}
	if w.orphan != nil || w.strange != nil {
		list = append(list, facts.SignAddressInUse)
	}
	return list
}
