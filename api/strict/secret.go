package strict

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// secretTag marks a field whose value is never shown in a message: `evenkeel:"secret"`. What is below it is not either.
func secretTag(f reflect.StructField) bool { return f.Tag.Get("evenkeel") == "secret" }

// secret tells whether one of the keys has a value that is shown nowhere: what stands in the place of all may be it.
func (m *members) secret() bool {
	return slices.ContainsFunc(m.list, func(one member) bool { return one.secret })
}

// hide remembers that a node, and all below it, may be a secret.
func (d *Document) hide(n *yaml.Node) {
	if n = resolve(n); n == nil || d.hidden[n] {
		return
	}
	if d.hidden == nil {
		d.hidden = map[*yaml.Node]bool{}
	}
	d.hidden[n] = true
	for _, below := range n.Content {
		d.hide(below)
	}
}

// redact takes a hidden node's value out of a problem.
func (d *Document) redact(n *yaml.Node, p *Problem) {
	if n = resolve(n); n == nil || !d.hidden[n] || n.Kind != yaml.ScalarNode {
		return
	}
	if strings.HasPrefix(p.Message, "got ") && !isNull(n) {
		p.Message = "got a value that is not shown here, since it may be a secret"
	}
	for _, word := range append([]string{n.Value}, strings.Fields(n.Value)...) {
		if word != "" {
			p.Remedy = strings.ReplaceAll(p.Remedy, word, "…")
		}
	}
}

// veil leaves of an address what may be shown: who may use it, and its path and query, are often the secret itself.
func veil(value string) string {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok {
		return value
	}
	shown := scheme + "://"
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		shown, rest = shown+"…@", rest[at+1:]
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 && end < len(rest)-1 {
		return shown + rest[:end] + "/…"
	}
	return shown + rest
}
