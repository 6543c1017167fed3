package verdict

import (
	"fmt"
	"slices"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// Faults that no start mends until something else has changed: the folder is not there, or the last start failed of
// something in it, and nothing that a start reads is another since.

// signEnvironment is the sign of required variables that are missing; it stands in no log.
const signEnvironment facts.Sign = "Environment"

// endings tell by their sign what the start failed of, and what is to be done.
var endings = []struct {
	sign       facts.Sign
	what, next string
}{
	{facts.SignInterpreter, "the program that runs it was not found", "is it installed, and on the PATH of who starts it? command -v node"},
	{facts.SignModuleNotFound, "a module was not found", "install what is missing: cd {directory} && npm ci"},
	{facts.SignBuildMissing, "it found no finished build", "rebuild or roll back: cd {directory} && npm run build"},
	{signEnvironment, "required variables are missing", "put them back: {envFile} needs {missing}"},
}

var (
	folderGone = condition{
		yes: "the application's folder does not exist", no: "the application's folder exists, or could not be looked at",
		holds: func(v *view) bool { return v.process.FolderMissing },
	}
	startFailedOfIt = condition{
		yes: "the last start failed of something that only a change in its folder mends", no: "no start is known to have failed of what only a change in its folder mends",
		holds: func(v *view) bool { return v.fault() != nil }, seen: func(v *view) string {
			if f := v.fault(); f != nil {
				return f.Sign
			}
			return ""
		},
	}
	causeUnchanged = condition{
		yes: "a start failed, and nothing that it read has changed since", no: "no start failed of what it read, or that has changed since",
		holds: func(v *view) bool { f := v.fault(); return f != nil && f.Cause == v.process.Cause },
	}
)

// fault is the fault that is remembered; nil where there is none.
func (v *view) fault() *v1alpha1.Fault {
	if v.c.Record.Learned == nil {
		return nil
	}
	return v.c.Record.Learned.Fault
}

var ruleFolderMissing = Rule{
	Name: "folder-missing", Sees: "the application's folder does not exist, and nothing answers",
	Blame: v1alpha1.BlameConfig, Reason: "FolderMissing", Remedy: v1alpha1.RemedyHold,
	AtLimit: "no limit: nothing could be started; the alert is repeated every hour",
	Next:    []string{"put it back, or mount it: ls -ld {directory}", "has it moved? then let spec.directory say so"},
	When:    []condition{folderGone, not(answers)},
	says:    func(v *view) string { return "the folder " + v.c.App.Spec.Directory + " does not exist" },
}

var ruleKnownFault = Rule{
	Name: "known-fault", Sees: "the last start failed of a missing module, interpreter, build or variable, and nothing that a start reads has changed since",
	Blame: v1alpha1.BlameConfig, Reason: "KnownFault", Remedy: v1alpha1.RemedyHold, Certain: true,
	Limit: holdLimit, AtLimit: "one plain recovery; sooner, as soon as what a start reads has changed (package.json, lock files, node_modules, what is checked out, the build, the script that is run, .env files, the interpreter)", Act: true,
	Next: []string{"see the log: {errors}"},
	When: []condition{startFailedOfIt, causeUnchanged, managerAsked, comesToNothing, not(answers), not(stoppedByHand)},
	says: func(v *view) string {
		what := "it failed"
		for _, e := range endings {
			if string(e.sign) == v.fault().Sign {
				what = e.what
			}
		}
		return fmt.Sprintf("the application cannot start: %s, and nothing that a start reads has changed since", what)
	},
	adjust: func(v *view, out *v1alpha1.Verdict) {
		for _, e := range endings {
			if string(e.sign) == v.fault().Sign {
				out.Next = append(expand([]string{e.next}, v), out.Next...)
			}
		}
	},
}

// LearnFault gives the fault to be remembered after the newest look; nil where there is none. One that is remembered stands
// until the application answers, or until another start has failed; whether its cause has changed is for the rule to see.
func LearnFault(c *pass.Case) *v1alpha1.Fault {
	v := look(c)
	old := v.fault()
	if v.answers() {
		return nil
	}
	sign, known := v.failedOf()
	if !known || v.process.Cause == "" {
		return old
	}
	now := &v1alpha1.Fault{Sign: string(sign), Cause: v.process.Cause, Start: v.lastStart()}
	if old != nil && old.Start == now.Start {
		return old // the same start; what has changed since is what it waits for
	}
	return now
}

// failedOf tells what the last start failed of, where it has failed for sure: a sign in a log alone may be of anything that
// the application had caught.
func (v *view) failedOf() (facts.Sign, bool) {
	rec, incident := v.c.Record.Recovery, v.c.Record.Incident
	if !v.asked || rec.Open() || v.stopped() {
		return "", false
	}
	tried := rec != nil && !rec.Verified && incident != nil && !rec.StartedAt.Before(incident.StartedAt)
	if v.state() != runtime.Errored && !v.crashLoop() && !(tried && notRunning(v)) {
		return "", false
	}
	for _, e := range endings {
		if slices.Contains(v.process.Signs, e.sign) {
			return e.sign, true
		}
	}
	return signEnvironment, tried && notRunning(v) && configurationMissing.met(v)
}

// lastStart tells the last start from others: by the last recovery, and by the process manager's own counts.
func (v *view) lastStart() string {
	id := ""
	if rec := v.c.Record.Recovery; rec != nil {
		id = rec.ID
	}
	return fmt.Sprintf("%s/%d", id, v.process.Restarts())
}
