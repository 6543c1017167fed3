package desired_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evenkeel/evenkeel/state/desired"
)

// fileGen draws the text of a small right file, written as people write them.
func fileGen(t *rapid.T) string {
	flow := rapid.Bool().Draw(t, "flow")
	newline := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "newline")
	indent := strings.Repeat(" ", rapid.IntRange(1, 6).Draw(t, "indent"))
	comments := 0
	comment := func(label string) string {
		if !rapid.Bool().Draw(t, label) {
			return ""
		}
		comments++
		return fmt.Sprintf("%s# it's: [%d, \"}", strings.Repeat(" ", rapid.IntRange(1, 3).Draw(t, "gap")), comments)
	}
	fields := []string{"directory: /x", rapid.SampledFrom([]string{"runtime: {pm2: {process: it's}}", "runtime: {pm2: {process: 'a, b'}}"}).Draw(t, "runtime")}
	optional := [][]string{
		{"interval: 60s", "interval: \"1m\"", "interval: '90s'"},
		{"alerts: [{exec: [/bin/tell, \"#x\"]}]", "alerts: []"},
		{"recovery: {cooldown: 5m, caches: [\"a b\", c]}", "recovery: {}", "recovery: null"},
		{"checks: {local: {path: '/it''s'}}", "checks:"},
	}
	if flow {
		optional[3] = optional[3][:1]
	} else {
		optional = append(optional, []string{"confirmInterval:" + newline + indent + "  5s"})
	}
	if rapid.Bool().Draw(t, "has paused") {
		paused := rapid.SampledFrom([]string{"paused: false", "paused: true", "paused: False", "paused: null", "paused: &p false"}).Draw(t, "paused")
		fields = append(fields, paused)
		if strings.HasSuffix(paused, "true") {
			optional = append(optional, []string{"pausedUntil: 2026-01-01T00:00:00Z", "pausedUntil: '2026-01-01T00:00:00Z'"})
		}
		optional = append(optional, []string{"pauseReason: a b", "pauseReason: \"x # \\\" y\"", "pauseReason: ''"})
	}
	for i, choice := range optional {
		if rapid.Bool().Draw(t, fmt.Sprint("has ", i)) {
			fields = append(fields, rapid.SampledFrom(choice).Draw(t, fmt.Sprint("field ", i)))
		}
	}
	fields = rapid.Permutation(fields).Draw(t, "order")
	var b strings.Builder
	b.WriteString("kind: App" + comment("top") + newline + "apiVersion: evenkeel.dev/v1alpha1" + newline + "metadata: {name: site}" + newline)
	if flow {
		b.WriteString("spec: {" + strings.Join(fields, ", ") + "}" + comment("end"))
	} else {
		b.WriteString("spec:" + comment("spec"))
		for _, f := range fields {
			b.WriteString(newline)
			if c := comment("above"); c != "" {
				b.WriteString(rapid.SampledFrom([]string{"", indent}).Draw(t, "comment's indent") + strings.TrimLeft(c, " ") + newline)
			}
			if rapid.Bool().Draw(t, "blank") {
				b.WriteString(rapid.SampledFrom([]string{"", " "}).Draw(t, "in it") + newline)
			}
			b.WriteString(indent + f + comment("beside"))
		}
	}
	if rapid.Bool().Draw(t, "ends with a line break") {
		b.WriteString(newline)
	}
	if rapid.Bool().Draw(t, "more") {
		b.WriteString(newline + "--- # next" + newline + "kind: Nonsense")
	}
	return b.String()
}

var (
	touchedLine  = regexp.MustCompile(`(?m)^ +(paused|pauseReason|pausedUntil):[^\n]*\n?`)
	touchedEntry = regexp.MustCompile(`(paused|pauseReason|pausedUntil): (&p )?("(\\.|[^"\\])*"|'[^']*'|[^,}"' ][^,}]*)(, )?`)
	anyComment   = regexp.MustCompile(`# it's: \[[0-9]+, "}|# next`)
)

// untouched is the text without the fields that a pause touches.
func untouched(text string) string {
	if strings.Contains(text, "spec: {") {
		return strings.ReplaceAll(touchedEntry.ReplaceAllString(text, ""), ", }", "}")
	}
	return strings.TrimRight(touchedLine.ReplaceAllString(text, ""), "\r\n")
}

func TestPauseAndResumeTouchNothingElse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.yaml")
	rapid.Check(t, func(t *rapid.T) {
		text := fileGen(t)
		check := func(step string, want bool) {
			t.Helper()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := string(data)
			if untouched(got) != untouched(text) {
				t.Fatalf("%s changed more than its fields\nbefore\n%s\nafter\n%s", step, text, got)
			}
			before, after := anyComment.FindAllString(text, -1), anyComment.FindAllString(got, -1)
			if strings.Join(before, "\n") != strings.Join(after, "\n") {
				t.Fatalf("%s lost a comment\nbefore\n%s\nafter\n%s", step, text, got)
			}
			lastLine := text[strings.LastIndexByte(strings.TrimRight(text, "\r\n"), '\n')+1:]
			if strings.HasSuffix(text, "\n") != strings.HasSuffix(got, "\n") && !touchedLine.MatchString(lastLine) {
				t.Fatalf("%s changed the end of the file\nbefore\n%q\nafter\n%q", step, text, got)
			}
			set := desired.Load([]string{file})
			if entry := set.App("site"); entry == nil || entry.App.Spec.Paused != want {
				t.Fatalf("after %s paused is not %t: %v\n%s", step, want, set.Err(), got)
			}
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		reason := rapid.SampledFrom([]string{"", "disk", "a: #b, [c", "yes", "ü\n\tx\u2028"}).Draw(t, "reason")
		end := rapid.SampledFrom([]time.Time{{}, until}).Draw(t, "until")
		if err := desired.Pause(file, "site", reason, end); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		check("Pause", true)
		if spec := desired.Load([]string{file}).App("site").App.Spec; spec.PauseReason != reason || (spec.PausedUntil == nil) != end.IsZero() {
			t.Fatalf("got reason %q until %v", spec.PauseReason, spec.PausedUntil)
		}
		if err := desired.Resume(file, "site"); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		check("Resume", false)
	})
}
