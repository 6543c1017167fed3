package main

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
)

// looked is how often it has looked so far.
func (r *rig) looked() int { r.mu.Lock(); defer r.mu.Unlock(); return r.looks }

func (r *rig) condition(kind string) metav1.ConditionStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.last.Conditions {
		if c.Type == kind {
			return c.Status
		}
	}
	return ""
}

// in a bubble, with a loop that has come to rest.
func withLoop(t *testing.T, test func(t *testing.T, r *rig, stop func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		stop := r.run()
		time.Sleep(5*time.Minute + 30*time.Second)
		test(t, r, stop)
	})
}

func TestLoopLooksEveryIntervalAndWhenItIsWoken(t *testing.T) {
	withLoop(t, func(t *testing.T, r *rig, stop func()) {
		before := r.looked()
		time.Sleep(10 * time.Minute)
		if n := r.looked() - before; n != 10 {
			t.Errorf("%d looks in ten minutes, want 10", n)
		}
		before = r.looked()
		r.wake <- struct{}{}
		time.Sleep(time.Millisecond)
		if n := r.looked() - before; n != 1 {
			t.Errorf("%d looks after it was woken, want one at once", n)
		}
		stop()
	})
}

func TestLoopEndsWhenItsAppIsRemovedAndLeavesItAlone(t *testing.T) {
	withLoop(t, func(t *testing.T, r *rig, _ func()) {
		r.removed <- struct{}{}
		<-r.done
		r.do(func(w *world) {
			if !w.well() || len(r.acts) > 0 {
				t.Errorf("the application is well: %v, steps: %v", w.well(), r.acts)
			}
		})
	})
}

func TestLoopDoesNotWaitForALookAtTheEnd(t *testing.T) {
	withLoop(t, func(t *testing.T, r *rig, stop func()) {
		r.do(func(w *world) { w.app.hung = true }) // a look takes ten seconds now
		before := r.looked()
		for r.looked() == before {
			time.Sleep(time.Second)
		}
		began := time.Now()
		stop()
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it ended after %s", took)
		}
	})
}

func TestLoopWritesAgainWhenThereIsRoomAndTellsOnce(t *testing.T) {
	withLoop(t, func(t *testing.T, r *rig, stop func()) {
		r.do(func(w *world) { w.disk.full = true; w.env.proxy = true })
		time.Sleep(20 * time.Minute)
		told := 0
		r.do(func(w *world) {
			for _, a := range r.alerts {
				if a.Kind == v1alpha1.AlertStateNotPersisted {
					told++
				}
			}
			w.disk.full = false
		})
		if told != 1 || r.phase() != v1alpha1.PhaseHealthy {
			t.Errorf("told %d times, on disk is %s; want once, and what was there before", told, r.phase())
		}
		time.Sleep(2 * time.Minute)
		if r.phase() != v1alpha1.PhaseDegraded || r.condition(v1alpha1.ConditionStatePersisted) != metav1.ConditionTrue {
			t.Errorf("on disk is %s, persisted %s", r.phase(), r.condition(v1alpha1.ConditionStatePersisted))
		}
		stop()
	})
}

func TestLoopKeepsTheLastGoodSpecAndSaysSo(t *testing.T) {
	withLoop(t, func(t *testing.T, r *rig, stop func()) {
		r.specs <- controller.SpecUpdate{Rejected: errors.New("site.yaml:3:5: spec.pors is not known")}
		time.Sleep(time.Minute)
		if s := r.condition(v1alpha1.ConditionSpecAccepted); s != metav1.ConditionFalse {
			t.Errorf("SpecAccepted is %s", s)
		}
		r.do(func(w *world) { w.app.hung = true })
		time.Sleep(3 * time.Minute)
		if r.begun() != 1 {
			t.Errorf("%d recoveries under the last good spec, want one", r.begun())
		}
		r.specs <- controller.SpecUpdate{App: newApp("default")}
		time.Sleep(time.Minute)
		if s := r.condition(v1alpha1.ConditionSpecAccepted); s != metav1.ConditionTrue {
			t.Errorf("SpecAccepted is %s after a good one", s)
		}
		stop()
	})
}

func TestLoopOutlivesAPanicInALook(t *testing.T) {
	withLoop(t, func(t *testing.T, r *rig, stop func()) {
		r.do(func(*world) { r.panics = true })
		time.Sleep(3 * time.Minute)
		r.do(func(w *world) { w.app.hung = true })
		time.Sleep(3 * time.Minute)
		if r.begun() != 1 || r.phase() != v1alpha1.PhaseCooldown {
			t.Errorf("%d recoveries, phase %s", r.begun(), r.phase())
		}
		stop()
	})
}

// TestLoopWaitsForItsTurn has the one turn of the machine taken by another application.
func TestLoopWaitsForItsTurn(t *testing.T) {
	withLoop(t, func(t *testing.T, r *rig, stop func()) {
		r.turns <- struct{}{}
		r.do(func(w *world) { w.app.hung = true })
		time.Sleep(5 * time.Minute)
		if r.begun() != 0 || r.phase() != v1alpha1.PhaseDegraded {
			t.Errorf("%d recoveries in phase %s without a turn", r.begun(), r.phase())
		}
		<-r.turns
		time.Sleep(time.Minute)
		if r.begun() != 1 {
			t.Errorf("%d recoveries with a turn, want one", r.begun())
		}
		time.Sleep(10 * time.Minute)
		select {
		case r.turns <- struct{}{}:
		default:
			t.Error("the turn was not given back")
		}
		stop()
	})
}
