//go:build linux

// Package signals sends signals to the process that was meant, and to no other.
//
// A pid may have been given away between looking and acting. So the kernel is asked for a handle on the process first
// (a pidfd), then the start time is compared, then the signal goes through the handle: whatever happens to the pid in
// between, the signal reaches the process that was compared, or nobody.
//
// Whose process may be ended is decided elsewhere. As a last line of defence this package refuses pid 1, this process
// itself and everything above it in the process tree. It works for processes that are not children; it reaps nothing.
//
// It needs pidfd_open(2): Linux 5.3.
package signals
