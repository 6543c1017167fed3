package watch

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// brisk watches quickly, and never looks by itself: what the kernel does not tell is not seen.
var brisk = Options{Quiet: 5 * time.Millisecond, Limit: 50 * time.Millisecond, Sweep: time.Hour}

// begin watches for the length of a test, and waits for the end of the watcher after it.
func begin(t *testing.T, o Options, paths ...string) <-chan []string {
	t.Helper()
	if o.Warn == nil {
		o.Warn = func(err error) { t.Errorf("warned: %v", err) }
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes := o.Watch(ctx, paths...)
	t.Cleanup(func() {
		cancel()
		for range changes { // until it is closed
		}
	})
	return changes
}

// await waits until a path is told, and gives everything that was told until then.
func await(t *testing.T, changes <-chan []string, path string) (told []string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case names := <-changes:
			told = append(told, names...)
			if slices.Contains(names, path) {
				return told
			}
		case <-deadline:
			t.Fatalf("%s was not told; told were %v", path, told)
		}
	}
}

// barrier waits until everything that happened before has been told: it touches a file that is watched beside the others.
func barrier(t *testing.T, changes <-chan []string, file string) (told []string) {
	t.Helper()
	write(t, file, "barrier")
	return await(t, changes, file)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Every way to save a file that is there.
func TestWaysToSave(t *testing.T) {
	ways := map[string]func(t *testing.T, path string){
		"in place": func(t *testing.T, path string) { write(t, path, "new") },
		"appended": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			must(t, err)
			_, err = f.WriteString("more")
			must(t, err)
			must(t, f.Close())
		},
		"truncated": func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) },
		"replaced atomically": func(t *testing.T, path string) {
			write(t, path+".tmp", "new")
			must(t, os.Rename(path+".tmp", path))
		},
		"like vim": func(t *testing.T, path string) {
			must(t, os.Rename(path, path+"~"))
			write(t, path, "new")
			must(t, os.Remove(path+"~"))
		},
		"sed -i": func(t *testing.T, path string) {
			if out, err := exec.Command("sed", "-i", "s/old/new/", path).CombinedOutput(); err != nil {
				t.Skipf("sed: %v: %s", err, out)
			}
		},
		"removed": func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"moved away": func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".gone"))
		},
		"linked anew": func(t *testing.T, path string) {
			write(t, path+".tmp", "new")
			must(t, os.Remove(path))
			must(t, os.Link(path+".tmp", path))
		},
	}
	for name, save := range ways {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.yaml")
			write(t, path, "old")
			changes := begin(t, brisk, path)
			save(t, path)
			await(t, changes, path)
			// And again: no way to save ends the watch.
			write(t, path, "once more")
			await(t, changes, path)
		})
	}
}

func TestFileAndFoldersThatComeLater(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "a", "b", "app.yaml")
	changes := begin(t, brisk, path)
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	write(t, path, "first")
	await(t, changes, path)
	write(t, path, "second")
	await(t, changes, path)
}

func TestFolderRemovedAndMadeAgain(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "a", "b", "app.yaml")
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	write(t, path, "first")
	changes := begin(t, brisk, path)
	for range 5 {
		must(t, os.RemoveAll(filepath.Join(root, "a")))
		await(t, changes, path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		write(t, path, "again")
		await(t, changes, path)
	}
}

// fsnotify holds its lock while it waits for the reader of its errors when a folder was moved and then removed.
func TestFolderMovedAndRemovedManyTimes(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "folder")
	path := filepath.Join(folder, "app.yaml")
	must(t, os.Mkdir(folder, 0o700))
	other := filepath.Join(root, "other")
	changes := begin(t, brisk, path, other)
	for range 200 {
		must(t, os.Rename(folder, folder+".old"))
		must(t, os.RemoveAll(folder+".old"))
		must(t, os.Mkdir(folder, 0o700))
		write(t, path, "x")
	}
	barrier(t, changes, other)
	barrier(t, changes, other) // by now all of the above has been told
	write(t, path, "last")
	await(t, changes, path)
}

func TestFolderSwapped(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "folder")
	path := filepath.Join(folder, "app.yaml")
	must(t, os.MkdirAll(folder, 0o700))
	must(t, os.MkdirAll(folder+".new", 0o700))
	write(t, path, "old")
	write(t, filepath.Join(folder+".new", "app.yaml"), "new")
	changes := begin(t, brisk, path)
	must(t, os.Rename(folder, folder+".old"))
	must(t, os.Rename(folder+".new", folder))
	await(t, changes, path)
	write(t, path, "newer")
	await(t, changes, path)
}

func TestSymbolicLinks(t *testing.T) {
	root := t.TempDir()
	for _, release := range []string{"1", "2"} {
		must(t, os.MkdirAll(filepath.Join(root, release), 0o700))
		write(t, filepath.Join(root, release, "app.yaml"), release)
	}
	relink := func(to, link string) {
		must(t, os.Symlink(to, link+".tmp"))
		must(t, os.Rename(link+".tmp", link))
	}

	t.Run("a link to the file", func(t *testing.T) {
		link := filepath.Join(root, "link.yaml")
		relink("1/app.yaml", link)
		changes := begin(t, brisk, link)
		write(t, filepath.Join(root, "1", "app.yaml"), "changed")
		await(t, changes, link)
		relink(filepath.Join(root, "2", "app.yaml"), link)
		await(t, changes, link)
		write(t, filepath.Join(root, "2", "app.yaml"), "changed")
		await(t, changes, link)
	})
	t.Run("a link on the way", func(t *testing.T) {
		current := filepath.Join(root, "current")
		relink("1", current)
		path := filepath.Join(current, "app.yaml")
		changes := begin(t, brisk, path)
		write(t, filepath.Join(root, "1", "app.yaml"), "changed again")
		await(t, changes, path)
		relink("2", current)
		await(t, changes, path)
		write(t, filepath.Join(root, "2", "app.yaml"), "changed again")
		await(t, changes, path)
	})
	t.Run("a link in a circle", func(t *testing.T) {
		loop := filepath.Join(root, "loop.yaml")
		relink("loop.yaml", loop)
		changes := begin(t, brisk, loop)
		relink("1/app.yaml", loop)
		await(t, changes, loop)
	})
	t.Run("a link to nothing", func(t *testing.T) {
		dangling := filepath.Join(root, "dangling.yaml")
		relink("3/app.yaml", dangling)
		changes := begin(t, brisk, dangling)
		must(t, os.Mkdir(filepath.Join(root, "3"), 0o700))
		write(t, filepath.Join(root, "3", "app.yaml"), "there")
		await(t, changes, dangling)
	})
}

func TestWholeFolder(t *testing.T) {
	root := t.TempDir()
	elsewhere := t.TempDir()
	all := filepath.Join(root, "*.yaml")
	other := filepath.Join(root, "other.txt")
	changes := begin(t, brisk, all, other)

	write(t, filepath.Join(root, "a.yaml"), "new")
	await(t, changes, all)
	write(t, filepath.Join(elsewhere, "b"), "new")
	must(t, os.Symlink(filepath.Join(elsewhere, "b"), filepath.Join(root, "b.yaml")))
	await(t, changes, all)
	write(t, filepath.Join(elsewhere, "b"), "changed")
	await(t, changes, all)

	barrier(t, changes, other)
	write(t, filepath.Join(root, ".hidden.yaml"), "x")
	write(t, filepath.Join(root, "a.yml"), "x")
	if told := barrier(t, changes, other); slices.Contains(told, all) {
		t.Errorf("files that the pattern does not mean were told")
	}
	must(t, os.Remove(filepath.Join(root, "a.yaml")))
	await(t, changes, all)
}

func TestChangesOfModeAndOtherFilesAreNotTold(t *testing.T) {
	root := t.TempDir()
	path, other := filepath.Join(root, "app.yaml"), filepath.Join(root, "other.yaml")
	write(t, path, "old")
	changes := begin(t, brisk, path, other)
	must(t, os.Chmod(path, 0o640))
	write(t, filepath.Join(root, "app.yaml.swp"), "x")
	write(t, filepath.Join(root, "app"), "x")
	if told := barrier(t, changes, other); slices.Contains(told, path) {
		t.Errorf("told %v", told)
	}
}

// A reader that is away for long blocks nobody and gets the names, once, when it comes back.
func TestSlowReaderLosesNothing(t *testing.T) {
	root := t.TempDir()
	a, b := filepath.Join(root, "a.yaml"), filepath.Join(root, "b.yaml")
	changes := begin(t, brisk, a, b)
	for range 3 * maxQueue {
		write(t, a, "x")
	}
	write(t, b, "the last one")
	told := await(t, changes, b)
	if !slices.Contains(told, a) && !slices.Contains(await(t, changes, a), a) {
		t.Error("a change was lost")
	}
}

func TestNamesAreTheOnesGiven(t *testing.T) {
	t.Chdir(t.TempDir())
	changes := begin(t, brisk, "./app.yaml")
	write(t, "app.yaml", "x")
	await(t, changes, "./app.yaml")
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "app.yaml")
	changes := brisk.Watch(ctx, path)
	write(t, path, "nobody reads this")
	cancel()
	for range changes {
	}
}
