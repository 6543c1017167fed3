package verdict

import (
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// The application's own process: it comes and goes, is gone, starts, hangs or answers with errors.

var (
	comesAndGoes = condition{
		yes: "it comes and goes without one good answer", no: "it has not come and gone often enough for a crash loop",
		holds: (*view).crashLoop,
		seen: func(v *view) string {
			return fmt.Sprintf("lives without a good answer: %d, unplanned exits in ten minutes: %d", v.lives(), v.process.Crashes)
		},
	}
	comesToNothing = condition{
		yes: "it does not come up", no: "it is not known that it does not come up",
		holds: func(v *view) bool { return notRunning(v) && v.unmoved() >= v.settle() || v.crashLoop() },
	}
	comesAndGoesAnswering = condition{
		yes: "three lives that answered have come and gone", no: "fewer than three lives that answered have come and gone",
		holds: func(v *view) bool { return v.answeredLives() >= crashLives },
	}
	young = condition{
		yes:   "its process is not believed yet, since so many before it have come and gone",
		no:    "there were no five unplanned exits within ten minutes before its process",
		holds: (*view).young,
	}
	leadWaitsForStart = condition{
		yes: "its process is young and has not answered yet", no: "its process is not young, or has answered",
		holds: func(v *view) bool { return v.lead.Status == metav1.ConditionUnknown && v.lead.Reason == "Starting" },
	}
	noServerError = condition{
		yes: "its answer is no error of a server (a status below 500)", no: "it answers with an error of a server, or not at all",
		holds: func(v *view) bool { return v.local.Class == facts.Answered && v.local.Status < 500 },
		seen: func(v *view) string {
			if v.local.Status == 0 {
				return ""
			}
			return strconv.Itoa(v.local.Status)
		},
	}
	neverAsExpected = condition{
		yes: "its answer was never seen to be as spec.checks.local expects it now", no: "its answer has been as spec.checks.local expects it, or nothing is expected of it",
		holds: func(v *view) bool {
			return v.local.Wants != "" && (v.c.Record.Learned == nil || v.c.Record.Learned.LocalMet != v.local.Wants)
		},
	}
	localTimesOut = localEnds(facts.Timeout, "no answer comes in time", "it does not time out")
	localAnswers  = localEnds(facts.Answered, "it answers, be it with an error", "it gives no answer at all")
)

// count is a number of things, in words.
func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

var ruleCacheSignature = Rule{
	Name: "cache-signature", Sees: "it comes and goes without an answer, and its log names one of the cache folders",
	Blame: v1alpha1.BlameCache, Reason: "CacheSignature", Remedy: v1alpha1.RemedyRecover, Plan: PlanClean, Own: true, Certain: true,
	Next: []string{"see the log: {errors}"},
	When: []condition{
		logNames(facts.SignCache, "one of the cache folders"), managerAsked, not(answers), comesToNothing, not(stoppedByHand),
	},
	says: func(*view) string { return "the application does not come up, and its log names its cache" },
}

var ruleCrashLoop = Rule{
	Name: "crash-loop", Sees: "three lives without one good answer, or five unplanned exits within ten minutes",
	Blame: v1alpha1.BlameApp, Reason: "CrashLoop", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
	Next: []string{"see why it dies: {errors}"},
	When: []condition{
		comesAndGoes, managerAsked, not(answers), not(stateIs("given up, or not listed any more", runtime.Errored, runtime.Missing)), not(stoppedByHand),
	},
	says: func(v *view) string {
		return fmt.Sprintf("the application comes and goes: %s without a good answer, %s in ten minutes",
			count(v.lives(), "life", "lives"), count(v.process.Crashes, "unplanned exit", "unplanned exits"))
	},
	adjust: cleanIfCacheFills,
}

var ruleCrashLoopAnswering = Rule{
	Name: "crash-loop-answering", Sees: "it answers in between: three lives that answered have come and gone, with five unplanned exits within ten minutes",
	Blame: v1alpha1.BlameApp, Reason: "CrashLoop", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
	Next: []string{"see why it dies: {errors}"},
	When: []condition{young, answers, comesAndGoesAnswering},
	says: func(v *view) string {
		return fmt.Sprintf("the application comes and goes, though it answers in between: %d unplanned exits in ten minutes", v.process.Crashes)
	},
}

var ruleOutlivesItsCrashes = Rule{
	Name: "outlives-its-crashes", Sees: "it answers again after five unplanned exits within ten minutes, and has not lived for much longer than they did",
	Blame: v1alpha1.BlameApp, Reason: "CrashLoop", Remedy: v1alpha1.RemedyWait, Look: time.Minute,
	When: []condition{young, answers},
	says: func(v *view) string {
		return "it answers; whether it stays has to be seen: " + v.message(v1alpha1.CheckProcess)
	},
}

var ruleProcessGone = Rule{
	Name: "process-gone", Sees: "the process is gone, and the runtime has not brought it back within two seconds (under exec: and will not)",
	Blame: v1alpha1.BlameApp, Reason: "ProcessGone", Remedy: v1alpha1.RemedyRecover, Own: true, Certain: true,
	Next:   []string{"see why it died: {errors}"},
	When:   []condition{noProcess, settled},
	says:   func(v *view) string { return "the application does not run: " + v.message(v1alpha1.CheckProcess) },
	adjust: cleanIfCacheFills,
}

var ruleProcessGoing = Rule{
	Name: "process-going", Sees: "the process is gone since a moment ago; the runtime may be bringing it back",
	Blame: v1alpha1.BlameApp, Reason: "ProcessGoing", Remedy: v1alpha1.RemedyWait, Look: settleTime,
	When: []condition{noProcess},
	says: func(v *view) string {
		return "the process is gone since a moment ago: " + v.message(v1alpha1.CheckProcess)
	},
}

var ruleStarting = Rule{
	Name: "starting", Sees: "a young process has not given its first good answer yet",
	Blame: v1alpha1.BlameApp, Reason: "Starting", Remedy: v1alpha1.RemedyWait,
	When: []condition{leadWaitsForStart, running},
	says: func(v *view) string {
		return fmt.Sprintf("the application is starting; its process is %s old", v.process.Age.Round(100*time.Millisecond))
	},
}

var ruleHung = Rule{
	Name: "hung", Sees: "the process runs and the port is open, and no answer comes in time",
	Blame: v1alpha1.BlameApp, Reason: "Hung", Remedy: v1alpha1.RemedyRecover, Own: true,
	Next: []string{"see the log: {log}"},
	When: []condition{fails(v1alpha1.CheckLocal), localTimesOut, running},
	says: func(v *view) string { return "the application does not answer: " + v.message(v1alpha1.CheckLocal) },
	adjust: func(v *view, out *v1alpha1.Verdict) {
		out.Hung = true
		cleanIfCacheFills(v, out)
	},
}

// Nobody knows whether the application was ever well by such a measure. It answers, and more likely the measure is wrong.
var ruleNeverAsExpected = Rule{
	Name: "never-as-expected", Sees: "the application answers with a status below 500, and not as spec.checks.local expects, which it was never seen to do with that path and these expectations",
	Blame: v1alpha1.BlameConfig, Reason: "NeverAsExpected", Remedy: v1alpha1.RemedyHold,
	AtLimit: "no limit: it answers; the alert is repeated every hour",
	Next: []string{
		"see what it answers: curl -i '{local}'", "is that right? then let spec.checks.local expect it (path, expectStatus, expectBody, expectHeader)",
		"is it the application that is wrong? evenkeel recover {app}",
	},
	When: []condition{fails(v1alpha1.CheckLocal), noServerError, neverAsExpected, running},
	says: func(v *view) string {
		return "the application has never answered as spec.checks.local expects, so that this is likely a mistake in the desired file: " + v.message(v1alpha1.CheckLocal)
	},
}

var ruleServerError = Rule{
	Name: "server-error", Sees: "the application answers with an error of its own (5xx, or a status that is not expected)",
	Blame: v1alpha1.BlameApp, Reason: "ServerError", Remedy: v1alpha1.RemedyRecover, Own: true,
	Next: []string{"see the log: {errors}"},
	When: []condition{fails(v1alpha1.CheckLocal), localAnswers},
	says: func(v *view) string {
		return "the application answers with an error: " + v.message(v1alpha1.CheckLocal)
	},
	adjust: cleanIfCacheFills,
}
