//go:build linux

package bounded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", at("link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		limit int64
		want  error
	}{
		"file":    {10, nil},
		"link":    {10, nil},
		"./file":  {9, ErrTooLarge},
		"pipe":    {10, ErrNotRegular},
		".":       {10, ErrNotRegular},
		"missing": {10, os.ErrNotExist},
	} {
		b, err := Read(at(name), test.limit)
		if name == "./file" { // Join would clean it
			b, err = Read(dir+"/./file", test.limit)
		}
		if !errors.Is(err, test.want) || err == nil && string(b) != "0123456789" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
