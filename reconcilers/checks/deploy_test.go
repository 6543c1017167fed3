package checks

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestTracesOfADeploy(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".git", "node_modules/.cache", ".next/cache"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	age := func() {
		for _, name := range []string{"", ".git", "node_modules", ".next"} {
			if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
				t.Fatal(err)
			}
		}
	}
	since := time.Now().Add(-time.Minute)
	for name, made := range map[string]bool{
		"node_modules/next": true, ".git/index": true, ".next/BUILD_ID": true, "package.json": true,
		".next/cache/image": false, "node_modules/.cache/index": false,
	} {
		age()
		if changedSince(dir, since, nil) {
			t.Fatalf("before %s was made: changed", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if changedSince(dir, since, nil) != made {
			t.Errorf("%s was made: changed %t, want %t", name, !made, made)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOwnClearingOfCachesIsNoTraceOfADeploy(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"node_modules/.cache", ".next/cache"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dir, long, long); err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) v1alpha1.Instant {
		return v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Now().Add(d))}
	}
	since, early, late := time.Now().Add(-time.Minute), at(-40*time.Second), at(-30*time.Second)
	for name, test := range map[string]struct {
		recovery *v1alpha1.Recovery
		want     bool
	}{
		"no recovery":           {nil, true},
		"a recovery under way":  {&v1alpha1.Recovery{StartedAt: at(-10 * time.Second)}, false},
		"one that ended before": {&v1alpha1.Recovery{StartedAt: early, FinishedAt: &late}, true},
	} {
		if got := changedSince(dir, since, test.recovery); got != test.want {
			t.Errorf("%s: changed %t, want %t", name, got, test.want)
		}
	}
}
