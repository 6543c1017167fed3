package controller

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/state"
)

// deaf is a sink that hears nothing.
type deaf struct{}

func (deaf) Pass(*v1alpha1.App, *v1alpha1.Observation)   {}
func (deaf) Event(v1alpha1.Event)                        {}
func (deaf) Alert(*v1alpha1.App, v1alpha1.Alert, func()) {}

// TestAnOrderThatIsRefusedIsKept as every other save is that cannot be obeyed.
func TestAnOrderThatIsRefusedIsKept(t *testing.T) {
	dir := t.TempDir()
	store, err := state.NewStore(dir, "site", state.Options{Settle: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	store.Load()
	now := stageNow()
	l := &Loop{Domain: &stage{}, Store: store, Sink: deaf{}, Clock: stageNow, app: v1alpha1.NewApp(), busy: true}
	l.retry = pace.New(time.Second, time.Minute, 2)
	l.app.Name = "site"
	l.status = v1alpha1.AppStatus{
		Phase: v1alpha1.PhaseRecovering, Recovery: &v1alpha1.Recovery{ID: "1-1", StartedAt: now, Step: "stop", StepAt: &now, Stopped: true},
	}
	if err := store.Write(l.status, 1); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(store.Path())
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(written), "\nphase: Recovering", "\nphase: Healthy", 1)
	if err := os.WriteFile(store.Path(), []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	l.step(Input{Order: l.takeOrder(), Busy: true})
	if kept, _ := os.ReadFile(filepath.Join(dir, "site.rejected.yaml")); string(kept) != edited {
		t.Error("it is not kept")
	}
	c := meta.FindStatusCondition(l.status.Conditions, v1alpha1.ConditionEditAccepted)
	if c == nil || c.Reason != "Refused" || !strings.Contains(c.Message, "reset when it has ended") || !strings.Contains(c.Message, "site.rejected.yaml") {
		t.Errorf("%+v", c)
	}
	if !l.status.Recovery.Open() {
		t.Error("the recovery has ended")
	}
}
