// Package reconcilers is the domain: it knows what a web application on a small server is made of. Judge is its pure half
// (which checks there are, who is to blame, which steps could help, what to remember), Domain adds the half that looks and
// acts. The parts have packages of their own:
//
//	facts      what was seen, as plain data
//	checks     asking: process, port, local, public, memory, database, workers, deploy, build
//	verdict    the ordered table of rules that says who is to blame
//	recovery   the seven steps
//	runtime    what a process manager is; pm2 is one, keeper (exec) another
//	procfs, listeners, signals, cachedir, dotenv, zombies   small tools, each for one corner of the system
package reconcilers
