package alert

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// TestWhatIsHandedOverAgainIsDeliveredOnce to each receiver, whatever an earlier run had come to: kept for one receiver and not
// for the other, sent, or neither.
func TestWhatIsHandedOverAgainIsDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := app(hook("a"), hook("b"))
		site.UID = "11111111-2222-4333-8444-555555555555"
		names := Names(site, numbered(0))
		if len(names) != 2 || names[0] == names[1] {
			t.Fatalf("%v", names)
		}
		r := newReports()

		// It was left in the outbox for both.
		b, f := &box{kept: map[string][]byte{}}, &fake{answer: refuse}
		b.run(t, f, r, func(d *Dispatcher) { d.Alert(site, numbered(0)) })
		if b.count() != 2 {
			t.Fatalf("%d are kept", b.count())
		}
		f = &fake{answer: accept}
		d := New(Options{Report: r.take, Log: quiet(), Outbox: b})
		withFakes(d, map[string]*fake{"a": f, "b": f})
		if d.Owed(site, numbered(0)) || !d.Owed(site, numbered(1)) {
			t.Error("the outbox holds the one and not the other")
		}
		d.Alert(site, numbered(0))
		d.Pass(site, nil)
		synctest.Wait()
		if f.count() != 2 {
			t.Errorf("delivered %d times, to two receivers", f.count())
		}
		for _, e := range r.all() {
			if !slices.Contains(names, e.Alert) {
				t.Errorf("%s names %q, want one of %q", e.Reason, e.Alert, names)
			}
		}
		_ = d.Close(t.Context())

		// The journal says that one receiver was told.
		f = &fake{answer: accept}
		d = New(Options{Report: r.take, Log: quiet(), Outbox: b})
		withFakes(d, map[string]*fake{"a": f, "b": f})
		d.Earlier(names[0])
		if !d.Owed(site, numbered(0)) {
			t.Error("the other one is owed it")
		}
		d.Alert(site, numbered(0))
		synctest.Wait()
		if f.count() != 1 {
			t.Errorf("delivered %d times, to one receiver", f.count())
		}
		// The same kind of alert of another moment is another one.
		later := numbered(0)
		later.Time.Time = later.Time.Add(1000)
		d.Alert(site, later)
		synctest.Wait()
		if f.count() != 3 {
			t.Errorf("delivered %d times", f.count())
		}
		_ = d.Close(t.Context())
	})
}

// TestANameIsTheSameAfterTheStateFile has cut what it tells.
func TestANameIsTheSameAfterTheStateFile(t *testing.T) {
	site, a := app(hook("a")), numbered(0)
	a.Message = string(slices.Repeat([]byte("é\xff"), 400))
	cut := a
	cut.Message, cut.Evidence, cut.Next, cut.Host = string([]rune(a.Message[:900])), nil, nil, "elsewhere"
	if got, want := Names(site, cut), Names(site, a); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	other := a
	other.Kind = v1alpha1.AlertResolved
	if slices.Equal(Names(site, other), Names(site, a)) {
		t.Error("two alerts have one name")
	}
}
