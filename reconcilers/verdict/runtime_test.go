package verdict

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// What is well and will not stay so: a second daemon, and a row that was given up beside others that serve.
func TestOfPM2ItIsWarned(t *testing.T) {
	warning := func(c *pass.Case, reason string) pass.Warning {
		for _, w := range Warn(c) {
			if w.Reason == reason {
				return w
			}
		}
		t.Fatalf("there is no warning %s", reason)
		return pass.Warning{}
	}
	all := well()
	for reason, set := range map[string]func(){
		"TwoDaemons": func() { all.process.Rivals = []int{4711} },
		"RowGivenUp": func() {
			all.process.Rows = append(all.process.Rows, facts.Row{ID: "4711", State: string(runtime.Errored)})
		},
	} {
		all = well()
		if w := warning(twice(all), reason); w.Status != metav1.ConditionFalse {
			t.Errorf("%s of one that is well: %+v", reason, w)
		}
		set()
		c := twice(all)
		w := warning(c, reason)
		if w.Status != metav1.ConditionTrue || !strings.Contains(w.Message, "4711") || !strings.Contains(strings.Join(w.Next, " "), "4711") {
			t.Errorf("%s: %+v", reason, w)
		}
		if v := Diagnose(c); v.Rule != "healthy" {
			t.Errorf("%s is held to be %s", reason, v.Rule)
		}
		all.status["process"] = maybe
		if w := warning(twice(all), reason); w.Status != metav1.ConditionUnknown {
			t.Errorf("%s of one that could not be asked: %+v", reason, w)
		}
	}
	// All of them given up: that is no warning, it is a failure.
	all = well()
	all.gone(runtime.Errored)
	for n := range all.process.Rows {
		all.process.Rows[n].State = string(runtime.Errored)
	}
	if w := warning(twice(all), "RowGivenUp"); w.Status != metav1.ConditionFalse {
		t.Errorf("%+v", w)
	}
}
