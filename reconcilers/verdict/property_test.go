package verdict

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// randomCases is how many cases are diagnosed.
const randomCases = 10_000

// TestDiagnoseOnRandomCases: it is total and deterministic, it never acts beside a fact that forbids it there, it never holds
// what does not run for what others are to blame for, and every rule is reached.
func TestDiagnoseOnRandomCases(t *testing.T) {
	hits := map[string]int{}
	for seed := range uint64(randomCases) {
		c, _ := randomCase(seed)
		v := Diagnose(c)
		hits[v.Rule]++
		fault := wrongWith(c, &v)
		if fault != "" {
			t.Fatalf("case %d: %s gives %s, blame %s: %s\n%s", seed, v.Rule, v.Remedy, v.Blame, fault, asJSON(c))
		}
		if seed%8 > 0 { // the rest is asked of every eighth
			continue
		}
		if again := Diagnose(c); !reflect.DeepEqual(v, again) {
			t.Errorf("case %d: two verdicts for one case: %+v and %+v", seed, v, again)
		}
		if copied := Diagnose(throughJSON(t, c)); !reflect.DeepEqual(v, copied) {
			t.Errorf("case %d: another verdict after it was written and read: %+v and %+v", seed, v, copied)
		}
		if considered := Consider(c); len(considered) >= len(rules) || rules[len(considered)].Name != v.Rule {
			t.Errorf("case %d: %d rules were considered before %s", seed, len(considered), v.Rule)
		}
	}
	for n, rule := range rules {
		t.Logf("%2d %-26s %6d", n+1, rule.Name, hits[rule.Name])
		if hits[rule.Name] == 0 {
			t.Errorf("no random case reaches %s: either no case can, or what it looks at is missing in random_test.go", rule.Name)
		}
	}
}

// seen is the latest look as the oracle reads it, apart from the rules' own reading.
type seen struct {
	process  facts.Process
	port     facts.Port
	local    facts.HTTP
	build    facts.Build
	deploy   facts.Deploy
	database facts.Database
	host     facts.Host
	workers  facts.Workers
	lead     v1alpha1.CheckResult
	asked    bool
	down, up bool
}

func lastSeen(c *pass.Case) *seen {
	o, s := c.Latest(), &seen{}
	s.process, _ = facts.Of[facts.Process](o, v1alpha1.CheckProcess)
	s.port, _ = facts.Of[facts.Port](o, v1alpha1.CheckPort)
	s.local, _ = facts.Of[facts.HTTP](o, v1alpha1.CheckLocal)
	s.build, _ = facts.Of[facts.Build](o, v1alpha1.CheckBuild)
	s.deploy, _ = facts.Of[facts.Deploy](o, v1alpha1.CheckDeploy)
	s.database, _ = facts.Of[facts.Database](o, v1alpha1.CheckDatabase)
	s.host, _ = facts.Of[facts.Host](o, v1alpha1.CheckHost)
	s.workers, _ = facts.Of[facts.Workers](o, v1alpha1.CheckWorkers)
	s.lead, _ = o.Leading()
	s.asked = o.Status(v1alpha1.CheckProcess) != metav1.ConditionUnknown
	s.up = s.asked && s.process.Life != ""
	gone := []runtime.State{runtime.Stopped, runtime.Errored, runtime.Missing}
	s.down = s.asked && s.process.Life == "" && slices.Contains(gone, runtime.State(s.process.State))
	return s
}

// wrongWith says what is wrong with a verdict; nothing where nothing is.
func wrongWith(c *pass.Case, v *v1alpha1.Verdict) string {
	o, s := c.Latest(), lastSeen(c)
	switch {
	case v.Rule == "none" || v.Blame == "" || v.Reason == "" || v.Message == "":
		return "it is not whole"
	case (v.Remedy == v1alpha1.RemedyNone) != o.Holds():
		return "health and remedy do not agree"
	case (v.Plan != "") != (v.Remedy == v1alpha1.RemedyRecover):
		return "remedy and plan do not agree"
	case v.OwnFault != (v.Remedy == v1alpha1.RemedyRecover):
		return "an attempt would be spent for nobody, or not spent for the application"
	case v.ActAtLimit && v.HoldLimit.Duration <= 0:
		return "it acts at a limit that it does not have"
	}
	switch v.Remedy {
	case v1alpha1.RemedyRecover:
		return s.forbids(c, o)
	case v1alpha1.RemedyHold:
		return s.mayHold(v)
	}
	return ""
}

// forbids names the fact that stands against an action, if one does.
func (s *seen) forbids(c *pass.Case, o *v1alpha1.Observation) string {
	_, ours := s.port.By(facts.Ours)
	_, stranger := s.port.By(facts.Stranger)
	_, orphan := s.port.By(facts.OurOrphan)
	answers := s.lead.Status == metav1.ConditionTrue
	known := slices.Contains(s.process.Signs, facts.SignBuildMissing) || c.Record.Learned.BuildSeen
	process, _ := o.Result(v1alpha1.CheckProcess)
	crashing := process.Reason == facts.ReasonCrashLoop && process.Status == metav1.ConditionFalse
	// it runs, is one and the same, and fails
	fails := s.up && !answers && s.lead.Status == metav1.ConditionFalse && !orphan && !crashing && s.process.Crashes < crashExits && look(c).lives() < crashLives &&
		!slices.Contains(s.process.Signs, facts.SignCache)
	_, noFiles := s.workers.OutOfFiles()
	switch {
	case len(s.deploy.AtWork) > 0:
		return "a deploy is at work"
	case stranger && !ours:
		return "a stranger has the port"
	case orphan && !ours && s.port.Listeners[0].Under != 0:
		return "another PM2 daemon runs it"
	case s.build.Kind != "" && !s.build.Present && known && !answers && !orphan:
		return "there is no finished build"
	case s.process.FolderMissing && !answers && s.process.Daemon:
		return "there is no folder to start it from"
	case s.down && s.process.Daemon && s.process.State == string(runtime.Errored) && !answers && !slices.Contains(s.process.Signs, facts.SignCache) &&
		c.Record.Learned.Fault != nil && c.Record.Learned.Fault.Cause == s.process.Cause && look(c).unmoved() >= settleTime:
		return "the last start failed of a known fault, and nothing has changed"
	case s.down && s.process.StopOrdered && (s.process.State == string(runtime.Stopped) ||
		s.process.State == string(runtime.Missing) && s.process.Daemon && c.App.Spec.Runtime.PM2 != nil && c.App.Spec.Runtime.PM2.Start != ""):
		return "the operator has stopped it"
	case answers && !orphan && !crashing && o.Status(v1alpha1.CheckMemory) != metav1.ConditionFalse && o.Status(v1alpha1.CheckDisk) != metav1.ConditionFalse:
		return "it answers"
	case !s.asked:
		return "the process manager could not be asked, so that nobody knows what would be stopped"
	case s.up && !answers && s.local.Class == facts.Answered && s.lead.Check == v1alpha1.CheckLocal && !orphan && s.process.Crashes < crashExits &&
		slices.Contains(s.process.Signs, facts.SignDatabase) && s.database.Class != facts.DatabaseReachable && !slices.Contains(s.process.Signs, facts.SignCache) && look(c).lives() < crashLives:
		return "it runs, and its database is to blame"
	case s.up && !answers && s.local.Class == facts.Answered && s.lead.Check == v1alpha1.CheckLocal && !orphan && s.process.Crashes < crashExits &&
		len(s.process.Needs) > 0 && s.database.Class != facts.DatabaseReachable && !slices.Contains(s.process.Signs, facts.SignCache) && look(c).lives() < crashLives:
		return "it runs, and what it needs of others is to blame"
	case s.up && o.Status(v1alpha1.CheckDatabase) == metav1.ConditionFalse && s.local.Class == facts.Answered && !orphan &&
		(!answers || !s.database.Class.Fails()) && // what answers while its database is down may be recovered for another reason
		o.Status(v1alpha1.CheckMemory) != metav1.ConditionFalse && s.process.Crashes < crashExits && look(c).lives() < crashLives && !crashing &&
		s.lead.Check == v1alpha1.CheckLocal:
		return "a restart would lose the last good environment"
	case s.up && !answers && s.local.Class == facts.Refused && o.Status(v1alpha1.CheckPort) == metav1.ConditionFalse && len(s.port.Listeners) == 0 &&
		slices.ContainsFunc(s.port.Elsewhere, func(p facts.Place) bool { return p.Port == 3013 }) && c.Record.Learned.Listened == nil &&
		s.process.Crashes < crashExits && look(c).lives() < crashLives && !crashing:
		return "it listens on another port than is expected"
	case s.up && !answers && s.lead.Check == v1alpha1.CheckLocal && s.local.Class == facts.Answered && s.local.Status < 500 && s.local.Wants != "" &&
		c.Record.Learned.LocalMet != s.local.Wants && !orphan && !crashing && s.process.Crashes < crashExits && look(c).lives() < crashLives &&
		o.Status(v1alpha1.CheckDisk) != metav1.ConditionFalse && o.Status(v1alpha1.CheckMemory) != metav1.ConditionFalse:
		return "it answers, and was never seen to answer as is expected"
	case fails && s.local.Class == facts.Timeout && s.host.Starved() != "":
		return "others keep it from running"
	case fails && noFiles && s.local.Class != facts.Answered:
		return "it can open no more files, and heals when clients leave"
	case fails && s.local.Class == facts.Timeout && s.database.Class.Fails() && len(s.port.Listeners) > 0 &&
		!slices.ContainsFunc(s.port.Listeners, func(l facts.Listener) bool { return l.Waiting > 0 }):
		return "it takes calls, and waits for a database that does not serve"
	case fails && s.local.Class == facts.Refused && o.Status(v1alpha1.CheckPort) == metav1.ConditionFalse && len(s.port.Listeners) == 0 &&
		c.Record.Learned.Listened == nil && s.database.Class.Fails():
		return "it has not begun to listen, and waits for a database that does not serve"
	case s.lead.Status == metav1.ConditionUnknown && s.up && !orphan && !(o.Status(v1alpha1.CheckPort) == metav1.ConditionFalse && len(s.port.Listeners) == 0) && s.process.Crashes < crashExits && look(c).lives() < crashLives:
		return "it is not known whether it is well"
	}
	return ""
}

// mayHold says what is wrong with a hold: one that keeps down what could be started.
func (s *seen) mayHold(v *v1alpha1.Verdict) string {
	if !s.down || s.lead.Status == metav1.ConditionTrue {
		return ""
	}
	switch v.Blame {
	case v1alpha1.BlameDeploy, v1alpha1.BlamePort, v1alpha1.BlameConfig, v1alpha1.BlameOperator, v1alpha1.BlameRuntime:
	default:
		return "what does not run is held for another's fault"
	}
	// Whatever ends by no action of ours is told every hour instead.
	if !v.ActAtLimit && !slices.Contains(endless, v.Reason) {
		return "what does not run is held without a limit"
	}
	return ""
}

// endless are the reasons for which what does not run is held without a limit: each is something that no start could mend.
var endless = []string{"StrangerOnPort", "BuildMissing", "DeployAtWork", "NotListed", "DaemonLost", "TwoDaemons", "FolderMissing"}

func asJSON(c *pass.Case) string {
	data, err := json.MarshalIndent(c.Latest(), "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// throughJSON writes a case's observations and reads them again.
func throughJSON(t *testing.T, c *pass.Case) *pass.Case {
	copied := *c
	data, err := json.Marshal(c.Recent)
	if err == nil {
		copied.Recent = nil
		err = json.Unmarshal(data, &copied.Recent)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &copied
}
