package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"
)

// Holder says who supervises an App.
type Holder struct {
	// App is the App's name.
	App string `json:"app"`
	// PID and User are the supervisor's process and the user it runs as.
	PID  int    `json:"pid"`
	User string `json:"user,omitempty"`
	// Since is when it took the App over.
	Since time.Time `json:"since"`
	// Command is how it was started.
	Command string `json:"command,omitempty"`
	// Desired is the file, or the folder, with the desired state.
	Desired string `json:"desired,omitempty"`
}

// gone tells whether the process that has written itself down is no more.
func (h Holder) gone() bool { return h.PID > 0 && errors.Is(unix.Kill(h.PID, 0), unix.ESRCH) }

// LockedError says that somebody else supervises an App.
type LockedError struct {
	Holder Holder
}

// Error says who it is.
func (e *LockedError) Error() string {
	h := e.Holder
	who := "another process"
	if h.PID != 0 {
		who = fmt.Sprintf("process %d", h.PID)
	}
	var details []string
	if h.User != "" {
		details = append(details, "user "+h.User)
	}
	if !h.Since.IsZero() {
		details = append(details, "since "+h.Since.Format(time.DateTime))
	}
	if h.Desired != "" {
		details = append(details, "desired state in "+h.Desired)
	}
	if h.Command != "" {
		details = append(details, "started as: "+h.Command)
	}
	if len(details) > 0 {
		who += " (" + strings.Join(details, ", ") + ")"
	}
	return fmt.Sprintf("%s is already supervised by %s", h.App, who)
}

// Lock is held by the one supervisor of an App. It ends with the process at the latest.
type Lock struct {
	file *os.File
}

const (
	// lockTries bounds how often a lock file is opened anew that was removed while it was being locked.
	lockTries = 10
	// A supervisor that is killed while it starts a program leaves a child behind that has the lock until it executes that program:
	// for about a millisecond, longer where processors are short. So one whose process is gone is waited for.
	goneLimit = 2 * time.Second
	gonePause = 10 * time.Millisecond
)

// Acquire takes the lock on an App: `<app>.lock` in the state folder. desired is where its desired state comes from. When
// somebody else has it, the error is a *LockedError: at once where that process is there, after two seconds where it is gone.
//
// The lock proper is a flock. Beside it there is a lock of the open file description on the same file, which says nothing
// new but can be asked for without being touched: HolderOf never stands in the way of an Acquire.
func Acquire(dir, app, desired string) (*Lock, error) {
	if err := CheckName(app); err != nil {
		return nil, err
	}
	limit := time.Now().Add(goneLimit)
	for tries := 0; tries < lockTries; {
		lock, err := tryAcquire(dir, app, desired)
		var locked *LockedError
		switch {
		case errors.As(err, &locked) && locked.Holder.gone() && time.Now().Before(limit):
			time.Sleep(gonePause)
		case lock != nil || err != nil:
			return lock, err
		default:
			tries++
		}
	}
	return nil, fmt.Errorf("the lock of %s does not stay where it is", app)
}

// tryAcquire gives neither a lock nor an error when the file it has locked is no longer the one with the name.
func tryAcquire(dir, app, desired string) (lock *Lock, err error) {
	path := lockPath(dir, app)
	f, err := openRegular(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of %s: %w", app, err)
	}
	defer func() {
		if lock == nil {
			f.Close()
		}
	}()
	if err := ignoringEINTR(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &LockedError{Holder: readHolder(f, app)}
		}
		return nil, fmt.Errorf("locking %s: %w", app, err)
	}
	locked, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", app, err)
	}
	if named, err := os.Lstat(path); err != nil || !os.SameFile(locked, named) {
		return nil, nil
	}
	// For asking only: a file system that does not know it (some network ones) leaves the flock, which is what counts.
	_ = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart})

	content, err := yaml.Marshal(Holder{
		App: app, PID: os.Getpid(), User: userName(), Since: time.Now().Truncate(time.Second),
		Command: strings.Join(os.Args, " "), Desired: desired,
	})
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		// On a full disk the lock holds all the same; only who has it cannot be read from it.
		_, _ = f.WriteAt(content, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("writing the lock of %s: %w", app, err)
	}
	return &Lock{file: f}, nil
}

// Held tells whether the lock still is what its name says: somebody may have removed the file, and then another supervisor
// would not meet it.
func (l *Lock) Held() bool {
	mine, err := l.file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(l.file.Name())
	return err == nil && os.SameFile(mine, named)
}

// Release gives the lock back. The file stays, empty: removing it would let two others lock two different files.
func (l *Lock) Release() error {
	_ = l.file.Truncate(0)
	// Closing alone would leave it to a child that has not executed its program yet.
	_ = unix.FcntlFlock(l.file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Whence: io.SeekStart})
	_ = unix.Flock(int(l.file.Fd()), unix.LOCK_UN)
	return l.file.Close()
}

// HolderOf says who supervises an App, if anybody. It only looks: an Acquire at the same instant is not disturbed.
func HolderOf(dir, app string) (Holder, bool, error) {
	if err := CheckName(app); err != nil {
		return Holder{}, false, err
	}
	f, err := openRegular(lockPath(dir, app), os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, fmt.Errorf("looking at the lock of %s: %w", app, err)
	}
	defer f.Close()
	asked := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err = ignoringEINTR(func() error { return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &asked) })
	if err != nil {
		return Holder{}, false, fmt.Errorf("looking at the lock of %s: %w", app, err)
	}
	if asked.Type == unix.F_UNLCK {
		return Holder{}, false, nil
	}
	return readHolder(f, app), true, nil
}

// readHolder reads what the holder has written about itself; what cannot be read stays empty.
func readHolder(f *os.File, app string) Holder {
	content, _ := io.ReadAll(io.NewSectionReader(f, 0, 64<<10))
	var h Holder
	if yaml.Unmarshal(content, &h) != nil {
		h = Holder{}
	}
	h.App = app
	return h
}

func lockPath(dir, app string) string { return filepath.Join(dir, app+".lock") }

// ignoringEINTR repeats a system call that a signal has interrupted.
func ignoringEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// userName is the name of the user that we run as, or the number where there is no name.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Geteuid())
}
