package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
)

const (
	// outboxKept bounds the files of the outbox, and maxLetter one of them, in bytes.
	outboxKept = 1024
	maxLetter  = 64 << 10
)

var letterName = regexp.MustCompile(`^[0-9]{19}-[0-9a-f]{16}\.json$`)

// Outbox keeps what somebody is to be told, and has not been yet, in `outbox/` of the state folder: each in a file of its own
// that only evenkeel's user may read. The names are the caller's: 19 digits, which sort as they are to be told, a hyphen, and
// 16 hexadecimal digits.
type Outbox struct{ folder string }

// OpenOutbox makes the folder where it does not exist. It refuses one that is not this user's own, or a link.
func OpenOutbox(dir string) (*Outbox, error) {
	folder := filepath.Join(dir, "outbox")
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("making the folder for alerts that wait: %w", err)
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return nil, fmt.Errorf("looking at the folder for alerts that wait: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || ok && int(st.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("%s is no folder of %s's own; move it away", folder, userName())
	}
	return &Outbox{folder: folder}, nil
}

// Keep writes a file; when it returns, it is on disk.
func (o *Outbox) Keep(name string, data []byte) error {
	if !letterName.MatchString(name) || len(data) > maxLetter {
		return fmt.Errorf("keeping an alert: %q with %d bytes is not kept", name, len(data))
	}
	if err := replace(OS(), filepath.Join(o.folder, name), data, true); err != nil {
		return fmt.Errorf("keeping an alert until it is delivered: %w", err)
	}
	return nil
}

// Drop removes a file; when it returns, it stays removed. One that is not there is no error.
func (o *Outbox) Drop(name string) error {
	if err := os.Remove(filepath.Join(o.folder, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing an alert that was delivered: %w", err)
	}
	return OS().SyncDir(o.folder)
}

// Kept are the files, in the order of their names; the oldest beyond the bound are removed. One that cannot be read is left
// out.
func (o *Outbox) Kept() (names []string, data [][]byte, err error) {
	all, err := OS().List(o.folder)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the alerts that wait: %w", err)
	}
	all = slices.DeleteFunc(all, func(name string) bool { return !letterName.MatchString(name) })
	for ; len(all) > outboxKept; all = all[1:] {
		_ = os.Remove(filepath.Join(o.folder, all[0]))
	}
	for _, name := range all {
		if text, _, err := OS().Read(filepath.Join(o.folder, name)); err == nil && len(text) <= maxLetter {
			names, data = append(names, name), append(data, text)
		}
	}
	return names, data, nil
}
