package state

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// status is a state that its message identifies.
func status(phase v1alpha1.Phase, message string) v1alpha1.AppStatus {
	now := v1alpha1.Instant{Wall: metav1.NewMicroTime(testNow), BootID: "boot"}
	return v1alpha1.AppStatus{
		Phase: phase, Message: message, Since: metav1.NewTime(testNow),
		Incident: &v1alpha1.Incident{Number: 3, StartedAt: now,
			Attempts: []v1alpha1.Attempt{{Number: 1, StartedAt: now, Outcome: v1alpha1.AttemptFailed}}},
	}
}

func mustWrite(t testing.TB, s *Store, st v1alpha1.AppStatus) {
	t.Helper()
	if err := s.Write(st, 4); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsWrittenIsLoaded(t *testing.T) {
	fs := newSim()
	s := open(t, fs, nil)
	if l := s.Load(); !l.Fresh || l.Lost || l.Restored || l.State.Phase != v1alpha1.PhaseHealthy || len(l.Warnings) > 0 {
		t.Fatalf("the first start: %+v", l)
	}
	st := status(v1alpha1.PhaseCooldown, "one")
	st.Force = true
	st.LastPass = &v1alpha1.Observation{}
	mustWrite(t, s, st)
	uid := s.Meta().UID

	l := open(t, fs, nil).Load()
	if l.Fresh || l.Lost || l.Restored || l.Order.IsOrder() || l.Rejected != nil || len(l.Warnings) > 0 {
		t.Fatalf("%+v", l)
	}
	got := l.State
	if got.Phase != v1alpha1.PhaseCooldown || got.ObservedPhase != got.Phase || got.Message != "one" || got.Force ||
		got.LastPass != nil || len(got.Incident.Attempts) != 1 || got.Incident.StartedAt.BootID != "boot" {
		t.Errorf("%+v", got)
	}
	if got.UID != uid || got.Generation != 4 || got.ResourceVersion != "1" || !got.CreationTimestamp.Time.Equal(testNow) {
		t.Errorf("%+v", got.ObjectMeta)
	}
}

func TestTheFileIsReadable(t *testing.T) {
	fs := newSim()
	s := open(t, fs, nil)
	s.Load()
	mustWrite(t, s, status(v1alpha1.PhaseFailed, "no: # quotes \"and\" 'such'"))
	text := fs.content(current)
	last := -1
	for _, line := range []string{"# What evenkeel knows about shop", "\napiVersion: evenkeel.dev/v1alpha1\n", "\nkind: AppState\n",
		"\nmetadata:\n", "\n  name: shop\n", "\nphase: Failed\n", "\nobservedPhase: Failed\n", "\nsince: \"2026-11-23T03:12:41Z\"\n",
		"\nmessage:", "\nincident:\n"} {
		at := strings.Index(text, line)
		if at <= last {
			t.Errorf("%q is missing or at the wrong place", line)
		}
		last = at
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Messages hold what programs print, and programs print anything.
func TestEveryCharacterCanBeWritten(t *testing.T) {
	fs := newSim()
	s := open(t, fs, nil)
	s.Load()
	var all strings.Builder
	for r := rune(0); r < 0x3000; r++ {
		all.WriteRune(r)
	}
	for r := rune(0xd700); r <= 0x1003f; r++ {
		all.WriteRune(r)
	}
	want := all.String() + "\xff\U0010ffff"
	mustWrite(t, s, status(v1alpha1.PhaseFailed, want))
	l := open(t, fs, nil).Load()
	if l.State.Message != string([]rune(want)) || l.Rejected != nil || l.Order.IsOrder() {
		t.Errorf("what is loaded is not what was written: %v %v", l.Warnings, l.Rejected)
	}
	for _, odd := range []string{"yes", "null", "~", "1e3", "0x1", "1_0", "12:30:45", "- a", "{", "a: b", " a ", "a\n b\n", "%x", "!!str", "*a", "=", "<<", "2026-11-23"} {
		mustWrite(t, s, status(v1alpha1.PhaseFailed, odd))
		if l := open(t, fs, nil).Load(); l.State.Message != odd {
			t.Errorf("%q became %q", odd, l.State.Message)
		}
	}
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	fs := newSim()
	s := open(t, fs, nil)
	s.Load()
	mustWrite(t, s, status(v1alpha1.PhaseHealthy, "one"))
	was := fs.ops
	mustWrite(t, s, status(v1alpha1.PhaseHealthy, "one"))
	again := open(t, fs, nil)
	again.Load()
	mustWrite(t, again, status(v1alpha1.PhaseHealthy, "one"))
	if fs.ops != was {
		t.Errorf("operations: %v", fs.log[was:])
	}
	mustWrite(t, again, status(v1alpha1.PhaseHealthy, "two"))
	if got := again.Meta().ResourceVersion; got != "2" {
		t.Errorf("resourceVersion %s", got)
	}
	if err := again.Write(status(v1alpha1.PhaseHealthy, "two"), 5); err != nil || again.Meta().ResourceVersion != "3" {
		t.Errorf("a new generation was not written: %v", err)
	}
	if !strings.Contains(fs.content(previous), "message: two") {
		t.Error("the copy before is not kept")
	}
}

// TestTheCopyBeforeIsNeverTwoChangesOld pins a bug: where an operator's version was written over, the copy before stayed what it
// had been, and an older save while evenkeel was down led back to that.
func TestTheCopyBeforeIsNeverTwoChangesOld(t *testing.T) {
	fs := newSim()
	s := open(t, fs, nil)
	s.Load()
	for _, message := range []string{"one", "two", "three"} {
		mustWrite(t, s, status(v1alpha1.PhaseHealthy, message))
	}
	fs.save(current, "[ garbage")
	if _, err := s.TakeOrder(); err == nil {
		t.Fatal("garbage was taken")
	}
	mustWrite(t, s, status(v1alpha1.PhaseHealthy, "four"))
	if !strings.Contains(fs.content(previous), "message: three") || !strings.Contains(fs.content(current), "message: four") {
		t.Errorf("the copy before:\n%s", fs.content(previous))
	}
}

// starts are the situations in which a write may find the disk. Each gives the store that will write, and the messages
// of the states that may be loaded if that write comes to nothing.
var starts = map[string]func(t *testing.T, fs *simFS) (*Store, []string){
	"nothing there": func(t *testing.T, fs *simFS) (*Store, []string) {
		s := open(t, fs, nil)
		s.Load()
		return s, []string{""}
	},
	"one state": func(t *testing.T, fs *simFS) (*Store, []string) {
		s := open(t, fs, nil)
		s.Load()
		mustWrite(t, s, status(v1alpha1.PhaseDegraded, "old"))
		return s, []string{"old"}
	},
	"two states": func(t *testing.T, fs *simFS) (*Store, []string) {
		s := open(t, fs, nil)
		s.Load()
		mustWrite(t, s, status(v1alpha1.PhaseHealthy, "older"))
		mustWrite(t, s, status(v1alpha1.PhaseDegraded, "old"))
		return s, []string{"old"}
	},
	"an order was taken": func(t *testing.T, fs *simFS) (*Store, []string) {
		s := open(t, fs, nil)
		s.Load()
		mustWrite(t, s, status(v1alpha1.PhaseHealthy, "older"))
		mustWrite(t, s, status(v1alpha1.PhaseDegraded, "old"))
		edit(t, fs, "\nphase: Degraded", "\nphase: Recovering")
		fs.SyncDir("")
		if o, err := s.TakeOrder(); err != nil || o.Phase != v1alpha1.PhaseRecovering {
			t.Fatal(o, err)
		}
		return s, []string{"old"}
	},
	"the file was removed": func(t *testing.T, fs *simFS) (*Store, []string) {
		s := open(t, fs, nil)
		s.Load()
		mustWrite(t, s, status(v1alpha1.PhaseHealthy, "older"))
		mustWrite(t, s, status(v1alpha1.PhaseDegraded, "old"))
		_ = fs.Remove(current)
		fs.SyncDir("")
		return s, []string{"older"}
	},
	"started with a broken file": func(t *testing.T, fs *simFS) (*Store, []string) {
		s := open(t, fs, nil)
		s.Load()
		mustWrite(t, s, status(v1alpha1.PhaseHealthy, "older"))
		mustWrite(t, s, status(v1alpha1.PhaseDegraded, "old"))
		fs.save(current, "phase: [")
		fs.SyncDir("")
		s = open(t, fs, nil)
		if l := s.Load(); !l.Restored {
			t.Fatalf("%+v", l)
		}
		return s, []string{"older"}
	},
}

// eachStart runs a test in every situation, with and without exchange.
func eachStart(t *testing.T, run func(t *testing.T, prepare func() (*simFS, *Store, []string))) {
	for name, start := range starts {
		for _, plain := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", plainly"}[plain], func(t *testing.T) {
				run(t, func() (*simFS, *Store, []string) {
					fs := newSim()
					fs.plain = plain
					s, old := start(t, fs)
					fs.ops, fs.log = 0, nil
					return fs, s, old
				})
			})
		}
	}
}

// operations tells how many operations the write of "new" takes.
func operations(t *testing.T, prepare func() (*simFS, *Store, []string)) int {
	fs, s, _ := prepare()
	mustWrite(t, s, status(v1alpha1.PhaseCooldown, "new"))
	return fs.ops
}

// checked are the disks that were found good, with what was wanted of them: most instants of death leave the same ones.
var checked = map[string]bool{}

var uidLine = regexp.MustCompile(`(?m)^  uid: .*$`)

// checkLoad loads, and wants one of the messages; a state is never lost.
func checkLoad(t *testing.T, fs *simFS, at string, want ...string) {
	t.Helper()
	var disk strings.Builder
	for _, path := range slices.Sorted(maps.Keys(fs.names)) {
		fmt.Fprintf(&disk, "%s\n%s\n", path, uidLine.ReplaceAllString(fs.content(path), ""))
	}
	fmt.Fprint(&disk, fs.plain, want)
	if checked[disk.String()] {
		return
	}
	checked[disk.String()] = true
	s := open(t, fs, nil)
	l := s.Load()
	found := false
	for _, m := range want {
		found = found || m == l.State.Message && l.Fresh == (m == "")
	}
	if !found || l.Lost {
		t.Fatalf("%s: loaded %q (fresh %v, lost %v, %v), want one of %q", at, l.State.Message, l.Fresh, l.Lost, l.Warnings, want)
	}
	// And whatever was found, the next write works.
	mustWrite(t, s, status(v1alpha1.PhaseHealthy, "after"))
	if l := open(t, fs, nil).Load(); l.State.Message != "after" || len(l.Warnings) > 0 {
		t.Fatalf("%s: after the next write: %+v", at, l)
	}
}

func TestPowerLossAtEveryOperation(t *testing.T) {
	eachStart(t, func(t *testing.T, prepare func() (*simFS, *Store, []string)) {
		for k := 1; k <= operations(t, prepare)+1; k++ {
			fs, s, old := prepare()
			fs.before = func(n int, _ string) error {
				if n >= k {
					return errDead
				}
				return nil
			}
			err := s.Write(status(v1alpha1.PhaseCooldown, "new"), 4)
			want := append([]string{"new"}, old...)
			if err == nil { // what was reported as written stays
				want = want[:1]
			}
			for _, found := range fs.reboots() {
				checkLoad(t, found, strings.Join(fs.log, ", "), want...)
			}
		}
	})
}

// The process dies, but the machine goes on: what was done is there.
func TestDeathAtEveryOperation(t *testing.T) {
	eachStart(t, func(t *testing.T, prepare func() (*simFS, *Store, []string)) {
		for k := 1; k <= operations(t, prepare); k++ {
			fs, s, old := prepare()
			fs.before = func(n int, _ string) error {
				if n >= k {
					return errDead
				}
				return nil
			}
			_ = s.Write(status(v1alpha1.PhaseCooldown, "new"), 4)
			fs.before = nil
			checkLoad(t, fs, strings.Join(fs.log, ", "), append(old, "new")...)
		}
	})
}

func TestFailureOfEveryOperation(t *testing.T) {
	eachStart(t, func(t *testing.T, prepare func() (*simFS, *Store, []string)) {
		for k := 1; k <= operations(t, prepare); k++ {
			for _, done := range []bool{false, true} {
				fs, s, old := prepare()
				fail := func(n int, op string) error {
					if n == k {
						return syscall.EIO
					}
					return nil
				}
				if done {
					fs.after = fail
				} else {
					fs.before = fail
				}
				err := s.Write(status(v1alpha1.PhaseCooldown, "new"), 4)
				if err != nil && !errors.Is(err, syscall.EIO) {
					t.Errorf("the cause is not told: %v", err)
				}
				fs.before, fs.after = nil, nil
				at := strings.Join(fs.log, ", ")
				for _, found := range fs.reboots() {
					checkLoad(t, found, at, append(old, "new")...)
				}
				// The same store writes the same state again, although for it nothing has changed.
				if err := s.Write(status(v1alpha1.PhaseCooldown, "new"), 4); err != nil {
					t.Fatalf("%s: the next write: %v", at, err)
				}
				for _, found := range fs.reboots() {
					checkLoad(t, found, at, "new")
				}
			}
		}
	})
}

// A write that failed on its way, and then the state is what it was before: the file is not.
func TestStateThatGoesBackAfterAFailure(t *testing.T) {
	fs, s := failedStore(t, nil)
	fs.before = func(_ int, op string) error {
		if op == "sync folder" {
			return syscall.EIO
		}
		return nil
	}
	if err := s.Write(status(v1alpha1.PhaseHealthy, "new"), 4); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	fs.before = nil
	mustWrite(t, s, status(v1alpha1.PhaseFailed, "old"))
	if l := open(t, fs, nil).Load(); l.State.Message != "old" {
		t.Errorf("%+v", l.State)
	}
}

// A disk that is full or read-only for a while: each write is refused, the state stays, and afterwards it works again.
func TestDiskThatRefusesForAWhile(t *testing.T) {
	for _, refusal := range []error{syscall.ENOSPC, syscall.EROFS} {
		eachStart(t, func(t *testing.T, prepare func() (*simFS, *Store, []string)) {
			fs, s, old := prepare()
			fs.before = func(_ int, op string) error {
				if refusal == syscall.ENOSPC && op != "write" && !strings.HasPrefix(op, "create") {
					return nil
				}
				return refusal
			}
			for range 3 {
				if err := s.Write(status(v1alpha1.PhaseCooldown, "in memory"), 4); !errors.Is(err, refusal) {
					t.Fatalf("got %v", err)
				}
			}
			fs.before = nil
			for _, found := range fs.reboots() {
				checkLoad(t, found, "refused", old...)
			}
			mustWrite(t, s, status(v1alpha1.PhaseCooldown, "new"))
			for _, found := range fs.reboots() {
				checkLoad(t, found, "again", "new")
			}
		})
	}
}
