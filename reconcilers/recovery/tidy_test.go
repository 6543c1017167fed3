package recovery

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/cachedir"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestTidyDeletesWhatAnEarlierRunHasMovedAway pins a bug: evenkeel was ended after the step caches, the application came up,
// and nobody deleted what had been moved away.
func TestTidyDeletesWhatAnEarlierRunHasMovedAway(t *testing.T) {
	app := v1alpha1.NewApp()
	app.Spec.Directory, app.Spec.Recovery.Caches = t.TempDir(), []string{".next/cache"}
	cache := filepath.Join(app.Spec.Directory, ".next", "cache")
	if err := os.MkdirAll(filepath.Join(cache, "images"), 0o750); err != nil {
		t.Fatal(err)
	}
	if list, err := cachedir.Clear(t.Context(), app.Spec.Directory, app.Spec.Recovery.Caches); err != nil || list[0].TrashName == "" {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := os.MkdirAll(cache, 0o750); err != nil { // the application has made it anew
		t.Fatal(err)
	}
	log, said := logtest.NewNullLogger()
	h := &Hands{Log: log}
	for range 3 {
		h.Tidy(app)
	}
	h.tidying.Wait()
	entries, err := os.ReadDir(filepath.Dir(cache))
	if err != nil || len(entries) != 1 || entries[0].Name() != "cache" {
		t.Errorf("left: %v, %v", entries, err)
	}
	if said.LastEntry() == nil || said.Entries[0].Level != logrus.InfoLevel {
		t.Errorf("said: %v", said.AllEntries())
	}

	app.Spec.Directory = filepath.Join(app.Spec.Directory, "gone")
	h.Tidy(app)
	h.tidying.Wait()
	if e := said.LastEntry(); e.Level != logrus.WarnLevel || !strings.Contains(e.Data["error"].(error).Error(), "gone") {
		t.Errorf("said: %v", e)
	}
}

// diskLooker says how the disk is, and that no deploy is at work.
type diskLooker metav1.ConditionStatus

func (d diskLooker) Observe(context.Context, *v1alpha1.App, []string) v1alpha1.Observation {
	return v1alpha1.Observation{Results: []v1alpha1.CheckResult{
		{Check: v1alpha1.CheckDeploy, Status: metav1.ConditionTrue}, {Check: v1alpha1.CheckDisk, Status: metav1.ConditionStatus(d)},
	}}
}

// TestOnAFullDiskTheCachesAreDeletedBeforeTheStart pins a bug: what was moved away still filled the disk at the start that it
// was moved away for.
func TestOnAFullDiskTheCachesAreDeletedBeforeTheStart(t *testing.T) {
	for _, tc := range []struct {
		disk metav1.ConditionStatus
		left int
		says string
	}{
		{metav1.ConditionFalse, 0, "before the start"}, {metav1.ConditionTrue, 1, "1 files"}, {metav1.ConditionUnknown, 1, "1 files"},
	} {
		app := v1alpha1.NewApp()
		app.Spec.Directory, app.Spec.Recovery.Caches = t.TempDir(), []string{".next/cache"}
		cache := filepath.Join(app.Spec.Directory, ".next", "cache")
		if err := os.MkdirAll(cache, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(cache, "image"), []byte("large"), 0o600); err != nil {
			t.Fatal(err)
		}
		h := &Hands{Runtime: &fakeRuntime{snapshot: runtime.Snapshot{}}, Looker: diskLooker(tc.disk)}
		out := h.Act(t.Context(), app, pass.Step{Name: StepCaches, Timeout: time.Minute})
		left, err := os.ReadDir(filepath.Dir(cache))
		if err != nil || len(left) != tc.left || out.Outcome != v1alpha1.StepDone || !strings.Contains(out.Message, tc.says) {
			t.Errorf("disk %s: %d left, %v; %s %q", tc.disk, len(left), err, out.Outcome, out.Message)
		}
	}
}

// TestAStartDoesNotWaitForEverForRoom: a deletion that takes long goes on alone.
func TestAStartDoesNotWaitForEverForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := v1alpha1.NewApp()
		h := &Hands{tidies: map[string]chan struct{}{app.Spec.Directory: make(chan struct{})}}
		began := time.Now()
		if said := h.makeRoom(t.Context(), app); !strings.Contains(said, "still being deleted") || time.Since(began) != roomWait {
			t.Errorf("after %s: %s", time.Since(began), said)
		}
	})
}
