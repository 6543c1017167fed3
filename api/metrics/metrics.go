// Package metrics counts for Prometheus what evenkeel sees and does, and serves that, with the health of evenkeel itself, on a
// unix socket or on loopback.
package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Metric is one row of the table of what is counted.
type Metric struct {
	// Name, Type and Help are what Prometheus shows; Labels are its labels.
	Name, Type, Help string
	Labels           []string
}

// The rows.
var (
	buildInfo    = Metric{"evenkeel_build_info", "gauge", "Which evenkeel this is; always 1.", []string{"version"}}
	up           = Metric{"evenkeel_app_up", "gauge", "Whether everything held at the last pass.", []string{"app"}}
	phase        = Metric{"evenkeel_app_phase", "gauge", "The App's phase: 1 for the one it is in, 0 for the others.", []string{"app", "phase"}}
	paused       = Metric{"evenkeel_app_paused", "gauge", "Whether evenkeel is paused for the App.", []string{"app"}}
	checkStatus  = Metric{"evenkeel_check_status", "gauge", "What a check said when it was last asked: 1 for that, 0 for the others.", []string{"app", "check", "status"}}
	passes       = Metric{"evenkeel_passes_total", "counter", "Finished passes.", []string{"app"}}
	passSeconds  = Metric{"evenkeel_pass_duration_seconds", "histogram", "How long passes took.", []string{"app"}}
	passDelay    = Metric{"evenkeel_pass_delay_seconds", "histogram", "How long after they were due passes began.", []string{"app"}}
	lastPass     = Metric{"evenkeel_last_pass_timestamp_seconds", "gauge", "When the last pass began, by the clock on the wall.", []string{"app"}}
	transitions  = Metric{"evenkeel_transitions_total", "counter", "Changes of the phase.", []string{"app", "from", "to"}}
	recoveries   = Metric{"evenkeel_recoveries_total", "counter", "Recoveries that were begun.", []string{"app"}}
	finished     = Metric{"evenkeel_recoveries_finished_total", "counter", "Recoveries that have ended: Verified where the application came up and answered, NotVerified where not.", []string{"app", "outcome"}}
	spent        = Metric{"evenkeel_attempts_spent_total", "counter", "Attempts that failed.", []string{"app"}}
	alerts       = Metric{"evenkeel_alerts_total", "counter", "What became of alerts: taken by their receiver, or not.", []string{"app", "outcome"}}
	heartbeatsUp = Metric{"evenkeel_heartbeat_up", "gauge", "Whether the last heartbeat arrived; only of Apps whose heartbeat has failed once.", []string{"app"}}
)

// Table lists what is counted.
func Table() []Metric {
	return []Metric{buildInfo, up, phase, paused, checkStatus, passes, passSeconds, passDelay, lastPass, transitions, recoveries, finished, spent, alerts, heartbeatsUp}
}

// Metrics counts. It is safe for use by several goroutines, and never waits.
type Metrics struct {
	registry *prometheus.Registry

	up, phase, paused, checks, lastPass, heartbeat           *prometheus.GaugeVec
	passes, transitions, recoveries, finished, spent, alerts *prometheus.CounterVec
	seconds, delay                                           *prometheus.HistogramVec
	statuses                                                 []metav1.ConditionStatus
}

// New makes them; version is evenkeel's.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		up:       gauge(up), phase: gauge(phase), paused: gauge(paused), checks: gauge(checkStatus), lastPass: gauge(lastPass), heartbeat: gauge(heartbeatsUp),
		passes: counter(passes), transitions: counter(transitions), recoveries: counter(recoveries), finished: counter(finished), spent: counter(spent), alerts: counter(alerts),
		seconds: histogram(passSeconds, .01, .03, .1, .3, 1, 3, 10, 30), delay: histogram(passDelay, .001, .003, .01, .03, .1, .3, 1, 3, 10),
		statuses: []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown},
	}
	build := gauge(buildInfo)
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(build, m.up, m.phase, m.paused, m.checks, m.lastPass, m.heartbeat, m.passes, m.transitions, m.recoveries, m.finished, m.spent, m.alerts, m.seconds, m.delay,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func gauge(m Metric) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.Labels)
}

func histogram(m Metric, buckets ...float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: buckets}, m.Labels)
}

func counter(m Metric) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
}

// Pass is called with every finished pass.
func (m *Metrics) Pass(app *v1alpha1.App, o *v1alpha1.Observation) {
	m.up.WithLabelValues(app.Name).Set(one(o.Holds()))
	m.paused.WithLabelValues(app.Name).Set(one(app.Spec.PausedAt(o.At.Wall.Time)))
	m.passes.WithLabelValues(app.Name).Inc()
	m.seconds.WithLabelValues(app.Name).Observe(o.Took.Seconds())
	m.delay.WithLabelValues(app.Name).Observe(o.Delay.Seconds())
	m.lastPass.WithLabelValues(app.Name).Set(float64(o.At.Wall.UnixMilli()) / float64(time.Second/time.Millisecond))
	m.checks.DeletePartialMatch(prometheus.Labels{"app": app.Name}) // a check may be gone
	for _, r := range o.Results {
		for _, status := range m.statuses {
			m.checks.WithLabelValues(app.Name, r.Check, string(status)).Set(one(r.Status == status))
		}
	}
}

// Event is called with everything that is journalled.
func (m *Metrics) Event(e v1alpha1.Event) {
	if e.Reason == v1alpha1.ReasonStopped {
		for _, v := range []interface {
			DeletePartialMatch(prometheus.Labels) int
		}{m.up, m.phase, m.paused, m.checks, m.lastPass, m.heartbeat} {
			v.DeletePartialMatch(prometheus.Labels{"app": e.App})
		}
		return
	}
	if slices.Contains(v1alpha1.Phases(), e.Phase) {
		for _, p := range v1alpha1.Phases() {
			m.phase.WithLabelValues(e.App, string(p)).Set(one(p == e.Phase))
		}
	}
	switch e.Reason {
	case v1alpha1.ReasonStarted:
		m.begin(e.App)
	case v1alpha1.ReasonPhaseChanged:
		m.transitions.WithLabelValues(e.App, string(e.From), string(e.Phase)).Inc()
	case v1alpha1.ReasonRecoveryStarted:
		m.recoveries.WithLabelValues(e.App).Inc()
	case v1alpha1.ReasonRecoveryFinished:
		m.finished.WithLabelValues(e.App, e.Outcome).Inc()
	case v1alpha1.ReasonAttemptSpent:
		m.spent.WithLabelValues(e.App).Inc()
	case v1alpha1.ReasonHeartbeatFailed, v1alpha1.ReasonHeartbeatBack:
		m.heartbeat.WithLabelValues(e.App).Set(one(e.Reason == v1alpha1.ReasonHeartbeatBack))
	}
}

// begin lets what is counted of an App begin at 0. A counter that appears with its first count has not grown, for Prometheus'
// increase, and the first failure would be missed.
func (m *Metrics) begin(app string) {
	m.recoveries.WithLabelValues(app)
	m.spent.WithLabelValues(app)
	for _, outcome := range []string{v1alpha1.OutcomeVerified, v1alpha1.OutcomeNotVerified} {
		m.finished.WithLabelValues(app, outcome)
	}
	for _, outcome := range []string{alertSent, alertFailed} {
		m.alerts.WithLabelValues(app, outcome)
	}
}

// What became of an alert.
const (
	alertSent   = "sent"
	alertFailed = "failed"
)

// Alerted is called with what became of an alert.
func (m *Metrics) Alerted(e v1alpha1.Event) {
	outcome := alertSent
	if e.Reason == v1alpha1.ReasonAlertFailed {
		outcome = alertFailed
	}
	m.alerts.WithLabelValues(e.App, outcome).Inc()
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
