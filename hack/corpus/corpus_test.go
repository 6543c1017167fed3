package corpus

import (
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/state/desired"
)

// exceptions are the mistakes that are told at another place or as another field than their own, and why.
var exceptions = map[string]string{
	`out of range spec.alerts[1].webhook: ""`: "an empty address is none: what is missing is told of the entry",
}

// TestEveryMistakeIsToldWithItsPlace reads every document of the corpus as evenkeel does.
func TestEveryMistakeIsToldWithItsPlace(t *testing.T) {
	docs, err := Make()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[Kind]int{}
	for _, d := range docs {
		counted[d.Kind]++
		problems := desired.Parse([]byte(d.Text), "f.yaml").Problems()
		if d.Kind == "" || d.Optional {
			if len(problems) > 0 && d.Kind == "" {
				t.Errorf("%s: %v\n%s", d.Name, problems, d.Text)
			}
			continue
		}
		told := false
		for _, p := range problems {
			if p.File == "" || p.Line == 0 || p.Column == 0 || p.Field == "" || p.Message == "" || !strings.HasPrefix(p.Remedy, "want ") && !strings.HasPrefix(p.Remedy, "did you mean ") {
				t.Errorf("%s: the problem is incomplete: %+v", d.Name, p)
			}
			told = told || p.Line == d.Line && p.Column == d.Column && (p.Field == d.Field || d.Kind == Missing && strings.HasPrefix(p.Field, d.Field+"."))
		}
		if !told && exceptions[d.Name] == "" {
			t.Errorf("%s: want it at %d:%d of %s, got\n%v", d.Name, d.Line, d.Column, d.Field, problems)
		}
	}
	t.Logf("%d documents: %v", len(docs), counted)
}
