package verdict

import (
	"testing"

	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestWhatWasConsidered is every rule before the one that applies, each with the first condition that ruled it out.
func TestWhatWasConsidered(t *testing.T) {
	hung := well()
	hung.local, hung.status["local"] = facts.HTTP{Class: facts.Timeout}, no
	stopped := well()
	stopped.gone(runtime.Stopped)
	stopped.port.Listeners = []facts.Listener{{Whose: facts.Stranger, PID: 7, User: "root", Command: "nc -l 3003"}}
	for _, c := range []*pass.Case{twice(well()), twice(hung), twice(stopped)} {
		v, list := Diagnose(c), Consider(c)
		for n, considered := range list {
			if considered.Rule != rules[n].Name || considered.Blame != rules[n].Blame {
				t.Errorf("%s: %d is %s, want %s", v.Rule, n, considered.Rule, rules[n].Name)
			}
			if held := considered.Held; held >= len(rules[n].When) || considered.Needed != rules[n].Needs()[held] || considered.Found == considered.Needed {
				t.Errorf("%s: %+v", v.Rule, considered)
			}
		}
		if after := rules[len(list)].Name; after != v.Rule {
			t.Errorf("%s gave the verdict, and the list ends before %s", v.Rule, after)
		}
	}
	list := Consider(twice(hung))
	if got := list[2]; got.Held != 0 || got.Needed != "a stranger listens on its port" || got.Found != "no stranger listens on its port" {
		t.Errorf("%+v", got)
	}
	for _, got := range list {
		if got.Rule == "host-starved" && (got.Held != 3 || got.Needed != starvedByOthers.yes) {
			t.Errorf("%+v", got)
		}
	}
	list = Consider(twice(well()))
	if len(list) != 0 {
		t.Errorf("something was considered before health: %+v", list)
	}
}

// TestConditionsHaveTheirWords: a rule that is ruled out can be told of, whichever of its conditions did it.
func TestConditionsHaveTheirWords(t *testing.T) {
	v := look(twice(well()))
	for _, rule := range rules {
		if len(rule.When) == 0 && rule.Name != rules[len(rules)-1].Name {
			t.Errorf("%s needs nothing, and is not the last", rule.Name)
		}
		for n := range rule.When {
			c := &rule.When[n]
			if c.yes == "" || c.no == "" || c.yes == c.no || c.holds == nil {
				t.Errorf("%s: condition %d has no words: %q, %q", rule.Name, n, c.yes, c.no)
			}
			if opposite := not(*c); opposite.met(v) == c.met(v) || opposite.found(v) != c.found(v) {
				t.Errorf("%s: the opposite of %q is not its opposite", rule.Name, c.yes)
			}
		}
	}
}
