package reconcilers

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
	"github.com/evenkeel/evenkeel/reconcilers/verdict"
)

// sight is one look at an application that is well, as far as Learn is concerned.
type sight struct {
	process facts.Process
	memory  facts.Memory
	build   facts.Build
	status  map[string]metav1.ConditionStatus
}

func good() *sight {
	return &sight{
		process: facts.Process{Life: "1:1", Age: time.Minute, Answered: true, Rows: []facts.Row{{Mark: "m1"}}},
		memory:  facts.Memory{Available: 300, Wanted: 100, Tree: 50, Life: "1:1"},
		build:   facts.Build{Kind: "next", Present: true},
		status:  map[string]metav1.ConditionStatus{},
	}
}

func learn(s *sight, before *v1alpha1.Learned) v1alpha1.Learned {
	app := v1alpha1.NewApp()
	app.Spec.Checks.Public.URL = "https://www.example.com/"
	app.Spec.Checks.Memory.BaselineAfter.Duration = 10 * time.Minute
	now := v1alpha1.Instant{Boot: metav1.Duration{Duration: time.Hour}, BootID: "b"}
	o := v1alpha1.Observation{At: now}
	for name, f := range map[string]any{
		v1alpha1.CheckProcess: s.process, v1alpha1.CheckMemory: s.memory, v1alpha1.CheckBuild: s.build,
		v1alpha1.CheckLocal: facts.HTTP{}, v1alpha1.CheckPublic: facts.Public{},
	} {
		status := s.status[name]
		if status == "" {
			status = metav1.ConditionTrue
		}
		o.Results = append(o.Results, v1alpha1.CheckResult{Check: name, Status: status, Facts: facts.Raw(f)})
	}
	return Judge{}.Learn(&pass.Case{App: app, Record: v1alpha1.AppStatus{Learned: before}, Recent: []v1alpha1.Observation{o}, Now: now})
}

func TestLearnKeepsWhatWasSeen(t *testing.T) {
	l := learn(good(), nil)
	if l.Incarnation != "1:1" || l.Answered != "1:1" || !slices.Equal(l.Marks, []string{"m1"}) || !l.BuildSeen || l.PublicGreenURL != "https://www.example.com/" {
		t.Errorf("%+v", l)
	}
	later := good() // another life, of which little is known yet
	later.process = facts.Process{Life: "2:2", Rows: []facts.Row{{Mark: ""}, {Mark: "m1"}, {Mark: "m2"}}}
	later.build.Present = false
	later.status[v1alpha1.CheckPublic] = metav1.ConditionFalse
	l = learn(later, &l)
	if l.Incarnation != "2:2" || l.Answered != "1:1" || !slices.Equal(l.Marks, []string{"m1", "m2"}) || !l.BuildSeen || l.PublicGreenURL == "" {
		t.Errorf("later: %+v", l)
	}
	gone := good()
	gone.process = facts.Process{}
	if l := learn(gone, &l); l.Incarnation != "2:2" {
		t.Errorf("gone: %+v", l)
	}
	fresh := good()
	fresh.process, fresh.build = facts.Process{Life: "3:3"}, facts.Build{Present: true}
	fresh.status[v1alpha1.CheckPublic] = metav1.ConditionUnknown
	if l := learn(fresh, nil); l.Answered != "" || l.BuildSeen || l.PublicGreenURL != "" {
		t.Errorf("fresh: %+v", l)
	}
	absent := good()
	absent.build = facts.Build{Kind: "next"}
	if l := learn(absent, nil); l.BuildSeen {
		t.Error("a build was learned that is not there")
	}
}

func TestLearnBoundsTheMarks(t *testing.T) {
	s := good()
	s.process.Rows = nil
	var old v1alpha1.Learned
	for n := range 16 {
		old.Marks = append(old.Marks, string(rune('a'+n)))
	}
	s.process.Rows = []facts.Row{{Mark: "new"}}
	l := learn(s, &old)
	if len(l.Marks) != 16 || l.Marks[0] != "b" || l.Marks[15] != "new" {
		t.Errorf("%v", l.Marks)
	}
	if old.Marks[0] != "a" {
		t.Error("what it was given was changed")
	}
	if l := learn(good(), &old); len(l.Marks) != 16 {
		t.Errorf("%v", l.Marks)
	}
}

func TestLearnMemoryLookByLook(t *testing.T) {
	since := v1alpha1.Instant{Boot: metav1.Duration{Duration: time.Minute}, BootID: "b"}
	base := func(life string, bytes int64, settled bool) *v1alpha1.Baseline {
		return &v1alpha1.Baseline{Incarnation: life, Bytes: bytes, Settled: settled}
	}
	for _, tc := range []struct {
		name     string
		change   func(s *sight)
		before   v1alpha1.Learned
		low      bool
		kept     bool // since when it is low stays as it was
		baseline *v1alpha1.Baseline
	}{
		{"enough", nil, v1alpha1.Learned{}, false, false, base("1:1", 50, false)},
		{"just enough", func(s *sight) { s.memory.Available = 100 }, v1alpha1.Learned{}, false, false, base("1:1", 50, false)},
		{"low", func(s *sight) { s.memory.Available = 99 }, v1alpha1.Learned{}, true, false, base("1:1", 50, false)},
		{"stalled", func(s *sight) { s.memory.Stalled = facts.StalledLow }, v1alpha1.Learned{}, true, false, base("1:1", 50, false)},
		{"low for longer", func(s *sight) { s.memory.Available = 99 }, v1alpha1.Learned{LowMemorySince: &since, Baseline: base("1:1", 40, true)}, true, true, base("1:1", 40, true)},
		{"a little more than enough is not enough", func(s *sight) { s.memory.Available = 149 },
			v1alpha1.Learned{LowMemorySince: &since, Baseline: base("1:1", 40, true)}, true, true, base("1:1", 40, true)},
		{"half as much again is", func(s *sight) { s.memory.Available = 150 },
			v1alpha1.Learned{LowMemorySince: &since, Baseline: base("1:1", 40, true)}, false, false, base("1:1", 40, true)},
		{"a new life needs just enough", func(s *sight) { s.memory.Available = 100 },
			v1alpha1.Learned{LowMemorySince: &since, Baseline: base("0:0", 40, true)}, false, false, base("1:1", 50, false)},
		{"not asked", func(s *sight) { s.status[v1alpha1.CheckMemory] = metav1.ConditionUnknown },
			v1alpha1.Learned{LowMemorySince: &since}, true, true, nil},
		{"no life", func(s *sight) { s.memory.Life = "" }, v1alpha1.Learned{}, false, false, nil},
		{"young, without an answer", func(s *sight) { s.status[v1alpha1.CheckLocal] = metav1.ConditionFalse }, v1alpha1.Learned{}, false, false, nil},
		{"settled at once", func(s *sight) { s.process.Age = 10 * time.Minute }, v1alpha1.Learned{}, false, false, base("1:1", 50, true)},
		{"settles", func(s *sight) { s.process.Age = 10 * time.Minute }, v1alpha1.Learned{Baseline: base("1:1", 40, false)}, false, false, base("1:1", 50, true)},
		{"does not settle yet", func(s *sight) { s.process.Age = 10*time.Minute - 1 }, v1alpha1.Learned{Baseline: base("1:1", 40, false)}, false, false, base("1:1", 40, false)},
		{"stays settled", func(s *sight) { s.process.Age = time.Hour }, v1alpha1.Learned{Baseline: base("1:1", 40, true)}, false, false, base("1:1", 40, true)},
	} {
		s := good()
		if tc.change != nil {
			tc.change(s)
		}
		l := learn(s, &tc.before)
		if (l.LowMemorySince != nil) != tc.low || tc.kept && *l.LowMemorySince != since {
			t.Errorf("%s: low since %v", tc.name, l.LowMemorySince)
		}
		if got := l.Baseline; (got == nil) != (tc.baseline == nil) || got != nil && *got != *tc.baseline {
			t.Errorf("%s: baseline %+v, want %+v", tc.name, got, tc.baseline)
		}
	}
}

func TestPlansClimbOnce(t *testing.T) {
	plain := &v1alpha1.Recovery{Plan: verdict.PlanPlain, Trigger: v1alpha1.TriggerAutomatic}
	for _, tc := range []struct {
		name   string
		v      v1alpha1.Verdict
		failed *v1alpha1.Recovery
		want   string
		blame  v1alpha1.Blame
		steps  []string
	}{
		{"the first", v1alpha1.Verdict{Plan: verdict.PlanPlain}, nil, verdict.PlanPlain, "", recovery.Plain()},
		{"a clean one that is asked for", v1alpha1.Verdict{Plan: verdict.PlanClean}, nil, verdict.PlanClean, "", recovery.Clean()},
		{"after a plain one", v1alpha1.Verdict{}, plain, verdict.PlanClean, v1alpha1.BlameCache, recovery.Clean()},
		{"after a clean one", v1alpha1.Verdict{Plan: verdict.PlanClean}, &v1alpha1.Recovery{Plan: verdict.PlanClean, Trigger: v1alpha1.TriggerAutomatic}, "", "", nil},
		{"after an operator's own", v1alpha1.Verdict{}, &v1alpha1.Recovery{Plan: verdict.PlanPlain, Trigger: v1alpha1.TriggerOperator}, verdict.PlanClean, v1alpha1.BlameCache, recovery.Clean()},
	} {
		p, ok := Judge{}.Plan(nil, &tc.v, tc.failed)
		if ok != (tc.want != "") || p.Name != tc.want || p.Blame != tc.blame || !slices.Equal(p.Steps, tc.steps) {
			t.Errorf("%s: %+v, %v", tc.name, p, ok)
		}
	}
}

func TestChecksAreSortedAndHaveTheirInterval(t *testing.T) {
	app := v1alpha1.NewApp()
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "site"}
	list := Judge{}.Checks(app)
	if len(list) < 5 || !slices.IsSortedFunc(list, func(a, b pass.Check) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	}) || slices.ContainsFunc(list, func(c pass.Check) bool { return c.Interval <= 0 }) {
		t.Errorf("%+v", list)
	}
}
