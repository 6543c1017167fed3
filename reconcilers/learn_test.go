package reconcilers

import (
	"slices"
	"strings"
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
	if l.Incarnation != "1:1" || l.Answered != "1:1" || !l.BuildSeen || l.PublicGreenURL != (facts.Marker{}).Mark(url) || l.ProxyHereURL != "" {
		t.Errorf("%+v", l)
	}
	// Another life, of which little is known yet; and then none.
	l = learn(&l, facts.Process{Life: "2:2"}, facts.Build{Kind: "next"}, metav1.ConditionFalse)
	if l.Incarnation != "2:2" || l.Answered != "1:1" || !l.BuildSeen || l.PublicGreenURL != (facts.Marker{}).Mark(url) {
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

func TestLearnsWhereItListens(t *testing.T) {
	learn := func(before *v1alpha1.Learned, life string, port facts.Port) *v1alpha1.Listened {
		l := Judge{}.Learn(seen(instant(0), before,
			v1alpha1.CheckResult{Check: v1alpha1.CheckProcess, Status: metav1.ConditionTrue, Facts: facts.Raw(facts.Process{Life: life})},
			v1alpha1.CheckResult{Check: v1alpha1.CheckPort, Status: metav1.ConditionTrue, Facts: facts.Raw(port)}))
		return l.Listened
	}
	port := func(number int32, whose facts.Whose, beside ...int32) facts.Port {
		p := facts.Port{Port: number, Listeners: []facts.Listener{{Whose: whose}}}
		for _, b := range beside {
			p.Elsewhere = append(p.Elsewhere, facts.Place{Port: b})
		}
		return p
	}
	before := &v1alpha1.Learned{Listened: &v1alpha1.Listened{Port: 3003, Incarnation: "1:1", Beside: []int32{9464}}}
	for _, tc := range []struct {
		name string
		life string
		port facts.Port
		want v1alpha1.Listened
	}{
		{"the same", "1:1", port(3003, facts.Ours), v1alpha1.Listened{Port: 3003, Incarnation: "1:1", Beside: []int32{9464}}},
		{"one port more", "1:1", port(3003, facts.Ours, 9464, 9465), v1alpha1.Listened{Port: 3003, Incarnation: "1:1", Beside: []int32{9464, 9465}}},
		{"another life", "2:2", port(3003, facts.Ours, 9466), v1alpha1.Listened{Port: 3003, Incarnation: "2:2", Beside: []int32{9466}}},
		{"another port", "1:1", port(3004, facts.Ours), v1alpha1.Listened{Port: 3004, Incarnation: "1:1"}},
		{"a stranger", "2:2", port(3003, facts.Stranger, 9466), *before.Listened},
		{"no process", "", port(3003, facts.Ours, 9466), *before.Listened},
		{"more than are kept", "1:1", port(3003, facts.Ours, 1, 2, 3, 4, 5, 6, 7, 8, 9),
			v1alpha1.Listened{Port: 3003, Incarnation: "1:1", Beside: []int32{9464, 1, 2, 3, 4, 5, 6, 7}}},
	} {
		got := learn(before.DeepCopy(), tc.life, tc.port)
		if got == nil || got.Port != tc.want.Port || got.Incarnation != tc.want.Incarnation || !slices.Equal(got.Beside, tc.want.Beside) {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
	if got := learn(nil, "1:1", facts.Port{Port: 3003, Elsewhere: []facts.Place{{Port: 3013}}}); got != nil {
		t.Errorf("nobody listens: %+v", got)
	}
	if got := learn(nil, "1:1", port(3003, facts.Ours)); got == nil || got.Port != 3003 || got.Incarnation != "1:1" || got.Beside != nil {
		t.Errorf("the first time: %+v", got)
	}
}

func TestLearnsWhatWasMet(t *testing.T) {
	const wants = "sha256:new"
	for _, tc := range []struct {
		name   string
		status metav1.ConditionStatus
		wants  string
		whose  facts.Whose
		want   string
	}{
		{"met", metav1.ConditionTrue, wants, facts.Ours, wants},
		{"not met", metav1.ConditionFalse, wants, facts.Ours, "sha256:old"},
		{"not asked", metav1.ConditionUnknown, wants, facts.Ours, "sha256:old"},
		{"nothing expected", metav1.ConditionTrue, "", facts.Ours, "sha256:old"},
		{"a stranger answers", metav1.ConditionTrue, wants, facts.Stranger, "sha256:old"},
	} {
		l := Judge{}.Learn(seen(instant(0), &v1alpha1.Learned{LocalMet: "sha256:old"},
			v1alpha1.CheckResult{Check: v1alpha1.CheckLocal, Status: tc.status, Facts: facts.Raw(facts.HTTP{Wants: tc.wants})},
			v1alpha1.CheckResult{Check: v1alpha1.CheckPort, Status: metav1.ConditionTrue, Facts: facts.Raw(facts.Port{Listeners: []facts.Listener{{Whose: tc.whose}}})}))
		if l.LocalMet != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, l.LocalMet, tc.want)
		}
	}
}

func TestExpectationsAreKnownAgain(t *testing.T) {
	type check = v1alpha1.LocalCheck
	mark := func(c check) string { return facts.Marker{Key: []byte("a key")}.Expectations(&c) }
	body := v1alpha1.Expectations{ExpectBody: "a secret word"}
	if got := mark(check{Path: "/"}); got != "" {
		t.Errorf("nothing is expected: %q", got)
	}
	if mark(check{Path: "/", ExpectStatus: []int32{200, 204}}) != mark(check{Path: "/", ExpectStatus: []int32{204, 200, 200}}) {
		t.Error("the order of what is expected is nothing")
	}
	seen := map[string]bool{}
	for _, c := range []check{
		{Path: "/", ExpectStatus: []int32{200}}, {Path: "/", ExpectStatus: []int32{204}}, {Path: "/a", ExpectStatus: []int32{200}},
		{Path: "/", Expectations: body}, {Path: "/a", Expectations: body}, {Path: "/", ExpectStatus: []int32{200}, Expectations: body},
		{Path: "/", Expectations: v1alpha1.Expectations{ExpectHeader: map[string]string{"X": "a secret word"}}},
	} {
		got := mark(c)
		if !facts.IsMark(got) || strings.Contains(got, "secret") || seen[got] {
			t.Errorf("%+v: %q", c, got)
		}
		seen[got] = true
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
