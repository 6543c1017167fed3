package strict

import (
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Option changes how a document is decoded.
type Option func(*decoder)

// Ignore leaves out what stands under the given fields, right or wrong.
func Ignore(fields ...string) Option {
	return func(d *decoder) { d.ignore = append(d.ignore, fields...) }
}

// Decode reads the document over what into, a pointer to a struct, already holds, and returns every mistake. What is
// not given, given as null, or given wrongly is left as it was. A list that is given replaces the one that was there. A
// zero metav1.Duration in a field with omitzero is a mistake, because it would not be there when written again.
func (d *Document) Decode(into any, options ...Option) Problems {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("strict: Decode wants a pointer to a struct, not %T", into))
	}
	dec := &decoder{doc: d, root: v.Elem().Type(), budget: MaxNodes}
	for _, option := range options {
		option(dec)
	}
	dec.value(d.root, "", v.Elem(), 0)
	dec.problems.Sort()
	return dec.problems
}

// decoder reads one document into one value.
type decoder struct {
	doc      *Document
	root     reflect.Type
	ignore   []string
	problems Problems
	budget   int
	active   []*yaml.Node
}

func (d *decoder) ignored(field string) bool {
	return slices.ContainsFunc(d.ignore, func(outer string) bool { return within(field, outer) })
}

func (d *decoder) report(n *yaml.Node, at, message, remedy string) {
	d.problems = append(d.problems, d.doc.problem(n, join(d.doc.field, at), message, remedy))
}

// enter follows aliases and keeps the bounds. It returns nil where the value is not to be read.
func (d *decoder) enter(n *yaml.Node, at string, depth int) *yaml.Node {
	written := n
	if n = resolve(n); n == nil || slices.Contains(d.active, n) {
		d.report(written, at, "an anchor that holds itself", "want the value written out")
		return nil
	}
	if depth > MaxDepth {
		d.report(n, at, fmt.Sprintf("nested more than %d deep", MaxDepth), "want it flatter")
		return nil
	}
	if d.budget--; d.budget < 0 {
		if d.budget == -1 {
			d.report(n, at, fmt.Sprintf("the document holds more than %d values, those that aliases repeat counted", MaxNodes),
				"want the aliases written out or fewer of them")
		}
		return nil
	}
	d.active = append(d.active, n)
	return n
}

func (d *decoder) leave() { d.active = d.active[:len(d.active)-1] }

// value reads a node into v.
func (d *decoder) value(n *yaml.Node, at string, v reflect.Value, depth int) bool {
	if n = d.enter(n, at, depth); n == nil {
		return false
	}
	defer d.leave()
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		made := newValue(t.Elem())
		if !v.IsNil() && t.Elem().Kind() == reflect.Struct {
			made.Elem().Set(v.Elem())
		}
		if !d.inner(n, at, made.Elem(), depth) {
			return false
		}
		v.Set(made)
		return true
	default:
		return d.inner(n, at, v, depth)
	}
}

// inner is value for a node that was entered and a value that is no pointer.
func (d *decoder) inner(n *yaml.Node, at string, v reflect.Value, depth int) bool {
	t := v.Type()
	if readsItself(t) {
		return d.scalarLike(n, at, v, depth)
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.structure(n, at, v, depth)
	case reflect.Map:
		return d.mapping(n, at, v, depth)
	case reflect.Slice:
		return d.list(n, at, v, depth)
	case reflect.Interface:
		plain, ok := d.plain(n, at, depth)
		if ok && plain != nil {
			v.Set(reflect.ValueOf(plain))
		}
		return ok
	default:
		return d.scalar(n, at, v)
	}
}

func (d *decoder) structure(n *yaml.Node, at string, v reflect.Value, depth int) bool {
	known := structMembers(v.Type())
	if n.Kind != yaml.MappingNode {
		if known.secret() {
			d.doc.hide(n)
		}
		d.report(n, at, "got "+show(n), "want keys below it, such as \""+known.list[0].name+": …\"")
		return false
	}
	for _, e := range d.entries(n, at) {
		field := join(at, e.name)
		if d.ignored(field) {
			continue
		}
		m, ok := known.byName[e.name]
		if !ok {
			remedy, meant := d.remedyFor(e.name, at, known)
			p := d.doc.problem(e.key, join(d.doc.field, field), fmt.Sprintf("unknown key %q", e.name), remedy)
			if meant != "" {
				p.meant = join(d.doc.field, meant)
			}
			d.problems = append(d.problems, p)
			continue
		}
		if isNull(resolve(e.value)) {
			continue
		}
		if m.secret {
			d.doc.hide(e.value)
		}
		target := v.FieldByIndex(m.index)
		if m.unsetZero && m.typ == durationType {
			d.positive(e.value, field, target, depth+1)
			continue
		}
		d.value(e.value, field, target, depth+1)
	}
	return true
}

// positive reads a duration that must not be zero.
func (d *decoder) positive(n *yaml.Node, at string, v reflect.Value, depth int) {
	read := reflect.New(v.Type()).Elem()
	if !d.value(n, at, read, depth) {
		return
	}
	if read.IsZero() {
		d.report(resolve(n), at, "got "+show(resolve(n)), "want more than nothing, or the line left out for the default")
		return
	}
	v.Set(read)
}

func (d *decoder) mapping(n *yaml.Node, at string, v reflect.Value, depth int) bool {
	t := v.Type()
	if n.Kind != yaml.MappingNode || t.Key().Kind() != reflect.String {
		d.report(n, at, "got "+show(n), "want keys below it")
		return false
	}
	made := reflect.MakeMap(t)
	for _, e := range d.entries(n, at) {
		if isNull(resolve(e.value)) {
			continue
		}
		element := newValue(t.Elem()).Elem()
		if d.value(e.value, join(at, e.name), element, depth+1) {
			made.SetMapIndex(reflect.ValueOf(e.name).Convert(t.Key()), element)
		}
	}
	v.Set(made)
	return true
}

func (d *decoder) list(n *yaml.Node, at string, v reflect.Value, depth int) bool {
	t := v.Type()
	if n.Kind != yaml.SequenceNode {
		if item := t.Elem(); item.Kind() == reflect.Struct && structMembers(item).secret() {
			d.doc.hide(n)
		}
		remedy := "want a list, each entry in a line that begins with \"- \""
		if n.Kind == yaml.ScalarNode && len(n.Value) < 60 {
			remedy = "want a list, such as [" + flowText(n) + "]"
		}
		d.report(n, at, "got "+show(n), remedy)
		return false
	}
	made := reflect.MakeSlice(t, 0, len(n.Content))
	for i, item := range n.Content {
		field := fmt.Sprintf("%s[%d]", at, i)
		if isNull(resolve(item)) {
			d.report(item, field, "an empty entry", "want a value or the entry left out")
			continue
		}
		element := newValue(t.Elem()).Elem()
		if d.value(item, field, element, depth+1) {
			made = reflect.Append(made, element)
		}
	}
	v.Set(made)
	return true
}

// newValue makes a value with its own defaults and returns a pointer to it.
func newValue(t reflect.Type) reflect.Value {
	made := reflect.New(t)
	if defaulter, ok := made.Interface().(Defaulter); ok {
		defaulter.SetDefaults()
	}
	return made
}
