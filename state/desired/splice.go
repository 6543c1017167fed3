package desired

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// apply makes one change. Where a field is inserted, it goes behind the field that was changed before, if that is its
// neighbour.
func (s *splicer) apply(c Change, previous []string) ([]byte, error) {
	mapping, parentKey := s.doc.Root(), (*yaml.Node)(nil)
	for i, name := range c.path {
		if mapping.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("%s is no place for keys of its own", strings.Join(c.path[:i], "."))
		}
		key, value := own(mapping, name)
		last := i == len(c.path)-1
		switch {
		case key == nil && c.remove:
			return s.data, nil
		case key == nil:
			var behind string
			if len(previous) == len(c.path) && last && slices.Equal(previous[:i], c.path[:i]) {
				behind = previous[i]
			}
			return s.insert(mapping, parentKey, behind, c.path[i:], c.value)
		case last && c.remove:
			return s.remove(mapping, key, value)
		case last:
			return s.replace(mapping, key, value, nil, c.value)
		case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null" && c.remove:
			return s.data, nil
		case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null":
			return s.replace(mapping, key, value, c.path[i+1:], c.value)
		case value.Kind == yaml.AliasNode:
			return nil, fmt.Errorf("%s is the alias of something else", strings.Join(c.path[:i+1], "."))
		}
		mapping, parentKey = value, key
	}
	return nil, errors.New("a change without a field")
}

// put puts text in the place of the bytes from start to end.
func (s *splicer) put(start, end int, text string) []byte {
	result := make([]byte, 0, len(s.data)-(end-start)+len(text))
	result = append(result, s.data[:start]...)
	result = append(result, text...)
	return append(result, s.data[end:]...)
}

func isJSON(mapping *yaml.Node) bool {
	return isFlow(mapping) && len(mapping.Content) > 0 && mapping.Content[0].Style&yaml.DoubleQuotedStyle != 0
}

// replace gives a key that is there another value, which stands below the keys of path.
func (s *splicer) replace(mapping, key, value *yaml.Node, path []string, v any) ([]byte, error) {
	if len(path) == 0 && sameValue(value, v) {
		return s.data, nil
	}
	text := render(path, v, isJSON(mapping))
	if isBare(value) || isBlock(value) {
		colon, err := s.colon(key)
		if err != nil {
			return nil, err
		}
		end, err := s.entryEnd(key, value, isFlow(mapping))
		if err != nil {
			return nil, err
		}
		return s.put(colon+1, end, " "+text), nil
	}
	end, err := s.entryEnd(key, value, isFlow(mapping))
	if err != nil {
		return nil, err
	}
	return s.put(s.start(value), end, text), nil
}

// sameValue tells whether a value already is what is wanted, however it is written.
func sameValue(n *yaml.Node, v any) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	switch want := v.(type) {
	case string:
		return (n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp") && n.Value == want
	case bool:
		return n.ShortTag() == "!!bool" && strings.EqualFold(n.Value, fmt.Sprint(want))
	case int64:
		return n.ShortTag() == "!!int" && n.Value == fmt.Sprint(want)
	}
	return false
}

// insert adds a key to a mapping: behind the key of the given name, else as the first.
func (s *splicer) insert(mapping, parentKey *yaml.Node, behind string, path []string, v any) ([]byte, error) {
	asJSON := isJSON(mapping)
	text := renderText(path[0], asJSON) + ": " + render(path[1:], v, asJSON)
	neighbour, value := own(mapping, behind)
	if isFlow(mapping) {
		if neighbour != nil {
			end, err := s.entryEnd(neighbour, value, true)
			return s.put(end, end, ", "+text), err
		}
		start := s.start(mapping)
		if start >= len(s.data) || s.data[start] != '{' {
			return nil, errShape
		}
		if len(mapping.Content) == 0 {
			return s.put(start+1, start+1, text), nil
		}
		first := s.doc.Offset(mapping.Content[0])
		return s.put(first, first, text+", "), nil
	}
	if len(mapping.Content) == 0 {
		return nil, errShape
	}
	first := s.doc.Offset(mapping.Content[0])
	indent := s.data[s.lineStart(first):first]
	alone := len(bytes.TrimLeft(indent, " ")) == 0
	if neighbour == nil && alone && parentKey != nil {
		end := s.lineEnd(s.doc.Offset(parentKey))
		return s.put(end, end, s.newline(end)+string(indent)+text), nil
	}
	if neighbour == nil && alone {
		at := s.lineStart(first)
		return s.put(at, at, string(indent)+text+s.newline(s.lineEnd(first))), nil
	}
	if neighbour == nil {
		neighbour, value = mapping.Content[len(mapping.Content)-2], mapping.Content[len(mapping.Content)-1]
	}
	end, err := s.entryEnd(neighbour, value, false)
	if err != nil {
		return nil, err
	}
	end = s.lineEnd(end)
	return s.put(end, end, s.newline(end)+strings.Repeat(" ", mapping.Content[0].Column-1)+text), nil
}

// remove takes a key with its value away.
func (s *splicer) remove(mapping, key, value *yaml.Node) ([]byte, error) {
	end, err := s.entryEnd(key, value, isFlow(mapping))
	if err != nil {
		return nil, err
	}
	start := s.doc.Offset(key)
	commented := bytes.Contains(s.data[start:s.start(value)], []byte(" #")) && !isBare(value)
	if isFlow(mapping) {
		return s.removeFlow(mapping, key, start, end)
	}
	line := s.lineStart(start)
	rest := bytes.TrimSpace(s.data[end:s.lineEnd(end)])
	if commented || len(rest) > 0 || len(mapping.Content) == 2 || len(bytes.TrimLeft(s.data[line:start], " ")) > 0 {
		return s.setNull(mapping, key, value)
	}
	next := s.nextLine(end)
	if next == len(s.data) && (next == 0 || s.data[next-1] != '\n') && line > 0 {
		line = len(bytes.TrimSuffix(s.data[:line-1], []byte("\r"))) // The last line has no break; so the one before goes.
	}
	return s.put(line, next, ""), nil
}

// setNull makes a value null, which means the same as no key, and leaves everything around it.
func (s *splicer) setNull(mapping, key, value *yaml.Node) ([]byte, error) {
	if value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null" {
		return s.data, nil
	}
	end, err := s.entryEnd(key, value, isFlow(mapping))
	if err != nil {
		return nil, err
	}
	if isBlock(value) {
		return nil, errShape
	}
	return s.put(s.start(value), end, "null"), nil
}

// removeFlow takes a key out of braces, with the comma behind it, or before it if it is the last.
func (s *splicer) removeFlow(mapping, key *yaml.Node, start, end int) ([]byte, error) {
	at := slices.Index(mapping.Content, key)
	if after := s.skip(end, " \t\r\n"); after < len(s.data) && s.data[after] == ',' && at+2 < len(mapping.Content) {
		end = s.skip(after+1, " \t")
		alone := len(bytes.TrimSpace(s.data[s.lineStart(start):start])) == 0
		if alone && end == s.lineEnd(end) {
			return s.put(s.lineStart(start), s.nextLine(end), ""), nil
		}
		return s.put(start, end, ""), nil
	}
	if at >= 2 {
		before, err := s.entryEnd(mapping.Content[at-2], mapping.Content[at-1], true)
		if err != nil {
			return nil, err
		}
		if between := s.data[before:start]; bytes.ContainsRune(between, '#') {
			return s.setNull(mapping, key, mapping.Content[at+1])
		}
		return s.put(before, end, ""), nil
	}
	return s.put(start, end, ""), nil
}
