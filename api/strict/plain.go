package strict

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Plain is the document as maps, lists, text, numbers, true and false, without regard to any type. Null values are left
// out of maps.
func (d *Document) Plain() (any, Problems) {
	dec := &decoder{doc: d, budget: MaxNodes}
	root := dec.enter(d.root, "", 0)
	if root == nil {
		return nil, dec.problems
	}
	plain, _ := dec.plain(root, "", 0)
	return plain, dec.problems
}

// plain turns an entered node into plain data.
func (d *decoder) plain(n *yaml.Node, at string, depth int) (any, bool) {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, e := range d.entries(n, at) {
			value, ok := d.plainChild(e.value, join(at, e.name), depth+1)
			if !ok {
				return nil, false
			}
			if value != nil {
				m[e.name] = value
			}
		}
		return m, true
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			value, ok := d.plainChild(item, fmt.Sprintf("%s[%d]", at, i), depth+1)
			if !ok {
				return nil, false
			}
			list = append(list, value)
		}
		return list, true
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, true
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), true
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
			return i, true
		}
	case "!!float":
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && f-f == 0 {
			return f, true
		}
	}
	return n.Value, true
}

func (d *decoder) plainChild(n *yaml.Node, at string, depth int) (any, bool) {
	entered := d.enter(n, at, depth)
	if entered == nil {
		return nil, false
	}
	defer d.leave()
	return d.plain(entered, at, depth)
}

// show is a node in a message: text in quotes, all else as it was written, the long cut short.
func show(n *yaml.Node) string {
	switch {
	case n == nil:
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	}
	value := veil(n.Value)
	if utf8.RuneCountInString(value) > 60 {
		value = string([]rune(value)[:60]) + "…"
	}
	switch tag := n.ShortTag(); {
	case tag == "!!int" || tag == "!!float" || tag == "!!timestamp":
		return value
	case tag == "!!bool":
		return value
	}
	return strconv.Quote(value)
}

// flowText is a scalar as it may stand in a list in brackets.
func flowText(n *yaml.Node) string {
	value := veil(n.Value)
	if n.ShortTag() == "!!str" && (n.Style&quoted != 0 || strings.ContainsAny(value, ",[]{}#&*!|>'\"%@`: \n")) {
		return strconv.Quote(value)
	}
	return value
}
