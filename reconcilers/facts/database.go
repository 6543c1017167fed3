package facts

import "time"

// Database is the database's configuration, by names only, and what the database itself said where it was asked.
type Database struct {
	Files   []string `json:"files,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Error   string   `json:"error,omitempty"`

	// Class is how asking ended; empty where it was not asked. All that follows is empty then, too.
	Class DatabaseClass `json:"class,omitempty"`
	// Kind names the kind of database; Where is its host and port, its socket or its file; User is who asked.
	Kind  string `json:"kind,omitempty"`
	Where string `json:"where,omitempty"`
	User  string `json:"user,omitempty"`
	// Source is the variable that held the address, and From the file that it stood in, or "the process".
	Source string `json:"source,omitempty"`
	From   string `json:"from,omitempty"`
	// Code is the server's own code for what it refused.
	Code string `json:"code,omitempty"`
	// ReadOnly says that it serves and takes no changes.
	ReadOnly bool `json:"readOnly,omitempty"`
	// Ago is how old the answer is, where it is an earlier one: who is refused his login does not ask again at once.
	Ago time.Duration `json:"ago,omitempty"`
}

// DatabaseClass says how asking a database ended.
type DatabaseClass string

// The classes.
const (
	DatabaseReachable       DatabaseClass = "Reachable"
	DatabaseRefused         DatabaseClass = "Refused"     // nobody listens
	DatabaseUnreachable     DatabaseClass = "Unreachable" // no way to it, or no answer to the call
	DatabaseTimeout         DatabaseClass = "Timeout"     // takes the call and never answers
	DatabaseClosed          DatabaseClass = "Closed"      // takes the call and hangs up
	DatabaseNameNotResolved DatabaseClass = "NameNotResolved"
	DatabaseTLS             DatabaseClass = "TLS"
	DatabaseAuthFailed      DatabaseClass = "AuthFailed"
	DatabaseNoSuchDatabase  DatabaseClass = "NoSuchDatabase"
	DatabaseFull            DatabaseClass = "TooManyConnections"
	DatabaseBlocked         DatabaseClass = "Blocked"    // MySQL has had too many broken connects from this machine
	DatabaseStartingUp      DatabaseClass = "StartingUp" // or shutting down
	DatabaseDiskFull        DatabaseClass = "DiskFull"
	DatabaseError           DatabaseClass = "Error" // another refusal, with its code where it gave one
	DatabaseFileMissing     DatabaseClass = "FileMissing"
	DatabaseFileNotReadable DatabaseClass = "FileNotReadable"
	DatabaseNotADatabase    DatabaseClass = "NotADatabase"
	DatabaseBadURL          DatabaseClass = "BadURL"        // the address cannot be read by evenkeel
	DatabaseCannotBeAsked   DatabaseClass = "CannotBeAsked" // evenkeel cannot ask it: no failure
)

// Fails says that the database was asked and does not serve.
func (c DatabaseClass) Fails() bool {
	switch c {
	case "", DatabaseReachable, DatabaseBadURL, DatabaseCannotBeAsked:
		return false
	}
	return true
}
