//go:build linux

package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/signals"
)

// Folder is where one demo keeps everything: the desired file, the state folder, the site. While it is held nobody else
// takes it for one that was left behind.
type Folder struct {
	path string
	keep bool
	lock *os.File
}

const (
	lockName   = "demo.lock"
	tempPrefix = "evenkeel-demo-"
)

// ErrInUse says that another demo runs in a folder.
var ErrInUse = errors.New("another demo runs in it")

// Open takes a folder for a demo. An empty path makes one among the temporary files, which Close removes again; another
// one is kept, with its files, and must be empty or an earlier demo's.
func Open(path string) (*Folder, error) {
	if path == "" {
		made, err := os.MkdirTemp("", tempPrefix)
		if err != nil {
			return nil, fmt.Errorf("making a folder for the demo: %w", err)
		}
		return hold(made, false)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding the demo's folder: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the demo's folder: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("looking into the demo's folder: %w", err)
	}
	ours := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == lockName })
	if len(entries) > 0 && !ours {
		return nil, fmt.Errorf("%s is not empty, and was not made by a demo; name an empty folder, or a new one", path)
	}
	f, err := hold(path, true)
	if err != nil {
		return nil, err
	}
	// What an earlier demo left here is over: its processes, and what it knew.
	err = f.EndAll(context.Background())
	for _, name := range []string{f.State(), f.Site(), f.Desired()} {
		err = errors.Join(err, os.RemoveAll(name))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tidying up after an earlier demo: %w", err), f.lock.Close())
	}
	return f, nil
}

// hold locks a folder.
func hold(path string, keep bool) (*Folder, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the demo's folder: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", path, ErrInUse)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return &Folder{path: path, keep: keep, lock: lock}, nil
}

// Path is the folder itself.
func (f *Folder) Path() string { return f.path }

// Site is the web application's folder.
func (f *Folder) Site() string { return siteIn(f.path) }

// State is the state folder.
func (f *Folder) State() string { return filepath.Join(f.path, "state") }

// Desired is the desired-state file.
func (f *Folder) Desired() string { return filepath.Join(f.path, "site.yaml") }

// Kept tells whether the folder stays when it is closed.
func (f *Folder) Kept() bool { return f.keep }

func siteIn(folder string) string { return filepath.Join(folder, "site") }

// Left are the processes of this demo that run.
func (f *Folder) Left() ([]procfs.Identity, error) { return processesOf(f.path) }

// endGrace is how long a process of a demo may take to end when it is asked to.
const endGrace = time.Second

// EndAll ends every process of this demo.
func (f *Folder) EndAll(ctx context.Context) error {
	ids, err := processesOf(f.path)
	if err != nil || len(ids) == 0 {
		return err
	}
	return signals.Terminate(ctx, ids, unix.SIGTERM, endGrace).Err()
}

// Close gives the folder back. A temporary one is removed.
func (f *Folder) Close() error {
	var err error
	if !f.keep {
		err = os.RemoveAll(f.path)
	}
	return errors.Join(err, f.lock.Close())
}

// processesOf finds the processes that were started as parts of the demo in a folder, by this user: they say so in their
// arguments, and nobody else does.
func processesOf(folder string) ([]procfs.Identity, error) {
	proc := procfs.Default()
	all, err := proc.Processes()
	if err != nil {
		return nil, fmt.Errorf("looking for processes of the demo: %w", err)
	}
	var ids []procfs.Identity
	for _, p := range all {
		if p.Kernel || !p.Alive() || int(p.UID) != os.Getuid() {
			continue
		}
		if args, err := proc.Cmdline(p.Identity); err == nil && isPart(args, folder) {
			ids = append(ids, p.Identity)
		}
	}
	return ids, nil
}

// isPart tells whether these are the arguments of a part of the demo in that folder.
func isPart(args []string, folder string) bool {
	if len(args) < 4 || !slices.Contains(Parts(), args[1]) {
		return false
	}
	return args[2] == FolderFlag && args[3] == folder
}

// Sweep ends and removes what demos have left behind that were ended by force. It gives the folders that it removed.
func Sweep(ctx context.Context) []string {
	list, err := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*"))
	if err != nil {
		return nil
	}
	var removed []string
	for _, path := range list {
		if !mine(path) {
			continue
		}
		f, err := hold(path, false)
		if err != nil {
			continue // it is in use, or not for us to tell
		}
		if f.EndAll(ctx) == nil && f.Close() == nil {
			removed = append(removed, path)
		}
	}
	return removed
}

// mine tells whether a path is a folder of this user's in which a demo was at work; one that has just been made, and is not
// locked yet, is not.
func mine(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Getuid() {
		return false
	}
	_, err = os.Lstat(filepath.Join(path, lockName))
	return err == nil
}

// outlive returns when the demo that holds a folder has ended, or the context has.
func outlive(ctx context.Context, folder string) {
	over := make(chan struct{})
	go func() { // it cannot be broken off, and ends with this process
		defer close(over)
		lock, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDONLY, 0)
		if err != nil {
			return // the folder is gone, and with it the demo
		}
		defer func() { _ = lock.Close() }()
		for unix.Flock(int(lock.Fd()), unix.LOCK_SH) == unix.EINTR {
			continue
		}
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
}
