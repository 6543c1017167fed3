package recovery

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// life is how the application is from one moment on.
type life struct {
	from   time.Duration
	pid    string // empty: none
	state  runtime.State
	local  metav1.ConditionStatus
	public metav1.ConditionStatus
}

// script is an application that goes through its lives in virtual time.
type script struct {
	began time.Time
	lives []life
	looks int
}

func (s *script) now() life {
	t, at := time.Since(s.began), s.lives[0]
	for _, l := range s.lives {
		if t >= l.from {
			at = l
		}
	}
	return at
}

func (s *script) Observe(_ context.Context, _ *v1alpha1.App, due []string) v1alpha1.Observation {
	s.looks++
	l := s.now()
	process := v1alpha1.CheckResult{Check: "process", Status: metav1.ConditionTrue, Facts: facts.Raw(facts.Process{
		Daemon: true, State: string(l.state), Life: l.pid, Age: time.Since(s.began) - l.from, Rows: []facts.Row{{ID: "0", Life: l.pid}},
	})}
	if l.pid == "" {
		process.Status = metav1.ConditionFalse
	}
	var o v1alpha1.Observation
	for _, r := range []v1alpha1.CheckResult{
		{Check: "local", Status: l.local, Leading: true, Message: "script"}, process, {Check: "public", Status: l.public, Message: "script"},
	} {
		if slices.Contains(due, r.Check) {
			o.Results = append(o.Results, r)
		}
	}
	return o
}

func TestVerify(t *testing.T) {
	const yes, no, maybe = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	for _, tc := range []struct {
		name    string
		lives   []life
		want    v1alpha1.StepOutcome
		says    string
		atLeast time.Duration
		atMost  time.Duration
	}{
		{"answers after a second", []life{{0, "a:1", runtime.Running, maybe, yes}, {time.Second, "a:1", runtime.Running, yes, yes}},
			v1alpha1.StepDone, "it answers", 4 * time.Second, 8 * time.Second},
		{"the proxy is down all the same", []life{{0, "a:1", runtime.Running, yes, no}},
			v1alpha1.StepDone, "public: False", 3 * time.Second, 5 * time.Second},
		{"slow to start, but within its grace", []life{{0, "a:1", runtime.Running, maybe, no}, {50 * time.Second, "a:1", runtime.Running, yes, yes}},
			v1alpha1.StepDone, "it answers", 53 * time.Second, 58 * time.Second},
		{"never answers", []life{{0, "a:1", runtime.Running, no, no}},
			v1alpha1.StepFailed, "no good answer within", 60 * time.Second, 63 * time.Second},
		{"errored", []life{{0, "a:1", runtime.Running, maybe, no}, {time.Second, "", runtime.Errored, no, no}},
			v1alpha1.StepFailed, "nobody brings it back", time.Second, 4 * time.Second},
		{"gone", []life{{0, "a:1", runtime.Running, maybe, no}, {time.Second, "", runtime.Stopped, no, no}},
			v1alpha1.StepFailed, "nobody brings it back", 3 * time.Second, 6 * time.Second},
		{"gone for a moment", []life{{0, "a:1", runtime.Running, maybe, no}, {time.Second, "", runtime.Stopped, no, no}, {2 * time.Second, "b:2", runtime.Running, yes, yes}},
			v1alpha1.StepDone, "b:2", 5 * time.Second, 9 * time.Second},
		{"answers, and another process answers three seconds later", []life{{0, "a:1", runtime.Running, yes, yes}, {2 * time.Second, "b:2", runtime.Running, yes, yes}},
			v1alpha1.StepDone, "b:2", 5 * time.Second, 10 * time.Second},
		{"comes and goes", []life{
			{0, "a:1", runtime.Running, maybe, no}, {2 * time.Second, "b:1", runtime.Running, maybe, no}, {4 * time.Second, "c:1", runtime.Running, maybe, no},
			{6 * time.Second, "d:1", runtime.Running, maybe, no},
		}, v1alpha1.StepFailed, "3 processes have come and gone", 6 * time.Second, 8 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{began: time.Now(), lives: tc.lives}
				clock := func() v1alpha1.Instant {
					return v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Now()), Boot: metav1.Duration{Duration: time.Since(s.began)}, BootID: "b"}
				}
				app := v1alpha1.NewApp()
				app.Spec.Checks.Public.URL = "https://www.example.test/"
				h := &Hands{Looker: s, Clock: clock}
				r := h.Act(t.Context(), app, pass.Step{Name: StepVerify, Timeout: Traits(app, StepVerify).Timeout})
				took := time.Since(s.began)
				if r.Outcome != tc.want || !strings.Contains(r.Message, tc.says) {
					t.Fatalf("after %v: %s: %s; want %s: %s", took, r.Outcome, r.Message, tc.want, tc.says)
				}
				if took < tc.atLeast || took > tc.atMost {
					t.Fatalf("took %v, want %v to %v", took, tc.atLeast, tc.atMost)
				}
			})
		})
	}
}

func TestAVerificationThatIsBrokenOffIsNotAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{began: time.Now(), lives: []life{{0, "a:1", runtime.Running, metav1.ConditionUnknown, metav1.ConditionTrue}}}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		h := &Hands{Looker: s, Clock: func() v1alpha1.Instant {
			return v1alpha1.Instant{Boot: metav1.Duration{Duration: time.Since(s.began)}, BootID: "b"}
		}}
		app := v1alpha1.NewApp()
		r := h.Act(ctx, app, pass.Step{Name: StepVerify, Timeout: time.Minute})
		if r.Outcome != v1alpha1.StepInterrupted {
			t.Fatalf("%s: %s, want Interrupted", r.Outcome, r.Message)
		}
	})
}
