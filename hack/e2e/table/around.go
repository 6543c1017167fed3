package table

import (
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var (
	memory = blames(v1alpha1.BlameMemory)
	disk   = blames(v1alpha1.BlameDisk)
	host   = blames(v1alpha1.BlameHost)
)

// brief lets requests end so soon that a failure is confirmed within a few seconds.
var brief = map[string]any{"spec.checks.local.timeout": "2s", "spec.checks.public.timeout": "2s"}

var machine = []Row{
	{
		Name: "memory-leak", Failure: "memory is low, the application has grown by what is missing, and nobody has grown by more",
		Action: Plain, Blame: memory, Rules: []string{"memory-app-grew"}, App: Replaced, Lift: Itself, Case: "memory-leak",
	},
	{
		Name: "memory-hog", Failure: "memory is low, and another program has it",
		Action: Hold, Blame: memory, Rules: []string{"memory-hog"}, App: Kept, Case: "memory-hog",
	},
	{
		Name: "memory-both-grew", Failure: "memory is low, the application has grown by what is missing, and another program by more",
		Faults: []string{"memory-both"}, Grown: true,
		Action: Hold, Blame: memory, Rules: []string{"memory-hog"}, App: Kept, Says: []string{"everything else has grown by"}, Seconds: 30,
	},
	{
		Name: "killed-for-memory", Failure: "the kernel's memory killer ends it, and PM2 brings it back: it is warned of",
		Faults: []string{"oom"}, Action: Nothing, Alerts: []string{"Warning Memory"}, App: Replaced, Lift: Itself, Check: "pid-changed", Seconds: 35,
	},
	{
		Name: "disk-short", Failure: "there is little room left where the application lies: told early",
		Before: []string{"disk-small app"}, Faults: []string{"disk-full 1024"}, Action: Hold, Blame: disk, Rules: []string{"disk-short"}, App: Kept,
		Says: []string{"MiB free where app lies", "df -h"}, Seconds: 50,
	},
	{
		Name: "disk-full-of-logs", Failure: "nothing more can be written where the logs lie",
		Before: []string{"disk-small logs"}, Faults: []string{"disk-full"}, Action: Hold, Blame: disk, Rules: []string{"disk-short"}, App: Kept,
		Says: []string{"0 MiB free where logs lies", "pm2 flush"}, Seconds: 45,
	},
	{
		Name: "disk-inodes", Failure: "no more files can be made where the application lies, though there is space",
		Before: []string{"disk-small app"}, Faults: []string{"disk-inodes"}, Action: Hold, Blame: disk, Rules: []string{"disk-short"}, App: Kept,
		Says: []string{"0 files can still be made where app lies", "df -i"}, Seconds: 50,
	},
	{
		Name: "disk-full-while-500", Failure: "the disk is full, and its front page answers 500",
		Before: []string{"disk-small app"}, Faults: []string{"disk-full", "http-500"}, Unseen: true, Action: Hold, Blame: disk, Rules: []string{"disk-full"},
		App: Replaced, Seconds: 50,
	},
	{
		Name: "disk-held", Failure: "a log that was removed still fills the disk, because PM2 holds it open",
		Before: []string{"disk-small logs"}, Faults: []string{"disk-held"}, Action: Hold, Blame: disk, Rules: []string{"disk-log-held"}, App: Kept,
		Says: []string{"that PM2", "still holds open", "pm2 reloadLogs"}, Seconds: 45,
	},
	{
		Name: "disk-full-of-its-cache", Failure: "the application's own cache of pictures fills the disk",
		Before: []string{"disk-small app"}, Faults: []string{"disk-cache"}, Action: Clean, Blame: disk, Rules: []string{"disk-cache"}, App: Replaced, Lift: Itself,
		Seconds: 60,
	},
	{
		Name: "down-and-disk-full", Failure: "it is down, and the disk is full: it is started all the same",
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Case: "down-while-disk-is-full",
		Alerts: []string{"Degraded App", "Degraded Disk", "Resolved App"},
	},
	{
		Name: "state-cannot-be-written", Failure: "nothing more can be written where evenkeel's own state lies: told, and that it goes on in memory",
		Action: Hold, Blame: disk, Rules: []string{"disk-short"}, App: Kept, Case: "state-cannot-be-written",
		Alerts: []string{"StateNotPersisted", "Degraded Disk"},
	},
	{
		Name: "hangs-while-state-cannot-be-written", Failure: "and then the application hangs: it is mended all the same, and the end of both is told",
		Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Case: "state-cannot-be-written",
		Alerts: []string{"Degraded App", "Resolved Disk"},
	},
	{
		Name: "starved", Failure: "another program takes the processor, and no answer comes in time",
		Faults: []string{"starve"}, Spec: brief, Action: Hold, Blame: host, Rules: []string{"host-starved"}, App: Kept,
		Confirmed: 20 * time.Second, Says: []string{"other programs keep the application from"}, Seconds: 60,
	},
	{
		Name: "starves-itself", Failure: "it takes all processors itself, with endless loops in it and in processes below it",
		Before: []string{"starve-ready"}, Faults: []string{"starve-self"}, Spec: brief, Action: Plain, Blame: app, Rules: []string{"hung"}, App: Replaced, Lift: Itself,
		Confirmed: 20 * time.Second, Seconds: 70,
	},
	{
		Name: "files-used-up", Failure: "clients hold so many connections that it can open no more files; it heals when they leave",
		Faults: []string{"files-used-up"}, Action: Hold, Blame: app, Rules: []string{"files-used-up"}, App: Kept,
		Says: []string{"can open no more files"}, Seconds: 40,
	},
	{
		Name: "swap-without-room", Failure: "swap is to be cleared, and what is swapped does not fit into memory",
		Why:    "the swap would be the real machine's, which is not ours to clear",
		Action: Plain, Blame: memory, Rules: []string{"memory-app-grew"}, App: Replaced, Proof: "reconcilers/recovery TestSwapIsClearedOnlyWhereItFitsAndWhereEvenkeelMay",
	},
}

// data lets the local check ask for a page that needs the database, within times that fit an interval of a second.
var data = map[string]any{
	"spec.checks.local.path": "/yachts", "spec.checks.local.timeout": "1s", "spec.checks.database.timeout": "1s",
	"spec.checks.public.timeout": "2s",
}

var dataBlame = blames(v1alpha1.BlameDatabase)

var database = []Row{
	{
		Name: "postgres-stopped", Failure: "PostgreSQL is stopped, and the page that is asked for needs it",
		Faults: []string{"postgres-stop"}, Spec: data,
		Action: Hold, Blame: dataBlame, Rules: []string{"database-refuses"}, App: Kept, Lost: []string{"postgres"}, Long: true, Seconds: 75,
	},
	{
		Name: "postgres-full", Failure: "PostgreSQL is full: every connection is taken by somebody else",
		Faults: []string{"postgres-full"}, Spec: data,
		Action: Hold, Blame: dataBlame, Rules: []string{"database-full"}, App: Kept, Long: true, Seconds: 75,
	},
	{
		Name: "postgres-wrong-password", Failure: "PostgreSQL refuses the login: the password is another one than in .env",
		Faults: []string{"postgres-wrong-password"}, Spec: data, Healthy: 60 * time.Second,
		Action: Hold, Blame: dataBlame, Rules: []string{"database-login"}, App: Kept, Long: true, Seconds: 110,
	},
	{
		Name: "postgres-silent", Failure: "PostgreSQL takes calls and never answers (SIGSTOP)",
		Faults: []string{"postgres-hang"}, Spec: data, Confirmed: 20 * time.Second,
		Action: Hold, Blame: dataBlame, Rules: []string{"database-silent"}, App: Kept, Seconds: 60,
	},
	{
		Name: "postgres-stopped-unneeded", Failure: "PostgreSQL is stopped, and the page that is asked for does not need it",
		Faults: []string{"postgres-stop"}, Spec: map[string]any{"spec.checks.database.connect": "Always"},
		Action: Hold, Blame: dataBlame, Rules: []string{"database-while-well"}, App: Kept, Lost: []string{"postgres"}, Seconds: 45,
	},
	{
		Name: "mariadb-stopped", Failure: "MariaDB is stopped, which the site has beside PostgreSQL; its front page does not need it",
		Before: []string{"mariadb"}, Faults: []string{"mariadb-stop"},
		Spec: map[string]any{
			"spec.checks.database.envFile": "mariadb.env", "spec.checks.database.require": []any{"MARIADB_URL"},
			"spec.checks.database.connect": "Always", "spec.checks.database.timeout": "1s",
		},
		Action: Hold, Blame: dataBlame, Rules: []string{"database-while-well"}, App: Kept, Says: []string{"MySQL at 127.0.0.1:3306 refuses"},
		Long: true, Seconds: 65,
	},
	{
		Name: "mariadb-asked-often", Failure: "MariaDB shuts out a machine after five calls that came to nothing (max_connect_errors), and is asked every second",
		Before: []string{"mariadb"},
		Spec: map[string]any{
			"spec.checks.database.envFile": "mariadb.env", "spec.checks.database.require": []any{"MARIADB_URL"},
			"spec.checks.database.connect": "Always", "spec.checks.database.timeout": "1s",
		},
		Action: Nothing, App: Kept, Check: "database-serves", Long: true, Seconds: 65,
	},
	{
		Name: "postgres-back", Failure: "PostgreSQL was down and is back, and the site still fails",
		Action: HoldThen, Blame: dataBlame, Rules: []string{"database-refuses"}, App: Replaced, Lost: []string{"postgres"}, Case: "postgres-back",
	},
	{
		Name: "down-and-postgres-too", Failure: "it is down, and PostgreSQL is stopped: it is started all the same",
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lost: []string{"postgres"}, Case: "down-while-postgres-is",
		Alerts: []string{"Degraded App", "Degraded Database", "Resolved App"},
	},
	{
		Name: "down-and-all-else-too", Failure: "it is down, and both PostgreSQL and Nginx are stopped: it is started all the same",
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lost: []string{"nginx", "postgres"}, Case: "down-while-all-are",
		Alerts: []string{"Degraded App", "Degraded Database", "Resolved App"},
	},
}
