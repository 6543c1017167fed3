package table

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var app = blames(v1alpha1.BlameApp)

var application = []Row{
	{
		Name: "crash-errored", Failure: "it crashes at every start, and PM2 gives up (errored); then the cause is gone",
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lift: Itself, Case: "crash-errored",
	},
	{
		Name: "crash-loop", Failure: "a crash loop: it answers for a moment in each of its lives, and PM2 says online",
		Action: Plain, Blame: app, Rules: []string{"crash-loop", "crash-loop-answering"}, App: Replaced, Lift: Recovering, Case: "crash-loop",
	},
	{
		Name: "crash-loop-for-good", Failure: "a crash loop that no restart ends",
		Action: GiveUp, Blame: app, Rules: []string{"crash-loop", "crash-loop-answering"}, App: Replaced, Case: "failed-crash-loop",
	},
	{
		Name: "dies-at-once", Failure: "every start dies at once, for good",
		Action: GiveUp, Blame: app, Rules: []string{"process-gone", "crash-loop"}, App: Replaced, Case: "gives-up",
	},
	{
		Name: "kill9-once", Failure: "it is killed once, and PM2 brings it back",
		Action: Nothing, App: Replaced, Lift: Itself, Case: "kill9-once",
	},
	{
		Name: "exits-once", Failure: "it exits by itself once, with code 0, and PM2 brings it back",
		Faults: []string{"exit 0"}, Action: Nothing, App: Replaced, Lift: Itself, Seconds: 20,
	},
	{
		Name: "autorestart-off", Failure: "it exits, and PM2 was told not to restart it (autorestart: false): stopped, though nobody stopped it",
		Before: []string{"pm2-with autorestart: false"}, Faults: []string{"exit 1"},
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lift: Itself, Seconds: 35,
	},
	{
		Name: "stop-exit-codes", Failure: "it exits with a code that PM2 was told to take for a stop (stop_exit_codes): stopped, though nobody stopped it",
		Before: []string{"pm2-with stop_exit_codes: [7]"}, Faults: []string{"exit 7"},
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lift: Itself, Seconds: 35,
	},
	{
		Name: "back-off", Failure: "it dies once, and PM2 waits for 3 s before it brings it back (exp_backoff_restart_delay): waiting restart",
		Before: []string{"pm2-with exp_backoff_restart_delay: 3000"}, Faults: []string{"kill9"},
		Action: Nothing, App: Replaced, Lift: Itself, Check: "pid-changed", Seconds: 30,
	},
	{
		Name: "large-environment", Failure: "it hangs, with so much in its environment that PM2's list has 400 KB and more",
		Before: []string{"large-environment"}, Faults: []string{"hang"}, Spec: brief,
		Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself, Seconds: 40,
	},
	{
		Name: "hang", Failure: "it hangs: the port is open, nobody answers (SIGSTOP)",
		Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself, Case: "hang",
	},
	{
		Name: "endless-loop", Failure: "it hangs in an endless loop",
		Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself, Case: "stuck-in-a-loop",
	},
	{
		Name: "short-trouble", Failure: "one slow answer, a pause of 3 s, 500 for 3 s",
		Action: Nothing, App: Kept, Lift: Itself, Case: "transients",
	},
	{
		Name: "slow-start", Failure: "it dies once, and its next start takes ten seconds until it listens",
		Faults: []string{"slow-start 10"}, Action: Nothing, App: Replaced, Lift: Itself, Passes: 8, Seconds: 35,
	},
	{
		Name: "launching", Failure: "PM2 waits for a ready signal that does not come (wait_ready): launching for 6 s, while it answers",
		Before: []string{"pm2-with wait_ready: true, listen_timeout: 6000"}, Faults: []string{"kill9"},
		Action: Nothing, App: Replaced, Lift: Itself, Seconds: 30,
	},
	{
		Name: "http-500", Failure: "its front page answers 500 until it is restarted",
		Action: Plain, Blame: app, Rules: []string{"server-error"}, App: Replaced, Lift: Itself, Case: "http-500",
	},
	{
		Name: "http-500-for-good", Failure: "every page answers 500, after restarts too",
		Action: GiveUp, Blame: app, Rules: []string{"server-error"}, App: Replaced, Case: "failed-http-500",
	},
	{
		Name: "page-broken", Failure: "one page is broken, and it is the front page: truncated code, 500 at every try",
		Faults: []string{"page-broken"}, Spec: map[string]any{"spec.recovery.deadline": "6s", "spec.recovery.startupGrace": "6s"},
		Action: GiveUp, Blame: app, Rules: []string{"server-error"}, App: Replaced,
		Confirmed: 15 * time.Second, Healthy: 40 * time.Second, Seconds: 100,
	},
	{
		Name: "uncaught-exception", Failure: "an exception that nobody caught; Next.js logs it, and lives on",
		Faults: []string{"throw"}, Action: Nothing, App: Kept, Lift: Itself, Seconds: 20,
	},
	{
		Name: "heap-limit", Failure: "it reaches V8's heap limit, aborts, and PM2 brings it back",
		Before: []string{"pm2-with node_args: '--require ./faults.cjs --max-old-space-size=160'"}, Faults: []string{"heap"},
		Action: Nothing, App: Replaced, Lift: Itself, Passes: 10, Check: "pid-changed", Seconds: 40,
	},
	{
		Name: "redirect", Failure: "its front page redirects, to https or to a login",
		Faults: []string{"redirect"}, Spec: map[string]any{"spec.checks.public.expectStatus": []any{200, 307}},
		Action: Nothing, App: Kept, Seconds: 20,
	},
	{
		Name: "not-listening", Failure: "it runs on and listens no more",
		Action: Plain, Blame: app, Rules: []string{"not-listening"}, App: Replaced, Lift: Itself, Case: "port-free",
	},
	{
		Name: "ipv4-only", Failure: "it listens on 127.0.0.1 alone",
		Before: []string{"pm2-with args: 'start -p 3003 -H 127.0.0.1'"}, Action: Nothing, App: Kept, Lift: Itself, Seconds: 25,
	},
	{
		Name: "ipv6-only", Failure: "it listens on ::1 alone",
		Before: []string{"pm2-with args: 'start -p 3003 -H ::1'"}, Spec: map[string]any{"spec.checks.public.disabled": true},
		Action: Nothing, App: Kept, Lift: Itself, Seconds: 25,
	},
	{
		Name: "secrets-in-its-log", Failure: "it writes its secrets into its log, and dies of it",
		Faults: []string{"crash-errored telling"}, Unseen: true,
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lift: Itself, Seconds: 30,
	},
}
