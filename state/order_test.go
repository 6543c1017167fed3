package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// failedStore is a store that has written the phase Failed twice.
func failedStore(t testing.TB, settle func()) (*simFS, *Store) {
	t.Helper()
	fs := newSim()
	s := open(t, fs, settle)
	s.Load()
	mustWrite(t, s, status(v1alpha1.PhaseDegraded, "older"))
	mustWrite(t, s, status(v1alpha1.PhaseFailed, "old"))
	return fs, s
}

// edits are what operators save, and what comes of it.
var edits = map[string]struct {
	edit  func(was string) string
	order v1alpha1.Phase
	force bool
	// rejected is part of the reason why it is; line is where.
	rejected string
	line     int
}{
	"reset":      {edit: swap("\nphase: Failed", "\nphase: Healthy"), order: v1alpha1.PhaseHealthy},
	"quoted":     {edit: swap("\nphase: Failed", "\n"+`"phase": 'Healthy' # please`), order: v1alpha1.PhaseHealthy},
	"recover":    {edit: swap("\nphase: Failed", "\nphase: Recovering"), order: v1alpha1.PhaseRecovering},
	"force":      {edit: swap("\nphase: Failed", "\nphase: Recovering\nforce: true"), order: v1alpha1.PhaseRecovering, force: true},
	"force: yes": {edit: swap("\nphase: Failed", "\nphase: Recovering\nforce: yes"), order: v1alpha1.PhaseRecovering, force: true},
	"force matters beside Recovering only": {edit: swap("\nphase: Failed", "\nphase: Healthy\nforce: 7"),
		order: v1alpha1.PhaseHealthy},
	"a stale save": {edit: func(was string) string { return strings.ReplaceAll(was, ": Failed", ": Degraded") }},
	"an order in a stale file": {edit: func(was string) string {
		return strings.Replace(was, "observedPhase: Failed", "observedPhase: Cooldown", 1)
	}, order: v1alpha1.PhaseFailed},
	"a comment": {edit: func(was string) string { return was + "# a note\n" }},
	"all else is ignored": {edit: func(was string) string {
		return strings.Replace(strings.Replace(was, "\nphase: Failed", "\nphase: Healthy", 1), "message: old", "message: [1, 2]", 1)
	}, order: v1alpha1.PhaseHealthy},
	"only what is needed": {edit: func(string) string {
		return "{apiVersion: evenkeel.dev/v1alpha1, kind: AppState, metadata: {name: shop}, phase: Healthy, observedPhase: Failed}"
	}, order: v1alpha1.PhaseHealthy},

	"cut off in observedPhase": {edit: func(was string) string { return was[:strings.Index(was, "\nobservedPhase")+18] },
		rejected: `observedPhase is "Fa"`, line: 16},
	"cut off before observedPhase": {edit: func(was string) string { return was[:strings.Index(was, "\nobservedPhase")+1] },
		rejected: `observedPhase is ""`},
	"cut off later": {edit: func(was string) string {
		return strings.Replace(was, "\nphase: Failed", "\nphase: Healthy", 1)[:strings.Index(was, "\nincident")]
	}, order: v1alpha1.PhaseHealthy},
	"a typing error":     {edit: swap("\nphase: Failed", "\nphase: Helthy"), rejected: `"Helthy" is no phase; phase takes Healthy`, line: 15},
	"a letter's case":    {edit: swap("\nphase: Failed", "\nphase: healthy"), rejected: `"healthy" is no phase`, line: 15},
	"no phase":           {edit: swap("\nphase: Failed\n", "\n\n"), rejected: "phase is missing"},
	"an empty phase":     {edit: swap("\nphase: Failed", "\nphase:"), rejected: `"" is no phase`, line: 15},
	"a list for a phase": {edit: swap("\nphase: Failed", "\nphase: [Healthy]"), rejected: `"" is no phase`, line: 15},
	"Cooldown":           {edit: swap("\nphase: Failed", "\nphase: Cooldown"), rejected: "Cooldown is not for an operator", line: 15},
	"Degraded":           {edit: swap("\nphase: Failed", "\nphase: Degraded"), rejected: "Degraded is not for an operator", line: 15},
	"force: perhaps":     {edit: swap("\nphase: Failed", "\nphase: Recovering\nforce: perhaps"), rejected: `force is "perhaps"`, line: 16},
	"appended":           {edit: func(was string) string { return was + "phase: Healthy\n" }, rejected: `"phase" stands twice`, line: 33},
	"a tab":              {edit: swap("\nphase: Failed", "\nphase: Healthy\n\tx: y"), rejected: "tab character", line: 15},
	"another App":        {edit: swap("name: shop", "name: other"), rejected: `it is the state of "other"; metadata.name has to be "shop"`, line: 12},
	"another kind":       {edit: swap("kind: AppState", "kind: App"), rejected: `kind is "App"; it has to be AppState`, line: 8},
	"another version":    {edit: swap("v1alpha1", "v2"), rejected: `apiVersion is "evenkeel.dev/v2"`, line: 7},
	"empty":              {edit: func(string) string { return "" }, rejected: "it is empty"},
	"half a file":        {edit: func(was string) string { return was[:strings.Index(was, "\nobservedPhase")-4] }, rejected: `"Fa" is no phase`, line: 15},
	"something else":     {edit: func(string) string { return "Dear evenkeel, please reset" }, rejected: "it holds no fields", line: 1},
	"binary":             {edit: func(string) string { return "\x00\xff\x01" }, rejected: "control characters"},
	"an alias to itself": {edit: func(string) string { return "&a [*a]" }, rejected: "it holds no fields", line: 1},
}

func swap(from, to string) func(string) string {
	return func(was string) string { return strings.Replace(was, from, to, 1) }
}

func TestOrders(t *testing.T) {
	for name, test := range edits {
		t.Run(name, func(t *testing.T) {
			fs, s := failedStore(t, nil)
			edited := test.edit(fs.content(current))
			fs.save(current, edited)
			if err := s.Write(status(v1alpha1.PhaseFailed, "new"), 4); !errors.Is(err, ErrEdited) || fs.content(current) != edited {
				t.Fatalf("an edit was written over: %v", err)
			}
			order, err := s.TakeOrder()
			var e *RejectedError
			switch {
			case test.rejected == "" && err != nil:
				t.Fatal(err)
			case test.rejected != "":
				if !errors.As(err, &e) || !strings.Contains(err.Error(), test.rejected) {
					t.Fatalf("got %v, want %q", err, test.rejected)
				}
				if e.Line != test.line {
					t.Errorf("line %d, want %d: %v", e.Line, test.line, err)
				}
				if e.Kept != rejected || fs.content(rejected) != edited {
					t.Errorf("it was not kept")
				}
			}
			if want := (Order{Phase: test.order, Force: test.force, Rewrite: true}); order != want {
				t.Errorf("got %+v, want %+v", order, want)
			}
			// An order is given once.
			if again, err := s.TakeOrder(); err != nil || again != (Order{Rewrite: true}) {
				t.Errorf("again: %+v, %v", again, err)
			}
			// The file is written although, for evenkeel, nothing has changed; what an operator wrote is no good copy.
			mustWrite(t, s, status(v1alpha1.PhaseFailed, "old"))
			if now := fs.content(current); now == edited || !strings.Contains(now, "message: old") {
				t.Errorf("it was not written again:\n%s", now)
			}
			if fs.content(previous) == edited {
				t.Error("an edited file was kept as the good copy")
			}
			if again, err := s.TakeOrder(); err != nil || again != (Order{}) {
				t.Errorf("after the write: %+v, %v", again, err)
			}
		})
	}
}

// The same edits, saved while evenkeel was down: the record is never lost, and orders count.
func TestOrdersAtStart(t *testing.T) {
	for name, test := range edits {
		t.Run(name, func(t *testing.T) {
			fs, _ := failedStore(t, nil)
			fs.save(current, test.edit(fs.content(current)))
			l := open(t, fs, nil).Load()
			if l.Lost || l.Fresh || l.State.Phase != l.State.ObservedPhase {
				t.Fatalf("%+v", l)
			}
			if l.Restored {
				if l.Order.IsOrder() || l.State.Message != "older" || len(l.Warnings) == 0 {
					t.Errorf("%+v", l)
				}
				return
			}
			if l.Order.Phase != test.order || l.Order.Force != test.force || (l.Rejected != nil) != (test.rejected != "") {
				t.Errorf("order %+v, rejected %v", l.Order, l.Rejected)
			}
		})
	}
}

func TestOrderAtStartIsTakenOnceAndWrittenOver(t *testing.T) {
	fs, _ := failedStore(t, nil)
	edit(t, fs, "\nphase: Failed", "\nphase: Recovering\nforce: true")
	s := open(t, fs, nil)
	l := s.Load()
	if l.Order != (Order{Phase: v1alpha1.PhaseRecovering, Force: true, Rewrite: true}) || l.State.Phase != v1alpha1.PhaseFailed ||
		l.State.Message != "old" || l.State.Force {
		t.Fatalf("%+v", l)
	}
	if o, err := s.TakeOrder(); err != nil || o.IsOrder() {
		t.Errorf("it is given twice: %+v, %v", o, err)
	}
	// Until it is carried out on disk, it is still there for the next start.
	if l := open(t, fs, nil).Load(); l.Order.Phase != v1alpha1.PhaseRecovering {
		t.Errorf("%+v", l)
	}
	mustWrite(t, s, status(v1alpha1.PhaseRecovering, "new"))
	if l := open(t, fs, nil).Load(); l.Order.IsOrder() || l.State.Message != "new" {
		t.Errorf("%+v", l)
	}
}

func TestRemovedFileIsWrittenAgain(t *testing.T) {
	fs, s := failedStore(t, nil)
	_ = fs.Remove(current)
	if o, err := s.TakeOrder(); err != nil || o != (Order{Rewrite: true}) {
		t.Fatalf("%+v, %v", o, err)
	}
	mustWrite(t, s, status(v1alpha1.PhaseFailed, "old"))
	if !strings.Contains(fs.content(current), "message: old") {
		t.Error("it was not")
	}
}

// An editor that writes in place, piece by piece: nothing is rejected, and the order is taken when it is whole.
func TestHalfWrittenFileIsWaitedFor(t *testing.T) {
	for _, pieces := range []int{2, 5, 17} {
		var fs *simFS
		var whole string
		settled := 0
		fs, s := failedStore(t, func() {
			if settled++; settled <= pieces {
				fs.save(current, whole[:len(whole)*settled/pieces])
			}
		})
		whole = strings.Replace(fs.content(current), "\nphase: Failed", "\nphase: Healthy", 1)
		fs.save(current, "")
		if o, err := s.TakeOrder(); err != nil || o.Phase != v1alpha1.PhaseHealthy {
			t.Errorf("in %d pieces: %+v, %v", pieces, o, err)
		}
		if settled < pieces || fs.content(rejected) != "" {
			t.Errorf("in %d pieces: %d looks", pieces, settled)
		}
	}
}

func TestFileThatNeverSettlesIsLeftForLater(t *testing.T) {
	var fs *simFS
	fs, s := failedStore(t, func() { edit(t, fs, "\nmessage: ", "\nmessage: x") })
	edit(t, fs, "\nphase: Failed", "\nphase: Healthy")
	if o, err := s.TakeOrder(); !errors.Is(err, ErrUnsettled) || o != (Order{}) {
		t.Errorf("%+v, %v", o, err)
	}
}

// An operator saves in the very instant in which evenkeel writes.
func TestOrderSavedAtTheLastMoment(t *testing.T) {
	for _, plain := range []bool{false, true} {
		for k := 1; ; k++ {
			fs, s := failedStore(t, nil)
			fs.plain = plain
			fs.ops, fs.log = 0, nil
			var at string
			fs.before = func(n int, op string) error {
				if n == k {
					edit(t, fs, "\nphase: Failed", "\nphase: Healthy")
					at = op
				}
				return nil
			}
			err := s.Write(status(v1alpha1.PhaseFailed, "new"), 4)
			fs.before = nil
			if at == "" {
				break
			}
			if plain && strings.HasPrefix(at, "rename .shop.yaml.new shop.yaml") {
				continue // the instant that cannot be closed there
			}
			order, takeErr := s.TakeOrder()
			if takeErr != nil || order.Phase != v1alpha1.PhaseHealthy {
				t.Errorf("saved before %q: the write said %v, the order is %+v, %v", at, err, order, takeErr)
			}
			mustWrite(t, s, status(v1alpha1.PhaseHealthy, "reset"))
		}
	}
}

// Saving the same order again, when its first life never reached the disk, is an order again.
func TestSameOrderSavedAgain(t *testing.T) {
	fs, s := failedStore(t, nil)
	edit(t, fs, "\nphase: Failed", "\nphase: Healthy")
	for range 2 {
		fs.save(current, fs.content(current))
		if o, err := s.TakeOrder(); err != nil || o.Phase != v1alpha1.PhaseHealthy {
			t.Errorf("%+v, %v", o, err)
		}
	}
	fs.save(current, fs.content(current))
	if err := s.Write(status(v1alpha1.PhaseHealthy, "reset"), 4); !errors.Is(err, ErrEdited) {
		t.Errorf("it was written over: %v", err)
	}
}

// What is no file is neither waited for nor followed, on the real file system.
func TestWhatIsNoFile(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "precious")
	things := map[string]func(path string) error{
		"a pipe":          func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a folder":        func(path string) error { return os.Mkdir(path, 0o700) },
		"a full folder":   func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		"a symbolic link": func(path string) error { return os.Symlink(elsewhere, path) },
		"too large":       func(path string) error { return os.WriteFile(path, make([]byte, MaxSize+1), 0o600) },
	}
	for name, make := range things {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(elsewhere, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			o := Options{Settle: func() {}, Now: func() time.Time { return testNow }}
			s, err := NewStore(dir, "shop", o)
			if err != nil {
				t.Fatal(err)
			}
			s.Load()
			mustWrite(t, s, status(v1alpha1.PhaseFailed, "old"))
			mustWrite(t, s, status(v1alpha1.PhaseFailed, "new"))
			for range 2 { // also when the place for rejected things is taken
				if err := os.Remove(s.Path()); err != nil {
					t.Fatal(err)
				}
				if err := make(s.Path()); err != nil {
					t.Fatal(err)
				}
				if l := open2(t, dir, o).Load(); !l.Restored || l.State.Phase != v1alpha1.PhaseFailed {
					t.Errorf("at a start: %+v", l)
				}
				if err := s.Write(status(v1alpha1.PhaseFailed, "new"), 4); !errors.Is(err, ErrEdited) {
					t.Errorf("write: %v", err)
				}
				order, err := s.TakeOrder()
				var e *RejectedError
				if !errors.As(err, &e) || order != (Order{Rewrite: true}) || e.Kept == "" {
					t.Fatalf("%+v, %v", order, err)
				}
				mustWrite(t, s, status(v1alpha1.PhaseFailed, "new"))
			}
			if content, _ := os.ReadFile(elsewhere); string(content) != "precious" {
				t.Error("the link was followed")
			}
			if st, err := ReadState(dir, "shop"); err != nil || st.Message != "new" {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
}

func open2(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := NewStore(dir, "shop", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnOrderThatCannotBeObeyedIsKeptOnce(t *testing.T) {
	for _, down := range []bool{false, true} { // evenkeel did not run when it was saved
		fs, s := failedStore(t, nil)
		edited := strings.Replace(fs.content(current), "\nphase: Failed", "\nphase: Recovering", 1)
		fs.save(current, edited)
		if down {
			s = open(t, fs, nil)
			if l := s.Load(); !l.Order.IsOrder() {
				t.Fatal("no order")
			}
		} else if order, err := s.TakeOrder(); err != nil || !order.IsOrder() {
			t.Fatalf("%+v, %v", order, err)
		}
		e := s.Refuse("not now")
		if e == nil || e.Kept != rejected || !strings.Contains(e.Error(), "not now") || fs.content(rejected) != edited {
			t.Errorf("down %t: %v, kept %q", down, e, fs.content(rejected))
		}
		if e := s.Refuse("not now"); e != nil {
			t.Errorf("down %t: it is refused twice: %v", down, e)
		}
	}
}
