package cmd

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/verdict"
)

func event(d time.Duration, reason, message string) v1alpha1.Event {
	return v1alpha1.Event{Time: metav1.NewMicroTime(at(d).Wall.Time), Type: v1alpha1.EventNormal, Reason: reason, Message: message, App: "bbyatch", Incident: 4}
}

func incident() []v1alpha1.Event {
	return []v1alpha1.Event{
		event(-20*time.Minute, v1alpha1.ReasonPhaseChanged, "Healthy → Degraded (Degrade): the application does not answer"),
		event(-19*time.Minute, v1alpha1.ReasonStepStarted, "step stop begins"),
		event(-18*time.Minute, v1alpha1.ReasonRecoveryFinished, "recovery 4-1 took 41s: the application did not come up"),
		event(-3*time.Minute, v1alpha1.ReasonPhaseChanged, "Cooldown → Failed (GiveUp): 3 of 3 attempts are spent"),
	}
}

var fartherOff = regexp.MustCompile(`and \d+ more rules`)

func TestWhyText(t *testing.T) {
	proving := healthy(t)
	proving.Status.LastIncident = 4
	proving.Status.Incident = cooling(t).Status.Incident
	unconfirmed := healthy(t)
	unconfirmed.Pass, unconfirmed.Status.Verdict = failed(t).Pass, failed(t).Status.Verdict
	fresh := healthy(t)
	fresh.Status.LastIncident = 0
	for name, test := range map[string]struct {
		view   view
		events []v1alpha1.Event
	}{
		"healthy":     {healthy(t), incident()},
		"fresh":       {fresh, nil},
		"proving":     {proving, incident()[:1]},
		"unconfirmed": {unconfirmed, nil},
		"held":        {held(t), incident()[:1]},
		"failed":      {failed(t), incident()},
		"cooling":     {cooling(t), nil},
		"recovering":  {recovering(t), nil},
		"orphaned":    {orphaned(t), nil},
	} {
		t.Run(name, func(t *testing.T) {
			text := whyText(&test.view, test.events, noon, style{}, false)
			isOneScreen(t, text)
			golden(t, "why/"+name, fartherOff.ReplaceAllString(text, "and more rules")) // with any new rule there is one more
		})
	}
}

// isOneScreen: 45 lines of 100 columns, which a laptop's terminal shows.
func isOneScreen(t *testing.T, text string) {
	t.Helper()
	if lines := strings.Count(text, "\n"); lines > 45 {
		t.Errorf("%d lines are no screen:\n%s", lines, text)
	}
	for line := range strings.Lines(text) {
		if columns(line) > whyWidth {
			t.Errorf("%d columns: %s", columns(line), line)
		}
	}
}

// TestFold: lines are broken at blanks, as late as may be; what paints takes no room, and a long word stays whole.
func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"  one two three\n":                         "  one two\n    three\n",
		"one two\n":                                 "one two\n",
		"  a-very-long-word and\n":                  "  a-very-long-word\n    and\n",
		"  a-very-long-word\n":                      "  a-very-long-word\n",
		"\x1b[31mone\x1b[0m two three\n":            "\x1b[31mone\x1b[0m two\n  three\n",
		"  one two three four five six seven eight": "  one two\n    three\n    four\n    five\n    six\n    seven\n    eight",
	} {
		if got := fold(text, 10); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestWhyReadsTheJournal(t *testing.T) {
	b := newBench(t)
	b.supervise(b.desire(siteYAML))
	b.keep(failed(t))
	b.journal(incident()...)
	b.wants(b.run(nil, "why"), exitNotWell, "Cooldown → Failed (GiveUp)", "pm2 logs bbyatch --lines 50", "evenkeel reset bbyatch", b.dir+"/monitor.log")
}

// TestWhyRulesShowsEveryRule, so that it can be read on a terminal of a hundred columns.
func TestWhyRulesShowsEveryRule(t *testing.T) {
	b := newBench(t)
	for _, args := range [][]string{{"why", "--rules"}, {"why", "--rules", "--all"}} {
		code := b.run(nil, args...)
		text := strings.Join(strings.Fields(b.out.String()), " ")
		for _, rule := range verdict.Rules() {
			if !strings.Contains(text, " "+rule.Name+" ") || !strings.Contains(text, rule.Sees) || !strings.Contains(text, rule.AtLimit) {
				t.Errorf("%q does not tell of %s", args, rule.Name)
			}
			for _, need := range rule.Needs() {
				if len(args) > 2 && !strings.Contains(text, "needs: "+need) {
					t.Errorf("%q does not tell that %s needs that %s", args, rule.Name, need)
				}
			}
		}
		for line := range strings.Lines(b.out.String()) {
			if len([]rune(line)) > rulesWidth+1 {
				t.Errorf("too wide: %s", line)
			}
		}
		b.wants(code, exitWell)
	}
	var list ruleList
	b.wants(b.run(nil, "why", "--rules", "-o", "json"), exitWell)
	if err := json.Unmarshal(b.out.Bytes(), &list); err != nil || len(list.Items) != len(verdict.Rules()) || list.Kind != "RuleList" {
		t.Errorf("%d rules of kind %s, %v", len(list.Items), list.Kind, err)
	}
}

// hungBesideAStranger is an App that answers no more, beside a stranger that listens on another address of its port.
func hungBesideAStranger(t *testing.T) view {
	v := failed(t)
	facts := func(json string) func(r *v1alpha1.CheckResult) {
		return func(r *v1alpha1.CheckResult) { r.Facts = []byte(json) }
	}
	for n := range v.Pass.Results {
		switch r := &v.Pass.Results[n]; r.Check {
		case "local":
			facts(`{"class":"Timeout","url":"http://127.0.0.1:3003/"}`)(r)
		case "port":
			facts(`{"port":3003,"listeners":[{"addr":"127.0.0.1:3003","whose":"Ours","pid":4711},{"addr":"[::1]:3003","whose":"Stranger","pid":99,"user":"root","command":"nc -l"}]}`)(r)
		}
	}
	v.Status.Verdict.Rule = "hung"
	return v
}

// TestWhyTellsWhatCameNear, and of all the others only how many there were; --all and -o json tell of each.
func TestWhyTellsWhatCameNear(t *testing.T) {
	b := newBench(t)
	b.supervise(b.desire(siteYAML))
	v := hungBesideAStranger(t)
	b.keep(v)
	code := b.run(nil, "why")
	b.wants(code, exitNotWell, "What else was considered", "stranger-on-port", "the application itself listens on its port: pid 4711", "that were farther off")
	if strings.Contains(b.out.String(), "runtime-lost") {
		t.Errorf("a rule is told of that did not come near, and is not the first of its kind:\n%s", b.out.String())
	}
	isOneScreen(t, b.out.String())
	b.wants(b.run(nil, "why", "--all"), exitNotWell, "812 MiB available", "runtime-lost", "the process manager itself runs", "stranger-on-port")
	var e explanation
	b.wants(b.run(nil, "why", "-o", "json"), exitNotWell)
	if err := json.Unmarshal(b.out.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	if e.Verdict.Rule != "hung" || e.Metadata.Name != "bbyatch" || len(e.Next) == 0 || len(e.Considered) < 20 || !e.Supervised || e.Well {
		t.Errorf("%+v", e)
	}
	b.wants(b.run(nil, "why", "-o", "yaml"), exitNotWell, "kind: Explanation", "rule: stranger-on-port")
}

// TestWhyReadsTheLooksBefore: what an App is blamed for may rest on more than the last look.
func TestWhyReadsTheLooksBefore(t *testing.T) {
	b := newBench(t)
	b.supervise(b.desire(siteYAML))
	v := failed(t)
	gone := failing("process", "Stopped", "PM2 says stopped")
	gone.Facts = []byte(`{"runtime":"pm2","daemon":true,"state":"Stopped","rows":[{"id":"0","state":"Stopped","restarts":0}]}`)
	v.Pass = results(gone, failing("local", "Refused", "connection refused"))
	before := *v.Pass.DeepCopy()
	before.At = before.At.Add(-5 * time.Second)
	v.Status.Verdict.Rule = "process-gone"
	b.keep(v)
	b.wants(b.run(nil, "why"), exitNotWell, "rule process-going applies") // as far as one look can tell
	v.Before = []v1alpha1.Observation{before}
	b.keep(v)
	b.wants(b.run(nil, "why"), exitNotWell, "rule process-gone")
	if strings.Contains(b.out.String(), "process-going") {
		t.Errorf("it was not seen that nothing changed for five seconds:\n%s", b.out.String())
	}
}

func TestOfIncidentTakesTheEventThatOpenedIt(t *testing.T) {
	opening, later := event(-4*time.Minute, v1alpha1.ReasonPhaseChanged, "Healthy → Degraded"), event(0, v1alpha1.ReasonRecoveryStarted, "begins")
	opening.Incident = 0
	old := event(-time.Hour, v1alpha1.ReasonPhaseChanged, "of another one")
	old.Incident = 3
	open := held(t).Status.Incident
	for name, test := range map[string]struct {
		all  []v1alpha1.Event
		open *v1alpha1.Incident
		want int
	}{
		"with what follows":   {[]v1alpha1.Event{old, opening, later}, nil, 2},
		"alone":               {[]v1alpha1.Event{old, opening}, open, 1},
		"long before it":      {[]v1alpha1.Event{{Time: old.Time, Reason: v1alpha1.ReasonPhaseChanged}}, open, 0},
		"of another incident": {[]v1alpha1.Event{old}, open, 0},
	} {
		if got := ofIncident(test.all, 4, test.open); len(got) != test.want {
			t.Errorf("%s: got %d events, want %d", name, len(got), test.want)
		}
	}
}
