// Package table is the one list of what goes wrong on a machine with a web application, and of what must follow: whom
// evenkeel blames, what it does, who must not notice. The end-to-end tests (package e2e) run it on the real stack, and
// docs/failures.md is made from it.
package table

import (
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Action is what evenkeel does about a failure.
type Action string

// The actions.
const (
	// Nothing: it costs nothing, and nobody is told.
	Nothing Action = "nothing"
	// Hold: it is told once, nothing is done, and its end is told once.
	Hold Action = "hold"
	// Plain: one plain recovery mends it.
	Plain Action = "plain recovery"
	// Clean: one recovery mends it, which clears the caches.
	Clean Action = "clean recovery"
	// HoldThen: it is held for another's fault. That is over, the application is still unwell, and one plain recovery mends it.
	HoldThen Action = "hold, then one plain recovery"
	// Respect: somebody wanted it so. It is held for a time, and then one plain recovery is made.
	Respect Action = "respected, then recovered"
	// GiveUp: the attempts that there are, then Failed until an operator resets it.
	GiveUp Action = "attempts, then Failed"
)

// Fate is what becomes of the application's process.
type Fate string

// The fates. While a failure lasts and it is held, a process that is Kept is the same at every look.
const (
	Kept     Fate = "kept"
	Replaced Fate = "replaced"
)

// Lift is how a failure ends.
type Lift string

// The ways to end.
const (
	// Cleared: the cause is taken away (hack/stack fault clear) after it was watched for long enough.
	Cleared Lift = "the cause goes away"
	// Recovering: the cause is taken away when the recovery has begun.
	Recovering Lift = "the cause goes away during the recovery"
	// Itself: nothing is left to take away, because it passes, or the recovery has mended it.
	Itself Lift = "by itself"
)

// Row is one failure and what must follow. Where Case is set, a test of its own breaks things and says how long it takes; whom it
// blames, what is done and told and what becomes of the process is held against the row there too. Where Why is set, it cannot
// be injected on the stack.
type Row struct {
	// Name is the test's: TestE2E/<Name>.
	Name string
	// Failure is what goes wrong, in words.
	Failure string
	// Before are faults of hack/stack, each with its arguments, that are there before evenkeel looks: how the application is
	// set up. Faults are those that break it, in their order.
	Before, Faults []string
	// Edit is saved into the desired file as the fault; its paths are those of Spec.
	Edit map[string]any
	// Spec changes the reference document: values by their path, such as spec.interval.
	Spec map[string]any
	// Unseen injects while evenkeel is stopped, where a fault takes its time and must not be met half-way.
	Unseen bool
	// Grown waits for the normal size of the application to be known before.
	Grown bool

	// Action, Blame and Rules are the verdict; any of the rules may be met, and the first that is confirmed must blame one of
	// Blame. All are empty where the action is Nothing.
	Action Action
	Blame  []v1alpha1.Blame
	Rules  []string
	// App is what becomes of its process.
	App Fate
	// Lost are the bystanders whom the fault itself ends: shop, stray, neighbour, nginx, postgres, pm2.
	Lost []string
	// Lift is how it ends. Default Cleared. Starts says that evenkeel may have to start the application after it was lifted,
	// once, because its process manager has given up in the meantime.
	Lift   Lift
	Starts bool
	// Alerts are told, each as its kind and blame. Default: what follows from Action and the first of Blame.
	Alerts []string
	// MayHold are those for whom it may be held for a while, and told so, as the moment has it. All else of the row stands.
	MayHold []v1alpha1.Blame
	// Says are words of `evenkeel why` while it lasts.
	Says []string

	// Confirmed is within which time from the injection the verdict stands; Healthy, from its end on. Both without what a busy
	// machine adds. Default 12 s and 20 s.
	Confirmed, Healthy time.Duration
	// Passes is how many passes it is watched for. Default 6. Long is thirty passes of a second, and three cooldowns of 10 s.
	Passes int
	Long   bool
	// Seconds is what the test takes, the reset of the stack included. Always runs it whatever the seed draws.
	Seconds int
	Always  bool
	// Check names a further check of package e2e, which is made before the cause is taken away.
	Check string

	// Case is the test that proves it, where that is one of its own.
	Case string
	// Why says why it cannot be injected; Proof is the test over recorded facts, as its package and name.
	Why, Proof string
}

// Injected says that the row is run from this table.
func (r *Row) Injected() bool { return r.Case == "" && r.Why == "" }

// Group is a part of the table.
type Group struct {
	Title string
	Rows  []Row
}

// Groups is the table.
func Groups() []Group {
	return []Group{
		{"The application", application}, {"Its port", port}, {"Its folder and its settings", folder},
		{"Its process manager", slices.Concat(manager, older())}, {"The machine", machine}, {"The way to it", web}, {"Its database", database},
	}
}

// Rows are those of all groups.
func Rows() (all []Row) {
	for _, g := range Groups() {
		all = append(all, g.Rows...)
	}
	return all
}

// ProvenBy are the rows that a test proves: that of its name, and those whose Case it is.
func ProvenBy(test string) (rows []Row) {
	for _, r := range Rows() {
		if r.Case == test || r.Case == "" && r.Why == "" && r.Name == test {
			rows = append(rows, r)
		}
	}
	return rows
}

// Named is the row of a name.
func Named(name string) (Row, bool) {
	all := Rows()
	if n := slices.IndexFunc(all, func(r Row) bool { return r.Name == name }); n >= 0 {
		return all[n], true
	}
	return Row{}, false
}

// Recoveries are how many there must be: at least, and at most.
func (r *Row) Recoveries() (least, most int) {
	switch r.Action {
	case Nothing:
		return 0, 0
	case Hold:
		if r.Starts {
			return 0, 1
		}
		return 0, 0
	case GiveUp:
		return 3, 3
	}
	return 1, 1
}

// Told are the alerts that must come, where evenkeel need not start the application after a hold.
func (r *Row) Told() []string {
	if r.Alerts != nil || len(r.Blame) == 0 {
		return r.Alerts
	}
	b := string(r.Blame[0])
	switch r.Action {
	case GiveUp:
		return []string{"Degraded " + b, "Failed " + b, "Resolved " + b}
	case HoldThen:
		return []string{"Degraded " + b, "Degraded App", "Resolved " + b}
	}
	return []string{"Degraded " + b, "Resolved " + b}
}

// Watched is how many passes it is watched for.
func (r *Row) Watched() int {
	switch {
	case r.Long:
		return 30
	case r.Passes > 0:
		return r.Passes
	}
	return 6
}

// ConfirmedWithin and HealthyWithin are the limits, with their defaults.
func (r *Row) ConfirmedWithin() time.Duration { return or(r.Confirmed, 12*time.Second) }

// HealthyWithin counts from the end of the cause, or of the recovery.
func (r *Row) HealthyWithin() time.Duration { return or(r.Healthy, 20*time.Second) }

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

func blames(b ...v1alpha1.Blame) []v1alpha1.Blame { return slices.Clone(b) }
