//go:build linux

// Package demo is the small world in which "evenkeel demo" shows evenkeel at work: a folder, a web application, a proxy
// before it, and those who get in its way (a stranger on its port, a deploy). It knows nothing of evenkeel's engine: what
// happens in this world is seen through the real checks only.
//
// Nothing of it outlives its demo. Each of its processes holds on to the demo's folder, and ends by itself when the demo
// has ended, even by SIGKILL; what cannot (it was stopped by a signal) is ended by the next demo, see [Sweep].
package demo
