package cmd

import (
	"strings"
	"testing"
)

// secretYAML has a secret wherever the desired file may hold one.
const secretYAML = `apiVersion: evenkeel.dev/v1alpha1
kind: App
metadata: {name: bbyatch}
spec:
  directory: /home/deploy/bbyatch
  port: 3003
  runtime: {exec: {command: [node, server.js], env: {DATABASE_URL: "postgres://u:s3cr3t@h/d", API_KEY: s3cr3t}}}
  checks:
    public: {url: "https://me:s3cr3t@www.example.com/shop?key=s3cr3t"}
  alerts:
    - exec: [/usr/local/bin/tell-me, --token, s3cr3t]
    - webhook: https://hooks.example.com/s3cr3t
    - shoutrrr: ntfy://me:s3cr3t@ntfy.example.com/s3cr3t
  heartbeat: {url: "https://beat.example.com/s3cr3t"}
`

func TestNoCommandPrintsASecretOfTheSpec(t *testing.T) {
	b := newBench(t)
	file := b.desire(secretYAML)
	b.keep(healthy(t))
	b.globals = &globals{domain: &eyes{sees: results()}}
	for _, args := range [][]string{
		{"status"}, {"status", "-o", "wide"}, {"status", "-o", "json"}, {"status", "-o", "yaml"}, {"why"}, {"why", "-o", "json"}, {"check"}, {"check", "-o", "yaml"},
		{"check", "-f", file, "-o", "json"}, {"validate", "-f", file}, {"validate", "-f", file, "-o", "json"}, {"validate", "-f", file, "-o", "yaml"},
	} {
		if code := b.run(nil, args...); code == exitUsage {
			t.Errorf("evenkeel %s was refused: %s", strings.Join(args, " "), b.err.String())
		}
		if all := b.out.String() + b.err.String(); strings.Contains(all, "s3cr3t") {
			t.Errorf("evenkeel %s prints a secret:\n%s", strings.Join(args, " "), all)
		}
	}
	b.wants(b.run(nil, "status", "-o", "yaml"), exitNoSupervisor, "webhook: (hidden)", "shoutrrr: (hidden)", "DATABASE_URL: (hidden)",
		"url: https://(hidden)@www.example.com/shop?(hidden)")
	b.wants(b.run(nil, "validate", "-f", file), exitWell, "exec /usr/local/bin/tell-me (hidden)", "https://(hidden)@www.example.com/shop?(hidden)")
}
