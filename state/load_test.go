package state

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestBrokenFileIsSetAsideAndTheCopyBeforeIsUsed(t *testing.T) {
	fs, before := failedStore(t, nil)
	fs.save(current, "phase: [")
	s := open(t, fs, nil)
	l := s.Load()
	if !l.Restored || l.Lost || l.Fresh || l.State.Message != "older" || l.State.Phase != v1alpha1.PhaseDegraded || len(l.Warnings) != 3 {
		t.Fatalf("%+v", l)
	}
	kept := "/state/shop.broken-20261123T031241Z.yaml"
	if fs.content(kept) != "phase: [" || !strings.Contains(fmt.Sprint(l.Warnings), kept) {
		t.Errorf("not kept: %v", l.Warnings)
	}
	if l.State.UID != before.Meta().UID {
		t.Error("the uid has changed")
	}
	mustWrite(t, s, status(v1alpha1.PhaseCooldown, "new"))
	if got := s.Meta().ResourceVersion; got != "3" {
		t.Errorf("resourceVersion %s went back", got)
	}
}

// In the copy before there is never an order.
func TestCopyBeforeHoldsNoOrder(t *testing.T) {
	fs, _ := failedStore(t, nil)
	fs.save(previous, strings.Replace(fs.content(previous), "\nphase: Degraded", "\nphase: Healthy", 1))
	fs.save(current, "")
	if l := open(t, fs, nil).Load(); !l.Restored || l.Order.IsOrder() || l.State.Phase != v1alpha1.PhaseDegraded {
		t.Errorf("%+v", l)
	}
}

// That there was a state and no good copy of it is known until the next write, however often evenkeel dies before it.
func TestLostIsNotForgotten(t *testing.T) {
	fs, _ := failedStore(t, nil)
	fs.save(current, "")
	fs.save(previous, "also broken")
	for range 3 {
		l := open(t, fs, nil).Load()
		if !l.Lost || l.Fresh || l.Restored || l.State.Phase != v1alpha1.PhaseHealthy || l.State.UID == "" {
			t.Fatalf("%+v", l)
		}
	}
	s := open(t, fs, nil)
	s.Load()
	mustWrite(t, s, status(v1alpha1.PhaseHealthy, "new"))
	if l := open(t, fs, nil).Load(); l.Lost || l.State.Message != "new" {
		t.Errorf("%+v", l)
	}
}

func TestBrokenFileWithoutACopyBeforeIsLost(t *testing.T) {
	fs := newSim()
	fs.save(current, "broken")
	l := open(t, fs, nil).Load()
	if !l.Lost || l.Fresh || l.Restored {
		t.Errorf("%+v", l)
	}
	_ = fs.Remove(current)
	fs.save(previous, "broken")
	if l := open(t, fs, nil).Load(); !l.Lost || l.Fresh || l.Restored {
		t.Errorf("without the file itself: %+v", l)
	}
}

// An editor that is just writing in place when evenkeel starts.
func TestHalfWrittenFileAtStartIsWaitedFor(t *testing.T) {
	fs, _ := failedStore(t, nil)
	whole := strings.Replace(fs.content(current), "\nphase: Failed", "\nphase: Healthy", 1)
	const pieces = 12
	settled := 0
	s := open(t, fs, func() {
		if settled++; settled <= pieces {
			fs.save(current, whole[:len(whole)*settled/pieces])
		}
	})
	fs.save(current, "")
	if l := s.Load(); l.Restored || l.Lost || l.Order.Phase != v1alpha1.PhaseHealthy || l.State.Message != "old" {
		t.Errorf("after %d looks: %+v", settled, l)
	}
}

// A file that was cut off after a whole line is good YAML, and knows of no attempts. It is not believed.
func TestCutOffFileIsNotBelieved(t *testing.T) {
	for cut := 0; ; cut++ {
		fs, _ := failedStore(t, nil)
		whole := fs.content(current)
		if cut >= len(whole)-1 {
			break
		}
		fs.save(current, whole[:cut])
		if l := open(t, fs, nil).Load(); !l.Restored || l.Order.IsOrder() {
			t.Fatalf("cut off after %d of %d: %+v", cut, len(whole), l)
		}
	}
}

func TestBrokenFilesKeptAreBounded(t *testing.T) {
	fs, _ := failedStore(t, nil)
	for i := range 10 {
		fs.save(current, fmt.Sprintf("broken %d", i))
		s, err := NewStore("/state", "shop", Options{FS: fs, Settle: func() {}, Now: func() time.Time { return testNow.Add(time.Duration(i) * time.Hour) }})
		if err != nil {
			t.Fatal(err)
		}
		s.Load()
		s.Load() // the same once more is not kept twice
	}
	names, _ := fs.List("/state")
	kept := 0
	for _, name := range names {
		if strings.Contains(name, ".broken-") {
			kept++
		}
	}
	if kept != maxBroken || !strings.Contains(strings.Join(names, " "), "shop.broken-20261123T121241Z.yaml") {
		t.Errorf("%v", names)
	}
}

// A start on a disk that nothing can be written to.
func TestLoadOnAReadOnlyDisk(t *testing.T) {
	fs, _ := failedStore(t, nil)
	fs.save(current, "broken")
	fs.before = func(int, string) error { return syscall.EROFS }
	s := open(t, fs, nil)
	l := s.Load()
	if !l.Restored || l.State.Message != "older" || !strings.Contains(fmt.Sprint(l.Warnings), "read-only") {
		t.Errorf("%+v", l)
	}
	if err := s.Write(status(v1alpha1.PhaseHealthy, "new"), 1); !errors.Is(err, syscall.EROFS) {
		t.Errorf("%v", err)
	}
}

// A state that was kept by a newer evenkeel has fields that this one does not know.
func TestFieldsOfANewerVersion(t *testing.T) {
	fs, _ := failedStore(t, nil)
	edit(t, fs, "\nincident:", "\nnovelty: {a: 1}\nincident:")
	s := open(t, fs, nil)
	if l := s.Load(); l.Restored || l.Lost || l.State.Message != "old" || l.Order.IsOrder() {
		t.Errorf("%+v", l)
	}
	mustWrite(t, s, status(v1alpha1.PhaseFailed, "old"))
	if strings.Contains(fs.content(current), "novelty") {
		t.Error("it was not written anew")
	}
}

func TestReadState(t *testing.T) {
	dir := t.TempDir()
	s := open2(t, dir, Options{Settle: func() {}})
	if _, err := ReadState(dir, "shop"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	s.Load()
	mustWrite(t, s, status(v1alpha1.PhaseDegraded, "old"))
	mustWrite(t, s, status(v1alpha1.PhaseFailed, "new"))
	content, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(content), "\nphase: Failed", "\nphase: Healthy", 1)
	if err := os.WriteFile(s.Path(), []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err := ReadState(dir, "shop"); err != nil || st.Phase != v1alpha1.PhaseFailed || st.Message != "new" {
		t.Errorf("an order that was not taken: %+v, %v", st, err)
	}
	if err := os.WriteFile(s.Path(), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if st, err := ReadState(dir, "shop"); err == nil || st == nil || st.Message != "old" {
		t.Errorf("a broken one: %+v, %v", st, err)
	}
	for _, name := range []string{"shop.yaml", "shop.previous.yaml"} {
		if info, err := os.Stat(dir + "/" + name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// Whatever is in the file, reading it ends, nothing is lost that was good, and the next write works.
func FuzzStateFile(f *testing.F) {
	fs, _ := failedStore(f, nil)
	good := fs.content(current)
	f.Add(good)
	for _, test := range edits {
		f.Add(test.edit(good))
	}
	f.Add("a: &a [*a, *a]\nb: &b [*a, *a]\n")
	f.Add("? [x]\n: y\n")
	f.Add("<<: {phase: Healthy}\n")
	f.Fuzz(func(t *testing.T, content string) {
		fs, s := failedStore(t, nil)
		fs.save(current, content)
		order, err := s.TakeOrder()
		if err != nil && (order != Order{Rewrite: true}) {
			t.Errorf("rejected, and yet %+v", order)
		}
		switch order.Phase {
		case "", v1alpha1.PhaseHealthy, v1alpha1.PhaseFailed, v1alpha1.PhaseRecovering:
		default:
			t.Errorf("ordered %q", order.Phase)
		}
		fs.save(current, content)
		next := open(t, fs, nil)
		l := next.Load()
		if l.Lost || l.Fresh || l.State.Phase != l.State.ObservedPhase || l.State.Name != "shop" {
			t.Errorf("%+v", l)
		}
		st := l.State.AppStatus
		st.Message = "loaded: " + content
		if err := next.Write(st, 1); err != nil {
			t.Fatal(err)
		}
		again := open(t, fs, nil).Load()
		if again.Restored || len(again.Warnings) > 0 || again.Rejected != nil || again.Order.IsOrder() ||
			again.State.Phase != st.Phase || again.State.Message != string([]rune(st.Message)) {
			t.Errorf("what was written is not what is loaded: %+v", again)
		}
	})
}

// After a loss versions begin anew. What was saved before it is older than anything since, whatever its version says.
func TestAFileFromBeforeALossIsNotBelieved(t *testing.T) {
	fs, _ := failedStore(t, nil)
	before := fs.content(current) // of version 2
	fs.save(current, "garbage")
	fs.save(previous, "garbage")
	s := open(t, fs, nil)
	if l := s.Load(); !l.Lost {
		t.Fatalf("%+v", l)
	}
	mustWrite(t, s, status(v1alpha1.PhaseDegraded, "first"))
	mustWrite(t, s, status(v1alpha1.PhaseDegraded, "second"))
	fs.save(current, strings.Replace(before, "\nphase: Failed", "\nphase: Healthy", 1))
	again := open(t, fs, nil)
	l := again.Load()
	if !l.Restored || l.Lost || l.State.Message != "first" || l.Order.Phase != v1alpha1.PhaseHealthy || l.State.UID != s.Meta().UID {
		t.Errorf("%+v", l)
	}
	if version := again.Meta().ResourceVersion; version != "2" {
		t.Errorf("version %s, want 2", version)
	}
}

// An editor that was opened long ago saves while evenkeel is down: an order in it counts, and its record, which knows of
// fewer attempts, does not.
func TestOlderFileSavedWhileDownIsNotBelieved(t *testing.T) {
	fs := newSim()
	s := open(t, fs, nil)
	s.Load()
	mustWrite(t, s, status(v1alpha1.PhaseHealthy, "opened"))
	opened := fs.content(current)
	for _, message := range []string{"one", "two", "three"} {
		mustWrite(t, s, status(v1alpha1.PhaseDegraded, message))
	}
	for _, tc := range []struct {
		file  string
		order v1alpha1.Phase
	}{
		{opened, ""},
		{strings.Replace(opened, "\nphase: Healthy", "\nphase: Failed", 1), v1alpha1.PhaseFailed},
		{fs.content(previous), ""},
	} {
		fs.save(current, tc.file)
		s := open(t, fs, nil)
		l := s.Load()
		if !l.Restored || l.Lost || l.State.Message != "two" || l.State.Phase != v1alpha1.PhaseDegraded || l.Order.Phase != tc.order || !l.Order.Rewrite || len(l.Warnings) == 0 {
			t.Errorf("%+v", l)
		}
		if version := s.Meta().ResourceVersion; version != "4" {
			t.Errorf("version %s, want 4", version)
		}
	}
	s = open(t, fs, nil)
	l := s.Load()
	mustWrite(t, s, l.State.AppStatus)
	if l := open(t, fs, nil).Load(); l.Restored || l.Order.IsOrder() || l.State.Message != "two" || l.State.ResourceVersion != "5" {
		t.Errorf("after the next write: %+v", l)
	}
}
