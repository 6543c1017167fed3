package monitor

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

const (
	maxValue   = 2 << 10 // of one field
	maxMessage = 160     // of a check's message, in the line of a pass
	timeFormat = "2006-01-02T15:04:05.000Z07:00"
)

// messages are the constant messages of events.
var messages = map[string]string{
	v1alpha1.ReasonPhaseChanged:     "phase changed",
	v1alpha1.ReasonVerdict:          "problem",
	v1alpha1.ReasonRecoveryStarted:  "recovery started",
	v1alpha1.ReasonStepStarted:      "step started",
	v1alpha1.ReasonStepFinished:     "step finished",
	v1alpha1.ReasonRecoveryFinished: "recovery finished",
	v1alpha1.ReasonRecoveryResumed:  "recovery resumed",
	v1alpha1.ReasonHeld:             "held",
	v1alpha1.ReasonHoldLimit:        "hold limit reached",
	v1alpha1.ReasonAttemptSpent:     "attempt spent",
	v1alpha1.ReasonAttemptHeld:      "attempt held",
	v1alpha1.ReasonIncidentClosed:   "incident closed",
	v1alpha1.ReasonOrderTaken:       "order taken",
	v1alpha1.ReasonOrderRefused:     "order refused",
	v1alpha1.ReasonSpecAccepted:     "spec accepted",
	v1alpha1.ReasonSpecRejected:     "spec rejected",
	v1alpha1.ReasonPaused:           "paused",
	v1alpha1.ReasonResumed:          "resumed",
	v1alpha1.ReasonAlertSent:        "alert sent",
	v1alpha1.ReasonAlertFailed:      "alert not delivered",
	v1alpha1.ReasonStateRejected:    "state file rejected",
	v1alpha1.ReasonStateLost:        "state file lost",
	v1alpha1.ReasonStateNotWritten:  "state not persisted",
	v1alpha1.ReasonStarted:          "supervision started",
	v1alpha1.ReasonStopped:          "supervision stopped",
}

// Pass writes the line of a pass: every check with its outcome and the time that it took.
func (m *Monitor) Pass(app *v1alpha1.App, observation *v1alpha1.Observation) {
	phase := cmp.Or(m.phase(app.Name), app.Status.Phase)
	fields := make(logrus.Fields, len(observation.Results)+3)
	fields["app"] = app.Name
	fields["took"] = short(observation.Took.Duration)
	if phase != "" {
		fields["phase"] = string(phase)
	}
	for i := range observation.Results {
		r := &observation.Results[i]
		fields[r.Check] = outcome(r, observation.At)
	}
	level := logrus.InfoLevel
	if !observation.Holds() {
		level = logrus.WarnLevel
		if phase == v1alpha1.PhaseFailed {
			level = logrus.ErrorLevel
		}
	}
	m.at(observation.At.Wall).WithFields(fields).Log(level, "pass")
}

// Event writes the line of an event.
func (m *Monitor) Event(e v1alpha1.Event) {
	if e.Phase != "" {
		m.setPhase(e)
	}
	message, ok := messages[e.Reason]
	if !ok {
		message = "event"
	}
	l := line{"app": e.App, "event": e.Reason, "why": clip(e.Message, maxValue)}
	l.add("phase", string(e.Phase))
	l.add("from", string(e.From))
	l.add("blame", string(e.Blame))
	l.add("step", e.Step)
	l.add("outcome", e.Outcome)
	l.add("recovery", e.Recovery)
	l.count("incident", e.Incident)
	l.count("attempt", int64(e.Attempt))
	l.took("took", e.Took.Duration)
	level := logrus.InfoLevel
	if e.Type == v1alpha1.EventWarning {
		level = logrus.WarnLevel
	}
	if e.Reason == v1alpha1.ReasonPhaseChanged && e.Phase == v1alpha1.PhaseFailed {
		level = logrus.ErrorLevel
	}
	m.at(e.Time).WithFields(logrus.Fields(l)).Log(level, message)
}

// Alert writes the line of an alert, with where to look and what to do.
func (m *Monitor) Alert(app *v1alpha1.App, a v1alpha1.Alert) {
	l := line{"app": app.Name, "kind": string(a.Kind), "why": clip(a.Message, maxValue)}
	l.add("phase", string(a.Phase))
	l.add("blame", string(a.Blame))
	l.add("reason", a.Reason)
	l.add("evidence", clip(strings.Join(a.Evidence, "; "), maxValue))
	l.add("next", clip(strings.Join(a.Next, "; "), maxValue))
	l.count("incident", a.Incident)
	l.took("lasted", a.Duration.Round(time.Second))
	level := logrus.WarnLevel
	switch a.Kind {
	case v1alpha1.AlertFailed:
		level = logrus.ErrorLevel
	case v1alpha1.AlertResolved:
		level = logrus.InfoLevel
	}
	m.at(a.Time).WithFields(logrus.Fields(l)).Log(level, "alert")
}

// at gives an entry for a time; the present one where none was given.
func (m *Monitor) at(when metav1.MicroTime) *logrus.Entry {
	return logrus.NewEntry(m.log).WithTime(cmp.Or(when.Time, time.Now()))
}

// phase is the App's phase as its last event told; a pass does not know it.
func (m *Monitor) phase(app string) v1alpha1.Phase {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.phases[app]
}

func (m *Monitor) setPhase(e v1alpha1.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Reason == v1alpha1.ReasonStopped {
		delete(m.phases, e.App)
		return
	}
	m.phases[e.App] = e.Phase
}

// outcome says a check's result in a few words: its status and time, how old it is where it was not asked on this pass,
// and, unless it is True, why.
func outcome(r *v1alpha1.CheckResult, now v1alpha1.Instant) string {
	var b strings.Builder
	b.WriteString(string(r.Status))
	b.WriteByte(' ')
	b.WriteString(short(r.Took.Duration))
	if r.At.Before(now) && !r.At.IsZero() {
		b.WriteString(", asked ")
		b.WriteString(short(now.Since(r.At)))
		b.WriteString(" ago")
	}
	if r.Status != metav1.ConditionTrue && (r.Reason != "" || r.Message != "") {
		b.WriteString(", ")
		b.WriteString(r.Reason)
		if r.Message != "" {
			b.WriteString(": ")
			b.WriteString(clip(r.Message, maxMessage))
		}
	}
	return b.String()
}

// short writes a time as one would say it: three digits are enough.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// clip cuts a text that is too long, at the end of a character.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}

// line is the fields of a line; what is empty is left out.
type line logrus.Fields

func (l line) add(key, value string) {
	if value != "" {
		l[key] = value
	}
}

func (l line) count(key string, n int64) {
	if n != 0 {
		l[key] = n
	}
}

func (l line) took(key string, d time.Duration) {
	if d != 0 {
		l[key] = short(d)
	}
}

func newLogger(formatter logrus.Formatter, to io.Writer) *logrus.Logger {
	log := logrus.New()
	log.SetFormatter(formatter)
	log.SetOutput(to)
	return log
}

func newFormatter(format string) (logrus.Formatter, error) {
	switch format {
	case "", FormatText:
		return &logrus.TextFormatter{
			DisableColors: true, FullTimestamp: true, QuoteEmptyFields: true, TimestampFormat: timeFormat, SortingFunc: sortFields,
		}, nil
	case FormatJSON:
		return &logrus.JSONFormatter{TimestampFormat: timeFormat, DisableHTMLEscape: true}, nil
	}
	return nil, fmt.Errorf("monitor log: unknown format %q: want %s or %s", format, FormatText, FormatJSON)
}

// leading are the fields that stand first in a line of text, in this order; the others follow by name.
var leading = []string{logrus.FieldKeyTime, logrus.FieldKeyLevel, logrus.FieldKeyMsg, "app", "phase", "from", "blame", "took"}

func sortFields(keys []string) {
	rank := func(key string) int {
		if i := slices.Index(leading, key); i >= 0 {
			return i
		}
		return len(leading)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
}
