package cmd

import (
	"errors"
	"fmt"
	"os"

	"github.com/evenkeel/evenkeel/api/strict"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/desired"
)

// The exit codes of every command.
const (
	exitWell         = 0
	exitNotWell      = 1
	exitUsage        = 2
	exitNoSupervisor = 3
)

// usageError is a command that was called wrongly.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// noSupervisorError says that nobody supervises what was asked for.
type noSupervisorError struct{ err error }

func (e *noSupervisorError) Error() string { return e.err.Error() }
func (e *noSupervisorError) Unwrap() error { return e.err }

func noSupervisorf(format string, args ...any) error {
	return &noSupervisorError{fmt.Errorf(format, args...)}
}

// saidError ends a command with an exit code when everything has been said on standard output.
type saidError struct{ code int }

func (e *saidError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// said gives nil for code 0.
func said(code int) error {
	if code == exitWell {
		return nil
	}
	return &saidError{code}
}

// exitCode is the one place in which errors become exit codes.
func exitCode(err error) int {
	var usage *usageError
	var file strict.Problems
	var nobody *noSupervisorError
	var quiet *saidError
	switch {
	case err == nil:
		return exitWell
	case errors.As(err, &quiet):
		return quiet.code
	case errors.As(err, &nobody), errors.Is(err, state.ErrNoState):
		return exitNoSupervisor
	case errors.As(err, &usage), errors.As(err, &file), errors.Is(err, desired.ErrNoApp):
		return exitUsage
	}
	return exitNotWell
}

// explain adds what to do next to errors of which other packages cannot know it.
func explain(err error) error {
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; try it as the user that evenkeel runs as, or with sudo", err)
	case errors.Is(err, state.ErrNoState):
		return fmt.Errorf("%w; start a supervisor with \"evenkeel run -f FILE\", or say where it keeps its state with --state-dir", err)
	}
	return err
}
