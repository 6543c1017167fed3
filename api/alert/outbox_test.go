package alert

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// box is an outbox in memory; full says that nothing can be written.
type box struct {
	mu   sync.Mutex
	kept map[string][]byte
	full bool
}

func (b *box) Keep(name string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full {
		return errors.New("no space left on device")
	}
	b.kept[name] = data
	return nil
}

func (b *box) Drop(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.kept, name)
	return nil
}

func (b *box) Kept() (names []string, data [][]byte, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	names = slices.Sorted(maps.Keys(b.kept))
	for _, name := range names {
		data = append(data, b.kept[name])
	}
	return names, data, nil
}

func (b *box) count() int {
	names, _, _ := b.Kept()
	return len(names)
}

// run is one run of evenkeel: until it is ended, with what does to its receiver.
func (b *box) run(t *testing.T, f *fake, r *reports, what func(d *Dispatcher)) {
	t.Helper()
	d := New(Options{Report: r.take, Log: quiet(), Host: "web1", Outbox: b})
	withFakes(d, map[string]*fake{"a": f, "b": f})
	d.Pass(app(hook("a")), nil)
	what(d)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = d.Close(ctx)
}

func numbered(n int) v1alpha1.Alert {
	a := failed()
	a.Message = fmt.Sprint("alert ", n)
	return a
}

func refuse(context.Context, int, *delivery) error { return errors.New("connection refused") }
func accept(context.Context, int, *delivery) error { return nil }

func TestWhatWasNotTakenIsSentByTheNextRunOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &box{kept: map[string][]byte{}}, newReports()
		down := &fake{answer: refuse}
		b.run(t, down, r, func(d *Dispatcher) {
			for n := range 3 {
				d.Alert(app(hook("a")), numbered(n))
				time.Sleep(time.Second) // of virtual time
			}
		})
		if b.count() != 3 || len(r.all()) != 0 {
			t.Fatalf("%d are kept, reported %+v", b.count(), r.all())
		}
		b.run(t, &fake{answer: hang}, r, func(*Dispatcher) { time.Sleep(time.Second) })
		well := &fake{answer: accept}
		b.run(t, well, r, func(d *Dispatcher) {
			d.Alert(app(hook("a")), numbered(3))
			synctest.Wait()
		})
		if want := []string{"alert 0", "alert 1", "alert 2", "alert 3"}; !slices.Equal(slices.Sorted(slices.Values(well.took)), want) {
			t.Errorf("taken: %q", well.took)
		}
		if b.count() != 0 {
			t.Errorf("%d are kept still", b.count())
		}
		again := &fake{answer: accept}
		b.run(t, again, r, func(*Dispatcher) { synctest.Wait() })
		if again.count() != 0 {
			t.Errorf("taken twice: %q", again.took)
		}
	})
}

func TestAReceiverThatIsDownForHoursIsToldOnceItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &box{kept: map[string][]byte{}}, newReports()
		began := time.Now()
		f := &fake{answer: func(ctx context.Context, n int, d *delivery) error {
			if time.Since(began) < 5*time.Hour {
				return errors.New("connection refused")
			}
			return nil
		}}
		b.run(t, f, r, func(d *Dispatcher) {
			d.Alert(app(hook("a")), numbered(0))
			time.Sleep(6 * time.Hour)
			synctest.Wait()
		})
		all := r.all()
		if len(all) != 2 || all[0].Reason != v1alpha1.ReasonAlertFailed || !strings.Contains(all[0].Message, "tried again for 24 h: connection refused") ||
			all[1].Reason != v1alpha1.ReasonAlertSent || f.count() != 1 || b.count() != 0 {
			t.Errorf("%d taken, reported %+v", f.count(), all)
		}
		if n := len(f.at); n > 100 {
			t.Errorf("it was tried %d times", n)
		}
	})
}

func TestAfterADayItIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &box{kept: map[string][]byte{}}, newReports()
		b.run(t, &fake{answer: refuse}, r, func(d *Dispatcher) {
			d.Alert(app(hook("a")), numbered(0))
			time.Sleep(25 * time.Hour)
		})
		all := r.all()
		if b.count() != 0 || len(all) != 2 || !strings.Contains(all[1].Message, ": connection refused") {
			t.Errorf("%d kept, reported %+v", b.count(), all)
		}
	})
}

func TestWhoIsNoReceiverAnyMoreGetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &box{kept: map[string][]byte{}}, newReports()
		b.run(t, &fake{answer: refuse}, r, func(d *Dispatcher) { d.Alert(app(hook("a")), numbered(0)) })
		d := New(Options{Report: r.take, Log: quiet(), Outbox: b})
		f := &fake{answer: accept}
		withFakes(d, map[string]*fake{"b": f})
		other := app(hook("b"))
		other.Name = "other" // it is not supervised by whoever left that
		d.Pass(other, nil)
		synctest.Wait()
		if b.count() != 1 {
			t.Error("another App's was taken")
		}
		d.Pass(app(hook("b")), nil)
		synctest.Wait()
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if all := r.all(); f.count() != 0 || b.count() != 0 || len(all) != 1 || !strings.Contains(all[0].Message, "does not stand in spec.alerts now") {
			t.Errorf("%d taken, %d kept, reported %+v", f.count(), b.count(), all)
		}
	})
}

func TestWithAFullDiskAnAlertIsSentAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &box{kept: map[string][]byte{}, full: true}, newReports()
		f := &fake{answer: accept}
		b.run(t, f, r, func(d *Dispatcher) { d.Alert(app(hook("a")), numbered(0)) })
		if f.count() != 1 {
			t.Errorf("%d taken", f.count())
		}
	})
}

func TestOfManyRemindersThatWaitTheLastIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &box{kept: map[string][]byte{}}, newReports()
		began := time.Now()
		f := &fake{answer: func(ctx context.Context, n int, d *delivery) error {
			if time.Since(began) < 10*time.Hour {
				return errors.New("connection refused")
			}
			return nil
		}}
		b.run(t, f, r, func(d *Dispatcher) {
			d.Alert(app(hook("a")), numbered(0))
			for n := range 9 {
				time.Sleep(time.Hour)
				a := numbered(n + 1)
				a.Kind = v1alpha1.AlertReminder
				d.Alert(app(hook("a")), a)
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
		})
		if want := []string{"alert 0", "alert 9"}; !slices.Equal(f.took, want) || b.count() != 0 {
			t.Errorf("taken: %q; %d kept", f.took, b.count())
		}
	})
}

func TestNoAddressIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := &box{kept: map[string][]byte{}}, newReports()
		d := New(Options{Report: r.take, Log: quiet(), Outbox: b})
		d.newSender = func(v1alpha1.AlertSpec) sender { return &fake{answer: refuse} }
		d.Alert(app(hook("https://hooks.example.com/s3cr3t"), v1alpha1.AlertSpec{Shoutrrr: "telegram://s3cr3t@telegram?chats=1"},
			v1alpha1.AlertSpec{Exec: []string{"/bin/tell", "s3cr3t"}}), failed())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = d.Close(ctx)
		names, data, _ := b.Kept()
		if len(names) != 3 {
			t.Errorf("%d kept", len(names))
		}
		for _, text := range data {
			if strings.Contains(string(text), "s3cr3t") {
				t.Errorf("%s", text)
			}
		}
	})
}
