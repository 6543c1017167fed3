package verdict

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// The database, and its configuration.

// aliveAtAll is what would lose the last good environment by a restart.
var aliveAtAll = condition{
	yes: "its process runs and answers, be it with errors", no: "its process does not run, or gives no answer at all",
	holds: func(v *view) bool {
		return v.lead.Status == metav1.ConditionTrue || (v.running && v.local.Class == facts.Answered)
	},
}

var ruleDatabaseConfiguration = Rule{
	Name: "database-configuration", Sees: "the database's configuration is not complete, while the application's process runs and answers, be it with errors",
	Blame: v1alpha1.BlameConfig, Reason: "DatabaseConfigMissing", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: a restart would lose the last good environment",
	Next: []string{"put it back: {envFile} needs {missing}"},
	When: []condition{configurationMissing, aliveAtAll, not(fails(v1alpha1.CheckMemory))},
	says: func(v *view) string { return v.message(v1alpha1.CheckDatabase) },
}

var ruleDatabaseDown = Rule{
	Name: "database-down", Sees: "the application answers with an error of its own, and its log names the database, which was not found to serve",
	Blame: v1alpha1.BlameDatabase, Reason: "DatabaseUnreachable", Remedy: v1alpha1.RemedyHold,
	Limit: holdLimit, AtLimit: "one plain recovery", Act: true,
	Next: []string{"does the database run, and does it answer from this machine?", "see the log: {errors}"},
	When: []condition{
		logNames(facts.SignDatabase, "the database"), fails(v1alpha1.CheckLocal), localAnswers, running, not(databaseServes),
	},
	says: func(v *view) string {
		return "the application cannot reach its database: " + v.message(v1alpha1.CheckLocal)
	},
}
