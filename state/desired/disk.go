package desired

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// system is what changes something when a file is edited, so that a test can let every operation fail.
type system interface {
	// Create makes a file; there must be nothing of that name.
	Create(path string, mode os.FileMode) (file, error)
	// Rename gives a file another name, and replaces what has that name. Place does so only where nothing has it.
	Rename(from, to string) error
	Place(from, to string) error
	Remove(path string) error
	// SyncFolder makes names last. A file system that cannot do that is no error: the file is there.
	SyncFolder(dir string)
}

type file interface {
	io.WriteCloser
	Stat() (os.FileInfo, error)
	Chown(uid, gid int) error
	Chmod(mode os.FileMode) error
	Sync() error
}

// disk is the file system of this machine; tests put their own in its place.
var disk system = osSystem{}

type osSystem struct{}

func (osSystem) Create(path string, mode os.FileMode) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) // #nosec G304 -- the operator's own file
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osSystem) Rename(from, to string) error { return os.Rename(from, to) }

func (osSystem) Place(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		if err = os.Link(from, to); err == nil {
			return os.Remove(from)
		}
		return err
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func (osSystem) Remove(path string) error { return os.Remove(path) }

func (osSystem) SyncFolder(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	_ = f.Sync()
}
