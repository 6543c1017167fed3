//go:build linux

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// run is a piece of a line in one look; code is what its SGR sequence said.
type run struct{ code, text string }

// line is a line of the terminal.
type line []run

func (l line) String() string {
	var b strings.Builder
	for _, r := range l {
		b.WriteString(r.text)
	}
	return b.String()
}

// parse reads lines with SGR sequences; there are no others.
func parse(data []byte) []line {
	var lines []line
	for raw := range strings.Lines(string(data)) {
		raw = strings.TrimRight(raw, "\r\n")
		var l line
		code := ""
		for raw != "" {
			text, rest, found := strings.Cut(raw, "\x1b[")
			if text != "" {
				l = append(l, run{code, text})
			}
			if !found {
				break
			}
			code, raw, _ = strings.Cut(rest, "m")
			if code == "0" {
				code = ""
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// choose takes the head, one scene, and the table at the end.
func choose(lines []line, scene string) ([]line, error) {
	isHead := func(l line) bool { // of a scene
		number, _, _ := strings.Cut(l.String(), " ")
		n, of, ok := strings.Cut(number, "/")
		return ok && n != "" && of != "" && strings.Trim(n+of, "0123456789") == ""
	}
	begin := slices.IndexFunc(lines, func(l line) bool {
		return isHead(l) && strings.Contains(l.String(), "/") && strings.Fields(l.String())[1] == scene
	})
	table := slices.IndexFunc(lines, func(l line) bool { return strings.Contains(l.String(), "SCENE  ") })
	if begin < 0 || table < 0 {
		return nil, fmt.Errorf("the tour showed no scene %q, or no table", scene)
	}
	end := begin + 1 + slices.IndexFunc(lines[begin+1:], func(l line) bool { return len(l) == 0 })
	more := line{{"2", "⋮"}}
	chosen := []line{{{"36", "$ evenkeel demo --tour"}}, more}
	chosen = append(chosen, lines[begin:end]...)
	chosen = append(chosen, more)
	return append(chosen, lines[table:]...), nil
}

// The look of the picture.
const (
	charWidth, lineHeight = 7.83, 18
	left, top             = 18, 44
)

// styles are the looks of the SGR codes that evenkeel uses.
var styles = map[string]string{
	"1": `fill="#ffffff" font-weight="bold"`, "2": `fill="#7f8ea3"`, "32": `fill="#9ece6a"`, "33": `fill="#e0af68"`,
	"1;31": `fill="#ff6b6b" font-weight="bold"`, "36": `fill="#82aaff"`,
}

// svg draws lines as a terminal shows them.
func svg(lines []line, label string) []byte {
	most := 0
	for _, l := range lines {
		most = max(most, utf8.RuneCountInString(l.String()))
	}
	width, height := int(float64(most)*charWidth)+2*left, top+lineHeight*len(lines)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="output of %s">`+"\n",
		width, height, width, height, label)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#11151c"/>`+"\n", width, height)
	for n, colour := range []string{"#ff5f57", "#febc2e", "#28c840"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="16" r="5" fill="%s"/>`+"\n", left+18*n, colour)
	}
	b.WriteString(`<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="13" fill="#d6deeb" xml:space="preserve">` + "\n")
	for n, l := range lines {
		column := 0
		for _, r := range l {
			// Each piece stands at its own column, so that a font of another width pulls nothing apart.
			x, chars := left+float64(column)*charWidth, utf8.RuneCountInString(r.text)
			column += chars
			if strings.TrimSpace(r.text) == "" {
				continue
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" textLength="%.1f" style="white-space:pre" %s>`, x, top+lineHeight*n, float64(chars)*charWidth, styles[r.code])
			_ = xml.EscapeText(&b, []byte(r.text))
			b.WriteString("</text>\n")
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Bytes()
}
