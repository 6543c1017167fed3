package checks

import (
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func TestALifeOfACrashLoopIsNotBelievedUntilItOutlivesTheOthers(t *testing.T) {
	history := func(exits int, every time.Duration, cause runtime.Cause) *runtime.History {
		h := &runtime.History{}
		for n := range exits {
			h.Exits = append(h.Exits, runtime.Exit{At: time.Unix(1_800_000_000, 0).Add(time.Duration(n) * every), ID: "0", Cause: cause})
		}
		return h
	}
	const crashed, ordered = runtime.CauseCrash, runtime.CauseOrder
	tests := map[string]struct {
		history *runtime.History
		age     time.Duration
		want    bool
	}{
		"no exits":                         {history(0, 0, crashed), time.Second, false},
		"four exits are none":              {history(4, time.Second, crashed), time.Second, false},
		"five, and one more life like it":  {history(5, 2*time.Second, crashed), time.Second, true},
		"it has outlived them":             {history(5, 2*time.Second, crashed), 8 * time.Second, false},
		"long lives, seen well in between": {history(12, 40*time.Second, crashed), 30 * time.Second, true},
		"long lives, outlived":             {history(12, 40*time.Second, crashed), 90 * time.Second, false},
		"ordered ends are no crashes":      {history(12, 2*time.Second, ordered), time.Second, false},
	}
	for name, test := range tests {
		if got := comesAndGoes(test.history, "0", test.age); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

func TestOneOfSeveralRowsThatComesAndGoesIsNotTheApplication(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	h := &runtime.History{}
	for n := range 8 {
		h.Exits = append(h.Exits, runtime.Exit{At: start.Add(time.Duration(n) * 10 * time.Second), ID: "1", Cause: runtime.CauseCrash})
	}
	if comesAndGoes(h, "0", 12*time.Second) {
		t.Error("row 0 has never ended, and is taken for one of a crash loop")
	}
	if !comesAndGoes(h, "1", 12*time.Second) {
		t.Error("row 1 alone is left, and is believed")
	}
	// All of four rows, each of which lives for 40 s.
	h.Exits = nil
	for n := range 12 {
		h.Exits = append(h.Exits, runtime.Exit{At: start.Add(time.Duration(n) * 10 * time.Second), ID: string(rune('0' + n%4)), Cause: runtime.CauseCrash})
	}
	if !comesAndGoes(h, "2", 38*time.Second) || comesAndGoes(h, "2", 100*time.Second) {
		t.Error("the longest-lived of four is to be measured by the life of one")
	}
}
