//go:build linux

package dotenv

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

// expression is dotenv's own, made to mean in Go what it means in JavaScript, where \s also matches a byte order mark
// and other Unicode blanks. One difference is left: to JavaScript U+2028 and U+2029 end a line, too. Group 1 is the
// name, group 2 the value.
var expression = sync.OnceValue(func() *regexp.Regexp {
	const dotenv = `(?:^|^)\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)` +
		"(\\s*'(?:\\\\'|[^'])*'|\\s*\"(?:\\\\\"|[^\"])*\"|\\s*`(?:\\\\`|[^`])*`|[^#\\r\\n]+)?" +
		`\s*(?:#.*)?(?:$|$)`
	blank := `[\t\n\v\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]`
	return regexp.MustCompile(`(?m)` + strings.ReplaceAll(dotenv, `\s`, blank))
})

// entry is one definition.
type entry struct {
	name  string
	value string // its quotes are cut off, its escapes resolved
	line  int
	open  byte // the quotation mark that begins the value and does not end it, or 0
}

// parse returns the definitions in their order, and the numbers of lines that are none and no comment either.
func parse(content []byte) (entries []entry, ignored []int) {
	b := bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	lines := counter{text: b, line: 1}
	end := 0
	for _, m := range expression().FindAllSubmatchIndex(b, -1) {
		ignored = append(ignored, lines.strange(end, m[0])...)
		e := entry{name: string(b[m[2]:m[3]]), line: lines.at(m[2])}
		if m[4] >= 0 {
			e.value, e.open = unquote(string(b[m[4]:m[5]]))
		}
		entries = append(entries, e)
		end = m[1]
	}
	return entries, append(ignored, lines.strange(end, len(b))...)
}

// unquote does what dotenv does to a value.
func unquote(raw string) (value string, open byte) {
	value = strings.TrimFunc(raw, blank)
	if value == "" {
		return "", 0
	}
	mark := value[0]
	if mark != '"' && mark != '\'' && mark != '`' {
		return value, 0
	}
	if len(value) < 2 || value[len(value)-1] != mark {
		open = mark
	} else {
		value = value[1 : len(value)-1]
	}
	if mark == '"' {
		value = strings.ReplaceAll(value, `\n`, "\n")
		value = strings.ReplaceAll(value, `\r`, "\r")
	}
	return value, open
}

// blank is JavaScript's idea of white space.
func blank(r rune) bool {
	switch {
	case r >= '\t' && r <= '\r', r == ' ', r == 0xa0, r == 0x1680, r >= 0x2000 && r <= 0x200a,
		r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000, r == 0xfeff:
		return true
	}
	return false
}

// counter turns ascending positions into line numbers.
type counter struct {
	text []byte
	pos  int
	line int
}

func (c *counter) at(pos int) int {
	c.line += bytes.Count(c.text[c.pos:pos], []byte{'\n'})
	c.pos = pos
	return c.line
}

// strange returns the lines between two definitions that are neither blank nor comments.
func (c *counter) strange(from, to int) (lines []int) {
	for from < to {
		length := bytes.IndexByte(c.text[from:to], '\n')
		if length < 0 {
			length = to - from
		}
		text := bytes.TrimFunc(c.text[from:from+length], blank)
		if len(text) > 0 && text[0] != '#' {
			lines = append(lines, c.at(from))
		}
		from += length + 1
	}
	return lines
}
