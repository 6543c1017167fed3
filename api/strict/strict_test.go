package strict_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/evenkeel/evenkeel/api/strict"
)

type colour string

type settings struct {
	Timeout metav1.Duration `json:"timeout,omitzero"`
	Off     bool            `json:"off,omitempty"`
}

type probe struct {
	settings `json:",inline"`
	Path     string `json:"path,omitempty"`
}

type extra struct {
	File string   `json:"file,omitempty"`
	Want []string `json:"want,omitempty"`
}

func (e *extra) SetDefaults() { e.File = ".env" }

type thing struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta  `json:"metadata,omitempty"`
	Port            int32              `json:"port,omitempty"`
	Startup         int64              `json:"startupGrace,omitempty"`
	Colour          colour             `json:"colour,omitempty"`
	Name            string             `json:"title,omitempty"`
	Needed          *bool              `json:"needed,omitempty"`
	Probe           probe              `json:"probe,omitzero"`
	Extra           *extra             `json:"extra,omitempty"`
	Extras          []extra            `json:"extras,omitempty"`
	Until           *metav1.Time       `json:"until,omitempty"`
	Memory          *resource.Quantity `json:"memory,omitempty"`
	Labels          map[string]string  `json:"labels,omitempty"`
	Status          map[string]int64   `json:"status,omitempty"`
}

func TestDecodeReadsEveryKindOfValue(t *testing.T) {
	got := thing{Port: 1, Startup: 7, Probe: probe{Path: "/"}}
	_, problems := strict.Decode([]byte("\ufeff"+strings.ReplaceAll(`# a comment
kind: Thing
metadata: {name: x, labels: {a: b}}
port: 3003
startupGrace:
colour: Red
title: "3003"
needed: false
probe: &p {timeout: 90s}
extra: {}
extras: [{want: [a, b]}, {file: f}]
until: 2026-11-23T18:00:00Z
memory: 100Mi
labels: {x: 'y'}
status: 7
`, "\n", "\r\n")), "f.yaml", &got, strict.Ignore("status"))
	if problems != nil {
		t.Fatal(problems)
	}
	text := fmt.Sprintf("%s %s %d %d %s %s %t %v %q %v %v %s %s %v", got.Kind, got.Metadata.Name, got.Port, got.Startup, got.Colour, got.Name,
		*got.Needed, got.Probe.Timeout.Duration, got.Probe.Path, *got.Extra, got.Extras, got.Until.UTC().Format(time.RFC3339), got.Memory, got.Labels)
	want := `Thing x 3003 7 Red 3003 false 1m30s "/" {.env []} [{.env [a b]} {f []}] 2026-11-23T18:00:00Z 100Mi map[x:y]`
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestDecodeSaysWhatIsWrongAndWhatWouldBeRight(t *testing.T) {
	for name, test := range map[string]struct{ yaml, want string }{
		"a key in other letters":        {"Port: 1", `1:1: Port: unknown key "Port", did you mean "port"? Upper and lower case matter`},
		"a key with an underscore":      {"startup_grace: 1", `1:1: startup_grace: unknown key "startup_grace", did you mean "startupGrace"?`},
		"a key with swapped letters":    {"prot: 1", `1:1: prot: unknown key "prot", did you mean "port"?`},
		"a key of another level":        {"timeout: 1s", `1:1: timeout: unknown key "timeout", it belongs under probe`},
		"a key of a neighbour":          {"extra: {path: /}", `1:9: extra.path: unknown key "path", it belongs under probe; known here: file, want`},
		"a key of metadata":             {"metadata: {nmae: x}", `1:12: metadata.nmae: unknown key "nmae", did you mean "name"?`},
		"a key nobody knows":            {"extra:\n  zzzzz: 1", `2:3: extra.zzzzz: unknown key "zzzzz", known here: file, want`},
		"a doubled key":                 {"port: 1\ntitle: x\nport: 2", `3:1: port: key "port" is there twice, in line 1 and in line 3, want one of them`},
		"a number in quotes":            {`port: "3003"`, `1:7: port: got "3003", want the number 3003, without quotes`},
		"a number with an underscore":   {`port: 3_003`, `1:7: port: got 3_003, want a plain number, such as 3003`},
		"an octal number":               {`port: 03003`, `1:7: port: got 03003, want a plain number, such as 3003`},
		"a number too large":            {`port: 3000000000`, `1:7: port: got 3000000000, want a smaller number`},
		"a fraction":                    {`port: 1.5`, `1:7: port: got 1.5, want a whole number, such as 3`},
		"text that is a number":         {"title: 3003", `1:8: title: got 3003, want text: "3003", with the quotes`},
		"text that is true":             {"title: true", `1:8: title: got true, want text: "true", with the quotes`},
		"yes":                           {"needed: yes", `1:9: needed: got "yes", want true`},
		"true in quotes":                {`needed: "true"`, `1:9: needed: got "true", want true, without quotes`},
		"a list for true":               {`needed: [a]`, `1:9: needed: got a list, want true or false`},
		"a duration without unit":       {"probe: {timeout: 60}", `1:18: probe.timeout: got 60, want a duration such as 60s`},
		"a duration in quotes, no unit": {`probe: {timeout: "10"}`, `1:18: probe.timeout: got "10", want a duration such as 10s`},
		"a duration in words":           {`probe: {timeout: 5 minutes}`, `1:18: probe.timeout: got "5 minutes", want a duration such as 5m`},
		"a duration in days":            {`probe: {timeout: 2d}`, `1:18: probe.timeout: got "2d", want a duration such as 48h`},
		"a duration of nothing":         {`probe: {timeout: 0s}`, `1:18: probe.timeout: got "0s", want more than nothing, or the line left out for the default`},
		"a size in megabytes":           {"memory: 100MB", `1:9: memory: got "100MB", want an amount such as 100Mi`},
		"a time of no kind":             {"until: tomorrow", `1:8: until: got "tomorrow", want a time such as 2026-11-23T18:00:00Z`},
		"a day":                         {"until: 2026-11-23", `1:8: until: got 2026-11-23, want a time such as 2026-11-23T18:00:00Z`},
		"a value for a list":            {"extra: {want: a}", `1:15: extra.want: got "a", want a list, such as [a]`},
		"keys for a list":               {"extras: {file: f}", `1:9: extras: got keys and values, want a list, each entry in a line that begins with "- "`},
		"an empty entry":                {"extra:\n  want:\n  -\n", `3:4: extra.want[0]: an empty entry, want a value or the entry left out`},
		"text for keys":                 {"probe: /", `1:8: probe: got "/", want keys below it, such as "timeout: …"`},
		"a key that is a list":          {"? [a]\n: b", `1:3: a key that is no plain text, want "key: value"`},
		"an anchor that holds itself":   {"extras: &a\n- *a", `2:3: extras[0]: an anchor that holds itself, want the value written out`},
		"a merge of nothing":            {"<<: 5", `1:5: "<<" names something without keys, want an alias of keys and values`},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := strict.Decode([]byte(test.yaml), "f.yaml", &thing{})
			if got := problems.Error(); got != "f.yaml:"+test.want {
				t.Errorf("got  %s\nwant f.yaml:%s", got, test.want)
			}
		})
	}
}

func TestParseSaysWhereAFileIsNoYAML(t *testing.T) {
	for name, test := range map[string]struct{ yaml, want string }{
		"tabs":                   {"a:\n\tb: 1\n\tc: 2\n", "2:1: a tab character in the indentation, want spaces\nf.yaml:3:1: a tab character in the indentation, want spaces"},
		"a line too far right":   {"a: 1\nb: 2\n  c: 3\nd: 4\n", `3:3: a ':' that cannot stand here, want quotes around a value that holds ": ", or the line indented as its neighbours are`},
		"a line too far left":    {"x:\n  a:\n    b: 1\n   c: 2\n  d: 3\n", `4:4: the line does not fit those above it, want it indented with as many spaces as its neighbours`},
		"a quote left open":      {"a: 1\nb: \"x\nc: 2\n", `2:1: a quote is opened and never closed, want the closing quote`},
		"a list left open":       {"a: 1\nb: [x, y\nc: 2\n", `2:1: a list that begins with '[' goes wrong, want entries with ',' between them and ']' at the end`},
		"an unknown anchor":      {"a: 1\nb: *example\n", `2:1: a word that begins with '*' repeats what '&' has named before, and nothing has that name, want quotes around it if it is meant as text`},
		"a star":                 {"a: 1\nb: *.example.com\n", `2:1: a '*' or '&' that stands for something else in YAML, want quotes around it`},
		"a line without a colon": {"a: 1\nport 3003\nb: 2\n", `2:1: a line without ':', want "key: value", with a space after the ':'`},
		"an at sign":             {"a: @x\n", `1:1: a character that no value may begin with, want quotes around the value`},
		"a NUL":                  {"a: 1\nb: \x00\n", `2:4: a NUL character, want a text file; write this one anew or take its backup`},
		"a control character":    {"a: \x1b\n", `1:4: a control character, want it removed; it does not show in every editor`},
		"not UTF-8":              {"a: caf\xe9\n", `1:7: a byte that is not UTF-8, want the file saved as UTF-8`},
		"UTF-16":                 {"\xff\xfea\x00", `1:1: the file is UTF-16, want it saved as UTF-8`},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := strict.Parse([]byte(test.yaml), "f.yaml")
			if got := problems.Error(); got != "f.yaml:"+test.want {
				t.Errorf("got  %s\nwant f.yaml:%s", got, test.want)
			}
		})
	}
}

func TestOneBrokenDocumentDoesNotHideTheOthers(t *testing.T) {
	data := "%YAML 1.2\n---\nport: 1\n---\na: [\n--- # nothing\n---\nprot: 2\n...\n# end\n"
	docs, problems := strict.Parse([]byte(data), "f.yaml")
	if len(docs) != 2 || len(problems) != 1 || problems[0].Line != 5 {
		t.Fatalf("got %d documents, problems %v", len(docs), problems)
	}
	if got := string(docs[0].Raw()); got != "---\nport: 1\n" {
		t.Errorf("the first document is %q", got)
	}
	problems = docs[1].Decode(&thing{})
	if len(problems) != 1 || problems[0].Line != 8 {
		t.Errorf("got %v, want one problem in line 8", problems)
	}
}

func TestAliasesAreFollowedAndBounded(t *testing.T) {
	var got thing
	_, problems := strict.Decode([]byte("extra: &e {file: f, want: [a]}\nextras: [*e, {<<: *e, file: g}, {<<: [*e, {file: h}]}]\n"), "f.yaml", &got)
	if problems != nil || fmt.Sprint(got.Extras) != "[{f [a]} {g [a]} {f [a]}]" {
		t.Errorf("got %v, %v", got.Extras, problems)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i < 'k'; i++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", i-1), 10), ","))
	}
	var open struct {
		A any `json:"a"`
		J any `json:"j"`
	}
	start := time.Now()
	_, problems = strict.Decode([]byte(bomb), "f.yaml", &open)
	if !strings.Contains(problems.Error(), "more than 100000 values") || time.Since(start) > 5*time.Second {
		t.Errorf("after %s: %s", time.Since(start), problems)
	}
	_, problems = strict.Decode([]byte("a: "+strings.Repeat("[", 80)+strings.Repeat("]", 80)), "f.yaml", &open)
	if !strings.Contains(problems.Error(), "nested more than 64 deep") {
		t.Errorf("got %v", problems)
	}
	if _, problems = strict.Parse(make([]byte, strict.MaxSize+1), "f.yaml"); !strings.Contains(problems.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", problems)
	}
}

func TestLocateFindsTheFieldOrItsNearestParent(t *testing.T) {
	data := "title: x\nprobe:\n  path: x\nextras:\n- want: []\nport: no\n"
	docs, _ := strict.Parse([]byte(data), "f.yaml")
	problems := docs[0].Decode(&thing{})
	errs := field.ErrorList{
		field.Invalid(field.NewPath("probe", "path"), "x", "want a path"),
		field.Required(field.NewPath("probe", "timeout"), "want one"),
		field.Required(field.NewPath("extras").Index(0).Child("want"), "want one"),
		field.Invalid(field.NewPath("port"), 0, "hidden by the mistake that is known"),
		field.NotSupported(field.NewPath("colour"), "blue", []string{"Red"}),
	}
	got := docs[0].Locate(errs, problems).Error()
	want := `f.yaml:1:1: colour: got blue, want "Red"
f.yaml:2:1: probe.timeout: missing, want one
f.yaml:3:9: probe.path: got "x", want a path
f.yaml:5:9: extras[0].want: got an empty list, want one`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "port: 1\n", "a: &a [*a]\n", "{<<: *x}", "<<: [{a: b}]", "a:\n\tb: c", "--- |\n x\n...\n---\n", "\ufeffa: b\r\n? x\r\n", "extra: {want: ['it''s', \"\\n\"]}",
		"until: 2026-11-23T18:00:00Z\nmemory: 1e3\nprobe: {timeout: 1h}\n", "status: {a: 9223372036854775807}", "'",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, problems := strict.Parse(data, "f.yaml")
		for _, doc := range docs {
			problems = append(problems, doc.Decode(&thing{})...)
			if doc.Start < 0 || doc.End > len(data) || doc.Start >= doc.End {
				t.Fatalf("a document from %d to %d of %d bytes", doc.Start, doc.End, len(data))
			}
			doc.Plain()
			doc.Find("probe.timeout")
			if at := doc.Offset(doc.Root()); at < doc.Start || at > doc.End {
				t.Fatalf("the root lies at %d, outside of %d to %d", at, doc.Start, doc.End)
			}
		}
		lines := strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(string(data)), "\n") + 1
		for _, p := range problems {
			if p.Message == "" || p.Line > lines || p.Line < 0 {
				t.Fatalf("%+v in a file of %d lines", p, lines)
			}
		}
	})
}
