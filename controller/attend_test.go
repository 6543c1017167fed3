package controller

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

// stage is all that a loop works on, in memory. It notes in one list what happened, in its order.
type stage struct {
	fakeJudge
	mu    sync.Mutex
	local metav1.ConditionStatus
	notes []string
}

func (s *stage) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.notes); n == 0 || s.notes[n-1] != what {
		s.notes = append(s.notes, what)
	}
}

func (s *stage) Observe(context.Context, *v1alpha1.App, []string) v1alpha1.Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seen(stageNow(), s.local, yes)
}

func (s *stage) Act(_ context.Context, _ *v1alpha1.App, step pass.Step) pass.StepResult {
	s.note("act " + step.Name)
	if step.Name == "start" {
		s.mu.Lock()
		s.local = yes
		s.mu.Unlock()
	}
	return pass.StepResult{Step: step.Name, Outcome: v1alpha1.StepDone}
}

func (s *stage) Write(v1alpha1.AppStatus, int64) error       { return nil }
func (s *stage) TakeOrder() (state.Order, error)             { return state.Order{}, nil }
func (s *stage) Refuse(string) *state.RejectedError          { return nil }
func (s *stage) Pass(*v1alpha1.App, *v1alpha1.Observation)   {}
func (s *stage) Alert(*v1alpha1.App, v1alpha1.Alert, func()) {}
func (s *stage) Event(e v1alpha1.Event) {
	if e.Reason == v1alpha1.ReasonPaused {
		s.note("pause told")
	}
}

func (s *stage) attend(app *v1alpha1.App) {
	switch {
	case app.Spec.Paused:
		s.note("attend: paused")
	case app.Status.Recovery.Open():
		s.note("attend: recovering")
	default:
		s.note("attend: " + string(app.Status.Phase))
	}
}

// stageNow is the moment on the virtual clock.
func stageNow() v1alpha1.Instant {
	now := time.Now()
	return v1alpha1.Instant{Wall: metav1.NewMicroTime(now), Boot: metav1.Duration{Duration: time.Hour + now.Sub(stageEpoch)}, BootID: "boot-1"}
}

var stageEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where virtual time begins

// TestWhoeverActsBetweenPassesIsToldInTime: that a recovery is under way before its first step, and that there is a pause
// before anybody else hears of it.
func TestWhoeverActsBetweenPassesIsToldInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{fakeJudge: fakeJudge{verdict: crashed}, local: no}
		quiet := logrus.New()
		quiet.SetOutput(io.Discard)
		specs := make(chan SpecUpdate, 1)
		loop := &Loop{
			Domain: s, Store: s, Sink: s, Clock: stageNow, Log: quiet, Random: rand.New(rand.NewPCG(1, 1)), Specs: specs, Attend: s.attend,
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			loop.Run(ctx, newApp(), v1alpha1.AppStatus{}, Input{})
		}()
		time.Sleep(10 * time.Minute) // virtual
		paused := newApp()
		paused.Spec.Paused, paused.Generation = true, 2
		specs <- SpecUpdate{App: paused}
		synctest.Wait()
		stop()
		<-ended
		want := []string{
			"attend: Healthy", "attend: recovering", "act stop", "attend: recovering", "act start", "attend: recovering", "act verify",
			"attend: Cooldown", "attend: Healthy", "attend: paused", "pause told", "attend: paused",
		}
		if len(s.notes) != len(want) {
			t.Fatalf("notes: %q\nwant:  %q", s.notes, want)
		}
		for n := range want {
			if s.notes[n] != want[n] {
				t.Errorf("note %d: %q, want %q", n, s.notes[n], want[n])
			}
		}
	})
}
