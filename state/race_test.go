package state

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// TestAnOrderSavedWhileStatesAreWrittenIsTaken lets an operator save orders, by renaming as editors do, while evenkeel writes
// state after state. Every order is taken, once. RACE_ROUNDS is how many; hack/prove wants 1000.
func TestAnOrderSavedWhileStatesAreWrittenIsTaken(t *testing.T) {
	rounds := 100
	if n, err := strconv.Atoi(os.Getenv("RACE_ROUNDS")); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	s := open2(t, dir, Options{Settle: func() {}})
	s.Load()
	mustWrite(t, s, status(v1alpha1.PhaseDegraded, "0"))
	taken := make(chan Order)
	stop := make(chan struct{})
	done := make(chan error, 1)
	writes := 0
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			switch err := s.Write(status(v1alpha1.PhaseDegraded, strconv.Itoa(n)), 4); {
			case errors.Is(err, ErrEdited):
				order, err := s.TakeOrder()
				if err != nil && !errors.Is(err, ErrUnsettled) {
					done <- err
					return
				}
				if order.IsOrder() {
					taken <- order
				}
			case err != nil:
				done <- err
				return
			default:
				writes++
			}
		}
	}()
	for round := range rounds {
		// The same order saved again before the first is carried out is the same order.
		was := ""
		for !strings.Contains(was, "\nphase: Degraded\n") {
			content, err := os.ReadFile(s.Path())
			if err != nil {
				t.Fatal(err)
			}
			was = string(content)
		}
		edited := strings.Replace(was, "\nphase: Degraded\n", "\nphase: Healthy\n", 1)
		if err := os.WriteFile(s.Path()+".edited", []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(s.Path()+".edited", s.Path()); err != nil {
			t.Fatal(err)
		}
		select {
		case order := <-taken:
			if order.Phase != v1alpha1.PhaseHealthy {
				t.Fatalf("round %d: %+v", round, order)
			}
		case err := <-done:
			t.Fatalf("round %d: %v", round, err)
		case <-time.After(20 * time.Second):
			t.Fatalf("round %d: the order was not taken", round)
		}
	}
	close(stop)
	select {
	case order := <-taken:
		t.Errorf("an order too many: %+v", order)
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d orders taken once each, %d states written meanwhile", rounds, writes)
}
