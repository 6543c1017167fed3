package verdict

import (
	"slices"
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

func TestHowMuchSomethingHasGrown(t *testing.T) {
	for bytes, want := range map[int64]string{0: "grown by 0 MiB", 1 << 20: "grown by 1 MiB", -1 << 20: "shrunk by 1 MiB"} {
		if got := grownBy(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
	}
}

// TestWhoTookTheMemoryIsSaid: how much the application has grown where it is worth a word, who else is large, and who could
// not be asked.
func TestWhoTookTheMemoryIsSaid(t *testing.T) {
	const grew = "; the application has grown by 100 MiB, everything else has grown by 50 MiB"
	grown := func(w *world) { w.memory.Tree = 300 << 20 }
	unasked := func(w *world) { w.status["process"] = maybe }
	always := func(c *pass.Case) { c.App.Spec.Checks.Memory.Restart = v1alpha1.MemoryRestartAlways }
	for _, tc := range []struct {
		name, rule string
		change     func(w *world)
		edit       func(c *pass.Case)
		says       string // beside what the check says
	}{
		{"it grew", "memory-app-grew", grown, nil, grew},
		{"it is to be restarted whoever grew", "memory-app-grew", grown, always, ""},
		{"it did not grow", "memory-hog", func(*world) {}, nil, ""},
		{"it grew by a little less than what is told", "memory-hog", func(w *world) { w.memory.Tree = 201<<20 - 1 }, nil, ""},
		{"it grew by a little", "memory-hog", func(w *world) { w.memory.Tree = 201 << 20 }, nil, "; the application has grown by 1 MiB, everything else has grown by 149 MiB"},
		{"it grew, and PM2 could not be asked", "memory-hog", func(w *world) { grown(w); unasked(w) }, nil, grew + ", but PM2 could not be asked"},
		{"it grew by too little, and PM2 could not be asked", "memory-hog", func(w *world) { w.memory.Tree = 210 << 20; unasked(w) }, nil,
			"; the application has grown by 10 MiB, everything else has grown by 140 MiB"},
		{"it grew, and that was tried", "memory-hog", grown, func(c *pass.Case) {
			c.Record.Incident = &v1alpha1.Incident{Attempts: []v1alpha1.Attempt{{Reason: "AppGrew"}}}
		}, grew},
		{"it grew, and something else was tried", "memory-app-grew", grown, func(c *pass.Case) {
			c.Record.Incident = &v1alpha1.Incident{Attempts: []v1alpha1.Attempt{{Reason: "Hung"}}}
		}, grew},
		{"it grew, and the rest gave back", "memory-app-grew", func(w *world) { w.memory.Tree = 400 << 20 }, nil,
			"; the application has grown by 200 MiB, everything else has shrunk by 50 MiB"},
		{"another is large", "memory-hog", func(w *world) { w.memory.HogName, w.memory.HogPID, w.memory.HogBytes = "java", 7, 700<<20 }, nil,
			"; the largest other process is java (pid 7) with 700 MiB"},
		{"it grew by a little, and another is large", "memory-hog", func(w *world) {
			w.memory.Tree, w.memory.HogName, w.memory.HogPID, w.memory.HogBytes = 203<<20, "java", 7, 700<<20
		}, nil, "; the application has grown by 3 MiB, everything else has grown by 147 MiB; the largest other process is java (pid 7) with 700 MiB"},
	} {
		w := well()
		w.status["memory"], w.memory.Available = no, 50<<20
		tc.change(w)
		c := twice(w)
		lowFor(4 * time.Minute)(c)
		if tc.edit != nil {
			tc.edit(c)
		}
		if v := Diagnose(c); v.Rule != tc.rule || v.Message != "memory says so"+tc.says {
			t.Errorf("%s: %s says %q, want %s and %q", tc.name, v.Rule, v.Message, tc.rule, tc.says)
		}
	}
}

// TestWhatIsSaidInFull: sentences and first hints that hold what was found.
func TestWhatIsSaidInFull(t *testing.T) {
	stopped := func(state runtime.State) func(w *world) {
		return func(w *world) {
			w.gone(state)
			w.process.StopOrdered, w.process.StopOrderedFor = true, time.Minute
		}
	}
	for _, tc := range []struct {
		name   string
		change func(w *world)
		says   string
		next   string // the first hint
	}{
		{"another port", func(w *world) { w.elsewhere(3013, 3014) },
			"the application listens on [::]:3013, [::]:3014, and port 3003 is expected (spec.port): one of the two is a mistake",
			"see where it listens: ss -ltnp 'sport = :3013'"},
		{"stopped by hand", stopped(runtime.Stopped), `"site" was stopped by hand 1m0s ago`, "start it: pm2 start site"},
		{"taken out of the list", stopped(runtime.Missing), `"site" was taken out of PM2's list, and so stopped by hand 1m0s ago`, "start it: pm2 start ecosystem.config.js"},
		{"it waits for another", func(w *world) {
			w.fails(500)
			w.process.Needs = []facts.Need{{Kind: facts.NeedService, End: facts.NeedRefused, Port: 8080}}
		}, "the application fails (local says so), and its log says why: a service (port 8080) did not take its connection",
			"see what it could not reach: pm2 logs site --err --lines 50"},
	} {
		w := well()
		tc.change(w)
		v := Diagnose(lasting(w, time.Minute))
		if v.Message != tc.says || v.Next[0] != tc.next {
			t.Errorf("%s: %s says %q and %q", tc.name, v.Rule, v.Message, v.Next[0])
		}
		if v.Remedy != v1alpha1.RemedyHold || !v.ActAtLimit {
			t.Errorf("%s: %s, and at its limit a recovery is tried: %v", tc.name, v.Remedy, v.ActAtLimit)
		}
	}
	w := well()
	w.timesOut()
	c := twice(w)
	for n := range c.Recent {
		c.Recent[n].Results = slices.DeleteFunc(c.Recent[n].Results, func(r v1alpha1.CheckResult) bool { return r.Check == v1alpha1.CheckProcess })
	}
	if v := Diagnose(c); v.Message != "PM2 was not asked, so that it is not known what is wrong: local says so" {
		t.Errorf("%s: %s", v.Rule, v.Message)
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
		{"no status", noServerError, func(w *world) { w.local = facts.HTTP{Class: facts.Closed} }, nil, "it answers with an error of a server, or not at all"},
		{"a status", noServerError, func(w *world) { w.fails(404) }, nil, "its answer is no error of a server (a status below 500): 404"},
		{"another port", listensElsewhere, func(w *world) { w.elsewhere(3013) }, nil, "it listens on another port: [::]:3013"},
		{"no other port", listensElsewhere, func(*world) {}, nil, "it is not seen to listen on another port than those that it opens beside its own"},
		{"an answer", localTimesOut, func(*world) {}, nil, "it does not time out: Answered"},
		{"the manager's word", managerBusy, func(w *world) { w.process.State = string(runtime.Waiting) }, nil,
			"the process manager says that it is stopping, starting or about to restart it: Waiting"},
		{"growth", appGrew, func(w *world) { w.memory.Tree, w.memory.Available = 203<<20, 50<<20 }, lowFor(time.Minute),
			"the application's own processes have not grown by what is missing, or everything else has grown by more: the application has grown by 3 MiB, everything else has grown by 147 MiB"},
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
		{"what it needs, beside a database that was asked and serves", needFails, func(w *world) {
			w.asked(facts.DatabaseReachable)
			w.process.Needs = []facts.Need{
				{Kind: facts.NeedDatabase, End: facts.NeedRefused, Port: 5432}, {Kind: facts.NeedDatabase, End: facts.NeedLogin}, {Kind: facts.NeedService, End: facts.NeedSilent},
			}
		}, nil, "its log says, since it fails, that it could not reach something else, or was refused there: a service did not answer in time"},
		{"a database that was asked and serves on a socket", needFails, func(w *world) {
			w.asked(facts.DatabaseReachable)
			w.database.Where, w.process.Needs = "/run/postgresql", []facts.Need{{Kind: facts.NeedDatabase, End: facts.NeedRefused, Port: 5432}}
		}, nil, "its log does not say, since it fails, that something else could not be reached"},
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
