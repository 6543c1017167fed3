// Package survey looks at a machine for the first time: what PM2 runs and how, which services systemd keeps, who listens on
// which port, what Nginx makes of it, what the site answers, which variables its environment files name, and whether another
// watchdog is at work.
//
// It changes nothing and starts no daemon. What it finds is plain data, see [Facts]; what follows from it is for package
// draft to say. Nothing secret is in it: of environment files only the names, of processes neither arguments nor
// environment, of other people's scripts only where they are.
//
// What cannot be found out is a fact too: it is told and never ends the look. Only without an application to look at
// there is an error.
package survey
