package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// style colours words, where colour is on. Its zero value does not.
type style struct{ on bool }

// styleFor is the style for a writer: colour on a terminal only, and not where NO_COLOR wants none or the terminal is dumb.
func styleFor(w io.Writer) style {
	return style{on: isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// paint wraps a text into an SGR sequence.
func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) good(text string) string { return s.paint("32", text) }
func (s style) bad(text string) string  { return s.paint("1;31", text) }
func (s style) warn(text string) string { return s.paint("33", text) }
func (s style) dim(text string) string  { return s.paint("2", text) }
func (s style) bold(text string) string { return s.paint("1", text) }

// phase colours a phase.
func (s style) phase(p v1alpha1.Phase) string {
	switch p {
	case v1alpha1.PhaseHealthy:
		return s.good(string(p))
	case v1alpha1.PhaseFailed:
		return s.bad(string(p))
	}
	return s.warn(string(p))
}

// mark is the sign of a check's status.
func (s style) mark(status metav1.ConditionStatus) string {
	switch status {
	case metav1.ConditionTrue:
		return s.good("✓")
	case metav1.ConditionFalse:
		return s.bad("✗")
	}
	return s.warn("?")
}

// human writes a duration in its two largest units: 350ms, 4.2s, 3m12s, 2d4h.
func human(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 0 {
		return "-" + human(-d)
	}
	two := func(large, small time.Duration, l, s string) string {
		text := fmt.Sprintf("%d%s", d/large, l)
		if rest := d % large / small; rest > 0 {
			text += fmt.Sprintf("%d%s", rest, s)
		}
		return text
	}
	switch {
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return "<1ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return two(time.Minute, time.Second, "m", "s")
	case d < day:
		return two(time.Hour, time.Minute, "h", "m")
	}
	return two(day, time.Hour, "d", "h")
}

// ago writes how long ago something was.
func ago(d time.Duration) string {
	if d < time.Second {
		return "just now"
	}
	return human(d.Truncate(time.Second)) + " ago"
}

// clockTime writes a moment as a person at this machine reads it: without the date if it is of today.
func clockTime(t, now time.Time) string {
	t = t.In(now.Location())
	y1, m1, d1 := t.Date()
	y2, m2, d2 := now.Date()
	switch {
	case y1 == y2 && m1 == m2 && d1 == d2:
		return t.Format(time.TimeOnly)
	case y1 == y2:
		return t.Format("Jan 02 15:04:05")
	}
	return t.Format(time.DateTime)
}

// until writes when something ends, and how long that is from now.
func until(t, now time.Time) string {
	left := t.Sub(now)
	if left <= 0 {
		return "ended at " + clockTime(t, now)
	}
	return fmt.Sprintf("until %s, %s left", clockTime(t, now), human(left.Round(time.Second)))
}

// plain makes one line of a text that came from elsewhere, without anything that a terminal would obey.
func plain(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case unicode.IsControl(r), r == utf8.RuneError:
			return -1
		}
		return r
	}, text))
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// fold breaks lines that are longer than width columns at their blanks; what follows is indented by two more. A word that is
// longer stays whole, so that it can be copied.
func fold(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))] + "  "
		for columns(line) > width {
			at := cut(line, width, len(indent))
			if at < 0 {
				break
			}
			b.WriteString(strings.TrimRight(line[:at], " ") + "\n")
			line = indent + strings.TrimLeft(line[at:], " ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// cut gives the last blank within width columns, or the first one after them; -1 where there is none after the indent.
func cut(line string, width, indent int) int {
	at, column, painting := -1, 0, false
	for n, r := range line {
		switch {
		case painting || r == '\x1b':
			painting = r != 'm'
			continue
		case r == ' ' && n >= indent && (column <= width || at < 0):
			at = n
		}
		column++
	}
	return at
}

// columns is how wide a line is on the terminal, without its end and what paints it.
func columns(line string) int {
	n, painting := 0, false
	for _, r := range strings.TrimRight(line, "\n") {
		switch {
		case painting || r == '\x1b':
			painting = r != 'm'
		default:
			n++
		}
	}
	return n
}

// cell is one field of a table: its text, and how to paint it.
type cell struct {
	text  string
	paint func(string) string
}

// table lines up rows of cells, each line begun with indent. The last column is not padded.
func table(indent string, rows [][]cell) string {
	var widths []int
	for _, row := range rows {
		for n, c := range row {
			if n == len(widths) {
				widths = append(widths, 0)
			}
			widths[n] = max(widths[n], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := indent
		for n, c := range row {
			text := c.text
			if c.paint != nil {
				text = c.paint(text)
			}
			if n < len(row)-1 {
				text += strings.Repeat(" ", widths[n]-utf8.RuneCountInString(c.text)+2)
			}
			line += text
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}
