package pace_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/controller/pace"
)

func TestDelaysGrowToTheirBoundAndNeverStop(t *testing.T) {
	p := pace.New(100*time.Millisecond, time.Second, 2)
	want := []time.Duration{100, 200, 400, 800, 1000, 1000}
	for n, w := range want {
		if got := p.Next(); got != w*time.Millisecond {
			t.Fatalf("delay %d = %v, want %v", n, got, w*time.Millisecond)
		}
	}
	for range 10_000 {
		if p.Next() != time.Second {
			t.Fatal("the pace stopped or left its bound")
		}
	}
	p.Reset()
	if got := p.Next(); got != 100*time.Millisecond {
		t.Fatalf("after Reset = %v, want 100ms", got)
	}
}

func TestJitterComesFromThePassedSourceAndStaysWithinItsBounds(t *testing.T) {
	delays := func() []time.Duration {
		p := pace.New(time.Second, 10*time.Second, 1, pace.WithJitter(0.2, rand.New(rand.NewPCG(1, 2))))
		var list []time.Duration
		for range 100 {
			list = append(list, p.Next())
		}
		return list
	}
	a, b := delays(), delays()
	varied := false
	for n := range a {
		if a[n] != b[n] {
			t.Fatal("the same seed gave other delays")
		}
		if a[n] < 800*time.Millisecond || a[n] > 1200*time.Millisecond {
			t.Fatalf("delay %v lies outside of its jitter", a[n])
		}
		varied = varied || a[n] != a[0]
	}
	if !varied {
		t.Fatal("there was no jitter")
	}
}
