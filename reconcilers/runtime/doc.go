//go:build linux

// Package runtime says what a process manager is to evenkeel: somebody who can be asked how an application's processes
// are, be told to stop or start them, and who remembers how they ended.
//
// Two things are kept apart throughout. A runtime that answers "it does not run" is a fact about the application. A
// runtime that cannot be asked (no right, no answer in time, an answer nobody understands) is not: see [CouldNotAsk].
// Nothing here ever starts a process manager, and nothing here sends a signal to an application; that is for the caller,
// who knows what else it proved.
package runtime
