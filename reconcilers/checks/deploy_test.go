package checks

import (
	"os"
	"path/filepath"
	"slices"
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
	const git, install, build, unpack = "git pull", "npm ci", "npm run build", "rsync"
	for name, made := range map[string][]string{
		".git/index": {git, unpack}, "node_modules/next": {install, unpack}, ".next/BUILD_ID": {build, unpack}, "package.json": {unpack},
		".next/cache/image": nil, "node_modules/.cache/index": nil,
	} {
		for _, work := range []string{git, install, build, unpack} {
			age()
			if changedSince(dir, since, nil, work) {
				t.Fatalf("before %s was made: changed by %s", name, work)
			}
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, want := changedSince(dir, since, nil, work), slices.Contains(made, work); got != want {
				t.Errorf("%s was made: changed by %s %t, want %t", name, work, got, want)
			}
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Root is at work somewhere, and where may not be seen; meanwhile the build is taken away here. That is no deploy.
func TestABuildThatIsTakenAwayIsNoTraceOfWorkElsewhere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".git", "node_modules", ".next"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	since := time.Now().Add(-time.Minute)
	if err := os.Rename(filepath.Join(dir, ".next"), filepath.Join(dir, ".next.away")); err != nil {
		t.Fatal(err)
	}
	for _, work := range []string{"git rebase", "npm ci", "npm rebuild", "npm run build", "next build", "prisma generate", ""} {
		if changedSince(dir, since, nil, work) {
			t.Errorf("%q elsewhere counts as a deploy here", work)
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
		work     string
		want     bool
	}{
		"no recovery":           {nil, "npm ci", true},
		"a recovery under way":  {&v1alpha1.Recovery{StartedAt: at(-10 * time.Second)}, "npm ci", false},
		"one that ended before": {&v1alpha1.Recovery{StartedAt: early, FinishedAt: &late}, "next build", true},
	} {
		if got := changedSince(dir, since, test.recovery, test.work); got != test.want {
			t.Errorf("%s: changed %t, want %t", name, got, test.want)
		}
	}
}
