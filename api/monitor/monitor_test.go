package monitor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestMain(m *testing.M) {
	// lumberjack never ends the goroutine that removes old files.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
}

var began = time.Date(2026, 11, 23, 3, 12, 41, 500_000_000, time.UTC)

func instant(after time.Duration) v1alpha1.Instant {
	return v1alpha1.Instant{
		Wall: metav1.NewMicroTime(began.Add(after)), Boot: metav1.Duration{Duration: time.Hour + after}, BootID: "b",
	}
}

func bbyatch() *v1alpha1.App {
	app := v1alpha1.NewApp()
	app.Name = "bbyatch"
	return app
}

// observed is a pass of which local has the given status.
func observed(local metav1.ConditionStatus) *v1alpha1.Observation {
	took := func(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
	o := &v1alpha1.Observation{At: instant(time.Minute), Took: took(14321 * time.Microsecond), Results: []v1alpha1.CheckResult{
		{Check: "local", Status: local, At: instant(time.Minute), Took: took(12 * time.Millisecond), Required: true, Leading: true},
		{Check: "memory", Status: metav1.ConditionTrue, At: instant(time.Minute), Took: took(90 * time.Microsecond), Required: true},
		{Check: "process", Status: metav1.ConditionTrue, At: instant(time.Minute), Took: took(2 * time.Millisecond), Required: true},
		{Check: "public", Status: metav1.ConditionTrue, At: instant(18 * time.Second), Took: took(1234 * time.Millisecond), Required: true},
	}}
	if local != metav1.ConditionTrue {
		o.Results[0].Reason, o.Results[0].Message = "Refused", "nothing listens on \"127.0.0.1:3003\"\nreally"
	}
	return o
}

// hooked is a Monitor that writes nowhere, and what its logger was given.
func hooked(t *testing.T) (*Monitor, *logtest.Hook) {
	t.Helper()
	m, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m, logtest.NewLocal(m.Logger())
}

func closeNow(t *testing.T, m *Monitor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestAPassIsOneLineWithEveryCheck(t *testing.T) {
	var out bytes.Buffer
	m, err := New(Options{Also: &out})
	if err != nil {
		t.Fatal(err)
	}
	m.Pass(bbyatch(), observed(metav1.ConditionTrue))
	m.Event(v1alpha1.Event{Time: instant(0).Wall, App: "bbyatch", Reason: v1alpha1.ReasonPhaseChanged, Phase: v1alpha1.PhaseDegraded})
	m.Pass(bbyatch(), observed(metav1.ConditionFalse))
	closeNow(t, m)
	want := []string{
		`time="2026-11-23T03:13:41.500Z" level=info msg=pass app=bbyatch took=14ms local="True 12ms" memory="True 90µs" ` +
			`process="True 2ms" public="True 1.23s, asked 42s ago"`,
		`time="2026-11-23T03:12:41.500Z" level=info msg="phase changed" app=bbyatch phase=Degraded event=PhaseChanged why=""`,
		`time="2026-11-23T03:13:41.500Z" level=warning msg=pass app=bbyatch phase=Degraded took=14ms ` +
			`local="False 12ms, Refused: nothing listens on \"127.0.0.1:3003\"\nreally" memory="True 90µs" ` +
			`process="True 2ms" public="True 1.23s, asked 42s ago"`,
	}
	if got := strings.TrimSuffix(out.String(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestJSONHasTheSameFields(t *testing.T) {
	var out bytes.Buffer
	m, err := New(Options{Also: &out, Format: FormatJSON})
	if err != nil {
		t.Fatal(err)
	}
	m.Pass(bbyatch(), observed(metav1.ConditionFalse))
	closeNow(t, m)
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["msg"] != "pass" || got["level"] != "warning" || got["app"] != "bbyatch" || got["memory"] != "True 90µs" {
		t.Errorf("got %v", got)
	}
	if _, err := New(Options{Format: "xml"}); err == nil {
		t.Error("an unknown format was taken")
	}
}

func TestEveryReasonHasAConstantMessageAndNoFieldIsLost(t *testing.T) {
	m, hook := hooked(t)
	secret := "a message that differs"
	for reason := range messages {
		m.Event(v1alpha1.Event{
			Time: instant(0).Wall, Type: v1alpha1.EventNormal, Reason: reason, Message: secret, App: "bbyatch", Incident: 3, Attempt: 2,
			Recovery: "3-2", Phase: v1alpha1.PhaseRecovering, From: v1alpha1.PhaseDegraded, Blame: v1alpha1.BlameApp, Step: "start",
			Outcome: "Done", Took: metav1.Duration{Duration: 1500 * time.Millisecond},
		})
		e := hook.LastEntry()
		if e.Message == secret || e.Message == "event" || e.Level != logrus.InfoLevel || !e.Time.Equal(began) {
			t.Errorf("%s: %q at %s, %s", reason, e.Message, e.Level, e.Time)
		}
		for _, key := range []string{"msg", "time", "level"} {
			if _, ok := e.Data[key]; ok {
				t.Errorf("%s: there is a field %s", reason, key)
			}
		}
		for key, want := range map[string]any{
			"app": "bbyatch", "event": reason, "why": secret, "incident": int64(3), "attempt": int64(2), "recovery": "3-2",
			"phase": "Recovering", "from": "Degraded", "blame": "App", "step": "start", "outcome": "Done", "took": "1.5s",
		} {
			if e.Data[key] != want {
				t.Errorf("%s: %s = %v, want %v", reason, key, e.Data[key], want)
			}
		}
	}
	m.Event(v1alpha1.Event{App: "bbyatch", Reason: "SomethingNew"})
	if e := hook.LastEntry(); e.Message != "event" || time.Since(e.Time) > time.Minute {
		t.Errorf("an unknown one: %q at %s", e.Message, e.Time)
	}
}

func TestLevels(t *testing.T) {
	m, hook := hooked(t)
	app := bbyatch()
	phase := func(p v1alpha1.Phase) func() {
		return func() {
			m.Event(v1alpha1.Event{App: app.Name, Type: v1alpha1.EventWarning, Reason: v1alpha1.ReasonPhaseChanged, Phase: p})
		}
	}
	alert := func(kind v1alpha1.AlertKind) func() {
		return func() { m.Alert(app, v1alpha1.Alert{Kind: kind, Next: []string{"pm2 ls", "free -m"}}) }
	}
	pass := func(local metav1.ConditionStatus) func() { return func() { m.Pass(app, observed(local)) } }
	for _, c := range []struct {
		name string
		do   func()
		want logrus.Level
	}{
		{"well", pass("True"), logrus.InfoLevel},
		{"not well", pass("False"), logrus.WarnLevel},
		{"could not be asked", pass("Unknown"), logrus.WarnLevel},
		{"degraded", phase(v1alpha1.PhaseDegraded), logrus.WarnLevel},
		{"told", alert(v1alpha1.AlertDegraded), logrus.WarnLevel},
		{"failed", phase(v1alpha1.PhaseFailed), logrus.ErrorLevel},
		{"told that it failed", alert(v1alpha1.AlertFailed), logrus.ErrorLevel},
		{"not well in Failed", pass("False"), logrus.ErrorLevel},
		{"well in Failed", pass("True"), logrus.InfoLevel},
		{"resolved", alert(v1alpha1.AlertResolved), logrus.InfoLevel},
	} {
		c.do()
		if e := hook.LastEntry(); e.Level != c.want {
			t.Errorf("%s: %s, want %s", c.name, e.Level, c.want)
		}
	}
	if got := hook.LastEntry().Data["next"]; got != "pm2 ls; free -m" {
		t.Errorf("next = %v", got)
	}
	m.Event(v1alpha1.Event{App: app.Name, Reason: v1alpha1.ReasonStopped, Phase: v1alpha1.PhaseFailed})
	if len(m.phases) != 0 {
		t.Error("the phase of an App that is gone is kept")
	}
}

// gate is a writer that waits until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.Write(p)
}

func TestASlowTerminalDelaysNeitherAPassNorTheFileAndLossIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "monitor.log")
	g := &gate{open: make(chan struct{})}
	m, err := New(Options{Path: path, Also: g})
	if err != nil {
		t.Fatal(err)
	}
	const lines = 3 * queueSize
	for range lines {
		m.Pass(bbyatch(), observed(metav1.ConditionTrue))
		for len(m.file.queue) > queueSize/2 { // the file keeps up; the terminal takes nothing at all
			runtime.Gosched()
		}
	}
	if lost := m.terminal.lost.Load(); lost != lines-queueSize-1 && lost != lines-queueSize {
		t.Errorf("%d lines lost, want %d", lost, lines-queueSize-1)
	}
	close(g.open)
	closeNow(t, m)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(data, []byte("msg=pass")); got != lines {
		t.Errorf("the file has %d lines, want %d", got, lines)
	}
	if !regexp.MustCompile(`level=warning msg="log lines dropped" lines=204[78]\n`).Match(g.got.Bytes()) || m.Dropped() == 0 {
		t.Error("the loss was not said")
	}
}

func TestCloseIsBounded(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	m, err := New(Options{Also: g})
	if err != nil {
		t.Fatal(err)
	}
	m.Pass(bbyatch(), observed(metav1.ConditionTrue))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := m.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close = %v", err)
	}
	close(g.open)
	<-m.terminal.done
}

func TestAFileThatCannotBeOpenedIsAWarningAndIsTriedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "in-the-way")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out lockedBuffer
	path := filepath.Join(dir, "monitor.log")
	m, warning := New(Options{Path: path, Also: &out})
	if m == nil || warning == nil {
		t.Fatalf("New = %v, %v", m, warning)
	}
	for range 3 {
		m.Pass(bbyatch(), observed(metav1.ConditionTrue))
	}
	until(t, func() bool { return strings.Count(out.String(), "msg=pass") == 3 && len(m.file.queue) == 0 })
	until(t, func() bool { return strings.Contains(out.String(), "log file cannot be written") })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { // the third line may be under way
		m.Pass(bbyatch(), observed(metav1.ConditionTrue))
		return strings.Contains(out.String(), "log file is written again")
	})
	closeNow(t, m)
	if got := strings.Count(out.String(), "log file cannot be written"); got != 1 {
		t.Errorf("it was said %d times, want once", got)
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), "log lines lost") {
		t.Errorf("the file: %v\n%s", err, data)
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// until waits for a fact, asking for it 100 times a second.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it did not come about within 20s")
		}
	}
}

func TestTailFollowsOverARotation(t *testing.T) {
	tail, err := exec.LookPath("tail")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "monitor.log")
	m, err := New(Options{Path: path, MaxSizeMB: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tail, "-n", "+1", "-s", "0.05", "-F", path)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<20)
	await := func(mark string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), mark) {
				return
			}
		}
		t.Fatalf("tail never showed %q", mark)
	}
	m.Logger().Info("first mark")
	await("first mark")
	filler := strings.Repeat("x", 1500)
	for n := range 1000 {
		m.Logger().WithField("filler", filler).Info("filler")
		if n%100 == 99 {
			m.Logger().Infof("mark %d.", n)
			await(fmt.Sprintf("mark %d.", n))
		}
	}
	if old, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "monitor-*.log")); len(old) == 0 {
		t.Error("there was no rotation")
	}
	closeNow(t, m)
	if m.Dropped() != 0 {
		t.Errorf("%d lines were dropped", m.Dropped())
	}
}

func BenchmarkPass(b *testing.B) {
	m, err := New(Options{Path: filepath.Join(b.TempDir(), "monitor.log"), Also: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	app, o := bbyatch(), observed(metav1.ConditionTrue)
	b.ReportAllocs()
	for b.Loop() {
		m.Pass(app, o)
	}
	b.StopTimer()
	_ = m.Close(context.Background())
}
