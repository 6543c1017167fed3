package verdict

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// view is a case with its facts taken apart: what the rules look at.
type view struct {
	c      *pass.Case
	latest *v1alpha1.Observation
	lead   v1alpha1.CheckResult

	process  facts.Process
	port     facts.Port
	local    facts.HTTP
	public   facts.Public
	memory   facts.Memory
	database facts.Database
	deploy   facts.Deploy
	build    facts.Build
	disk     facts.Disk
	host     facts.Host
	workers  facts.Workers

	// asked says that the process manager could be asked; running that there is a living process behind one of its rows.
	asked, running bool
}

func look(c *pass.Case) *view {
	v := &view{c: c, latest: c.Latest()}
	v.lead, _ = v.latest.Leading()
	v.process, _ = facts.Of[facts.Process](v.latest, v1alpha1.CheckProcess)
	v.port, _ = facts.Of[facts.Port](v.latest, v1alpha1.CheckPort)
	v.local, _ = facts.Of[facts.HTTP](v.latest, v1alpha1.CheckLocal)
	v.public, _ = facts.Of[facts.Public](v.latest, v1alpha1.CheckPublic)
	v.memory, _ = facts.Of[facts.Memory](v.latest, v1alpha1.CheckMemory)
	v.database, _ = facts.Of[facts.Database](v.latest, v1alpha1.CheckDatabase)
	v.deploy, _ = facts.Of[facts.Deploy](v.latest, v1alpha1.CheckDeploy)
	v.build, _ = facts.Of[facts.Build](v.latest, v1alpha1.CheckBuild)
	v.disk, _ = facts.Of[facts.Disk](v.latest, v1alpha1.CheckDisk)
	v.host, _ = facts.Of[facts.Host](v.latest, v1alpha1.CheckHost)
	v.workers, _ = facts.Of[facts.Workers](v.latest, v1alpha1.CheckWorkers)
	v.asked = v.latest.Status(v1alpha1.CheckProcess) != metav1.ConditionUnknown
	v.running = v.asked && v.process.Life != ""
	return v
}

func (v *view) is(check string, s metav1.ConditionStatus) bool { return v.latest.Status(check) == s }

func (v *view) message(check string) string {
	r, _ := v.latest.Result(check)
	return r.Message
}

func (v *view) sign(s facts.Sign) bool {
	for _, have := range v.process.Signs {
		if have == s {
			return true
		}
	}
	return false
}

// state is the process manager's word for the application.
func (v *view) state() runtime.State { return runtime.State(v.process.State) }

// notRunning says that the process manager was asked, and that no process of the application runs.
func notRunning(v *view) bool {
	switch v.state() {
	case runtime.Stopped, runtime.Errored, runtime.Missing:
		return v.asked && !v.running
	}
	return false
}

// stopped says that the application does not run because somebody had it stopped, or has ended its process manager, and it
// was not evenkeel. However it had crashed before: he knows. Who takes it out of the list has it stopped, too, where it is
// known how to start it again. A process manager that cannot be brought back is another thing.
func (v *view) stopped() bool {
	return notRunning(v) && (v.state() == runtime.Stopped || v.deleted() || v.daemonGone() && v.process.Revival != "") && v.process.StopOrdered
}

// stopRespected says that somebody had it stopped, and that this is not undone yet, whatever else is held for.
func (v *view) stopRespected() bool {
	return v.stopped() && v.process.StopOrderedFor < v.c.App.Spec.Recovery.RespectStop.Duration
}

// deleted says that the process manager runs and does not list the application, which spec.runtime says how to start.
func (v *view) deleted() bool {
	pm2 := v.c.App.Spec.Runtime.PM2
	return v.state() == runtime.Missing && v.process.Daemon && pm2 != nil && pm2.Start != ""
}

// daemonGone says that the process manager itself does not run.
func (v *view) daemonGone() bool { return v.asked && !v.process.Daemon }

// answers says that something gives good answers on the application's port, or, where nobody asks for them, that the leading
// check holds.
func (v *view) answers() bool { return answersIn(v.latest) }

func answersIn(o *v1alpha1.Observation) bool {
	lead, _ := o.Leading()
	return lead.Status == metav1.ConditionTrue
}

// sinceRecovery are the recent observations that began after the last recovery did; all of them if there was none. Unlike
// those that confirm a failure, they count the lives that came and went during the recovery itself.
func (v *view) sinceRecovery() []v1alpha1.Observation {
	rec := v.c.Record.Recovery
	if rec == nil {
		return v.c.Recent
	}
	for n := range v.c.Recent {
		if !v.c.Recent[n].At.Before(rec.StartedAt) {
			return v.c.Recent[n:]
		}
	}
	return nil
}

// lives counts the lives of the application that came and went without one good answer, up to now. It goes by the
// processes that were seen and by the process manager's own counts, since a look can miss a life. Lives that ended because
// somebody asked for it do not count.
func (v *view) lives() int {
	seen := sets.New[string]()
	now := map[string]int64{} // each row's count at the last look, and then at the first one
	first := map[string]int64{}
	list := v.sinceRecovery()
	for n := len(list) - 1; n >= 0; n-- {
		o := &list[n]
		if answersIn(o) || v.spoiledIn(o) {
			break
		}
		if o.Status(v1alpha1.CheckProcess) == metav1.ConditionUnknown {
			continue
		}
		p, _ := facts.Of[facts.Process](o, v1alpha1.CheckProcess)
		if p.Life != "" {
			seen.Insert(p.Life)
		}
		for _, row := range p.Rows {
			if _, known := now[row.ID]; !known {
				now[row.ID] = row.Restarts
			}
			first[row.ID] = row.Restarts
		}
	}
	byCount := 0
	for id, last := range now {
		if d := int(last - first[id]); d > 0 {
			byCount = max(byCount, d+1)
		}
	}
	return max(max(seen.Len(), byCount)-v.process.Ordered, 0)
}

// unmoved is for how long the process manager has said the same of the application, as far as was seen: the same state,
// the same count of restarts and the same process. A manager that has just come into being says something new.
func (v *view) unmoved() time.Duration {
	var since v1alpha1.Instant
	list := v.sinceRecovery()
	for n := len(list) - 1; n >= 0; n-- {
		p, ok := facts.Of[facts.Process](&list[n], v1alpha1.CheckProcess)
		if !ok || p.DaemonPID != v.process.DaemonPID || p.Daemon != v.process.Daemon || p.State != v.process.State || p.Restarts() != v.process.Restarts() || p.Life != v.process.Life {
			break
		}
		since = list[n].At
	}
	if since.IsZero() {
		return 0
	}
	return v.c.Now.Since(since)
}

// bound is how long the process manager may stay in an in-between state: by its own settings, and a margin.
func (v *view) bound() time.Duration {
	const margin = 10 * time.Second
	var most time.Duration
	for _, r := range v.process.Rows {
		most = max(most, r.Bound)
	}
	return most + margin
}

// grown is by how much the application's tree has grown past its baseline; nothing where there is none for this life.
func (v *view) grown() (int64, bool) {
	l := v.c.Record.Learned
	if l == nil || l.Baseline == nil || l.Baseline.Incarnation != v.memory.Life || v.memory.Life == "" {
		return 0, false
	}
	return v.memory.Tree - l.Baseline.Bytes, true
}

// restGrown is by how much everything else on the machine has grown since the application's baseline was taken; nothing where
// that was not kept.
func (v *view) restGrown() (int64, bool) {
	if _, known := v.grown(); !known || v.c.Record.Learned.Baseline.Rest == 0 {
		return 0, false
	}
	return v.memory.Rest() - v.c.Record.Learned.Baseline.Rest, true
}

// lowFor is for how long available memory has been low.
func (v *view) lowFor() time.Duration {
	l := v.c.Record.Learned
	if l == nil || l.LowMemorySince == nil {
		return 0
	}
	return v.c.Now.Since(*l.LowMemorySince)
}

// mainPID is the process that the process manager keeps as the application; 0 where there is none.
func (v *view) mainPID() int {
	for _, r := range v.process.Rows {
		if r.PID != 0 {
			return r.PID
		}
	}
	return 0
}
