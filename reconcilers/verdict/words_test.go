package verdict

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

func TestAProcessIsDescribedAsFarAsItIsKnown(t *testing.T) {
	for want, l := range map[string]facts.Listener{
		"a process of user www (its pid may not be seen by this user)": {User: "www", Command: "nc"},
		"pid 7 of user www": {PID: 7, User: "www"},
		"pid 7 of user www, nc -l, in /tmp, running for 1m30s": {PID: 7, User: "www", Command: "nc -l", Folder: "/tmp", Since: 90*time.Second + 7},
		"pid 7 of user www, nc -l":                             {PID: 7, User: "www", Command: "nc -l"},
		"pid 7 of user www, in /tmp":                           {PID: 7, User: "www", Folder: "/tmp"},
	} {
		if got := describe(l); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := outcome(&facts.HTTP{Class: facts.Answered, Status: 502}); got != "answered 502" {
		t.Errorf("%q", got)
	}
	if got := outcome(&facts.HTTP{Class: facts.Refused, Error: "why"}); got != "refused (why)" {
		t.Errorf("%q", got)
	}
}

func TestOneOfAThingIsNoThings(t *testing.T) {
	for n, want := range []string{"0 lives", "1 life", "2 lives"} {
		if got := count(n, "life", "lives"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestHintsAreFilledIn(t *testing.T) {
	w := well()
	w.deploy = facts.Deploy{AtWork: []facts.Work{{What: "npm ci"}}} // whose pid may not be seen
	c := twice(w)
	c.App.Spec.Checks.Public.URL = "https://user:word@www.example.test:8443/shop?key=1"
	v := look(c)
	hints := []string{"{url} {host}", "{envFile}", "<{deploy}>", "{app} {name} {directory}", "{home}"}
	got := expand(hints, v)
	want := []string{"https://www.example.test:8443/shop www.example.test", "/srv/site/.env", "<>", "site site /srv/site", "/home/deploy/.pm2"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for file, want := range map[string]string{"": "/srv/site/.env", "conf/.env": "/srv/site/conf/.env", "/etc/site.env": "/etc/site.env"} {
		c.App.Spec.Checks.Database = &v1alpha1.DatabaseCheck{EnvFile: file}
		if got := expand([]string{"{envFile}"}, look(c)); got[0] != want {
			t.Errorf("%q: %q, want %q", file, got[0], want)
		}
	}
	if expand(nil, v) != nil {
		t.Error("of no hints some are made")
	}
}

// TestWhatIsMissingIsMeasuredAtItsEdge: grown by exactly what is missing is enough, one byte less is not.
func TestWhatIsMissingIsMeasuredAtItsEdge(t *testing.T) {
	for _, tc := range []struct {
		name   string
		memory facts.Memory
		least  int64
	}{
		{"below what is wanted", facts.Memory{Available: 40, Wanted: 100, Tree: 300, HogBytes: 299}, 60},
		{"back at what is wanted, and not yet well above it", facts.Memory{Available: 100, Wanted: 100, Tree: 300, HogBytes: 299}, 50},
		{"stalled", facts.Memory{Available: 500, Wanted: 100, Stalled: facts.StalledLow, Tree: 300, HogBytes: 299}, 100},
	} {
		v := &view{c: &pass.Case{}, memory: tc.memory}
		if !v.grewByWhatIsMissing(tc.least) || v.grewByWhatIsMissing(tc.least-1) {
			t.Errorf("%s: not from %d on", tc.name, tc.least)
		}
	}
}

// TestWhoGrewMostIsBlamed: the application is, where everything else has grown by no more since its normal size was taken,
// however large others have always been. Where that is not known, or work stands still though enough is available, it has to
// be larger than any other.
func TestWhoGrewMostIsBlamed(t *testing.T) {
	const life = "100:1"
	for _, tc := range []struct {
		name    string
		rest    int64 // when the baseline was taken; 0 where that is not known
		hog     int64
		stalled float64
		want    bool
	}{
		{"everything else is as it was", 10_800, 299, 0, true},
		{"everything else has grown by as much", 10_740, 299, 0, true},
		{"everything else has grown by a byte more", 10_739, 299, 0, false},
		{"everything else uses less", 12_000, 299, 0, true},
		{"another was larger all the time", 10_800, 5000, 0, true},
		{"what everything else used is not known, and it is the largest", 0, 299, 0, true},
		{"what everything else used is not known, and another is as large", 0, 300, 0, false},
		{"work stands still, and another is as large", 10_800, 300, facts.StalledLow, false},
		{"work stands still, and everything else has grown by more", 10_739, 299, facts.StalledLow, false},
		{"work stands still, and it has outgrown all", 10_800, 299, facts.StalledLow, true},
	} {
		m := facts.Memory{Total: 11_140, Available: 40, Wanted: 100, Tree: 300, HogBytes: tc.hog, Stalled: tc.stalled, Life: life}
		if tc.stalled > 0 {
			m.Total, m.Available, m.Wanted = 11_300, 200, 60
		}
		learned := &v1alpha1.Learned{Baseline: &v1alpha1.Baseline{Incarnation: life, Bytes: 240, Rest: tc.rest}}
		v := &view{c: &pass.Case{Record: v1alpha1.AppStatus{Learned: learned}}, memory: m}
		if grown, _ := v.grown(); v.grewByWhatIsMissing(grown) != tc.want {
			t.Errorf("%s: blamed %v, want %v", tc.name, !tc.want, tc.want)
		}
	}
}

// TestADeployIsRememberedForHalfAMinute after it was last seen at work, whenever the check was asked last.
func TestADeployIsRememberedForHalfAMinuteOrUntilItsBuildIsThere(t *testing.T) {
	at := func(d time.Duration, working bool) v1alpha1.Observation {
		w := well()
		if working {
			w.deploy = facts.Deploy{AtWork: []facts.Work{{PID: 7, What: "npm ci"}}}
		}
		w.build.Present = false
		return w.observation(instant(d))
	}
	built := func(d time.Duration) v1alpha1.Observation { return well().observation(instant(d)) }
	for _, tc := range []struct {
		name   string
		recent []v1alpha1.Observation
		now    time.Duration
		want   string
	}{
		{"now", []v1alpha1.Observation{at(0, true)}, 0, "npm ci"},
		{"half a minute ago", []v1alpha1.Observation{at(0, true), at(30*time.Second, false)}, 30 * time.Second, "npm ci"},
		{"a moment longer ago", []v1alpha1.Observation{at(0, true), at(30*time.Second+1, false)}, 30*time.Second + 1, ""},
		{"ten seconds ago, and its build is there", []v1alpha1.Observation{at(0, true), built(10 * time.Second)}, 10 * time.Second, "npm ci"},
		{"a moment longer ago, and its build is there", []v1alpha1.Observation{at(0, true), built(10*time.Second + 1)}, 10*time.Second + 1, ""},
		{"never", []v1alpha1.Observation{at(0, false)}, 0, ""},
	} {
		c := &pass.Case{App: app(), Now: instant(tc.now), Recent: tc.recent}
		if got := look(c).deployLately(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	c := &pass.Case{App: app(), Now: instant(time.Minute), Recent: []v1alpha1.Observation{{At: instant(0)}}}
	if got := look(c).deployLately(); got != "" {
		t.Errorf("not asked: %q", got)
	}
}

// TestOnlyLivesThatAnsweredAreCountedAsSuch: they have a process, a good answer, and nobody else on their port.
func TestOnlyLivesThatAnsweredAreCountedAsSuch(t *testing.T) {
	c := &pass.Case{App: app(), Now: instant(time.Minute)}
	for n, change := range []func(w *world){
		func(w *world) { w.process.Life = "1:1" },
		func(w *world) { w.process.Life = "2:2" },
		func(w *world) { w.process.Life = "" },
		func(w *world) { w.process.Life, w.status["local"] = "3:3", metav1.ConditionFalse },
		func(w *world) { w.process.Life, w.status["port"] = "4:4", metav1.ConditionFalse },
		func(w *world) { w.process.Life = "1:1" },
	} {
		w := well()
		change(w)
		c.Recent = append(c.Recent, w.observation(instant(time.Duration(n)*time.Second)))
	}
	if got := look(c).answeredLives(); got != 2 {
		t.Errorf("%d, want 2", got)
	}
}
