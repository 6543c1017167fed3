package v1alpha1

// Learned is what the domain has to remember from pass to pass. The engine keeps it and does not look into it.
type Learned struct {
	// Marks name the incarnations of the application that its runtime is known to have made, newest last, 16 at most.
	// +listType=atomic
	Marks []string `json:"marks,omitempty"`
	// MarksOf is the name by which the runtime knows the application that Marks are of; MarksIn is the runtime's home that they
	// were given in. Under another name, or in another home, they prove nothing.
	MarksOf string `json:"marksOf,omitempty"`
	MarksIn string `json:"marksIn,omitempty"`
	// BuildSeen says that a finished build was once seen where one is looked for.
	BuildSeen bool `json:"buildSeen,omitempty"`
	// Incarnation is the process that was last seen as the application's, as "pid:start ticks".
	Incarnation string `json:"incarnation,omitempty"`
	// Answered is the process, as "pid:start ticks", that has given a good answer: its start-up grace is over.
	Answered string `json:"answered,omitempty"`
	// Listened is where the application was last seen to listen as spec.port says.
	Listened *Listened `json:"listened,omitempty"`
	// LocalMet is the mark of the local check's path and expectations that the application was seen to meet: a hash with a key
	// that lies elsewhere, since what is expected may be nobody's affair.
	LocalMet string `json:"localMet,omitempty"`
	// Baseline is the application's normal memory.
	Baseline *Baseline `json:"baseline,omitempty"`
	// LowMemorySince is since when available memory has been low without a break.
	LowMemorySince *Instant `json:"lowMemorySince,omitempty"`
	// PublicGreenURL is the mark of the public URL that was seen to answer as expected: a hash with a key that lies in another
	// file, since an address may hold a password.
	PublicGreenURL string `json:"publicGreenURL,omitempty"`
	// ProxyHereURL is the mark of the public URL whose proxy was found to be on this machine while it answered as expected: if nothing
	// listens on its port any more, it is the proxy that is gone.
	ProxyHereURL string `json:"proxyHereURL,omitempty"`
	// Fault is a fault that no start mends until its cause changes.
	Fault *Fault `json:"fault,omitempty"`
}

// Fault is what the last start failed of, where the next one would fail of the same.
type Fault struct {
	// Sign is what told of it: a known sign in the application's log, or Environment where required variables are missing.
	Sign string `json:"sign"`
	// Cause is the signature, at that start, of what a start reads: names, sizes and times of files, never what is in them.
	Cause string `json:"cause"`
	// Start tells that start from others.
	Start string `json:"start"`
}

// Listened is a life of the application that has listened on its port.
type Listened struct {
	// Port is the port, and Incarnation the process, as "pid:start ticks".
	Port        int32  `json:"port"`
	Incarnation string `json:"incarnation"`
	// Beside are the other ports that it has opened in that life, for its metrics say, 8 at most: that a later life opens one of
	// them does not mean that its own is another now.
	// +listType=atomic
	Beside []int32 `json:"beside,omitempty"`
}

// Baseline is the normal memory of one incarnation of the application.
type Baseline struct {
	// Incarnation is the process, as "pid:start ticks".
	Incarnation string `json:"incarnation"`
	// Bytes is the memory of its whole tree.
	Bytes int64 `json:"bytes"`
	// Rest is what everything else on the machine used at that time, in bytes: all that was not available, without its tree; or less,
	// where it has shrunk by minAvailable since. 0 where memory was low then, so that it says nothing of what is normal.
	Rest int64 `json:"rest,omitempty"`
	// Settled says that it was taken at baselineAfter, and not at the first good answer.
	Settled bool `json:"settled,omitempty"`
}
