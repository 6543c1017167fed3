//go:build linux

// Package procfs reads /proc for a supervisor that looks once a second: quickly, and without being fooled.
//
// A process is named by its [Identity], pid and start time together, because a pid alone is given away again. Every
// question about one process goes through one open handle of its directory, so an answer never mixes two processes
// that had the same pid one after the other.
//
// Three answers are kept apart throughout: the fact, [ErrGone] (there is no such process any more), and an error that
// matches [os.ErrPermission] (it may well be there, but we may not look). A zombie is dead: see [Process.Alive].
//
// Environments and command lines of processes hold secrets. [FS.Environ] returns only what was asked for by name.
package procfs
