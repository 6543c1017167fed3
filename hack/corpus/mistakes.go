package corpus

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// maker makes the mistakes of one right document.
type maker struct {
	schema *Schema
	root   *node
	known  map[string]bool
	made   []Document
}

// add renders the document as it is now, and takes the place of a node for that of the mistake: its value, or its key.
func (m *maker) add(kind Kind, field, what string, at *node, onKey bool) {
	text, where := m.root.render(at)
	d := Document{Name: fmt.Sprintf("%s %s%s", kind, field, what), Text: text, Kind: kind, Field: field,
		Line: where.valueLine, Column: where.valueColumn}
	if onKey {
		d.Line, d.Column = max(where.line, 1), max(where.column, 1) // the document itself stands at its beginning
	}
	m.made = append(m.made, d)
}

// object makes every mistake with the fields of an object.
func (m *maker) object(s *Schema, n *node, at string) {
	for i := range len(n.keys) {
		name, value := n.keys[i], n.values[i]
		field := strings.TrimPrefix(at+"."+name, ".")
		below := s.Properties[name]
		if below == nil {
			below = s.AdditionalProperties
		} else {
			m.known[strings.NewReplacer("[0]", "[]", "[1]", "[]", "[2]", "[]").Replace(field)] = true
			m.keys(s, n, i, at)
		}
		if below != nil {
			m.value(below, n, i, field, value)
		}
	}
}

// keys makes the mistakes with a key: misspelt, in another case, doubled, left out.
func (m *maker) keys(s *Schema, n *node, i int, at string) {
	name := n.keys[i]
	in := func(name string) string { return strings.TrimPrefix(at+"."+name, ".") }

	added := &node{scalar: "x"}
	n.keys, n.values = append(n.keys, name+"x"), append(n.values, added)
	m.add(Unknown, in(name+"x"), "", added, true)
	n.keys, n.values = n.keys[:len(n.keys)-1], n.values[:len(n.values)-1]

	n.keys[i] = otherCase(name)
	m.add(WrongCase, in(n.keys[i]), "", n.values[i], true)
	n.keys[i] = name

	again := &node{flow: "x"}
	n.keys, n.values = append(n.keys, name), append(n.values, again)
	m.add(Doubled, in(name), "", again, true)
	n.keys, n.values = n.keys[:len(n.keys)-1], n.values[:len(n.values)-1]

	keys, values := n.keys, n.values
	n.keys, n.values = slices.Delete(slices.Clone(keys), i, i+1), slices.Delete(slices.Clone(values), i, i+1)
	m.add(Missing, in(name), "", n, true)
	m.made[len(m.made)-1].Optional = !slices.Contains(s.Required, name)
	n.keys, n.values = keys, values
}

func otherCase(name string) string {
	first := rune(name[0])
	if unicode.IsUpper(first) {
		return strings.ToLower(name[:1]) + name[1:]
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// value makes the mistakes with the value of a field, and goes on below it.
func (m *maker) value(s *Schema, in *node, i int, field string, value *node) {
	for _, other := range otherTypes(s) {
		in.values[i] = &node{flow: other}
		m.add(WrongType, field, ": "+other, in.values[i], false)
	}
	for _, far := range outOfRange(s, value) {
		in.values[i] = far
		text, _ := json.Marshal(far.scalar)
		if !far.isScalar() {
			text = fmt.Appendf(nil, "%d entries", len(far.values))
		}
		m.add(OutOfRange, field, ": "+shortened(string(text)), far, false)
	}
	in.values[i] = value
	switch {
	case value.list && s.Items != nil:
		for j, item := range value.values {
			m.value(s.Items, value, j, fmt.Sprintf("%s[%d]", field, j), item)
		}
	case value.keys != nil:
		m.object(s, value, field)
	}
}

func shortened(text string) string {
	if len(text) > 40 {
		return fmt.Sprintf("%s… (%d)", text[:20], len(text))
	}
	return text
}

// otherTypes are values of another type than the schema's, as they stand behind a key.
func otherTypes(s *Schema) []string {
	switch {
	case s.IntOrString:
		return []string{"{a: b}", "[1]", "true"}
	case s.Type == "boolean":
		return []string{"{a: b}", "[true]", `"true"`, "1"}
	case s.Type == "integer":
		return []string{"{a: b}", "[1]", "true", `"1"`, "1.5"}
	case s.Type == "string":
		return []string{"{a: b}", "[x]", "true", "7"}
	case s.Type == "array":
		return []string{"{a: b}", "x", "7"}
	case s.Type == "object":
		return []string{"[x]", "x", "7"}
	}
	return nil
}

// outOfRange are values of the right type that the schema does not allow.
func outOfRange(s *Schema, right *node) (far []*node) {
	scalar := func(v any) { far = append(far, &node{scalar: v}) }
	if s.Minimum != nil {
		scalar(int64(*s.Minimum) - 1)
	}
	if s.Maximum != nil {
		scalar(int64(*s.Maximum) + 1)
		scalar(int64(1) << 62)
	}
	if len(s.Enum) > 0 {
		scalar("Sometimes")
		scalar("")
		scalar(strings.ToLower(fmt.Sprint(s.Enum[0])))
	}
	if s.MaxLength > 0 {
		scalar(fmt.Sprint(right.scalar) + strings.Repeat("x", s.MaxLength))
	}
	if s.MinLength > 0 {
		scalar("")
	}
	if s.Format == "date-time" {
		scalar("tomorrow")
	}
	for _, text := range againstPattern(s.Pattern) {
		scalar(text)
	}
	if s.IntOrString {
		scalar("plenty")
	}
	count := func(n int) {
		many := &node{list: right.list}
		for i := range n {
			many.values = append(many.values, right.values[0])
			if !right.list {
				many.keys = append(many.keys, fmt.Sprintf("K%d", i))
			}
		}
		far = append(far, many)
	}
	if s.MaxItems > 0 && right.list {
		count(s.MaxItems + 1)
	}
	if s.MinItems > 0 && right.list {
		count(0)
	}
	if s.MaxProperties > 0 && s.Properties == nil {
		count(s.MaxProperties + 1)
	}
	return far
}

// againstPattern are texts that a pattern of the CRD refuses; that they do is for the validators to say.
func againstPattern(pattern string) []string {
	switch pattern {
	case "":
		return nil
	case `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`:
		return []string{"soon", "-5s", "5", "5 s", "1d", "s"}
	case `^/.*[^/]$`:
		return []string{"site", "/", "/home/site/"}
	case `^/`:
		return []string{"health"}
	case `^$|^/`:
		return []string{"home/.pm2"}
	case `^[^/]`:
		return []string{"/tmp/cache", ""}
	case `^[^-/]`:
		return []string{"-rf", "/x"}
	case `^$|^[^-]`:
		return []string{"-x"}
	case `^$|^https?://[^/]`:
		return []string{"www.example.com", "ftp://example.com/", "https:///x"}
	case `^https?://[^/]`:
		return []string{"", "chat.example.com", "ftp://example.com/"}
	case `^[a-z]+(\+[a-z]+)?://.`:
		return []string{"ntfy.sh/my-site", "NTFY://x", "ntfy://"}
	case `^[A-Za-z_][A-Za-z0-9_]*$`:
		return []string{"", "DATABASE URL", "1ST"}
	}
	return []string{"\u0001 no pattern would take"}
}
