//go:build linux

package pm2

import (
	"regexp"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/mask"
)

var (
	colours = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)
	// ownWord begins what PM2, and what we put before it, say in words of their own.
	ownWord = regexp.MustCompile(`^(?:\[PM2\]|(?:/usr/bin/)?env: |Failed to |systemd-run: |setpriv: )`)
	// errorClass is the class and the code of an error of node's; what follows is the error's text, which quotes. It begins
	// a line, or follows what node says of one that nobody has caught.
	errorClass = regexp.MustCompile(`^(?:Uncaught )?([A-Z][A-Za-z0-9]{0,48}(?:Error|Exception)|Error)(?: \[([A-Z0-9_]{1,48})\])?(?::|$| \{)`)
	// errorPlace is where the reader of YAML found it: a line and a column.
	errorPlace = regexp.MustCompile(`\((\d{1,7}:\d{1,7})\)$`)
	errorCode  = regexp.MustCompile(`^code: '([A-Z0-9_]{1,48})',?$`)
	lineOf     = regexp.MustCompile(`^:(\d{1,7})$`)
)

// unsaid stands for what is left out. It tells where it can be read.
const unsaid = "the rest of its words may hold what is in the file, and is not shown here: run it by hand to read it"

// said is what may be shown of what a command has printed about its failure, in one line: what PM2 says itself, and the class,
// the code and the place of an error. All else may be quoted: PM2 prints an ecosystem file that it cannot read, with every
// secret in it. file is the one that the command was given; empty where there is none.
func said(printed []byte, file string) string {
	var parts []string
	left, class := false, false
	add := func(text string) {
		if n := len(parts); text != "" && (n == 0 || parts[n-1] != text) {
			parts = append(parts, text)
		}
	}
	for line := range strings.Lines(strings.ToValidUTF8(string(printed), "?")) {
		line = strings.TrimSpace(colours.ReplaceAllString(line, ""))
		m := errorClass.FindStringSubmatch(line)
		code := errorCode.FindStringSubmatch(line)
		place := lineOf.FindStringSubmatch(strings.TrimPrefix(line, file))
		switch {
		case line == "":
		case ownWord.MatchString(line):
			add(ownLine(line))
		case m != nil && !class:
			class, left = true, true
			text := m[1]
			if m[2] != "" {
				text += " " + m[2]
			}
			if at := errorPlace.FindStringSubmatch(line); at != nil {
				text += " at " + at[1]
			}
			add(text)
		case code != nil && class:
			add(code[1])
		case place != nil && file != "" && strings.HasPrefix(line, file):
			add("in line " + place[1])
		default:
			left = true
		}
	}
	text := tail([]byte(strings.Join(parts, "; ")))
	if left {
		if text != "" {
			text += "; "
		}
		text += unsaid
	}
	return text
}

// quoted begins what PM2 puts behind its own words: the options of a command line, and an object.
var quoted = regexp.MustCompile(` -|\{`)

// ownLine takes out of a line of PM2's own what looks like a secret, and what it only passes on.
func ownLine(line string) string {
	var m mask.Masker
	at := quoted.FindStringIndex(line)
	if at == nil {
		return m.Text(line)
	}
	return strings.TrimSpace(m.Part(line[:at[0]], false, true)) + " …"
}

// firstLine is what may be shown of an error that PM2's daemon answers with.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return tail([]byte(ownLine(colours.ReplaceAllString(line, ""))))
}
