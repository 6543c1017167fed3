package verdict

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// The first rule, what could not be asked, and the last two, which take whatever is left.

var (
	allHolds = condition{
		yes: "everything holds", no: "something does not hold",
		holds: func(v *view) bool { return v.latest.Holds() },
	}
	leadUnknownLong = condition{
		yes: "the leading check has not been asked for ten minutes", no: "the leading check was asked within ten minutes",
		holds: func(v *view) bool {
			for _, u := range v.c.Record.Unknown {
				if u.Check == v.lead.Check && v.c.Now.Since(u.Since) >= unknownTime {
					return true
				}
			}
			return false
		},
	}
)

// blameWhoCouldNotBeAsked blames the process manager where it was its answer that lacked, and not this machine.
func blameWhoCouldNotBeAsked(v *view, out *v1alpha1.Verdict) {
	if !v.asked {
		out.Blame = v1alpha1.BlameRuntime
	}
}

var ruleHealthy = Rule{
	Name: "healthy", Sees: "the leading check is True and no required check is False",
	Blame: v1alpha1.BlameNone, Reason: "AllHold", Remedy: v1alpha1.RemedyNone,
	When: []condition{allHolds},
	says: func(*view) string { return "everything holds" },
}

var ruleCannotSee = Rule{
	Name: "cannot-see", Sees: "the process manager could not be asked, and the leading check is False",
	Blame: v1alpha1.BlameHost, Reason: "CannotSee", Remedy: v1alpha1.RemedyHold,
	Limit: unknownTime, AtLimit: "one plain recovery", Act: true,
	Next: []string{"see whether this machine is starved: uptime; free -m; ps -eo pid,pcpu,rss,comm --sort=-pcpu | head", "see what keeps it: {list}"},
	When: []condition{not(managerAsked), leadFails},
	says: func(v *view) string {
		why := v.message(v1alpha1.CheckProcess)
		if why == "" {
			why = v.manager() + " was not asked"
		}
		return why + ", so that it is not known what is wrong: " + v.lead.Message
	},
	adjust: func(v *view, out *v1alpha1.Verdict) {
		if v.local.Class != facts.Timeout {
			out.Blame = v1alpha1.BlameRuntime
		}
	},
}

var ruleLeadUnknownLong = Rule{
	Name: "lead-unknown-long", Sees: "whether the application is well could not be asked for ten minutes",
	Blame: v1alpha1.BlameHost, Reason: "CannotAsk", Remedy: v1alpha1.RemedyHold, Certain: true,
	AtLimit: "no limit: nobody acts on what he cannot see; the alert is repeated every hour",
	Next:    []string{"see what is wrong with this machine: uptime; free -m; df -h; dmesg | tail", "see whether the process manager answers: {list}"},
	When:    []condition{leadUnknownLong},
	says: func(v *view) string {
		return "it could not be asked for ten minutes whether the application is well: " + v.lead.Message
	},
	adjust: blameWhoCouldNotBeAsked,
}

var ruleLeadUnknown = Rule{
	Name: "lead-unknown", Sees: "whether the application is well could not be asked",
	Blame: v1alpha1.BlameHost, Reason: "CannotAsk", Remedy: v1alpha1.RemedyWait,
	When: []condition{leadUnknown},
	says: func(v *view) string {
		return "it could not be asked whether the application is well: " + v.lead.Message
	},
	adjust: blameWhoCouldNotBeAsked,
}

var ruleLocalFails = Rule{
	Name: "local-fails", Sees: "the leading check is False, for whatever reason",
	Blame: v1alpha1.BlameApp, Reason: "NoAnswer", Remedy: v1alpha1.RemedyRecover, Own: true,
	Next: []string{"see the log: {log}"},
	When: []condition{leadFails},
	says: func(v *view) string { return "the application is not well: " + v.lead.Message },
}

var ruleAnythingElse = Rule{
	Name: "anything-else", Sees: "something else does not hold",
	Blame: v1alpha1.BlameNone, Reason: "DoesNotHold", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application answers",
	says: func(v *view) string {
		var list []string
		for _, r := range v.latest.Results {
			if r.Required && r.Status != metav1.ConditionTrue {
				list = append(list, r.Check+": "+r.Message)
			}
		}
		return "does not hold: " + strings.Join(list, "; ")
	},
}
