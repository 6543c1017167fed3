package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"regexp"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/state"
)

const (
	appName   = "bbyatch"
	statePath = "/state/" + appName + ".yaml"
	prevPath  = "/state/" + appName + ".previous.yaml"
)

// sim is one episode: a world, evenkeel in it, and a schedule of what goes wrong.
type sim struct {
	w       *world
	k       *keeper
	check   *checker
	desired *v1alpha1.App
	sched   Schedule

	armed   []*Entry // entries that wait for their phase
	active  []*active
	startAt time.Duration // when evenkeel is started again; forever while it runs
	killIn  int           // evenkeel dies at the n-th point from now; 0 means never
	noJumps bool
	onAct   func(step string) // for the comparison of policies
	onEvent func(e *v1alpha1.Event)
	onAlert func(a *v1alpha1.Alert)
	onTick  func()
	onReset func()
	off     bool   // the machine is off
	broken  string // the first invariant that was broken
	told    told

	out                           io.Writer // the journal, if somebody wants to read it
	sum                           hash.Hash
	lines                         int
	passes, steps, writes, jumped int
	events, alerts, kills         int
	hits                          map[hit]int
	faults, judged                int
}

// hit is a kind of fault that met evenkeel in a phase.
type hit struct {
	Kind  string
	Phase v1alpha1.Phase
}

// active is a fault that is under way.
type active struct {
	kind  *kind
	entry Entry
	from  time.Duration
	till  time.Duration
}

func newSim(sched Schedule) *sim {
	sched.Entries = slices.Clone(sched.Entries) // they note what becomes of them
	s := &sim{w: newWorld(), sched: sched, sum: sha256.New(), hits: map[hit]int{}, startAt: forever}
	s.desired = newApp(sched.Variant)
	s.check = newChecker(s)
	s.w.log = s.journal
	s.w.onDeath = s.check.died
	s.w.disk.point = s.point
	// A first state file with a fixed uid: a random one would make two runs differ.
	s.w.disk.save(statePath, firstState())
	for n := range sched.Entries {
		e := &sched.Entries[n]
		s.w.in(e.At, func() { s.arm(e) })
	}
	return s
}

// firstState is what a real Store writes for an App that is well, with a uid that is always the same.
var firstState = sync.OnceValue(func() []byte {
	d := newDisk()
	store, err := state.NewStore("/state", appName, state.Options{FS: d, Settle: func() {}, Now: func() time.Time { return epoch }})
	if err == nil {
		store.Load()
		err = store.Write(v1alpha1.AppStatus{Phase: v1alpha1.PhaseHealthy}, 1)
	}
	if err != nil {
		panic(err)
	}
	return uidLine.ReplaceAll(d.content(statePath), []byte("${1}11111111-2222-4333-8444-555555555555"))
})

var uidLine = regexp.MustCompile(`(?m)^( *uid: ).*$`)

// run lets the episode go on until its end, or until an invariant is broken.
func (s *sim) run() (err error) {
	s.guard(func() { s.k = newKeeper(s) })
	end := s.sched.Length
	start := func() time.Duration {
		if s.off || s.k != nil { // one that is still ending has its own time
			return forever
		}
		return s.startAt
	}
	for s.w.now < end && s.broken == "" {
		next := min(s.w.upcoming(), start(), end, s.check.nextAt())
		if s.k != nil {
			if s.k.nextAt() > s.w.now && s.k.nextAt() <= next { // at the same instant, too: the checker's tick may keep step for weeks
				s.k.jump()
			}
			next = min(next, s.k.nextAt())
		}
		s.w.now = max(next, s.w.now)
		if s.onTick != nil {
			s.onTick()
		}
		s.w.happen()
		s.w.reckon()
		if s.w.now >= s.startAt && s.k == nil && !s.off {
			s.startAt = forever
			s.guard(func() { s.k = newKeeper(s) })
		}
		if s.k != nil {
			s.guard(s.k.poll)
		}
		if s.k != nil && s.k.ended {
			s.k = nil
			s.journal("evenkeel has ended")
			s.check.gone()
		}
		s.strike()
		s.check.tick()
	}
	if s.broken != "" {
		return fmt.Errorf("%s", s.broken)
	}
	return nil
}

// guard runs a piece of evenkeel, which may be killed in it.
func (s *sim) guard(run func()) {
	defer func() {
		if p := recover(); p != nil {
			k, ok := p.(killed)
			if !ok {
				panic(p)
			}
			s.dies(k.where)
		}
	}()
	run()
}

// dies is evenkeel's own end: what it held in memory is gone. systemd starts it again.
func (s *sim) dies(where string) {
	s.journal("evenkeel is killed %s", where)
	s.kills++
	s.killIn = 0
	s.check.gone()
	s.k = nil
	if s.startAt == forever {
		s.startAt = s.w.now + 5*time.Second
	}
}

// point is a moment at which evenkeel may be killed.
func (s *sim) point(where string) {
	if s.killIn == 0 {
		return
	}
	if s.killIn--; s.killIn == 0 {
		panic(killed{where})
	}
}

// mostInVain is how often a fault that found nothing to break strikes again.
const mostInVain = 12

// phase is evenkeel's, or what it last was: what somebody has ordered since then does not count.
func (s *sim) phase() v1alpha1.Phase {
	if s.k != nil {
		return s.k.status.Phase
	}
	if m := observedValue.FindSubmatch(s.w.disk.content(statePath)); m != nil {
		return v1alpha1.Phase(m[1])
	}
	return v1alpha1.PhaseHealthy
}

var phaseLine = regexp.MustCompile(`(?m)^phase: (.*)$`)

// arm is called when an entry's time has come: it strikes in its phase, or after half a day anyhow.
func (s *sim) arm(e *Entry) {
	if e.Phase == "" {
		s.hit(e)
		return
	}
	s.armed = append(s.armed, e)
	s.w.in(12*time.Hour, func() { s.disarm(e, true) })
}

func (s *sim) disarm(e *Entry, anyhow bool) {
	for n, a := range s.armed {
		if a == e {
			s.armed = append(s.armed[:n:n], s.armed[n+1:]...)
			if anyhow {
				s.hit(e)
			}
			return
		}
	}
}

// armedAt is when an entry that waits could strike at the earliest: nobody jumps over that.
func (s *sim) armedAt() time.Duration {
	for _, e := range s.armed {
		if e.Phase == s.phase() {
			return s.w.now
		}
	}
	return forever
}

// strike lets those entries happen whose phase has come.
func (s *sim) strike() {
	for n := 0; n < len(s.armed); n++ {
		e := s.armed[n]
		if e.Phase == s.phase() {
			s.disarm(e, false)
			n--
			s.w.in(e.Delay, func() { s.aim(e) })
		}
	}
}

// aim lets an entry happen whose delay is over, if its phase is still there; else it waits for the next time, and for half
// as long in it.
func (s *sim) aim(e *Entry) {
	if e.Phase == s.phase() || e.missed >= 3 {
		s.hit(e)
		return
	}
	e.missed++
	e.Delay /= 2
	s.arm(e)
}

// hit lets an entry happen.
func (s *sim) hit(e *Entry) {
	k := kinds[e.Kind]
	if k == nil {
		panic("no such kind of fault: " + e.Kind)
	}
	phase := s.phase()
	a := &active{kind: k, entry: *e, from: s.w.now, till: s.w.now + e.For}
	s.active = append(s.active, a)
	s.journal("FAULT %s for %s (in %s)", e.Kind, e.For, phase)
	s.check.struck(a)
	happened := true // where evenkeel dies of it, it has
	s.guard(func() { happened = k.begin(s, e) })
	if happened {
		s.hits[hit{e.Kind, phase}]++
		s.faults++
	} else if e.Phase != "" && e.vain < mostInVain { // nothing has come of it: again, in the same phase, but soon
		s.journal("nothing has come of %s", e.Kind)
		e.vain++
		again := *e
		again.Delay = time.Duration(e.vain) * 700 * time.Millisecond
		s.arm(&again)
	}
	s.w.in(e.For, func() {
		for n := range s.active {
			if s.active[n] == a {
				s.active = append(s.active[:n:n], s.active[n+1:]...)
				break
			}
		}
		if k.end != nil && !s.under(e.Kind) {
			s.journal("end of %s", e.Kind)
			s.guard(func() { k.end(s, e) })
		}
		s.check.over(a)
	})
}

// under tells whether a fault of one of these kinds is under way.
func (s *sim) under(names ...string) bool {
	for _, a := range s.active {
		for _, name := range names {
			if a.kind.name == name {
				return true
			}
		}
	}
	return false
}

// journal is everything that happened, line by line. Two runs of one schedule give the same, byte for byte.
func (s *sim) journal(format string, args ...any) {
	line := fmt.Sprintf("%s %s\n", stamp(s.w.now), fmt.Sprintf(format, args...))
	s.sum.Write([]byte(line))
	s.lines++
	if s.out != nil {
		_, _ = io.WriteString(s.out, line)
	}
}

func stamp(t time.Duration) string {
	d := t / (24 * time.Hour)
	t -= d * 24 * time.Hour
	return fmt.Sprintf("%03d %02d:%02d:%06.3f", d, t/time.Hour, t/time.Minute%60, (t % time.Minute).Seconds())
}

func (s *sim) event(e v1alpha1.Event) {
	s.events++
	s.journal("event %s %s [%s] %s", e.Reason, e.Phase, e.Blame, e.Message)
	s.told.event(e)
	s.check.event(e)
	if s.onEvent != nil {
		s.onEvent(&e)
	}
}

func (s *sim) alert(a v1alpha1.Alert) {
	s.alerts++
	s.journal("alert %s %s [%s] %s: %s", a.Kind, a.Phase, a.Blame, a.Reason, a.Message)
	s.told.alert(a)
	s.check.alert(a)
	if s.onAlert != nil {
		s.onAlert(&a)
	}
}

func (s *sim) digest() string { return hex.EncodeToString(s.sum.Sum(nil))[:16] }

// fail notes a broken invariant; only the first counts.
func (s *sim) fail(format string, args ...any) {
	if s.broken == "" && !s.check.silent {
		s.broken = fmt.Sprintf("%s %s", stamp(s.w.now), fmt.Sprintf(format, args...))
		s.journal("BROKEN %s", s.broken)
	}
}

// stop ends evenkeel in good order, for a while.
func (s *sim) stop(down time.Duration) {
	s.startAt = s.w.now + down
	if s.k != nil {
		s.k.ending = true
		s.k.stimulate(controller.Input{})
	}
}

// kill ends evenkeel at once, for a while.
func (s *sim) kill(down time.Duration) {
	s.startAt = s.w.now + down
	if s.k != nil {
		s.dies("by somebody")
	}
}

// spec hands a changed desired state to evenkeel.
func (s *sim) spec(change func(app *v1alpha1.App)) {
	next := s.desired.DeepCopy()
	change(next)
	next.Generation++
	s.desired = next
	if s.k != nil && !s.k.ending {
		s.k.pending = &controller.SpecUpdate{App: next.DeepCopy()}
		s.k.stimulate(controller.Input{Look: s.k.adopt()})
	}
}

// newApp is the App of an episode.
func newApp(variant string) *v1alpha1.App {
	app := v1alpha1.NewApp()
	app.Name, app.Generation = appName, 1
	app.UID = "11111111-2222-4333-8444-555555555555"
	sp := &app.Spec
	sp.Directory = "/home/deploy/bbyatch/bbyatchv2-master"
	sp.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: appName, Start: "ecosystem.config.js"}
	sp.Checks.Public.URL = "https://www.example.com/"
	sp.Checks.Database = &v1alpha1.DatabaseCheck{}
	sp.Alerts = []v1alpha1.AlertSpec{{Exec: []string{"tell-me"}}}
	sp.Recovery.Tell = v1alpha1.TellAlways
	d := func(v time.Duration) metav1.Duration { return metav1.Duration{Duration: v} }
	switch variant {
	case "brisk":
		sp.Recovery.Tell = v1alpha1.TellWhenNotMended
		sp.Interval, sp.ConfirmInterval, sp.Recovery.Cooldown = d(10*time.Second), d(time.Second), d(time.Minute)
	case "patient":
		sp.Recovery.MaxAttempts, sp.Recovery.Cooldown, sp.Recovery.LeaveFailed = 5, d(10*time.Minute), v1alpha1.LeaveFailedWhenHealthy
	case "once":
		sp.Recovery.MaxAttempts, sp.Runtime.PM2.Start = 1, ""
	case "inward":
		sp.Checks.Public.URL, sp.Checks.Local.Disabled = "", true
	case "script":
		sp.Checks.Memory.Restart = v1alpha1.MemoryRestartAlways
	}
	v1alpha1.SetDefaults(app)
	return app
}

// variants are the specs under which episodes run.
func variants() []string { return []string{"default", "brisk", "patient", "once", "inward", "script"} }
