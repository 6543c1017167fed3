package verdict

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// condition is one thing that a rule needs: small, with a name, for every rule that needs the same. It looks at nothing but
// the view, and says something sensible of every one, also where a fact is missing.
type condition struct {
	// yes says in plain words what is so where it holds, and no what is so where it does not.
	yes, no string
	// holds tells whether it does. The zero condition always does.
	holds func(v *view) bool
	// seen adds what was seen, where there is more to say than yes or no.
	seen func(v *view) string
}

// not is the opposite of a condition.
func not(c condition) condition {
	return condition{yes: c.no, no: c.yes, seen: c.seen, holds: func(v *view) bool { return !c.met(v) }}
}

func (c *condition) met(v *view) bool { return c.holds == nil || c.holds(v) }

// found says what is so, in plain words.
func (c *condition) found(v *view) string {
	words := c.no
	if c.met(v) {
		words = c.yes
	}
	if c.seen != nil {
		if seen := c.seen(v); seen != "" {
			words += ": " + seen
		}
	}
	return words
}

// What more than one layer asks. What only one asks stands beside its rules.
var (
	answers = condition{
		yes: "something gives good answers", no: "nothing gives good answers",
		holds: (*view).answers,
	}
	leadFails = condition{
		yes: "the leading check fails", no: "the leading check does not fail",
		holds: func(v *view) bool { return v.lead.Status == metav1.ConditionFalse }, seen: func(v *view) string { return v.lead.Message },
	}
	leadUnknown = condition{
		yes: "the leading check could not be asked", no: "the leading check could be asked",
		holds: func(v *view) bool { return v.lead.Status == metav1.ConditionUnknown }, seen: func(v *view) string { return v.lead.Message },
	}
	managerAsked = condition{
		yes: "the process manager could be asked", no: "the process manager could not be asked",
		holds: func(v *view) bool { return v.asked },
	}
	running = condition{
		yes: "its process runs", no: "none of its processes is known to run",
		holds: func(v *view) bool { return v.running },
	}
	noProcess = condition{
		yes: "the process manager says that it does not run", no: "the process manager does not say that it is not running",
		holds: notRunning, seen: func(v *view) string { return v.process.State },
	}
	stoppedByHand = condition{
		yes: "somebody had it stopped", no: "nobody is known to have had it stopped",
		holds: (*view).stopped,
	}
	settled = condition{
		yes: "it has been so for the time in which it might have come back", no: "it has been so for a moment only",
		holds: func(v *view) bool { return v.unmoved() >= v.settle() },
		seen:  func(v *view) string { return v.unmoved().String() },
	}
)

// fails is a check that is False.
func fails(check string) condition {
	return condition{
		yes: "the check " + check + " fails", no: "the check " + check + " does not fail",
		holds: func(v *view) bool { return v.is(check, metav1.ConditionFalse) },
		seen:  func(v *view) string { return v.message(check) },
	}
}

// logNames is a sign that stands in the application's fresh log.
func logNames(s facts.Sign, what string) condition {
	return condition{
		yes: "its log names " + what, no: "its log does not name " + what,
		holds: func(v *view) bool { return v.sign(s) },
	}
}

// localEnds is how the request on this machine ended.
func localEnds(class facts.Class, yes, no string) condition {
	return condition{
		yes: yes, no: no,
		holds: func(v *view) bool { return v.local.Class == class }, seen: func(v *view) string { return string(v.local.Class) },
	}
}

// listenedBy is a listener of that kind on the application's port.
func listenedBy(whose facts.Whose, yes, no string) condition {
	return condition{
		yes: yes, no: no,
		holds: func(v *view) bool { _, ok := v.port.By(whose); return ok },
		seen: func(v *view) string {
			if l, ok := v.port.By(whose); ok {
				return describe(l)
			}
			return ""
		},
	}
}

// stateIs is a word of the process manager.
func stateIs(words string, states ...runtime.State) condition {
	return condition{
		yes: "the process manager says that it is " + words, no: "the process manager does not say that it is " + words,
		holds: func(v *view) bool {
			for _, s := range states {
				if v.state() == s {
					return true
				}
			}
			return false
		},
		seen: func(v *view) string { return v.process.State },
	}
}
