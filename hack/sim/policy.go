package main

import (
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// guard is somebody who watches over the application in a world. Two models of what people use stand beside evenkeel, so
// that all meet the same faults.
type guard interface {
	// look is called every interval; it may act on the world, and says when to be called again.
	look(w *world) time.Duration
}

// score is what a policy has come to.
type score struct {
	Policy                                   string
	Lasted, Down                             time.Duration
	Restarts, Needless, Foreign, Deploy, Hit int
	Alerts                                   int
}

// availability is the share of time in which a visitor got the site, of the time in which the application could be blamed.
func (s score) availability() float64 { return 100 * (1 - s.Down.Hours()/s.Lasted.Hours()) }

// shell is the script of the mission as people write it: seven checks, seven steps, a cooldown, three attempts. It does not
// ask who is to blame, keeps its count in a variable, and begins anew with a full count when it is restarted.
type shell struct {
	score    *score
	last     time.Duration
	attempts int
	gaveUp   bool
}

func (p *shell) look(w *world) time.Duration {
	const interval, cooldown, most = time.Minute, 5 * time.Minute, 3
	public := w.served()
	port := w.orphan != nil || w.strange != nil || w.app.open(w.now)
	online := w.pm2.up && w.pm2.listed && w.pm2.state == runtime.Running
	ok := online && port && w.answers() && public && w.available() >= 100<<20 && w.app != nil
	switch {
	case ok:
		p.attempts, p.gaveUp = 0, false
	case p.gaveUp, w.now-p.last < cooldown && p.last > 0:
	case p.attempts >= most:
		p.gaveUp = true
		p.score.Alerts++
	default:
		p.attempts++
		p.last = w.now
		w.orphan = nil // pkill node ends every node process there is, the orphan too
		w.pm2.lying = false
		w.cond.cache = false
		p.score.restart(w)
	}
	return interval
}

// anyFailure restarts whenever a check of the site fails three times in a row, as Monit, a container's health check with
// autoheal, or a liveness probe that asks the public address do; with a back-off up to five minutes, for ever.
type anyFailure struct {
	score   *score
	row     int
	backoff time.Duration
	not     time.Duration
	told    bool
}

func (p *anyFailure) look(w *world) time.Duration {
	const interval = 20 * time.Second
	if w.served() && w.answers() {
		if p.row = 0; p.told {
			p.score.Alerts++
			p.told = false
		}
		if w.now > p.not+10*time.Minute {
			p.backoff = 0
		}
		return interval
	}
	if p.row++; p.row < 3 || w.now < p.not {
		return interval
	}
	p.row = 0
	if !p.told {
		p.score.Alerts++
		p.told = true
	}
	p.backoff = min(max(2*p.backoff, 20*time.Second), 5*time.Minute)
	p.not = w.now + time.Minute + p.backoff
	p.score.restart(w)
	return interval
}

// answers says whether a request to the port brings something good, whoever answers.
func (w *world) answers() bool { return w.well() || w.orphan != nil || w.strange != nil }

// restart is `pm2 restart`, and notes what it cost.
func (s *score) restart(w *world) {
	s.note(w)
	if p := &w.pm2; p.up && (p.listed || w.app == nil) && !p.hung {
		p.listed = true
		w.orderStart()
	}
}

// note counts a restart that is about to happen: was it needed? One that was not is counted once, under the first that fits.
func (s *score) note(w *world) {
	s.Restarts++
	e := &w.env
	well := w.well() && !e.leak
	way := e.proxy || e.proxyBad || e.dns || e.cert || e.network || e.hog || e.noEnv
	switch {
	case e.deploying:
		s.Deploy++
	case w.pm2.standing && !w.pm2.byKeeper:
		s.Hit++
	case well && way, w.cond.dbErrors, w.cond.moved, e.starved, e.squeezed:
		s.Foreign++
	case well:
		s.Needless++
	}
}
