package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// node is a value in a document. It is rendered with one key to a line, so that every mistake has a place of its own.
type node struct {
	keys   []string // of an object
	values []*node  // of an object or a list
	list   bool
	scalar any    // of neither
	flow   string // instead of all that: text that stands on the key's own line
}

func (n *node) isScalar() bool { return n.keys == nil && !n.list }

// parse reads one of the right documents.
func parse(text string) (*node, error) {
	var doc yamlv3.Node
	if err := yamlv3.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("reading a right document: %w", err)
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("a right document is empty")
	}
	return fromYAML(doc.Content[0])
}

func fromYAML(y *yamlv3.Node) (*node, error) {
	n := &node{}
	switch y.Kind {
	case yamlv3.MappingNode:
		for i := 0; i+1 < len(y.Content); i += 2 {
			v, err := fromYAML(y.Content[i+1])
			if err != nil {
				return nil, err
			}
			n.keys, n.values = append(n.keys, y.Content[i].Value), append(n.values, v)
		}
	case yamlv3.SequenceNode:
		n.list = true
		for _, item := range y.Content {
			v, err := fromYAML(item)
			if err != nil {
				return nil, err
			}
			n.values = append(n.values, v)
		}
	default:
		if err := y.Decode(&n.scalar); err != nil {
			return nil, fmt.Errorf("reading %q: %w", y.Value, err)
		}
	}
	return n, nil
}

// place is where the key, or the dash, of a value stands and where the value itself does; from 1.
type place struct{ line, column, valueLine, valueColumn int }

// renderer writes a document, and notes where the values of a few nodes stand.
type renderer struct {
	out    strings.Builder
	line   int
	places map[*node]place
}

// render gives the document, and the place of the node that is asked for.
func (n *node) render(wanted *node) (string, place) {
	r := &renderer{line: 1, places: map[*node]place{}}
	r.below(n, 0)
	return r.out.String(), r.places[wanted]
}

func (r *renderer) below(n *node, indent int) {
	for i, v := range n.values {
		head := "-"
		if !n.list {
			head = n.keys[i] + ":"
		}
		at := place{line: r.line, column: indent + 1, valueLine: r.line, valueColumn: indent + len(head) + 2}
		r.out.WriteString(strings.Repeat(" ", indent) + head)
		switch {
		case v.flow != "":
			r.end(" " + v.flow)
		case v.isScalar():
			text, _ := json.Marshal(v.scalar) // it was read from YAML
			r.end(" " + string(text))
		case len(v.values) == 0:
			r.end(map[bool]string{true: " []", false: " {}"}[v.list])
		case n.list:
			// The first key stands behind the dash.
			r.out.WriteString(" ")
			r.inDash(v, indent+2)
		default:
			r.end("")
			at.valueLine, at.valueColumn = r.line, indent+3
			r.below(v, indent+2)
		}
		r.places[v] = at
	}
}

// inDash writes the entry of a list, whose first line begins behind the dash.
func (r *renderer) inDash(v *node, indent int) {
	before := r.out.Len()
	r.below(v, indent)
	written := r.out.String()
	r.out.Reset()
	r.out.WriteString(written[:before] + strings.TrimLeft(written[before:], " "))
}

func (r *renderer) end(text string) {
	r.out.WriteString(text + "\n")
	r.line++
}
