package recovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// orders is a runtime that answers its orders one after the other with what a test says.
type orders struct {
	fakeRuntime
	stops  []stopAnswer
	starts []startAnswer
	limits []time.Duration
	since  []v1alpha1.Instant
}

type stopAnswer struct {
	result runtime.StopResult
	err    error
}

type startAnswer struct {
	result runtime.StartResult
	err    error
}

func (r *orders) Stop(_ context.Context, _ *v1alpha1.App, limit time.Duration) (runtime.StopResult, error) {
	r.limits = append(r.limits, limit)
	a := r.stops[0]
	r.stops = r.stops[1:]
	return a.result, a.err
}

func (r *orders) Start(_ context.Context, _ *v1alpha1.App, since v1alpha1.Instant) (runtime.StartResult, error) {
	r.since = append(r.since, since)
	a := r.starts[0]
	r.starts = r.starts[1:]
	return a.result, a.err
}

func TestStop(t *testing.T) {
	stubborn := child(t, "node server.js", "PATH=/bin")
	outlived := stopAnswer{runtime.StopResult{Alive: []runtime.Process{{PID: stubborn.PID, Identity: stubborn}}}, runtime.ErrStillAlive}
	for _, tc := range []struct {
		name  string
		stops []stopAnswer
		hung  bool
		want  v1alpha1.StepOutcome
		says  string
		limit time.Duration
	}{
		{"stopped", []stopAnswer{{runtime.StopResult{Message: "stopped in 1 s"}, nil}}, false, v1alpha1.StepDone, "stopped in 1 s", 5 * time.Second},
		{"one that hangs is given less time", []stopAnswer{{runtime.StopResult{Message: "stopped"}, nil}}, true, v1alpha1.StepDone, "stopped", time.Second},
		{"stopped already", []stopAnswer{{runtime.StopResult{Already: true}, nil}}, false, v1alpha1.StepSkipped, "already", 5 * time.Second},
		{"no process manager", []stopAnswer{{err: runtime.ErrNoDaemon}}, false, v1alpha1.StepSkipped, "nothing to stop", 5 * time.Second},
		{"not listed", []stopAnswer{{err: runtime.ErrNotListed}}, false, v1alpha1.StepSkipped, "nothing to stop", 5 * time.Second},
		{"it cannot be asked", []stopAnswer{{err: runtime.ErrTimeout}}, false, v1alpha1.StepFailed, "could not be stopped", 5 * time.Second},
		{"it outlives the time given", []stopAnswer{outlived, {}}, false, v1alpha1.StepDone, "outlived 5s and was killed", 5 * time.Second},
		{"the same, and PM2 does not notice", []stopAnswer{outlived, {err: runtime.ErrTimeout}}, false, v1alpha1.StepFailed, "and was killed, but", 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &orders{stops: tc.stops}
			h := &Hands{FS: procfs.Default(), Runtime: r}
			out := h.Act(t.Context(), v1alpha1.NewApp(), pass.Step{Name: StepStop, Timeout: time.Minute, Recovery: v1alpha1.Recovery{Hung: tc.hung}})
			if out.Outcome != tc.want || !strings.Contains(out.Message, tc.says) || r.limits[0] != tc.limit {
				t.Errorf("%s: %q within %s, want %s: %q within %s", out.Outcome, out.Message, r.limits[0], tc.want, tc.says, tc.limit)
			}
		})
	}
	if alive(t, stubborn) {
		t.Error("what outlived the stop was not killed")
	}
}

func TestStart(t *testing.T) {
	refused := startAnswer{err: runtime.ErrRefused}
	began := startAnswer{result: runtime.StartResult{How: runtime.Restarted, Message: "restarted row 0"}}
	for _, tc := range []struct {
		name   string
		starts []startAnswer
		want   v1alpha1.StepOutcome
		says   string
		tries  int
	}{
		{"started", []startAnswer{began}, v1alpha1.StepDone, "restarted row 0", 1},
		{"it runs already", []startAnswer{{result: runtime.StartResult{How: runtime.AlreadyRunning, Message: "it runs"}}}, v1alpha1.StepSkipped, "it runs", 1},
		{"refused, and then not", []startAnswer{refused, refused, began}, v1alpha1.StepDone, "restarted row 0", 3},
		{"refused every time", []startAnswer{refused, refused, refused}, v1alpha1.StepFailed, "could not be started", 3},
		{"no process manager", []startAnswer{{err: runtime.ErrNoDaemon}}, v1alpha1.StepFailed, "could not be started", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &orders{starts: tc.starts}
				h := &Hands{Runtime: r}
				out := h.Act(t.Context(), v1alpha1.NewApp(), pass.Step{Name: StepStart, Timeout: time.Minute})
				if out.Outcome != tc.want || !strings.Contains(out.Message, tc.says) || len(r.since) != tc.tries {
					t.Errorf("%s: %q after %d tries, want %s: %q after %d", out.Outcome, out.Message, len(r.since), tc.want, tc.says, tc.tries)
				}
			})
		})
	}
}

func TestAStartThatIsBegunAgainLeavesAloneWhatItHasStarted(t *testing.T) {
	at := func(s int64) v1alpha1.Instant {
		return v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Unix(s, 0)), Boot: metav1.Duration{Duration: time.Duration(s) * time.Second}, BootID: "b"}
	}
	record := func(step string, s int64, outcome v1alpha1.StepOutcome) v1alpha1.StepRecord {
		return v1alpha1.StepRecord{Step: step, StartedAt: at(s), Outcome: outcome}
	}
	for name, tc := range map[string]struct {
		steps []v1alpha1.StepRecord
		want  v1alpha1.Instant
	}{
		"nothing was stopped":         {nil, at(10)},
		"the stop":                    {[]v1alpha1.StepRecord{record(StepStop, 12, v1alpha1.StepDone), record(StepLinger, 14, v1alpha1.StepDone)}, at(12)},
		"the stop of the second plan": {[]v1alpha1.StepRecord{record(StepStop, 12, v1alpha1.StepDone), record(StepStart, 14, v1alpha1.StepDone), record(StepStop, 20, v1alpha1.StepFailed)}, at(20)},
		"a stop that was interrupted": {[]v1alpha1.StepRecord{record(StepStop, 12, v1alpha1.StepInterrupted)}, at(10)},
	} {
		r := &orders{starts: []startAnswer{{}}}
		step := pass.Step{Name: StepStart, Timeout: time.Minute, Recovery: v1alpha1.Recovery{StartedAt: at(10), Steps: tc.steps}}
		(&Hands{Runtime: r}).Act(t.Context(), v1alpha1.NewApp(), step)
		if r.since[0] != tc.want {
			t.Errorf("%s: since %v, want %v", name, r.since[0], tc.want)
		}
	}
}

// deployLooker says whether a deploy is at work.
type deployLooker bool

func (d deployLooker) Observe(context.Context, *v1alpha1.App, []string) v1alpha1.Observation {
	r := v1alpha1.CheckResult{Check: v1alpha1.CheckDeploy, Status: metav1.ConditionTrue}
	if d {
		r.Status, r.Message = metav1.ConditionFalse, "npm ci is at work"
	}
	return v1alpha1.Observation{Results: []v1alpha1.CheckResult{r}}
}

func TestCachesAreClearedOnlyWhileTheApplicationIsStopped(t *testing.T) {
	self := procfs.Identity{PID: os.Getpid(), StartTicks: 1}
	for _, tc := range []struct {
		name    string
		rows    []runtime.Process
		err     error
		deploy  bool
		empty   bool
		want    v1alpha1.StepOutcome
		says    string
		cleared bool
	}{
		{"stopped", []runtime.Process{{State: runtime.Stopped}}, nil, false, false, v1alpha1.StepDone, ".next/cache: 1 files", true},
		{"no process manager", nil, runtime.ErrNoDaemon, false, false, v1alpha1.StepDone, ".next/cache: 1 files", true},
		{"nothing there", nil, nil, false, true, v1alpha1.StepSkipped, ".next/cache: not there", false},
		{"it runs", []runtime.Process{{State: runtime.Running, PID: self.PID, Identity: self}}, nil, false, false, v1alpha1.StepSkipped, "the application runs", false},
		{"it cannot be told", nil, runtime.ErrTimeout, false, false, v1alpha1.StepSkipped, "cannot be told", false},
		{"a deploy is at work", nil, nil, true, false, v1alpha1.StepSkipped, "npm ci is at work", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			app := v1alpha1.NewApp()
			app.Spec.Directory = t.TempDir()
			file := filepath.Join(app.Spec.Directory, ".next", "cache", "image")
			if !tc.empty {
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte("broken"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			h := &Hands{Runtime: &fakeRuntime{snapshot: runtime.Snapshot{Processes: tc.rows}, err: tc.err}, Looker: deployLooker(tc.deploy)}
			out := h.Act(t.Context(), app, pass.Step{Name: StepCaches, Timeout: time.Minute})
			if out.Outcome != tc.want || !strings.Contains(out.Message, tc.says) {
				t.Errorf("%s: %q, want %s: %q", out.Outcome, out.Message, tc.want, tc.says)
			}
			if _, err := os.Stat(file); !tc.empty && os.IsNotExist(err) != tc.cleared {
				t.Errorf("the file: %v", err)
			}
		})
	}
}

// holder starts a process that has a listening socket open, and nobody else has it. It ends with the test.
func holder(t *testing.T, env ...string) (id procfs.Identity, port int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	id = inheriting(t, "node server.js", socket, env...)
	if err := errors.Join(socket.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	return id, int32(l.Addr().(*net.TCPAddr).Port)
}

func TestThePortIsFreedFromOurOrphanAndFromNobodyElse(t *testing.T) {
	for _, tc := range []struct {
		name  string
		env   []string
		err   error
		want  v1alpha1.StepOutcome
		says  string
		alive bool
	}{
		{"an orphan", marked("ours"), nil, v1alpha1.StepDone, "held port", false},
		{"a stranger", []string{"PATH=/bin"}, nil, v1alpha1.StepFailed, "is held by pid", true},
		{"an orphan, and the process manager cannot be asked", marked("ours"), runtime.ErrTimeout, v1alpha1.StepFailed, "nothing is ended", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			app := v1alpha1.NewApp()
			id, port := holder(t, tc.env...)
			app.Spec.Port = port
			rt := &fakeRuntime{err: tc.err, snapshot: runtime.Snapshot{
				Daemon: daemonIn(home), Processes: []runtime.Process{{ID: "0", Mark: "ours", State: runtime.Stopped}},
			}}
			out := (&Hands{FS: procfs.Default(), Runtime: rt}).Act(t.Context(), app, pass.Step{Name: StepPort, Timeout: time.Minute})
			if out.Outcome != tc.want || !strings.Contains(out.Message, tc.says) || alive(t, id) != tc.alive {
				t.Errorf("%s: %q, alive %t; want %s: %q, alive %t", out.Outcome, out.Message, alive(t, id), tc.want, tc.says, tc.alive)
			}
			if tc.alive && tc.err == nil && !strings.Contains(out.Message, fmt.Sprintf("pid %d", id.PID)) {
				t.Errorf("the stranger is not named: %q", out.Message)
			}
		})
	}
}

func TestAFreePortIsSaid(t *testing.T) {
	app := v1alpha1.NewApp()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app.Spec.Port = int32(l.Addr().(*net.TCPAddr).Port)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	out := (&Hands{FS: procfs.Default()}).Act(t.Context(), app, pass.Step{Name: StepPort, Timeout: time.Minute})
	if out.Outcome != v1alpha1.StepDone || !strings.Contains(out.Message, "is free") {
		t.Fatalf("%s: %q", out.Outcome, out.Message)
	}
}

func TestAStepOfNoNameFails(t *testing.T) {
	if out := (&Hands{}).Act(t.Context(), v1alpha1.NewApp(), pass.Step{Name: "dance", Timeout: time.Minute}); out.Outcome != v1alpha1.StepFailed {
		t.Fatalf("%s: %q", out.Outcome, out.Message)
	}
}

// TestNoStepIsCarriedOutInModeObserve: hands without a runtime would panic in the first of them.
func TestNoStepIsCarriedOutInModeObserve(t *testing.T) {
	app := v1alpha1.NewApp()
	app.Spec.Mode = v1alpha1.ModeObserve
	for _, name := range Clean() {
		out := (&Hands{}).Act(t.Context(), app, pass.Step{Name: name, Timeout: time.Minute})
		if out.Outcome != v1alpha1.StepFailed || !strings.Contains(out.Message, "only observes") {
			t.Errorf("step %s: %s: %s", name, out.Outcome, out.Message)
		}
	}
}
