package reconcilers

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/verdict"
)

const mib = int64(1) << 20

func instant(d time.Duration) v1alpha1.Instant {
	wall := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC).Add(d)
	return v1alpha1.Instant{Wall: metav1.NewMicroTime(wall), Boot: metav1.Duration{Duration: time.Hour + d}, BootID: "b"}
}

// seen is a case whose newest look saw this.
func seen(at v1alpha1.Instant, learned *v1alpha1.Learned, results ...v1alpha1.CheckResult) *pass.Case {
	app := v1alpha1.NewApp()
	app.Name = "site"
	app.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "site"}
	return &pass.Case{
		App: app, Now: at, Record: v1alpha1.AppStatus{Learned: learned},
		Recent: []v1alpha1.Observation{{At: at, Results: results}},
	}
}

func TestLearnMemory(t *testing.T) {
	const life, other = "100:1", "200:2"
	before, now := instant(-time.Minute), instant(0)
	young := &v1alpha1.Baseline{Incarnation: life, Bytes: 150 * mib, Rest: 900 * mib}
	settled := &v1alpha1.Baseline{Incarnation: life, Bytes: 200 * mib, Rest: 900 * mib, Settled: true}
	while := &v1alpha1.Baseline{Incarnation: life, Bytes: 200 * mib, Settled: true} // memory was low
	for _, tc := range []struct {
		name      string
		low       *v1alpha1.Instant
		baseline  *v1alpha1.Baseline
		available int64
		stalled   float64
		life      string
		age       time.Duration
		local     metav1.ConditionStatus
		unknown   bool
		wantLow   *v1alpha1.Instant
		want      *v1alpha1.Baseline
	}{
		{name: "enough", baseline: settled, available: 500, life: life, age: time.Hour, want: settled},
		{name: "low from now on", baseline: settled, available: 99, life: life, age: time.Hour, wantLow: &now, want: settled},
		{name: "still low", low: &before, baseline: settled, available: 99, life: life, age: time.Hour, wantLow: &before, want: settled},
		{name: "at the edge it is not low", baseline: settled, available: 100, life: life, age: time.Hour, want: settled},
		{name: "risen above the edge, and not well above it", low: &before, baseline: settled, available: 149, life: life, age: time.Hour, wantLow: &before, want: settled},
		{name: "risen well above the edge", low: &before, baseline: settled, available: 150, life: life, age: time.Hour, want: settled},
		{name: "a new life begins with a clean slate", low: &before, baseline: settled, available: 120, life: other, age: time.Second, local: metav1.ConditionUnknown, want: settled},
		{name: "a new life with too little", low: &before, baseline: settled, available: 99, life: other, age: time.Second, local: metav1.ConditionUnknown, wantLow: &before, want: settled},
		{name: "stalled counts as low", baseline: settled, available: 500, stalled: facts.StalledLow, life: life, age: time.Hour, wantLow: &now, want: settled},
		{name: "what could not be asked teaches nothing", low: &before, baseline: settled, available: 500, life: life, age: time.Hour, unknown: true, wantLow: &before, want: settled},
		{name: "no process, no baseline", available: 500, want: nil},
		{name: "young and silent", available: 500, life: life, age: time.Second, local: metav1.ConditionUnknown, want: nil},
		{name: "its first good answer", available: 500, life: life, age: time.Second, want: &v1alpha1.Baseline{Incarnation: life, Bytes: 300 * mib, Rest: 1248 * mib}},
		{name: "the first good answer stands until baselineAfter", baseline: young, available: 500, life: life, age: 9 * time.Minute, want: young},
		{name: "settled at baselineAfter", baseline: young, available: 500, life: life, age: 10 * time.Minute,
			want: &v1alpha1.Baseline{Incarnation: life, Bytes: 300 * mib, Rest: 1248 * mib, Settled: true}},
		{name: "first seen when it is old, without an answer", available: 500, life: life, age: time.Hour, local: metav1.ConditionFalse,
			want: &v1alpha1.Baseline{Incarnation: life, Bytes: 300 * mib, Rest: 1248 * mib, Settled: true}},
		{name: "first seen at baselineAfter, without an answer", available: 500, life: life, age: 10 * time.Minute, local: metav1.ConditionFalse,
			want: &v1alpha1.Baseline{Incarnation: life, Bytes: 300 * mib, Rest: 1248 * mib, Settled: true}},
		{name: "taken while memory is low", available: 99, life: life, age: time.Hour, wantLow: &now,
			want: &v1alpha1.Baseline{Incarnation: life, Bytes: 300 * mib, Settled: true}},
		{name: "taken while memory was low, and still is", low: &before, baseline: while, available: 99, life: life, age: time.Hour, wantLow: &before, want: while},
		{name: "taken while memory was low, and there is enough again", low: &before, baseline: while, available: 500, life: life, age: time.Hour,
			want: &v1alpha1.Baseline{Incarnation: life, Bytes: 300 * mib, Rest: 1248 * mib, Settled: true}},
		{name: "the baseline of another life is replaced", baseline: settled, available: 500, life: other, age: time.Second,
			want: &v1alpha1.Baseline{Incarnation: other, Bytes: 300 * mib, Rest: 1248 * mib}},
		{name: "everything else shrinks by just what is wanted", baseline: settled, available: 948, life: life, age: time.Hour, want: settled},
		{name: "everything else shrinks by more", baseline: settled, available: 949, life: life, age: time.Hour,
			want: &v1alpha1.Baseline{Incarnation: life, Bytes: 200 * mib, Rest: 799 * mib, Settled: true}},
		{name: "everything else shrinks in the application's youth", baseline: young, available: 949, life: life, age: time.Minute,
			want: &v1alpha1.Baseline{Incarnation: life, Bytes: 150 * mib, Rest: 799 * mib}},
		{name: "everything else, as far as it is known, uses nothing", baseline: settled, available: 1748, life: life, age: time.Hour,
			want: &v1alpha1.Baseline{Incarnation: life, Bytes: 200 * mib, Rest: 1, Settled: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.local == "" {
				tc.local = metav1.ConditionTrue
			}
			status := metav1.ConditionTrue
			if tc.unknown {
				status = metav1.ConditionUnknown
			}
			c := seen(now, &v1alpha1.Learned{LowMemorySince: tc.low, Baseline: tc.baseline},
				v1alpha1.CheckResult{Check: v1alpha1.CheckLocal, Status: tc.local},
				v1alpha1.CheckResult{Check: v1alpha1.CheckMemory, Status: status, Facts: facts.Raw(facts.Memory{
					Total: 2048 * mib, Available: tc.available * mib, Wanted: 100 * mib, Stalled: tc.stalled, Tree: 300 * mib, Life: tc.life,
				})},
				v1alpha1.CheckResult{Check: v1alpha1.CheckProcess, Status: metav1.ConditionTrue, Facts: facts.Raw(facts.Process{Life: tc.life, Age: tc.age})},
			)
			got := Judge{}.Learn(c)
			if (got.LowMemorySince == nil) != (tc.wantLow == nil) || tc.wantLow != nil && !got.LowMemorySince.Wall.Equal(&tc.wantLow.Wall) {
				t.Errorf("low since %v, want %v", got.LowMemorySince, tc.wantLow)
			}
			if (got.Baseline == nil) != (tc.want == nil) || tc.want != nil && *got.Baseline != *tc.want {
				t.Errorf("baseline %+v, want %+v", got.Baseline, tc.want)
			}
		})
	}
}

func TestMarksAreKeptForOneNameInOneHome(t *testing.T) {
	const home = "/home/site/.pm2"
	known := func(of, in string, marks ...string) *v1alpha1.Learned {
		return &v1alpha1.Learned{MarksOf: of, MarksIn: in, Marks: marks}
	}
	var many []string
	for n := range 17 { // sixteen, and one of a row that there is
		many = append(many, string(rune('a'+n)))
	}
	for _, tc := range []struct {
		name    string
		learned *v1alpha1.Learned
		process facts.Process
		want    *v1alpha1.Learned
	}{
		{"the first", nil, facts.Process{Home: home, Rows: []facts.Row{{Mark: "m1"}, {Mark: "m2"}, {}}}, known("site", home, "m1", "m2")},
		{"the same again", known("site", home, "m1"), facts.Process{Home: home, Rows: []facts.Row{{Mark: "m1"}}}, known("site", home, "m1")},
		{"another one of the same name", known("site", home, "m1"), facts.Process{Home: home, Rows: []facts.Row{{Mark: "m2"}}}, known("site", home, "m1", "m2")},
		{"the process manager is gone", known("site", home, "m1"), facts.Process{Home: home}, known("site", home, "m1")},
		{"it could not be asked where it is", known("site", home, "m1"), facts.Process{}, known("site", home, "m1")},
		{"the spec names another process", known("blue", home, "m1"), facts.Process{Home: home, Rows: []facts.Row{{Mark: "m2"}}}, known("site", home, "m2")},
		{"the spec names another process, which is not there", known("blue", home, "m1"), facts.Process{Home: home}, known("site", home)},
		{"another home", known("site", "/root/.pm2", "m1"), facts.Process{Home: home}, known("site", home)},
		{"more than are kept", known("site", home, many...), facts.Process{Home: home, Rows: []facts.Row{{Mark: "new"}}},
			known("site", home, append(slices.Clone(many[1:]), "new")...)},
	} {
		c := seen(instant(0), tc.learned, v1alpha1.CheckResult{Check: v1alpha1.CheckProcess, Status: metav1.ConditionTrue, Facts: facts.Raw(tc.process)})
		got := Judge{}.Learn(c)
		if got.MarksOf != tc.want.MarksOf || got.MarksIn != tc.want.MarksIn || !slices.Equal(got.Marks, tc.want.Marks) {
			t.Errorf("%s: %q of %q in %q, want %+v", tc.name, got.Marks, got.MarksOf, got.MarksIn, tc.want)
		}
	}
}

func TestWhereTheProxyIsIsLearnedWhileTheSiteAnswers(t *testing.T) {
	const plain = "https://me:s3cr3t@www.example.test/?key=s3cr3t"
	marks := facts.Marker{Key: []byte("a key")}
	url, other := marks.Mark(plain), marks.Mark("https://old.example.test/")
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	for _, tc := range []struct {
		name    string
		learned *v1alpha1.Learned
		status  metav1.ConditionStatus
		found   facts.Here
		green   string
		here    string
	}{
		{"its proxy is found here", nil, metav1.ConditionTrue, facts.HereYes, url, url},
		{"its proxy is found elsewhere", nil, metav1.ConditionTrue, facts.HereNo, url, ""},
		{"nobody looked for its proxy", nil, metav1.ConditionTrue, "", url, ""},
		{"nobody looked this time", &v1alpha1.Learned{ProxyHereURL: url}, metav1.ConditionTrue, "", url, url},
		{"it has moved to another machine", &v1alpha1.Learned{ProxyHereURL: url}, metav1.ConditionTrue, facts.HereNo, url, ""},
		{"it fails", nil, metav1.ConditionFalse, facts.HereYes, "", ""},
		{"the site is down", &v1alpha1.Learned{PublicGreenURL: url, ProxyHereURL: url}, metav1.ConditionFalse, facts.HereNo, url, url},
		{"an older version wrote the URL itself", &v1alpha1.Learned{PublicGreenURL: plain, ProxyHereURL: plain}, metav1.ConditionFalse, "", url, url},
		{"and it was another one", &v1alpha1.Learned{PublicGreenURL: "https://old.example.test/", ProxyHereURL: "https://old.example.test/"}, metav1.ConditionFalse, "", "", ""},
		{"an older version wrote its hash", &v1alpha1.Learned{PublicGreenURL: hash(plain), ProxyHereURL: hash(plain)}, metav1.ConditionFalse, "", url, url},
		{"and that was another one's", &v1alpha1.Learned{PublicGreenURL: hash("https://old.example.test/"), ProxyHereURL: hash("x")}, metav1.ConditionFalse, "", "", ""},
		{"another URL was meant", &v1alpha1.Learned{PublicGreenURL: other, ProxyHereURL: other}, metav1.ConditionTrue, facts.HereNo, url, other},
	} {
		c := seen(instant(0), tc.learned, v1alpha1.CheckResult{Check: v1alpha1.CheckPublic, Status: tc.status, Facts: facts.Raw(facts.Public{Here: tc.found})})
		c.App.Spec.Checks.Public.URL = plain
		if got := (Judge{Marks: marks}).Learn(c); got.PublicGreenURL != tc.green || got.ProxyHereURL != tc.here {
			t.Errorf("%s: green %q, proxy %q, want %q and %q", tc.name, got.PublicGreenURL, got.ProxyHereURL, tc.green, tc.here)
		}
	}
}

func TestAfterAPlainPlanThatDidNotHelpComesTheCleanOne(t *testing.T) {
	for _, trigger := range []v1alpha1.Trigger{v1alpha1.TriggerAutomatic, v1alpha1.TriggerOperator} {
		v := v1alpha1.Verdict{Remedy: v1alpha1.RemedyRecover}
		first, ok := Judge{}.Plan(nil, &v, nil)
		if !ok || first.Name != verdict.PlanPlain || slices.Contains(first.Steps, recovery.StepCaches) {
			t.Fatalf("%s: the first plan is %+v", trigger, first)
		}
		second, ok := Judge{}.Plan(nil, &v, &v1alpha1.Recovery{Trigger: trigger, Plan: first.Name})
		if !ok || second.Name != verdict.PlanClean || !slices.Contains(second.Steps, recovery.StepCaches) {
			t.Fatalf("%s: the plan after it is %+v", trigger, second)
		}
		if third, ok := (Judge{}).Plan(nil, &v, &v1alpha1.Recovery{Trigger: trigger, Plan: second.Name}); ok {
			t.Fatalf("%s: a third plan %+v", trigger, third)
		}
	}
	asked := v1alpha1.Verdict{Plan: verdict.PlanClean}
	if again, ok := (Judge{}).Plan(nil, &asked, &v1alpha1.Recovery{Plan: verdict.PlanClean}); ok {
		t.Fatalf("after the clean plan the clean plan: %+v", again)
	}
	clean, ok := Judge{}.Plan(nil, &asked, nil)
	if !ok || clean.Name != verdict.PlanClean {
		t.Fatalf("asked for the clean plan: %+v", clean)
	}
}

// TestTheJudgeSaysWhatTheRulesAndTheStepsSay: it is the engine's way to them.
func TestTheJudgeSaysWhatTheRulesAndTheStepsSay(t *testing.T) {
	c := seen(instant(0), nil,
		v1alpha1.CheckResult{Check: v1alpha1.CheckLocal, Status: metav1.ConditionTrue, Required: true, Leading: true})
	if v := (Judge{}).Diagnose(c); v.Rule != "healthy" {
		t.Errorf("the verdict is %+v", v)
	}
	if list := (Judge{}).Warn(c); len(list) != len(verdict.Warnings()) {
		t.Errorf("%d warnings, want how each of them stands", len(list))
	}
	if stop := (Judge{}).Step(c.App, recovery.StepStop); !stop.Stops || stop.Timeout <= 0 {
		t.Errorf("the step stop is %+v", stop)
	}
}

// TestAMemoryCheckWithoutFactsTeachesNothing: that there is enough now, say.
func TestAMemoryCheckWithoutFactsTeachesNothing(t *testing.T) {
	before := instant(-time.Minute)
	l := Judge{}.Learn(seen(instant(0), &v1alpha1.Learned{LowMemorySince: &before},
		v1alpha1.CheckResult{Check: v1alpha1.CheckMemory, Status: metav1.ConditionFalse}))
	if l.LowMemorySince == nil || *l.LowMemorySince != before {
		t.Errorf("low since %v, want %v", l.LowMemorySince, before)
	}
}

// TestAFaultOfTheLastStartIsLearned.
func TestAFaultOfTheLastStartIsLearned(t *testing.T) {
	l := Judge{}.Learn(seen(instant(0), nil,
		v1alpha1.CheckResult{Check: v1alpha1.CheckLocal, Status: metav1.ConditionFalse, Required: true, Leading: true},
		v1alpha1.CheckResult{Check: v1alpha1.CheckProcess, Status: metav1.ConditionFalse, Facts: facts.Raw(facts.Process{
			State: string(runtime.Errored), Daemon: true, Signs: []facts.Sign{facts.SignModuleNotFound}, Cause: "a",
		})}))
	if l.Fault == nil || l.Fault.Cause != "a" {
		t.Errorf("learned %+v", l.Fault)
	}
}
