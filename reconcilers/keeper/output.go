//go:build linux

package keeper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// What an application writes is kept within about DefaultOutputSize times DefaultOutputFiles.
const (
	// DefaultOutputSize is the size in bytes at which an output file is rotated.
	DefaultOutputSize = 10 << 20
	// DefaultOutputFiles is how many there are, with the one that is written to.
	DefaultOutputFiles = 5
)

// Output is the file into which an App's standard output and standard error go. Older output is in <file>.1, .2 and so on.
func (k *Keeper) Output(app string) string { return OutputIn(k.dir, app) }

// OutputIn is the output file of an App whose keeper has its things in dir.
func OutputIn(dir, app string) string { return filepath.Join(dir, app+".output.log") }

// openOutput opens the file that a process writes to by itself: without us between, so that nothing happens to it when
// evenkeel ends. With O_APPEND it goes on at the new end after the file was cut.
func openOutput(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err == nil {
		err = unix.SetNonblock(int(f.Fd()), false) // the flag would be the child's too
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// rotate keeps the output bounded: once the file has reached size, its end is copied to <file>.1 and the file is cut. The
// writer is not asked, and notices nothing; what it writes in the moment between copy and cut is lost. Where there is no
// room for the copy, the file is cut all the same: it may be what fills the disk.
func rotate(path string, size int64, files int) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("rotating the output: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() < size {
		return false, err
	}
	copyErr := keepCopy(f, path, info.Size(), size, files)
	if err := f.Truncate(0); err != nil {
		return false, fmt.Errorf("rotating the output: %w", errors.Join(copyErr, err))
	}
	if copyErr != nil {
		return true, fmt.Errorf("rotating the output: it was cut without a copy: %w", copyErr)
	}
	return true, nil
}

func keepCopy(f *os.File, path string, have, size int64, files int) error {
	if files < 2 {
		return nil
	}
	older := func(n int) string { return path + "." + strconv.Itoa(n) }
	tmp := path + ".new"
	to, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	// A torrent may have gone far past the size within one look: its end is kept.
	if _, err = f.Seek(max(have-size, 0), io.SeekStart); err == nil {
		_, err = io.Copy(to, io.LimitReader(f, 2*size))
	}
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	for n := files - 1; n > 1; n-- {
		if err := os.Rename(older(n-1), older(n)); err != nil && !errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(tmp)
			return err
		}
	}
	return os.Rename(tmp, older(1))
}
