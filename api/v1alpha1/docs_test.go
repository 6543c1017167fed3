package v1alpha1

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write docs/desired-state.md anew")

// schema is as much of the CRD's schema as the page shows.
type schema struct {
	Type        string            `json:"type"`
	Description string            `json:"description"`
	Default     json.RawMessage   `json:"default"`
	Enum        []string          `json:"enum"`
	Properties  map[string]schema `json:"properties"`
	Items       *schema           `json:"items"`
	Required    []string          `json:"required"`
	Values      *schema           `json:"additionalProperties"`
	Minimum     *json.Number      `json:"minimum"`
	Maximum     *json.Number      `json:"maximum"`
	MinLength   *int              `json:"minLength"`
	MaxLength   *int              `json:"maxLength"`
	MinItems    *int              `json:"minItems"`
	MaxItems    *int              `json:"maxItems"`
	Pattern     string            `json:"pattern"`
	Rules       []struct {
		Message string `json:"message"`
	} `json:"x-kubernetes-validations"`
	Any []struct {
		Type string `json:"type"`
	} `json:"anyOf"`
}

const docsHead = `# Every field of the desired-state file

This page is made from the types by ` + "`hack/generate`" + `. A smallest file is name, directory and runtime; everything
else has a default. Durations are written as ` + "`90s`, `5m`, `1h30m`" + `, amounts of memory as ` + "`100Mi`" + `. Unknown and doubled keys, wrong
types and wrong letter case are refused, with file, line and column; ` + "`evenkeel validate -f FILE`" + ` tells all mistakes at once.

` + "```yaml" + `
apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: bbyatch}
spec:
  directory: /home/deploy/bbyatch/bbyatchv2-master
  runtime: {pm2: {process: bbyatch, start: ecosystem.config.js}}
  port: 3003
  interval: 60s
  checks:
    local:    {path: /, timeout: 10s}
    public:   {url: https://www.example.com/, expectStatus: [200]}
    memory:   {minAvailable: 100Mi}
    database: {envFile: .env, require: [DATABASE_URL]}
  recovery: {cooldown: 5m, maxAttempts: 3}
  alerts:   [{exec: [/usr/local/bin/tell-me]}]
` + "```" + `

| field | type | default | what is allowed | what it is |
| --- | --- | --- | --- | --- |
`

// TestDocumentationHoldsEveryField keeps docs/desired-state.md the same as the types.
func TestDocumentationHoldsEveryField(t *testing.T) {
	const path = "../../docs/desired-state.md"
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					Root schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(CRD, &crd); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(docsHead)
	fields(&b, "spec", crd.Spec.Versions[0].Schema.Root.Properties["spec"])
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Fatalf("%s is not what the types say; run: hack/generate", path)
	}
}

func fields(b *strings.Builder, path string, s schema) {
	var names []string
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := s.Properties[name]
		text, standard := description(p)
		if slices.Contains(s.Required, name) {
			standard = "**required**"
		}
		fmt.Fprintf(b, "| `%s.%s` | %s | %s | %s | %s |\n", path, name, kindOf(p), cell(standard), cell(allowed(p)), cell(text))
		switch {
		case p.Items != nil && len(p.Items.Properties) > 0:
			fields(b, path+"."+name+"[]", *p.Items)
		default:
			fields(b, path+"."+name, p)
		}
	}
}

// durations is the pattern that controller-gen gives a duration.
const durations = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`

func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
}

func kindOf(s schema) string {
	switch {
	case len(s.Any) > 0:
		return "amount"
	case s.Items != nil:
		return "list of " + kindOf(*s.Items)
	case s.Values != nil:
		return "map of names to " + kindOf(*s.Values)
	case s.Pattern == durations:
		return "duration"
	}
	return s.Type
}

// inProse is a default that the doc comment tells, because it follows from something else or is filled in later.
var inProse = regexp.MustCompile(`(?:^| )Default:? (.+?)\.(?: |$)`)

// description is the doc comment without its default, and that.
func description(s schema) (text, standard string) {
	text = strings.Join(strings.Fields(s.Description), " ")
	if m := inProse.FindStringSubmatchIndex(text); m != nil {
		standard = text[m[2]:m[3]]
		text = strings.TrimSpace(text[:m[0]] + " " + text[m[1]:])
	}
	if len(s.Default) > 0 && standard == "" && string(s.Default) != "{}" {
		standard = strings.Trim(string(s.Default), `"`)
	}
	return text, standard
}

// allowed is what the schema itself refuses to go beyond; what Go checks besides stands in the doc comments.
func allowed(s schema) string {
	var list []string
	if len(s.Enum) > 0 {
		list = append(list, strings.Join(s.Enum, " or "))
	}
	between := func(what string, least, most fmt.Stringer) {
		switch {
		case least != nil && most != nil:
			list = append(list, fmt.Sprintf("%s to %s%s", least, most, what))
		case least != nil:
			list = append(list, fmt.Sprintf("at least %s%s", least, what))
		case most != nil:
			list = append(list, fmt.Sprintf("at most %s%s", most, what))
		}
	}
	between("", number(s.Minimum), number(s.Maximum))
	between(" characters", count(s.MinLength), count(s.MaxLength))
	between(" entries", count(s.MinItems), count(s.MaxItems))
	if s.Pattern != "" && kindOf(s) != "duration" && kindOf(s) != "amount" {
		list = append(list, "matches `"+s.Pattern+"`")
	}
	for _, r := range s.Rules {
		list = append(list, r.Message)
	}
	if s.Items != nil {
		if each := allowed(*s.Items); each != "" && len(s.Items.Properties) == 0 {
			list = append(list, "each "+each)
		}
	}
	return strings.Join(list, "; ")
}

func number(n *json.Number) fmt.Stringer {
	if n == nil {
		return nil
	}
	return n
}

func count(n *int) fmt.Stringer {
	if n == nil {
		return nil
	}
	return json.Number(strconv.Itoa(*n))
}
