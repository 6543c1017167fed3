package state

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// TestAnOrderSavedAtTheLastMomentOutlivesEveryDeath saves an order at the very instant at which a new state takes its place, and
// lets evenkeel die at each operation from then on, and then again at each operation of the start and the write that follow. The
// order is obeyed, and the state is one of the two. An order that was taken and written is never taken again.
func TestAnOrderSavedAtTheLastMomentOutlivesEveryDeath(t *testing.T) {
	deaths, again := 0, 0
	points := map[string]bool{}
	for k := 1; ; k++ {
		fs, s := failedStore(t, nil)
		fs.ops, fs.log = 0, nil
		saved := false
		fs.before = func(n int, op string) error {
			if strings.HasPrefix(op, "exchange") && !saved {
				saved = true
				edit(t, fs, "\nphase: Failed", "\nphase: Recovering\nforce: true")
			}
			if n >= k {
				return errDead
			}
			return nil
		}
		err := s.Write(status(v1alpha1.PhaseCooldown, "new"), 4)
		ops, at := fs.ops, strings.Join(fs.log, ", ")
		fs.before = nil
		if k > ops {
			if !errors.Is(err, ErrEdited) {
				t.Errorf("undisturbed: %v", err)
			}
			break
		}
		if !saved {
			continue
		}
		deaths++
		points[fs.log[k-1]] = true
		for j := 1; ; j++ {
			disk := fs.clone()
			disk.before = func(n int, _ string) error {
				if n >= j {
					return errDead
				}
				return nil
			}
			next := open(t, disk, nil)
			first := next.Load()
			if first.Order != (Order{Phase: v1alpha1.PhaseRecovering, Force: true, Rewrite: true}) || first.State.Message != "old" && first.State.Message != "new" {
				t.Fatalf("after %s: %+v of state %q", at, first.Order, first.State.Message)
			}
			err := next.Write(status(v1alpha1.PhaseRecovering, "obeyed"), 4)
			if err == nil && j > disk.ops {
				break
			}
			again++
			where := at + "; " + strings.Join(disk.log, ", ")
			disk.before = nil
			l := open(t, disk, nil).Load()
			if obeyed := l.State.Message == "obeyed"; obeyed == l.Order.IsOrder() || l.Lost || l.Restored {
				t.Fatalf("after %s: %+v of state %q (%v)", where, l.Order, l.State.Message, l.Warnings)
			}
		}
	}
	t.Logf("%d deaths after an order was saved at the last moment (%v), %d more at the start after it: it was obeyed once each",
		deaths, slices.Sorted(maps.Keys(points)), again)
	if deaths < 3 || again < 10 {
		t.Errorf("%d and %d deaths only", deaths, again)
	}
}

// TestAnOrderThatWasTakenIsNotTakenAgain lets evenkeel die at each operation of the write that carries an order out.
func TestAnOrderThatWasTakenIsNotTakenAgain(t *testing.T) {
	for k := 1; ; k++ {
		fs, s := failedStore(t, nil)
		edit(t, fs, "\nphase: Failed", "\nphase: Recovering")
		if o, err := s.TakeOrder(); err != nil || o.Phase != v1alpha1.PhaseRecovering {
			t.Fatal(o, err)
		}
		fs.ops, fs.log = 0, nil
		fs.before = func(n int, _ string) error {
			if n >= k {
				return errDead
			}
			return nil
		}
		err := s.Write(status(v1alpha1.PhaseRecovering, "obeyed"), 4)
		fs.before = nil
		l := open(t, fs, nil).Load()
		if obeyed := l.State.Message == "obeyed"; obeyed == l.Order.IsOrder() || l.Restored {
			t.Fatalf("%v: %+v of state %q", fs.log, l.Order, l.State.Message)
		}
		if err == nil && k > fs.ops {
			break
		}
	}
}

// A later order counts, and what is left of a file that is no order, or not all there, is none.
func TestWhatIsLeftBesideTheStateFileIsNoOrderByItself(t *testing.T) {
	order := func(fs *simFS) string {
		return strings.Replace(fs.content(current), "\nphase: Failed", "\nphase: Recovering", 1)
	}
	for name, c := range map[string]struct {
		left func(fs *simFS) string
		also func(fs *simFS)
		want v1alpha1.Phase
	}{
		"the state before":  {left: func(fs *simFS) string { return fs.content(current) }},
		"half an order":     {left: func(fs *simFS) string { return order(fs)[:len(order(fs))-90] }},
		"noise":             {left: func(*simFS) string { return "phase: [" }},
		"an older order":    {left: order, also: func(fs *simFS) { edit(t, fs, "\nphase: Failed", "\nphase: Healthy") }, want: v1alpha1.PhaseHealthy},
		"another App's":     {left: func(fs *simFS) string { return strings.ReplaceAll(order(fs), "shop", "other") }},
		"an order":          {left: order, want: v1alpha1.PhaseRecovering},
		"no state, however": {left: order, also: func(fs *simFS) { _ = fs.Remove(current) }},
	} {
		fs, _ := failedStore(t, nil)
		fs.save(temporary(current), c.left(fs))
		if c.also != nil {
			c.also(fs)
		}
		if l := open(t, fs, nil).Load(); l.Order.Phase != c.want {
			t.Errorf("%s: %+v", name, l.Order)
		}
	}
	// Where nothing can be written, it is obeyed all the same.
	fs, _ := failedStore(t, nil)
	fs.save(temporary(current), order(fs))
	fs.before = func(int, string) error { return errors.New("no space left on device") }
	s := open(t, fs, nil)
	if l := s.Load(); l.Order.Phase != v1alpha1.PhaseRecovering || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0].Error(), "no space left") {
		t.Errorf("%+v, %v", l.Order, l.Warnings)
	}
}

// TestWhatIsToBeToldGoesWithTheState, costs no write of its own, and is there again at the start.
func TestWhatIsToBeToldGoesWithTheState(t *testing.T) {
	fs := newSim()
	s := open(t, fs, nil)
	s.Load()
	st := status(v1alpha1.PhaseFailed, "one")
	st.Telling = &v1alpha1.Telling{
		Events: []v1alpha1.Event{{Reason: "PhaseChanged", Message: "tricky: \"x\"\n\u0085\x7f\x01 # é\u2028"}},
		Alerts: []v1alpha1.Alert{{Kind: v1alpha1.AlertFailed, App: "shop"}},
	}
	mustWrite(t, s, st)
	was := fs.ops
	st.Telling = nil
	mustWrite(t, s, st)
	st.Telling = &v1alpha1.Telling{Events: []v1alpha1.Event{{Reason: "Held", Message: "nothing has changed"}}}
	mustWrite(t, s, st)
	again := open(t, fs, nil)
	l := again.Load()
	mustWrite(t, again, status(v1alpha1.PhaseFailed, "one"))
	if fs.ops != was {
		t.Errorf("written for its own sake: %v", fs.log[was:])
	}
	if got := l.State.Telling; got == nil || len(got.Alerts) != 1 || len(got.Events) != 1 || got.Events[0].Message != "tricky: \"x\"\n\u0085\x7f\x01 # é\u2028" {
		t.Errorf("%+v", l.State.Telling)
	}
	mustWrite(t, again, status(v1alpha1.PhaseFailed, "two"))
	if l := open(t, fs, nil).Load(); l.State.Telling != nil {
		t.Errorf("it is told, and stands still: %+v", l.State.Telling)
	}
}

// clone is a copy of the file system as it now is, with nothing pending.
func (s *simFS) clone() *simFS {
	c := newSim()
	c.clock = s.clock
	for path, n := range s.names {
		if n != nil {
			c.names[path] = &node{data: slices.Clone(n.data), synced: slices.Clone(n.data), stamp: n.stamp}
		}
	}
	c.durable = maps.Clone(c.names)
	return c
}
