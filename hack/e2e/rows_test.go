//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/hack/e2e/table"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// The rows of the table that have no test of their own.
func init() {
	for _, r := range table.Rows() {
		if r.Injected() {
			register(testCase{Name: r.Name, Seconds: r.Seconds, Always: r.Always, Run: func(w *world) { (&rowTest{Row: r, world: w}).run() }})
		}
	}
}

// rowTest is the life of one row: healthy, broken, the verdict and what follows from it, lifted, healthy.
type rowTest struct {
	table.Row
	*world
	desired *desired
	in      *inbox
	sup     *supervisor
	proof   *proof
	old     proc
	t0      time.Time // the injection
	lifted  time.Time
	seen    map[proc]bool // the processes that the site had while it was watched
	orphans []proc        // what was below the site's process, and lived on behind the injection
}

// rowChecks are the further checks that rows name.
var rowChecks = map[string]func(r *rowTest){
	"database-serves":     (*rowTest).databaseServes,
	"environment-changed": (*rowTest).environmentChanged,
	"deploy-over":         (*rowTest).deployOverFirst,
	"no-such-file":        (*rowTest).noSuchFile,
	"one-daemon":          (*rowTest).oneDaemon,
	"orphan-ended":        (*rowTest).orphanEnded,
	"pid-changed":         (*rowTest).pidChanged,
	"process-unknown":     (*rowTest).processUnknown,
	"public-never-green":  (*rowTest).publicNeverGreen,
}

func (r *rowTest) run() {
	w := r.world
	r.desired = w.reference()
	if r.Long {
		r.desired.Set("spec.interval", "1s").Set("spec.recovery.cooldown", "10s")
	}
	for path, value := range r.Spec {
		r.desired.Set(path, value)
	}
	for _, f := range r.Before {
		w.fault(faultArgs(f)...)
	}
	r.in = w.inbox(r.desired)
	r.sup = w.supervise(r.desired)
	if r.Grown {
		w.settled(r.sup)
	}
	r.old, r.seen = w.mustSite(), map[proc]bool{}
	r.inject()
	switch r.Action {
	case table.Nothing:
		r.nothing()
	case table.Hold:
		r.hold()
	case table.Respect:
		r.respect()
	case table.Plain, table.Clean:
		r.recovered()
	case table.GiveUp:
		r.gaveUp()
	}
	r.rest()
}

func faultArgs(fault string) []string { return strings.SplitN(fault, " ", 2) }

func (r *rowTest) inject() {
	r.proof = r.sup.proofOf(r.Row, r.in)
	r.t0 = time.Now()
	if r.Edit != nil {
		broken := r.desired.clone()
		for path, value := range r.Edit {
			broken.Set(path, value)
		}
		r.write(r.sup.File, broken.Text(), 0o644)
	}
	var below []proc
	for _, pid := range descendants(r.old.PID)[1:] {
		below = append(below, procOf(pid))
	}
	defer func() { r.orphans = slices.DeleteFunc(below, func(p proc) bool { return !p.alive() }) }()
	for _, f := range r.Faults {
		if r.Unseen {
			r.t0 = r.unseen(faultArgs(f)...)
		} else {
			r.fault(faultArgs(f)...)
		}
	}
}

// watch waits for so many passes as the row says, and remembers which processes the site had.
func (r *rowTest) watch() {
	have := len(r.sup.trace.all())
	r.sup.eventually(time.Duration(r.Watched())*4*time.Second+30*time.Second, fmt.Sprintf("%d passes", r.Watched()), func() (string, bool) {
		if p := r.site(); p.PID != 0 {
			r.seen[p] = true
		}
		return r.sup.summary(), len(r.sup.trace.all())-have >= r.Watched()
	})
	if r.Check != "" {
		rowChecks[r.Check](r)
	}
}

// lift takes the cause away, where it does not end by itself.
func (r *rowTest) lift() {
	r.lifted = r.proof.lifted()
	if r.Edit != nil {
		r.write(r.sup.File, r.desired.Text(), 0o644)
	}
	if r.Lift != "" && r.Lift != table.Cleared && r.Lift != table.Recovering {
		return
	}
	for _, f := range slices.Backward(r.Faults) {
		r.clear(faultArgs(f)[0])
	}
}

func (r *rowTest) nothing() {
	r.watch()
	r.lift()
	r.sup.waitHealthy(r.HealthyWithin() + noise)
	r.sup.costNothing(r.in, r.t0, r.Told()...)
}

// confirmed waits for the first confirmed verdict, and holds its time against the row.
func (r *rowTest) confirmed() {
	degraded := r.sup.waitPhase(r.ConfirmedWithin()+2*noise, r.t0, v1alpha1.PhaseDegraded)
	if took := degraded.Time.Sub(r.t0); took > r.ConfirmedWithin()+noise {
		r.Errorf("confirmed after %s; %s and %s of noise are allowed", took, r.ConfirmedWithin(), noise)
	}
	r.measure.times(r.t0, firstFailure(r.sup, r.t0), degraded.Time.Time, r.t0)
}

// held is a verdict that stands: it is the row's, and nothing is done.
func (r *rowTest) held() {
	r.confirmed()
	r.sup.eventually(r.ConfirmedWithin()+noise, "a verdict by "+strings.Join(r.Rules, " or "), func() (string, bool) {
		v := r.sup.state().Verdict
		return r.sup.summary(), v != nil && slices.Contains(r.Rules, v.Rule)
	})
	r.watch()
	st := r.sup.state()
	if v := st.Verdict; st.Phase != v1alpha1.PhaseDegraded || v == nil || !slices.Contains(r.Rules, v.Rule) || v.Remedy != v1alpha1.RemedyHold {
		r.Errorf("it is not held as it should be: %s", r.sup.summary())
	} else {
		r.note("%s: %s", v.Rule, v.Message)
	}
	why, _, _ := r.sup.cli("why")
	for _, text := range r.Says {
		if !strings.Contains(why, text) {
			r.Errorf("why does not say %q:\n%s", text, why)
		}
	}
	r.didNothing(time.Now())
	if r.App == table.Kept {
		for p := range r.seen {
			if p != r.old {
				r.Errorf("the site was %s, and then %s", r.old, p)
			}
		}
	}
	r.in.wants(r.sup, r.Told()[:1]...)
}

// didNothing says that nothing was begun until a moment.
func (r *rowTest) didNothing(until time.Time) {
	for _, e := range r.sup.events(r.t0, v1alpha1.ReasonRecoveryStarted, v1alpha1.ReasonStepStarted, v1alpha1.ReasonAttemptSpent) {
		if e.Time.Time.Before(until) {
			r.Errorf("something was done: %s %s", e.Reason, e.Message)
		}
	}
}

func (r *rowTest) hold() {
	r.held()
	r.lift()
	healed := r.sup.waitPhase(r.HealthyWithin()+testCooldown+noise, r.lifted, v1alpha1.PhaseHealthy)
	r.sup.waitHealthy(r.HealthyWithin() + noise)
	r.measure.add("healed %.1f s after its end", healed.Time.Sub(r.lifted).Seconds())
}

func (r *rowTest) respect() {
	r.held()
	started := r.sup.waitEvent(40*time.Second, r.t0, "a recovery", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryStarted })
	r.measure.add("recovered after %.1f s", started.Time.Sub(r.t0).Seconds())
	r.mended(started)
}

func (r *rowTest) recovered() {
	started := r.sup.waitEvent(r.ConfirmedWithin()+2*noise, r.t0, "a recovery", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryStarted })
	if r.Lift == table.Recovering {
		r.lift()
	}
	r.confirmed()
	r.mended(started)
	if r.Check != "" {
		rowChecks[r.Check](r)
	}
	if r.Lift == "" || r.Lift == table.Cleared {
		r.lift()
	}
}

// mended follows a recovery to its good end, and says that there was one.
func (r *rowTest) mended(started v1alpha1.Event) {
	finished := r.sup.waitEvent(60*time.Second, started.Time.Time, "the recovery's end", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
	if finished.Outcome != "Verified" {
		r.Errorf("the recovery ended %s: %s", finished.Outcome, finished.Message)
	}
	r.sup.waitPhase(testCooldown+r.HealthyWithin()+noise, finished.Time.Time, v1alpha1.PhaseHealthy)
	r.sup.waitHealthy(r.HealthyWithin() + noise)
	r.measure.add("recovery %.1f s", finished.Took.Seconds())
}

func (r *rowTest) gaveUp() {
	r.confirmed()
	failed := r.sup.waitPhase(3*time.Minute, r.t0, v1alpha1.PhaseFailed)
	r.watch()
	if more := r.sup.events(failed.Time.Time, v1alpha1.ReasonStepStarted); len(more) > 0 {
		r.Errorf("in Failed something was begun: %v", more)
	}
	lifted := time.Now()
	r.lift()
	r.waitPublic(r.HealthyWithin() + noise)
	r.sup.waitEvent(r.HealthyWithin()+noise, lifted, "evenkeel sees that everything holds", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonHeld })
	if out, errs, code := r.sup.cli("reset", r.sup.App); code != 0 {
		r.Errorf("reset: exit code %d\n%s%s", code, out, errs)
	}
	r.sup.waitHealthy(r.HealthyWithin() + noise)
	r.measure.add("Failed after %.0f s", failed.Time.Sub(r.t0).Seconds())
}

// rest is what holds for every row in the end.
func (r *rowTest) rest() {
	r.mustSite()
	if n := count(r.pm2List(), "bbyatch"); n != 1 {
		r.Errorf("PM2 lists the site %d times", n)
	}
	if disabled, _ := r.Spec["spec.checks.public.disabled"].(bool); !disabled {
		if code := r.public(); code != http.StatusOK {
			r.Errorf("public answers %d in the end", code)
		}
	}
	r.proof.judge()
}

func (r *rowTest) oneDaemon() {
	if d := r.pm2Daemons(); len(d) != 1 || d[0] != r.spared["pm2"] {
		r.Errorf("PM2's daemons are %v, want %s alone", d, r.spared["pm2"])
	}
	if onDisk(r.home(".pm2-of-nobody")) {
		r.Error("a PM2 home was made where none was")
	}
}

// pidChanged says that what should have come and gone did so while it was watched.
func (r *rowTest) pidChanged() {
	r.eventually(45*time.Second, "another process of the site", func() (string, bool) {
		now := r.site()
		return now.String(), now.PID != 0 && now != r.old && r.local() == http.StatusOK
	})
}

// deployOverFirst waits for the end of the deploy, and says that until then nothing was done.
func (r *rowTest) deployOverFirst() {
	if r.deployOver() {
		r.Error("the deploy was over before it was looked at: the test proves nothing")
	}
	over := r.eventually(5*time.Minute, "the end of the deploy", func() (string, bool) { return r.sup.summary(), r.deployOver() })
	r.didNothing(over)
	r.measure.add("the deploy took %.0f s", over.Sub(r.t0).Seconds())
}

func (r *rowTest) processUnknown() {
	for _, o := range r.sup.trace.since(r.t0.Add(testInterval + quick)) {
		if o.Status(v1alpha1.CheckProcess) == metav1.ConditionUnknown {
			return
		}
	}
	r.Error("no pass could not ask PM2: the test proves nothing")
}

// environmentChanged says that it was seen, and by which name; the value is nobody's affair.
func (r *rowTest) environmentChanged() {
	o := r.sup.pass()
	f, _ := facts.Of[facts.Environment](o, v1alpha1.CheckEnvironment)
	if res, _ := o.Result(v1alpha1.CheckEnvironment); res.Status != metav1.ConditionFalse || !slices.Contains(append(f.Changed, f.Later...), "DATABASE_URL") && !slices.Contains(f.Later, ".env") {
		r.Errorf("environment is %s: %s, %+v", res.Status, res.Message, f)
	}
	if out, _, _ := r.sup.cli("status", r.sup.App); !strings.Contains(out, "environment") {
		r.Errorf("status does not tell of it:\n%s", out)
	}
}

// orphanEnded looks that whoever lived on when the process that PM2 kept was killed is gone.
func (r *rowTest) orphanEnded() {
	if len(r.orphans) == 0 {
		r.Error("nobody has lived on: the test proves nothing")
	}
	for _, p := range r.orphans {
		if p.alive() {
			r.Errorf("the orphan %s still lives", p)
		}
	}
}

// databaseServes says that it was asked at every look, and that it never minded.
func (r *rowTest) databaseServes() {
	for _, o := range r.sup.trace.since(r.t0) {
		res, _ := o.Result(v1alpha1.CheckDatabase)
		if f, _ := facts.Of[facts.Database](&o, v1alpha1.CheckDatabase); res.Status != metav1.ConditionTrue || f.Class != facts.DatabaseReachable {
			r.Errorf("database is %s: %s", res.Status, res.Message)
			return
		}
	}
}

// publicNeverGreen says that nobody takes it for a failure that the site was never reached, and that it is told.
func (r *rowTest) publicNeverGreen() {
	for _, o := range r.sup.trace.since(r.t0) {
		res, _ := o.Result(v1alpha1.CheckPublic)
		if res.Status != metav1.ConditionUnknown || res.Reason != "NeverSeen" || !strings.Contains(res.Message, "hairpin") {
			r.Errorf("public is %s, %s: %s", res.Status, res.Reason, res.Message)
			return
		}
	}
	if out, _, _ := r.sup.cli("status", r.sup.App); !strings.Contains(out, "has never answered as expected") {
		r.Errorf("status does not tell of it:\n%s", out)
	}
}

// noSuchFile says that whoever is told learns what was not found.
func (r *rowTest) noSuchFile() {
	for _, a := range r.in.byProgram() {
		if a.Kind == v1alpha1.AlertFailed {
			if text := fmt.Sprint(a.Message, a.Evidence, a.Next); !strings.Contains(text, "node-that-nobody-has") {
				r.Errorf("the alert does not say what was not found: %s", text)
			}
			return
		}
	}
	r.Error("nobody was told that it has given up")
}
