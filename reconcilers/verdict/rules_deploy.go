package verdict

import (
	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// What is in the application's folder: a deploy at work, the build output.

var (
	deployAtWork = condition{
		yes: "a deploy is at work in the application's folder, or was a moment ago", no: "no deploy is at work in the application's folder",
		holds: func(v *view) bool { return v.deployLately() != "" }, seen: (*view).deployLately,
	}
	buildMissing = condition{
		yes: "the build output is not complete", no: "the build output is complete, or its kind is not known",
		holds: func(v *view) bool { return v.build.Kind != "" && !v.build.Present },
		seen:  func(v *view) string { return v.build.Missing + v.build.Broken },
	}
	buildNeeded = condition{
		yes: "a finished build was there before, or the log asks for one", no: "no finished build was ever seen, and the log asks for none",
		holds: func(v *view) bool {
			return v.sign(facts.SignBuildMissing) || v.builtBefore()
		},
	}
)

var ruleDeployAtWork = Rule{
	Name: "deploy-at-work", Sees: "a checkout, an install or a build at work in the application's folder, now or a moment ago",
	Blame: v1alpha1.BlameDeploy, Reason: "DeployAtWork", Remedy: v1alpha1.RemedyHold,
	Limit: holdLimit, AtLimit: "one plain recovery if a finished build is there and the application does not answer; else the hold goes on",
	Next: []string{"wait for the deploy to end, or look at it: ps -fp {deploy}"},
	When: []condition{deployAtWork},
	says: func(v *view) string { return "a deploy is at work in the application's folder: " + v.deployLately() },
	adjust: func(v *view, out *v1alpha1.Verdict) {
		out.ActAtLimit = (v.build.Kind == "" || v.build.Present) && !v.answers()
	},
}

var ruleBuildMissing = Rule{
	Name: "build-missing", Sees: "the build output that was there is gone, or the log says so, and the application does not answer",
	Blame: v1alpha1.BlameConfig, Reason: "BuildMissing", Remedy: v1alpha1.RemedyHold, Certain: false,
	AtLimit: "no limit: no restart can help; the alert is repeated every hour",
	Next:    []string{"rebuild or roll back: cd {directory} && npm run build", "see the log: {log}"},
	When:    []condition{buildMissing, buildNeeded, not(answers)},
	says: func(v *view) string {
		if v.build.Broken != "" {
			return "there is no finished build: " + v.build.Broken + " was cut short"
		}
		return "there is no finished build: " + v.build.Missing + " is missing"
	},
}
