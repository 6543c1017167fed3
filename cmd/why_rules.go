package cmd

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/verdict"
)

// rulesWidth is how wide the table of rules is at most, in columns.
const rulesWidth = 100

// printRules prints the table of rules, as -o wants it.
func (g *globals) printRules(needs bool) error {
	if g.Output != "" {
		return g.printObjects(rulesObject(verdict.Rules()))
	}
	_, err := fmt.Fprint(g.Stdout, rulesText(verdict.Rules(), needs, styleFor(g.Stdout)))
	return err
}

// follows says what follows from a rule.
func follows(r *verdict.Rule) string {
	text := strings.ToLower(string(r.Remedy))
	switch {
	case r.Remedy == v1alpha1.RemedyNone:
		return "nothing is to be done"
	case r.Plan != "":
		text += " (" + r.Plan + ")"
	case r.Limit > 0:
		text += " for " + human(r.Limit)
	}
	if r.Certain {
		text += ", at once"
	}
	return text
}

// rulesText is the table of rules.
func rulesText(rules []verdict.Rule, needs bool, s style) string {
	var b strings.Builder
	b.WriteString("The rules are asked in this order; the first one that applies gives the verdict.\n" +
		"Blame: reason, and what follows. \"At once\" needs no confirmation by further looks.\n\n")
	for n := range rules {
		r := &rules[n]
		fmt.Fprintf(&b, "%2d  %s %-34s %s\n", n+1, s.bold(fmt.Sprintf("%-24s", r.Name)), string(r.Blame)+": "+r.Reason, follows(r))
		b.WriteString(wrapped("      ", r.Sees))
		switch {
		case strings.HasPrefix(r.AtLimit, "no limit"):
			b.WriteString(wrapped("      ", r.AtLimit))
		case r.AtLimit != "":
			b.WriteString(wrapped("      at its limit: ", r.AtLimit))
		}
		if needs {
			for _, need := range r.Needs() {
				b.WriteString(wrapped("      needs: ", need))
			}
		}
	}
	return b.String()
}

// wrapped breaks a sentence into lines of at most rulesWidth columns; the first begins with head, the others are indented as
// far.
func wrapped(head, text string) string {
	var b strings.Builder
	line, fresh := head, true
	for word := range strings.FieldsSeq(text) {
		if !fresh && len(line)+1+len(word) > rulesWidth {
			b.WriteString(line + "\n")
			line, fresh = strings.Repeat(" ", len(head)), true
		}
		if !fresh {
			line += " "
		}
		line, fresh = line+word, false
	}
	return b.String() + line + "\n"
}

// ruleObject is a rule as `why --rules -o json` prints it.
type ruleObject struct {
	Name    string          `json:"name"`
	Sees    string          `json:"sees"`
	Needs   []string        `json:"needs,omitempty"`
	Blame   v1alpha1.Blame  `json:"blame"`
	Reason  string          `json:"reason"`
	Remedy  v1alpha1.Remedy `json:"remedy"`
	Plan    string          `json:"plan,omitempty"`
	Limit   string          `json:"limit,omitempty"`
	AtLimit string          `json:"atLimit,omitempty"`
	Certain bool            `json:"certain,omitempty"`
	Next    []string        `json:"next,omitempty"`
}

// ruleList is the table as an object.
type ruleList struct {
	metav1.TypeMeta `json:",inline"`
	Items           []ruleObject `json:"items"`
}

func rulesObject(rules []verdict.Rule) *ruleList {
	list := &ruleList{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion, Kind: "RuleList"}}
	for n := range rules {
		r := &rules[n]
		o := ruleObject{
			Name: r.Name, Sees: r.Sees, Needs: r.Needs(), Blame: r.Blame, Reason: r.Reason, Remedy: r.Remedy, Plan: r.Plan,
			AtLimit: r.AtLimit, Certain: r.Certain, Next: r.Next,
		}
		if r.Limit > 0 {
			o.Limit = r.Limit.Round(time.Second).String()
		}
		list.Items = append(list.Items, o)
	}
	return list
}
