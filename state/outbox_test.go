package state

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func letter(n int) string { return fmt.Sprintf("%019d-%016x.json", n, n) }

func TestTheOutboxKeepsInOrderForItsOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	o, err := OpenOutbox(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{3, 1, 2} {
		if err := o.Keep(letter(n), []byte{'0' + byte(n)}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "outbox", letter(1)))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if info, err = os.Stat(filepath.Join(dir, "outbox")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for range 2 {
		if err := o.Drop(letter(2)); err != nil {
			t.Error(err)
		}
	}
	again, err := OpenOutbox(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "outbox", "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	names, data, err := again.Kept()
	if err != nil || strings.Join(names, " ") != letter(1)+" "+letter(3) || string(data[0])+string(data[1]) != "13" {
		t.Errorf("%v %q %v", names, data, err)
	}
}

func TestTheOutboxIsBounded(t *testing.T) {
	o, err := OpenOutbox(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Keep(letter(1), make([]byte, maxLetter+1)); err == nil {
		t.Error("a file that is too large was kept")
	}
	if err := o.Keep("../x.json", nil); err == nil {
		t.Error("a file outside of the folder was written")
	}
	for n := range outboxKept + 5 {
		if err := os.WriteFile(filepath.Join(o.folder, letter(n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if names, _, err := o.Kept(); err != nil || len(names) != outboxKept || names[0] != letter(5) {
			t.Errorf("%d are kept, from %s on; %v", len(names), names[0], err)
		}
	}
}

func TestAFolderOfSomebodyElseIsNoOutbox(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "outbox")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOutbox(dir); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Error(err)
	}
	if _, err := OpenOutbox(filepath.Join(dir, "missing")); err == nil {
		t.Error("a folder was made in one that is not there")
	}
}
