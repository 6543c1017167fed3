package facts

import (
	"slices"
	"time"
)

// Class says how an HTTP request ended, whatever its status.
type Class string

// The classes.
const (
	Answered    Class = "Answered"
	Refused     Class = "Refused"
	Timeout     Class = "Timeout"
	Closed      Class = "Closed" // reset, or ended without an answer
	Certificate Class = "Certificate"
	DNS         Class = "DNS"
	Unreachable Class = "Unreachable"
	Redirects   Class = "Redirects"
	Protocol    Class = "Protocol" // it speaks HTTP where HTTPS was asked for, or the reverse
	Garbage     Class = "Garbage"
	NotAsked    Class = "NotAsked"
)

// Page is a page that is known for certain, whoever's site it is.
type Page string

// The known pages.
const (
	// PageNginxDefault is the page that Nginx comes with: "Welcome to nginx!".
	PageNginxDefault Page = "NginxDefault"
	// PagePlainToTLS is Nginx's answer to HTTP on a port for HTTPS.
	PagePlainToTLS Page = "PlainToTLS"
)

// HTTP is one request and how it ended.
type HTTP struct {
	URL    string `json:"url"`
	Addr   string `json:"addr,omitempty"`
	Class  Class  `json:"class"`
	Status int    `json:"status,omitempty"`
	// Server says who answered, in his own words; CDN names the content delivery network that did, where that shows.
	Server string `json:"server,omitempty"`
	CDN    string `json:"cdn,omitempty"`
	// Final is where redirects led to, if they led elsewhere. Hops are all the addresses that they named, in their order,
	// and Loop says that they lead in a circle.
	Final string   `json:"final,omitempty"`
	Hops  []string `json:"hops,omitempty"`
	Loop  bool     `json:"loop,omitempty"`
	// Page is a page that was recognised; Unmet says what the spec expects of an answer's body or headers and was not there.
	// Wants is the mark of all that the spec expects of it, at the application itself; empty where that is nothing.
	Page  Page          `json:"page,omitempty"`
	Unmet string        `json:"unmet,omitempty"`
	Wants string        `json:"wants,omitempty"`
	Took  time.Duration `json:"took"`
	Error string        `json:"error,omitempty"`
	// Certificate is the one that was shown; nil where none was.
	Certificate *Cert `json:"certificate,omitempty"`
}

// Good says that it is an answer as the spec expects it: one of these statuses, with what has to stand in it, and no page of
// somebody else.
func (h *HTTP) Good(statuses []int32) bool {
	return h != nil && h.Class == Answered && h.Unmet == "" && h.Page == "" && slices.Contains(statuses, int32(h.Status))
}

// Asked says that the question was put.
func (h *HTTP) Asked() bool { return h != nil && h.Class != NotAsked }

// Problem is what is wrong with a certificate.
type Problem string

// The problems.
const (
	Expired          Problem = "Expired"
	NotYetValid      Problem = "NotYetValid"
	WrongName        Problem = "WrongName"
	UnknownAuthority Problem = "UnknownAuthority"
	// IncompleteChain is an unknown authority where only the site's own certificate was sent.
	IncompleteChain Problem = "IncompleteChain"
	Invalid         Problem = "Invalid"
)

// Cert is a certificate that was shown.
type Cert struct {
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// Problem is what is wrong with it; empty where nothing is.
	Problem Problem `json:"problem,omitempty"`
	// Names are those that it is good for, five at most, and Issuer is who made it. They are told where something is wrong.
	Names  []string `json:"names,omitempty"`
	Issuer string   `json:"issuer,omitempty"`
	// File is the one that the proxy's configuration names for the site, where it was looked for: it has a problem, or soon
	// expires.
	File *CertFile `json:"file,omitempty"`
}

// Expiring tells whether it expires within so much time, and within the last third of its own: those that are made for a few
// days are renewed in their last third, too.
func (c *Cert) Expiring(now time.Time, within time.Duration) bool {
	left := c.NotAfter.Sub(now)
	return left < within && left < c.NotAfter.Sub(c.NotBefore)/3
}

// CertFile is a certificate on disk.
type CertFile struct {
	Path     string    `json:"path,omitempty"`
	NotAfter time.Time `json:"notAfter,omitzero"`
	// Newer says that it is another one than is shown, was made later, and is good now.
	Newer bool `json:"newer,omitempty"`
	// Error says why it could not be found or read.
	Error string `json:"error,omitempty"`
}

// Here says whether the site's proxy is on this machine.
type Here string

// The answers; empty where it cannot be told.
const (
	HereYes Here = "Yes"
	HereNo  Here = "No"
)

// Public is the site as the world sees it, and, where that failed, what is behind it, hop by hop.
type Public struct {
	HTTP
	// Proven says that this URL has answered as expected before.
	Proven bool `json:"proven,omitempty"`
	// Here says whether the site's proxy is on this machine. While the site answers it is found out once an hour.
	Here Here `json:"here,omitempty"`
	// Proxy is the same request, sent to this machine's own proxy; nil where it was not needed, and NotAsked where the
	// application does not answer or where the site's proxy is not known to be on this machine.
	Proxy *HTTP `json:"proxy,omitempty"`
	// App is the same question put to the application itself, with its public name; nil where nobody answered in public, or it
	// was not needed.
	App *HTTP `json:"app,omitempty"`
	// Names is what the URL's name stands for, Network whether this machine has one, Clock what is known of this machine's
	// clock, and Passes where the proxy's configuration leads the site's visitors. All are nil where they were not asked for.
	Names   *Names   `json:"names,omitempty"`
	Network *Network `json:"network,omitempty"`
	Clock   *Clock   `json:"clock,omitempty"`
	Passes  *Passes  `json:"passes,omitempty"`
}

// Lookup says how the question ended what a name stands for.
type Lookup string

// The outcomes of a lookup.
const (
	Resolved      Lookup = "Resolved"
	NotFound      Lookup = "NotFound"    // the name servers say that there is no such name, or no address of it
	ServerFails   Lookup = "ServerFails" // a name server answers, and with a failure of its own
	NoServer      Lookup = "NoServer"    // no name server can be reached
	LookupTooLate Lookup = "TooLate"     // none answers in time
	LookupUnknown Lookup = "Unknown"     // it could not be asked
)

// Names is what a name stands for.
type Names struct {
	Host    string `json:"host"`
	Outcome Lookup `json:"outcome"`
	// Addrs are the addresses, eight at most; Own says that one of them is this machine's.
	Addrs []string `json:"addrs,omitempty"`
	Own   bool     `json:"own,omitempty"`
	Error string   `json:"error,omitempty"`
}

// Network is whether this machine has a network at all. Nothing is sent to find that out.
type Network struct {
	// Known says that the kernel could be asked.
	Known bool `json:"known"`
	// Route says that a route leads out of this machine; Up are its interfaces that are up and have an address, eight at most.
	Route bool     `json:"route"`
	Up    []string `json:"up,omitempty"`
	Error string   `json:"error,omitempty"`
}

// Down says that this machine surely has no network.
func (n *Network) Down() bool { return n != nil && n.Known && (!n.Route || len(n.Up) == 0) }

// Clock is what is known of this machine's clock.
type Clock struct {
	// Compared says that an answer of another machine bore its time; Ahead is by how much ours is ahead of it.
	Compared bool          `json:"compared,omitempty"`
	Ahead    time.Duration `json:"ahead,omitempty"`
	// Known says that the kernel could be asked whether the clock is kept right by a time service; Kept is its answer.
	Known bool `json:"known,omitempty"`
	Kept  bool `json:"kept,omitempty"`
	// Before says that the clock stands before this program was built.
	Before bool `json:"before,omitempty"`
}

// Passes is where the proxy's configuration, as it is on disk, leads the site's visitors.
type Passes struct {
	// At is where that stands, as file:line; To are the addresses, four at most. Both are empty where no such place was found.
	At string   `json:"at,omitempty"`
	To []string `json:"to,omitempty"`
	// Ours says that one of them is the application's address and port.
	Ours bool `json:"ours,omitempty"`
	// Named says that the configuration speaks of the site's name.
	Named bool `json:"named,omitempty"`
	// Error says why it could not be read.
	Error string `json:"error,omitempty"`
}
