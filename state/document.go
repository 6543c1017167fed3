package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	yamlv2 "go.yaml.in/yaml/v2"
	yamlv3 "go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// preamble opens every state file.
const preamble = `# What evenkeel knows about %[1]s. To overrule it, change the value of "phase:" below and save this file:
#   phase: Healthy      reset: the incident is closed, all attempts are there again
#   phase: Failed       stand down: nothing more is done until you reset
#   phase: Recovering   recover now; a line "force: true" beside it does so even while a deploy is under way
# Leave "observedPhase:" as it is. Everything else that you change here is ignored and written over.
# The same by command: evenkeel reset %[1]s, evenkeel recover %[1]s [--force]; see also status, why, events, pause.
`

// ending closes every state file. A file that was cut off, by an editor on a full disk say, may well be YAML, and would tell
// of fewer attempts than there were.
const ending = "# The end. Without this line the file is taken as cut off, and the copy before it is used."

// encoder writes states as documents. From one write to the next most fields stay as they are, and YAML is slow: what was
// written of each field is kept, and used again while its JSON is the same. The zero value is good.
type encoder struct{ kept map[string]field }

// field is one field of the document, in both forms.
type field struct{ json, yaml []byte }

// encode writes a state, given as the metadata and the JSON of the status in one or several parts, as a document: the fields in
// the order of the Go type, so that phase and observedPhase come first after metadata. Equal states give equal bytes.
func (e *encoder) encode(meta *metav1.ObjectMeta, parts ...[]byte) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, preamble, meta.Name)
	fmt.Fprintf(&out, "apiVersion: %s\nkind: %s\n", v1alpha1.GroupVersion, v1alpha1.KindAppState)
	head, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return nil, fmt.Errorf("writing the state as YAML: %w", err)
	}
	for _, part := range append([][]byte{head}, parts...) {
		if part == nil {
			continue
		}
		if err := e.fields(&out, part); err != nil {
			return nil, fmt.Errorf("writing the state as YAML: %w", err)
		}
	}
	out.WriteString(ending + "\n")
	return out.Bytes(), nil
}

// fields writes each field of a JSON object as YAML, in order.
func (e *encoder) fields(out *bytes.Buffer, object []byte) error {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil { // the opening brace
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		name := key.(string)
		kept, ok := e.kept[name]
		if !ok || !bytes.Equal(kept.json, value) {
			write := fieldYAML
			if name == "telling" { // new each time
				write = fieldFlow
			}
			text, err := write(name, value)
			if err != nil {
				return err
			}
			if e.kept == nil {
				e.kept = map[string]field{}
			}
			kept = field{value, text}
			e.kept[name] = kept
		}
		out.Write(kept.yaml)
	}
	return nil
}

// fieldYAML writes one field. Numbers stay as they are: a JSON number read as a float would lose digits.
func fieldYAML(name string, value json.RawMessage) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return yamlv2.Marshal(map[string]any{name: plain(v)})
}

// fieldFlow writes one field in one line, as JSON, which is YAML as well where no character stands in it that YAML does not
// take. It costs a tenth.
func fieldFlow(name string, value json.RawMessage) ([]byte, error) {
	text := append([]byte(name), ": "...)
	for _, r := range string(value) {
		switch {
		case r > 0xffff && !unicode.IsPrint(r):
			text = fmt.Appendf(text, `\U%08x`, r)
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			text = fmt.Appendf(text, `\u%04x`, r)
		default:
			text = utf8.AppendRune(text, r)
		}
	}
	return append(text, '\n'), nil
}

// plain puts integers in the place of JSON's numbers, where they are some.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for n := range v {
			v[n] = plain(v[n])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // it was written by Go from a number
		return f
	}
	return v
}

// decode reads a document as the state of an App. It is lenient about fields it does not know, which a newer evenkeel may
// have written, and passes over phase and force, which an operator may have edited: they are left empty. All else has to
// be as evenkeel writes it.
func decode(data []byte, app string) (st *v1alpha1.AppState, err error) {
	defer func() {
		if p := recover(); p != nil {
			st, err = nil, fmt.Errorf("unreadable YAML: %v", p)
		}
	}()
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(asJSON, &fields); err != nil {
		return nil, err
	}
	delete(fields, "phase")
	delete(fields, "force")
	if asJSON, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	st = &v1alpha1.AppState{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(asJSON, st); err != nil {
		return nil, err
	}
	switch {
	case st.APIVersion != v1alpha1.GroupVersion || st.Kind != v1alpha1.KindAppState:
		return nil, fmt.Errorf("it is %q %q, not %s %s", st.APIVersion, st.Kind, v1alpha1.GroupVersion, v1alpha1.KindAppState)
	case st.Name != app:
		return nil, fmt.Errorf("it is the state of %q, not of %q", st.Name, app)
	case !slices.Contains(v1alpha1.Phases(), st.ObservedPhase):
		return nil, fmt.Errorf("observedPhase %q is no phase", st.ObservedPhase)
	case !bytes.Contains(data, []byte("\n"+ending)):
		return nil, errors.New("it is cut off: its last line is missing")
	}
	return st, nil
}

// Order is what an operator wants, as read from the state file.
type Order struct {
	// Phase is the phase that is ordered: Healthy (reset), Failed (stand down) or Recovering (recover now). Empty: no order.
	Phase v1alpha1.Phase
	// Force, with Recovering, overrules a deploy.
	Force bool
	// Rewrite says that the file is not as evenkeel wrote it (an order, a stale save, or it is missing) and wants to be
	// written, which the next Write does even when nothing has changed.
	Rewrite bool
}

// IsOrder tells whether there is an order.
func (o Order) IsOrder() bool { return o.Phase != "" }

// RejectedError says that a state file holds something that cannot be understood or obeyed.
type RejectedError struct {
	// App is the App whose file it is.
	App string
	// Line and Column say where, counted from 1; 0 where that is not known.
	Line, Column int
	// Problem says what is wrong, and Right what would be right.
	Problem, Right string
	// Kept is where the rejected file has been kept; empty if that was not possible, and then KeepError says why.
	Kept      string
	KeepError error
}

// Error says it in one sentence.
func (e *RejectedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the state file of %s is rejected", e.App)
	if e.Line > 0 {
		fmt.Fprintf(&b, ": line %d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ", column %d", e.Column)
		}
	}
	fmt.Fprintf(&b, ": %s", e.Problem)
	if e.Right != "" {
		fmt.Fprintf(&b, "; %s", e.Right)
	}
	if e.Kept != "" {
		fmt.Fprintf(&b, " (kept as %s)", e.Kept)
	} else if e.KeepError != nil {
		fmt.Fprintf(&b, " (and could not be kept: %v)", e.KeepError)
	}
	return b.String()
}

// Unwrap gives the reason for which the file could not be kept.
func (e *RejectedError) Unwrap() error { return e.KeepError }

const rightPhases = "phase takes Healthy (reset), Failed (stand down) or Recovering (recover now)"

// parseOrder reads the few lines of a document that an operator's order is made of, and nothing else. A document whose
// phase is its own observedPhase holds none.
func parseOrder(data []byte, app string) (order Order, rejected *RejectedError) {
	defer func() {
		if p := recover(); p != nil {
			order, rejected = Order{}, &RejectedError{App: app, Problem: fmt.Sprintf("unreadable YAML: %v", p)}
		}
	}()
	reject := func(at *yamlv3.Node, right, format string, args ...any) (Order, *RejectedError) {
		e := &RejectedError{App: app, Problem: fmt.Sprintf(format, args...), Right: right}
		if at != nil {
			e.Line, e.Column = at.Line, at.Column
		}
		return Order{}, e
	}

	var doc yamlv3.Node
	if err := yamlv3.Unmarshal(data, &doc); err != nil {
		line, problem := splitLine(strings.TrimPrefix(err.Error(), "yaml: "))
		return Order{}, &RejectedError{App: app, Line: line, Problem: problem, Right: "it has to be YAML"}
	}
	if doc.Kind != yamlv3.DocumentNode || len(doc.Content) == 0 {
		return reject(nil, "a state file begins with apiVersion, kind and metadata", "it is empty")
	}
	root := doc.Content[0]
	if root.Kind != yamlv3.MappingNode {
		return reject(root, "a state file begins with apiVersion, kind and metadata", "it holds no fields")
	}
	fields := map[string]*yamlv3.Node{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key := root.Content[i]
		switch key.Value {
		case "apiVersion", "kind", "metadata", "phase", "observedPhase", "force":
			if fields[key.Value] != nil {
				return reject(key, "change the line that is there instead of adding one", "%q stands twice", key.Value)
			}
			fields[key.Value] = target(root.Content[i+1])
		}
	}

	for name, want := range map[string]string{"apiVersion": v1alpha1.GroupVersion, "kind": v1alpha1.KindAppState} {
		if n := fields[name]; text(n) != want {
			return reject(n, "it has to be "+want, "%s is %q", name, text(n))
		}
	}
	name := child(fields["metadata"], "name")
	if text(name) != app {
		return reject(name, fmt.Sprintf("metadata.name has to be %q", app), "it is the state of %q", text(name))
	}
	phase := v1alpha1.Phase(text(fields["phase"]))
	observed := v1alpha1.Phase(text(fields["observedPhase"]))
	switch {
	case fields["phase"] == nil:
		return reject(nil, rightPhases, "phase is missing")
	case !slices.Contains(v1alpha1.Phases(), phase):
		return reject(fields["phase"], rightPhases, "%q is no phase", phase)
	case !slices.Contains(v1alpha1.Phases(), observed): // perhaps the file was cut off right there
		return reject(fields["observedPhase"], "observedPhase has to stay as it was", "observedPhase is %q", observed)
	case phase == observed:
		return Order{}, nil
	case phase == v1alpha1.PhaseDegraded || phase == v1alpha1.PhaseCooldown:
		return reject(fields["phase"], rightPhases, "%s is not for an operator to order", phase)
	}
	order = Order{Phase: phase}
	if n := fields["force"]; n != nil && phase == v1alpha1.PhaseRecovering {
		if err := n.Decode(&order.Force); err != nil {
			return reject(n, "force takes true or false", "force is %q", text(n))
		}
	}
	return order, nil
}

// target is the node itself, or the one for which an alias stands.
func target(n *yamlv3.Node) *yamlv3.Node {
	if n != nil && n.Kind == yamlv3.AliasNode {
		return n.Alias
	}
	return n
}

// text is the value of a scalar; empty for anything else.
func text(n *yamlv3.Node) string {
	if n == nil || n.Kind != yamlv3.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// child is the value of a key; nil where there is none.
func child(n *yamlv3.Node, key string) *yamlv3.Node {
	if n == nil || n.Kind != yamlv3.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return target(n.Content[i+1])
		}
	}
	return nil
}

var lineInError = regexp.MustCompile(`^line (\d+): (?s:(.*))$`)

// splitLine takes apart what the YAML parser says, which has the line in its text only.
func splitLine(text string) (line int, problem string) {
	m := lineInError.FindStringSubmatch(text)
	if m == nil {
		return 0, text
	}
	line, _ = strconv.Atoi(m[1])
	return line, m[2]
}
