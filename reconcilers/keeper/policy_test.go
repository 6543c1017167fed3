//go:build linux

package keeper

import (
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func TestWaitsGrowAndBeginAnewAfterAStableStretch(t *testing.T) {
	w := waits{pace: pace.New(firstWait, mostWait, 2)}
	for n, want := range []time.Duration{0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second} {
		if got := w.after(time.Second); got != want {
			t.Errorf("end %d: %s, want %s", n, got, want)
		}
	}
	if got := w.after(stableAfter); got != 0 {
		t.Errorf("after a stable stretch: %s", got)
	}
	if got := w.after(stableAfter - 1); got != firstWait {
		t.Errorf("after one that was nearly so: %s", got)
	}
}

func TestNext(t *testing.T) {
	for name, c := range map[string]struct {
		wanted    bool
		forbidden string
		due, now  time.Duration
		want      move
	}{
		"due":               {true, "", 5, 5, move{start: true}},
		"not yet":           {true, "", 9, 5, move{in: 4}},
		"told to stop":      {false, "", 5, 5, move{}},
		"paused":            {true, "paused", 5, 5, move{}},
		"paused, not yet":   {true, "paused", 9, 5, move{}},
		"long due":          {true, "", 0, 5, move{start: true}},
		"stopped while due": {false, "paused", 0, 5, move{}},
	} {
		if got := next(c.wanted, c.forbidden, c.due, c.now); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestChoose(t *testing.T) {
	id := func(pid int, ticks uint64) procfs.Identity { return procfs.Identity{PID: pid, StartTicks: ticks} }
	known := &birth{ID: "now", Process: id(10, 100), BootID: "boot"}
	meant := &birth{ID: "now", BootID: "boot"}
	for name, c := range map[string]struct {
		all   []bearer
		life  *birth
		meant *birth
		want  int
	}{
		"nobody":                 {nil, known, known, 0},
		"the one that was meant": {[]bearer{{id(20, 200), "now"}}, meant, meant, 20},
		"its main process, not what that has made":      {[]bearer{{id(21, 201), "now"}, {id(20, 200), "now"}}, meant, meant, 20},
		"a child of the one that is known to be dead":   {[]bearer{{id(21, 201), "now"}}, known, known, 0},
		"a leftover of a life that is over":             {[]bearer{{id(5, 50), "past"}}, meant, meant, 0},
		"the one that was meant, beside a leftover":     {[]bearer{{id(5, 50), "past"}, {id(20, 200), "now"}}, meant, meant, 20},
		"one that could not be written down":            {[]bearer{{id(30, 300), "unknown"}}, known, known, 30},
		"the last of those":                             {[]bearer{{id(40, 400), "later"}, {id(30, 300), "unknown"}, {id(41, 401), "later"}}, known, known, 40},
		"without a record":                              {[]bearer{{id(20, 200), "x"}, {id(21, 201), "x"}}, nil, nil, 20},
		"without a name of its life it is none of ours": {[]bearer{{id(20, 200), ""}}, nil, nil, 0},
	} {
		r := record{Life: c.life, Exits: []exit{{Life: "past", Cause: runtime.CauseCrash}}}
		got, ok := choose(c.all, &r, c.meant)
		if ok != (c.want != 0) || got.PID != c.want {
			t.Errorf("%s: %v %v, want %d", name, got, ok, c.want)
		}
	}
}

func TestTheRecordIsBounded(t *testing.T) {
	r := record{Version: recordVersion, App: "web"}
	for range 3 * exitsKept {
		r.note(exit{Life: newLife(), Cause: runtime.CauseCrash})
	}
	if len(r.Exits) != exitsKept || !r.Dropped {
		t.Errorf("%d exits, dropped %v", len(r.Exits), r.Dropped)
	}
	dir := t.TempDir()
	if err := writeRecord(dir, &r); err != nil {
		t.Fatal(err)
	}
	back, err := readRecord(dir, "web")
	if err != nil || len(back.Exits) != exitsKept {
		t.Errorf("read back: %d exits, %v", len(back.Exits), err)
	}
	if _, err := readRecord(dir, "other"); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
}
