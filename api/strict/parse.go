package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads all the documents of a file. A document that is no YAML is a problem and is left out; the others are
// still returned. Documents that hold nothing but comments are left out too.
func Parse(data []byte, file string) ([]*Document, Problems) {
	src := newSource(data, file)
	if problems := src.unreadable(); problems != nil {
		return nil, problems
	}
	var docs []*Document
	var problems Problems
	for _, doc := range src.documents() {
		root, err := parseYAML(doc.Raw())
		switch {
		case err != nil:
			problems = append(problems, doc.syntaxProblems(err)...)
		case root == nil || isNull(root):
		default:
			doc.root = root
			docs = append(docs, doc)
		}
	}
	return docs, problems
}

// Decode reads a file that holds exactly one document. Where into is nil it only parses.
func Decode(data []byte, file string, into any, options ...Option) (*Document, Problems) {
	docs, problems := Parse(data, file)
	if len(problems) > 0 {
		return nil, problems
	}
	if len(docs) != 1 {
		return nil, Problems{{File: file, Message: fmt.Sprintf("the file holds %d documents", len(docs)), Remedy: "want one"}}
	}
	if into == nil {
		return docs[0], nil
	}
	return docs[0], docs[0].Decode(into, options...)
}

// parseYAML parses one document, to its end. A document without content gives nil.
func parseYAML(data []byte) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("the parser failed: %v", r)
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, rest yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	if err := decoder.Decode(&rest); err == nil {
		return nil, errors.New("did not find expected <document start>")
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, nil
	}
	return doc.Content[0], nil
}

// syntaxRemedies says in plain words what the parser's messages mean.
var syntaxRemedies = []struct{ part, message, remedy string }{
	{"found a tab character", "a tab character where only spaces may stand", "want spaces"},
	{"unknown anchor", "a word that begins with '*' repeats what '&' has named before, and nothing has that name",
		"want quotes around it if it is meant as text"},
	{"found unexpected end of stream", "a quote is opened and never closed", "want the closing quote"},
	{"did not find expected ',' or ']'", "a list that begins with '[' goes wrong", "want entries with ',' between them and ']' at the end"},
	{"did not find expected ',' or '}'", "what begins with '{' goes wrong", "want entries like \"key: value\" with ',' between them and '}' at the end"},
	{"mapping values are not allowed", "a ':' that cannot stand here",
		"want quotes around a value that holds \": \", or the line indented as its neighbours are"},
	{"could not find expected ':'", "a line without ':'", "want \"key: value\", with a space after the ':'"},
	{"block sequence entries are not allowed", "a '-' that cannot stand here", "want the list's first '-' in a line of its own"},
	{"found unknown escape character", "a '\\' that has no meaning in double quotes", "want single quotes around it"},
	{"hexdecimal", "a '\\x' or '\\u' in double quotes without its digits", "want single quotes around it"},
	{"did not find expected alphabetic or numeric", "a '*' or '&' that stands for something else in YAML", "want quotes around it"},
	{"while scanning a directive", "a '%' that cannot stand here", "want quotes around the value"},
	{"did not find expected '-' indicator", "the line does not fit the list above it", "want it indented as its neighbours are"},
	{"did not find expected key", "the line does not fit those above it", "want it indented with as many spaces as its neighbours"},
	{"expected <document start>", "the line does not fit those above it", "want it indented with as many spaces as its neighbours"},
	{"did not find expected node content", "a '[' or '{' that goes wrong", "want entries with ',' between them and its closing bracket"},
	{"cannot start any token", "a character that no value may begin with", "want quotes around the value"},
}

// syntaxProblems makes of the parser's error what a person can use. The parser names the line where the surrounding
// value begins; the line where it goes wrong is found here, as the first with which the document no longer parses.
func (d *Document) syntaxProblems(err error) Problems {
	line := d.before + d.brokenLine()
	text := d.src.line(line)
	column := len(text) - len(bytes.TrimLeft(text, " \t")) + 1
	tabs := d.tabLines()
	if slices.Contains(tabs, line) || strings.Contains(err.Error(), "tab character") {
		problems := make(Problems, 0, len(tabs))
		for _, tab := range tabs[:min(len(tabs), 10)] {
			problems = append(problems, Problem{File: d.File, Line: tab + 1, Column: bytes.IndexByte(d.src.line(tab), '\t') + 1,
				Message: "a tab character in the indentation", Remedy: "want spaces"})
		}
		if len(problems) > 0 {
			return problems
		}
	}
	problem := Problem{File: d.File, Line: line + 1, Column: column,
		Message: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	for _, known := range syntaxRemedies {
		if strings.Contains(err.Error(), known.part) {
			problem.Message, problem.Remedy = known.message, known.remedy
			break
		}
	}
	return Problems{problem}
}

// tabLines are the lines of the document, from 0 in the file, that are indented with a tab.
func (d *Document) tabLines() []int {
	var lines []int
	for i := d.before; i < len(d.src.lines) && d.src.lines[i] < d.End; i++ {
		text := d.src.line(i)
		rest := bytes.TrimLeft(text, " \t")
		if len(rest) > 0 && rest[0] != '#' && bytes.IndexByte(text[:len(text)-len(rest)], '\t') >= 0 {
			lines = append(lines, i)
		}
	}
	return lines
}

// brokenLine is the first line, from 0 in the document, with which the document does not parse and that no later line
// of its neighbourhood mends, as the end of a quoted text would.
func (d *Document) brokenLine() int {
	lookAhead := 64
	if d.End-d.Start > MaxSize/8 {
		lookAhead = 4
	}
	total := 0
	for i := d.before; i < len(d.src.lines) && d.src.lines[i] < d.End; i++ {
		total++
	}
	parses := func(n int) bool {
		end := d.End
		if d.before+n < len(d.src.lines) {
			end = min(d.src.lines[d.before+n], d.End)
		}
		_, err := parseYAML(d.src.data[d.Start:end])
		return err == nil
	}
	good, bad := 0, total
	for {
		for bad-good > 1 {
			if mid := (good + bad) / 2; parses(mid) {
				good = mid
			} else {
				bad = mid
			}
		}
		further := 0
		for n := bad + 1; n < min(bad+lookAhead, total); n++ {
			if parses(n) {
				further = n
			}
		}
		if further == 0 {
			return good
		}
		good, bad = further, total
	}
}
