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

// TestWhatKeepsItIsSaid: a machine in the host check's words, memory in that check's, with the largest other process.
func TestWhatKeepsItIsSaid(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(w *world)
		says   string
	}{
		{"a processor", func(w *world) {
			w.host = facts.Host{CPUs: 2, Window: time.Second, Busy: 0.98, App: 0.02, Waited: 0.9, Ran: 0.02}
		}, "host says so"},
		{"memory", func(w *world) {
			w.memory.Stalled, w.memory.HogBytes, w.memory.HogName, w.memory.HogPID, w.status["memory"] = 60, 700<<20, "java", 7, no
		}, "memory says so; the largest other process is java (pid 7) with 700 MiB"},
	} {
		w := well()
		w.timesOut()
		tc.change(w)
		if v := Diagnose(twice(w)); v.Rule != "host-starved" || v.Message != tc.says {
			t.Errorf("%s: rule %s says %q, want %q", tc.name, v.Rule, v.Message, tc.says)
		}
	}
}

// TestWhichOfTwoDaemonsIsMeant: one that takes no calls any more, or one beside it.
func TestWhichOfTwoDaemonsIsMeant(t *testing.T) {
	w := well()
	w.serves(facts.Listener{Whose: facts.OurOrphan, PID: 99, Under: 88})
	w.status["port"] = no
	if v := Diagnose(twice(w)); v.Rule != "two-daemons" || !strings.Contains(v.Message, "the one that takes calls does not run it") {
		t.Errorf("%s: %s", v.Rule, v.Message)
	}
	w.process.Daemon = false
	if v := Diagnose(twice(w)); v.Rule != "two-daemons" || !strings.Contains(v.Message, "its socket is gone") {
		t.Errorf("%s: %s", v.Rule, v.Message)
	}
}

// TestWhatIsSaidOfTheManager: who answers in its place, who stopped it, and why it cannot be brought back.
func TestWhatIsSaidOfTheManager(t *testing.T) {
	elsewhere := func(l facts.Listener) func(w *world) {
		return func(w *world) {
			w.process.State, w.process.Life, w.process.Rows, w.status["process"] = string(runtime.Missing), "", nil, no
			w.port.Listeners, w.status["port"] = []facts.Listener{l}, no
		}
	}
	stopped := func(w *world) {
		w.gone(runtime.Stopped)
		w.process.StopOrdered, w.process.StopOrderedFor = true, 90*time.Second
	}
	for _, tc := range []struct {
		name, rule, says string // with ! before it: it does not
		change           func(w *world)
	}{
		{"a stranger answers", "answers-elsewhere", "held by pid 9", elsewhere(facts.Listener{Whose: facts.Stranger, PID: 9})},
		{"somebody answers", "answers-elsewhere", "!held by", elsewhere(facts.Listener{Whose: facts.CannotTell, PID: 9})},
		{"stopped by hand", "operator-stop", "\"site\" was stopped by hand 1m30s ago", stopped},
		{"ended with its manager", "operator-stop", "and PM2 itself is, stopped by hand", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.process.StopOrdered = true
		}},
		{"taken out of the list", "operator-stop", "taken out of PM2's list, and so stopped by hand", func(w *world) {
			w.gone(runtime.Missing)
			w.process.Rows, w.process.StopOrdered = nil, true
		}},
		{"nothing was saved", "runtime-lost", ": nothing was saved", func(w *world) {
			w.daemonGone("")
			w.process.NoRevival = "nothing was saved"
		}},
		{"it is not known why", "runtime-lost", "!.pm2:", func(w *world) { w.daemonGone("") }},
	} {
		w := well()
		tc.change(w)
		v := Diagnose(twice(w))
		said, not := strings.CutPrefix(tc.says, "!")
		if v.Rule != tc.rule || strings.Contains(v.Message, said) == not {
			t.Errorf("%s: %s says %q, want %s and %q", tc.name, v.Rule, v.Message, tc.rule, tc.says)
		}
	}
	w := well()
	w.gone(runtime.Missing)
	c := twice(w)
	keptByEvenkeel(c)
	if v := Diagnose(c); v.Rule != "process-gone" {
		t.Errorf("what evenkeel keeps itself is in no list: %s", v.Rule)
	}
}

// TestWhatWasFoundIsSaid: each condition in its own words, with what was seen where there is more to say.
func TestWhatWasFoundIsSaid(t *testing.T) {
	for _, tc := range []struct {
		name      string
		condition condition
		change    func(w *world)
		edit      func(c *pass.Case)
		found     string
	}{
		{"no files used up", filesUsedUp, func(w *world) { w.workers.Processes = []facts.Worker{{PID: 100, Open: 10, OpenLimit: 1024}} }, nil,
			"none of its processes is known to have used up its files"},
		{"files used up", filesUsedUp, func(w *world) { w.workers.Processes = []facts.Worker{{PID: 100, Open: 1022, OpenLimit: 1024}} }, nil,
			"one of its processes can open no more files: pid 100 has 1022 open"},
		{"no other program", starvedByOthers, func(*world) {}, nil,
			"no other program is known to keep the application from what it needs: host says so"},
		{"caches too small", cacheFills, func(w *world) { w.short(1<<20, 3<<20) }, nil,
			"the application's own caches do not hold what is missing: they hold 3 MiB"},
		{"removed files too small", removedStillHeld, func(w *world) { w.short(1<<20, 0); w.disk.Held = 2 << 20 }, nil,
			"no removed files that are still held open take what is missing: they take 2 MiB"},
		{"a stranger", strangerListens, func(w *world) {
			w.port.Listeners = []facts.Listener{{Whose: facts.Stranger, PID: 7, User: "www"}}
		}, nil, "a stranger listens on its port: pid 7 of user www"},
		{"no stranger", strangerListens, func(*world) {}, nil, "no stranger listens on its port"},
		{"the leading check", leadFails, func(*world) {}, nil, "the leading check does not fail: local says so"},
		{"the leading check, which was asked", leadUnknown, func(*world) {}, nil, "the leading check could be asked: local says so"},
		{"a check", fails(v1alpha1.CheckDisk), func(*world) {}, nil, "the check disk does not fail: disk says so"},
		{"an answer", localTimesOut, func(*world) {}, nil, "it does not time out: Answered"},
		{"the manager's word", managerBusy, func(w *world) { w.process.State = string(runtime.Waiting) }, nil,
			"the process manager says that it is stopping, starting or about to restart it: Waiting"},
		{"growth", appGrew, func(w *world) { w.memory.Tree, w.memory.Available = 203<<20, 50<<20 }, lowFor(time.Minute),
			"the application's own processes have not grown by what is missing, or everything else has grown by more: the application has grown by 3 MiB, everything else by 147 MiB"},
		{"growth that is not known", appGrew, func(*world) {}, nil,
			"the application's own processes have not grown by what is missing, or everything else has grown by more: the application's normal size is not known yet"},
		{"low memory", memoryLowBriefly, func(*world) {}, lowFor(time.Minute), "it is not low for long yet: 1m0s"},
		{"no way back", revivable, func(w *world) { w.process.NoRevival = "nothing was saved" }, nil,
			"it is not known how to bring it back with the application: nothing was saved"},
		{"for how long", settled, func(*world) {}, nil, "it has been so for the time in which it might have come back: 5s"},
		{"within its bounds", managerWithinBounds, func(*world) {}, nil, "it has taken no longer than its settings allow: 5s"},
		{"gone for long", managerGoneJustNow, func(w *world) { w.process.Leftover = true }, nil,
			"it has been gone for longer than its coming back may take: 5s"},
		{"the database", databaseFails, func(w *world) { w.asked(facts.DatabaseFull) }, nil,
			"the database was asked, and does not serve: " + string(facts.DatabaseFull)},
		{"what it needs", needFails, func(w *world) {
			w.process.Needs = []facts.Need{
				{Kind: facts.NeedDatabase, End: facts.NeedRefused, Port: 6379}, {Kind: facts.NeedService, End: facts.NeedSilent},
				{Kind: facts.NeedService, End: facts.NeedNoWay, Port: 443}, {Kind: facts.NeedName, End: facts.NeedNoName}, {Kind: facts.NeedDatabase, End: facts.NeedLogin},
			}
		}, nil, "its log says, since it fails, that it could not reach something else, or was refused there: a database (port 6379) did not take its connection; " +
			"a service did not answer in time; a service (port 443) could not be reached; the name of another machine did not resolve; a database refused its login"},
		{"no needs", needFails, func(*world) {}, nil, "its log does not say, since it fails, that something else could not be reached"},
		{"name servers that were not asked", nameServersFail, func(*world) {}, nil,
			"the name servers answer, or they were not asked again"},
		{"name servers", nameServersFail, func(w *world) { w.public.Names = &facts.Names{Outcome: facts.NoServer} }, nil,
			"the name servers do not answer, or with a failure of their own: " + string(facts.NoServer)},
		{"a build that was cut short", buildMissing, func(w *world) { w.build = facts.Build{Kind: "next", Broken: ".next"} }, nil,
			"the build output is not complete: .next"},
		{"a fault that is remembered", startFailedOfIt, func(*world) {}, faultOf("a"),
			"the last start failed of something that only a change in its folder mends: ModuleNotFound"},
		{"lives", comesAndGoes, func(w *world) { w.process.Crashes, w.status["local"] = 2, no }, nil,
			"it has not come and gone often enough for a crash loop: lives without a good answer: 1, unplanned exits in ten minutes: 2"},
	} {
		w := well()
		tc.change(w)
		c := twice(w)
		if tc.edit != nil {
			tc.edit(c)
		}
		if got := tc.condition.found(look(c)); got != tc.found {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.found)
		}
	}
}
