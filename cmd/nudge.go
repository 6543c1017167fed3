package cmd

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
)

// nudger stands in front of one App's sink, and says when the App begins to see, or sees no longer, what may be a fault that
// the other Apps of this machine share.
type nudger struct {
	controller.Sink
	suspected chan<- suspicion
	suspects  bool
}

// suspicion is what an App begins to see, or ceases to.
type suspicion struct {
	app    string
	begins bool
}

// Pass is called with every finished pass.
func (n *nudger) Pass(app *v1alpha1.App, o *v1alpha1.Observation) {
	n.Sink.Pass(app, o)
	if now := suspicious(o); now != n.suspects {
		n.suspects = now
		select {
		case n.suspected <- suspicion{app.Name, now}:
		default: // somebody has just said so
		}
	}
}

// suspicious tells whether a pass saw what need not be the application's own doing: it answers here and not to the world,
// its process manager is gone, memory is low, or it answers with errors that may be the database's.
func suspicious(o *v1alpha1.Observation) bool {
	lead, _ := o.Leading()
	process, _ := o.Result(v1alpha1.CheckProcess)
	memory := o.Status(v1alpha1.CheckMemory) == metav1.ConditionFalse
	public := o.Status(v1alpha1.CheckPublic) == metav1.ConditionFalse && lead.Status == metav1.ConditionTrue
	answers := lead.Status == metav1.ConditionFalse && process.Status == metav1.ConditionTrue
	return public || memory || answers || process.Reason == "NoDaemon"
}
