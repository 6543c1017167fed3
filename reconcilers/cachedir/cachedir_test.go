//go:build linux

package cachedir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// app is an app's folder beside a victim that must never be touched.
func app(t testing.TB) (dir, victim string) {
	t.Helper()
	base := t.TempDir()
	dir, victim = filepath.Join(base, "app"), filepath.Join(base, "victim")
	write(t, filepath.Join(victim, "cache", "precious"), "precious")
	write(t, filepath.Join(dir, "package.json"), "{}")
	return dir, victim
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, target, name string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.Symlink(target, name)); err != nil {
		t.Fatal(err)
	}
}

func unharmed(t testing.TB, victim string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(victim, "cache", "precious"))
	if err != nil || string(b) != "precious" {
		t.Fatalf("the victim was touched: %q, %v", b, err)
	}
	if names := list(t, victim); !slices.Equal(names, []string{"cache", "cache/precious"}) {
		t.Fatalf("the victim was touched: %q", names)
	}
}

// list is all that is in a folder.
func list(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(dir, path); name != "." {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func clearAll(t testing.TB, dir string, folders ...string) []Cleared {
	t.Helper()
	all, err := Clear(t.Context(), dir, folders)
	if err != nil || len(all) != len(folders) {
		t.Fatalf("%+v, %v", all, err)
	}
	return all
}

func TestClearAndPurge(t *testing.T) {
	dir, victim := app(t)
	write(t, filepath.Join(dir, ".next/cache/images/a"), strings.Repeat("x", 10000))
	write(t, filepath.Join(dir, ".next/cache/b"), "b")
	write(t, filepath.Join(dir, ".next/BUILD_ID"), "id")
	write(t, filepath.Join(dir, "node_modules/.cache/c"), "c")
	link(t, filepath.Join(victim, "cache"), filepath.Join(dir, ".next/cache/out"))
	link(t, "../BUILD_ID", filepath.Join(dir, ".next/cache/in"))
	folders := []string{".next/cache", "./node_modules/.cache/", ".next/cache", "dist/cache"}

	all := clearAll(t, dir, folders...)
	first := all[0]
	if first.Skipped != "" || first.Partial || first.Files != 4 || first.Bytes < 10000 || filepath.Dir(first.TrashName) != ".next" {
		t.Errorf("%+v", first)
	}
	if all[1].Files != 1 || all[1].Skipped != "" {
		t.Errorf("%+v", all[1])
	}
	for _, again := range all[2:] {
		if !again.Missing || again.Skipped == "" || again.TrashName != "" {
			t.Errorf("%+v", again)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, first.TrashName, "images", "a")); err != nil {
		t.Errorf("moved: %v", err)
	}

	removed, err := Purge(t.Context(), dir, folders)
	if err != nil || !slices.Equal(removed, []string{first.TrashName, all[1].TrashName}) {
		t.Errorf("%q, %v", removed, err)
	}
	if got, want := list(t, dir), []string{".next", ".next/BUILD_ID", "node_modules", "package.json"}; !slices.Equal(got, want) {
		t.Errorf("left: %q", got)
	}
	unharmed(t, victim)
	if removed, err := Purge(t.Context(), dir, folders); err != nil || removed != nil {
		t.Errorf("again: %q, %v", removed, err)
	}
}

func TestRefused(t *testing.T) {
	dir, victim := app(t)
	link(t, filepath.Join(victim, "cache"), filepath.Join(dir, "linked"))
	link(t, "../victim", filepath.Join(dir, "parent"))
	link(t, victim, filepath.Join(dir, "absolute"))
	link(t, "nowhere", filepath.Join(dir, "dangling"))
	link(t, "loop", filepath.Join(dir, "loop"))
	write(t, filepath.Join(dir, "file"), "x")
	before := list(t, dir)
	for folder, reason := range map[string]string{
		"":                                 "is empty",
		".":                                "app's folder itself",
		"./":                               "app's folder itself",
		"./.":                              "app's folder itself",
		"..":                               "'..'",
		"../victim/cache":                  "'..'",
		"a/../../victim/cache":             "'..'",
		"linked/../linked":                 "'..'",
		victim + "/cache":                  "absolute",
		"/":                                "absolute",
		"a\x00b":                           "NUL",
		"linked":                           "is a symbolic link; nothing removed",
		"linked/":                          "is a symbolic link; nothing removed",
		"dangling":                         "is a symbolic link; nothing removed",
		"loop":                             "is a symbolic link; nothing removed",
		"loop/cache":                       "symbolic link that does not stay inside",
		"parent/cache":                     "parent is a symbolic link that does not stay inside",
		"absolute/cache":                   "absolute is a symbolic link that does not stay inside",
		"file":                             "not a folder",
		"file/cache":                       "not a directory",
		".evenkeel-trash-0123456789abcdef": "own trash",
	} {
		c := clearAll(t, dir, folder)[0]
		if !strings.Contains(c.Skipped, reason) || c.TrashName != "" || c.Missing || c.Folder != folder {
			t.Errorf("%q: %+v, want %q", folder, c, reason)
		}
	}
	if after := list(t, dir); !slices.Equal(after, before) {
		t.Errorf("%q became %q", before, after)
	}
	unharmed(t, victim)
	for _, bad := range []string{"", "app", "/", "//", "/../", filepath.Join(dir, "none"), filepath.Join(dir, "file")} {
		if all, err := Clear(t.Context(), bad, []string{"x"}); err == nil {
			t.Errorf("app folder %q: %+v", bad, all)
		}
		if all, err := Purge(t.Context(), bad, []string{"x"}); err == nil {
			t.Errorf("app folder %q: %+v", bad, all)
		}
	}
}

// The app's folder may itself be reached by a link, as with releases and "current"; so may a parent inside it.
func TestLinksThatStayInside(t *testing.T) {
	dir, victim := app(t)
	write(t, filepath.Join(dir, "deps/.cache/c"), "c")
	link(t, "deps", filepath.Join(dir, "node_modules"))
	current := filepath.Join(filepath.Dir(dir), "current")
	link(t, "app", current)
	c := clearAll(t, current, "node_modules/.cache")[0]
	if c.Skipped != "" || c.Files != 1 {
		t.Errorf("%+v", c)
	}
	if removed, err := Purge(t.Context(), current, []string{"node_modules/.cache"}); err != nil || len(removed) != 1 {
		t.Errorf("%q, %v", removed, err)
	}
	if names := list(t, filepath.Join(dir, "deps")); len(names) != 0 {
		t.Errorf("left: %q", names)
	}
	unharmed(t, victim)
}

func TestPurgeRemovesOnlyItsOwn(t *testing.T) {
	dir, victim := app(t)
	keep := []string{".evenkeel-trash-", ".evenkeel-trash-0123456789abcde", ".evenkeel-trash-0123456789abcdeg", ".evenkeel-trash-0123456789ABCDEF",
		".evenkeel-trash-0123456789abcdef0", "evenkeel-trash-0123456789abcdef", "x.evenkeel-trash-0123456789abcdef"}
	for _, name := range keep {
		write(t, filepath.Join(dir, ".next", name, "f"), "x")
	}
	write(t, filepath.Join(dir, "elsewhere/.evenkeel-trash-0123456789abcdef/f"), "x")
	write(t, filepath.Join(dir, ".next/.evenkeel-trash-0123456789abcdef/f"), "left over by a run that was killed")
	link(t, filepath.Join(victim, "cache"), filepath.Join(dir, ".next/.evenkeel-trash-00000000000000aa"))
	removed, err := Purge(t.Context(), dir, []string{".next/cache", "../victim/cache", "missing/cache"})
	if err != nil || len(removed) != 2 {
		t.Errorf("%q, %v", removed, err)
	}
	for _, name := range append(keep, "../elsewhere/.evenkeel-trash-0123456789abcdef") {
		if _, err := os.Stat(filepath.Join(dir, ".next", name, "f")); err != nil {
			t.Errorf("removed: %v", err)
		}
	}
	unharmed(t, victim)
}

// Killed after any number of steps, the next run does the rest.
func TestRunAgainAfterBeingKilled(t *testing.T) {
	dir, _ := app(t)
	folders := []string{"a/cache", "b/cache", "c/cache"}
	for _, f := range folders {
		write(t, filepath.Join(dir, f, "f"), "x")
	}
	clearAll(t, dir, folders[:1]...) // killed after the first of three
	clearAll(t, dir, folders...)
	write(t, filepath.Join(dir, "a/cache/new"), "the app has filled it anew")
	clearAll(t, dir, folders[:1]...)
	if removed, err := Purge(t.Context(), dir, folders); err != nil || len(removed) != 4 {
		t.Errorf("%q, %v", removed, err)
	}
	if left := list(t, dir); !slices.Equal(left, []string{"a", "b", "c", "package.json"}) {
		t.Errorf("%q", left)
	}
}

func TestEndedContext(t *testing.T) {
	dir, _ := app(t)
	write(t, filepath.Join(dir, "x/cache/f"), "x")
	clearAll(t, dir, "x/cache")
	write(t, filepath.Join(dir, "x/cache/f"), "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if all, err := Clear(ctx, dir, []string{"x/cache"}); !errors.Is(err, context.Canceled) || all != nil {
		t.Errorf("%v, %v", all, err)
	}
	if removed, err := Purge(ctx, dir, []string{"x/cache"}); !errors.Is(err, context.Canceled) || removed != nil {
		t.Errorf("%v, %v", removed, err)
	}
}

func TestCountingEndsInTime(t *testing.T) {
	dir, _ := app(t)
	for i := range 10 {
		write(t, filepath.Join(dir, fmt.Sprintf("x/cache/%d/f", i)), "x")
	}
	c := clearAll(t, dir, "x/cache")[0]
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	c.count(t.Context(), root, time.Now().Add(-time.Second))
	if !c.Partial || c.Files >= 10 {
		t.Errorf("%+v", c)
	}
}

func TestUnreadableFolder(t *testing.T) {
	dir, _ := app(t)
	if err := os.MkdirAll(filepath.Join(dir, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "x/cache/deep/f"), "x")
	if os.Geteuid() == 0 {
		t.Skip("root may do everything")
	}
	if err := os.Chmod(filepath.Join(dir, "x"), 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(dir, "x"), 0o755)
	if c := clearAll(t, dir, "x/cache")[0]; !strings.Contains(c.Skipped, "permission denied") {
		t.Errorf("%+v", c)
	}
}

func TestBindMountInside(t *testing.T) {
	dir, victim := app(t)
	inside := filepath.Join(dir, ".next/cache/images")
	if err := os.MkdirAll(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(victim, inside, "", unix.MS_BIND, ""); err != nil {
		t.Skip("mount:", err)
	}
	defer unix.Unmount(inside, unix.MNT_DETACH)
	for _, folder := range []string{".next", ".next/cache", ".next/cache/images"} {
		if c := clearAll(t, dir, folder)[0]; !strings.Contains(c.Skipped, "mounted at "+inside) || c.TrashName != "" {
			t.Errorf("%s: %+v", folder, c)
		}
	}
	unharmed(t, victim)
}

// Somebody swaps the folder, or its parent, for a link to the victim, over and over, while caches are cleared.
func TestSwapRace(t *testing.T) {
	for name, swapped := range map[string]string{"the folder": ".next/cache", "its parent": ".next"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, victim := app(t)
			target := victim
			if swapped == ".next/cache" {
				target = filepath.Join(victim, "cache")
			}
			path := filepath.Join(dir, swapped)
			fill := func() {
				_ = os.MkdirAll(filepath.Join(dir, ".next/cache/sub"), 0o755)
			}
			fill()

			stop := make(chan struct{})
			var flipping sync.WaitGroup
			var flips atomic.Int64
			flipping.Go(func() {
				for ; ; flips.Add(1) {
					select {
					case <-stop:
						return
					default:
					}
					aside := path + ".aside"
					_ = os.Rename(path, aside)
					_ = os.Symlink(target, path)
					_ = os.Remove(path)
					_ = os.Rename(aside, path)
				}
			})
			moved, refused := 0, 0
			deadline := time.Now().Add(time.Minute)
			for round := 0; round < 500 || flips.Load() < 3000; round++ {
				if time.Now().After(deadline) {
					t.Errorf("only %d flips", flips.Load())
					break
				}
				all, err := Clear(t.Context(), dir, []string{".next/cache"})
				if err != nil {
					t.Error(err)
					break
				}
				if all[0].TrashName != "" {
					moved++
				} else if !all[0].Missing {
					refused++
				}
				// Its way may be a link at this moment: an error then, and never a loss.
				_, _ = Purge(t.Context(), dir, []string{".next/cache"})
				fill()
			}
			close(stop)
			flipping.Wait()
			t.Logf("%d flips, %d moved, %d refused", flips.Load(), moved, refused)
			if b, err := os.ReadFile(filepath.Join(victim, "cache", "precious")); err != nil || string(b) != "precious" {
				t.Fatalf("the victim was touched: %q, %v", b, err)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"", ".", "..", ".next/cache", "a//b/", "/a", "a/../b", "...", "a\x00", ".evenkeel-trash-0123456789abcdef"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, folder string) {
		path, err := check(folder)
		if err != nil {
			return
		}
		if !filepath.IsLocal(path) || path == "." || path != filepath.Clean(path) || strings.Contains(path, "..") && slices.Contains(strings.Split(path, "/"), "..") {
			t.Fatalf("%q became %q", folder, path)
		}
	})
}

func BenchmarkClear(b *testing.B) {
	dir, _ := app(b)
	for b.Loop() {
		b.StopTimer()
		for i := range 20 {
			for j := range 50 {
				write(b, filepath.Join(dir, fmt.Sprintf(".next/cache/%d/%d", i, j)), "x")
			}
		}
		b.StartTimer()
		if all, err := Clear(b.Context(), dir, []string{".next/cache"}); err != nil || all[0].Files != 1000 {
			b.Fatal(all, err)
		}
		b.StopTimer()
		if _, err := Purge(b.Context(), dir, []string{".next/cache"}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
