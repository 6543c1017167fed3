package desired

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// lockWait is how long another edit in the same folder is waited for.
	lockWait = 5 * time.Second
	// maxTries is how often an edit is begun anew because the file has changed under it.
	maxTries = 5
)

// beforeRename is called with the new content on disk, before it takes the file's place. Tests change the file then.
var beforeRename = func() {}

// rewrite replaces a file by what change makes of it, as one step. Where the file is a symlink, its target is replaced.
// Mode and owner stay. Two edits of one folder wait for each other; a file that an editor saves meanwhile is read again.
func rewrite(file string, change func([]byte) ([]byte, error)) error {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return fmt.Errorf("finding %s: %w", file, err)
	}
	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("editing %s: %w", file, err)
	}
	defer unlock()
	for range maxTries {
		data, err := readRegular(path)
		if err != nil {
			return fmt.Errorf("editing %s: %w", file, err)
		}
		result, err := change(data)
		if err != nil {
			return err
		}
		if bytes.Equal(result, data) {
			return nil
		}
		if err := replaceFile(path, data, result); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return fmt.Errorf("editing %s: %w", file, ErrChanged)
}

// Create writes a file that is not there yet; with replace it takes the place of one that is, as an edit does. Without, the
// error matches os.ErrExist where there is one, and nothing is changed.
func Create(file string, content []byte, replace bool) (err error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if replace && errors.Is(err, os.ErrExist) {
		return rewrite(file, func([]byte) ([]byte, error) { return content, nil })
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file)
		}
	}()
	if _, err := f.Write(content); err != nil {
		_ = f.Close()
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return syncFolder(filepath.Dir(file))
}

// lockFolder keeps other edits out of a folder.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockWait); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return func() { _ = f.Close() }, nil // A file system without locks; the check before the rename remains.
		}
		if time.Now().After(deadline) {
			_ = f.Close()
			return nil, fmt.Errorf("another edit in %s does not come to its end", dir)
		}
	}
}

// replaceFile puts content in the place of a file that still holds what was read.
func replaceFile(path string, read, content []byte) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("editing %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("editing %s: want a folder in which this user may write: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(content); err != nil {
		return fmt.Errorf("writing %s: %w", tmp.Name(), err)
	}
	if err := keepOwner(tmp, info); err != nil {
		return fmt.Errorf("editing %s: its owner could not be kept; want it edited by its owner or by root: %w", path, err)
	}
	if err := tmp.Chmod(info.Mode() & (os.ModePerm | os.ModeSetuid | os.ModeSetgid | os.ModeSticky)); err != nil {
		return fmt.Errorf("editing %s: %w", path, err)
	}
	if err := tmp.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", tmp.Name(), err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", tmp.Name(), err)
	}
	beforeRename()
	if now, err := readRegular(path); err != nil || !bytes.Equal(now, read) {
		return ErrChanged
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("editing %s: %w", path, err)
	}
	return syncFolder(dir)
}

func keepOwner(f *os.File, as os.FileInfo) error {
	want, ok := as.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if got, ok := info.Sys().(*syscall.Stat_t); ok && got.Uid == want.Uid && got.Gid == want.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}

// syncFolder makes a rename last. A file system that cannot do that is no error: the file is there.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	_ = f.Sync()
	return nil
}
