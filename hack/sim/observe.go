package main

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// eyes are what reconcilers/checks is on a real machine: they answer with the same facts, in the same words of status and
// reason, so that the real rules decide. What they keep is lost when evenkeel ends.
type eyes struct {
	w        *world
	answered string // the life that has given a good answer to evenkeel

	databaseFailed bool // when it was last asked
}

// look is one pass under way.
type look struct {
	app      *v1alpha1.App
	now      v1alpha1.Instant
	asked    bool // PM2 answered
	life     *life
	age      time.Duration
	answered bool
	holders  []facts.Listener
}

// observe asks the due checks. The second result is how long that takes.
func (e *eyes) observe(app *v1alpha1.App, due []string) (v1alpha1.Observation, time.Duration) {
	w := e.w
	l := &look{app: app, now: w.instant(), asked: !w.pm2.hung && !w.env.starved && !w.env.unasked}
	took := 350 * time.Millisecond
	if !l.asked && !w.env.unasked {
		took = 10 * time.Second
	}
	if l.asked && w.pm2.up && w.pm2.listed && w.app != nil {
		l.life, l.age = w.app, w.now-w.app.born
		l.answered = e.answered == w.app.id()
		if learned := app.Status.Learned; learned != nil && learned.Answered == w.app.id() {
			l.answered = true // seen before evenkeel was started anew
		}
	}
	e.listeners(l)
	local, localTook := e.local(l)
	took = max(took, localTook)

	o := v1alpha1.Observation{At: l.now}
	for _, name := range due {
		var r v1alpha1.CheckResult
		switch name {
		case v1alpha1.CheckLocal:
			r = local
			if !w.env.unasked {
				r = e.starting(l, e.noteAnswer(l, local))
			}
		case v1alpha1.CheckProcess:
			r = e.process(l)
		case v1alpha1.CheckPort:
			r = e.starting(l, e.port(l))
		case v1alpha1.CheckPublic:
			var t time.Duration
			r, t = e.public(l, local)
			took = max(took, t)
		case v1alpha1.CheckWorkers:
			r = e.workers(l)
		case v1alpha1.CheckMemory:
			r = e.memory(l)
		case v1alpha1.CheckDatabase:
			r = e.database(l, local)
		case v1alpha1.CheckDeploy:
			r = e.deploy()
		case v1alpha1.CheckBuild:
			r = e.build()
		case v1alpha1.CheckDisk:
			r = e.disk()
		case v1alpha1.CheckHost:
			r = e.host()
		case v1alpha1.CheckEnvironment:
			r = result(metav1.ConditionTrue, "Same", "as at its start", facts.Environment{})
		default:
			panic("no such check: " + name)
		}
		if w.env.unasked {
			r = result(metav1.ConditionUnknown, "CouldNotAsk", "evenkeel can open no more files", struct{}{})
		}
		r.Check, r.At = name, l.now
		r.Required = checks.Settings(app, name).IsRequired()
		r.Leading = name == leading(app)
		o.Results = append(o.Results, r)
	}
	slices.SortFunc(o.Results, func(a, b v1alpha1.CheckResult) int {
		if a.Check < b.Check {
			return -1
		}
		return 1
	})
	o.Took = metav1.Duration{Duration: took}
	return o, took
}

func leading(app *v1alpha1.App) string {
	c := &app.Spec.Checks
	switch {
	case !c.Local.Disabled:
		return v1alpha1.CheckLocal
	case !c.Port.Disabled:
		return v1alpha1.CheckPort
	}
	return v1alpha1.CheckProcess
}

func result(status metav1.ConditionStatus, reason, message string, f any) v1alpha1.CheckResult {
	return v1alpha1.CheckResult{Status: status, Reason: reason, Message: message, Facts: facts.Raw(f)}
}

func (e *eyes) listeners(l *look) {
	w := e.w
	add := func(pid int, born time.Duration, whose facts.Whose, waiting uint32) {
		if w.env.blind {
			whose = facts.CannotTell
		}
		l.holders = append(l.holders, facts.Listener{Addr: "[::]:3003", Whose: whose, PID: pid, User: "deploy", Since: w.now - born, Waiting: waiting})
	}
	marks := []string{}
	if le := l.app.Status.Learned; le != nil {
		marks = le.Marks
	}
	switch {
	case w.orphan != nil:
		known := slices.Contains(marks, w.orphan.mark) || (l.asked && w.orphan.mark == w.pm2.mark)
		whose := facts.Stranger
		if !l.asked {
			whose = facts.CannotTell
		} else if known {
			whose = facts.OurOrphan
		}
		add(w.orphan.pid, w.orphan.born, whose, 0)
		if known && l.asked && !w.env.blind {
			l.holders[0].Under = w.orphan.under
		}
	case w.strange != nil:
		whose := facts.Stranger
		if !l.asked {
			whose = facts.CannotTell
		} else if slices.Contains(marks, w.strange.mark) {
			whose = facts.OurOrphan
		}
		add(w.strange.pid, w.strange.born, whose, 0)
	case w.app.open(w.now):
		whose := facts.Ours
		if !l.asked {
			whose = facts.CannotTell // no descent is known
		}
		waiting := uint32(0)
		if w.app.hung { // what hangs takes no calls
			waiting = 1
		}
		add(w.app.pid, w.app.born, whose, waiting)
	}
}

// local is what a request to the port brings.
func (e *eyes) local(l *look) (v1alpha1.CheckResult, time.Duration) {
	w := e.w
	f := facts.HTTP{URL: "http://127.0.0.1:3003/", Addr: "127.0.0.1:3003", Class: facts.Answered, Status: 200, Took: 20 * time.Millisecond}
	switch {
	case w.env.starved:
		f.Class, f.Status, f.Took = facts.Timeout, 0, 10*time.Second
	case w.orphan != nil:
	case w.strange != nil:
		f.Status = 404
	case !w.app.open(w.now):
		f.Class, f.Status, f.Took = facts.Refused, 0, time.Millisecond
	case w.env.squeezed:
		f.Class, f.Status, f.Took = facts.Timeout, 0, 10*time.Second
	case w.app.hung || w.now < w.app.ready:
		f.Class, f.Status, f.Took = facts.Timeout, 0, 10*time.Second
		if !w.app.hung && w.app.ready-w.now < f.Took { // it is late, and answers
			f.Class, f.Status, f.Took = facts.Answered, 200, w.app.ready-w.now
		}
	case w.app.full:
		f.Class, f.Status = facts.Closed, 0
	case w.cond.dbErrors && w.env.how.database == dbSilent: // it waits for its database, and so do those who ask
		f.Class, f.Status, f.Took = facts.Timeout, 0, 10*time.Second
	case w.app.errors || w.cond.dbErrors || w.cond.needErrors || (w.env.flaky && int64(w.now/time.Second)%2 == 0):
		f.Status = 500
	}
	f.Error = map[facts.Class]string{facts.Timeout: "no answer in time", facts.Refused: "connection refused", facts.Closed: "the connection was closed"}[f.Class]
	switch {
	case f.Class != facts.Answered:
		return result(metav1.ConditionFalse, string(f.Class), "no answer: "+f.Error, f), f.Took
	case f.Status >= 500:
		return result(metav1.ConditionFalse, "BadStatus", fmt.Sprintf("answered %d", f.Status), f), f.Took
	case l.app.Spec.Checks.Local.ExpectBody != "":
		f.Wants, f.Unmet = facts.Marker{}.Expectations(&l.app.Spec.Checks.Local), "the first 64 KiB of the answer do not hold it"
		return result(metav1.ConditionFalse, "NotAsExpected", "answered 200, but "+f.Unmet, f), f.Took
	}
	return result(metav1.ConditionTrue, "Answers", "200", f), f.Took
}

func (e *eyes) noteAnswer(l *look, r v1alpha1.CheckResult) v1alpha1.CheckResult {
	foreign := slices.ContainsFunc(l.holders, func(h facts.Listener) bool { return h.Whose == facts.Stranger || h.Whose == facts.OurOrphan })
	if r.Status == metav1.ConditionTrue && l.life != nil && !foreign {
		e.answered = l.life.id()
		l.answered = true
	}
	return r
}

func (e *eyes) starting(l *look, r v1alpha1.CheckResult) v1alpha1.CheckResult {
	stranger := r.Reason == "HeldByAnother" || r.Reason == "HeldByOrphan"
	if r.Status == metav1.ConditionFalse && l.life != nil && !l.answered && l.age < l.app.Spec.Recovery.StartupGrace.Duration && !stranger {
		r.Status, r.Reason = metav1.ConditionUnknown, "Starting"
	}
	return r
}

func (e *eyes) process(l *look) v1alpha1.CheckResult {
	w, p := e.w, &e.w.pm2
	f := facts.Process{Runtime: "pm2", Home: "/home/deploy/.pm2", Daemon: p.up, State: string(runtime.Unknown), FolderMissing: w.cond.noFolder}
	if !l.asked {
		f.Daemon, f.Error = false, "it did not answer in time"
		return result(metav1.ConditionUnknown, "CouldNotAsk", "PM2 could not be asked: it did not answer in time", f)
	}
	if !p.up {
		f.State, f.Leftover = string(runtime.Missing), true
		if !p.lost {
			f.Revival = "pm2 resurrect"
		}
		if p.standing {
			f.StopOrdered, f.StopOrderedFor = e.stopOrdered(l)
		}
		return result(metav1.ConditionFalse, "NoDaemon", "no PM2 daemon runs", f)
	}
	if r := l.app.Status.Learned; r == nil || l.life == nil || l.age <= 10*time.Minute {
		f.Crashes = w.unplanned(e.since(l))
		f.Ordered = w.planned(e.since(l))
	}
	if !p.listed {
		f.State = string(runtime.Missing)
		if p.standing {
			f.StopOrdered, f.StopOrderedFor = e.stopOrdered(l)
		}
		return result(metav1.ConditionFalse, "NotListed", "PM2 lists no process of that name", f)
	}
	state := p.state
	if p.lying {
		state = runtime.Stopped
	}
	f.State, f.Answered = string(state), l.answered
	row := facts.Row{ID: "0", State: f.State, Restarts: p.restarts, Mark: p.mark, Bound: 1600*time.Millisecond + p.delay}
	if l.life != nil {
		f.Life, f.Age, row.PID, row.Life = l.life.id(), l.age, l.life.pid, l.life.id()
	}
	f.Rows = []facts.Row{row}
	if !w.well() {
		f.Signs, f.Cause = w.signs(), fmt.Sprintf("read %d", w.cond.reads)
		if w.cond.needErrors && l.life != nil {
			f.Needs = []facts.Need{w.cond.need}
		}
	}
	if p.standing {
		f.StopOrdered, f.StopOrderedFor = e.stopOrdered(l)
	}
	text := fmt.Sprintf("PM2 says %s (%d restarts)", state, p.restarts)
	switch state {
	case runtime.Running:
		if e.comesAndGoes(l) {
			return result(metav1.ConditionFalse, facts.ReasonCrashLoop, text+", after unplanned exits", f)
		}
		return result(metav1.ConditionTrue, "Running", text, f)
	case runtime.Starting:
		return result(metav1.ConditionUnknown, "Starting", text, f)
	}
	return result(metav1.ConditionFalse, string(state), text, f)
}

// comesAndGoes is the same of reconcilers/checks: one more life of a crash loop is not believed at once.
func (e *eyes) comesAndGoes(l *look) bool {
	since := e.since(l)
	var list []exit
	for _, x := range e.w.pm2.exits {
		if !x.planned && !x.wall.Before(since) && !x.wall.After(e.w.wall().Add(time.Second)) {
			list = append(list, x)
		}
	}
	if len(list) < 5 || l.age > 10*time.Minute {
		return false
	}
	usual := list[len(list)-1].wall.Sub(list[0].wall) / time.Duration(len(list)-1)
	return l.age < 2*usual+3*time.Second
}

// since is from when on exits count: ten minutes ago, or the start of the last recovery.
func (e *eyes) since(l *look) time.Time {
	since := e.w.wall().Add(-10 * time.Minute)
	if rec := l.app.Status.Recovery; rec != nil && rec.StartedAt.Wall.After(since) {
		since = rec.StartedAt.Wall.Time
	}
	return since
}

// stopOrdered is noteStop of reconcilers/checks: a stop that no step of ours explains was somebody else's.
func (e *eyes) stopOrdered(l *look) (bool, time.Duration) {
	at := e.w.pm2.stopAt.Truncate(time.Second)
	if checks.OrderedByUs(l.app, at) {
		return false, 0
	}
	return true, max(l.now.Wall.Sub(at), 0)
}

func (e *eyes) port(l *look) v1alpha1.CheckResult {
	f := facts.Port{Port: 3003, Listeners: l.holders}
	if len(l.holders) == 0 {
		f.Elsewhere = e.elsewhere(l)
		return result(metav1.ConditionFalse, "NotListening", "nobody listens on port 3003", f)
	}
	switch l.holders[0].Whose {
	case facts.Ours:
		return result(metav1.ConditionTrue, "Listening", "the application listens", f)
	case facts.Stranger:
		return result(metav1.ConditionFalse, "HeldByAnother", "another program listens", f)
	case facts.OurOrphan:
		return result(metav1.ConditionFalse, "HeldByOrphan", "an orphan of the application listens", f)
	}
	return result(metav1.ConditionUnknown, "CannotTell", "somebody listens; whose process it is cannot be seen", f)
}

// elsewhere is where the application listens instead.
func (e *eyes) elsewhere(l *look) []facts.Place {
	switch {
	case l.life == nil:
	case l.life.moved && e.w.now >= l.life.listens:
		return []facts.Place{{Addr: "[::]:3013", Port: 3013, PID: l.life.pid}}
	case l.life.metrics:
		return []facts.Place{{Addr: "[::]:9464", Port: 9464, PID: l.life.pid}}
	}
	return nil
}

func (e *eyes) workers(l *look) v1alpha1.CheckResult {
	switch {
	case !l.asked:
		return result(metav1.ConditionUnknown, "CouldNotAsk", "the application's processes could not be looked for", facts.Workers{})
	case l.life == nil:
		return result(metav1.ConditionFalse, "NoneAlive", "none of the application's processes is alive", facts.Workers{})
	}
	f := facts.Workers{Processes: []facts.Worker{{PID: l.life.pid, Open: 40, OpenLimit: 1024}}}
	if l.life.full {
		f.Processes[0].Open = 1024
	}
	return result(metav1.ConditionTrue, "Alive", "1 alive", f)
}

func (e *eyes) memory(l *look) v1alpha1.CheckResult {
	w := e.w
	f := facts.Memory{Total: 2 << 30, Available: w.available(), Wanted: l.app.Spec.Checks.Memory.MinAvailable.Value()}
	life := ""
	if l.life != nil {
		life = l.life.id()
		f.Tree = w.tree()
	}
	f.Life = life
	f.HogPID, f.HogName, f.HogBytes = 78, "postgres", 100<<20
	if w.env.hog {
		f.HogName, f.HogBytes = "tar", w.env.hogTakes
	}
	learned := l.app.Status.Learned
	wasLow := learned != nil && learned.LowMemorySince != nil && learned.Incarnation == life
	if f.Available < f.Wanted || wasLow && f.Available < f.Clears() {
		return result(metav1.ConditionFalse, "Low", fmt.Sprintf("%d MiB available", f.Available>>20), f)
	}
	return result(metav1.ConditionTrue, "Enough", fmt.Sprintf("%d MiB available", f.Available>>20), f)
}

// database is asked where local fails, where it was blamed, or where it did not serve when it was last asked.
func (e *eyes) database(l *look, local v1alpha1.CheckResult) v1alpha1.CheckResult {
	if e.w.env.noEnv || e.w.cond.noFolder {
		return result(metav1.ConditionFalse, "Missing", "DATABASE_URL missing", facts.Database{Missing: []string{"DATABASE_URL"}})
	}
	f := facts.Database{Files: []string{".env"}}
	v := l.app.Status.Verdict
	if local.Status != metav1.ConditionFalse && !e.databaseFailed && (v == nil || v.Blame != v1alpha1.BlameDatabase) {
		return result(metav1.ConditionTrue, "Configured", "DATABASE_URL set", f)
	}
	f.Kind, f.Where, f.Source, f.From, f.Class = "PostgreSQL", "127.0.0.1:5432", "DATABASE_URL", ".env", facts.DatabaseReachable
	e.databaseFailed = e.w.cond.dbErrors
	if e.databaseFailed {
		f.Class = databaseEnds[e.w.env.how.database]
		return result(metav1.ConditionFalse, string(f.Class), "PostgreSQL does not serve", f)
	}
	return result(metav1.ConditionTrue, string(f.Class), "PostgreSQL serves", f)
}

func (e *eyes) deploy() v1alpha1.CheckResult {
	if e.w.env.deploying {
		f := facts.Deploy{AtWork: []facts.Work{{PID: 77, What: "npm ci", Since: e.w.now - e.w.env.deploy}}}
		return result(metav1.ConditionFalse, "AtWork", "npm ci is at work", f)
	}
	return result(metav1.ConditionTrue, "NoneAtWork", "no deploy is at work", facts.Deploy{})
}

func (e *eyes) build() v1alpha1.CheckResult {
	if e.w.cond.noBuild || e.w.cond.noFolder {
		return result(metav1.ConditionFalse, "Missing", ".next/BUILD_ID is missing", facts.Build{Kind: "next", Missing: ".next/BUILD_ID"})
	}
	return result(metav1.ConditionTrue, "Present", "built", facts.Build{Kind: "next", Present: true, Stamp: "s"})
}
