package verdict

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
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
		"RowFails": func() {
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
	if w := warning(twice(all), "RowFails"); w.Status != metav1.ConditionFalse {
		t.Errorf("%+v", w)
	}
}

// A second copy that finds the port taken comes and goes for ever, where it lives for long enough that PM2 does not give up on it.
func TestARowThatComesAndGoesIsWarnedOf(t *testing.T) {
	rows := func(restarts ...int64) []facts.Row {
		list := []facts.Row{{ID: "7", State: string(runtime.Running), PID: 100, Life: "100:1", Restarts: restarts[0]}}
		for _, n := range restarts[1:] {
			list = append(list, facts.Row{ID: "8", State: string(runtime.Waiting), Restarts: n})
		}
		return list
	}
	for _, tc := range []struct {
		name          string
		before, now   []facts.Row
		silent, other bool // it does not answer; another daemon has been asked before
		want          string
	}{
		{name: "three times", before: rows(5, 1), now: rows(5, 4), want: `PM2 starts 1 of the 2 rows of "site" (id 8) again and again; the others run`},
		{name: "twice", before: rows(5, 1), now: rows(5, 3)},
		{name: "both of them", before: rows(5, 1), now: rows(8, 4)},
		{name: "the only one", before: rows(5), now: rows(9)},
		{name: "it is new", before: rows(5), now: rows(5, 9)},
		{name: "nobody answers", before: rows(5, 1), now: rows(5, 4), silent: true},
		{name: "another daemon counted otherwise", before: rows(5, 1), now: rows(5, 4), other: true},
	} {
		w := well()
		w.process.Rows = tc.now
		if tc.silent {
			w.status["local"] = no
		}
		c := twice(w)
		before := w.process
		before.Rows = tc.before
		if tc.other {
			before.DaemonPID++
		}
		for n := range c.Recent[0].Results {
			if r := &c.Recent[0].Results[n]; r.Check == v1alpha1.CheckProcess {
				r.Facts = facts.Raw(before)
			}
		}
		for _, warning := range Warn(c) {
			if warning.Reason != "RowFails" {
				continue
			}
			if (warning.Status == metav1.ConditionTrue) != (tc.want != "") || tc.want != "" && warning.Message != tc.want {
				t.Errorf("%s: %s, %q; want %q", tc.name, warning.Status, warning.Message, tc.want)
			}
			if next := strings.Join(warning.Next, " "); tc.want != "" && !strings.Contains(next, "pm2 delete 8") {
				t.Errorf("%s: %s", tc.name, next)
			}
		}
	}
}
