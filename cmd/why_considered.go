package cmd

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/verdict"
)

// pastCase is the case of the last pass, from what is kept on disk: the looks, the record and the spec. There is none where
// one of them lacks.
func (v *view) pastCase() (*pass.Case, bool) {
	if v.App == nil || v.Pass == nil || v.Status.Phase == "" {
		return nil, false
	}
	recent := append(append([]v1alpha1.Observation(nil), v.Before...), *v.Pass)
	return &pass.Case{App: v.App, Record: v.Status, Recent: recent, Now: v.Pass.At.Add(v.Pass.Took.Duration)}, true
}

// considered are the rules that were asked before the one that gave the verdict, worked out anew from what is kept: the table
// is a pure function. rule is the one that applies.
func (v *view) considered() (list []verdict.Considered, rule string) {
	c, ok := v.pastCase()
	if !ok {
		return nil, ""
	}
	return verdict.Consider(c), verdict.Diagnose(c).Rule
}

// mostNear is how many rules are told of that came near, and mostTold how many in all.
const (
	mostNear = 3
	mostTold = 5
)

// near picks the rules that are told of: those that came nearest (what they are about was seen, and something else ruled them
// out), and the first one for each of some others who could have been blamed.
func near(list []verdict.Considered) []verdict.Considered {
	chosen := make([]bool, len(list))
	blamed := map[v1alpha1.Blame]bool{v1alpha1.BlameNone: true}
	more := mostTold
	for ; more > mostTold-mostNear; more-- {
		best := -1
		for n := range list {
			if !chosen[n] && list[n].Held > 0 && (best < 0 || list[n].Held >= list[best].Held) { // the later, the nearer
				best = n
			}
		}
		if best < 0 {
			break
		}
		chosen[best], blamed[list[best].Blame] = true, true
	}
	var out []verdict.Considered
	for n, c := range list {
		if !chosen[n] && !blamed[c.Blame] && more > 0 {
			chosen[n], blamed[c.Blame] = true, true
			more--
		}
		if chosen[n] {
			out = append(out, c)
		}
	}
	return out
}

// consideredText tells what else was considered.
func consideredText(v *view, s style, all bool) string {
	list, rule := v.considered()
	told := list
	if !all {
		told = near(list)
	}
	rows := make([][]cell, 0, len(told))
	for _, c := range told {
		rows = append(rows, []cell{{c.Rule, nil}, {string(c.Blame), s.dim}, {plain(c.Found), nil}})
	}
	text := table("  ", rows)
	if far := len(list) - len(rows); far > 0 {
		text += s.dim(fmt.Sprintf("  and %s that were farther off (evenkeel why %s --all)", count(far, "more rule"), v.Name)) + "\n"
	}
	if given := v.Status.Verdict; given != nil && rule != "" && rule != given.Rule {
		text += fmt.Sprintf("  by the last pass, which is newer than that verdict, rule %s applies\n", rule)
	}
	return text
}

// explanation is what `why -o json` and `-o yaml` print.
type explanation struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        struct {
		Name string `json:"name"`
	} `json:"metadata"`
	// Well is what the exit status says too; Supervised whether a supervisor runs; Paused whether it may act by itself.
	Well       bool `json:"well"`
	Supervised bool `json:"supervised"`
	Paused     bool `json:"paused,omitempty"`

	Phase   v1alpha1.Phase `json:"phase,omitempty"`
	Since   metav1.Time    `json:"since,omitzero"`
	Message string         `json:"message,omitempty"`

	// Verdict is absent where everything holds. Considered are the rules that were asked before its own; Held counts their
	// conditions that held, so that those that came near have more than none.
	Verdict    *v1alpha1.Verdict     `json:"verdict,omitempty"`
	Considered []verdict.Considered  `json:"considered,omitempty"`
	LastPass   *v1alpha1.Observation `json:"lastPass,omitempty"`

	// Incident, Recovery and Events are what was done.
	Incident *v1alpha1.Incident `json:"incident,omitempty"`
	Recovery *v1alpha1.Recovery `json:"recovery,omitempty"`
	Events   []v1alpha1.Event   `json:"events,omitempty"`

	// Hold, Blocked and CooldownUntil are what stands against the next action.
	Hold          *v1alpha1.Hold    `json:"hold,omitempty"`
	Blocked       *v1alpha1.Blocked `json:"blocked,omitempty"`
	CooldownUntil *metav1.Time      `json:"cooldownUntil,omitempty"`

	// Next says what to do; Troubles what could not be read.
	Next     []string `json:"next,omitempty"`
	Troubles []string `json:"troubles,omitempty"`
}

func explained(v *view, events []v1alpha1.Event, now v1alpha1.Instant) *explanation {
	st := &v.Status
	e := &explanation{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion, Kind: "Explanation"},
		Well:     v.well(now), Supervised: v.Holder != nil, Paused: v.paused(now),
		Phase: st.Phase, Since: st.Since, Message: st.Message, Verdict: st.Verdict, LastPass: v.Pass,
		Incident: st.Incident, Recovery: st.Recovery, Events: events,
		Hold: st.Hold, Blocked: st.Blocked, CooldownUntil: st.CooldownUntil, Next: nextLines(v), Troubles: v.Troubles,
	}
	e.Metadata.Name = v.Name
	e.Considered, _ = v.considered()
	return e
}
