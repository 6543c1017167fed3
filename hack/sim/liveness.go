package main

import (
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
)

// expectation is what evenkeel has to make of a fault where nothing else is wrong.
type expectation int

const (
	anything  expectation = iota // no single right answer
	nothing                      // it passes by itself: no recovery
	mended                       // a recovery mends it, within minutes
	failed                       // nothing mends it: Failed, with an alert
	held                         // it is another's: a hold with the right blame, no recovery, and well again when it ends
	quiet                        // no recovery
	respected                    // an operator's stop: left alone for respectStop, then started
)

// liveness holds the invariants that speak of time: what must happen, and until when.
type liveness struct {
	upSince    time.Duration
	saidAt     time.Duration // the last alert, or the last start of a recovery
	badSince   time.Duration // since when a fault that a recovery mends has stood, with nothing against a recovery
	goodSince  time.Duration // since when nothing at all has been wrong
	downSince  time.Duration // since when the application has been down and held
	stuckSince time.Duration // since when a fault of its own that nothing mends has stood alone
	hitAt      time.Duration
	// loopedUntil is when the last crash loop ended. Whoever counts exits in ten minutes cannot know that it has.
	loopedUntil time.Duration
	tickAt      time.Duration
	settledAt   time.Duration // the last step in which the phase changed, or a recovery was under way
	hour        hour
	deaths      int // of processes of the application
	watched     *watch
}

func (l *liveness) init() {
	l.loopedUntil = -forever
	l.badSince, l.goodSince, l.downSince, l.stuckSince, l.tickAt = forever, forever, forever, forever, 0
}

// watch is a fault that happened alone, and what came of it.
type watch struct {
	a        *active
	begins   []begin
	phases   []v1alpha1.Phase
	blames   []v1alpha1.Blame // of verdicts that held
	told     []v1alpha1.Blame // while it lasted
	failed   bool
	finalAt  time.Duration
	disturbs bool
}

// begin is a recovery that a fault has cost.
type begin struct {
	at      time.Duration
	atLimit bool
}

// firstAfter is how long after the fault the first recovery began; 0 where none did.
func (w *watch) firstAfter() time.Duration {
	if len(w.begins) == 0 {
		return 0
	}
	return w.begins[0].at - w.a.from
}

const (
	tickEvery = time.Minute
	margin    = 10 * time.Minute
)

func (c *checker) nextAt() time.Duration { return c.tickAt }

// note is told of every step.
func (l *liveness) note(r *v1alpha1.AppStatus, begun bool, now time.Duration) {
	if r.Recovery.Open() || r.Cooldown != nil {
		l.settledAt = now
	}
	if w := l.watched; w != nil {
		if begun {
			attempts := r.Incident.Attempts
			w.begins = append(w.begins, begin{now, attempts[len(attempts)-1].AtHoldLimit})
		}
		if !slices.Contains(w.phases, r.Phase) {
			w.phases = append(w.phases, r.Phase)
		}
		if v := r.Verdict; v != nil && v.Remedy == v1alpha1.RemedyHold && r.Phase == v1alpha1.PhaseDegraded && !slices.Contains(w.blames, v.Blame) {
			w.blames = append(w.blames, v.Blame)
		}
		w.failed = w.failed || r.Phase == v1alpha1.PhaseFailed
	}
}

// struck and over are told when a fault begins and ends.
func (c *checker) struck(a *active) {
	c.hitAt = c.s.w.now
	if a.kind.whose == foreign {
		c.s.w.faultSince = c.s.w.now
	}
	if w := c.watched; w != nil && c.s.w.now < w.finalAt {
		w.disturbs = true
	}
	r := c.s.desired
	if a.entry.Alone && c.s.k != nil && c.s.k.status.Phase == v1alpha1.PhaseHealthy && c.s.k.status.Incident == nil && c.s.w.well() && len(c.s.active) == 1 && !r.Spec.Paused && !r.Spec.Observes() {
		c.watched = &watch{a: a, finalAt: a.till + 15*time.Minute}
	}
}

func (c *checker) over(a *active) {
	c.hitAt = c.s.w.now
	if a.kind.name == "crash-loop" {
		c.loopedUntil = c.s.w.now
	}
	if a.kind.whose == foreign {
		c.s.w.faultSince = c.s.w.now
	}
}

func (c *checker) died(*life, string) { c.deaths++ }

// mostWrites is how often the record may be written in an hour in which nothing has happened: six times for words that
// change, and a reminder or two. What is begun is counted as a whole hour, so that a recovery may be proven to hold, too.
const mostWrites = 8

// hourly bounds what evenkeel does while nothing happens: it writes where something has changed, and does not look more
// often than the spec says. Every new process of an application that comes and goes is a change.
func (c *checker) hourly() {
	s, w := c.s, c.s.w
	lasted := w.now - c.hour.began
	if lasted < time.Hour {
		return
	}
	was := c.hour
	c.hour = hour{began: w.now, writes: s.writes, passes: s.passes, deaths: c.deaths}
	if s.k == nil || max(c.hitAt, c.upSince, c.lastClockSet, c.settledAt) >= was.began {
		return
	}
	hours := int(lasted/time.Hour) + 1
	if n, most := s.writes-was.writes, hours*mostWrites+c.deaths-was.deaths; n > most {
		s.fail("nothing has happened for %s, and the record was written %d times; %d would do", lasted, n, most)
	}
	spec := &s.desired.Spec
	if n, most := s.passes-was.passes, int(lasted/min(spec.Interval.Duration, spec.ConfirmInterval.Duration))+hours; n > most {
		s.fail("nothing has happened for %s, and %d passes were made; the spec leads to %d at most", lasted, n, most)
	}
}

// hour is what had been done when an hour began.
type hour struct {
	began                  time.Duration
	writes, passes, deaths int
}

// tick looks at the truth, once a minute.
func (c *checker) tick() {
	s, w := c.s, c.s.w
	if w.now < c.tickAt {
		return
	}
	c.tickAt = w.now + tickEvery
	if s.k != nil && len(s.active) == 0 && s.k.status.Phase == v1alpha1.PhaseHealthy && w.well() && w.now-c.hitAt > 3*time.Hour && c.watched == nil && c.ordered == nil {
		c.tickAt = min(w.now+time.Hour, max(w.upcoming(), c.tickAt)) // nothing is going on
	}
	c.finish()
	c.hourly()
	up := s.k != nil
	if !up && s.startAt == forever && !s.off {
		s.fail("evenkeel has ended, and nobody starts it")
	}
	if c.ordered != nil && up {
		if c.ordered.up += tickEvery; c.ordered.up > 5*time.Minute {
			s.fail("an operator's order (%s) was saved %s ago and is not taken", c.ordered.phase, w.now-c.ordered.since)
		}
	}
	if c.needStart != "" && up && w.now-max(c.needSince, c.upSince) > 5*time.Minute {
		s.fail("the application was stopped by evenkeel %s ago and was not started", w.now-c.needSince)
	}
	if !up {
		c.badSince, c.goodSince, c.downSince, c.stuckSince = forever, forever, forever, forever
		return
	}
	r, app := &s.k.status, s.k.app
	paused := controller.Paused(app, w.instant()) || app.Spec.Observes()
	c.good(r, app)
	c.bad(r, app, paused)
	c.reminded(r, app, paused)
	c.stuck(r, app, paused)
}

func since(mark *time.Duration, now time.Duration, holds bool) time.Duration {
	switch {
	case !holds:
		*mark = forever
		return 0
	case *mark == forever:
		*mark = now
	}
	return now - *mark
}

// foreignStands says that something is wrong that is not the application's own.
func (s *sim) foreignStands() bool {
	w := s.w
	e, c, p := &w.env, &w.cond, &w.pm2
	return e.proxy || e.proxyBad || e.dns || e.cert || e.network || e.noEnv || e.hog || e.starved || e.squeezed || w.disk.full || e.diskShort ||
		e.blind || e.deploying || c.noModule || c.noFolder || c.moved || s.expectsInVain() || (w.app != nil && w.app.moved) || (w.orphan != nil && w.orphan.under != 0) || (w.app != nil && w.app.full) ||
		c.noBuild || c.dbErrors || c.needErrors || w.strange != nil || (!p.up && p.lost) || p.hung || (!p.listed && s.desired.Spec.Runtime.PM2.Start == "")
}

// clear says that nothing that a recovery cannot mend is wrong.
func (s *sim) clear() bool {
	c := &s.w.cond
	return !s.foreignStands() && !c.cacheFull && !s.w.env.flaky && !c.hangs && !c.errors && c.diesIn == 0 && c.starts < time.Minute &&
		!s.under("killed-often", "exit-for-good") && !s.off
}

// good: where nothing is wrong, evenkeel is in Healthy within the cooldown and a little, or in Failed for a reason.
func (c *checker) good(r *v1alpha1.AppStatus, app *v1alpha1.App) {
	s, w := c.s, c.s.w
	lasted := since(&c.goodSince, w.now, s.clear() && w.well() && !w.env.leak && c.hitAt <= w.now-time.Minute)
	cooldown := time.Duration(0)
	if r.Cooldown != nil {
		cooldown = r.Cooldown.Length.Duration
	}
	if lasted < cooldown+margin || w.now-c.upSince < cooldown+margin || w.now-c.hitAt < cooldown+margin {
		return
	}
	switch r.Phase {
	case v1alpha1.PhaseHealthy:
	case v1alpha1.PhaseFailed:
		if app.Spec.Recovery.LeaveFailed == v1alpha1.LeaveFailedWhenHealthy && !r.StoodDown && lasted > app.Spec.Recovery.ProvenAfter.Duration+margin &&
			w.now-c.upSince > app.Spec.Recovery.ProvenAfter.Duration+margin {
			s.fail("all is well for %s, and Failed is not left although the spec allows it", lasted)
		}
	default:
		s.fail("nothing is wrong for %s, and evenkeel is in %s", lasted, r.Phase)
	}
}

// bad: what a recovery mends is mended, where nothing stands against it.
func (c *checker) bad(r *v1alpha1.AppStatus, app *v1alpha1.App, paused bool) {
	s, w := c.s, c.s.w
	lasted := since(&c.badSince, w.now, s.clear() && !w.well() && !paused && r.Phase != v1alpha1.PhaseFailed)
	// A stop of evenkeel's own that it cannot tell from an operator's is respected for as long.
	bound := margin + 2*app.Spec.Interval.Duration + app.Spec.Recovery.RespectStop.Duration
	if r.Cooldown != nil {
		bound += r.Cooldown.Length.Duration
	}
	spent := r.Hold != nil && r.Incident != nil && r.Incident.Spent >= app.Spec.Recovery.MaxAttempts // a hold never gives up; it reminds
	if lasted > bound && w.now-c.upSince > bound && w.now-c.hitAt > bound && !seesNothing(app, w) && !spent {
		s.fail("the application is down for %s, a recovery would mend it, and nothing is done (%s)", lasted, r.Phase)
	}
}

// seesNothing: with the local check disabled a process that hangs or answers errors is not noticed; that was ordered.
func seesNothing(app *v1alpha1.App, w *world) bool {
	return app.Spec.Checks.Local.Disabled && w.app != nil && !w.app.deaf && w.orphan == nil
}

// reminded: an application that is down and held is not forgotten.
func (c *checker) reminded(r *v1alpha1.AppStatus, app *v1alpha1.App, paused bool) {
	s, w := c.s, c.s.w
	down := !w.well() && !seesNothing(app, w) && w.orphan == nil // an orphan serves the site, if old pages
	lasted := since(&c.downSince, w.now, down && !paused && r.Phase == v1alpha1.PhaseDegraded)
	if lasted > 75*time.Minute && w.now-c.saidAt > 75*time.Minute && w.now-c.upSince > 75*time.Minute && c.lastClockSet < w.now-75*time.Minute {
		rule := ""
		if r.Verdict != nil {
			rule = r.Verdict.Rule
		}
		s.fail("the application is down for %s, evenkeel holds (%s), and nobody was told for %s", lasted, rule, w.now-c.saidAt)
	}
}

// stuck: what nothing mends ends in Failed.
func (c *checker) stuck(r *v1alpha1.AppStatus, app *v1alpha1.App, paused bool) {
	s, w := c.s, c.s.w
	cond := w.cond
	own := (cond.hangs || cond.errors || cond.diesIn > 0) && !seesNothing(app, w)
	cond.hangs, cond.errors, cond.diesIn = false, false, 0
	was := w.cond
	w.cond = cond
	alone := s.clear()
	w.cond = was
	lasted := since(&c.stuckSince, w.now, own && alone && !w.well() && !paused && r.Phase != v1alpha1.PhaseFailed)
	rec := &app.Spec.Recovery
	each := rec.Cooldown.Duration + 5*time.Minute
	if r.Cooldown != nil {
		each = max(each, r.Cooldown.Length.Duration+5*time.Minute)
	}
	bound := time.Duration(rec.MaxAttempts+1)*each + margin
	if lasted > bound && w.now-c.hitAt > bound && w.now-c.upSince > bound {
		s.fail("a fault that nothing mends lasts for %s, and evenkeel is in %s", lasted, r.Phase)
	}
}

// mayBegin is how many recoveries a fault of somebody else may cost that strikes alone: one at its hold's limit, and one when
// it is over, where PM2 has given up by then.
var mayBegin = map[string]int{"stranger": 1, "database-down": 1, "service-down": 1, "names-down": 1, "cache-server-down": 1, "files-used-up": 1, "folder-gone": 1, "module-missing": 2, "moved-port": 1, "two-daemons": 1}

// alsoTold are blames that may be told beside a kind's own where it strikes alone, and why.
var alsoTold = map[string][]v1alpha1.Blame{
	"disk-full":    {""},                   // that the state cannot be written
	"deploy-fails": {v1alpha1.BlameDeploy}, // before it has failed
}

// finish judges what came of a fault that happened alone.
func (c *checker) finish() {
	s, w := c.s, c.watched
	if w == nil || s.w.now < w.finalAt {
		return
	}
	c.watched = nil
	if w.disturbs {
		return
	}
	k, e := w.a.kind, &w.a.entry
	spec := &s.desired.Spec
	if s.desired.Spec.Checks.Local.Disabled || spec.Checks.Memory.Restart == v1alpha1.MemoryRestartAlways || k.needsStart && spec.Runtime.PM2.Start == "" {
		return // these specs see, or want, something else
	}
	s.judged++
	switch k.expect {
	case nothing, quiet:
		if len(w.begins) > 0 {
			s.fail("%s needs no recovery, and %d were begun", k.name, len(w.begins))
		}
	case mended:
		if k.name == "leak" {
			if len(w.begins) == 0 && e.For >= time.Hour {
				s.fail("a leak was not mended")
			}
			return
		}
		if n := len(w.begins); n == 0 || n > 2 || w.firstAfter() > 3*spec.Interval.Duration+40*time.Second || !s.w.well() {
			s.fail("%s: %d recoveries, the first after %s, well: %v", k.name, n, w.firstAfter(), s.w.well())
		}
	case failed:
		if e.For > time.Duration(spec.Recovery.MaxAttempts)*(spec.Recovery.Cooldown.Duration+5*time.Minute)+margin && !w.failed {
			s.fail("%s lasted for %s, and evenkeel did not give up", k.name, e.For)
		}
		if n := len(w.begins); n > int(spec.Recovery.MaxAttempts) {
			s.fail("%s: %d recoveries", k.name, n)
		}
	case held:
		ask := 3*spec.Interval.Duration + 2*time.Minute
		if e.For > ask && (!slices.Contains(w.blames, v1alpha1.Blame(k.blame)) || !slices.Contains(w.told, v1alpha1.Blame(k.blame))) {
			s.fail("%s: the blame is %v, told is %v, and not %s", k.name, w.blames, w.told, k.blame)
		}
		for _, blame := range w.told {
			if blame != v1alpha1.Blame(k.blame) && !slices.Contains(alsoTold[k.name], blame) {
				s.fail("%s: told is %s, and the blame is %s", k.name, blame, k.blame)
			}
		}
		if n := len(w.begins); n > mayBegin[k.name] {
			s.fail("%s: %d recoveries", k.name, n)
		}
		for _, b := range w.begins {
			if !b.atLimit && b.at < w.a.till {
				s.fail("%s: a recovery begins %s after its beginning, and not at a hold's limit", k.name, b.at-w.a.from)
			}
		}
	case respected:
		respect := spec.Recovery.RespectStop.Duration
		if after := w.firstAfter(); after < respect || after > respect+3*time.Minute {
			s.fail("an operator's stop: %d recoveries, the first after %s", len(w.begins), after)
		}
	}
}
