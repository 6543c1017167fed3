package verdict

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// TestWhatHoldsTheSpaceIsMeasuredAtItsEdge: caches count from what makes the volume well again, removed files from what is
// missing, and neither where it is not space that is missing.
func TestWhatHoldsTheSpaceIsMeasuredAtItsEdge(t *testing.T) {
	for _, tc := range []struct {
		name         string
		volume       facts.Volume
		caches, held int64
		fills, still bool
	}{
		{"just enough", facts.Volume{Path: "/", Free: 40, Want: 100}, 110, 60, true, true},
		{"a byte too little", facts.Volume{Path: "/", Free: 40, Want: 100}, 109, 59, false, false},
		{"it is inodes that are missing", facts.Volume{Path: "/", Free: 500, Want: 100, Inodes: 1000, WantInodes: 10}, 1000, 1000, false, false},
		{"nothing is missing", facts.Volume{Path: "/", Free: 500, Want: 100}, 1000, 1000, false, false},
	} {
		v := &view{disk: facts.Disk{Volumes: []facts.Volume{tc.volume}, Caches: tc.caches, Held: tc.held}}
		if cacheFills.met(v) != tc.fills || removedStillHeld.met(v) != tc.still {
			t.Errorf("%s: the caches fill it %v, removed files hold it %v", tc.name, cacheFills.met(v), removedStillHeld.met(v))
		}
	}
}

// TestWhatIsSaidOfTheDisk: who holds it, and no command of PM2 where it is not PM2.
func TestWhatIsSaidOfTheDisk(t *testing.T) {
	w := well()
	w.short(100<<20, 0)
	w.disk.Held, w.disk.HeldBy, w.disk.HeldName = 600<<20, 77, "java"
	pm2 := func(hint string) bool { return strings.Contains(hint, "pm2") }
	if v := Diagnose(twice(w)); !strings.Contains(v.Message, "java (pid 77)") || len(v.Next) != 1 || slices.ContainsFunc(v.Next, pm2) {
		t.Errorf("another holds it: %q, next %q", v.Message, v.Next)
	}
	w.disk.HeldDaemon = true
	if v := Diagnose(twice(w)); !strings.Contains(v.Message, "PM2 (pid 77)") || !slices.ContainsFunc(v.Next, pm2) {
		t.Errorf("PM2 holds it: %q, next %q", v.Message, v.Next)
	}
	for caches, want := range map[int64]bool{0: false, 1: true, 3 << 20: true} {
		w := well()
		w.short(100<<20, caches)
		if v := Diagnose(twice(w)); strings.Contains(v.Message, "caches hold "+mib(caches)) != want {
			t.Errorf("%d bytes of caches: %q", caches, v.Message)
		}
	}
	w = well()
	if v := look(twice(w)); v.volume() != "/srv/site" {
		t.Errorf("where nothing is short: %q", v.volume())
	}
	w.short(1, 0)
	w.disk.Volumes[0].Path = "/var"
	if v := look(twice(w)); v.volume() != "/var" {
		t.Errorf("the worst is %q", v.volume())
	}
}

// TestWorkStandsStillForAnothersSake only where another is larger, and the application has not grown by what is missing.
func TestWorkStandsStillForAnothersSake(t *testing.T) {
	grew := &v1alpha1.Learned{Baseline: &v1alpha1.Baseline{Incarnation: "100:1", Bytes: 100, Rest: 560}}
	less := &v1alpha1.Learned{Baseline: &v1alpha1.Baseline{Incarnation: "100:1", Bytes: 100, Rest: 1}}
	same := &v1alpha1.Learned{Baseline: &v1alpha1.Baseline{Incarnation: "100:1", Bytes: 400}}
	for _, tc := range []struct {
		name    string
		memory  facts.Memory
		learned *v1alpha1.Learned
		want    bool
	}{
		{"another is larger", facts.Memory{Total: 1000, Available: 40, Wanted: 100, Stalled: facts.StalledLow, Tree: 400, HogBytes: 401, Life: "100:1"}, nil, true},
		{"and the application is as it was", facts.Memory{Total: 1000, Available: 40, Wanted: 100, Stalled: facts.StalledLow, Tree: 400, HogBytes: 401, Life: "100:1"}, same, true},
		{"and the application has grown", facts.Memory{Total: 1000, Available: 40, Wanted: 100, Stalled: facts.StalledLow, Tree: 400, HogBytes: 401, Life: "100:1"}, grew, false},
		{"and everything else has grown by more", facts.Memory{Total: 1000, Available: 40, Wanted: 100, Stalled: facts.StalledLow, Tree: 400, HogBytes: 401, Life: "100:1"}, less, true},
		{"another is as large", facts.Memory{Total: 1000, Available: 40, Wanted: 100, Stalled: facts.StalledLow, Tree: 400, HogBytes: 400, Life: "100:1"}, nil, false},
		{"work does not stand still", facts.Memory{Total: 1000, Available: 40, Wanted: 100, Stalled: facts.StalledLow - 1, Tree: 400, HogBytes: 401, Life: "100:1"}, nil, false},
	} {
		v := &view{c: &pass.Case{Record: v1alpha1.AppStatus{Learned: tc.learned}}, memory: tc.memory}
		if got := v.stalledByOthers(); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestNoAnswerInTimeIsATimeoutOrNobodyWhoListens.
func TestNoAnswerInTimeIsATimeoutOrNobodyWhoListens(t *testing.T) {
	someone := []facts.Listener{{Whose: facts.Ours, PID: 100}}
	for _, tc := range []struct {
		name      string
		class     facts.Class
		port      metav1.ConditionStatus
		listeners []facts.Listener
		want      bool
	}{
		{"a timeout", facts.Timeout, yes, someone, true},
		{"refused, and nobody listens", facts.Refused, no, nil, true},
		{"refused, and somebody listens elsewhere", facts.Refused, no, someone, false},
		{"refused, and the port could not be asked", facts.Refused, maybe, nil, false},
	} {
		w := well()
		w.local.Class, w.status["local"], w.status["port"], w.port.Listeners = tc.class, no, tc.port, tc.listeners
		if got := noAnswerInTime.met(look(twice(w))); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestAKillForWantOfMemoryIsWarnedOf from the newest look that knows of one, where it was the application's.
func TestAKillForWantOfMemoryIsWarnedOf(t *testing.T) {
	at := func(d time.Duration, killed int64, app bool, line string) v1alpha1.Observation {
		w := well()
		w.host.Killed, w.host.KilledApp, w.host.Line = killed, app, line
		return w.observation(instant(d))
	}
	perhaps := func(killed int) v1alpha1.Observation {
		w := well()
		w.host.Killed, w.host.MayBeApp, w.process.Killed = 1, true, killed
		return w.observation(instant(0))
	}
	none := at(time.Minute, 0, false, "")
	for _, tc := range []struct {
		name   string
		recent []v1alpha1.Observation
		status metav1.ConditionStatus
		says   string
	}{
		{"none", []v1alpha1.Observation{none}, no, ""},
		{"one, in the oldest look", []v1alpha1.Observation{at(0, 1, true, "first"), none}, yes, "first"},
		{"two, and the newer one is told", []v1alpha1.Observation{at(0, 1, true, "first"), at(time.Minute, 1, true, "second")}, yes, "second"},
		{"of another program", []v1alpha1.Observation{at(0, 1, false, "java"), none}, no, ""},
		{"nothing was killed", []v1alpha1.Observation{at(0, 0, true, "old"), none}, no, ""},
		{"its words may not be read, and one has ended", []v1alpha1.Observation{perhaps(0), none}, maybe, "may have been another"},
		{"its words may not be read, and one was killed", []v1alpha1.Observation{perhaps(1), none}, yes, "probably that one"},
		{"never looked at", nil, no, ""},
	} {
		message, status := warnKilled.stands(&view{c: &pass.Case{Recent: tc.recent}})
		if status != tc.status || !strings.Contains(message, tc.says) {
			t.Errorf("%s: %s %q", tc.name, status, message)
		}
	}
}
