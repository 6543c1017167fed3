package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MaxSize bounds every file that is read here.
const MaxSize = 1 << 20

// FS is what this package needs of a file system, so that a test can let every single operation fail.
type FS interface {
	// Read reads a regular file of at most MaxSize. It follows no symbolic link in the last place, and does not wait for
	// anything. What is there but cannot be taken gives a *NotAFileError.
	Read(path string) ([]byte, Stamp, error)
	// Create makes a file that only its owner may read; there must be nothing of that name.
	Create(path string) (File, error)
	// Rename gives a file another name, and replaces what has that name.
	Rename(from, to string) error
	// Exchange swaps two names in one instant. Where that is not possible the error is errors.ErrUnsupported.
	Exchange(a, b string) error
	// Remove removes a file.
	Remove(path string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(dir string) error
	// List lists the names in a folder, sorted.
	List(dir string) ([]string, error)
}

// File is a file that is being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// Stamp tells one save of a file from another with the same contents.
type Stamp struct {
	Device, Inode uint64
	Modified      time.Time
}

// NotAFileError says that something else than a regular file of a sensible size is where a file should be.
type NotAFileError struct {
	Path string
	What string
}

// Error says what is there.
func (e *NotAFileError) Error() string {
	return fmt.Sprintf("%s is %s; it has to be a readable, regular file of at most %d KiB", e.Path, e.What, MaxSize>>10)
}

// OS is the file system of this machine.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Read(path string) ([]byte, Stamp, error) {
	f, err := openRegular(path, unix.O_RDONLY)
	if errors.Is(err, os.ErrPermission) { // somebody has saved it as another user
		return nil, Stamp{}, &NotAFileError{Path: path, What: "not readable for " + userName()}
	}
	if err != nil {
		return nil, Stamp{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, Stamp{}, err
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, Stamp{}, err
	}
	if len(data) > MaxSize {
		return nil, Stamp{}, &NotAFileError{Path: path, What: "too large"}
	}
	return data, stampOf(info), nil
}

// openRegular opens a regular file: it neither follows a link nor waits for the other end of a pipe.
func openRegular(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0o600)
	if err != nil {
		if errors.Is(err, unix.ELOOP) {
			return nil, &NotAFileError{Path: path, What: "a symbolic link"}
		}
		if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EISDIR) {
			return nil, &NotAFileError{Path: path, What: "a folder, a socket or a pipe"}
		}
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if !info.Mode().IsRegular() {
		f.Close()
		return nil, &NotAFileError{Path: path, What: kindOf(info.Mode())}
	}
	return f, nil
}

// kindOf says in words what a mode means.
func kindOf(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&os.ModeNamedPipe != 0:
		return "a pipe"
	case mode&os.ModeSocket != 0:
		return "a socket"
	case mode&os.ModeDevice != 0:
		return "a device"
	}
	return "something special"
}

func stampOf(info os.FileInfo) Stamp {
	s := Stamp{Modified: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Device, s.Inode = uint64(st.Dev), st.Ino
	}
	return s
}

func (osFS) Create(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: errors.ErrUnsupported}
	}
	return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
}

func (osFS) Remove(path string) error { return os.Remove(path) }

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (osFS) List(dir string) ([]string, error) {
	d, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(d))
	for i, e := range d {
		names[i] = e.Name()
	}
	return names, nil
}

// temporary is the name under which a file is written before it takes its place. It is always the same for one file: only
// the holder of the lock writes, and what a crash leaves is cleaned up by the next write.
func temporary(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
}

// prepare writes a file under its temporary name. When it fails, the temporary file is gone again, as far as possible.
func prepare(fs FS, path string, data []byte, durable bool) error {
	tmp := temporary(path)
	if err := fs.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("clearing away an unfinished file: %w", err)
	}
	f, err := fs.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = fs.Remove(tmp)
	}
	return err
}

// replace puts a file in the place of another in one instant. Durable, it survives a loss of power from then on;
// otherwise such a loss may leave the old file, the new one, or an empty one.
func replace(fs FS, path string, data []byte, durable bool) error {
	if err := prepare(fs, path, data, durable); err != nil {
		return err
	}
	if err := fs.Rename(temporary(path), path); err != nil {
		_ = fs.Remove(temporary(path))
		return err
	}
	if durable {
		return fs.SyncDir(filepath.Dir(path))
	}
	return nil
}
