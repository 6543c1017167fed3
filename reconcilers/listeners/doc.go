//go:build linux

// Package listeners answers who listens on a TCP port of this machine: which addresses, how long the queue of waiting
// connections is, and whose process it is.
//
// It asks the kernel over NETLINK_SOCK_DIAG, which takes a tenth of a millisecond, needs no rights and knows only
// sockets that listen. /proc/net/tcp would walk the kernel's whole table, and lists clients of the port as well.
//
// Whose process a socket belongs to can be seen only with rights over that process. "Cannot tell" is therefore an
// answer of its own, see [Owner.Known], and never means "nobody" or "somebody else".
package listeners
