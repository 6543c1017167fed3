package desired

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEditReadsAgainWhatAnEditorSavedMeanwhile(t *testing.T) {
	const text = "apiVersion: evenkeel.dev/v1alpha1\nkind: App\nmetadata: {name: site}\nspec: {directory: /x, runtime: {pm2: {process: p}}}\n"
	file := filepath.Join(t.TempDir(), "f.yaml")
	save := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	defer func(old func()) { beforeRename = old }(beforeRename)
	save(text)
	saves := 0
	beforeRename = func() {
		if saves++; saves == 1 {
			save(text + "# saved by an editor\n")
		}
	}
	if err := Pause(file, "site", "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(file)
	if want := strings.Replace(text, "{directory", "{paused: true, directory", 1) + "# saved by an editor\n"; string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	beforeRename = func() { saves++; save(text + strings.Repeat("#\n", saves)) }
	if err := Resume(file, "site"); err != nil {
		t.Errorf("the editor removed the pause, yet: %v", err)
	}
	if err := Pause(file, "site", "", time.Time{}); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestCreateReplacesOnlyWhenTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "site.yaml")
	wants := func(want string) {
		t.Helper()
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	if err := Create(file, []byte("one"), false); err != nil {
		t.Fatal(err)
	}
	wants("one")
	if err := Create(file, []byte("two"), false); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v, want that it is there", err)
	}
	wants("one")
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := Create(file, []byte("three"), true); err != nil {
		t.Fatal(err)
	}
	wants("three")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := Create(file+".d/x.yaml", nil, true); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that the folder is missing", err)
	}
	if list, err := os.ReadDir(filepath.Dir(file)); err != nil || len(list) != 1 {
		t.Errorf("left over: %v, %v", list, err)
	}
}
