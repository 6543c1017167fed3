package desired

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/state/crashpoint"
)

// brittle is what an edit needs of the file system, with one bad point.
type brittle struct{ *crashpoint.Point }

func (b brittle) Create(path string, mode os.FileMode) (file, error) {
	var f file
	err := b.Do("create", func() (err error) { f, err = osSystem{}.Create(path, mode); return err })
	return &brittleFile{f, b.Point}, err
}

func (b brittle) Rename(from, to string) error {
	return b.Do("rename", func() error { return os.Rename(from, to) })
}

func (b brittle) Place(from, to string) error {
	return b.Do("place", func() error { return osSystem{}.Place(from, to) })
}

func (b brittle) Remove(path string) error {
	return b.Do("remove", func() error { return os.Remove(path) })
}

func (b brittle) SyncFolder(dir string) {
	_ = b.Do("sync folder", func() error { osSystem{}.SyncFolder(dir); return nil })
}

type brittleFile struct {
	file
	b *crashpoint.Point
}

func (f *brittleFile) Write(p []byte) (int, error) { return f.b.Write(f.file, p) }

func (f *brittleFile) Chmod(mode os.FileMode) error {
	return f.b.Do("chmod", func() error { return f.file.Chmod(mode) })
}

func (f *brittleFile) Sync() error { return f.b.Do("sync", func() error { return f.file.Sync() }) }

func (f *brittleFile) Close() error {
	defer f.file.Close() // a dead process's too
	return f.b.Do("close", func() error { return nil })
}

// TestAnEditAtEveryPoint lets what pause, resume, deploy and init do to the desired file fail, tear and die at each operation in
// turn. The file is the old or the new one, to the byte and with its mode, or not there yet; what was reported as done is the
// new one; and the next edit works and leaves nothing lying about.
func TestAnEditAtEveryPoint(t *testing.T) {
	const text = "apiVersion: evenkeel.dev/v1alpha1\nkind: App\nmetadata: {name: site}\nspec: # kept\n  directory: /x\n  runtime: {pm2: {process: p}}\n"
	const fresh = "apiVersion: evenkeel.dev/v1alpha1\nkind: App\n# as init writes it\n"
	paused := func(until time.Time) string {
		data := []byte(text)
		file := filepath.Join(t.TempDir(), "site.yaml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Pause(file, "site", "a test", until); err != nil {
			t.Fatal(err)
		}
		data, _ = os.ReadFile(file)
		return string(data)
	}
	until := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	commands := []struct {
		name     string
		old, new string // empty: there is no file
		do       func(file string) error
	}{
		{"pause", text, paused(time.Time{}), func(file string) error { return Pause(file, "site", "a test", time.Time{}) }},
		{"resume", paused(time.Time{}), resumed(t, paused(time.Time{})), func(file string) error { return Resume(file, "site") }},
		{"deploy", text, paused(until), func(file string) error { return Pause(file, "site", "a test", until) }},
		{"the end of deploy", paused(until), resumed(t, paused(until)), func(file string) error { return Resume(file, "site") }},
		{"init", "", fresh, func(file string) error { return Create(file, []byte(fresh), false) }},
		{"init --force", text, fresh, func(file string) error { return Create(file, []byte(fresh), true) }},
		{"init --force of none", "", fresh, func(file string) error { return Create(file, []byte(fresh), true) }},
	}
	defer func(old system) { disk = old }(disk)
	runs, points := 0, map[string]bool{}
	for _, c := range commands {
		for _, how := range crashpoint.All() {
			keep, done := 0, false
			for k := 1; !done; {
				dir := t.TempDir()
				file := filepath.Join(dir, "site.yaml")
				if c.old != "" {
					if err := os.WriteFile(file, []byte(c.old), 0o640); err != nil {
						t.Fatal(err)
					}
				}
				b := &crashpoint.Point{K: k, How: how, Keep: keep}
				disk = brittle{b}
				err := c.do(file)
				at := fmt.Sprintf("%s %s at %s (operation %d, byte %d)", c.name, how, b.Hit, k, keep)
				if b.Hit == "" {
					done = true
					order := strings.Join(b.Log, ", ")
					if err != nil || !strings.Contains(order, "sync, close, rename, sync folder") && !strings.Contains(order, "sync, close, place, sync folder") {
						t.Errorf("%s: undisturbed: %v, %s", at, err, order)
					}
					continue
				}
				if b.Counts() {
					runs++
					points[string(how)+" at "+b.Hit] = true
				}
				got, readErr := os.ReadFile(file)
				switch {
				case readErr != nil && (c.old != "" || !errors.Is(readErr, os.ErrNotExist)):
					t.Fatalf("%s: %v", at, readErr)
				case string(got) != c.old && string(got) != c.new:
					t.Fatalf("%s: neither the old nor the new one:\n%s", at, got)
				case err == nil && string(got) != c.new:
					t.Fatalf("%s: reported as done, and it is the old one", at)
				}
				disk = osSystem{}
				if err := c.do(file); err != nil && (c.name != "init" || string(got) != c.new || !errors.Is(err, os.ErrExist)) {
					t.Fatalf("%s: the next edit: %v", at, err)
				}
				after, _ := os.ReadFile(file)
				info, _ := os.Stat(file)
				list, _ := os.ReadDir(dir)
				if string(after) != c.new || len(list) != 1 || c.old != "" && info.Mode().Perm() != 0o640 {
					t.Fatalf("%s: after the next edit: %v, %v\n%s", at, list, info.Mode(), after)
				}
				if b.Hit == "write" && how.Torn() && keep < len(c.new) {
					keep += 7
					continue
				}
				k, keep = k+1, 0
			}
		}
	}
	for _, op := range []string{"create", "write", "chmod", "sync", "close", "rename", "place", "sync folder"} {
		for _, how := range []crashpoint.How{crashpoint.Fails, crashpoint.FailsThoughDone, crashpoint.Dies} {
			if !points[string(how)+" at "+op] {
				t.Errorf("never %s at %s", how, op)
			}
		}
	}
	t.Logf("%d points: %v; the file was the old or the new one each time", runs, slices.Sorted(maps.Keys(points)))
}

// resumed is a document without its pause.
func resumed(t *testing.T, text string) string {
	file := filepath.Join(t.TempDir(), "site.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Resume(file, "site"); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(file)
	return string(data)
}

// What lies beside a file and was not left by an edit of it stays.
func TestOnlyWhatAnEditHasLeftIsClearedAway(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "site.yaml")
	stay := []string{".site.yaml.tmp", ".site.yaml.new.tmp", ".other.yaml.17.tmp", "site.yaml.17.tmp", ".site.yaml.17"}
	for _, name := range append(stay, ".site.yaml.17.tmp") {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Create(file, []byte("x"), false); err != nil {
		t.Fatal(err)
	}
	for _, name := range stay {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ".site.yaml.17.tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it lies there still: %v", err)
	}
}
