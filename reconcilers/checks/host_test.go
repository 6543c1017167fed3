package checks

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// memoryOf is the proc file system of a machine with so many MiB available, whose work stands still for so much of the time.
func memoryOf(t *testing.T, available int, stalled float64) procfs.FS {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "meminfo"), fmt.Sprintf("MemTotal: 1024000 kB\nMemFree: 10240 kB\nMemAvailable: %d kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", available<<10))
	write(t, filepath.Join(dir, "pressure", "memory"), fmt.Sprintf(
		"some avg10=%.2f avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n", stalled))
	return procfs.New(dir)
}

func TestMemoryCountsAsLowUntilItHasRisenWellAboveTheEdge(t *testing.T) {
	since := v1alpha1.Instant{BootID: "b"}
	wasLow := &v1alpha1.Learned{LowMemorySince: &since, Incarnation: "100:1"}
	for _, tc := range []struct {
		name      string
		available int
		stalled   float64
		learned   *v1alpha1.Learned
		status    metav1.ConditionStatus
		reason    string
		says      string
	}{
		{"enough", 300, 0, nil, yes, "Enough", "300 MiB available"},
		{"at the edge", 100, 0, nil, yes, "Enough", "100 MiB"},
		{"below it", 99, 0, nil, no, "Low", "99 MiB available, 100 MiB wanted"},
		{"risen a little", 130, 0, wasLow, no, "Low", "130 MiB available, and after it was low 150 MiB are wanted"},
		{"risen enough", 150, 0, wasLow, yes, "Enough", "150 MiB"},
		{"it was low in another life of the application", 130, 0, &v1alpha1.Learned{LowMemorySince: &since, Incarnation: "9:9"}, yes, "Enough", "130 MiB"},
		{"it was not low", 130, 0, &v1alpha1.Learned{Incarnation: "100:1"}, yes, "Enough", "130 MiB"},
		{"work stands still", 300, 40, nil, no, "Stalled", "40 %"},
		{"work stands still a little", 300, 39.9, nil, yes, "Enough", "300 MiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			app := v1alpha1.NewApp()
			app.Status.Learned = tc.learned
			l := &look{app: app, life: "100:1"}
			l.procs.Processes = []procfs.Process{
				{Identity: procfs.Identity{PID: 100}, Comm: "node", RSS: 70 << 20}, {Identity: procfs.Identity{PID: 7}, Comm: "mysqld", RSS: 60 << 20},
				{Identity: procfs.Identity{PID: 8}, Comm: "nginx", RSS: 5 << 20},
			}
			l.tree = map[int]procfs.Process{100: l.procs.Processes[0]}
			r := (&Prober{FS: memoryOf(t, tc.available, tc.stalled)}).memoryResult(l)
			if r.Status != tc.status || r.Reason != tc.reason || !strings.Contains(r.Message, tc.says) {
				t.Errorf("%s %s: %q, want %s %s: %q", r.Status, r.Reason, r.Message, tc.status, tc.reason, tc.says)
			}
			o := v1alpha1.Observation{Results: []v1alpha1.CheckResult{{Check: "memory", Facts: r.Facts}}}
			f, ok := facts.Of[facts.Memory](&o, "memory")
			if !ok || f.Tree != 70<<20 || f.HogName != "mysqld" || f.HogPID != 7 || f.Available != int64(tc.available)<<20 || f.Life != "100:1" {
				t.Errorf("facts: %+v", f)
			}
		})
	}
	r := (&Prober{FS: procfs.New(t.TempDir())}).memoryResult(&look{app: v1alpha1.NewApp()})
	if r.Status != maybe || r.Reason != "CouldNotAsk" {
		t.Errorf("what cannot be read: %s %s", r.Status, r.Reason)
	}
}

func TestDatabaseResultNamesTheFilesThatWereRead(t *testing.T) {
	for _, tc := range []struct {
		name    string
		envFile string
		files   map[string]string
		status  metav1.ConditionStatus
		says    string
	}{
		{"set", "", map[string]string{".env": "DATABASE_URL=postgres://secret\n"}, yes, "DATABASE_URL set in .env"},
		{"set in a file before it", "", map[string]string{".env.local": "DATABASE_URL=postgres://secret\n", ".env": "OTHER=1\n"}, yes, "set in .env.local, .env"},
		{"emptied by a file before it", "", map[string]string{".env.local": "DATABASE_URL=\n", ".env": "DATABASE_URL=postgres://secret\n"},
			no, "DATABASE_URL missing or empty in .env.local, .env, of "},
		{"missing", "", map[string]string{".env": "OTHER=secret\n"}, no, "DATABASE_URL missing or empty in .env, of "},
		{"no file", "", nil, no, "holds no .env.production.local, .env.local, .env.production, .env"},
		{"a file of another name", "prod.env", map[string]string{".env": "DATABASE_URL=postgres://secret\n", "prod.env": "A=secret\n"}, no, "missing or empty in prod.env, of "},
		{"it cannot be read", "", map[string]string{".env/file": ""}, maybe, ""},
	} {
		dir := t.TempDir()
		for name, text := range tc.files {
			write(t, filepath.Join(dir, name), text)
		}
		app := site("site")
		app.Spec.Directory = dir
		app.Spec.Checks.Database = &v1alpha1.DatabaseCheck{EnvFile: tc.envFile}
		v1alpha1.SetDefaults(app)
		r := (&Prober{}).databaseResult(t.Context(), &look{app: app}, surroundings{})
		if r.Status != tc.status || !strings.Contains(r.Message, tc.says) || r.Message == "" {
			t.Errorf("%s: %s: %q, want %s: %q", tc.name, r.Status, r.Message, tc.status, tc.says)
		}
		if strings.Contains(r.Message+string(r.Facts), "secret") {
			t.Errorf("%s: a value is shown: %s %s", tc.name, r.Message, r.Facts)
		}
	}
}
