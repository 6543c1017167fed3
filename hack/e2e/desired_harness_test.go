//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// desired is a desired-state document.
type desired struct{ doc map[string]any }

const referenceDocument = `
apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: bbyatch}
spec:
  directory: %s
  runtime: {pm2: {process: bbyatch, start: ecosystem.config.js}}
  port: %s
  checks:
    local:    {path: /, timeout: 10s}
    public:   {url: "%s", expectStatus: [200]}
    memory:   {minAvailable: 100Mi}
    database: {envFile: .env, require: [DATABASE_URL]}
  recovery: {cooldown: 5m, maxAttempts: 3, deadline: 30s, startupGrace: 60s, caches: [.next/cache, node_modules/.cache]}
`

// defaults is the reference document with every setting at its default.
func (w *world) defaults() *desired {
	d := &desired{doc: map[string]any{}}
	text := fmt.Sprintf(referenceDocument, w.env["APP_DIR"], w.env["APP_PORT"], w.env["PUBLIC_URL"])
	if err := yaml.Unmarshal([]byte(text), &d.doc); err != nil {
		w.Fatal(err)
	}
	return d
}

// The times of the reference document, as the tests use it.
const (
	testInterval = 2 * time.Second
	testConfirm  = 200 * time.Millisecond // follows from it
	testCooldown = 8 * time.Second
	testGrace    = 20 * time.Second
	testTimeout  = 10 * time.Second // the default
)

// reference is the reference document with short times.
func (w *world) reference() *desired {
	return w.defaults().
		Set("spec.interval", testInterval.String()).
		Set("spec.recovery.cooldown", testCooldown.String()).
		Set("spec.recovery.startupGrace", testGrace.String()).
		Set("spec.checks.memory.for", "3s").
		Set("spec.checks.memory.baselineAfter", "5s")
}

// clone is a copy of its own.
func (d *desired) clone() *desired {
	c := &desired{doc: map[string]any{}}
	if err := yaml.Unmarshal([]byte(d.Text()), &c.doc); err != nil {
		panic(err)
	}
	return c
}

// Set puts a value at a path such as spec.recovery.cooldown.
func (d *desired) Set(path string, value any) *desired {
	at := d.doc
	keys := strings.Split(path, ".")
	for _, k := range keys[:len(keys)-1] {
		next, ok := at[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[k] = next
		}
		at = next
	}
	at[keys[len(keys)-1]] = value
	return d
}

// Alert adds somebody to tell: {"exec": […]} or {"webhook": "…"}.
func (d *desired) Alert(to map[string]any) *desired {
	spec := d.doc["spec"].(map[string]any)
	list, _ := spec["alerts"].([]any)
	spec["alerts"] = append(list, to)
	return d
}

func (d *desired) Text() string {
	data, err := yaml.Marshal(d.doc)
	if err != nil {
		panic(err)
	}
	return string(data)
}
