// Package verdict says who is to blame: a pure function over one ordered table of rules (table.go). The first rule whose
// conditions all hold gives the verdict, and the last one needs nothing, so that there always is one.
//
// To add a rule: write it in the file of its layer (rules_*.go), as a Rule whose When lists small conditions: first those
// that say what the rule is about, then those that say what must not stand against it. Take the conditions that are there
// (condition.go, and the head of each layer's file). A new one needs plain words for both cases, since they are what
// `evenkeel why` says of a rule that was ruled out. Put the rule at its place in table.go, write a case in a test, let hack/sim
// make what it looks at, as well as the random cases (random_test.go; a test fails where none reaches a rule), and run
// hack/generate.
package verdict

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// The plans that a verdict can ask for.
const (
	PlanPlain = "Plain"
	PlanClean = "Clean"
)

const (
	holdLimit = 30 * time.Minute
	// settleTime is how long a process that is gone must stay gone before PM2 is taken not to bring it back: its own
	// restarts pass through "stopped". What evenkeel itself keeps is not about to come back unless it says so.
	settleTime = 2 * time.Second
	// endedTime is the same for a process manager that has ended in good order: it may be on its way to a newer version of
	// itself, or the machine has just begun.
	endedTime = 10 * time.Second
	// crashLives and crashExits make a crash loop: so many lives without one good answer, or so many unplanned exits
	// within ten minutes.
	crashLives = 3
	crashExits = 5
	// unknownTime is how long the leading check may go unasked.
	unknownTime = 10 * time.Minute
)

// Rule is one row of the table.
type Rule struct {
	// Name names the rule.
	Name string
	// Sees says in words what it needs to see.
	Sees string
	// Blame, Reason and Remedy are the verdict's.
	Blame  v1alpha1.Blame
	Reason string
	Remedy v1alpha1.Remedy
	// Plan to begin with, where the remedy is Recover. Default Plain.
	Plan string
	// Limit of a hold; 0 means none. AtLimit says what happens at it, in words; Act, that one plain recovery is tried.
	Limit   time.Duration
	AtLimit string
	Act     bool
	// Certain says that what it sees needs no confirmation.
	Certain bool
	// Own says that it is the application's own failure.
	Own bool
	// Look is when to look again, if sooner than usual.
	Look time.Duration
	// Next says where to look and what to do.
	Next []string

	// When lists what must hold, all of it: first what the rule is about, then what must not stand against it.
	When []condition
	// says tells in a sentence what it saw. It is asked only where all conditions hold.
	says func(v *view) string
	// adjust changes what depends on the case.
	adjust func(v *view, out *v1alpha1.Verdict)
}

// Needs lists in plain words what must hold for the rule to apply.
func (r *Rule) Needs() []string {
	var list []string
	for n := range r.When {
		list = append(list, r.When[n].yes)
	}
	return list
}

// against is the place of the first condition that does not hold; all of them do where it is their number.
func (r *Rule) against(v *view) int {
	for n := range r.When {
		if !r.When[n].met(v) {
			return n
		}
	}
	return len(r.When)
}

func (r *Rule) applies(v *view) bool { return r.against(v) == len(r.When) }

// Diagnose gives the verdict for a case. It is total and deterministic.
func Diagnose(c *pass.Case) v1alpha1.Verdict {
	v := look(c)
	for n := range rules {
		if rule := &rules[n]; rule.applies(v) {
			return rule.verdict(v)
		}
	}
	// The table's last rule needs nothing; a test proves it.
	return v1alpha1.Verdict{Rule: "none", Blame: v1alpha1.BlameNone, Reason: "NoRule", Remedy: v1alpha1.RemedyHold}
}

func (r *Rule) verdict(v *view) v1alpha1.Verdict {
	out := v1alpha1.Verdict{
		Rule: r.Name, Blame: r.Blame, Reason: r.Reason, Message: r.says(v), Remedy: r.Remedy,
		Certain: r.Certain, OwnFault: r.Own, HoldLimit: metav1.Duration{Duration: r.Limit}, ActAtLimit: r.Act,
		LookAgain: metav1.Duration{Duration: r.Look}, Next: expand(r.Next, v),
		Down: v.asked && !v.running, Up: v.running && v.state() != runtime.Stopping, Deploy: v.deployLately() != "",
	}
	_, out.Stranger = v.port.By(facts.Stranger)
	if r.Remedy == v1alpha1.RemedyRecover {
		out.Plan = PlanPlain
		if r.Plan != "" {
			out.Plan = r.Plan
		}
	}
	if r.Remedy == v1alpha1.RemedyHold {
		out.AtLimit = r.AtLimit
	}
	if r.adjust != nil {
		r.adjust(v, &out)
	}
	if out.ActAtLimit && out.Blame != v1alpha1.BlameOperator && v.stopRespected() {
		out.ActAtLimit, out.AtLimit = false, "the application was stopped by hand: nothing, until that is respectStop ago"
	}
	if out.Remedy != v1alpha1.RemedyNone {
		out.Evidence = evidence(v)
	}
	return out
}

// Considered is a rule that was asked before the one that gave the verdict, and what ruled it out.
type Considered struct {
	// Rule names it; Blame is whom it would have blamed.
	Rule  string         `json:"rule"`
	Blame v1alpha1.Blame `json:"blame"`
	// Needed is the first of its conditions that did not hold, in plain words, and Found what was so instead.
	Needed string `json:"needed"`
	Found  string `json:"found"`
	// Held counts its conditions that held before that one. Where there are any, what the rule is about was seen.
	Held int `json:"held"`
}

// Consider lists the rules that were asked before the one that gives the verdict of a case, in order, each with the first
// condition that ruled it out. Like Diagnose it is total and deterministic.
func Consider(c *pass.Case) []Considered {
	v := look(c)
	var list []Considered
	for n := range rules {
		rule := &rules[n]
		held := rule.against(v)
		if held == len(rule.When) {
			break
		}
		missing := &rule.When[held]
		list = append(list, Considered{Rule: rule.Name, Blame: rule.Blame, Needed: missing.yes, Found: missing.found(v), Held: held})
	}
	return list
}

// evidence lists what each check said, those that do not hold first.
func evidence(v *view) []string {
	var wrong, right []string
	for _, r := range v.latest.Results {
		line := r.Check + "=" + string(r.Status)
		if r.Message != "" {
			line += ": " + r.Message
		}
		if r.Status == metav1.ConditionTrue {
			right = append(right, line)
		} else {
			wrong = append(wrong, line)
		}
	}
	return append(wrong, right...)
}
