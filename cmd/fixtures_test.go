package cmd

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/desired"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares a text with the one that is kept.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// noon is the moment of most tests.
var noon = at(0)

// at is the moment some time after noon.
func at(d time.Duration) v1alpha1.Instant {
	const up = 50 * time.Hour
	return v1alpha1.Instant{
		Wall:   metav1.NewMicroTime(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(d)),
		Boot:   metav1.Duration{Duration: up + d},
		BootID: "11111111-2222-3333-4444-555555555555",
	}
}

func wall(d time.Duration) metav1.Time { return metav1.NewTime(at(d).Wall.Time) }

func atp(d time.Duration) *v1alpha1.Instant { i := at(d); return &i }

const siteYAML = `apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: bbyatch}
spec:
  paused: false   # edit and save
  directory: /home/deploy/bbyatch
  runtime: {pm2: {process: bbyatch, start: ecosystem.config.js}}
  checks:
    public: {url: https://www.example.com/}
  alerts: [{exec: [/usr/local/bin/tell-me]}]
`

func site(t *testing.T) *v1alpha1.App {
	t.Helper()
	set := desired.Parse([]byte(siteYAML), "site.yaml")
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	return set.Apps[0].App
}

// results makes a pass that began 12 s before noon; wrong replaces results of the same check.
func results(wrong ...v1alpha1.CheckResult) *v1alpha1.Observation {
	when := at(-12 * time.Second)
	o := &v1alpha1.Observation{At: when, Took: metav1.Duration{Duration: 36 * time.Millisecond}}
	for _, r := range []v1alpha1.CheckResult{
		{Check: "build", Reason: "Present", Message: "built kR3x"},
		{Check: "deploy", Reason: "NoneAtWork", Message: "no deploy is at work"},
		{Check: "local", Reason: "Answers", Message: "200 in 35ms", Required: true, Leading: true},
		{Check: "memory", Reason: "Enough", Message: "812 MiB available", Required: true},
		{Check: "port", Reason: "Listening", Message: "the application listens on 127.0.0.1:3003 (pid 4711)", Required: true},
		{Check: "process", Reason: "Running", Message: "PM2 says online (id 0, 3 restarts), pid 4711, up 26h3m0s", Required: true,
			Facts: []byte(`{"runtime":"pm2","home":"/home/deploy/.pm2","daemon":true,"state":"Running","life":"4711:99"}`)},
		{Check: "public", Reason: "Answers", Message: "200 in 81ms", Required: true},
		{Check: "workers", Reason: "Alive", Message: "3 alive", Required: true},
	} {
		r.Status, r.At = metav1.ConditionTrue, when
		for _, w := range wrong {
			if w.Check == r.Check {
				w.Required, w.Leading, w.At = r.Required, r.Leading, when
				r = w
			}
		}
		o.Results = append(o.Results, r)
	}
	return o
}

func failing(check, reason, message string) v1alpha1.CheckResult {
	r := v1alpha1.CheckResult{Check: check, Status: metav1.ConditionFalse, Reason: reason, Message: message}
	switch {
	case check != v1alpha1.CheckLocal && check != v1alpha1.CheckPublic:
	case reason == "BadStatus":
		r.Facts = []byte(`{"class":"Answered","status":504}`)
	default:
		r.Facts = []byte(`{"class":"` + reason + `"}`)
	}
	return r
}

// healthy is an App of which everything holds, under supervision.
func healthy(t *testing.T) view {
	return view{
		Name: "bbyatch", Dir: "/var/lib/evenkeel", App: site(t), Source: "/etc/evenkeel/site.yaml",
		Meta: metav1.ObjectMeta{Name: "bbyatch", UID: "u-1", Generation: 1, ResourceVersion: "7", CreationTimestamp: wall(-90 * 24 * time.Hour)},
		Status: v1alpha1.AppStatus{
			Phase: v1alpha1.PhaseHealthy, ObservedPhase: v1alpha1.PhaseHealthy, Since: wall(-52 * time.Hour),
			Message: "everything holds again", ObservedGeneration: 1, LastIncident: 3,
		},
		Pass:   results(),
		Holder: &state.Holder{App: "bbyatch", PID: 812, User: "deploy", Since: at(-49 * time.Hour).Wall.Time},
	}
}

// held is an App behind a proxy that is down.
func held(t *testing.T) view {
	v := healthy(t)
	refused := failing("public", "Refused", "connection refused")
	refused.Facts = []byte(`{"url":"https://www.example.com/","class":"Refused","proxy":{"class":"Refused"}}`)
	v.Pass = results(refused)
	v.Status.Phase, v.Status.Since = v1alpha1.PhaseDegraded, wall(-4*time.Minute)
	v.Status.LastIncident = 4
	v.Status.Incident = &v1alpha1.Incident{Number: 4, StartedAt: at(-4 * time.Minute), Blame: v1alpha1.BlameProxy, Reason: "ProxyFails"}
	v.Status.Verdict = &v1alpha1.Verdict{
		Rule: "proxy", Blame: v1alpha1.BlameProxy, Reason: "ProxyFails", Remedy: v1alpha1.RemedyHold,
		Message: "the application answers on this machine, but https://www.example.com/ does not: connection refused; the proxy on this machine: refused",
		Next:    []string{"test and start or reload it: nginx -t && systemctl reload-or-restart nginx", "see its log: tail /var/log/nginx/error.log"},
	}
	v.Status.Hold = &v1alpha1.Hold{Rule: "proxy", Blame: v1alpha1.BlameProxy, Reason: "ProxyFails", Since: at(-4 * time.Minute)}
	v.Status.Blocked = &v1alpha1.Blocked{Reason: "Hold", Message: "acting would not help (ProxyFails); it ends when its cause ends"}
	return v
}

// failed is an App on which evenkeel has given up.
func failed(t *testing.T) view {
	v := healthy(t)
	v.Pass = results(failing("local", "Timeout", "no answer from 127.0.0.1:3003: timed out after 10s"),
		failing("public", "BadStatus", "answered 504, expected [200]"))
	v.Status.Phase, v.Status.Since = v1alpha1.PhaseFailed, wall(-3*time.Minute)
	v.Status.Message = "3 of 3 attempts are spent, and still: the application does not answer: timed out after 10s"
	v.Status.LastIncident = 4
	i := &v1alpha1.Incident{Number: 4, StartedAt: at(-20 * time.Minute), Blame: v1alpha1.BlameApp, Reason: "Hung", Spent: 3}
	for n := range 3 {
		i.Attempts = append(i.Attempts, v1alpha1.Attempt{
			Number: int32(n + 1), StartedAt: at(time.Duration(6*n-19) * time.Minute), Outcome: v1alpha1.AttemptFailed, Reason: "Hung",
			Message: "the application did not come up", Took: metav1.Duration{Duration: 41 * time.Second},
		})
	}
	v.Status.Incident = i
	step := func(plan, name string, from, took time.Duration, outcome v1alpha1.StepOutcome, message string) v1alpha1.StepRecord {
		return v1alpha1.StepRecord{Step: name, Plan: plan, StartedAt: at(-7*time.Minute + from), Took: metav1.Duration{Duration: took}, Outcome: outcome, Message: message}
	}
	v.Status.Recovery = &v1alpha1.Recovery{
		ID: "4-3", Trigger: v1alpha1.TriggerAutomatic, Blame: v1alpha1.BlameApp, Reason: "Hung", StartedAt: at(-7 * time.Minute), Plan: "Clean",
		FinishedAt: atp(-7*time.Minute + 41*time.Second), Message: "the application did not come up",
		Steps: []v1alpha1.StepRecord{
			step("Plain", "stop", 0, 1200*time.Millisecond, v1alpha1.StepDone, "PM2 stopped it; killed after 1s"),
			step("Plain", "start", 1300*time.Millisecond, 300*time.Millisecond, v1alpha1.StepDone, ""),
			step("Plain", "verify", 1600*time.Millisecond, 30*time.Second, v1alpha1.StepFailed, "local: timed out after 10s"),
		},
	}
	v.Status.Verdict = &v1alpha1.Verdict{
		Rule: "hung", Blame: v1alpha1.BlameApp, Reason: "Hung", Remedy: v1alpha1.RemedyRecover, Plan: "Plain", OwnFault: true,
		Message: "the application does not answer: timed out after 10s", Next: []string{"see the log: pm2 logs bbyatch --lines 50"},
	}
	v.Status.Blocked = &v1alpha1.Blocked{Reason: "Failed", Message: "the attempts are spent; evenkeel acts again after a reset"}
	return v
}

// cooling is an App that was recovered, paused meanwhile, in a folder with worries.
func cooling(t *testing.T) view {
	v := healthy(t)
	v.Status.Phase, v.Status.Since = v1alpha1.PhaseCooldown, wall(-2*time.Minute)
	v.Status.LastIncident = 4
	v.Status.Incident = &v1alpha1.Incident{Number: 4, StartedAt: at(-3 * time.Minute), Blame: v1alpha1.BlameApp, Reason: "ProcessGone", Flaps: 1,
		Attempts: []v1alpha1.Attempt{{Number: 1, StartedAt: at(-150 * time.Second), Outcome: v1alpha1.AttemptPending, Reason: "ProcessGone"}}}
	v.Status.Cooldown = v1alpha1.NewWait(at(-150*time.Second), 10*time.Minute)
	end := wall(2 * time.Hour)
	v.App.Spec.Paused, v.App.Spec.PauseReason, v.App.Spec.PausedUntil = true, "moving the \x1b[31mdisk", &end
	v.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionPaused, Status: metav1.ConditionTrue},
		{Type: v1alpha1.ConditionSpecAccepted, Status: metav1.ConditionFalse, Message: "/etc/evenkeel/site.yaml:7:9: spec.port: got \"x\", want a whole number (the last good spec stays in force)"},
		{Type: v1alpha1.ConditionAlertsConfigured, Status: metav1.ConditionFalse, Message: "nobody would be told; add spec.alerts, for example an exec or a webhook"},
		{Type: v1alpha1.ConditionStatePersisted, Status: metav1.ConditionFalse, Message: "no space left on device"},
	}
	return v
}

// recovering is an App that is just being started, without a word from the journal.
func recovering(t *testing.T) view {
	v := failed(t)
	v.Status.Phase, v.Status.Since, v.Status.Blocked = v1alpha1.PhaseRecovering, wall(-9*time.Second), nil
	v.Status.Recovery.FinishedAt, v.Status.Recovery.Message = nil, ""
	v.Status.Recovery.Step, v.Status.Recovery.StepAt = "start", atp(-3*time.Second)
	v.Status.Recovery.StartedAt, v.Status.Recovery.Trigger = at(-9*time.Second), v1alpha1.TriggerOperator
	v.Status.Incident.Attempts, v.Status.Incident.Spent = v.Status.Incident.Attempts[:1], 1
	return v
}

// orphaned is an App whose supervisor is gone, with an order waiting.
func orphaned(t *testing.T) view {
	v := failed(t)
	v.Holder, v.Ordered = nil, v1alpha1.PhaseHealthy
	v.Pass.At = at(-3 * time.Hour)
	for n := range v.Pass.Results {
		v.Pass.Results[n].At = v.Pass.At
	}
	return v
}

// bench is a state folder with commands to run on it.
type bench struct {
	*globals
	t        *testing.T
	dir      string
	out, err bytes.Buffer
	now      v1alpha1.Instant
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), now: noon}
	return b
}

// run runs a command and gives its exit code; step is what the supervisor does while the command waits.
func (b *bench) run(step func(), args ...string) int {
	b.t.Helper()
	b.out.Reset()
	b.err.Reset()
	g := &globals{
		Stdout: &b.out, Stderr: &b.err, Version: "v0", clock: func() v1alpha1.Instant { return b.now },
		await: func(_ context.Context, _ time.Duration, _ []string, done func() bool) bool {
			if done() {
				return true
			}
			if step != nil {
				step()
			}
			return done()
		},
	}
	if b.globals != nil {
		g.domain, g.survey, g.installer = b.domain, b.survey, b.installer
	}
	return execute(b.t.Context(), g, append([]string{"--state-dir", b.dir}, args...))
}

// keep writes what a supervisor would keep of a view, and gives its store.
func (b *bench) keep(v view) *state.Store {
	b.t.Helper()
	store, err := state.NewStore(b.dir, v.Name, state.Options{Now: func() time.Time { return b.now.Wall.Time }, Settle: func() {}})
	b.must(err)
	store.Load()
	b.must(store.Write(v.Status, v.Meta.Generation))
	b.must(state.WriteLastPass(b.dir, v.Name, v.Pass, v.Before...))
	return store
}

// desire writes the desired-state file and its copy, and gives its path.
func (b *bench) desire(text string) string {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "site.yaml")
	b.must(os.WriteFile(path, []byte(text), 0o644))
	b.must(state.WriteDesired(b.dir, "bbyatch", state.DesiredCopy{Source: path, Taken: b.now.Wall.Time, Generation: 1, Document: []byte(text)}))
	return path
}

// supervise takes the lock of the App.
func (b *bench) supervise(desired string) {
	b.t.Helper()
	lock, err := state.Acquire(b.dir, "bbyatch", desired)
	b.must(err)
	b.t.Cleanup(func() { b.must(lock.Release()) })
}

func (b *bench) journal(events ...v1alpha1.Event) {
	b.t.Helper()
	journal, err := state.NewJournal(b.dir, "bbyatch")
	b.must(err)
	b.must(journal.Append(events...))
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// wants checks the exit code and what was said.
func (b *bench) wants(got, code int, parts ...string) {
	b.t.Helper()
	all := b.out.String() + b.err.String()
	if got != code {
		b.t.Errorf("exit code %d, want %d; said:\n%s", got, code, all)
	}
	for _, part := range parts {
		if !strings.Contains(all, part) {
			b.t.Errorf("want %q in\n%s", part, all)
		}
	}
}
