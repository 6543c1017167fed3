package desired_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state/desired"
)

// FuzzParse reads any bytes as a desired-state file. What is taken is valid, is read the same again, and can be paused or is
// refused for a reason; every mistake has a place in the file.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		minimal, named("a") + "---\n" + named("b"), "\ufeff" + strings.ReplaceAll(minimal, "\n", "\r\n"),
		"apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimRight(minimal, "\n"), "\n", "\n  ") + "\n",
		`{"apiVersion":"evenkeel.dev/v1alpha1","kind":"App","metadata":{"name":"site"},"spec":{"directory":"/x","runtime":{"pm2":{"process":"p"}}}}`,
		minimal + "  paused: true # why\n  pauseReason: 'it''s'\n", minimal + "  <<: *x\n", minimal + "  checks: &c {local: {path: /}}\n",
		minimal + "  alerts: [{webhook: \"https://x/\"}, {exec: [a]}]\n  recovery: {caches: []}\n", "--- |\n x\n...\n", "? a\n: b\n", "!!binary x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		set := desired.Parse(data, "f.yaml")
		if !bytes.Equal(before, data) {
			t.Fatal("the input was changed")
		}
		breaks := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
		lines := strings.Count(breaks.Replace(string(data)), "\n") + 1
		for _, p := range set.Problems() {
			if p.Message == "" || p.Line < 0 || p.Line > lines || p.File != "f.yaml" {
				t.Fatalf("%+v in a file of %d lines", p, lines)
			}
		}
		if len(set.Apps) == 0 && len(set.Rejected) == 0 {
			t.Fatal("neither taken nor refused")
		}
		for _, e := range set.Apps {
			if errs := v1alpha1.Validate(e.App); len(errs) > 0 {
				t.Fatalf("taken, and not valid: %v", errs)
			}
			if e.Start < 0 || e.End > len(data) || e.Start >= e.End || e.Line < 1 || e.Line > lines {
				t.Fatalf("an App from %d to %d of %d bytes, in line %d of %d", e.Start, e.End, len(data), e.Line, lines)
			}
			edited, err := desired.Splice(data, "f.yaml", e.App.Name, desired.SetField([]string{"spec", "paused"}, true))
			if err != nil {
				continue // it says what it cannot do, and nothing is written
			}
			again := desired.Parse(edited, "f.yaml").App(e.App.Name)
			if again == nil || !again.App.Spec.Paused {
				t.Fatalf("paused, it is not paused:\n%s", edited)
			}
			again.App.Spec.Paused = e.App.Spec.Paused
			if !reflect.DeepEqual(again.App, e.App) {
				t.Fatalf("a pause changed more than that:\n%s\nbefore: %+v\nafter: %+v", edited, e.App.Spec, again.App.Spec)
			}
		}
	})
}
