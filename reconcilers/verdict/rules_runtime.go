package verdict

import (
	"fmt"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// The process manager itself: gone, the wrong one, at work, or told by an operator.

var (
	managerGone = condition{
		yes: "the process manager itself does not run", no: "the process manager itself runs, or could not be asked",
		holds: (*view).daemonGone,
	}
	managerGoneJustNow = condition{
		yes: "it is gone since a moment ago", no: "it has been gone for longer than its coming back may take",
		holds: func(v *view) bool {
			if v.process.Leftover {
				return v.unmoved() < settleTime
			}
			return v.unmoved() < endedTime
		},
		seen: func(v *view) string { return v.unmoved().String() },
	}
	revivable = condition{
		yes: "it can be brought back with the application", no: "it is not known how to bring it back with the application",
		holds: func(v *view) bool { return v.process.Revival != "" },
		seen:  func(v *view) string { return v.process.NoRevival },
	}
	managerLost = condition{
		yes: "the process manager is gone and cannot be brought back", no: "the process manager runs, or can be brought back",
		holds: func(v *view) bool { return v.daemonGone() && v.process.Revival == "" },
	}
	runElsewhere = condition{
		yes:   "something answers, and the process manager that was asked knows nothing of the application",
		no:    "the process manager that was asked knows the application, or nothing answers",
		holds: (*view).runElsewhere,
	}
	// A restart passes through what a stop looks like; so a stop that is younger is none yet.
	stopStands = condition{
		yes: "somebody had it stopped, and it stays so", no: "nobody is known to have had it stopped, or only since a moment ago",
		holds: func(v *view) bool { return v.stopped() && v.unmoved() >= v.settle() },
	}
	managerBusy         = stateIs("stopping, starting or about to restart it", runtime.Stopping, runtime.Starting, runtime.Waiting)
	managerWithinBounds = condition{
		yes: "it has taken no longer than its settings allow", no: "it has taken longer than its settings allow",
		holds: func(v *view) bool { return v.unmoved() < v.bound() },
		seen:  func(v *view) string { return v.unmoved().String() },
	}
	noStartKnown = condition{
		yes: "spec.runtime does not say how to start it", no: "spec.runtime says how to start it",
		holds: func(v *view) bool {
			spec := &v.c.App.Spec.Runtime
			return spec.PM2 != nil && spec.PM2.Start == "" || spec.Systemd != nil // what systemd does not have, nothing else starts
		},
	}
)

// Two daemons of one home: the one that takes calls, and one that keeps what it has and cannot be reached any more.
var ruleTwoDaemons = Rule{
	Name: "two-daemons", Sees: "the application listens on its port as a child of another PM2 daemon of the same home than the one that takes calls",
	Blame: v1alpha1.BlameRuntime, Reason: "TwoDaemons", Remedy: v1alpha1.RemedyHold,
	AtLimit: "no limit: that daemon cannot be told to stop it, and would bring it back; the alert is repeated every hour",
	Next: []string{
		"see both: pgrep -af 'God Daemon'", "end the one that does not take calls, and with it what it runs: kill {rival}",
		"then let the other one start it: pm2 resurrect",
	},
	When: []condition{orphanUnderAnother, not(oursListens), managerAsked},
	says: func(v *view) string {
		l, _ := v.port.By(facts.OurOrphan)
		whom := "the one that takes calls does not run it"
		if v.daemonGone() {
			whom = "it takes no calls any more: its socket is gone"
		}
		return fmt.Sprintf("port %d is held by the application itself (pid %d), which another PM2 daemon (pid %d) of %s runs; %s",
			v.port.Port, l.PID, l.Under, v.process.Home, whom)
	},
}

var ruleRuntimeGoing = Rule{
	Name: "runtime-going", Sees: "the process manager itself is gone since a moment ago; its own service, or whoever ended it, may be bringing it back",
	Blame: v1alpha1.BlameRuntime, Reason: "DaemonGoing", Remedy: v1alpha1.RemedyWait, Look: settleTime,
	When: []condition{managerGone, managerGoneJustNow, not(stopStands), not(runElsewhere)},
	says: func(v *view) string {
		return fmt.Sprintf("no PM2 daemon runs in %s since a moment ago", v.process.Home)
	},
}

var ruleAnswersElsewhere = Rule{
	Name: "answers-elsewhere", Sees: "something answers on the port, and the process manager that was asked does not run it, or does not even know it",
	Blame: v1alpha1.BlameRuntime, Reason: "RunByAnother", Remedy: v1alpha1.RemedyHold,
	AtLimit: "no limit: the site is up",
	Next: []string{
		"is it another user's process manager, or another home of it? evenkeel asked {home}",
		"under PM2 set spec.runtime.pm2.home, or run evenkeel as the user who runs the application",
	},
	When: []condition{noProcess, answers, not(orphanListens)},
	says: func(v *view) string {
		who := ""
		if l, ok := v.port.By(facts.Stranger); ok {
			who = "; it is held by " + describe(l)
		}
		return fmt.Sprintf("port %d answers, but %s%s does not run %q there%s", v.port.Port, v.manager(), v.in(), v.name(), who)
	},
	adjust: func(v *view, out *v1alpha1.Verdict) {
		if v.c.App.Spec.Runtime.Systemd != nil {
			out.Next = []string{"what systemd says of it: " + v.list(), "is it another unit, or one of the other manager? spec.runtime.systemd: unit, user"}
		}
	},
}

var ruleOperatorStop = Rule{
	Name: "operator-stop", Sees: "somebody had the process stopped, took it out of the process manager's list, or ended that, and it was not evenkeel",
	Blame: v1alpha1.BlameOperator, Reason: "StoppedByOperator", Remedy: v1alpha1.RemedyHold, Certain: true,
	AtLimit: "after respectStop (15 min) one plain recovery", Act: true,
	Next: []string{"start it: {start}", "to keep it stopped: evenkeel pause {app} --reason '…'"},
	When: []condition{stoppedByHand, settled},
	says: func(v *view) string {
		what := fmt.Sprintf("%q was", v.name())
		switch {
		case v.daemonGone():
			what += ", and PM2 itself is,"
		case v.deleted():
			what += " taken out of PM2's list, and so"
		}
		return fmt.Sprintf("%s stopped by hand %s ago", what, v.process.StopOrderedFor.Round(time.Second))
	},
	adjust: func(v *view, out *v1alpha1.Verdict) {
		out.HoldLimit = v.c.App.Spec.Recovery.RespectStop
		if v.deleted() {
			out.Next[0] = "start it: pm2 start " + v.c.App.Spec.Runtime.PM2.Start
		}
	},
}

var ruleRuntimeGone = Rule{
	Name: "runtime-gone", Sees: "the process manager itself does not run, and it can be brought back with the application",
	Blame: v1alpha1.BlameRuntime, Reason: "DaemonGone", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
	Next: []string{"see why it died: tail {home}/pm2.log; dmesg | tail", "what comes back is what was last saved: pm2 save"},
	When: []condition{managerGone, revivable, not(running), not(answers)},
	says: func(v *view) string {
		return fmt.Sprintf("no PM2 daemon runs in %s; it can be brought back: %s", v.process.Home, v.process.Revival)
	},
}

var ruleRuntimeLost = Rule{
	Name: "runtime-lost", Sees: "the process manager itself does not run, and evenkeel cannot bring it back with the application",
	Blame: v1alpha1.BlameRuntime, Reason: "DaemonLost", Remedy: v1alpha1.RemedyHold,
	AtLimit: "no limit: the alert is repeated every hour",
	Next: []string{
		"start PM2 as the application's user: pm2 resurrect (or: systemctl start pm2-<user>)",
		"see its log: {home}/pm2.log", "is this the right home? {home}",
	},
	When: []condition{managerGone},
	says: func(v *view) string {
		why := ""
		if v.process.NoRevival != "" {
			why = ": " + v.process.NoRevival
		}
		return fmt.Sprintf("no PM2 daemon runs in %s%s", v.process.Home, why)
	},
}

var ruleRuntimeBusy = Rule{
	Name: "runtime-busy", Sees: "the runtime is stopping, starting or about to restart it, within the time that its settings allow",
	Blame: v1alpha1.BlameRuntime, Reason: "RuntimeBusy", Remedy: v1alpha1.RemedyWait, Look: settleTime,
	When: []condition{managerBusy, managerWithinBounds},
	says: func(v *view) string { return v.manager() + " is at it: " + v.message(v1alpha1.CheckProcess) },
}

var ruleNotListed = Rule{
	Name: "not-listed", Sees: "the process manager runs and has not listed the application for two seconds, and spec.runtime says no start; systemd has no such unit, or cannot use it",
	Blame: v1alpha1.BlameConfig, Reason: "NotListed", Remedy: v1alpha1.RemedyHold,
	AtLimit: "no limit: evenkeel would not know how to start it; the alert is repeated every hour",
	Next: []string{
		"start it by hand: pm2 start … --name {name}",
		"or say how: spec.runtime.pm2.start: ecosystem.config.js", "is this the right home? {home}",
	},
	When: []condition{stateIs("not in its list", runtime.Missing), noStartKnown, managerAsked, settled},
	says: func(v *view) string {
		if v.c.App.Spec.Runtime.Systemd != nil {
			return v.message(v1alpha1.CheckProcess)
		}
		return fmt.Sprintf("PM2 in %s lists no process %q", v.process.Home, v.name())
	},
	adjust: func(v *view, out *v1alpha1.Verdict) {
		if systemd := v.c.App.Spec.Runtime.Systemd; systemd != nil {
			ctl := systemd.Program("systemctl")
			out.Next = []string{
				"what systemd says of it: " + v.list(), "is its file new? " + ctl + " daemon-reload", "is it masked? " + ctl + " unmask " + systemd.Unit,
				"is it a unit of the other manager? spec.runtime.systemd.user",
			}
		}
	},
}

// givenUp are the rows that the process manager has given up on.
func (v *view) givenUp() []string {
	var ids []string
	for _, row := range v.process.Rows {
		if row.State == string(runtime.Errored) {
			ids = append(ids, row.ID)
		}
	}
	return ids
}

// startedAgain are the ids of the rows that were started at least three times since the oldest look that there is.
func (v *view) startedAgain() []string {
	const often int64 = 3
	before := map[string]int64{}
	for n := len(v.c.Recent) - 2; n >= 0; n-- {
		p, _ := facts.Of[facts.Process](&v.c.Recent[n], v1alpha1.CheckProcess)
		if p.DaemonPID != v.process.DaemonPID {
			break
		}
		for _, row := range p.Rows {
			before[row.ID] = row.Restarts
		}
	}
	var ids []string
	for _, row := range v.process.Rows {
		if was, ok := before[row.ID]; ok && row.Restarts-was >= often {
			ids = append(ids, row.ID)
		}
	}
	return ids
}
