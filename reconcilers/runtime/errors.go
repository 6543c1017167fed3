//go:build linux

package runtime

import (
	"errors"
	"fmt"
	"strings"
)

// The errors a caller acts on. Everything else is wrapped and only told.
var (
	// ErrNoDaemon: the process manager itself does not run. It is a fact, not a failure to ask: nothing is kept alive by it.
	ErrNoDaemon = errors.New("the process manager does not run")
	// ErrPermission: it runs, but this user may not talk to it.
	ErrPermission = errors.New("no right to talk to the process manager")
	// ErrTimeout: it is there, and did not answer in time.
	ErrTimeout = errors.New("the process manager did not answer in time")
	// ErrNotUnderstood: it answered something that this program cannot read.
	ErrNotUnderstood = errors.New("the process manager's answer was not understood")
	// ErrNoCommand: the process manager's own program was not found, or cannot be run.
	ErrNoCommand = errors.New("the process manager's program cannot be run")
	// ErrNotListed: it runs, and does not know the application.
	ErrNotListed = errors.New("the process manager does not list the application")
	// ErrStillAlive: it was told to stop the application, and in the given time that did not end. Who is left stands in
	// [StopResult.Alive].
	ErrStillAlive = errors.New("still alive after it was told to stop")
	// ErrBusy: the application is in between two states (stopping, say), and stayed there for the whole time given.
	ErrBusy = errors.New("the process manager is busy with the application")
	// ErrAmbiguous: it knows several applications of that name, and it cannot be told which of them is meant.
	ErrAmbiguous = errors.New("the process manager has several applications of that name")
	// ErrRefused: it understood the order and answered with an error.
	ErrRefused = errors.New("the process manager refused")
)

// CouldNotAsk tells whether err leaves it open how the application is. It is false for nil and for errors that are
// themselves an answer: there is no process manager, or it does not list the application.
func CouldNotAsk(err error) bool {
	return err != nil && !errors.Is(err, ErrNoDaemon) && !errors.Is(err, ErrNotListed)
}

// CommandError is a command of the process manager that ended with something other than success.
type CommandError struct {
	// Args is the command line, without its environment.
	Args []string
	// Code is its exit status; -1 if it was ended by a signal or never began.
	Code int
	// Tail is the end of what may be shown of what it printed: never what it may have quoted out of a file. Whoever makes the
	// error sees to that.
	Tail string
	// Err is what kind of failure that was, such as [ErrTimeout]; nil if only the exit status tells.
	Err error
}

// Error names the command, how it ended, and what may be shown of what it printed.
func (e *CommandError) Error() string {
	text := strings.Join(e.Args, " ")
	switch {
	case e.Err != nil:
		text += ": " + e.Err.Error()
	default:
		text += fmt.Sprintf(": exit status %d", e.Code)
	}
	if e.Tail != "" {
		text += ": " + e.Tail
	}
	return text
}

// Unwrap gives the kind of failure.
func (e *CommandError) Unwrap() error { return e.Err }
