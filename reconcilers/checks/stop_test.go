package checks

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func TestWhatCountsAsSomebodysStop(t *testing.T) {
	now := v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Unix(1_800_000_000, 0)), Boot: metav1.Duration{Duration: time.Hour}, BootID: "b"}
	ago := func(d time.Duration) time.Time { return now.Wall.Add(-d) }
	order := func(d time.Duration, cause runtime.Cause) *runtime.Order {
		return &runtime.Order{At: ago(d), Cause: cause, Standing: true}
	}
	step := func(name string, from, to time.Duration, outcome v1alpha1.StepOutcome) v1alpha1.StepRecord {
		return v1alpha1.StepRecord{Step: name, StartedAt: now.Add(-from), Took: metav1.Duration{Duration: from - to}, Outcome: outcome}
	}
	recovery := func(from, to time.Duration) *v1alpha1.Recovery {
		f := now.Add(-to)
		return &v1alpha1.Recovery{StartedAt: now.Add(-from), FinishedAt: &f, Steps: []v1alpha1.StepRecord{
			step("stop", from, from-time.Second, v1alpha1.StepDone), step(StepVerify, from-2*time.Second, to, v1alpha1.StepFailed),
		}}
	}
	open := func(from time.Duration, steps ...v1alpha1.StepRecord) *v1alpha1.Recovery {
		return &v1alpha1.Recovery{StartedAt: now.Add(-from), Steps: steps}
	}
	atWork := func(name string, from time.Duration) *v1alpha1.Recovery {
		at := now.Add(-from)
		return &v1alpha1.Recovery{StartedAt: at, Step: name, StepAt: &at}
	}
	for name, c := range map[string]struct {
		stop *runtime.Order
		gone bool
		rec  *v1alpha1.Recovery
		want bool
	}{
		"nobody stopped it":                                   {nil, false, nil, false},
		"by hand":                                             {order(time.Minute, runtime.CauseOrder), false, nil, true},
		"a start came after it":                               {&runtime.Order{At: ago(time.Minute), Cause: runtime.CauseOrder}, false, nil, false},
		"by a recovery of ours":                               {order(time.Minute, runtime.CauseOrder), false, recovery(61*time.Second, 50*time.Second), false},
		"after a recovery of ours":                            {order(time.Minute, runtime.CauseOrder), false, recovery(10*time.Minute, 9*time.Minute), true},
		"by hand while ours was verified":                     {order(50*time.Second, runtime.CauseOrder), false, recovery(time.Minute, 40*time.Second), true},
		"by the step that is under way":                       {order(20*time.Second, runtime.CauseOrder), false, atWork("stop", 21*time.Second), false},
		"while we verify":                                     {order(20*time.Second, runtime.CauseOrder), false, atWork(StepVerify, 25*time.Second), true},
		"by a step in which evenkeel died":                    {order(5*time.Minute, runtime.CauseOrder), false, open(6*time.Minute, step("stop", 5*time.Minute+time.Second, 0, v1alpha1.StepInterrupted)), false},
		"by hand, evenkeel was dead since a step of its own":  {order(2*time.Minute, runtime.CauseOrder), false, open(6*time.Minute, step("stop", 5*time.Minute, 0, v1alpha1.StepInterrupted)), true},
		"by hand, evenkeel was dead between two steps":        {order(2*time.Minute, runtime.CauseOrder), false, open(6*time.Minute, step("stop", 6*time.Minute, 355*time.Second, v1alpha1.StepDone)), true},
		"by the memory guard":                                 {order(time.Minute, runtime.CauseMemory), false, nil, false},
		"by hand, and then PM2 was killed":                    {order(time.Minute, runtime.CauseOrder), true, nil, true},
		"with PM2 itself, which was ended":                    {order(time.Minute, runtime.CauseDaemon), true, nil, true},
		"with PM2 itself, which is back":                      {order(time.Minute, runtime.CauseDaemon), false, nil, false},
		"with PM2 itself, when the machine went down":         {order(2*time.Hour, runtime.CauseDaemon), true, nil, false},
		"by PM2's service, which ends it by pm2 kill, before": {order(2*time.Hour, runtime.CauseOrder), true, nil, false},
		"by hand before the machine went down, PM2 is there":  {order(2*time.Hour, runtime.CauseOrder), false, nil, true},
	} {
		app := v1alpha1.NewApp()
		v1alpha1.SetDefaults(app)
		l := &look{app: app, now: now, history: runtime.History{LastStop: c.stop}}
		l.app.Status.Recovery = c.rec
		if c.gone {
			l.snapshotErr = runtime.ErrNoDaemon
		}
		var f facts.Process
		noteStop(l, &f)
		if f.StopOrdered != c.want {
			t.Errorf("%s: %t, want %t", name, f.StopOrdered, c.want)
		}
	}
}

// TestAContainersRebootIsOne: its kernel has been up for longer than its process 1.
func TestAContainersRebootIsOne(t *testing.T) {
	now := v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Unix(1_800_000_000, 0)), Boot: metav1.Duration{Duration: 100 * time.Hour}, BootID: "b"}
	for ago, want := range map[time.Duration]bool{30 * time.Second: true, 61 * time.Second: false, 2 * time.Minute: false} {
		l := &look{app: v1alpha1.NewApp(), now: now, began: now.Boot.Duration, snapshotErr: runtime.ErrNoDaemon}
		ticks := uint64((now.Boot.Duration - time.Minute) / (10 * time.Millisecond))
		l.procs.Processes = []procfs.Process{{Identity: procfs.Identity{PID: 1, StartTicks: ticks}}}
		l.history.LastStop = &runtime.Order{At: now.Wall.Add(-ago), Cause: runtime.CauseDaemon, Standing: true}
		var f facts.Process
		noteStop(l, &f)
		if f.StopOrdered != want {
			t.Errorf("%s ago, a minute after the boot: %t, want %t", ago, f.StopOrdered, want)
		}
	}
}

func TestARowThatDiedBesideOneThatWasStoppedWasNotStopped(t *testing.T) {
	now := v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Unix(1_800_000_000, 0)), Boot: metav1.Duration{Duration: time.Hour}, BootID: "b"}
	l := &look{app: v1alpha1.NewApp(), now: now}
	l.history.LastStop = &runtime.Order{At: now.Wall.Add(-time.Minute), ID: "1", Cause: runtime.CauseOrder, Standing: true}
	l.snapshot.Processes = []runtime.Process{{ID: "0", State: runtime.Errored}, {ID: "1", State: runtime.Stopped}}
	var f facts.Process
	if noteStop(l, &f); f.StopOrdered {
		t.Error("taken for stopped by hand")
	}
}

func TestNotesOfAnotherApplicationOfTheSameNameAreNotTaken(t *testing.T) {
	l := &look{app: v1alpha1.NewApp()}
	l.app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "web"}
	l.snapshot.Others = []runtime.Process{{ID: "7", Name: "web"}, {ID: "8", Name: "other"}}
	l.history = runtime.History{Exits: []runtime.Exit{{ID: "7"}, {ID: "0"}, {ID: "8"}}, LastStop: &runtime.Order{ID: "7"}}
	l.forgetOthers()
	// What stood under the id of another name was ours when it was noted: PM2 gives ids away again.
	if len(l.history.Exits) != 2 || l.history.Exits[0].ID != "0" || l.history.LastStop != nil {
		t.Errorf("%+v", l.history)
	}
}

func TestForWhomPM2ItselfListens(t *testing.T) {
	id := func(pid int) (p runtime.Process) { p.Identity.PID = pid; return p }
	worker := func(pid int) runtime.Process { p := id(pid); p.Cluster = true; return p }
	for name, c := range map[string]struct {
		ours, others []runtime.Process
		want         facts.Whose
	}{
		"one of our workers lives":               {[]runtime.Process{worker(0), worker(5)}, []runtime.Process{worker(6)}, facts.Ours},
		"ours are stopped, it lets go":           {[]runtime.Process{worker(0)}, []runtime.Process{id(6)}, facts.Ours},
		"ours are stopped, another's cluster is": {[]runtime.Process{worker(0)}, []runtime.Process{worker(6)}, facts.Stranger},
		"ours is no cluster":                     {[]runtime.Process{id(5)}, []runtime.Process{worker(6)}, facts.Stranger},
	} {
		if got := clusters(&runtime.Snapshot{Processes: c.ours, Others: c.others}); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
