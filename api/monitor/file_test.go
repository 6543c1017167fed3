package monitor

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// sizes gives the number of files in a folder, and their size together.
func sizes(t *testing.T, dir string) (files int, size int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			files++
			size += info.Size()
		}
	}
	return files, size
}

func TestTheSizeOfAllFilesStaysWithinItsBound(t *testing.T) {
	dir := t.TempDir()
	f := newFile(Options{Path: filepath.Join(dir, "monitor.log"), MaxSizeMB: 1, Files: 3})
	line := append(bytes.Repeat([]byte("x"), 4095), '\n')
	const most = (1 + 1) << 20 * 3
	for n := range 12 << 20 / len(line) {
		if _, err := f.Write(line); err != nil {
			t.Fatal(err)
		}
		if n%16 == 0 {
			until(t, func() bool { // the oldest is removed in the background, which may be behind for a moment
				_, size := sizes(t, dir)
				return size <= most
			})
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	until(t, func() bool { // the oldest is removed in the background
		files, size := sizes(t, dir)
		return files == 3 && size <= 3<<20
	})
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v (%v)", entry.Name(), info.Mode(), err)
		}
	}
}

func TestTheFileGoesOnAfterSomebodyElseTookItAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "monitor.log")
	f := newFile(Options{Path: path})
	if err := f.open(); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if _, err := f.Write([]byte(text + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	want := func(text string) {
		t.Helper()
		if data, err := os.ReadFile(path); err != nil || string(data) != text {
			t.Errorf("the file is %q (%v), want %q", data, err, text)
		}
	}
	write("one")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write("after rm")
	want("after rm\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("new\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	write("after mv")
	want("new\nafter mv\n")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write("after truncate")
	want("after truncate\n")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the operator's mode is now %v (%v)", info.Mode(), err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestOnlyARegularFileIsWrittenAndMovedAside(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/null", dir} {
		f := newFile(Options{Path: path})
		if err := f.open(); err == nil {
			t.Errorf("%s was opened", path)
		}
		if _, err := f.Write([]byte("a line\n")); err == nil {
			t.Errorf("%s was written", path)
		}
	}
	link, target := filepath.Join(dir, "monitor.log"), filepath.Join(dir, "target.log")
	if err := os.WriteFile(target, bytes.Repeat([]byte("x"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	f := newFile(Options{Path: link, MaxSizeMB: 1})
	if _, err := f.Write([]byte("a line\n")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(link); err != nil || string(data) != "a line\n" {
		t.Errorf("through the link one reads %d bytes (%v)", len(data), err)
	}
	if to, err := os.Readlink(link); err != nil || to != target {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestClipCutsAtTheEndOfACharacter(t *testing.T) {
	if got := clip(strings.Repeat("ö", 10), 5); got != "öö…" {
		t.Errorf("clip = %q", got)
	}
}
