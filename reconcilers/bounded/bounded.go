//go:build linux

// Package bounded reads files that somebody else wrote: never more than a limit, never waiting for what is not a file.
package bounded

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ErrTooLarge says that a file is larger than the limit.
var ErrTooLarge = errors.New("too large")

// ErrNotRegular says that what is there is no regular file: a folder, a pipe, a device.
var ErrNotRegular = errors.New("is not a regular file")

// Read reads a regular file of at most limit bytes; symlinks are followed. Errors name the file, and match
// [os.ErrNotExist], [os.ErrPermission], [ErrTooLarge] or [ErrNotRegular] where those are the reason.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", path, ErrTooLarge, limit)
	}
	return content, nil
}
