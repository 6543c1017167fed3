package survey

import (
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/nginx"
)

// Facts are what was seen of one application and of what is around it.
type Facts struct {
	// At is when, User as whom.
	At   time.Time `json:"at"`
	User string    `json:"user"`

	// PM2 is how PM2 runs the application. Systemd is set instead where it is a service.
	PM2     PM2      `json:"pm2,omitzero"`
	Systemd *Systemd `json:"systemd,omitempty"`
	// Beside are other services that answer and could have been meant, where nobody was named.
	Beside []Choice `json:"beside,omitempty"`
	// Directory is the application's folder.
	Directory string `json:"directory"`
	// Ecosystem is the file that describes the application to PM2; nil where the folder holds none.
	Ecosystem *Ecosystem `json:"ecosystem,omitempty"`
	// Next says that the folder holds a build of Next.js.
	Next bool `json:"next,omitempty"`

	Port Port `json:"port"`
	// Local is what the application answered on that port; nil where it was not asked.
	Local *facts.HTTP `json:"local,omitempty"`

	Proxy  Proxy    `json:"proxy"`
	Public []Answer `json:"public,omitempty"`

	Env Env `json:"env"`
	// Total and Available are the machine's memory, in bytes; 0 where it could not be read.
	Total     uint64 `json:"total"`
	Available uint64 `json:"available"`

	Watchdogs []Watchdog `json:"watchdogs,omitempty"`
	// Unread says where a watchdog could hide that this user may not look.
	Unread []string `json:"unread,omitempty"`
}

// PM2 is how the application is run.
type PM2 struct {
	// Process is the name of its rows, and Rows their number.
	Process string `json:"process"`
	Rows    int    `json:"rows"`
	// Version is the daemon's. Home is where it lives, if that must be told: evenkeel would look elsewhere by itself.
	Version string `json:"version,omitempty"`
	Home    string `json:"home,omitempty"`
	// State and the rest are those of the first row.
	State       string `json:"state"`
	Restarts    int64  `json:"restarts"`
	Cluster     bool   `json:"cluster,omitempty"`
	Autorestart bool   `json:"autorestart"`
	Unstartable bool   `json:"unstartable,omitempty"`
	Watch       bool   `json:"watch,omitempty"`
	Cron        string `json:"cron,omitempty"`
	MaxMemory   uint64 `json:"maxMemory,omitempty"`
}

// Systemd is how a service is run.
type Systemd struct {
	// Unit is the service's unit. User says that it is one of this user's own service manager, and not of the system's.
	Unit string `json:"unit"`
	User bool   `json:"user,omitempty"`
	// File is that of the unit, Kind its Type=, and State what systemd says of it, such as "active (running)".
	File  string `json:"file,omitempty"`
	Kind  string `json:"kind,omitempty"`
	State string `json:"state"`
	// Autorestart says that Restart= brings it back.
	Autorestart bool `json:"autorestart"`
	// May says that this user may start and stop it: root any, and everybody those of his own manager.
	May bool `json:"may"`
}

// Process is the name by which the application's process manager knows it.
func (f *Facts) Process() string {
	if f.Systemd != nil {
		return f.Systemd.Unit
	}
	return f.PM2.Process
}

// Ecosystem is a file that describes applications to PM2.
type Ecosystem struct {
	// File is its name, relative to the application's folder.
	File string `json:"file"`
	// Names says that the application's name stands in it.
	Names bool `json:"names"`
}

// Source says where something is known from.
type Source string

// The sources of a port.
const (
	FromListener  Source = "Listener"  // the application's process listens there
	FromArguments Source = "Arguments" // its command line names it
	FromVariable  Source = "Variable"  // its environment's PORT names it
	FromNowhere   Source = ""
)

// Port is where the application listens.
type Port struct {
	// Number is 0 where it could not be found out.
	Number int    `json:"number"`
	From   Source `json:"from"`
	// Addresses are those that it listens at; Others are further ports of the same processes.
	Addresses []string `json:"addresses,omitempty"`
	Others    []int    `json:"others,omitempty"`
}

// Proxy is what Nginx's configuration says.
type Proxy struct {
	// Files are the main files that were read, Notes what could not be read or understood in them and their includes.
	Files []string `json:"files,omitempty"`
	Notes []string `json:"notes,omitempty"`
	// Sites are the server blocks that lead to the port, with what leads there.
	Sites []Site `json:"sites,omitempty"`
	// Unclear are places that lead who knows where.
	Unclear []string `json:"unclear,omitempty"`
	// Listening are those of the ports 80 and 443 on which somebody listens.
	Listening []int `json:"listening,omitempty"`
}

// Site is a server block that leads to the application.
type Site struct {
	nginx.Site `json:",inline"`
	By         nginx.Proxy `json:"by"`
}

// Answer is what a public address answered.
type Answer struct {
	// URL is the address that was asked, and Site where it is from.
	URL  string `json:"url"`
	Site string `json:"site"`
	// Answer is what came at the end of all redirects; Hops are the addresses that they named.
	Answer facts.HTTP `json:"answer"`
	Hops   []string   `json:"hops,omitempty"`
	// Here is the same, asked of this machine whatever the name resolves to; nil where that was not needed.
	Here *facts.HTTP `json:"here,omitempty"`
}

// Env is what the application's environment files name.
type Env struct {
	// Files are those that exist, in the order of Next.js.
	Files []string `json:"files,omitempty"`
	// Database are the variables that name a database and are not empty; Empty are those that are.
	Database []string `json:"database,omitempty"`
	Empty    []string `json:"empty,omitempty"`
	// Main says that .env itself is there.
	Main bool `json:"main,omitempty"`
	// Error says what could not be read.
	Error string `json:"error,omitempty"`
}

// Watchdog is somebody else who may restart the application.
type Watchdog struct {
	// What it is, and Where it was found.
	What  string `json:"what"`
	Where string `json:"where"`
	// Sure says that it names this application; else it only restarts something.
	Sure bool `json:"sure,omitempty"`
}
