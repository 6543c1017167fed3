package desired

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
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
	unlock, err := lockFolder(path)
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
// error matches os.ErrExist where there is one, and nothing is changed. The file is there as a whole, or not at all.
func Create(file string, content []byte, replace bool) error {
	if _, err := os.Lstat(file); replace && err == nil {
		return rewrite(file, func([]byte) ([]byte, error) { return content, nil })
	}
	unlock, err := lockFolder(file)
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	defer unlock()
	tmp, err := write(file, 0o644, content, keepAll)
	if err != nil {
		return err
	}
	if err := disk.Place(tmp, file); err != nil {
		_ = disk.Remove(tmp)
		return err
	}
	disk.SyncFolder(filepath.Dir(file))
	return nil
}

// lockFolder keeps other edits out of the folder of a file, and clears away what an edit of that file has left that was killed.
// Where the file system has no locks, nobody is kept out, and nothing is cleared away.
func lockFolder(path string) (unlock func(), err error) {
	dir := filepath.Dir(path)
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockWait); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			clearAway(path)
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
func replaceFile(path string, read, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("editing %s: %w", path, err)
	}
	tmp, err := write(path, 0o600, content, func(f file) error {
		if err := keepOwner(f, info); err != nil {
			return fmt.Errorf("editing %s: its owner could not be kept; want it edited by its owner or by root: %w", path, err)
		}
		if err := f.Chmod(info.Mode() & (os.ModePerm | os.ModeSetuid | os.ModeSetgid | os.ModeSticky)); err != nil {
			return fmt.Errorf("editing %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	beforeRename()
	if now, err := readRegular(path); err != nil || !bytes.Equal(now, read) {
		_ = disk.Remove(tmp)
		return ErrChanged
	}
	if err := disk.Rename(tmp, path); err != nil {
		_ = disk.Remove(tmp)
		return fmt.Errorf("editing %s: %w", path, err)
	}
	disk.SyncFolder(filepath.Dir(path))
	return nil
}

func keepAll(file) error { return nil }

// write writes what is to be a file under another name beside it, durably, and gives that name.
func write(path string, mode os.FileMode, content []byte, finish func(f file) error) (name string, err error) {
	name = temporary(path)
	f, err := disk.Create(name, mode)
	if err != nil {
		return "", fmt.Errorf("writing %s: want a folder in which this user may write: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = disk.Remove(name)
		}
	}()
	if _, err := f.Write(content); err != nil {
		_ = f.Close()
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	if err := finish(f); err != nil {
		_ = f.Close()
		return "", err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	return name, nil
}

// temporary is a name for what is to be a file, such as no desired file has. Each edit takes another one.
func temporary(path string) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.tmp", filepath.Base(path), rand.Uint64()))
}

// clearAway removes what an edit of this file has left that was killed. The folder is locked: nobody is at work on it.
func clearAway(path string) {
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*.tmp"))
	prefix := "." + filepath.Base(path) + "."
	for _, name := range left {
		digits, ok := strings.CutPrefix(strings.TrimSuffix(filepath.Base(name), ".tmp"), prefix)
		if ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
			_ = disk.Remove(name)
		}
	}
}

func keepOwner(f file, as os.FileInfo) error {
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
