package table

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var (
	config = blames(v1alpha1.BlameConfig)
	deploy = blames(v1alpha1.BlameDeploy)
)

var folder = []Row{
	{
		Name: "deploy", Failure: "a deploy: git pull, npm ci, which takes node_modules away, and next build, in place, with a restart at its end",
		Action: Nothing, MayHold: deploy, App: Replaced, Lift: Itself, Case: "deploy",
	},
	{
		Name: "deploy-takes-it-down", Failure: "in the midst of a deploy it dies, and PM2 gives up",
		Action: Hold, Blame: deploy, Rules: []string{"deploy-at-work"}, App: Replaced, Lift: Itself, Starts: true, Case: "deploy-takes-it-down",
	},
	{
		Name: "deploy-while-500", Failure: "a deploy while its front page answers 500: nothing is done until it is over",
		Faults: []string{"http-500", "deploy"}, Action: Hold, Blame: deploy, Rules: []string{"deploy-at-work"}, App: Replaced, Lift: Itself, Starts: true,
		Confirmed: 15 * time.Second, Healthy: 75 * time.Second, Check: "deploy-over", Seconds: 110,
	},
	{
		Name: "webhook-deploy", Failure: "a deploy that another row of PM2 runs, which receives webhooks, while its front page answers 500: nothing is done until it is over",
		Faults: []string{"http-500", "webhook-deploy"}, Unseen: true, Action: Hold, Blame: deploy, Rules: []string{"deploy-at-work"}, App: Replaced, Lift: Itself, Starts: true,
		Confirmed: 15 * time.Second, Healthy: 75 * time.Second, Check: "deploy-over", Seconds: 110,
	},
	{
		Name: "deploy-lock", Failure: "the lock file of a deploy (spec.deploy.lockFile) names a process that lives, while its front page answers 500",
		Faults: []string{"http-500", "deploy-lock live"}, Unseen: true, Spec: map[string]any{"spec.deploy.lockFile": ".deploy-lock"},
		Action: Hold, Blame: deploy, Rules: []string{"deploy-at-work"}, App: Replaced, Says: []string{".deploy-lock"}, Seconds: 40,
	},
	{
		Name: "deploy-lock-too-old", Failure: "the lock file of a deploy was forgotten, while its front page answers 500: it counts until its limit (spec.deploy.lockLimit)",
		Faults: []string{"http-500", "deploy-lock"}, Unseen: true,
		Spec:   map[string]any{"spec.deploy.lockFile": ".deploy-lock", "spec.deploy.lockLimit": "15s"},
		Action: Respect, Blame: deploy, Rules: []string{"deploy-at-work"}, App: Replaced, Lift: Itself, Seconds: 80,
		Alerts: []string{"Degraded Deploy", "Degraded App", "Resolved Deploy"},
	},
	{
		Name: "deploy-lock-of-the-dead", Failure: "the lock file of a deploy names a process that does not live, while its front page answers 500",
		Faults: []string{"http-500", "deploy-lock dead"}, Unseen: true, Spec: map[string]any{"spec.deploy.lockFile": ".deploy-lock"},
		Action: Plain, Blame: app, Rules: []string{"server-error"}, App: Replaced, Lift: Itself, Seconds: 35,
	},
	{
		Name: "npm-start-is-no-deploy", Failure: "`pm2 start npm -- start`, whose npm is no deploy, and its front page answers 500",
		Before: []string{"pm2-with script: 'npm', args: 'start', node_args: ''"}, Faults: []string{"http-500"},
		Action: Plain, Blame: app, Rules: []string{"server-error"}, App: Replaced, Lift: Itself, Seconds: 45,
	},
	{
		Name: "build-missing", Failure: "the build output is gone, and it is started without it",
		Faults: []string{"build-missing"}, Action: Hold, Blame: config, Rules: []string{"build-missing"}, App: Replaced, Starts: true,
		Confirmed: 20 * time.Second, Healthy: 30 * time.Second, Says: []string{"build"}, Seconds: 60,
	},
	{
		Name: "build-killed", Failure: "next build was killed half-way, and it is started with what that has left",
		Faults: []string{"build-killed"}, Unseen: true, Action: Hold, Blame: config, Rules: []string{"build-missing"}, App: Replaced, Starts: true,
		Confirmed: 20 * time.Second, Healthy: 30 * time.Second, Says: []string{"there is no finished build", "npm run build"}, Seconds: 75,
	},
	{
		Name: "build-without-id", Failure: "the build has no BUILD_ID, and it is started with that",
		Faults: []string{"build-cut id"}, Action: Hold, Blame: config, Rules: []string{"build-missing"}, App: Replaced, Starts: true,
		Confirmed: 20 * time.Second, Healthy: 30 * time.Second, Says: []string{"BUILD_ID is missing"}, Seconds: 60,
	},
	{
		Name: "build-without-server", Failure: "the build has its BUILD_ID and not the files of the server, and it is started with that",
		Faults: []string{"build-cut server"}, Action: Hold, Blame: config, Rules: []string{"build-missing"}, App: Replaced, Starts: true,
		Confirmed: 20 * time.Second, Healthy: 30 * time.Second, Says: []string{"server", "is missing"}, Seconds: 60,
	},
	{
		Name: "build-cut-short", Failure: "a manifest of the build was cut short, and it is started with that",
		Faults: []string{"build-cut manifest"}, Action: Hold, Blame: config, Rules: []string{"build-missing"}, App: Replaced, Starts: true,
		Confirmed: 20 * time.Second, Healthy: 30 * time.Second, Says: []string{"routes-manifest.json was cut short"}, Seconds: 60,
	},
	{
		Name: "modules-missing", Failure: "node_modules is gone, and it is started without it",
		Faults: []string{"modules-missing"}, Action: Hold, Blame: config, Rules: []string{"known-fault"}, App: Replaced, Starts: true,
		Confirmed: 30 * time.Second, Healthy: 30 * time.Second, Says: []string{"a module was not found", "npm ci"}, Seconds: 75,
	},
	{
		Name: "dist-missing", Failure: "what it is compiled into (dist/) is gone, and it is started without it; then it is built anew",
		Before: []string{"dist-server"}, Faults: []string{"dist-missing"}, Action: Hold, Blame: config, Rules: []string{"build-missing"}, App: Replaced, Starts: true,
		Confirmed: 30 * time.Second, Healthy: 30 * time.Second, Says: []string{"dist/main.js is missing", "npm run build"}, Seconds: 75,
	},
	{
		Name: "interpreter-gone", Failure: "the program that runs it is gone, and it is started without it; then it is there again, on the PATH of PM2",
		Before: []string{"interpreter-own"}, Faults: []string{"interpreter-gone"}, Action: Hold, Blame: config, Rules: []string{"known-fault"}, App: Replaced, Starts: true,
		Confirmed: 30 * time.Second, Healthy: 30 * time.Second, Says: []string{"the program that runs it was not found"}, Seconds: 75,
	},
	{
		Name: "env-changed", Failure: "another database address stands in the .env file since its process has started",
		Faults: []string{"env-changed"}, Action: Nothing, App: Kept, Check: "environment-changed", Seconds: 25,
	},
	{
		Name: "env-missing", Failure: "the .env file is gone; the process still has its environment",
		Faults: []string{"env-missing"}, Action: Hold, Blame: config, Rules: []string{"database-configuration"}, App: Kept,
		Says: []string{"DATABASE_URL"}, Long: true, Seconds: 60,
	},
	{
		Name: "cache-corrupt", Failure: "a cache of its own holds broken JSON, and it dies of it at every start",
		Action: Clean, Blame: app, Rules: []string{"crash-loop", "process-gone"}, App: Replaced, Lift: Itself, Case: "cache-corrupt",
	},
	{
		Name: "expects-in-vain", Failure: "spec.checks.local was edited, and expects what the application has never answered",
		Edit: map[string]any{"spec.checks.local.expectBody": "nobody has written this"}, Action: Hold, Blame: config, Rules: []string{"never-as-expected"}, App: Kept,
		Says: []string{"a mistake in the desired file", "let spec.checks.local expect it"}, Long: true, Seconds: 60,
	},
	{
		Name: "image-cache-broken", Failure: "what the cache holds of a picture is zeros, as after a loss of power: it is answered with them, after a plain restart too",
		Before: []string{"picture"}, Faults: []string{"image-cache-broken"}, Unseen: true,
		Spec: map[string]any{
			"spec.checks.local.path": "/_next/image?url=%2Fpicture.png&w=64&q=75", "spec.checks.local.expectBody": "PNG",
			"spec.recovery.deadline": "6s", "spec.recovery.startupGrace": "6s",
		},
		Action: Clean, Blame: app, Rules: []string{"server-error"}, App: Replaced, Lift: Itself, Seconds: 60,
	},
}
