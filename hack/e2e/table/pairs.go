package table

import (
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Part is a fault that may be one of two at once: it lasts until it is cleared, and clearing it leaves nothing behind.
type Part struct {
	// Fault is that of hack/stack, with its argument.
	Fault string
	// Takes is what of the machine it takes for itself: of two faults that take the same only one can be there.
	Takes string
	// Outside says that the application is not to blame, and runs on.
	Outside bool
	// Lost are the bystanders whom it ends itself.
	Lost []string
	// Blame is whom evenkeel may blame for it. Shows is within which time an alert says so where it is alone, at the times of
	// a pair; 0 where it need not, because nobody notices it, or not so soon.
	Blame []v1alpha1.Blame
	Shows time.Duration
	// Blinds says that with it little can be told for certain of anything else, and may go on to be taken for well.
	Blinds bool
	// Last says that it can be lifted only where the application can be started: after the other.
	Last bool
}

// How soon a fault shows, at an interval of a second and a timeout of two.
const (
	soon   = 10 * time.Second // three failures in a row, be they timeouts, or two seconds without a process
	inTime = 25 * time.Second // lives have to come and go first
)

// Parts are in the order in which they can be injected: those first that want an application that answers.
func Parts() []Part {
	return []Part{
		{Fault: "loop", Takes: "process", Blame: app, Shows: soon},
		{Fault: "http-500", Takes: "process", Blame: app, Shows: soon},
		{Fault: "port-free", Takes: "process", Blame: app, Shows: soon},
		{Fault: "hang", Takes: "process", Blame: app, Shows: soon},
		{Fault: "port-orphan", Takes: "port", Blame: onPort, Shows: soon},
		{Fault: "port-stranger", Takes: "port", Blame: onPort, Shows: soon},
		{Fault: "port-stranger-same-user", Takes: "port", Blame: onPort, Shows: soon},
		{Fault: "crash-loop", Takes: "start", Blame: app, Shows: inTime},
		{Fault: "crash-loop silent", Takes: "start", Blame: app, Shows: inTime},
		{Fault: "die", Takes: "start", Blame: app, Shows: inTime},
		{Fault: "http-500-forever", Takes: "start", Blame: app, Shows: soon},
		{Fault: "page-broken", Takes: "folder", Blame: app, Shows: inTime},
		{Fault: "cache-corrupt", Takes: "folder", Blame: blames(v1alpha1.BlameApp, v1alpha1.BlameCache), Shows: inTime},
		{Fault: "build-missing", Takes: "folder", Blame: config, Shows: inTime},
		{Fault: "build-cut id", Takes: "folder", Blame: config, Shows: inTime},
		{Fault: "modules-missing", Takes: "folder", Blame: config, Shows: inTime},
		{Fault: "env-changed", Takes: "env", Outside: true, Blame: config},
		{Fault: "env-missing", Takes: "env", Outside: true, Blame: config, Shows: soon},
		{Fault: "pm2-stop", Takes: "manager", Blame: operator, Shows: soon},
		{Fault: "pm2-delete", Takes: "manager", Blame: blames(v1alpha1.BlameOperator, v1alpha1.BlameApp, v1alpha1.BlameRuntime), Shows: soon, Last: true},  // if somebody answers all the same
		{Fault: "pm2-daemon-hang", Takes: "manager", Outside: true, Blame: manages, Blinds: true},                                                          // whose port it is, say
		{Fault: "pm2-daemon-kill", Takes: "manager", Lost: []string{"pm2", "shop"}, Blame: blames(v1alpha1.BlameRuntime, v1alpha1.BlamePort), Shows: soon}, // what hangs outlives it
		{Fault: "memory-low", Takes: "memory", Outside: true, Blame: memory},
		{Fault: "disk-full", Takes: "disk", Outside: true, Blame: disk, Shows: soon},
		{Fault: "postgres-stop", Takes: "postgres", Outside: true, Lost: []string{"postgres"}, Blame: dataBlame},
		{Fault: "postgres-hang", Takes: "postgres", Outside: true, Blame: dataBlame},
		{Fault: "dns", Takes: "dns", Outside: true, Blame: dns},
		{Fault: "nginx-upstream", Takes: "nginx", Outside: true, Lost: []string{"nginx"}, Blame: proxy, Shows: soon},
		{Fault: "cert-expired", Takes: "nginx", Outside: true, Lost: []string{"nginx"}, Blame: cert, Shows: soon},
		{Fault: "cert-wrong", Takes: "nginx", Outside: true, Lost: []string{"nginx"}, Blame: cert, Shows: soon},
		{Fault: "nginx-stop", Takes: "nginx", Outside: true, Lost: []string{"nginx"}, Blame: proxy, Shows: soon},
	}
}

// Pair is two faults at once, in the order of their injection.
type Pair [2]Part

// Told says whom an alert of a pair must blame, and within which time: one of those whom its faults are blamed on, where at
// least one of them shows alone (0: nobody need be told). Which one of both it is, is for the table of rules to say.
func (p Pair) Told() (blame []v1alpha1.Blame, within time.Duration) {
	blame = slices.Concat(p[0].Blame, p[1].Blame)
	if p[0].Blinds || p[1].Blinds {
		return blame, 0
	}
	return blame, max(p[0].Shows, p[1].Shows)
}

// Lifted are its faults in the order in which they can be lifted: the one that came last first, unless that one has to wait.
func (p Pair) Lifted() Pair {
	if p[1].Last {
		return p
	}
	return Pair{p[1], p[0]}
}

// Pairs are all that are possible.
func Pairs() (all []Pair) {
	parts := Parts()
	for n, a := range parts {
		for _, b := range parts[n+1:] {
			if a.Takes != b.Takes {
				all = append(all, Pair{a, b})
			}
		}
	}
	return all
}
