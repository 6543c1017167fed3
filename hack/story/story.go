// Package story compares what an evenkeel has counted for Prometheus with what stands in an App's journal: both tell of the same
// run, and have to tell the same.
package story

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// askLimit is how long a scrape may take.
const askLimit = 5 * time.Second

// Scrape asks an evenkeel that serves its metrics on a unix socket for them.
func Scrape(ctx context.Context, socket string) (string, error) {
	client := http.Client{Timeout: askLimit, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://evenkeel/metrics", http.NoBody)
	if err != nil {
		return "", fmt.Errorf("asking %s for metrics: %w", socket, err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("asking %s for metrics: %w", socket, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("the answer was %s", answer.Status)
	}
	if err != nil {
		return "", fmt.Errorf("asking %s for metrics: %w", socket, err)
	}
	return string(text), nil
}

// Value is what a series has in a scrape, such as evenkeel_passes_total{app="site"}; 0 where it is not in it.
func Value(served, series string) float64 { return values(served)[series] }

// Journal reads the events of a journal's file.
func Journal(path string) ([]v1alpha1.Event, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- the caller's own
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	var events []v1alpha1.Event
	for line := range bytes.Lines(data) {
		var e v1alpha1.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("reading the journal: %w in %s", err, line)
		}
		events = append(events, e)
	}
	return events, nil
}

// counted are the counters of which the journal tells too.
var counted = []string{
	"evenkeel_transitions_total", "evenkeel_recoveries_total", "evenkeel_recoveries_finished_total", "evenkeel_attempts_spent_total",
	"evenkeel_alerts_total",
}

// Differences lists what a scrape counts of an App otherwise than the events tell that were journalled since that evenkeel was
// started, and the phase, where it is another one than the last of them.
func Differences(served, app string, events []v1alpha1.Event) []string {
	told := map[string]float64{}
	for _, e := range events {
		switch e.Reason {
		case v1alpha1.ReasonPhaseChanged:
			told[fmt.Sprintf("evenkeel_transitions_total{app=%q,from=%q,to=%q}", app, e.From, e.Phase)]++
		case v1alpha1.ReasonRecoveryStarted:
			told[fmt.Sprintf("evenkeel_recoveries_total{app=%q}", app)]++
		case v1alpha1.ReasonRecoveryFinished:
			told[fmt.Sprintf("evenkeel_recoveries_finished_total{app=%q,outcome=%q}", app, e.Outcome)]++
		case v1alpha1.ReasonAttemptSpent:
			told[fmt.Sprintf("evenkeel_attempts_spent_total{app=%q}", app)]++
		case v1alpha1.ReasonAlertSent, v1alpha1.ReasonAlertFailed:
			outcome := map[string]string{v1alpha1.ReasonAlertSent: "sent", v1alpha1.ReasonAlertFailed: "failed"}[e.Reason]
			told[fmt.Sprintf("evenkeel_alerts_total{app=%q,outcome=%q}", app, outcome)]++
		}
	}
	var found []string
	shown := values(served)
	all := maps.Clone(told)
	for series, value := range shown {
		name, labels, _ := strings.Cut(series, "{")
		if slices.Contains(counted, name) && strings.HasPrefix(labels, fmt.Sprintf("app=%q", app)) {
			all[series] = value
		}
	}
	for _, series := range slices.Sorted(maps.Keys(all)) {
		if shown[series] != told[series] {
			found = append(found, fmt.Sprintf("%s is %v, the journal tells of %v", series, shown[series], told[series]))
		}
	}
	if phase := phaseAfter(events); phase != "" {
		series := fmt.Sprintf("evenkeel_app_phase{app=%q,phase=%q}", app, phase)
		if shown[series] != 1 {
			found = append(found, series+" is not 1, and it is the last of which the journal tells")
		}
	}
	return found
}

// phaseAfter is the last phase that events tell. What became of an alert tells that of the time at which it was raised.
func phaseAfter(events []v1alpha1.Event) (last v1alpha1.Phase) {
	for _, e := range events {
		if e.Reason != v1alpha1.ReasonAlertSent && e.Reason != v1alpha1.ReasonAlertFailed {
			last = cmp.Or(e.Phase, last)
		}
	}
	return last
}

// values are all series of a scrape.
func values(served string) map[string]float64 {
	all := map[string]float64{}
	for line := range strings.Lines(served) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		if value, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			all[line[:at]] = value
		}
	}
	return all
}
