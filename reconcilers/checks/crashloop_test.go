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
			h.Exits = append(h.Exits, runtime.Exit{At: time.Unix(1_800_000_000, 0).Add(time.Duration(n) * every), Cause: cause})
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
		if got := comesAndGoes(test.history, test.age); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}
