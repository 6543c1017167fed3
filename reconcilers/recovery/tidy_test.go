package recovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/cachedir"
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
