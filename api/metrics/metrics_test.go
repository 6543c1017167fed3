package metrics

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const head = `# Metrics

This page is made by ` + "`hack/generate`" + ` from the table in ` + "`api/metrics`" + `. How to have them served: [operating.md](operating.md#metrics).
Rules for alerts, and a dashboard for Grafana, lie in ` + "`hack/prometheus`" + `. Beside these stands what every Go program tells of itself:
` + "`go_goroutines`, `process_open_fds`, `process_resident_memory_bytes`, `process_cpu_seconds_total`" + ` and their like.

| metric | type | labels | what it is |
| --- | --- | --- | --- |
`

// TestDocumentationHoldsEveryMetric keeps docs/metrics.md the same as the table.
func TestDocumentationHoldsEveryMetric(t *testing.T) {
	const path = "../../docs/metrics.md"
	text := head
	for _, m := range Table() {
		text += fmt.Sprintf("| `%s` | %s | %s | %s |\n", m.Name, m.Type, strings.Join(m.Labels, ", "), m.Help)
	}
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != text {
		t.Errorf("docs/metrics.md is not what the table says; run hack/generate (%v)", err)
	}
}

func at(d time.Duration) v1alpha1.Instant {
	return v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Unix(1_800_000_000, 0).Add(d))}
}

// used are metrics that tell a story: it ran, failed, was recovered, and somebody was told.
func used() *Metrics {
	m := New("v1")
	app := v1alpha1.NewApp()
	app.Name = "site"
	for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse} {
		m.Pass(app, &v1alpha1.Observation{At: at(0), Took: metav1.Duration{Duration: 40 * time.Millisecond}, Delay: metav1.Duration{Duration: 2 * time.Millisecond}, Results: []v1alpha1.CheckResult{
			{Check: "local", Status: status, Required: true, Leading: true},
			{Check: "public", Status: metav1.ConditionUnknown, Required: true},
		}})
	}
	for _, e := range []v1alpha1.Event{
		{Reason: v1alpha1.ReasonPhaseChanged, From: v1alpha1.PhaseHealthy, Phase: v1alpha1.PhaseDegraded},
		{Reason: v1alpha1.ReasonRecoveryStarted, Phase: v1alpha1.PhaseRecovering}, {Reason: v1alpha1.ReasonAttemptSpent, Phase: v1alpha1.PhaseCooldown},
		{Reason: v1alpha1.ReasonRecoveryFinished, Phase: v1alpha1.PhaseCooldown, Outcome: v1alpha1.OutcomeNotVerified},
		{Reason: v1alpha1.ReasonHeartbeatFailed},
	} {
		e.App = "site"
		m.Event(e)
	}
	m.Alerted(v1alpha1.Event{App: "site", Reason: v1alpha1.ReasonAlertSent})
	m.Alerted(v1alpha1.Event{App: "site", Reason: v1alpha1.ReasonAlertFailed})
	return m
}

func TestMetricsTellTheStory(t *testing.T) {
	m := used()
	served := scrape(t, m, "127.0.0.1:0", "/metrics", http.StatusOK)
	for _, want := range []string{
		`evenkeel_app_up{app="site"} 0`, `evenkeel_check_status{app="site",check="local",status="False"} 1`,
		`evenkeel_check_status{app="site",check="local",status="True"} 0`, `evenkeel_check_status{app="site",check="public",status="Unknown"} 1`,
		`evenkeel_passes_total{app="site"} 2`, `evenkeel_pass_duration_seconds_count{app="site"} 2`, `evenkeel_pass_delay_seconds_sum{app="site"} 0.004`, `evenkeel_pass_delay_seconds_bucket{app="site",le="0.003"} 2`,
		`evenkeel_last_pass_timestamp_seconds{app="site"} 1.8e+09`,
		`evenkeel_transitions_total{app="site",from="Healthy",to="Degraded"} 1`, `evenkeel_app_phase{app="site",phase="Cooldown"} 1`,
		`evenkeel_app_phase{app="site",phase="Healthy"} 0`, `evenkeel_recoveries_total{app="site"} 1`, `evenkeel_attempts_spent_total{app="site"} 1`,
		`evenkeel_recoveries_finished_total{app="site",outcome="NotVerified"} 1`,
		`evenkeel_alerts_total{app="site",outcome="sent"} 1`, `evenkeel_alerts_total{app="site",outcome="failed"} 1`, `evenkeel_heartbeat_up{app="site"} 0`,
		`evenkeel_build_info{version="v1"} 1`, `evenkeel_app_paused{app="site"} 0`,
	} {
		if !strings.Contains(served, want+"\n") {
			t.Errorf("there is no %s in\n%s", want, served)
		}
	}
	for _, row := range Table() {
		if !strings.Contains(served, "# TYPE "+row.Name+" "+row.Type+"\n") || !strings.Contains(served, "# HELP "+row.Name+" "+row.Help+"\n") {
			t.Errorf("%s is not served as the table says", row.Name)
		}
	}
	m.Event(v1alpha1.Event{App: "site", Reason: v1alpha1.ReasonStopped, Phase: v1alpha1.PhaseHealthy})
	if served = scrape(t, m, "127.0.0.1:0", "/metrics", http.StatusOK); strings.Contains(served, "evenkeel_app_up{") || strings.Contains(served, "evenkeel_app_phase{") {
		t.Errorf("an App that is supervised no more is shown:\n%s", served)
	}
}

// TestWhatIsCountedBeginsAtZero: else the first failure is no increase for Prometheus, and no rule sees it.
func TestWhatIsCountedBeginsAtZero(t *testing.T) {
	m := New("v1")
	m.Event(v1alpha1.Event{App: "site", Reason: v1alpha1.ReasonStarted, Phase: v1alpha1.PhaseHealthy})
	served := scrape(t, m, "127.0.0.1:0", "/metrics", http.StatusOK)
	for _, want := range []string{
		`evenkeel_alerts_total{app="site",outcome="failed"} 0`, `evenkeel_alerts_total{app="site",outcome="sent"} 0`,
		`evenkeel_recoveries_total{app="site"} 0`, `evenkeel_recoveries_finished_total{app="site",outcome="Verified"} 0`,
		`evenkeel_recoveries_finished_total{app="site",outcome="NotVerified"} 0`, `evenkeel_attempts_spent_total{app="site"} 0`,
	} {
		if !strings.Contains(served, want+"\n") {
			t.Errorf("there is no %s in\n%s", want, served)
		}
	}
}

func TestNamesFollowPrometheusConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(used().registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %+v", err, problems)
	}
}

// TestRulesAndDashboardNameWhatThereIs, and no more: metrics, and their labels.
func TestRulesAndDashboardNameWhatThereIs(t *testing.T) {
	known, labels := map[string]bool{}, map[string][]string{}
	for _, m := range Table() {
		known[m.Name] = true
		labels[m.Name] = append(m.Labels, "le")
	}
	selected, label := regexp.MustCompile(`(evenkeel_[a-z_]+)\{([^}]*)\}`), regexp.MustCompile(`(\w+)\s*(?:=|!=|=~|!~)\s*\\?"`)
	for _, file := range []string{"evenkeel.rules.yml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join("../../hack/prometheus", file))
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`evenkeel_[a-z_]+`).FindAllString(string(text), -1)
		if len(names) < 4 {
			t.Errorf("%s names %q", file, names)
		}
		chosen := 0
		for _, of := range selected.FindAllStringSubmatch(string(text), -1) {
			for _, l := range label.FindAllStringSubmatch(of[2], -1) {
				if chosen++; !slices.Contains(labels[strings.TrimSuffix(of[1], "_bucket")], l[1]) {
					t.Errorf("%s: %s has no label %s", file, of[1], l[1])
				}
			}
		}
		if chosen < 2 {
			t.Errorf("%s chooses by %d labels", file, chosen)
		}
		for _, name := range names {
			if !known[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s: there is no %s", file, name)
			}
		}
	}
}

// scrape serves metrics at an address and asks for a path.
func scrape(t *testing.T, m *Metrics, address, path string, code int) string {
	t.Helper()
	return ask(t, m, address, path, code, nil)
}

func ask(t *testing.T, m *Metrics, address, path string, code int, ill error) string {
	t.Helper()
	l, err := Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, l, func() error { return ill }) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, l.Addr().Network(), l.Addr().String())
	}}}
	response, err := client.Get("http://evenkeel" + path)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != code {
		t.Errorf("%s: %d %v", path, response.StatusCode, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return string(body)
}

func TestHealthz(t *testing.T) {
	socket := "unix:" + filepath.Join(t.TempDir(), "metrics.sock")
	if got := ask(t, New("v1"), socket, "/healthz", http.StatusOK, nil); got != "ok\n" {
		t.Errorf("%q", got)
	}
	if got := ask(t, New("v1"), socket, "/healthz", http.StatusServiceUnavailable, errors.New("the next pass of site is overdue by 5m0s")); !strings.Contains(got, "overdue by 5m0s") {
		t.Errorf("%q", got)
	}
}

func TestOnlyLoopbackAndSocketsAreListenedOn(t *testing.T) {
	for address, want := range map[string]string{
		"0.0.0.0:9464": "want 127.0.0.1:9464", "192.0.2.1:80": "on loopback or a unix socket only", "[::]:9464": "on loopback", ":9464": "want 127.0.0.1:9464, [::1]:9464 or unix:/PATH",
		"localhost": "is no address", "unix:metrics.sock": "want a whole one",
	} {
		if l, err := Listen(t.Context(), address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v", address, l, err)
		}
	}
	path := filepath.Join(t.TempDir(), "metrics.sock")
	l, err := Listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if _, err := Listen(t.Context(), "unix:"+path); err == nil || !strings.Contains(err.Error(), "somebody listens") {
		t.Error(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close() // as one that was killed
	if l, err = Listen(t.Context(), "unix:"+path); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), "unix:"+path); err == nil {
		t.Error("a file was taken for a socket")
	}
}
