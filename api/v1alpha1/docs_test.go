package v1alpha1

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
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
	Any         []struct {
		Type string `json:"type"`
	} `json:"anyOf"`
}

const docsHead = `# Every field of the desired-state file

This page is made from the types (` + "`go test ./api/v1alpha1 -update`" + `). A smallest file is name, directory and runtime; everything
else has a default. Durations are written as ` + "`90s`, `5m`, `1h30m`" + `, amounts of memory as ` + "`100Mi`" + `. Unknown and doubled keys, wrong
types and wrong letter case are refused, with file, line and column; ` + "`evenkeel validate -f FILE`" + ` tells all mistakes at once.

` + "```yaml" + `
apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: bbyatch}
spec:
  directory: /home/deploy/bbyatch/bbyatchv2-master
  runtime: {pm2: {process: bbyatch, start: ecosystem.config.js}} # or exec: {command: [node_modules/.bin/next, start]}
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

| field | type | what it is |
| --- | --- | --- |
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
		t.Fatalf("%s is not what the types say; run: go test ./api/v1alpha1 -update", path)
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
		kind := p.Type
		if len(p.Any) > 0 {
			kind = "amount"
		}
		if p.Items != nil {
			kind = "list of " + p.Items.Type
		}
		if p.Values != nil {
			kind = "map of names to " + p.Values.Type
		}
		if len(p.Enum) > 0 {
			kind = strings.Join(p.Enum, " or ")
		}
		text := strings.ReplaceAll(strings.ReplaceAll(p.Description, "\n", " "), "|", "\\|")
		text = strings.TrimSpace(text)
		if slices.Contains(s.Required, name) {
			text += " **Required.**"
		}
		if len(p.Default) > 0 && !strings.Contains(text, "Default") {
			text += fmt.Sprintf(" Default %s.", strings.Trim(string(p.Default), `"`))
		}
		fmt.Fprintf(b, "| `%s.%s` | %s | %s |\n", path, name, kind, text)
		switch {
		case p.Items != nil && len(p.Items.Properties) > 0:
			fields(b, path+"."+name+"[]", *p.Items)
		default:
			fields(b, path+"."+name, p)
		}
	}
}
