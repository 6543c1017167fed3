package verdict

import (
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// TestEachConditionIsNeeded: where all but one of what a rule needs is so, another one speaks.
func TestEachConditionIsNeeded(t *testing.T) {
	ours, stranger := facts.Listener{Whose: facts.Ours, PID: 100}, facts.Listener{Whose: facts.Stranger, PID: 9}
	orphan, rival := facts.Listener{Whose: facts.OurOrphan, PID: 99}, facts.Listener{Whose: facts.OurOrphan, PID: 99, Under: 88}
	listen := func(w *world, list ...facts.Listener) { w.port.Listeners, w.status["port"] = list, no }
	unseen := facts.Listener{Whose: facts.CannotTell}
	inUse := func(w *world, list ...facts.Listener) {
		listen(w, list...)
		w.process.Signs = []facts.Sign{facts.SignAddressInUse}
	}
	closed := func(w *world) {
		w.local, w.status["local"], w.status["public"] = facts.HTTP{Class: facts.Closed}, no, no
	}
	unasked := func(w *world) { w.status["process"], w.process.State = maybe, string(runtime.Unknown) }
	// between has no process, and is not said not to run: it is being stopped, for longer than that may take.
	between := func(w *world) {
		w.process.State, w.process.Life, w.status["process"] = string(runtime.Stopping), "", no
	}
	full := func(w *world) {
		w.workers.Processes = []facts.Worker{{PID: 100, Open: 1022, OpenLimit: 1024}}
	}
	need := func(w *world) {
		w.process.Needs = []facts.Need{{Kind: facts.NeedService, End: facts.NeedRefused, Port: 8080}}
	}
	justNow := func(c *pass.Case) { c.Recent = c.Recent[1:] }
	for _, tc := range []struct {
		name, rule string
		change     func(w *world)
		edit       func(c *pass.Case)
	}{
		{"a stranger listens beside it", "hung", func(w *world) { w.timesOut(); listen(w, ours, stranger) }, nil},
		{"an orphan under another daemon listens beside it", "hung", func(w *world) { w.timesOut(); listen(w, ours, rival) }, nil},
		{"an orphan listens beside it", "hung", func(w *world) { w.timesOut(); listen(w, ours, orphan) }, nil},
		{"an orphan under another daemon, and PM2 could not be asked", "cannot-see", func(w *world) { closed(w); unasked(w); listen(w, rival) }, nil},
		{"an orphan, and PM2 could not be asked", "cannot-see", func(w *world) { closed(w); unasked(w); listen(w, orphan) }, nil},
		{"an orphan, and it was stopped by hand", "operator-stop", func(w *world) {
			w.gone(runtime.Stopped)
			w.process.StopOrdered = true
			listen(w, orphan)
		}, nil},
		{"an orphan, and it cannot start", "known-fault", func(w *world) {
			w.gone(runtime.Errored)
			w.process.Cause = "a"
			listen(w, orphan)
		}, faultOf("a")},
		{"PM2 is gone, and a process of its runs", "runtime-lost", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.process.Life = "100:1"
		}, nil},
		{"PM2 is gone, and an orphan answers whose folder is gone", "runtime-lost", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.serves(orphan)
			w.process.FolderMissing = true
		}, nil},
		{"its log names its cache, it came and went, and PM2 could not be asked", "cannot-see", func(w *world) {
			closed(w)
			unasked(w)
			w.process.Crashes, w.process.Signs = 5, []facts.Sign{facts.SignCache}
		}, nil},
		{"it came and went, and PM2 could not be asked", "cannot-see", func(w *world) { closed(w); unasked(w); w.process.Crashes = 5 }, nil},
		{"it failed to start, came and went, and PM2 could not be asked", "cannot-see", func(w *world) {
			closed(w)
			unasked(w)
			w.process.Crashes, w.process.Cause = 5, "a"
		}, faultOf("a")},
		{"its log names its cache, and it was stopped by hand a moment ago", "process-going", func(w *world) {
			w.gone(runtime.Stopped)
			w.process.StopOrdered, w.process.Crashes, w.process.Signs = true, 5, []facts.Sign{facts.SignCache}
		}, justNow},
		{"it came and went, and was stopped by hand a moment ago", "process-going", func(w *world) {
			w.gone(runtime.Stopped)
			w.process.StopOrdered, w.process.Crashes = true, 5
		}, justNow},
		{"it cannot start, and was stopped by hand a moment ago", "process-going", func(w *world) {
			w.gone(runtime.Stopped)
			w.process.StopOrdered, w.process.Crashes, w.process.Cause = true, 5, "a"
		}, func(c *pass.Case) { faultOf("a")(c); justNow(c) }},
		{"its log names its cache, it came and went, and answers", "proxy", func(w *world) {
			w.process.Crashes, w.process.Signs = 5, []facts.Sign{facts.SignCache}
			w.public.Class, w.public.Proxy, w.status["public"] = facts.Refused, &facts.HTTP{Class: facts.Refused}, no
		}, nil},
		{"it failed to start, came and went, and answers", "proxy", func(w *world) {
			w.process.Crashes, w.process.Cause = 5, "a"
			w.public.Class, w.public.Proxy, w.status["public"] = facts.Refused, &facts.HTTP{Class: facts.Refused}, no
		}, faultOf("a")},
		{"it failed to start, and is gone since a moment ago", "process-going", func(w *world) { w.gone(runtime.Stopped); w.process.Cause = "a" },
			func(c *pass.Case) { faultOf("a")(c); justNow(c) }},
		{"PM2 gave it up, and it came and went", "process-gone", func(w *world) { w.gone(runtime.Errored); w.process.Crashes = 5 }, nil},
		{"it is not in the list, and PM2 could not be asked", "cannot-see", func(w *world) { w.gone(runtime.Missing); w.status["process"] = maybe },
			func(c *pass.Case) { c.App.Spec.Runtime.PM2.Start = "" }},
		{"its port is in use by one beside it who cannot be told", "process-gone", func(w *world) { w.gone(runtime.Errored); inUse(w, ours, unseen) }, nil},
		{"its port is in use, and its log does not say so", "process-gone", func(w *world) {
			w.gone(runtime.Errored)
			inUse(w, unseen)
			w.process.Signs = nil
		}, nil},
		{"its port is in use, and PM2 could not be asked", "cannot-see", func(w *world) {
			closed(w)
			unasked(w)
			inUse(w, unseen)
			w.process.Crashes = 5
		}, nil},
		{"its port is in use, and it is gone since a moment ago", "process-going", func(w *world) { w.gone(runtime.Stopped); inUse(w, unseen) }, justNow},
		{"its port is in use, it came and went, and was stopped by hand a moment ago", "process-going", func(w *world) {
			w.gone(runtime.Stopped)
			inUse(w, unseen)
			w.process.StopOrdered, w.process.Crashes = true, 5
		}, justNow},
		{"its port was in use, it came and went, and answers", "proxy", func(w *world) {
			inUse(w, unseen)
			w.process.Crashes, w.status["port"] = 5, maybe
			w.public.Class, w.public.Proxy, w.status["public"] = facts.Refused, &facts.HTTP{Class: facts.Refused}, no
		}, nil},
		{"it is in the list and does not run, and nobody says how it is started", "process-gone", func(w *world) { w.gone(runtime.Errored) },
			func(c *pass.Case) { c.App.Spec.Runtime.PM2.Start = "" }},
		{"it is starting, and PM2 could not be asked", "lead-unknown", func(w *world) {
			unasked(w)
			w.status["local"], w.reason["local"] = maybe, "Starting"
		}, nil},
		{"its build is gone, and it answers", "proxy", func(w *world) {
			w.build = facts.Build{Kind: "next", Missing: ".next/BUILD_ID"}
			w.public.Class, w.public.Proxy, w.status["public"] = facts.Refused, &facts.HTTP{Class: facts.Refused}, no
		}, func(c *pass.Case) { c.Record.Learned = &v1alpha1.Learned{BuildSeen: true} }},
		{"its files are used up, and whether it answers could not be asked", "lead-unknown", func(w *world) { closed(w); full(w); w.status["local"] = maybe }, nil},
		{"its files are used up, and PM2 could not be asked", "cannot-see", func(w *world) { closed(w); unasked(w); full(w) }, nil},
		{"others keep it from a processor, and PM2 could not be asked", "cannot-see", func(w *world) {
			w.timesOut()
			unasked(w)
			w.host = facts.Host{CPUs: 2, Window: time.Second, Busy: 0.98, App: 0.02, Waited: 0.9, Ran: 0.02}
		}, nil},
		{"others keep it from a processor, and it answers", "anything-else", func(w *world) {
			w.status["workers"], w.local.Class = no, facts.Timeout
			w.host = facts.Host{CPUs: 2, Window: time.Second, Busy: 0.98, App: 0.02, Waited: 0.9, Ran: 0.02}
		}, nil},
		{"others keep it from a processor, and it answers with an error", "server-error", func(w *world) {
			w.fails(500)
			w.host = facts.Host{CPUs: 2, Window: time.Second, Busy: 0.98, App: 0.02, Waited: 0.9, Ran: 0.02}
		}, nil},
		{"it listens elsewhere", "local-fails", func(w *world) { closed(w); listen(w, ours) }, nil},
		{"it listens on another port, and that its own is not open could not be asked", "local-fails", func(w *world) { w.elsewhere(3013); w.status["port"] = maybe }, nil},
		{"it listens on another port too", "local-fails", func(w *world) { w.elsewhere(3013); listen(w, ours) }, nil},
		{"it listened on another port, and has no process", "local-fails", func(w *world) { w.elsewhere(3013); between(w) }, nil},
		{"it is seen on another port, and answers", "anything-else", func(w *world) { w.elsewhere(3013); w.status["local"], w.status["public"] = yes, yes }, nil},
		{"it is seen on another port, and answers with an error", "server-error", func(w *world) { w.elsewhere(3013); w.fails(500) }, nil},
		{"nobody listens, and it has no process", "local-fails", func(w *world) { closed(w); between(w); listen(w) }, nil},
		{"nobody is seen to listen, and it answers", "anything-else", func(w *world) { listen(w); w.local.Class = facts.Closed }, nil},
		{"nobody is seen to listen, and it answers with an error", "server-error", func(w *world) { w.fails(500); listen(w) }, nil},
		{"the database is back, and it has no process", "server-error", func(w *world) {
			w.errs(facts.Answered).asked(facts.DatabaseReachable)
			between(w)
		}, func(c *pass.Case) {
			before := well().asked(facts.DatabaseRefused)
			between(before)
			c.Recent = []v1alpha1.Observation{c.Recent[0], before.observation(c.Now.Add(-time.Second)), c.Recent[1]}
		}},
		{"the database is back, and it does not even take calls", "local-fails", func(w *world) {
			w.errs(facts.Closed).asked(facts.DatabaseReachable)
		}, failedBefore},
		{"the database is back, and it answers while its memory is low", "memory-low-briefly", func(w *world) {
			w.asked(facts.DatabaseReachable)
			w.status["memory"], w.memory.Available = no, 50<<20
		}, failedBefore},
		{"the database failed a moment ago, and cannot be asked now", "server-error", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseCannotBeAsked) }, failedBefore},
		{"it does not answer, and that it fails could not be asked", "lead-unknown", func(w *world) { w.local.Class, w.status["local"] = facts.Timeout, maybe }, nil},
		{"it is not as expected, and that it fails could not be asked", "lead-unknown", func(w *world) { w.unexpected(404); w.status["local"] = maybe }, nil},
		{"it is not as expected, and has no process", "server-error", func(w *world) { w.unexpected(404); between(w) }, nil},
		{"it does not answer, and has no process", "local-fails", func(w *world) { w.timesOut(); between(w) }, nil},
		{"it gives no answer, and was never seen to give the one that is expected", "local-fails", func(w *world) { closed(w); w.local.Wants = "mark" }, nil},
		{"it answers 404, and nothing is expected of it", "server-error", func(w *world) { w.fails(404) }, nil},
		{"its log names what it needs, and it answers", "anything-else", func(w *world) { need(w); w.status["workers"] = no }, nil},
		{"its log names what it needs, and it has no process", "server-error", func(w *world) {
			w.fails(500)
			between(w)
			need(w)
		}, nil},
		{"its log names the database, and it has no process", "server-error", func(w *world) {
			w.fails(500)
			between(w)
			w.process.Signs = []facts.Sign{facts.SignDatabase}
		}, nil},
		{"a full disk, which could not be asked", "anything-else", func(w *world) { w.short(1<<20, 4<<30); w.status["disk"], w.status["workers"] = maybe, no }, nil},
		{"a full disk, which could not be asked, and 500", "server-error", func(w *world) { w.short(0, 0); w.status["disk"] = maybe; w.fails(500) }, nil},
		{"a full disk, and it answers", "disk-short", func(w *world) { w.short(0, 0) }, nil},
		{"it answered with an error, and that it fails could not be asked", "lead-unknown", func(w *world) { w.local.Status, w.status["local"] = 500, maybe }, nil},
		{"memory is low since a moment, and no answer", "local-fails", func(w *world) { closed(w); w.status["memory"], w.memory.Available = no, 50<<20 }, nil},
		{"memory is low, it grew, and no answer", "local-fails", func(w *world) {
			closed(w)
			w.status["memory"], w.memory.Available, w.memory.Tree = no, 50<<20, 400<<20
		}, lowFor(4 * time.Minute)},
		{"it grew, and memory could not be asked", "anything-else", func(w *world) {
			w.status["memory"], w.memory.Available, w.memory.Tree, w.status["workers"] = maybe, 50<<20, 400<<20, no
		}, lowFor(4 * time.Minute)},
		{"a removed log is held, and the disk could not be asked", "anything-else", func(w *world) {
			w.short(100<<20, 0)
			w.disk.Held, w.status["disk"], w.status["workers"] = 600<<20, maybe, no
		}, nil},
		{"the database does not serve, and whether that counts could not be asked", "anything-else", func(w *world) {
			w.asked(facts.DatabaseFull)
			w.status["database"], w.status["workers"] = maybe, no
		}, nil},
		{"the database does not serve, and no answer", "local-fails", func(w *world) { w.errs(facts.Closed).asked(facts.DatabaseFull) }, nil},
	} {
		w := well()
		tc.change(w)
		c := lasting(w, time.Minute)
		if tc.edit != nil {
			tc.edit(c)
		}
		if v := Diagnose(c); v.Rule != tc.rule {
			t.Errorf("%s: rule %s, want %s", tc.name, v.Rule, tc.rule)
		}
	}
}

// failedBefore lets the database have failed a second ago.
func failedBefore(c *pass.Case) {
	c.Recent[0] = well().asked(facts.DatabaseRefused).observation(c.Now.Add(-time.Second))
}

// TestACrashLoopThatAnswersHasToAnswerNow.
func TestACrashLoopThatAnswersHasToAnswerNow(t *testing.T) {
	c := &pass.Case{App: app(), Now: instant(3 * time.Minute)}
	for n, life := range []string{"1:1", "2:2", "3:3", "4:4"} {
		w := well()
		w.process.Life, w.process.Age = life, time.Second
		if n == 3 {
			w.timesOut()
			w.status["process"], w.reason["process"] = no, facts.ReasonCrashLoop
		}
		c.Recent = append(c.Recent, w.observation(instant(time.Duration(n)*time.Minute)))
	}
	if v := Diagnose(c); v.Rule != "hung" || v.Blame != v1alpha1.BlameApp {
		t.Errorf("rule %s, blame %s", v.Rule, v.Blame)
	}
}
