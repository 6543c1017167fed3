package table

import (
	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var memory = blames(v1alpha1.BlameMemory)

var machine = []Row{
	{
		Name: "memory-leak", Failure: "memory is low, and the application has grown by what is missing",
		Action: Plain, Blame: memory, Rules: []string{"memory-app-grew"}, App: Replaced, Lift: Itself, Case: "memory-leak",
	},
	{
		Name: "memory-hog", Failure: "memory is low, and another program has it",
		Action: Hold, Blame: memory, Rules: []string{"memory-hog"}, App: Kept, Case: "memory-hog",
	},
	{
		Name: "killed-for-memory", Failure: "the kernel's memory killer ends it, and PM2 brings it back",
		Faults: []string{"oom"}, Action: Nothing, App: Replaced, Lift: Itself, Check: "pid-changed", Seconds: 35,
	},
	{
		Name: "swap-without-room", Failure: "swap is to be cleared, and what is swapped does not fit into memory",
		Why:    "the swap would be the real machine's, which is not ours to clear",
		Action: Plain, Blame: memory, Rules: []string{"memory-app-grew"}, App: Replaced, Proof: "reconcilers/recovery TestSwapIsClearedOnlyWhereItFitsAndWhereEvenkeelMay",
	},
}

var database = []Row{
	{
		Name: "down-and-postgres-too", Failure: "it is down, and PostgreSQL is stopped: it is started all the same",
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lost: []string{"postgres"}, Case: "down-while-postgres-is",
	},
}
