//go:build linux

package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

const (
	recordVersion = 1
	maxRecord     = 256 << 10
	// exitsKept bounds the ends that are remembered.
	exitsKept = 64
)

// record is what the keeper knows of one App, on disk.
type record struct {
	Version int    `json:"version"`
	App     string `json:"app"`
	// Stopped says that it was told to stop it, and not to start it since. Known says that it was started at all.
	Stopped bool `json:"stopped,omitempty"`
	Known   bool `json:"known,omitempty"`
	// Life is the current life; nil where it is known to have ended.
	Life *birth `json:"life,omitempty"`
	// Starts counts all starts.
	Starts int64 `json:"starts,omitempty"`
	// Exits are the last ends, oldest first; Dropped says that there were more.
	Exits   []exit `json:"exits,omitempty"`
	Dropped bool   `json:"dropped,omitempty"`
}

// birth is one life of the application. Without a process it is only meant: evenkeel was about to make it.
type birth struct {
	ID      string          `json:"id"`
	Process procfs.Identity `json:"process,omitzero"`
	BootID  string          `json:"bootID"`
	// At is when, by the wall clock; Boot by the time since boot.
	At   time.Time     `json:"at"`
	Boot time.Duration `json:"boot"`
	// Ending is why it is being ended by us; empty if it is not.
	Ending runtime.Cause `json:"ending,omitempty"`
}

// exit is one end.
type exit struct {
	At     time.Time     `json:"at"`
	Life   string        `json:"life"`
	Known  bool          `json:"known,omitempty"` // Code and Signal are
	Code   int           `json:"code,omitempty"`
	Signal string        `json:"signal,omitempty"`
	Cause  runtime.Cause `json:"cause"`
	// Failed says that it never came to life, and why.
	Failed string `json:"failed,omitempty"`
}

func (r *record) note(e exit) {
	r.Exits = append(r.Exits, e)
	if over := len(r.Exits) - exitsKept; over > 0 {
		r.Exits, r.Dropped = r.Exits[over:], true
	}
}

// past tells whether a life is one of those that are known to have ended.
func (r *record) past(life string) bool {
	for _, e := range r.Exits {
		if e.Life == life {
			return true
		}
	}
	return false
}

func recordPath(dir, app string) string { return filepath.Join(dir, app+".exec.json") }

// readRecord reads a record. What is not there, or cannot be read, is an empty one: the processes themselves tell.
func readRecord(dir, app string) (record, error) {
	none := record{Version: recordVersion, App: app}
	f, err := os.OpenFile(recordPath(dir, app), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("reading what is known of the process: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err != nil {
		return none, fmt.Errorf("reading what is known of the process: %w", err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return none, fmt.Errorf("%s is not what was written: %w", recordPath(dir, app), err)
	}
	if r.Version != recordVersion || r.App != app {
		return none, fmt.Errorf("%s is of another version (%d) or App (%q)", recordPath(dir, app), r.Version, r.App)
	}
	return r, nil
}

// writeRecord replaces a record in one instant. It need not outlive a loss of power, as no process does: so nobody waits
// for the disk between a death and the next life.
func writeRecord(dir string, r *record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keeping what is known of the process: %w", err)
	}
	path := recordPath(dir, r.App)
	tmp := filepath.Join(dir, "."+r.App+".exec.json.new")
	_ = os.Remove(tmp) // what a crash left
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(data)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err == nil {
			err = os.Rename(tmp, path)
		}
	}
	if err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("keeping what is known of the process: %w", err)
	}
	return nil
}
