//go:build linux

// Package cachedir clears an app's cache folders so that the app is down no longer than a rename takes, and so that
// nothing outside the app's folder can be touched.
//
// [Clear] runs while the app is stopped: it renames each folder to a name of its own beside it, which is atomic and
// takes no longer for a gigabyte than for a byte. [Purge] runs after the app was started again and removes what was
// renamed, leftovers of earlier runs included. Killed at any point, both can simply be run again: a folder is either
// in its place or under a name that Purge knows.
//
// Every path goes through [os.Root]. A listed folder that is a symbolic link is refused, and so is one whose way leads
// through a link out of the app's folder; a link inside a cache is removed as a link, its target is left alone. That
// holds also while somebody swaps folders for links under our hands.
package cachedir
