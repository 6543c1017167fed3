package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheKeyIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadKey(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reading makes none: %v", err)
	}
	first, err := KeepKey(dir)
	if err != nil || len(first) != keySize {
		t.Fatalf("%x, %v", first, err)
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, read := range []func(string) ([]byte, error){ReadKey, KeepKey} {
		if again, err := read(dir); err != nil || !bytes.Equal(first, again) {
			t.Errorf("%x, %v", again, err)
		}
	}
	if other, err := KeepKey(t.TempDir()); err != nil || bytes.Equal(first, other) {
		t.Errorf("%x, %v", other, err)
	}
}

func TestAKeyThatIsNoGoodIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, keyFile)
	for _, bad := range []string{"", "hunter2\n", "00\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKey(dir); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q gave %v", bad, err)
		}
		key, err := KeepKey(dir)
		if again, readErr := ReadKey(dir); err != nil || readErr != nil || !bytes.Equal(key, again) {
			t.Errorf("%q: %v, %v", bad, err, readErr)
		}
	}
}

// TestWithoutAFolderThereIsAKeyAllTheSame, and an error to tell; a link out of the folder is not followed.
func TestWithoutAFolderThereIsAKeyAllTheSame(t *testing.T) {
	if key, err := KeepKey(filepath.Join(t.TempDir(), "none")); err == nil || len(key) != keySize {
		t.Errorf("%x, %v", key, err)
	}
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	if err := os.Symlink(outside, filepath.Join(dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	if key, err := KeepKey(dir); err == nil || len(key) != keySize {
		t.Errorf("%x, %v", key, err)
	}
	if _, err := os.Stat(outside); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link was followed: %v", err)
	}
}
