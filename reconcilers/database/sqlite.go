package database

import (
	"bytes"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// askSQLite looks at the file: is it there, may it be read and written, does it begin like one. No query is made, so that no
// lock and no journal of ours is ever in the application's way. An empty file is a database without tables.
func (t *Target) askSQLite() Answer {
	for _, path := range t.Paths {
		a := askFile(path)
		if a.Class != facts.DatabaseFileMissing {
			return a
		}
	}
	return Answer{Class: facts.DatabaseFileMissing}
}

func askFile(path string) Answer {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Answer{Class: facts.DatabaseFileMissing}
	case errors.Is(err, os.ErrPermission):
		return Answer{Class: facts.DatabaseFileNotReadable}
	case err != nil:
		return Answer{Class: facts.DatabaseCannotBeAsked}
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return Answer{Class: facts.DatabaseCannotBeAsked}
	}
	if !info.Mode().IsRegular() {
		return Answer{Class: facts.DatabaseNotADatabase}
	}
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	switch {
	case n == 0 && errors.Is(err, io.EOF):
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return Answer{Class: facts.DatabaseCannotBeAsked}
	case !bytes.Equal(head, []byte("SQLite format 3\x00")):
		return Answer{Class: facts.DatabaseNotADatabase}
	}
	return Answer{Class: facts.DatabaseReachable, ReadOnly: unix.Access(path, unix.W_OK) != nil}
}
