package alert

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// maxSummary bounds the summary: Discord takes 2000 characters, and refuses more.
const maxSummary = 1800

const (
	maxSubject = 200
	maxLetter  = 32 << 10
)

// document is what every receiver gets: the whole alert, what tells it from others, and a summary under the two names under
// which chat services look for the text to show (Slack and Mattermost: text; Discord: content).
type document struct {
	v1alpha1.Alert `json:",inline"`
	ID             string `json:"id,omitempty"`
	Thread         string `json:"thread"`
	Subject        string `json:"subject"`
	Text           string `json:"text"`
	Content        string `json:"content"`
}

func encode(l *letter) []byte {
	summary := Summary(&l.Alert)
	body, err := json.Marshal(document{
		Alert: l.Alert, ID: l.ID, Thread: l.thread(), Subject: Subject(&l.Alert), Text: summary, Content: summary,
	})
	if err != nil { // cannot be: plain strings, numbers and times
		return fmt.Appendf(nil, `{"text":%q,"content":%q}`, summary, summary)
	}
	return body
}

// thread names the incident, of whatever run of evenkeel: all that is told of it has the same. What belongs to no incident
// has one with others of its kind.
func (l *letter) thread() string {
	of := subject{App: l.Alert.App, Incident: l.Alert.Incident}
	if len(l.Of) > 0 {
		of = l.Of[0]
	}
	whose := string(of.UID)
	if whose == "" {
		whose = of.App
	}
	if of.Incident == 0 {
		return whose + "/" + string(l.Alert.Kind)
	}
	return fmt.Sprintf("%s/incident-%d", whose, of.Incident)
}

// Subject is the title of an alert: the same for all that is told of one incident, so that it makes one thread.
func Subject(alert *v1alpha1.Alert) string {
	about := "incident " + strconv.FormatInt(alert.Incident, 10)
	switch {
	case alert.Incident != 0:
	case len(alert.Apps) > 0: // of one fault that they share
		about = "blame " + string(alert.Blame)
	default:
		about = string(alert.Kind)
	}
	return shorten(oneLine([]byte(whereOf(alert)+": "+about)), maxSubject)
}

// whereOf says of which Apps, on which machine.
func whereOf(alert *v1alpha1.Alert) string {
	where := alert.App
	if len(alert.Apps) > 0 {
		where = strings.Join(alert.Apps, ", ")
	}
	if alert.Host != "" {
		where += " on " + alert.Host
	}
	return where
}

// Letter is an alert as a mail shows it.
func Letter(alert *v1alpha1.Alert) string {
	var b strings.Builder
	short := *alert
	short.Next = nil
	b.WriteString(Summary(&short) + "\n")
	for _, part := range []struct {
		title string
		lines []string
	}{{"What was seen", alert.Evidence}, {"What to do", alert.Next}} {
		if len(part.lines) > 0 {
			b.WriteString("\n" + part.title + ":\n")
		}
		for _, line := range part.lines {
			b.WriteString("  " + oneLine([]byte(line)) + "\n")
		}
	}
	return shorten(b.String(), maxLetter)
}

// Summary says an alert in one paragraph.
func Summary(alert *v1alpha1.Alert) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", whereOf(alert), alert.Kind)
	var about []string
	if alert.Blame != "" && alert.Blame != v1alpha1.BlameNone {
		about = append(about, "blame "+string(alert.Blame))
	}
	if alert.Reason != "" {
		about = append(about, alert.Reason)
	}
	if string(alert.Phase) != string(alert.Kind) && alert.Phase != "" {
		about = append(about, "phase "+string(alert.Phase))
	}
	if alert.Incident != 0 {
		about = append(about, fmt.Sprintf("incident %d", alert.Incident))
	}
	if len(about) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(about, ", "))
	}
	fmt.Fprintf(&b, ". %s.", sentence(alert.Message))
	if d := alert.Duration.Round(time.Second); d > 0 {
		fmt.Fprintf(&b, " It has lasted %s.", d)
	}
	if len(alert.Next) > 0 {
		fmt.Fprintf(&b, " Next: %s", sentence(strings.Join(alert.Next, "; ")))
	}
	return shorten(strings.Join(strings.Fields(b.String()), " "), maxSummary)
}

// sentence is a text without the full stop at its end.
func sentence(text string) string { return strings.TrimRight(strings.TrimSpace(text), ".") }

// shorten cuts a text that is too long, at the end of a character.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}

// failure is a delivery that failed in a way that says something about the next one.
type failure struct {
	text string
	// permanent says that trying again is of no use.
	permanent bool
	// retryAfter is how long the receiver wants to be left alone.
	retryAfter time.Duration
}

// Error says what went wrong.
func (f *failure) Error() string { return f.text }
