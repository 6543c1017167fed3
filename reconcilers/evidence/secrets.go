//go:build linux

package evidence

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/dotenv"
)

// secrets makes every value known that is to be masked: those of the application's .env files, of what its process manager
// gives it, of the environments of its processes, its parents' and evenkeel's own, and the secrets of the spec. Where some of
// it cannot be read that is said; what looks like a secret is masked all the same.
func (c *Collector) secrets(ctx context.Context, s *scene) part {
	p := part{name: "masking", limit: 4 << 10}
	m, spec := s.masker, &s.app.Spec
	var failed []error
	note := func(what string, err error) {
		if err != nil && len(failed) < 8 {
			failed = append(failed, fmt.Errorf("%s: %w", what, err))
		}
	}
	files := dotenv.NextFiles()
	if spec.Checks.Database != nil {
		files = append(files, spec.Checks.Database.EnvFile)
	}
	files = append(files, ".env.development", ".env.development.local")
	note("the .env files", dotenv.Each(spec.Directory, m.Add, files...))
	if spec.Runtime.Exec != nil {
		for name, value := range spec.Runtime.Exec.Env {
			m.Add(name, value)
		}
	}
	for _, a := range spec.Alerts {
		m.Add("WEBHOOK_SECRET", a.Webhook)
		for _, arg := range a.Exec[min(1, len(a.Exec)):] {
			m.Add("", arg)
		}
	}
	if spec.Runtime.PM2 != nil && c.PM2 != nil {
		asking, cancel := context.WithTimeout(ctx, managerTime)
		note("PM2's environment of it", c.PM2.EachVariable(asking, s.app, m.Add))
		cancel()
	}
	for n := range s.snapshot.Processes {
		if row := &s.snapshot.Processes[n]; row.Alive() {
			for _, above := range s.procs.Ancestors(row.PID) {
				_ = c.FS.EachVariable(above.Identity, m.Add) // root's may not be read, and hold nothing of it
			}
		}
	}
	for n := range s.tree {
		note("the environment of process "+s.tree[n].String(), c.FS.EachVariable(s.tree[n].Identity, m.Add))
	}
	for _, variable := range c.Own {
		if name, value, ok := strings.Cut(variable, "="); ok {
			m.Add(name, value)
		}
	}
	m.Text("") // everything is known now: from here on several may use it
	p.err = errors.Join(failed...)
	return p
}
