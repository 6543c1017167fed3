//go:build linux

package runtime

import (
	"context"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// Runtime is a process manager. It is safe for use by several goroutines; orders to one manager are carried out one
// after the other. Every call ends when ctx does.
type Runtime interface {
	// Look asks how the application's processes are. It changes nothing, and never brings the manager into being. With an
	// error only Snapshot.Daemon may be relied on; see [CouldNotAsk].
	Look(ctx context.Context, app *v1alpha1.App) (Snapshot, error)
	// Stop tells the manager to stop every process of the application, and to bring none of them back, and waits, for at
	// most timeout, until that is so. A process that outlives that is reported, not killed: [ErrStillAlive], and
	// StopResult.Alive. Stopping what is stopped is success.
	Stop(ctx context.Context, app *v1alpha1.App, timeout time.Duration) (StopResult, error)
	// Start tells the manager to start the application. What runs and was born at or after since is left alone; what runs
	// and is older is restarted; with a zero since everything that runs is left alone. Success means that the order was
	// accepted and nothing more: whoever wants to know looks. A manager that does not run is brought back first, if it can
	// be ([Daemon].Revival); it never lives in our cgroup where that is a service's, and never dies with us.
	Start(ctx context.Context, app *v1alpha1.App, since v1alpha1.Instant) (StartResult, error)
	// Exits tells from the manager's own notes how the application's processes ended at or after since, and who last
	// stopped it. It needs no running manager.
	Exits(ctx context.Context, app *v1alpha1.App, since time.Time) (History, error)
}

// NameOf is the name by which its process manager knows the App.
func NameOf(app *v1alpha1.App) string {
	switch {
	case app.Spec.Runtime.PM2 != nil:
		return app.Spec.Runtime.PM2.Process
	case app.Spec.Runtime.Systemd != nil:
		return app.Spec.Runtime.Systemd.Unit
	}
	return app.Name
}

// State is what a process is doing, in one vocabulary for all runtimes.
type State string

// The states.
const (
	// Running: it was spawned and has not ended. That is not the same as working.
	Running State = "Running"
	// Starting: it was spawned, and the manager waits for it to say that it is ready.
	Starting State = "Starting"
	// Stopping: it was told to stop, and has not ended yet.
	Stopping State = "Stopping"
	// Stopped: it does not run, and the manager will not bring it back.
	Stopped State = "Stopped"
	// Waiting: it has ended, and the manager is about to bring it back, at once or after a delay.
	Waiting State = "Waiting"
	// Errored: it has ended too often, and the manager has given up on it.
	Errored State = "Errored"
	// Missing: the manager does not list it.
	Missing State = "Missing"
	// Unknown: the manager used a word that this program does not know, or could not be asked.
	Unknown State = "Unknown"
)

// Runs tells whether there is a process: Running, Starting or Stopping.
func (s State) Runs() bool { return s == Running || s == Starting || s == Stopping }

// Process is one row of the manager's list. No part of the application's environment is in it, but for Mark.
type Process struct {
	// Name is the name that the manager knows it by; several may share it. ID is the manager's own, unique one.
	Name string
	ID   string
	// State is what it is doing, after a look at the process itself; Raw is what the manager called it.
	State State
	Raw   string
	// Lying says that the manager's word and the kernel's do not agree: State follows the kernel. Message says how.
	Lying   bool
	Message string

	// PID is what the manager names as its process; 0 if none. It may be dead: Identity is set only if it is alive.
	PID      int
	Identity procfs.Identity
	// Members are further processes of this life by the manager's own word, which need not descend from PID: those of the
	// control group of a unit of systemd's.
	Members []procfs.Identity
	// Unseen says that the kernel would not tell whether PID is alive (another user's, hidden). State is then the manager's.
	Unseen bool

	// Restarts is the manager's count of restarts, Unstable that of ends it thinks were too early.
	Restarts int64
	Unstable int64
	// StartedAt is the manager's own note of the last start, by the wall clock. Prefer Identity.StartedAt where there is one.
	StartedAt time.Time
	// ExitCode is that of the last life that ended; nil if none did. Signals do not show in it: killed reads 0.
	ExitCode *int
	// BackoffNow is the delay before the next life, where the manager lengthens it from time to time.
	BackoffNow time.Duration
	// Memory is what the manager measured, in bytes; it is that of PID alone.
	Memory uint64

	// Mark is what the manager writes into the environment of the processes of this application, and of no other. Under PM2 it
	// is unique_id, which all instances of an application share: it proves whose application a process is, and not which row's.
	// Empty where the manager gives none.
	Mark string
	// Home is where the manager keeps its things (PM2_HOME).
	Home string

	// ExecMode is how it is run; Cluster says that the manager itself holds the listening socket.
	ExecMode  string
	Cluster   bool
	Namespace string
	// Autorestart says that the manager brings it back when it ends; Watch, that it restarts it when files change.
	Autorestart bool
	Watch       bool
	// Unstartable says that the manager will not start it whatever it is told: PM2 with autostart off.
	Unstartable bool
	// Cron is its schedule of restarts; PM2 goes on with it for a stopped process too.
	Cron string
	// StopTimeout is how long the manager waits between asking the process to end and killing it.
	StopTimeout time.Duration
	// ReadyTimeout is how long it may be Starting; 0 if the manager does not wait for it.
	ReadyTimeout time.Duration
	// RestartDelay is the fixed delay before the next life.
	RestartDelay time.Duration
	// MaxMemory is where the manager itself restarts it, in bytes; 0 if it does not.
	MaxMemory uint64

	// Script, Args, Interpreter and Cwd are what is run, and where. Arguments may hold secrets: show none of them.
	Script      string
	Args        []string
	Interpreter string
	Cwd         string
	// Config is the file by which the manager knows what to run, where it has one for each application.
	Config string
	// Version is that of the script's package.
	Version string
	// OutLog, ErrLog and PIDPath are its files.
	OutLog  string
	ErrLog  string
	PIDPath string
}

// Alive tells whether there is a living process behind the row, as far as the kernel would say.
func (p *Process) Alive() bool { return p.Identity.PID != 0 }

// Tree are the row's processes among all: its own with what descends from it, and its further members with what descends from
// those.
func (p *Process) Tree(procs *procfs.Snapshot) []procfs.Process {
	tree := procs.Tree(p.PID)
	for _, id := range p.Members {
		if member, ok := procs.Get(id.PID); !ok || member.Identity != id || slices.ContainsFunc(tree, func(p procfs.Process) bool { return p.PID == id.PID }) {
			continue
		}
		tree = append(tree, procs.Tree(id.PID)...)
	}
	return tree
}

// Daemon is the manager itself.
type Daemon struct {
	// Reachable says that it took our call. One that hangs is reachable too; then Why says so.
	Reachable bool
	// PID and Identity are its process, as the kernel named the other end of the socket.
	PID      int
	Identity procfs.Identity
	// UID is the user that it runs as.
	UID uint32
	// Version is its own; Home is where it keeps its things; Socket is where it was asked.
	Version string
	Home    string
	Socket  string
	// Badge is what it writes into the environment of every process that it starts.
	Badge Badge
	// Leftover says that a socket is there and nobody behind it: it was killed, or is from before a reboot.
	Leftover bool
	// Rivals are further managers of the same home that live, beside the one that takes calls. What they run cannot be seen
	// or steered.
	Rivals []procfs.Identity
	// Why says in a sentence why it could not be asked.
	Why string
	// Revival says how it could be brought back. It is set only where it does not run.
	Revival Revival
}

// Revival is how a process manager that does not run could be brought back, with the application that was asked about.
type Revival struct {
	// How says it in a few words; empty where it cannot be done, and then Why says why not, and what would help.
	How string
	Why string
	// Marks are those that the manager's own notes hold for the application: they prove its orphans.
	Marks []string
}

// Snapshot is what one look found.
type Snapshot struct {
	// Daemon is the manager.
	Daemon Daemon
	// Processes are the application's rows, by ascending id. There may be none, and several may share the name.
	Processes []Process
	// Others are everybody else's. They are for naming, and for leaving alone.
	Others []Process
	// Via says how the manager was asked: "socket" or "command".
	Via string
}

// State sums the rows up: the best of them, so that one of several that runs makes it Running; Missing without any.
func (s *Snapshot) State() State {
	best, rank := Unknown, len(order)
	if len(s.Processes) == 0 {
		best = Missing
	}
	for i := range s.Processes {
		for r, state := range order {
			if s.Processes[i].State == state && r < rank {
				best, rank = state, r
			}
		}
	}
	return best
}

var order = []State{Running, Starting, Stopping, Waiting, Unknown, Stopped, Errored, Missing}

// StopResult says how a stop went.
type StopResult struct {
	// Already says that everything was stopped when it began, and nothing was ordered.
	Already bool
	// Alive are those that outlived the time given. Their Identity is set.
	Alive []Process
	// Message says it in a sentence; Took is how long it took.
	Message string
	Took    time.Duration
}

// StartHow says what a start did.
type StartHow string

// What a start can have done.
const (
	// AlreadyRunning: nothing; it runs, and is young enough.
	AlreadyRunning StartHow = "AlreadyRunning"
	// Restarted: the manager was told to start a row that it lists.
	Restarted StartHow = "Restarted"
	// Created: the manager did not list it, and was given what spec.runtime says to start.
	Created StartHow = "Created"
	// Revived: the manager did not run and was brought back, and the application came with it.
	Revived StartHow = "Revived"
)

// StartResult says what a start did.
type StartResult struct {
	// How says what was done.
	How StartHow
	// IDs are the rows that were told to start.
	IDs []string
	// Message says it in a sentence; Took is how long it took.
	Message string
	Took    time.Duration
}

// Cause says why a process ended.
type Cause string

// The causes.
const (
	// CauseCrash: nobody asked for it.
	CauseCrash Cause = "Crash"
	// CauseOrder: somebody told the manager to stop, restart or reload it. Its schedule (cron) counts as somebody: the
	// notes do not tell the two apart.
	CauseOrder Cause = "Order"
	// CauseMemory: the manager restarted it for its memory.
	CauseMemory Cause = "Memory"
	// CauseWatch: the manager restarted it because files changed.
	CauseWatch Cause = "Watch"
	// CauseDaemon: the manager itself was ended.
	CauseDaemon Cause = "Daemon"
)

// Planned tells whether somebody asked for it.
func (c Cause) Planned() bool { return c != CauseCrash }

// Exit is one end of one process.
type Exit struct {
	// At is when, to the second; zero if the notes do not say.
	At time.Time
	// ID is the manager's id of the row.
	ID string
	// Code is the exit code; a killed process reads 0. It is -1 where it cannot be told.
	Code int
	// Signal ended it; empty if it ended itself, or if that cannot be told.
	Signal string
	// Cause says why.
	Cause Cause
}

// Order is a stop that somebody told the manager to make.
type Order struct {
	// At is when, to the second; zero if the notes do not say.
	At time.Time
	// ID is the manager's id of the row.
	ID string
	// Cause says for whom. Standing says that no start came after it: it is stopped because of this.
	Cause    Cause
	Standing bool
}

// History is what the manager noted about the application.
type History struct {
	// Exits are those at or after the moment asked for, oldest first.
	Exits []Exit
	// LastStop is the newest order to stop or restart it that the notes hold, however old; nil if none.
	LastStop *Order
	// GaveUpAt is when the manager last gave up on it; zero if it did not, or began anew since.
	GaveUpAt time.Time
	// Complete says that the notes that were read reach back to the moment asked for. They are read from the end, and not
	// without limit.
	Complete bool
	// Untimed counts ends that bear no time that can be read, and are therefore not among Exits.
	Untimed int
}

// Unplanned counts the exits that nobody asked for.
func (h *History) Unplanned() int {
	n := 0
	for _, e := range h.Exits {
		if !e.Cause.Planned() {
			n++
		}
	}
	return n
}

// Killed counts those of them that SIGKILL ended.
func (h *History) Killed() int {
	n := 0
	for _, e := range h.Exits {
		if !e.Cause.Planned() && e.Signal == "SIGKILL" {
			n++
		}
	}
	return n
}
