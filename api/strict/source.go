package strict

import (
	"bytes"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds on what is read.
const (
	// MaxSize is the most bytes that a file may have.
	MaxSize = 1 << 20
	// MaxDepth is how deep keys and lists may be nested.
	MaxDepth = 64
	// MaxNodes is how many values a document may hold, those that aliases repeat counted each time.
	MaxNodes = 100_000
)

const byteOrderMark = "\ufeff"

// source is a file with the places where its lines begin.
type source struct {
	name  string
	data  []byte
	lines []int
}

func newSource(data []byte, name string) *source {
	s := &source{name: name, data: data}
	start := 0
	if bytes.HasPrefix(data, []byte(byteOrderMark)) {
		start = len(byteOrderMark)
	}
	s.lines = append(s.lines, start)
	for i := start; i < len(data); {
		n := breakLen(data[i:])
		if n == 0 {
			i++
			continue
		}
		i += n
		s.lines = append(s.lines, i)
	}
	return s
}

// breakLen is the length of the line break with which b begins, or 0. These are the breaks that YAML knows.
func breakLen(b []byte) int {
	switch {
	case b[0] == '\n':
		return 1
	case b[0] == '\r' && len(b) > 1 && b[1] == '\n':
		return 2
	case b[0] == '\r':
		return 1
	case b[0] == 0xc2 && len(b) > 1 && b[1] == 0x85:
		return 2
	case b[0] == 0xe2 && len(b) > 2 && b[1] == 0x80 && (b[2] == 0xa8 || b[2] == 0xa9):
		return 3
	}
	return 0
}

// line is the text of a line, counted from 0, without its break.
func (s *source) line(i int) []byte {
	end := len(s.data)
	if i+1 < len(s.lines) {
		end = s.lines[i+1]
	}
	text := s.data[s.lines[i]:end]
	for j := range text {
		if breakLen(text[j:]) > 0 {
			return text[:j]
		}
	}
	return text
}

// place is the line and column, from 1, of a byte.
func (s *source) place(offset int) (line, column int) {
	low, high := 0, len(s.lines)
	for high-low > 1 {
		if mid := (low + high) / 2; s.lines[mid] <= offset {
			low = mid
		} else {
			high = mid
		}
	}
	return low + 1, utf8.RuneCount(s.data[min(s.lines[low], offset):offset]) + 1
}

// offset is the byte at a line and column, both from 1.
func (s *source) offset(line, column int) int {
	if line < 1 || line > len(s.lines) {
		return len(s.data)
	}
	at := s.lines[line-1]
	for ; column > 1 && at < len(s.data); column-- {
		_, n := utf8.DecodeRune(s.data[at:])
		at += n
	}
	return at
}

// unreadable says why bytes cannot be a YAML file at all.
func (s *source) unreadable() Problems {
	problem := func(offset int, message, remedy string) Problems {
		line, column := s.place(offset)
		return Problems{{File: s.name, Line: line, Column: column, Message: message, Remedy: remedy}}
	}
	if len(s.data) > MaxSize {
		return Problems{{File: s.name, Message: "the file is larger than 1 MiB", Remedy: "want a file that a person would write"}}
	}
	if bytes.HasPrefix(s.data, []byte("\xff\xfe")) || bytes.HasPrefix(s.data, []byte("\xfe\xff")) {
		return problem(0, "the file is UTF-16", "want it saved as UTF-8")
	}
	for i := s.lines[0]; i < len(s.data); {
		r, n := utf8.DecodeRune(s.data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return problem(i, "a byte that is not UTF-8", "want the file saved as UTF-8")
		case r == 0:
			return problem(i, "a NUL character", "want a text file; write this one anew or take its backup")
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return problem(i, "a control character", "want it removed; it does not show in every editor")
		}
		i += n
	}
	return nil
}

// documents splits the file where YAML does: at lines that begin with "---" or "...". That is done here, before anything
// is parsed, so that a mistake in one document does not hide the next one.
func (s *source) documents() []*Document {
	var docs []*Document
	first := 0
	flush := func(next int) {
		if doc := s.document(first, next); doc != nil {
			docs = append(docs, doc)
		}
		first = next
	}
	for i := range s.lines {
		text := s.line(i)
		if isMarker(text, "---") && i > first {
			flush(i)
		} else if isMarker(text, "...") {
			flush(i + 1)
		}
	}
	flush(len(s.lines))
	return docs
}

// document is what stands in the lines from first up to next; nil where that is nothing but comments.
func (s *source) document(first, next int) *Document {
	empty := true
	for i := first; i < next && empty; i++ {
		text := bytes.TrimSpace(s.line(i))
		if i == first && isMarker(text, "---") {
			text = bytes.TrimSpace(text[3:])
		}
		empty = len(text) == 0 || text[0] == '#' || isMarker(text, "...") || text[0] == '%'
	}
	if empty {
		return nil
	}
	end := len(s.data)
	if next < len(s.lines) {
		end = s.lines[next]
	}
	return &Document{File: s.name, Start: s.lines[first], End: end, src: s, before: first}
}

func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t')
}

// Document is one YAML document of a file.
type Document struct {
	// File is the file's name, as it was given.
	File string
	// Start and End are the document's first byte in the file and the one behind its last. Its "---" belongs to it.
	Start, End int

	src *source
	// before is how many lines of the file precede the document.
	before int
	// root is the first node; nil where the document could not be parsed.
	root *yaml.Node
	// field is the path of root in its file's document, for the items of a list.
	field string
	// hidden are the nodes whose values are not shown.
	hidden map[*yaml.Node]bool
}

// Raw is the document's bytes.
func (d *Document) Raw() []byte { return d.src.data[d.Start:d.End] }

// Root is the document's first node. Its lines count from the document's start; see Offset.
func (d *Document) Root() *yaml.Node { return d.root }

// Offset is the byte in the file at which a node of the document begins.
func (d *Document) Offset(n *yaml.Node) int { return d.src.offset(n.Line+d.before, n.Column) }

func (d *Document) problem(n *yaml.Node, field, message, remedy string) Problem {
	p := Problem{File: d.File, Field: field, Message: message, Remedy: remedy}
	if n != nil {
		p.Line, p.Column = n.Line+d.before, n.Column
	}
	d.redact(n, &p)
	return p
}
