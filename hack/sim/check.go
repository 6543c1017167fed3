package main

import (
	"slices"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/state"
)

// checker holds the invariants: what must be so after every step, whatever happens. It keeps its own books, which evenkeel
// cannot lose, and knows the truth about the world, which evenkeel cannot know.
type checker struct {
	s      *sim
	silent bool // nothing is judged

	// The books.
	lastStart    *v1alpha1.Instant // of the last automatic recovery, by the clocks that evenkeel can read
	lastStartAt  time.Duration     // and in truth
	lastCooldown time.Duration     // the cooldown that began with it
	begunID      string
	begunAt      v1alpha1.Instant
	stood        bool           // an operator's order to stand down is in force
	ordered      *orderBook     // an operator's order that was saved and not taken yet
	given        v1alpha1.Phase // the last order that was saved
	givenBefore  v1alpha1.Phase // and the one before
	powerCut     bool           // since the last write; what an editor had saved last may be gone
	onDisk       *v1alpha1.AppStatus
	writing      *v1alpha1.AppStatus
	before       *v1alpha1.AppStatus // what was on disk before that
	savedOver    bool                // an older state file was saved over that, and nothing was written since
	tampered     bool                // somebody has broken or removed the state file, and it was not written since
	amnesia      bool                // something that was not on disk was lost with evenkeel, or somebody broke its files
	unwritten    bool                // the last write failed
	needStart    string
	needSince    time.Duration
	started_     bool // the last start was not followed by a stop
	lastClockSet time.Duration
	stopAt       time.Duration // the operator's last own stop
	heldFrom     time.Duration // since when every look has led to a hold
	latest       *v1alpha1.Observation
	resetAt      time.Duration // the operator's last reset, or the loss of the record
	incidentAt   time.Duration // when the incident was opened
	attempts     attemptBook

	alertBook
	eventBook
	liveness
	sameInstant int
	lastInstant time.Duration
	writes      int
}

// orderBook is an order that was saved in the state file.
type orderBook struct {
	phase v1alpha1.Phase
	since time.Duration
	up    time.Duration // for how long evenkeel has run since then
}

func newChecker(s *sim) *checker {
	c := &checker{s: s, lastClockSet: -forever, stopAt: -forever, heldFrom: forever, resetAt: -forever}
	c.alertBook.init()
	c.liveness.init()
	return c
}

// started is told of what evenkeel has read at its start: nothing that was written may be forgotten.
func (c *checker) started(l *state.Loaded) {
	got := l.State.AppStatus
	c.amnesia = c.amnesia || c.tampered // until something is written that stays so
	if c.savedOver && !c.amnesia && !l.Lost {
		c.overSaved(&got)
	}
	if c.amnesia || l.Lost || l.Restored {
		if (l.Lost || l.Restored) && !c.amnesia {
			c.s.fail("the state was lost (lost %v, restored %v), and nobody had touched it", l.Lost, l.Restored)
		}
		c.stood, c.needStart = got.StoodDown, ""
		c.amnesia = false
		c.alertBook.lose()
		c.resetAt = c.s.w.now
		c.attempts.forget()
		c.lastStart = nil
	} else if c.onDisk != nil && !sameRecord(&got, c.onDisk) && (c.writing == nil || !sameRecord(&got, c.writing)) {
		c.s.fail("what was read at the start is not what was written: phase %s, written %s", got.Phase, c.onDisk.Phase)
	}
	c.owedAtStart(l, &got)
	c.unwritten = false
	if c.writing != nil && sameRecord(&got, c.writing) {
		c.before = c.onDisk
	}
	c.onDisk, c.writing = got.DeepCopy(), nil
	c.onDisk.Phase = got.ObservedPhase
	c.started_ = false
	c.upSince = c.s.w.now
	c.latest = nil
	// Between two boots only the clock on the wall is left, for us as for evenkeel.
	if c.lastStart != nil {
		at := c.lastStart.Rebase(c.s.w.instant())
		c.lastStart = &at
	}
	if c.begunID != "" {
		c.begunAt = c.begunAt.Rebase(c.s.w.instant())
	}
}

// overSaved: somebody's editor has saved an older state while evenkeel was down. One write is gone, and not more.
func (c *checker) overSaved(got *v1alpha1.AppStatus) {
	for _, written := range []*v1alpha1.AppStatus{c.before, c.onDisk, c.writing} {
		if written != nil && sameRecord(got, written) {
			c.amnesia = true // of what was in that write
			return
		}
	}
	c.s.fail("an older state file was saved while evenkeel was down, and its record was believed: phase %s, written %s", got.Phase, c.onDisk.Phase)
}

// saved is told what an editor is about to save.
func (c *checker) saved(doc []byte) {
	version := func(doc []byte) string { return string(versionValue.Find(doc)) }
	c.savedOver = c.savedOver || version(doc) != version(c.s.w.disk.content(statePath))
}

// sameRecord compares what decides; phase, force and conditions are evenkeel's to work out anew.
func sameRecord(a, b *v1alpha1.AppStatus) bool {
	return a.ObservedPhase == b.Phase && a.StoodDown == b.StoodDown && a.LastIncident == b.LastIncident &&
		apiequality.Semantic.DeepEqual(a.Incident, b.Incident) && apiequality.Semantic.DeepEqual(a.Cooldown, b.Cooldown) &&
		apiequality.Semantic.DeepEqual(a.Recovery, b.Recovery) && apiequality.Semantic.DeepEqual(a.Demand, b.Demand)
}

// gone: evenkeel has ended, or was killed. What could not be written is lost with it.
func (c *checker) gone() {
	if c.unwritten {
		c.amnesia = true
	}
}

func (c *checker) powerLost() { c.ordered, c.powerCut = nil, true }
func (c *checker) lost()      { c.tampered, c.ordered = true, nil }

func (c *checker) clockSet(time.Duration) { c.lastClockSet = c.s.w.now }

func (c *checker) orderSaved(phase v1alpha1.Phase, none bool) {
	c.ordered, c.given, c.givenBefore = nil, phase, c.given
	if !none && phase != v1alpha1.PhaseCooldown {
		c.ordered = &orderBook{phase: phase, since: c.s.w.now}
	}
}

// stoppedByHand notes the operator's own pm2 stop. One that comes while a step of evenkeel's gives orders, or within the
// slack of two seconds (and the second to which PM2's log is exact) after it, nobody could tell from evenkeel's own; nor one
// in the longest time that a step could have taken in which evenkeel died.
func (c *checker) stoppedByHand() {
	var rec *v1alpha1.Recovery
	if k := c.s.k; k != nil {
		rec = k.status.Recovery
	} else if c.onDisk != nil {
		rec = c.onDisk.Recovery
	}
	if rec == nil || !c.mayBeOurs(rec) {
		c.stopAt = c.s.w.now
	}
}

func (c *checker) mayBeOurs(rec *v1alpha1.Recovery) bool {
	now := c.s.w.instant()
	longest := c.s.k.appOr(c.s).Spec.Recovery.StopTimeout.Duration + 33*time.Second
	if rec.Step != "" && rec.Step != recovery.StepVerify && now.Since(*rec.StepAt) <= longest {
		return true
	}
	for n := range rec.Steps {
		s := &rec.Steps[n]
		took := s.Took.Duration + 3*time.Second
		if s.Outcome == v1alpha1.StepInterrupted {
			took = min(took, longest)
		}
		if s.Step != recovery.StepVerify && now.Since(s.StartedAt) <= took {
			return true
		}
	}
	return false
}

// observed is told of a finished pass.
func (c *checker) observed(recent []v1alpha1.Observation) { c.latest = &recent[len(recent)-1] }

// stepped is told of every step of the brain, before anything of it is written or done.
func (c *checker) stepped(before, after *v1alpha1.AppStatus, commands []controller.Command, in controller.Input) {
	now := c.s.w.now
	if now == c.lastInstant {
		if c.sameInstant++; c.sameInstant > 40 {
			c.s.fail("livelock: forty steps at one instant")
		}
	} else {
		c.lastInstant, c.sameInstant = now, 0
	}
	if in.Lost {
		c.resetAt = now
		c.attempts.forget()
	}
	c.tookOrder(before, in)
	if d := in.Done; d != nil && d.Step == recovery.StepStart && d.Outcome == v1alpha1.StepFailed {
		c.started_ = false // nothing was started
		if after.Recovery.Open() && after.Recovery.Stopped {
			c.needStart, c.needSince = after.Recovery.ID, now
		}
	}
	rec, was := after.Recovery, before.Recovery
	begun := rec != nil && (was == nil || was.ID != rec.ID)
	if begun && rec.Trigger == v1alpha1.TriggerAutomatic {
		c.mayBegin(before, after)
	}
	if begun && rec.Trigger == v1alpha1.TriggerOperator {
		c.stood = false
	}
	if rec != nil && !rec.Open() && was.Open() {
		c.ends(rec)
	}
	if c.stood && !rec.Open() && after.Phase != v1alpha1.PhaseFailed && !in.Started {
		c.s.fail("an operator stood evenkeel down, and it is in %s", after.Phase)
	}
	if after.Phase == v1alpha1.PhaseRecovering != rec.Open() && !in.Started {
		c.s.fail("phase %s, and a recovery is open: %v", after.Phase, rec.Open())
	}
	if i, b := after.Incident, before.Incident; i != nil && b != nil && i.Number == b.Number && i.Spent < b.Spent {
		c.s.fail("attempts were forgotten: %d, %d before", i.Spent, b.Spent)
	}
	if after.LastIncident < before.LastIncident {
		c.s.fail("incidents were forgotten")
	}
	if in.Observed {
		c.noteHold(after)
		c.countAttempt(after)
	}
	c.gaveUp(before, after, in)
	c.closes(before, after, commands, in)
	c.liveness.note(after, begun && rec.Trigger == v1alpha1.TriggerAutomatic, now)
}

// gaveUp: what the clean plan mends is not given up. At a hold's limit it is a plain one that is tried, and where no other
// attempt is allowed, that was it.
func (c *checker) gaveUp(before, after *v1alpha1.AppStatus, in controller.Input) {
	now, s := c.s.w.now, c.s
	if i, b := after.Incident, before.Incident; i != nil && (b == nil || b.Number != i.Number) {
		c.incidentAt = now
	}
	entered := after.Phase == v1alpha1.PhaseFailed && before.Phase != v1alpha1.PhaseFailed && !after.StoodDown
	clean := after.Incident != nil && slices.ContainsFunc(after.Incident.Attempts, func(a v1alpha1.Attempt) bool { return !a.AtHoldLimit })
	if entered && clean && s.w.cond.cache && s.clear() && !s.desired.Spec.Paused && !s.desired.Spec.Observes() && s.killIn == 0 && c.hitAt <= c.incidentAt && c.upSince < c.incidentAt && in.Order == nil {
		s.fail("nothing but the cache is broken, and evenkeel gives up")
	}
}

// tookOrder keeps the book of what operators want.
func (c *checker) tookOrder(before *v1alpha1.AppStatus, in controller.Input) {
	if in.Order == nil {
		return
	}
	if c.ordered != nil && c.ordered.phase == in.Order.Phase {
		c.ordered = nil
	}
	if in.Order.Phase != c.given && !(c.powerCut && in.Order.Phase == c.givenBefore) {
		c.s.fail("an order was taken (%s) that nobody gave", in.Order.Phase)
	}
	switch in.Order.Phase {
	case v1alpha1.PhaseFailed:
		c.stood = true
	case v1alpha1.PhaseHealthy:
		if !before.Recovery.Open() {
			c.stood = false
			c.resetAt = c.s.w.now
			c.attempts.forget()
			c.lastStart = nil
			c.alertBook.forget()
		}
	}
}

// noteHold keeps since when every look has led to a hold, whatever rule holds.
func (c *checker) noteHold(after *v1alpha1.AppStatus) {
	held := after.Hold != nil || after.Verdict != nil && after.Verdict.Remedy == v1alpha1.RemedyHold
	switch {
	case !held && !after.Recovery.Open():
		c.heldFrom = forever
	case c.heldFrom == forever:
		c.heldFrom = c.s.w.now
	}
}

// ends: a recovery has ended.
func (c *checker) ends(rec *v1alpha1.Recovery) {
	if c.needStart == rec.ID {
		if c.s.w.app == nil {
			c.s.fail("recovery %s has stopped the application, and ends without starting it", rec.ID)
		}
		if rec.Verified && c.s.w.pm2.state != runtime.Stopping {
			c.needStart = "" // evenkeel has seen that somebody has started it, or that the stop has never come about
		}
	}
	if rec.Trigger == v1alpha1.TriggerAutomatic {
		c.attempts.ends(rec, c.lastStartAt)
	}
}

// acts: a step is about to be carried out.
func (c *checker) acts(step pass.Step, r *v1alpha1.AppStatus) {
	c.begun(r)
	if !r.Recovery.Open() || r.Recovery.Step != step.Name {
		c.s.fail("step %s is carried out, and the record does not say so", step.Name)
	}
	if !c.unwritten && (c.onDisk == nil || c.onDisk.Recovery == nil || c.onDisk.Recovery.Step != step.Name) {
		c.s.fail("step %s begins before its intent is on disk", step.Name)
	}
	switch step.Name {
	case recovery.StepStop:
		c.needStart, c.needSince, c.started_ = r.Recovery.ID, c.s.w.now, false
	case recovery.StepStart:
		if c.started_ {
			c.s.fail("two starts without a stop between them")
		}
		c.needStart, c.started_ = "", true
	}
}

// begun notes the start of an automatic recovery, once. The cooldown of one that an operator has ordered meanwhile takes the
// place of its own, and may be of another length: he may have changed that.
func (c *checker) begun(r *v1alpha1.AppStatus) {
	rec := r.Recovery
	if rec == nil || rec.ID == c.begunID && c.begunAt.Since(rec.StartedAt) < time.Second && rec.StartedAt.Since(c.begunAt) < time.Second {
		return
	}
	c.begunID, c.begunAt = rec.ID, rec.StartedAt
	if !rec.Open() {
		return
	}
	c.lastCooldown = cooldownInForce(c.s.k.appOr(c.s), r.Incident)
	if rec.Trigger != v1alpha1.TriggerAutomatic {
		return
	}
	at := rec.StartedAt
	c.lastStart, c.lastStartAt = &at, c.s.w.truly(at)
	c.saidAt = c.s.w.now
}

// cooldownInForce is what the design says: the cooldown, doubled for every attempt of the incident that held for a while
// only, up to an hour.
func cooldownInForce(app *v1alpha1.App, i *v1alpha1.Incident) time.Duration {
	d := app.Spec.Recovery.Cooldown.Duration
	held := 0
	if i != nil {
		for _, a := range i.Attempts {
			if a.Outcome == v1alpha1.AttemptHeld {
				held++
			}
		}
	}
	for range held {
		if d >= time.Hour {
			break
		}
		d = min(2*d, time.Hour)
	}
	return d
}

// touched is told of everything that a step ends or clears, before it does: a process by the mark that it bears, the
// caches without one.
func (c *checker) touched(step pass.Step, what, mark string) {
	s, w := c.s, c.s.w
	rec := &step.Recovery
	stop := slices.IndexFunc(rec.Steps, func(done v1alpha1.StepRecord) bool {
		return done.Step == recovery.StepStop && done.Plan == rec.Plan && done.Outcome != v1alpha1.StepFailed && done.Outcome != v1alpha1.StepInterrupted
	})
	switch {
	case what == "caches" && w.app != nil && stop < 0 && !slices.ContainsFunc(rec.Steps, func(done v1alpha1.StepRecord) bool { return done.Step == recovery.StepStop }):
		s.fail("caches are to be cleared, and the application was not stopped before")
	case what == "caches" && w.app != nil && stop >= 0 && c.hitAt < w.now-w.instant().Since(rec.StartedAt):
		s.fail("caches are to be cleared while the application runs, although it was stopped")
	case what != "caches" && mark != w.pm2.mark:
		s.fail("step %s ends a process that bears the mark %q; the application's is %q", step.Name, mark, w.pm2.mark)
	}
	s.journal("step %s ends or clears: %s", step.Name, what)
}

// writtenSoon notes what a write is about to bring to disk; written, that it is there.
func (c *checker) writtenSoon(r *v1alpha1.AppStatus, commands []controller.Command) {
	c.writing, c.owedSoon = r.DeepCopy(), eventsOf(commands)
}

func (c *checker) written(r *v1alpha1.AppStatus) {
	c.unwritten, c.tampered, c.savedOver, c.powerCut = false, false, false, false
	c.owes(c.owedSoon)
	c.before, c.onDisk, c.writing = c.onDisk, r.DeepCopy(), nil
	c.begun(r)
	doc := c.s.w.disk.content(statePath)
	phase, observed := phaseLine.FindSubmatch(doc), observedValue.FindSubmatch(doc)
	if phase == nil || observed == nil || string(phase[1]) != string(r.Phase) || string(observed[1]) != string(r.Phase) {
		c.s.fail("the phase is %s, and on disk it is not", r.Phase)
	}
	if c.writes++; c.writes%64 == 0 { // all of it, now and then
		c.reload(r)
	}
}

func (c *checker) reload(r *v1alpha1.AppStatus) {
	d := newDisk()
	d.save(statePath, c.s.w.disk.content(statePath))
	store, err := state.NewStore("/state", appName, state.Options{FS: d, Settle: func() {}, Now: c.s.w.wall})
	if err != nil {
		panic(err)
	}
	l := store.Load()
	if l.Lost || l.Restored || l.Order.IsOrder() || !sameRecord(&l.State.AppStatus, r) {
		c.s.fail("what was written does not read as what it was")
	}
}

func (c *checker) notWritten(error) {
	c.unwritten = true
	if !c.s.w.disk.full {
		c.s.fail("the state could not be written, and the disk is not full")
	}
}

// waits: every wait ends.
func (c *checker) waits(next v1alpha1.Instant, sleep time.Duration, busy, ending bool) {
	if busy || ending {
		return
	}
	if next.IsZero() || sleep > time.Hour {
		c.s.fail("nothing is under way, and nobody will look again (in %s)", sleep)
	}
}

func (k *keeper) appOr(s *sim) *v1alpha1.App {
	if k == nil {
		return s.desired
	}
	return k.app
}
