package strict

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Find returns the nodes of a field's key and of its value, such as spec.alerts[1].exec. The key of an entry of a list
// is the entry itself. Where the field is not there, value is nil and key is that of its nearest parent that is there.
func (d *Document) Find(path string) (key, value *yaml.Node) {
	key, value = d.root, d.root
	for _, segment := range segments(path) {
		nextKey, next := child(resolve(value), segment, 0)
		if next == nil {
			return key, nil
		}
		key, value = nextKey, next
	}
	return key, value
}

// child is the key and value of one step of a path.
func child(n *yaml.Node, segment string, depth int) (key, value *yaml.Node) {
	if n == nil || depth > MaxDepth {
		return nil, nil
	}
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(segment); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i]
		}
		return nil, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := resolve(n.Content[i]); k != nil && k.Kind == yaml.ScalarNode && k.Value == segment && !isMerge(n.Content[i]) {
			return n.Content[i], n.Content[i+1]
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		from := resolve(n.Content[i+1])
		if from == nil || from.Kind != yaml.SequenceNode {
			if key, value = child(from, segment, depth+1); value != nil {
				return key, value
			}
			continue
		}
		for _, item := range from.Content {
			if key, value = child(resolve(item), segment, depth+1); value != nil {
				return key, value
			}
		}
	}
	return nil, nil
}

// segments splits a path at its dots and brackets.
func segments(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

// Locate gives errors of a validation their places in the document. Those that a mistake in found already explains are
// left out.
func (d *Document) Locate(errs field.ErrorList, found Problems) Problems {
	var located Problems
	for _, err := range errs {
		path := join(d.field, err.Field)
		if found.covers(path) {
			continue
		}
		key, value := d.Find(err.Field)
		at, scalar := key, resolve(value)
		if value != nil {
			at = value
		}
		message, empty := "", scalar != nil && scalar.Kind == yaml.SequenceNode && len(scalar.Content) == 0
		if scalar != nil && scalar.Kind != yaml.ScalarNode {
			scalar = nil
		}
		switch {
		case empty:
			message = "got an empty list"
		case err.Type == field.ErrorTypeRequired && (scalar == nil || isNull(scalar)):
			message = "missing"
		case scalar != nil && !isNull(scalar):
			message = "got " + show(scalar)
		default:
			message = "got " + badValue(err.BadValue)
		}
		remedy := err.Detail
		if err.Type == field.ErrorTypeNotSupported && remedy != "" {
			remedy = "want " + strings.TrimPrefix(remedy, "supported values: ")
		}
		located = append(located, d.problem(at, path, message, remedy))
	}
	located.Sort()
	return located
}

func badValue(v any) string {
	text := fmt.Sprint(v)
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}

// Problem is a mistake of the document at a field, for what the caller alone can see.
func (d *Document) Problem(path, message, remedy string) Problem {
	key, value := d.Find(path)
	if value == nil {
		value = key
	}
	return d.problem(value, join(d.field, path), message, remedy)
}

// Text is the text at a field; empty where there is none.
func (d *Document) Text(path string) string {
	if _, value := d.Find(path); resolve(value) != nil && resolve(value).Kind == yaml.ScalarNode {
		return resolve(value).Value
	}
	return ""
}

// HasKeys tells whether the document is made of keys and values.
func (d *Document) HasKeys() bool {
	root := resolve(d.root)
	return root != nil && root.Kind == yaml.MappingNode
}

// Keys are the document's own keys.
func (d *Document) Keys() []string {
	if !d.HasKeys() {
		return nil
	}
	content := resolve(d.root).Content
	keys := make([]string, 0, len(content)/2)
	for i := 0; i+1 < len(content); i += 2 {
		keys = append(keys, content[i].Value)
	}
	return keys
}

// Line is the line, from 1, in which a field stands, or the nearest parent that is there.
func (d *Document) Line(path string) int {
	return d.Problem(path, "", "").Line
}

// Items are the entries of a list in the document, each as a document of its own whose problems keep their full paths.
func (d *Document) Items(path string) []*Document {
	_, list := d.Find(path)
	if list = resolve(list); list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]*Document, 0, len(list.Content))
	for i, node := range list.Content {
		item := *d
		item.root, item.field = node, fmt.Sprintf("%s[%d]", join(d.field, path), i)
		items = append(items, &item)
	}
	return items
}
