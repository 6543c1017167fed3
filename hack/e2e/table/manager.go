package table

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var (
	manages  = blames(v1alpha1.BlameRuntime)
	operator = blames(v1alpha1.BlameOperator)
)

var manager = []Row{
	{
		Name: "daemon-killed", Failure: "PM2's daemon is killed, and the application ends with it",
		Action: Plain, Blame: manages, Rules: []string{"runtime-gone"}, App: Replaced, Lost: []string{"pm2", "shop"}, Lift: Itself, Case: "pm2-daemon-killed",
	},
	{
		Name: "daemon-killed-over-npm", Failure: "`pm2 start npm -- start`, and PM2's daemon is killed: the server lives on, and answers; it is ended before PM2 is brought back, so that there is no second one",
		Before: []string{"pm2-with script: 'npm', args: 'start', node_args: ''", "pm2-save"}, Faults: []string{"pm2-daemon-kill"},
		Action: Plain, Blame: manages, Rules: []string{"orphan-of-runtime"}, App: Replaced, Lost: []string{"pm2", "shop"}, Lift: Itself,
		Confirmed: 15 * time.Second, Check: "orphan-ended", Seconds: 50,
	},
	{
		Name: "daemon-lost-over-npm", Failure: "the same where nothing was saved and spec.runtime.pm2.start is not set, so that nothing could take its place: the server is left to serve",
		Action: Hold, Blame: blames(v1alpha1.BlameRuntime, v1alpha1.BlamePort), Rules: []string{"runtime-lost"}, App: Replaced, Starts: true, Lost: []string{"pm2", "shop"},
		Alerts: []string{"Degraded Runtime", "Degraded Port", "Resolved Runtime"}, Case: "daemon-lost-over-npm",
	},
	{
		Name: "pm2-not-found", Failure: "PM2's daemon is killed, and there is no such program as spec.runtime.pm2.command: told at once; then somebody says pm2 resurrect",
		Faults: []string{"pm2-daemon-kill"}, Spec: map[string]any{"spec.runtime.pm2.command": []any{"/home/deploy/bin/pm2-of-nobody"}},
		Action: Hold, Blame: manages, Rules: []string{"runtime-lost"}, App: Replaced, Lost: []string{"pm2", "shop"}, Healthy: 30 * time.Second,
		Says: []string{"/home/deploy/bin/pm2-of-nobody"}, Seconds: 50,
	},
	{
		Name: "node-not-found", Failure: "PM2's daemon is killed, and spec.runtime.pm2.command finds no node (exit status 127)",
		Before: []string{"pm2-without-node"}, Faults: []string{"pm2-daemon-kill"}, Spec: map[string]any{"spec.runtime.pm2.command": []any{"/home/deploy/bin/pm2-without-node"}},
		Action: GiveUp, Blame: manages, Rules: []string{"runtime-gone"}, App: Replaced, Lost: []string{"pm2", "shop"}, Healthy: 30 * time.Second,
		Check: "no-such-file", Seconds: 80,
	},
	{
		Name: "bare-environment", Failure: "it hangs, while evenkeel has neither PATH nor HOME",
		Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself, Case: "bare-environment",
	},
	{
		Name: "bare-environment-daemon-killed", Failure: "PM2's daemon is killed, while evenkeel has neither PATH nor HOME, and is started only then",
		Action: Plain, Blame: manages, Rules: []string{"runtime-gone"}, App: Replaced, Lift: Itself, Lost: []string{"pm2", "shop"}, Case: "bare-environment-daemon-killed",
	},
	{
		Name: "wrong-user", Failure: "evenkeel is run by another user than the one whose PM2 it is told, and may not ask that",
		Action: Nothing, App: Kept, Case: "wrong-user",
	},
	{
		Name: "wrong-user-hangs", Failure: "and then it hangs: nothing is done for ten minutes by one who cannot see what he would do",
		Action: Hold, Blame: host, Rules: []string{"cannot-see"}, App: Kept, Case: "wrong-user",
	},
	{
		Name: "daemon-hangs-and-it-too", Failure: "PM2's daemon does not answer, and the application hangs: PM2 is not ended, which would end all that it runs",
		Faults: []string{"pm2-daemon-hang", "hang"}, Spec: brief, Action: Hold, Blame: host, Rules: []string{"cannot-see"}, App: Kept,
		Confirmed: 45 * time.Second, Passes: 3, Check: "one-daemon", Seconds: 100,
	},
	{
		Name: "daemon-hangs-for-long", Failure: "PM2's daemon does not answer for ten minutes: told once, and after an hour once a day",
		Why:    "it takes ten minutes, which no setting makes shorter",
		Action: Nothing, Alerts: []string{"Unknown"}, App: Kept, Proof: "controller TestACheckThatCannotBeAskedIsToldAfterTenMinutes",
	},
	{
		Name: "daemon-hangs", Failure: "PM2's daemon does not answer: every pm2 command waits for ever",
		Faults: []string{"pm2-daemon-hang"}, Action: Nothing, App: Kept, Passes: 3, Check: "process-unknown", Seconds: 50,
	},
	{
		Name: "many-commands", Failure: "somebody runs eight pm2 commands at once",
		Faults: []string{"pm2-many 8"}, Action: Nothing, App: Kept, Lift: Itself, Check: "one-daemon", Seconds: 30,
	},
	{
		Name: "wrong-home", Failure: "evenkeel is told the wrong PM2_HOME, where no daemon is",
		Edit:   map[string]any{"spec.runtime.pm2.home": "/home/deploy/.pm2-of-nobody"},
		Action: Hold, Blame: manages, Rules: []string{"answers-elsewhere"}, App: Kept, Confirmed: 20 * time.Second,
		Says: []string{"/home/deploy/.pm2-of-nobody"}, Check: "one-daemon", Seconds: 45,
	},
	{
		Name: "run-by-another-user", Failure: "the site is run by another user's PM2, and evenkeel's own knows nothing of it",
		Faults: []string{"pm2-elsewhere other"}, Unseen: true, Action: Hold, Blame: manages, Rules: []string{"answers-elsewhere"}, App: Replaced, Starts: true,
		Says: []string{"user other"}, Check: "one-daemon", Seconds: 50,
		MayHold: operator, // where it takes long to come back under its own PM2, whose list it was taken out of
	},
	{
		Name: "another-home", Failure: "it hangs, under a PM2 of another home than the user's usual one",
		Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself, Case: "another-home",
	},
	{
		Name: "supervised-by-root", Failure: "it hangs, while evenkeel is run by root and PM2 by deploy",
		Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself, Case: "as-root",
	},
	{
		Name: "supervised-by-root-errored", Failure: "and soon after that was mended PM2 gives up on it: it is told that it does so again and again",
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lift: Itself, Case: "as-root",
		Alerts: []string{"Flapping App", "Resolved App"},
	},
	{
		Name: "listed-twice", Failure: "it was started a second time under its name, and finds its port taken by the first",
		Action: Nothing, App: Kept, Alerts: []string{"Warning App"}, Case: "listed-twice",
	},
	{
		Name: "cluster-reload", Failure: "cluster mode: the operator says pm2 reload, and each worker is replaced",
		Action: Nothing, App: Replaced, Lift: Itself, Case: "cluster",
	},
	{
		Name: "cluster-worker-killed", Failure: "cluster mode: one of two workers is killed, and PM2 brings it back",
		Action: Nothing, App: Replaced, Lift: Itself, Case: "cluster",
	},
	{
		Name: "cluster-worker-hangs", Failure: "cluster mode: one of two workers hangs, and the other one serves",
		Action: Nothing, App: Kept, Lift: Itself, Case: "cluster",
	},
	{
		Name: "cluster-hangs", Failure: "cluster mode: every worker hangs, while PM2's daemon listens for them",
		Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself, Case: "cluster",
	},
	{
		Name: "stopped", Failure: "the operator stops it: pm2 stop, and pm2 start later",
		Faults: []string{"pm2-stop"}, Action: Hold, Blame: operator, Rules: []string{"operator-stop"}, App: Replaced, Seconds: 35,
	},
	{
		Name: "stopped-for-long", Failure: "the operator stops it, and forgets it",
		Faults: []string{"pm2-stop"}, Spec: map[string]any{"spec.recovery.respectStop": "15s"},
		Action: Respect, Blame: operator, Rules: []string{"operator-stop"}, App: Replaced, Lift: Itself, Seconds: 50,
	},
	{
		Name: "deleted", Failure: "somebody says pm2 delete, and forgets it: PM2's list has no such process",
		Faults: []string{"pm2-delete"}, Spec: map[string]any{"spec.recovery.respectStop": "15s"},
		Action: Respect, Blame: operator, Rules: []string{"operator-stop"}, App: Replaced, Lift: Itself,
		Says: []string{"taken out of PM2's list"}, Seconds: 50,
	},
	{
		Name: "updated", Failure: "somebody says pm2 update: another daemon, and all applications anew below it",
		Faults: []string{"pm2-update"}, Action: Nothing, App: Replaced, Lost: []string{"pm2", "shop"}, Lift: Itself, Check: "pid-changed", Seconds: 40,
	},
	{
		Name: "stopped-and-updated", Failure: "the operator stops it, and then says pm2 update: below the new daemon it is stopped, too",
		Faults: []string{"pm2-stop", "pm2-update"}, Unseen: true, Action: Hold, Blame: operator, Rules: []string{"operator-stop"}, App: Replaced, Lost: []string{"pm2", "shop"},
		Says: []string{"stopped by hand"}, Seconds: 50,
	},
	{
		Name: "stop-takes-long", Failure: "somebody restarts it while it hangs, and PM2 waits for its kill_timeout of 12 s",
		Before: []string{"pm2-with kill_timeout: 12000"}, Faults: []string{"hang", "pm2-restart"},
		Action: Nothing, App: Replaced, Lift: Itself, Passes: 10, Check: "pid-changed", Seconds: 45,
	},
	{
		Name: "restarted-by-hand", Failure: "the operator says pm2 restart",
		Faults: []string{"pm2-restart"}, Action: Nothing, App: Replaced, Lift: Itself, Check: "pid-changed", Seconds: 20,
	},
	{
		Name: "memory-limit", Failure: "PM2 restarts it at its memory limit (max_memory_restart)",
		Before: []string{"pm2-with max_memory_restart: '350M'"}, Faults: []string{"memory-leak 400"},
		Action: Nothing, App: Replaced, Lift: Itself, Check: "pid-changed", Seconds: 60,
	},
	{
		Name: "cron", Failure: "PM2 restarts it by a schedule (cron_restart), here every 20 s",
		Before: []string{"pm2-with cron_restart: '*/20 * * * * *'"}, Action: Nothing, App: Replaced, Lift: Itself, Passes: 16, Check: "pid-changed", Seconds: 60,
	},
	{
		Name: "watch", Failure: "PM2 restarts it because a file has changed (watch)",
		Before: []string{"pm2-with watch: ['watched']"}, Faults: []string{"touch-watched"},
		Action: Nothing, App: Replaced, Lift: Itself, Check: "pid-changed", Seconds: 30,
	},
	{
		Name: "daemon-in-another-service", Failure: "PM2's daemon was born inside another service, and dies when that ends",
		Why:    "the stack has no systemd; that what evenkeel brings back lives in nobody's service is shown over systemd's answers",
		Action: Plain, Blame: manages, Rules: []string{"runtime-gone"}, App: Replaced, Lost: []string{"pm2", "shop"},
		Proof: "reconcilers/pm2 TestWithoutTheRightToStartItsServiceAUnitIsMade",
	},
}

// older are the rows of the PM2s before the newest, each in a home of its own: they are to be seen and used as that is.
func older() (list []Row) {
	for _, major := range []string{"5", "6"} {
		list = append(list,
			Row{
				Name: "pm2-" + major + "-hangs", Failure: "it hangs, under PM2 " + major,
				Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself, Case: "pm2-" + major,
			},
			Row{
				Name: "pm2-" + major + "-daemon-killed", Failure: "the daemon of PM2 " + major + " is killed, and the application ends with it",
				Action: Plain, Blame: manages, Rules: []string{"runtime-gone"}, App: Replaced, Lift: Itself, Case: "pm2-" + major + "-killed",
			},
			Row{
				Name: "pm2-" + major + "-cluster-hangs", Failure: "cluster mode under PM2 " + major + ": every worker hangs",
				Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself, Case: "pm2-" + major + "-cluster",
			})
	}
	return list
}
