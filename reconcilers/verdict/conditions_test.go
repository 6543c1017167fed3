package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestWithoutOneConditionAnotherRuleSpeaks takes one thing away from what a rule needs.
func TestWithoutOneConditionAnotherRuleSpeaks(t *testing.T) {
	closed := func(w *world) {
		w.local, w.status["local"], w.status["public"] = facts.HTTP{Class: facts.Closed}, no, no
	}
	for _, tc := range []struct {
		name   string
		change func(w *world)
		rule   string
		says   string
	}{
		{"its log names its cache, and it comes and goes while one of its processes runs", func(w *world) {
			closed(w)
			w.process.Crashes, w.process.Signs = crashExits, []facts.Sign{facts.SignCache}
		}, "cache-signature", "its log names its cache"},
		{"it is young", func(w *world) {
			w.process.Age, w.status["local"], w.reason["local"] = 1540*time.Millisecond, maybe, "Starting"
		}, "starting", "its process is 1.5s old"},
		{"a full disk and large caches, and the leading check could not be asked", func(w *world) {
			w.short(1<<20, 4<<30)
			w.status["local"] = maybe
		}, "lead-unknown", ""},
		{"a full disk and large caches, and its process does not run", func(w *world) {
			w.short(1<<20, 4<<30)
			w.process.State, w.process.Life, w.status["process"] = string(runtime.Stopping), "", no
		}, "disk-short", "the application's caches hold 4096 MiB"},
		{"a full disk, and it gives no answer", func(w *world) { w.short(0, 0); closed(w) }, "local-fails", ""},
		{"a full disk, errors, and it is being stopped for too long", func(w *world) {
			w.short(0, 0)
			w.fails(500)
			w.process.State, w.process.Life, w.status["process"] = string(runtime.Stopping), "", no
		}, "server-error", ""},
		{"a full disk, and errors", func(w *world) { w.short(0, 0); w.fails(500) }, "disk-full", "disk says so; local says so"},
		{"little room, and it gives no answer", func(w *world) { w.short(100<<20, 0); closed(w) }, "local-fails", ""},
		{"a removed log is held, and it gives no answer", func(w *world) {
			w.short(100<<20, 0)
			w.disk.Held = 600 << 20
			closed(w)
		}, "local-fails", ""},
		{"a removed log was held, and there is room again", func(w *world) {
			w.short(100<<20, 0)
			w.disk.Held, w.status["disk"], w.status["workers"] = 600<<20, yes, no
		}, "anything-else", "workers: workers says so"},
		{"files used up, and it answers with errors", func(w *world) {
			w.fails(500)
			w.workers.Processes = []facts.Worker{{PID: 100, Open: 1022, OpenLimit: 1024}}
		}, "server-error", ""},
		{"files used up, and it answers", func(w *world) {
			w.status["workers"] = no
			w.workers.Processes = []facts.Worker{{PID: 100, Open: 1022, OpenLimit: 1024}}
		}, "anything-else", ""},
		{"files used up, and no answer", func(w *world) {
			closed(w)
			w.workers.Processes = []facts.Worker{{PID: 100, Open: 1022, OpenLimit: 1024}}
		}, "files-used-up", "its process 100 has 1022 open and may have 1024"},
	} {
		w := well()
		tc.change(w)
		v := Diagnose(lasting(w, time.Minute))
		if v.Rule != tc.rule || !strings.Contains(v.Message, tc.says) {
			t.Errorf("%s: rule %s says %q, want %s and %q", tc.name, v.Rule, v.Message, tc.rule, tc.says)
		}
	}
}

// TestOnlyACacheThatWasTriedIsNotTriedAgain: another recovery of the incident was of something else.
func TestOnlyACacheThatWasTriedIsNotTriedAgain(t *testing.T) {
	for reason, rule := range map[string]string{"Hung": "disk-cache", reasonCacheFillsDisk: "disk-short"} {
		w := well()
		w.short(1<<20, 4<<30)
		c := twice(w)
		c.Record.Incident = &v1alpha1.Incident{Attempts: []v1alpha1.Attempt{{Reason: "NoAnswer"}, {Reason: reason}}}
		if v := Diagnose(c); v.Rule != rule {
			t.Errorf("after a recovery for %s: rule %s, want %s", reason, v.Rule, rule)
		}
	}
}

// TestTheTableIsNotItsReadersToChange: what is given out is a copy.
func TestTheTableIsNotItsReadersToChange(t *testing.T) {
	list := Rules()
	list[0] = Rule{Name: "another"}
	if Rules()[0].Name != "healthy" || Diagnose(twice(well())).Rule != "healthy" {
		t.Error("the table was changed by whoever had read it")
	}
}

// TestWhatIsAskedOfASmallCase: parts of the record that are not there are no fault.
func TestWhatIsAskedOfASmallCase(t *testing.T) {
	v := look(&pass.Case{App: app(), Now: instant(0), Recent: []v1alpha1.Observation{well().observation(instant(0))}})
	if v.lowFor() != 0 || v.fault() != nil || v.memoryTried() || diskTried.met(v) || v.mainPID() != 100 {
		t.Errorf("low for %s, fault %v, tried %v %v, pid %d", v.lowFor(), v.fault(), v.memoryTried(), diskTried.met(v), v.mainPID())
	}
	if _, known := v.grown(); known {
		t.Error("its growth is known without a baseline")
	}
}

// TestWhoeverStartsOntoAFullDiskEmptiesItsCachesFirst, whatever is wrong with the application.
func TestWhoeverStartsOntoAFullDiskEmptiesItsCachesFirst(t *testing.T) {
	for rule, change := range map[string]func(w *world){
		"hung":          func(w *world) { w.timesOut() },
		"server-error":  func(w *world) { w.fails(500) },
		"process-gone":  func(w *world) { w.gone(runtime.Errored) },
		"crash-loop":    func(w *world) { w.gone(runtime.Waiting); w.process.Crashes = crashExits },
		"not-listening": func(w *world) { w.gone(runtime.Running); w.process = well().process; w.status["process"] = yes },
	} {
		for caches, plan := range map[int64]string{4 << 30: PlanClean, 1 << 20: PlanPlain} {
			w := well()
			change(w)
			w.short(100<<20, caches)
			if v := Diagnose(twice(w)); v.Rule != rule || v.Plan != plan || v.Hung != (rule == "hung") {
				t.Errorf("%s, and %s of caches: rule %s, plan %s, hung %v; want %s", rule, mib(caches), v.Rule, v.Plan, v.Hung, plan)
			}
			w.status["disk"] = maybe
			if v := Diagnose(twice(w)); v.Rule != rule || v.Plan != PlanPlain {
				t.Errorf("%s, and the disk could not be asked: rule %s, plan %s", rule, v.Rule, v.Plan)
			}
		}
	}
}

// TestADatabaseThatIsBackIsGivenItsGrace, to the moment; and what is whole in its configuration is not missing.
func TestADatabaseThatIsBackIsGivenItsGrace(t *testing.T) {
	for since, want := range map[time.Duration]bool{15 * time.Second: false, 15*time.Second - time.Millisecond: true} {
		c := lasting(well().asked(facts.DatabaseReachable), since)
		c.Recent[0] = well().asked(facts.DatabaseRefused).observation(instant(0))
		if got := look(c).databaseFailedLately(); got != want {
			t.Errorf("%s after it failed: %v, want %v", since, got, want)
		}
	}
	if v := look(twice(well())); configurationMissing.met(v) {
		t.Error("its configuration holds, and is found missing")
	}
}
