package table

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/verdict"
)

var update = flag.Bool("update", false, "write docs/failures.md anew")

const page = "../../../docs/failures.md"

// TestDocumentationHoldsTheTable keeps docs/failures.md the same as the table.
func TestDocumentationHoldsTheTable(t *testing.T) {
	want := Page()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(page); err != nil || string(have) != want {
		t.Fatalf("%s is not what the table says (%v); run: hack/generate", page, err)
	}
}

// TestEveryRowSaysWhatMustFollow finds rows that could not be run, or would prove nothing.
func TestEveryRowSaysWhatMustFollow(t *testing.T) {
	rules := map[string]verdict.Rule{}
	for _, r := range verdict.Rules() {
		rules[r.Name] = r
	}
	faults := readAll(t, "../../stack.d/*.sh")
	tests := readAll(t, "../*_test.go")
	names := map[string]bool{}
	without := 0
	for _, r := range Rows() {
		wrong := func(format string, args ...any) { t.Helper(); t.Errorf("row "+r.Name+": "+format, args...) }
		if names[r.Name] {
			wrong("there are two of that name")
		}
		names[r.Name] = true
		if r.Name == "" || r.Failure == "" || r.Action == "" || r.App == "" {
			wrong("it says too little")
		}
		if told := r.Action != Nothing; told != (len(r.Blame) > 0) || told != (len(r.Rules) > 0) {
			wrong("action %s, blame %v, rules %v", r.Action, r.Blame, r.Rules)
		}
		for _, name := range r.Rules {
			rule, ok := rules[name]
			if !ok {
				wrong("no rule %s", name)
			} else if !slices.Contains(r.Blame, rule.Blame) {
				wrong("rule %s blames %s", name, rule.Blame)
			}
		}
		for _, f := range append(slices.Clone(r.Before), r.Faults...) {
			name, _, _ := strings.Cut(f, " ")
			if !regexp.MustCompile(`(?m)^` + name + `( |$)`).MatchString(faults) {
				wrong("hack/stack knows no fault %s", name)
			}
		}
		switch {
		case r.Why != "":
			without++
			where, name, _ := strings.Cut(r.Proof, " ")
			if r.Case != "" || !strings.Contains(readAll(t, "../../../"+where+"/*_test.go"), "func "+name+"(") {
				wrong("its proof %q is not there", r.Proof)
			}
		case r.Case != "":
			if !strings.Contains(tests, `"`+r.Case+`"`) {
				wrong("no test is called %s", r.Case)
			}
			if !strings.Contains(tests, `"`+r.Name+`"`) {
				wrong("its test %s does not ask for what it says", r.Case)
			}
		case len(r.Before)+len(r.Faults)+len(r.Edit) == 0:
			wrong("it breaks nothing")
		case r.Seconds == 0:
			wrong("it does not say how long it takes")
		case r.Action == Hold && r.Lift == Itself && r.App == Kept:
			wrong("it does not say how it ends")
		}
		if r.Check != "" && !strings.Contains(tests, `"`+r.Check+`":`) {
			wrong("no check is called %s", r.Check)
		}
	}
	if without > 5 {
		t.Errorf("%d rows cannot be injected; five are many", without)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func readAll(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	var all strings.Builder
	for _, f := range files {
		all.WriteString(read(t, f))
	}
	return all.String()
}

func TestWhatFollowsFromARow(t *testing.T) {
	r := Row{Action: GiveUp, Blame: app}
	if got := fmt.Sprint(r.Told()); got != "[Degraded App Failed App Resolved App]" {
		t.Error(got)
	}
	if got := r.Watched(); got != 6 {
		t.Error(got)
	}
	r.Long = true
	if got := r.Watched(); got != 30 {
		t.Error(got)
	}
	r.Confirmed = time.Minute
	if r.ConfirmedWithin() != time.Minute || r.HealthyWithin() != 20*time.Second {
		t.Error(r.ConfirmedWithin(), r.HealthyWithin())
	}
	r = Row{Action: HoldThen, Blame: disk}
	if got := fmt.Sprint(r.Told()); got != "[Degraded Disk Degraded App Resolved Disk]" {
		t.Error(got)
	}
	if quiet := (&Row{Action: Nothing}); quiet.Told() != nil || !quiet.Injected() {
		t.Error("nothing is told where nothing is wrong")
	}
}

func TestPairsArePossible(t *testing.T) {
	faults := readAll(t, "../../stack.d/*.sh")
	for _, p := range Parts() {
		name, _, _ := strings.Cut(p.Fault, " ")
		if !regexp.MustCompile(`(?m)^` + name + `( |$)`).MatchString(faults) {
			t.Errorf("hack/stack knows no fault %s", name)
		}
		if !strings.Contains(faults, "\nclear_"+strings.ReplaceAll(name, "-", "_")+"()") {
			t.Errorf("%s cannot be cleared", name)
		}
		if len(p.Blame) == 0 {
			t.Errorf("nobody is to blame for %s", name)
		}
	}
	pairs := Pairs()
	if len(pairs) < 200 {
		t.Errorf("only %d pairs", len(pairs))
	}
	for _, p := range pairs {
		if p[0].Takes == p[1].Takes {
			t.Errorf("%s and %s exclude each other", p[0].Fault, p[1].Fault)
		}
	}
}

func TestWhatAPairMustTell(t *testing.T) {
	quiet, loud, blind := Part{Blame: dns}, Part{Blame: app, Shows: time.Second}, Part{Blame: manages, Blinds: true}
	for _, c := range []struct {
		pair   Pair
		blame  string
		within time.Duration
	}{
		{Pair{quiet, quiet}, "[DNS DNS]", 0},
		{Pair{quiet, loud}, "[DNS App]", time.Second},
		{Pair{loud, loud}, "[App App]", time.Second},
		{Pair{loud, blind}, "[App Runtime]", 0},
	} {
		if blame, within := c.pair.Told(); fmt.Sprint(blame) != c.blame || within != c.within {
			t.Errorf("%v within %s, want %s within %s", blame, within, c.blame, c.within)
		}
	}
}

func TestInWhichOrderAPairIsLifted(t *testing.T) {
	first, second, last := Part{Fault: "first"}, Part{Fault: "second"}, Part{Fault: "last", Last: true}
	for _, c := range []struct {
		pair  Pair
		order string
	}{
		{Pair{first, second}, "second, first"},
		{Pair{first, last}, "first, last"},
		{Pair{last, second}, "second, last"},
	} {
		lifted := c.pair.Lifted()
		if got := lifted[0].Fault + ", " + lifted[1].Fault; got != c.order {
			t.Errorf("%s, want %s", got, c.order)
		}
	}
}

func TestHowManyRecoveriesARowHas(t *testing.T) {
	for _, c := range []struct {
		row         Row
		least, most int
	}{
		{Row{Action: Nothing}, 0, 0},
		{Row{Action: Hold}, 0, 0},
		{Row{Action: Hold, Starts: true}, 0, 1},
		{Row{Action: HoldThen}, 1, 1},
		{Row{Action: Respect}, 1, 1},
		{Row{Action: Clean}, 1, 1},
		{Row{Action: GiveUp}, 3, 3},
	} {
		if least, most := c.row.Recoveries(); least != c.least || most != c.most {
			t.Errorf("%s: %d to %d, want %d to %d", c.row.Action, least, most, c.least, c.most)
		}
	}
}

func TestWhichRowsATestProves(t *testing.T) {
	var names []string
	for _, r := range ProvenBy("cluster") {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != "cluster-reload cluster-worker-killed cluster-worker-hangs cluster-hangs" {
		t.Error(got)
	}
	if rows := ProvenBy("redirect"); len(rows) != 1 || rows[0].Name != "redirect" {
		t.Errorf("%v", rows)
	}
	if rows := ProvenBy("clock-wrong"); len(rows) != 0 {
		t.Errorf("what cannot be injected is proven by nobody here: %v", rows)
	}
	if _, ok := Named("nobody"); ok {
		t.Error("there is no such row")
	}
}
