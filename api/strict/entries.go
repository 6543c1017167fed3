package strict

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// entry is one key of a mapping with its value.
type entry struct {
	name       string
	key, value *yaml.Node
}

// entries are the keys of a mapping, with those that "<<" merges into it behind. Doubled keys are reported.
func (d *decoder) entries(n *yaml.Node, at string) []entry {
	var own []entry
	seen := map[string]*yaml.Node{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if isMerge(key) {
			merges = append(merges, value)
			continue
		}
		name := resolve(key)
		if name == nil || name.Kind != yaml.ScalarNode {
			d.report(key, at, "a key that is no plain text", "want \"key: value\"")
			continue
		}
		if first, ok := seen[name.Value]; ok {
			d.report(key, join(at, name.Value), fmt.Sprintf("key %q is there twice, in line %d and in line %d",
				name.Value, first.Line+d.doc.before, key.Line+d.doc.before), "want one of them")
			continue
		}
		seen[name.Value] = key
		own = append(own, entry{name.Value, key, value})
	}
	for _, merge := range merges {
		own = d.merge(own, merge, at, seen)
	}
	return own
}

// merge adds the keys of what "<<" names and that are not there yet.
func (d *decoder) merge(own []entry, from *yaml.Node, at string, seen map[string]*yaml.Node) []entry {
	source := d.enter(from, at, len(d.active))
	if source == nil {
		return own
	}
	defer d.leave()
	switch source.Kind {
	case yaml.MappingNode:
		for _, e := range d.entries(source, at) {
			if _, ok := seen[e.name]; !ok {
				seen[e.name] = e.key
				own = append(own, e)
			}
		}
	case yaml.SequenceNode:
		for _, item := range source.Content {
			if r := resolve(item); r != nil && r.Kind == yaml.MappingNode {
				own = d.merge(own, item, at, seen)
			} else {
				d.report(item, at, "\"<<\" names something without keys", "want an alias of keys and values")
			}
		}
	default:
		d.report(source, at, "\"<<\" names something without keys", "want an alias of keys and values")
	}
	return own
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && key.ShortTag() == "!!merge"
}

// resolve follows an alias. It gives nil where there is nothing to follow it to.
func resolve(n *yaml.Node) *yaml.Node {
	for range MaxDepth {
		if n == nil || n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return nil
}

func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
