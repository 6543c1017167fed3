// Package controller is the engine: it decides when to look, whether to act, how often, and when to stop. It knows no PM2,
// no HTTP check and no Nginx; that is the domain's (see pass.Domain).
//
// Its brain is one function, Step. It is given all that may be looked at and returns what is to be remembered and what is
// to be done. It has no goroutine, no clock, no randomness and no I/O, so that a simulator can drive years of it. Loop is
// the shell around it: it owns timers, concurrency and the order of writing: what is intended is on disk before it is begun,
// what became of it afterwards.
package controller
