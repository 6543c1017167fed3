package desired

import (
	"bytes"
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/evenkeel/evenkeel/api/strict"
)

var errShape = errors.New("it is written in a way that cannot be changed safely")

// splicer knows where the values of a document begin and end in the file's bytes.
type splicer struct {
	data []byte
	doc  *strict.Document
}

func isFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

// isBlock tells of a mapping or a list that stands in lines of its own.
func isBlock(n *yaml.Node) bool {
	return (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) && !isFlow(n)
}

// isBare tells of a value that is not there at all, as behind "key:".
func isBare(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style == 0 && n.Anchor == "" && n.ShortTag() == "!!null"
}

// start is where a value begins, behind its anchor and its tag.
func (s *splicer) start(n *yaml.Node) int {
	if isBlock(n) && len(n.Content) > 0 && n.Kind == yaml.MappingNode {
		return s.doc.Offset(n.Content[0])
	}
	at := s.doc.Offset(n)
	for at < len(s.data) && (s.data[at] == '&' || s.data[at] == '!') {
		for at < len(s.data) && !isBlank(s.data[at]) && !bytes.ContainsRune([]byte(",]}"), rune(s.data[at])) {
			at++
		}
		at = s.skip(at, " \t\r\n")
	}
	return at
}

// end is the byte behind a value. Indent is how deep the key is indented to which it belongs.
func (s *splicer) end(n *yaml.Node, indent int) (int, error) {
	at := s.start(n)
	switch {
	case n.Kind == yaml.AliasNode:
		for at < len(s.data) && !isBlank(s.data[at]) && s.data[at] != ',' && s.data[at] != ']' && s.data[at] != '}' {
			at++
		}
		return at, nil
	case n.Kind == yaml.ScalarNode:
		return s.scalarEnd(n, at, indent)
	case len(n.Content) == 0 && !isFlow(n):
		return 0, errShape
	case n.Kind == yaml.MappingNode:
		return s.collectionEnd(n, at, '{', '}', 2)
	case n.Kind == yaml.SequenceNode:
		return s.collectionEnd(n, at, '[', ']', 1)
	}
	return 0, errShape
}

func (s *splicer) scalarEnd(n *yaml.Node, at, indent int) (int, error) {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for i := at + 1; i < len(s.data); i++ {
			switch s.data[i] {
			case '\\':
				i++
			case '"':
				return i + 1, nil
			}
		}
	case n.Style&yaml.SingleQuotedStyle != 0:
		for i := at + 1; i < len(s.data); i++ {
			if s.data[i] != '\'' {
				continue
			}
			if i+1 >= len(s.data) || s.data[i+1] != '\'' {
				return i + 1, nil
			}
			i++
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return s.linesEnd(at, indent, false), nil
	case bytes.HasPrefix(s.data[at:], []byte(n.Value)):
		return at + len(n.Value), nil
	case indent >= 0:
		return s.linesEnd(at, indent, true), nil
	}
	return 0, errShape
}

// linesEnd is the end of a value that goes on in the following lines, as far as they are indented deeper than its key.
func (s *splicer) linesEnd(at, indent int, plain bool) int {
	end := s.lineEnd(at)
	for next := s.nextLine(end); next < s.doc.End; next = s.nextLine(s.lineEnd(next)) {
		text := s.data[next:s.lineEnd(next)]
		rest := bytes.TrimLeft(text, " ")
		if len(bytes.TrimSpace(rest)) == 0 {
			continue
		}
		if len(text)-len(rest) <= indent || plain && rest[0] == '#' {
			break
		}
		end = s.lineEnd(next)
	}
	if plain {
		last := s.data[s.lineStart(end):end]
		if i := bytes.Index(last, []byte(" #")); i >= 0 {
			end -= len(last) - i
		}
		end = len(bytes.TrimRight(s.data[:end], " \t"))
	}
	return end
}

// collectionEnd is the end of a mapping or a list: that of its last entry, and of its bracket.
func (s *splicer) collectionEnd(n *yaml.Node, at int, opening, closing byte, step int) (int, error) {
	bracket := isFlow(n) && at < len(s.data) && s.data[at] == opening
	end := at + 1
	if len(n.Content) > 0 {
		last, err := 0, error(nil)
		indent := n.Column - 1
		if bracket {
			indent = -1
		}
		if value := n.Content[len(n.Content)-1]; step == 2 {
			last, err = s.entryEnd(n.Content[len(n.Content)-2], value, bracket)
		} else {
			last, err = s.end(value, indent)
		}
		if err != nil {
			return 0, err
		}
		end = last
	}
	if !bracket {
		return end, nil
	}
	for comma := false; ; {
		end = s.skipComments(end)
		if end < len(s.data) && s.data[end] == ',' && !comma {
			end, comma = end+1, true
			continue
		}
		break
	}
	if end >= len(s.data) || s.data[end] != closing {
		return 0, errShape
	}
	return end + 1, nil
}

// entryEnd is the end of a key with its value.
func (s *splicer) entryEnd(key, value *yaml.Node, flow bool) (int, error) {
	indent := key.Column - 1
	if flow {
		indent = -1
	}
	if isBare(value) {
		colon, err := s.colon(key)
		if flow && err != nil {
			return s.end(key, -1)
		}
		return colon + 1, err
	}
	return s.end(value, indent)
}

// colon is the ':' behind a key.
func (s *splicer) colon(key *yaml.Node) (int, error) {
	end, err := s.end(key, -1)
	if err != nil {
		return 0, err
	}
	if end = s.skip(end, " \t"); end < len(s.data) && s.data[end] == ':' {
		return end, nil
	}
	return 0, errShape
}

// skip is the next byte at or behind at that is none of those given.
func (s *splicer) skip(at int, set string) int {
	for at < len(s.data) && bytes.IndexByte([]byte(set), s.data[at]) >= 0 {
		at++
	}
	return at
}

// skipComments is skip for spaces, line breaks and comments.
func (s *splicer) skipComments(at int) int {
	for {
		next := s.skip(at, " \t\r\n")
		if next >= len(s.data) || s.data[next] != '#' || next == 0 || !isBlank(s.data[next-1]) {
			return next
		}
		at = s.lineEnd(next)
	}
}

// lineStart, lineEnd and nextLine find the bounds of the line that a byte lies in. The break belongs to no line's end.
func (s *splicer) lineStart(at int) int { return bytes.LastIndexByte(s.data[:at], '\n') + 1 }

func (s *splicer) lineEnd(at int) int {
	end := len(s.data)
	if i := bytes.IndexByte(s.data[at:], '\n'); i >= 0 {
		end = at + i
	}
	if end > at && s.data[end-1] == '\r' {
		end--
	}
	return end
}

func (s *splicer) nextLine(end int) int {
	if i := bytes.IndexByte(s.data[end:], '\n'); i >= 0 {
		return end + i + 1
	}
	return len(s.data)
}

// newline is the line break of the line that ends at end, or of the one before it.
func (s *splicer) newline(end int) string {
	if end >= len(s.data) {
		end = max(s.lineStart(end)-1, 0)
	} else if s.data[end] == '\r' {
		end++
	}
	if end > 0 && end < len(s.data) && s.data[end] == '\n' && s.data[end-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }
