package reconcilers

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

func TestLearnKeepsWhatWasSeen(t *testing.T) {
	const url = "https://www.example.com/"
	learn := func(before *v1alpha1.Learned, process facts.Process, build facts.Build, public metav1.ConditionStatus) v1alpha1.Learned {
		c := seen(instant(0), before,
			v1alpha1.CheckResult{Check: v1alpha1.CheckProcess, Status: metav1.ConditionTrue, Facts: facts.Raw(process)},
			v1alpha1.CheckResult{Check: v1alpha1.CheckBuild, Status: metav1.ConditionTrue, Facts: facts.Raw(build)},
			v1alpha1.CheckResult{Check: v1alpha1.CheckPublic, Status: public, Facts: facts.Raw(facts.Public{})})
		c.App.Spec.Checks.Public.URL = url
		return Judge{}.Learn(c)
	}
	there := facts.Build{Kind: "next", Present: true}
	l := learn(nil, facts.Process{Life: "1:1", Answered: true}, there, metav1.ConditionTrue)
	if l.Incarnation != "1:1" || l.Answered != "1:1" || !l.BuildSeen || l.PublicGreenURL != facts.URLMark(url) || l.ProxyHereURL != "" {
		t.Errorf("%+v", l)
	}
	// Another life, of which little is known yet; and then none.
	l = learn(&l, facts.Process{Life: "2:2"}, facts.Build{Kind: "next"}, metav1.ConditionFalse)
	if l.Incarnation != "2:2" || l.Answered != "1:1" || !l.BuildSeen || l.PublicGreenURL != facts.URLMark(url) {
		t.Errorf("another life: %+v", l)
	}
	if l := learn(&l, facts.Process{}, facts.Build{}, metav1.ConditionUnknown); l.Incarnation != "2:2" {
		t.Errorf("gone: %+v", l)
	}
	for name, build := range map[string]facts.Build{"absent": {Kind: "next"}, "of no known kind": {Present: true}} {
		if l := learn(nil, facts.Process{Life: "1:1"}, build, metav1.ConditionUnknown); l.BuildSeen || l.PublicGreenURL != "" || l.Answered != "" {
			t.Errorf("a build %s: %+v", name, l)
		}
	}
}

func TestChecksAreSortedAndHaveTheirInterval(t *testing.T) {
	list := Judge{}.Checks(seen(instant(0), nil).App)
	byName := func(a, b pass.Check) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	}
	none := func(c pass.Check) bool { return c.Interval <= 0 }
	if len(list) < 5 || !slices.IsSortedFunc(list, byName) || slices.ContainsFunc(list, none) {
		t.Errorf("%+v", list)
	}
}
