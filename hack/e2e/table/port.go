package table

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var onPort = blames(v1alpha1.BlamePort)

var port = []Row{
	{
		Name: "orphan", Failure: "an earlier process of the application, unknown to PM2, holds the port; PM2 loops on EADDRINUSE",
		Action: Plain, Blame: onPort, Rules: []string{"orphan-on-port"}, App: Replaced, Lift: Itself, Case: "port-orphan",
	},
	{
		Name: "orphan-of-npm", Failure: "`pm2 start npm -- start`, and npm is killed: the server lives on, keeps the port and answers with the old code",
		Before: []string{"pm2-with script: 'npm', args: 'start', node_args: ''"}, Faults: []string{"npm-killed"},
		Action: Plain, Blame: onPort, Rules: []string{"orphan-on-port"}, App: Replaced, Lift: Itself,
		Confirmed: 15 * time.Second, Check: "orphan-ended", Seconds: 45,
	},
	{
		Name: "port-misspelt", Failure: "spec.port was edited, and is not the application's port any more",
		Edit: map[string]any{"spec.port": 3013}, Action: Hold, Blame: config, Rules: []string{"listens-elsewhere"}, App: Kept,
		Says: []string{"listens on", ":3003", "port 3013 is expected"}, Long: true, Seconds: 60,
	},
	{
		Name: "port-moved", Failure: "it was started anew with another port, and spec.port is the old one",
		Faults: []string{"port-moved"}, Unseen: true, Spec: map[string]any{"spec.recovery.startupGrace": "6s"},
		Action: Hold, Blame: config, Rules: []string{"listens-elsewhere"}, App: Replaced,
		Confirmed: 25 * time.Second, Says: []string{":3013", "port 3003 is expected"}, Seconds: 60,
	},
	{
		Name: "stranger", Failure: "a program of another user holds the port and answers 200",
		Action: Hold, Blame: onPort, Rules: []string{"stranger-on-port"}, App: Replaced, Starts: true, Case: "stranger-other-user",
	},
	{
		Name: "stranger-of-same-user", Failure: "a program of the same user, from elsewhere, holds the port and answers 200",
		Action: Hold, Blame: onPort, Rules: []string{"stranger-on-port"}, App: Replaced, Starts: true, Case: "stranger-same-user",
	},
}
