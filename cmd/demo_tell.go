package cmd

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// saying is one line of a demo's narration: a word that says what kind of thing it is, and the thing.
type saying struct {
	tag, text string
	paint     func(style, string) string // of the tag
}

// The kinds of a narration.
var (
	tagSeen    = saying{tag: "seen", paint: style.warn}
	tagWell    = saying{tag: "seen", paint: style.good}
	tagBlamed  = saying{tag: "blamed", paint: style.bad}
	tagDecided = saying{tag: "decided", paint: style.bold}
	tagDone    = saying{tag: "done", paint: style.good}
	tagFailed  = saying{tag: "failed", paint: style.bad}
	tagPhase   = saying{tag: "phase", paint: style.bold}
	tagTold    = saying{tag: "told", paint: style.warn}
	tagNoted   = saying{tag: "noted", paint: style.dim}
	tagBreak   = saying{tag: "break", paint: style.bad}
	tagEdit    = saying{tag: "edit", paint: style.bold}
	tagMend    = saying{tag: "mend", paint: style.good}
)

func (s saying) say(format string, args ...any) saying {
	s.text = plain(fmt.Sprintf(format, args...))
	return s
}

// sayings are what is said about one thing that the sinks were fed with; it is pure.
func sayings(s fed) []saying {
	switch {
	case s.pass != nil:
		return passSayings(s.before, s.pass)
	case s.event != nil:
		return eventSayings(s.event)
	case s.alert != nil:
		if s.alert.Kind == v1alpha1.AlertDegraded { // with the verdict's own message, which has just been said
			return []saying{tagTold.say("alert: %s is to blame, %s", s.alert.Blame, s.alert.Reason)}
		}
		return []saying{tagTold.say("alert: %s: %s", s.alert.Kind, s.alert.Message)}
	}
	return nil
}

// passSayings say what is not as it was at the pass before: checks, and the process itself.
func passSayings(before, now *v1alpha1.Observation) []saying {
	var list []saying
	was, hadOne := siteIn(before)
	is, hasOne := siteIn(now)
	switch {
	case hadOne && hasOne && was != is:
		list = append(list, tagSeen.say("process %d is gone; process %d has taken its place", was.PID, is.PID))
	case hadOne && !hasOne:
		list = append(list, tagSeen.say("process %d is gone", was.PID))
	case !hadOne && hasOne && before != nil:
		list = append(list, tagSeen.say("process %d runs", is.PID))
	}
	if before == nil {
		return list
	}
	var wrong, right []string
	telling := "" // the message of the check that is nearest to the cause
	for _, name := range nearestFirst(now) {
		r, _ := now.Result(name)
		old, known := before.Result(name)
		if !known || old.Status == r.Status || !r.Required {
			continue
		}
		switch r.Status {
		case metav1.ConditionTrue:
			right = append(right, name)
		case metav1.ConditionFalse:
			if wrong = append(wrong, name); telling == "" {
				telling = r.Message
			}
		}
	}
	if len(wrong) > 0 {
		list = append(list, tagSeen.say("✗ %s: %s", strings.Join(wrong, ", "), telling))
	}
	if len(right) > 0 {
		list = append(list, tagWell.say("✓ %s", strings.Join(right, ", ")))
	}
	return list
}

// nearestFirst lists the checks of a pass, those that are nearest to the application's process first.
func nearestFirst(o *v1alpha1.Observation) []string {
	order := []string{v1alpha1.CheckProcess, v1alpha1.CheckPort, v1alpha1.CheckLocal, v1alpha1.CheckPublic}
	for _, r := range o.Results {
		if !slices.Contains(order, r.Check) {
			order = append(order, r.Check)
		}
	}
	return order
}

// eventSayings say what an event of the journal means to somebody who watches.
func eventSayings(e *v1alpha1.Event) []saying {
	_, text, _ := strings.Cut(e.Message, ": ")
	switch e.Reason {
	case v1alpha1.ReasonVerdict:
		switch {
		case !strings.Contains(e.Message, " → "): // of a recovery that goes on
			return []saying{tagDecided.say("%s", e.Message)}
		case e.Type == v1alpha1.EventNormal: // it is too early to say
			return []saying{tagNoted.say("%s", e.Message)}
		}
		return []saying{tagBlamed.say("%s", e.Message)}
	case v1alpha1.ReasonPhaseChanged:
		return []saying{tagPhase.say("%s → %s", e.From, e.Phase)}
	case v1alpha1.ReasonRecoveryStarted: // why has been said as the verdict
		what, _, _ := strings.Cut(e.Message, ": ")
		return []saying{tagDecided.say("%s", what)}
	case v1alpha1.ReasonStepFinished:
		_, text, _ = strings.Cut(text, ": ")
		switch v1alpha1.StepOutcome(e.Outcome) {
		case v1alpha1.StepSkipped:
			return nil
		case v1alpha1.StepDone:
			return []saying{tagDone.say("%-7s %s (%s)", e.Step, text, human(e.Took.Duration))}
		default:
			return []saying{tagFailed.say("%-7s %s (%s)", e.Step, text, human(e.Took.Duration))}
		}
	case v1alpha1.ReasonRecoveryFinished:
		if e.Outcome == v1alpha1.OutcomeVerified {
			return []saying{tagDone.say("%s", e.Message)}
		}
		return []saying{tagFailed.say("%s", e.Message)}
	case v1alpha1.ReasonOrderTaken, v1alpha1.ReasonPaused, v1alpha1.ReasonResumed, v1alpha1.ReasonSpecRejected,
		v1alpha1.ReasonAttemptSpent, v1alpha1.ReasonHeld, v1alpha1.ReasonHoldLimit, v1alpha1.ReasonOrderRefused,
		v1alpha1.ReasonStateRejected, v1alpha1.ReasonIncidentClosed:
		return []saying{tagNoted.say("%s", e.Message)}
	}
	return nil
}

// demoVoice writes a demo's narration, one whole line at a time.
type demoVoice struct {
	out   io.Writer
	style style
	// width is where a line is cut off; 0 means nowhere.
	width int
	// broken is called once, when nobody listens any more.
	broken func()

	mu   sync.Mutex
	gone bool
}

// newDemoVoice writes to a terminal as wide as it is, and elsewhere whole lines.
func newDemoVoice(out io.Writer, broken func()) *demoVoice {
	v := &demoVoice{out: out, style: styleFor(out), broken: broken}
	if f, ok := out.(*os.File); ok && isTerminal(out) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			v.width = width
		}
	}
	return v
}

// line writes one line as it is.
func (v *demoVoice) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n"
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return
	}
	if _, err := io.WriteString(v.out, text); err != nil {
		v.gone = true
		v.broken()
	}
}

// say writes sayings, each with the time.
func (v *demoVoice) say(at time.Time, list ...saying) {
	for _, s := range list {
		v.line("%s", sayingText(at, s, v.style, v.width))
	}
}

// sayingText is a saying as a line, without its end.
func sayingText(at time.Time, s saying, st style, width int) string {
	const clock, tag = "15:04:05", 7
	head := len("  ") + len(clock) + len("  ") + tag + len("  ")
	text := s.text
	if room := width - head; width > 0 && utf8.RuneCountInString(text) > room && room > 1 {
		text = string([]rune(text)[:room-1]) + "…"
	}
	return "  " + st.dim(at.Format(clock)) + "  " + s.paint(st, fmt.Sprintf("%-"+strconv.Itoa(tag)+"s", s.tag)) + "  " + text
}
