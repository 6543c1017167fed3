// Package corpus makes desired-state documents out of the CRD's schema: three that are right and together hold every field,
// and from them, for every field, what can be wrong with it, with the place and the field that a reader has to be told.
package corpus

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Kind is a kind of mistake.
type Kind string

// The kinds of mistakes.
const (
	Unknown    Kind = "unknown"
	WrongType  Kind = "wrong type"
	WrongCase  Kind = "wrong case"
	OutOfRange Kind = "out of range"
	Doubled    Kind = "doubled"
	Missing    Kind = "missing"
)

// Document is one document of the corpus.
type Document struct {
	// Name says which it is, such as `wrong type spec.port: "x"`.
	Name string
	// Text is the document.
	Text string
	// Kind is what is wrong with it; empty where it is right.
	Kind Kind
	// Field is the field that is wrong; Line and Column, from 1, are where that has to be shown.
	Field        string
	Line, Column int
	// Optional says that the mistake is none: the field that is missing need not be there.
	Optional bool
}

// Schema is what the corpus uses of an OpenAPI schema.
type Schema struct {
	Type                 string             `json:"type"`
	Format               string             `json:"format"`
	Pattern              string             `json:"pattern"`
	Enum                 []any              `json:"enum"`
	Minimum              *float64           `json:"minimum"`
	Maximum              *float64           `json:"maximum"`
	MinLength            int                `json:"minLength"`
	MaxLength            int                `json:"maxLength"`
	MinItems             int                `json:"minItems"`
	MaxItems             int                `json:"maxItems"`
	MinProperties        int                `json:"minProperties"`
	MaxProperties        int                `json:"maxProperties"`
	Required             []string           `json:"required"`
	Properties           map[string]*Schema `json:"properties"`
	Items                *Schema            `json:"items"`
	AdditionalProperties *Schema            `json:"additionalProperties"`
	IntOrString          bool               `json:"x-kubernetes-int-or-string"`
}

// OfCRD is the schema of an App in the CRD that goes with this build; without status, which no file is read for.
func OfCRD() (*Schema, error) {
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema *Schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(v1alpha1.CRD, &crd); err != nil {
		return nil, fmt.Errorf("reading the CRD: %w", err)
	}
	if len(crd.Spec.Versions) != 1 {
		return nil, fmt.Errorf("the CRD has %d versions, want 1", len(crd.Spec.Versions))
	}
	root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	delete(root.Properties, "status")
	// The name is in every object's metadata, which the server knows without the schema.
	root.Properties["metadata"] = &Schema{Type: "object", Required: []string{"name"},
		Properties: map[string]*Schema{"name": {Type: "string", MinLength: 1, MaxLength: 63}}}
	root.Required = append(root.Required, "apiVersion", "kind", "metadata")
	return root, nil
}

// Make gives the whole corpus: the right documents first.
func Make() ([]Document, error) {
	schema, err := OfCRD()
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	var all, wrong []Document
	for _, base := range []string{withPM2, withExec, withSystemd} {
		tree, err := parse(base)
		if err != nil {
			return nil, err
		}
		text, _ := tree.render(nil)
		all = append(all, Document{Name: "right", Text: text})
		m := maker{schema: schema, root: tree, known: known}
		m.object(schema, tree, "")
		wrong = append(wrong, m.made...)
	}
	if left := missingFrom(schema, "", known); len(left) > 0 {
		return nil, fmt.Errorf("the right documents of hack/corpus hold no %s: give them one", strings.Join(left, ", "))
	}
	// What several right documents hold gives the same mistake several times.
	seen := map[string]bool{}
	wrong = slices.DeleteFunc(wrong, func(d Document) bool {
		again := seen[d.Name]
		seen[d.Name] = true
		return again
	})
	return append(all, wrong...), nil
}

// missingFrom are the fields of a schema that are not known.
func missingFrom(s *Schema, at string, known map[string]bool) (missing []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		field := strings.TrimPrefix(at+"."+name, ".")
		if !known[field] {
			missing = append(missing, field)
			continue
		}
		below := s.Properties[name]
		if below.Items != nil {
			below, field = below.Items, field+"[]"
		}
		missing = append(missing, missingFrom(below, field, known)...)
	}
	return missing
}
