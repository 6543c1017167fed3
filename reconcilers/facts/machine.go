package facts

import "time"

// Disk is the space where the application, its logs and evenkeel's own state lie.
type Disk struct {
	Volumes []Volume `json:"volumes,omitempty"`
	// Caches is what the folders hold that a clean recovery empties, on the volume that is worst off. It is only asked where a
	// volume is short, and can be from a look before this one.
	Caches int64 `json:"caches,omitempty"`
	// Held is what files still take that were removed there while a process holds them open: HeldBy is that process, HeldName
	// its name, and HeldDaemon says that it is the process manager. Only asked where a volume is short.
	Held       int64  `json:"held,omitempty"`
	HeldBy     int    `json:"heldBy,omitempty"`
	HeldName   string `json:"heldName,omitempty"`
	HeldDaemon bool   `json:"heldDaemon,omitempty"`
}

// Worst is the volume that is worst off: the first full one, else the first short one. It tells whether there is one.
func (d *Disk) Worst() (Volume, bool) {
	for _, bad := range []func(*Volume) bool{(*Volume).Full, (*Volume).Short} {
		for n := range d.Volumes {
			if bad(&d.Volumes[n]) {
				return d.Volumes[n], true
			}
		}
	}
	return Volume{}, false
}

// Volume is one file system. Sizes are bytes.
type Volume struct {
	// Path is the first of our folders on it; Holds says what lies there: "app", "logs", "state".
	Path  string   `json:"path"`
	Holds []string `json:"holds"`
	Size  int64    `json:"size"`
	Free  int64    `json:"free"` // what this user may still take
	Want  int64    `json:"want"`
	// Inodes is how many files there can be; 0 where the file system has no such limit.
	Inodes     int64 `json:"inodes,omitempty"`
	FreeInodes int64 `json:"freeInodes,omitempty"`
	WantInodes int64 `json:"wantInodes,omitempty"`
	// ReadOnly says that nothing can be written there at all, though logs or state lie there.
	ReadOnly bool `json:"readOnly,omitempty"`
}

// NoSpace and NoInodes say that less is free than wanted.
func (v *Volume) NoSpace() bool { return v.Free < v.Want }

// NoInodes says that fewer files can still be made than wanted.
func (v *Volume) NoInodes() bool { return v.Inodes > 0 && v.FreeInodes < v.WantInodes }

// Short says that it is time to tell somebody.
func (v *Volume) Short() bool { return v.NoSpace() || v.NoInodes() || v.ReadOnly }

// fullPart is the part of what is wanted below which nothing more can be relied on to be written.
const fullPart = 16

// Full says that writing fails there, or is about to.
func (v *Volume) Full() bool {
	return v.ReadOnly || v.Free < v.Want/fullPart || v.Inodes > 0 && v.FreeInodes < max(v.WantInodes/fullPart, 1)
}

// Clears is how much has to become free for the volume to be well again, with room to spare.
func (v *Volume) Clears() int64 { return v.Want + v.Want/2 - v.Free }

// Host is how the machine itself is: who uses its processors, and what waits for them. Shares are parts of all processors
// together, from 0 to 1, since the last look that lay long enough back; Window is how long. Window 0 means not measured yet.
type Host struct {
	CPUs   int           `json:"cpus"`
	Window time.Duration `json:"window,omitempty"`
	// Busy is what was used altogether, App by the application's own tree, Stolen what the machine below this one took.
	Busy   float64 `json:"busy"`
	App    float64 `json:"app"`
	Stolen float64 `json:"stolen,omitempty"`
	// Waited is the part of the time in which the application's main process wanted a processor and got none; below 0 where
	// the kernel does not tell. Ran is the part in which it had one. Halted says that it was stopped by a signal.
	Waited float64 `json:"waited"`
	Ran    float64 `json:"ran"`
	Halted bool    `json:"halted,omitempty"`
	// CPU, IO and RAM are the parts of the last ten seconds, in percent, in which some work stood still for want of it; IO is
	// that in which all of it did. Below 0 where the kernel does not measure it.
	CPU float64 `json:"cpu"`
	IO  float64 `json:"io"`
	RAM float64 `json:"ram"`
	// Load is how many tasks wanted to run in the last minute, on average.
	Load float64 `json:"load"`
	// Late is by how much longer than its own work evenkeel's look at the processes took.
	Late time.Duration `json:"late,omitempty"`
	// HogPID, HogName and HogCPU name the process outside the application that used most.
	HogPID  int     `json:"hogPID,omitempty"`
	HogName string  `json:"hogName,omitempty"`
	HogCPU  float64 `json:"hogCPU,omitempty"`
	// Up is the time since boot; Jumped is by how much the clock on the wall was set since the look before.
	Up     time.Duration `json:"up"`
	Jumped time.Duration `json:"jumped,omitempty"`
	// Killed counts what the kernel has killed for want of memory since the look before; Line is what it says of the last one,
	// where that may be read, and KilledApp that it was one of the application's processes. Where it may not be read, MayBeApp
	// says that one of those has ended meanwhile, for whatever reason.
	Killed    int64  `json:"killed,omitempty"`
	KilledApp bool   `json:"killedApp,omitempty"`
	MayBeApp  bool   `json:"mayBeApp,omitempty"`
	Line      string `json:"line,omitempty"`
}

const (
	// starvedShare is the part of the time in which the application has to wait for a processor to count as starved; whoever
	// gets a quarter of one does not count as kept from it.
	starvedShare, fedShare = 0.5, 0.25
	// starvedPercent is the same for what the kernel measures of all work together.
	starvedPercent = 60.0
	starvedIO      = 40.0
	// stolenShare is the part that another machine on the same hardware may take.
	stolenShare = 0.3
	// lateBy is how late evenkeel's own look may be before it is not to be trusted.
	lateBy = 2 * time.Second
)

// Starved says what the application is kept from by others than itself; empty where it is not, or where that is not known.
func (h *Host) Starved() string {
	others := h.Busy - h.App
	switch {
	case h.Halted:
		return ""
	case h.IO >= starvedIO:
		return "the disk"
	case h.Window == 0:
		return ""
	case h.Stolen >= stolenShare:
		return "its processors, which the machine below it takes"
	case h.Waited >= starvedShare && h.Ran < fedShare && others > h.App:
		return "its processors"
	case h.Waited < 0 && h.wanted() && others > h.App:
		return "its processors"
	case h.Late >= lateBy && others > h.App:
		return "its processors"
	}
	return ""
}

// wanted says that work waits for a processor, where it is only known of all work together.
func (h *Host) wanted() bool {
	if h.CPU >= 0 {
		return h.CPU >= starvedPercent
	}
	return h.CPUs > 0 && h.Load >= 2*float64(h.CPUs)
}

// Environment is what a restart would change in the application's environment: names only.
type Environment struct {
	Life string `json:"life,omitempty"`
	// Files are the environment files that exist.
	Files []string `json:"files,omitempty"`
	// Changed are variables whose value in the files is another one now than when the process started, and that the process
	// does not have from elsewhere. Later are files that were written after its start, where their earlier content is not known.
	Changed []string `json:"changed,omitempty"`
	Later   []string `json:"later,omitempty"`
	// Overruled are variables that the process was given with another value than the files have: a restart keeps its own.
	Overruled []string `json:"overruled,omitempty"`
	// Given are those that the database check requires and that the process was given by whoever started it.
	Given []string `json:"given,omitempty"`
}
