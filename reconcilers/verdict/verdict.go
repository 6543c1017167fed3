// Package verdict says who is to blame: a pure function over one ordered table of rules. The first rule that matches
// gives the verdict, and the last ones match everything, so that there always is one.
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

	// match says whether the rule applies, and in a sentence what it saw.
	match func(v *view) (message string, ok bool)
	// adjust changes what depends on the case.
	adjust func(v *view, out *v1alpha1.Verdict)
}

// Diagnose gives the verdict for a case. It is total and deterministic.
func Diagnose(c *pass.Case) v1alpha1.Verdict {
	v := look(c)
	for n := range rules {
		rule := &rules[n]
		message, ok := rule.match(v)
		if !ok {
			continue
		}
		out := v1alpha1.Verdict{
			Rule: rule.Name, Blame: rule.Blame, Reason: rule.Reason, Message: message, Remedy: rule.Remedy,
			Certain: rule.Certain, OwnFault: rule.Own, HoldLimit: metav1.Duration{Duration: rule.Limit}, ActAtLimit: rule.Act,
			LookAgain: metav1.Duration{Duration: rule.Look}, Next: expand(rule.Next, v),
			Down: v.asked && !v.running, Up: v.asked && v.running && v.state() != runtime.Stopping, Deploy: v.deployLately() != "",
		}
		_, out.Stranger = v.port.By(facts.Stranger)
		if rule.Remedy == v1alpha1.RemedyRecover {
			out.Plan = PlanPlain
			if rule.Plan != "" {
				out.Plan = rule.Plan
			}
		}
		if rule.adjust != nil {
			rule.adjust(v, &out)
		}
		if out.Remedy != v1alpha1.RemedyNone {
			out.Evidence = evidence(v)
		}
		return out
	}
	// The table's last rule matches everything; a test proves it.
	return v1alpha1.Verdict{Rule: "none", Blame: v1alpha1.BlameNone, Reason: "NoRule", Remedy: v1alpha1.RemedyHold}
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

// notRunning says that the process manager was asked, and that no process of the application runs.
func notRunning(v *view) bool {
	switch v.state() {
	case runtime.Stopped, runtime.Errored, runtime.Missing:
		return v.asked && !v.running
	}
	return false
}
