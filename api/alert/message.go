package alert

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// maxSummary bounds the summary: Discord takes 2000 characters, and refuses more.
const maxSummary = 1800

// document is what every receiver gets: the whole alert, and a summary under the two names under which chat services
// look for the text to show (Slack and Mattermost: text; Discord: content).
type document struct {
	v1alpha1.Alert `json:",inline"`
	Text           string `json:"text"`
	Content        string `json:"content"`
}

func encode(alert *v1alpha1.Alert) []byte {
	summary := Summary(alert)
	body, err := json.Marshal(document{Alert: *alert, Text: summary, Content: summary})
	if err != nil { // cannot be: plain strings, numbers and times
		return fmt.Appendf(nil, `{"text":%q,"content":%q}`, summary, summary)
	}
	return body
}

// Summary says an alert in one paragraph.
func Summary(alert *v1alpha1.Alert) string {
	var b strings.Builder
	if len(alert.Apps) > 0 {
		b.WriteString(strings.Join(alert.Apps, ", "))
	} else {
		b.WriteString(alert.App)
	}
	if alert.Host != "" {
		fmt.Fprintf(&b, " on %s", alert.Host)
	}
	fmt.Fprintf(&b, ": %s", alert.Kind)
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
