package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gopkg.in/natefinch/lumberjack.v2"
)

// file is a file that is rotated by size. It is used by one goroutine at a time.
type file struct {
	rotating *lumberjack.Logger
	last     os.FileInfo // the file as it was after the last line
}

func newFile(options Options) *file {
	if options.MaxSizeMB <= 0 {
		options.MaxSizeMB = DefaultMaxSizeMB
	}
	if options.Files <= 0 {
		options.Files = DefaultFiles
	}
	// Else a link would be moved aside, and not the file to which it leads.
	if target, err := filepath.EvalSymlinks(options.Path); err == nil {
		options.Path = target
	}
	return &file{rotating: &lumberjack.Logger{
		Filename: options.Path, MaxSize: options.MaxSizeMB,
		MaxBackups: max(options.Files-1, 1), // none would mean all
	}}
}

// open tells whether the file can be written. It makes it, and its folder, if need be.
func (f *file) open() error {
	if err := f.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.rotating.Filename), 0o750); err != nil {
		return err
	}
	opened, err := os.OpenFile(f.rotating.Filename, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	return opened.Close()
}

// Write appends a line.
func (f *file) Write(line []byte) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	n, err := f.rotating.Write(line)
	f.last, _ = os.Stat(f.rotating.Filename)
	return n, err
}

// check looks at what stands under the file's name. Only a regular file is ever written: rotating moves it aside, and a
// device such as /dev/stdout must stay where it is. Where somebody else has moved, removed or emptied the file since the
// last line (an operator's rm, the machine's logrotate), it is opened anew: else lines would go on into a file that nobody
// sees, or leave a hole.
func (f *file) check() error {
	now, err := os.Stat(f.rotating.Filename)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !now.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", f.rotating.Filename)
	case f.last == nil || (os.SameFile(now, f.last) && now.Size() >= f.last.Size()):
		return nil
	}
	return f.rotating.Close()
}

// Close closes the file.
func (f *file) Close() error { return f.rotating.Close() }
