// Package facts is what the checks saw, as plain data that survives JSON. It holds no opinions, and no secrets: nothing of
// an application's environment, its arguments or its log lines.
package facts

import (
	"encoding/json"
	"time"
)

// ReasonCrashLoop is the process check's reason while a process runs that is one more of a crash loop.
const ReasonCrashLoop = "CrashLoop"

// Process is what the runtime and the kernel say of the application's process.
type Process struct {
	// Runtime is the runtime's kind, as in spec.runtime; Home is where it was asked. Output is the file that holds what the
	// application writes, where there is one for all of it.
	Runtime string `json:"runtime"`
	Home    string `json:"home,omitempty"`
	Output  string `json:"output,omitempty"`
	// Daemon says that the process manager runs; DaemonPID is its process.
	Daemon    bool `json:"daemon"`
	DaemonPID int  `json:"daemonPID,omitempty"`
	// Rivals are further process managers of the same home that live beside it.
	Rivals []int `json:"rivals,omitempty"`
	// Leftover says that the process manager left its socket behind: it was killed. Revival is how it can be brought back,
	// with the application; NoRevival why it cannot. They are set only where it does not run.
	Leftover  bool   `json:"leftover,omitempty"`
	Revival   string `json:"revival,omitempty"`
	NoRevival string `json:"noRevival,omitempty"`
	// State sums the rows up, in the words of package runtime.
	State string `json:"state"`
	// Rows are the process manager's entries of that name.
	Rows []Row `json:"rows,omitempty"`
	// Life is the process, as "pid:start ticks"; empty where there is none. Age is how long it has lived.
	Life string        `json:"life,omitempty"`
	Age  time.Duration `json:"age,omitempty"`
	// Answered says that this life has given a good answer.
	Answered bool `json:"answered,omitempty"`
	// Ordered counts the exits of the same time that somebody had asked for.
	Ordered int `json:"ordered,omitempty"`
	// Crashes counts the unplanned exits of the last ten minutes, since the last recovery.
	Crashes int `json:"crashes,omitempty"`
	// Killed counts those of them that a SIGKILL made an end of, as far as that is known.
	Killed int `json:"killed,omitempty"`
	// StopOrdered says that somebody had the application stopped, and it was not we; StopOrderedFor is since how long.
	StopOrdered    bool          `json:"stopOrdered,omitempty"`
	StopOrderedFor time.Duration `json:"stopOrderedFor,omitempty"`
	// Signs are the known signs found at the end of the application's error log, if it is fresh.
	Signs []Sign `json:"signs,omitempty"`
	// Needs are what its error log says of others that it could not reach, since the present failure began, in this life.
	Needs []Need `json:"needs,omitempty"`
	// FolderMissing says that the application's directory does not exist.
	FolderMissing bool `json:"folderMissing,omitempty"`
	// Cause is the signature of what a start reads (names, sizes and times of files, nothing of what is in them), where the
	// application does not answer.
	Cause string `json:"cause,omitempty"`
	// Error says why it could not be asked.
	Error string `json:"error,omitempty"`
}

// Row is one entry of the process manager's list.
type Row struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Raw      string `json:"raw,omitempty"`
	PID      int    `json:"pid,omitempty"`
	Life     string `json:"life,omitempty"`
	Restarts int64  `json:"restarts"`
	ExitCode *int   `json:"exitCode,omitempty"`
	Mark     string `json:"mark,omitempty"`
	Cluster  bool   `json:"cluster,omitempty"`
	Message  string `json:"message,omitempty"`
	// Bound is how long the process manager may stay in an in-between state by its own settings.
	Bound time.Duration `json:"bound,omitempty"`
}

// Restarts is the sum of the rows' own counts.
func (p *Process) Restarts() int64 {
	var n int64
	for _, r := range p.Rows {
		n += r.Restarts
	}
	return n
}

// Sign is a known sign in the application's log.
type Sign string

// The signs.
const (
	SignAddressInUse   Sign = "EADDRINUSE"
	SignBuildMissing   Sign = "BuildMissing"
	SignModuleNotFound Sign = "ModuleNotFound"
	SignCache          Sign = "Cache"
	SignOutOfMemory    Sign = "OutOfMemory"
	SignDatabase       Sign = "Database"
	SignInterpreter    Sign = "Interpreter" // the program that runs it was not found
)

// Need is what the application could not reach, by its own word. Nothing of the line is kept but the port.
type Need struct {
	Kind NeedKind `json:"kind"`
	End  NeedEnd  `json:"end"`
	// Port is that of the address; 0 where none was said.
	Port int `json:"port,omitempty"`
}

// NeedKind is what it is.
type NeedKind string

// The kinds.
const (
	NeedDatabase NeedKind = "Database"
	NeedName     NeedKind = "Name" // of a machine, which was to be looked up
	NeedService  NeedKind = "Service"
)

// NeedEnd is how the attempt ended.
type NeedEnd string

// The ends.
const (
	NeedRefused NeedEnd = "Refused"
	NeedSilent  NeedEnd = "Silent"
	NeedNoWay   NeedEnd = "NoWay"
	NeedNoName  NeedEnd = "NoName"
	NeedLogin   NeedEnd = "LoginRefused"
)

// Whose says whose a listening socket is.
type Whose string

// The answers.
const (
	Ours       Whose = "Ours"
	OurOrphan  Whose = "OurOrphan"
	Stranger   Whose = "Stranger"
	CannotTell Whose = "CannotTell"
)

// Port is who listens on the application's port.
type Port struct {
	Port      int32      `json:"port"`
	Listeners []Listener `json:"listeners,omitempty"`
	// Elsewhere is where the application listens at other ports: without inspectors, and without what it opens for itself alone,
	// on loopback at a port that the kernel chose. It is looked for where nobody listens on the port, and in the first ten minutes
	// of a life that does.
	Elsewhere []Place `json:"elsewhere,omitempty"`
}

// Place is a listening socket of the application at another port than is wanted.
type Place struct {
	Addr string `json:"addr"`
	Port int32  `json:"port"`
	PID  int    `json:"pid"`
}

// Listener is one listening socket and its owner.
type Listener struct {
	Addr    string `json:"addr"`
	Whose   Whose  `json:"whose"`
	Process string `json:"process,omitempty"` // "pid:start ticks"
	PID     int    `json:"pid,omitempty"`
	User    string `json:"user,omitempty"`
	Command string `json:"command,omitempty"`
	Folder  string `json:"folder,omitempty"`
	// Since is how long its process has run.
	Since time.Duration `json:"since,omitempty"`
	// Waiting counts the connections that wait to be accepted.
	Waiting uint32 `json:"waiting,omitempty"`
	// Under is a PM2 daemon, other than the one that was asked, that its process is a child of, and that would bring it back.
	Under int `json:"under,omitempty"`
}

// By returns the first listener of that kind.
func (p *Port) By(whose Whose) (Listener, bool) {
	for _, l := range p.Listeners {
		if l.Whose == whose {
			return l, true
		}
	}
	return Listener{}, false
}

// StalledLow is the share of time, in percent, that some work may stand still for want of memory before memory counts as
// low whatever is available. The kernel's own documentation calls tens of percent a machine that thrashes.
const StalledLow = 40.0

// Memory is the machine's memory and who holds it. Sizes are bytes.
type Memory struct {
	Total     int64 `json:"total"`
	Available int64 `json:"available"`
	Wanted    int64 `json:"wanted"`
	SwapTotal int64 `json:"swapTotal,omitempty"`
	SwapFree  int64 `json:"swapFree,omitempty"`
	// Stalled is the share of the last ten seconds, in percent, in which some work stood still for want of memory.
	Stalled float64 `json:"stalled,omitempty"`
	// Tree is the application's whole tree; Life is the process that it grows from.
	Tree int64  `json:"tree"`
	Life string `json:"life,omitempty"`
	// HogPID, HogName and HogBytes name the largest process that is not the application's.
	HogPID   int    `json:"hogPID,omitempty"`
	HogName  string `json:"hogName,omitempty"`
	HogBytes int64  `json:"hogBytes,omitempty"`
}

// Clears is how much has to be available for low memory to be over: one and a half times what is wanted, so that it does
// not come and go at the edge.
func (m *Memory) Clears() int64 { return m.Wanted + m.Wanted/2 }

// Rest is what everything but the application uses: all that is not available, without its tree. Shared pages count once for
// each process of the tree, so that it says little by itself; by how much it has grown says more.
func (m *Memory) Rest() int64 { return m.Total - m.Available - m.Tree }

// Workers are the application's own processes.
type Workers struct {
	Processes []Worker `json:"processes,omitempty"`
}

// Worker is one process of the application's tree.
type Worker struct {
	PID   int    `json:"pid"`
	Name  string `json:"name"`
	State string `json:"state"`
	Bytes int64  `json:"bytes"`
	// Open is how many files it has open, and OpenLimit how many it may; only asked where a request failed, or rarely.
	Open      int    `json:"open,omitempty"`
	OpenLimit uint64 `json:"openLimit,omitempty"`
}

// filesLeft is how few descriptors may be left for them to count as used up: a connection needs one, its file another.
const filesLeft = 4

// OutOfFiles finds a process that can open no more files.
func (w *Workers) OutOfFiles() (Worker, bool) {
	for _, p := range w.Processes {
		if p.OpenLimit > 0 && uint64(p.Open)+filesLeft >= p.OpenLimit {
			return p, true
		}
	}
	return Worker{}, false
}

// Deploy is a checkout, an install or a build at work in the application's folder.
type Deploy struct {
	AtWork []Work `json:"atWork,omitempty"`
}

// Work is one program at work.
type Work struct {
	PID  int    `json:"pid,omitempty"`
	What string `json:"what"`
	// Since is how long it has run.
	Since time.Duration `json:"since,omitempty"`
}

// Build is the build output, where its kind is known.
type Build struct {
	// Kind is "next", the name of another builder, or empty where it is not known how the application is built.
	Kind string `json:"kind,omitempty"`
	// Present says that a finished build is there; Stamp names it.
	Present bool   `json:"present"`
	Stamp   string `json:"stamp,omitempty"`
	// Missing is the file that is not there, and Broken the one that is there and was cut short.
	Missing string `json:"missing,omitempty"`
	Broken  string `json:"broken,omitempty"`
}

// Raw puts facts into a result.
func Raw(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil { // only what cannot be data fails here, and facts are data
		return nil
	}
	return data
}
