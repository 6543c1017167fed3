// Package database asks an application's database whether it would serve it: a full handshake with authentication, one
// trivial query and a clean goodbye, over one connection. (A bare connect that says nothing makes MySQL block this machine
// after a hundred of them.) [Parse] reads the forms of address that Prisma and its like know; [Target.Ask] asks.
//
// Passwords stay inside: no error, no message and no printed Target holds one, and what a driver or a server says in its own
// words is left out, since it may repeat what it was given. What cannot be asked in this way is said to be so, and is never
// the database's failure.
package database
