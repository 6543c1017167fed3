//go:build linux

// Package evidence gathers what is seen just before a recovery ends the first process: afterwards it is gone. Every part is
// bounded in size, all of it in time, and secrets are masked. What cannot be seen is said; nothing here fails.
package evidence

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sourcegraph/conc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/mask"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// MaxSize bounds what is gathered for one recovery, in bytes of its JSON.
const MaxSize = 240 << 10

// managerTime is how long the process manager is waited for, each time: the rest is to be seen too.
const managerTime = 400 * time.Millisecond

// Environment hands over every variable that a process manager gives to the application, running or not; *pm2.Manager does.
type Environment interface {
	EachVariable(ctx context.Context, app *v1alpha1.App, visit func(name, value string)) error
}

// Collector gathers evidence.
type Collector struct {
	FS      procfs.FS
	Runtime runtime.Runtime
	Clock   func() v1alpha1.Instant
	// PM2 tells which values to mask in an App that PM2 keeps; nil where nobody does.
	PM2 Environment
	// Own is evenkeel's own environment, as "NAME=value": what it starts inherits it.
	Own []string
}

// part is one thing to look at: the text, and whether it was cut out of a longer one at its head or its tail.
type part struct {
	name       string
	text       string
	head, tail bool
	err        error
	limit      int
	keepEnd    bool // what is too long loses its beginning
}

// scene is what several parts look at.
type scene struct {
	app      *v1alpha1.App
	step     pass.Step
	snapshot runtime.Snapshot
	asked    error
	procs    procfs.Snapshot
	tree     []procfs.Process
	masker   *mask.Masker
}

// Collect gathers the evidence for the step of a recovery that is about to end the first process. It ends when ctx does; what
// was not seen by then is missing, and said to be.
func (c *Collector) Collect(ctx context.Context, app *v1alpha1.App, step pass.Step) v1alpha1.Evidence {
	began := c.Clock()
	s := &scene{app: app, step: step}
	looking, cancel := context.WithTimeout(ctx, managerTime)
	s.snapshot, s.asked = c.Runtime.Look(looking, app)
	cancel()
	s.procs, _ = c.FS.Snapshot()
	for n := range s.snapshot.Processes {
		if p := &s.snapshot.Processes[n]; p.Alive() {
			s.tree = append(s.tree, s.procs.Tree(p.PID)...)
		}
	}
	s.masker = &mask.Masker{}
	masks := c.secrets(ctx, s)
	looks := []func(context.Context, *scene) part{
		c.verdict, c.observations, c.rows, c.processes, c.sockets, c.memory, c.output("output", false), c.output("errors", true), c.answers,
	}
	parts := make([]part, len(looks))
	var wg conc.WaitGroup
	for n, look := range looks {
		wg.Go(func() { parts[n] = look(ctx, s) })
	}
	wg.Wait()
	e := v1alpha1.Evidence{Recovery: step.Recovery.ID, At: began}
	for _, p := range append(parts, masks) {
		if p.text == "" && p.err == nil {
			continue
		}
		e.Parts = append(e.Parts, finish(s.masker, p))
	}
	fit(&e)
	e.Took = metav1.Duration{Duration: c.Clock().Since(began)}
	return e
}

// finish masks a part, and cuts it to its size: in this order, so that no cut leaves half of a secret.
func finish(m *mask.Masker, p part) v1alpha1.EvidencePart {
	text, cut := m.Part(printable(p.text), p.head, p.tail), p.head || p.tail
	if len(text) > p.limit {
		cut = true
		if p.keepEnd {
			text = text[len(text)-p.limit:]
			if _, rest, ok := strings.Cut(text, "\n"); ok {
				text = rest
			}
		} else {
			text = text[:p.limit]
		}
		text = strings.ToValidUTF8(text, "")
	}
	out := v1alpha1.EvidencePart{Name: p.name, Text: strings.TrimRight(text, "\n"), Cut: cut}
	if p.err != nil {
		out.Error = shorten(m.Text(printable(p.err.Error())), 1<<10)
	}
	return out
}

// fit halves the longest part until all of it fits.
func fit(e *v1alpha1.Evidence) {
	for {
		data, err := json.Marshal(e)
		if err != nil || len(data) <= MaxSize {
			return
		}
		longest := slices.MaxFunc(e.Parts, func(a, b v1alpha1.EvidencePart) int { return len(a.Text) - len(b.Text) })
		n := slices.Index(e.Parts, longest)
		e.Parts[n].Text, e.Parts[n].Cut = shorten(longest.Text, len(longest.Text)/2), true
	}
}

// printable takes away what a terminal would obey. Lines stay lines.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == 0:
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
}

func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// verdict is what was decided, and from what.
func (c *Collector) verdict(_ context.Context, s *scene) part {
	p := part{name: "verdict", limit: 8 << 10}
	v := s.app.Status.Verdict
	if v == nil {
		p.text = fmt.Sprintf("%s: %s", s.step.Recovery.Blame, s.step.Recovery.Reason)
		return p
	}
	p.text = fmt.Sprintf("%s: %s → %s (rule %s)\n%s\n", v.Blame, v.Reason, v.Remedy, v.Rule, v.Message)
	for _, line := range v.Evidence {
		p.text += "- " + line + "\n"
	}
	return p
}

// lastLooks is how many of the last observations are kept.
const lastLooks = 5

// observations are the last looks before the recovery; the newest with all that it saw.
func (c *Collector) observations(_ context.Context, s *scene) part {
	p := part{name: "observations", limit: 24 << 10}
	recent := s.step.Recent
	if over := len(recent) - lastLooks; over > 0 {
		recent = recent[over:]
	}
	var b strings.Builder
	for n := len(recent) - 1; n >= 0; n-- {
		o := &recent[n]
		fmt.Fprintf(&b, "%s, took %s\n", o.At.Wall.Format(time.RFC3339Nano), o.Took.Duration.Round(time.Millisecond))
		for _, r := range o.Results {
			fmt.Fprintf(&b, "  %s %s %s: %s\n", r.Check, r.Status, r.Reason, r.Message)
			if n == len(recent)-1 && len(r.Facts) > 0 {
				fmt.Fprintf(&b, "    %s\n", r.Facts)
			}
		}
	}
	p.text = b.String()
	return p
}

// rows are the process manager's entries: no environment, and no arguments.
func (c *Collector) rows(_ context.Context, s *scene) part {
	p := part{name: "runtime", limit: 8 << 10, err: s.asked}
	var b strings.Builder
	if d := &s.snapshot.Daemon; d.PID != 0 || d.Why != "" {
		fmt.Fprintf(&b, "daemon: pid %d, version %s, home %s %s\n", d.PID, d.Version, d.Home, d.Why)
	}
	for n := range s.snapshot.Processes {
		r := &s.snapshot.Processes[n]
		code := "none"
		if r.ExitCode != nil {
			code = fmt.Sprint(*r.ExitCode)
		}
		fmt.Fprintf(&b, "%s (id %s): %s (%s), pid %d, %s mode, restarts %d (%d unstable), last exit code %s, last started %s, %d MiB\n",
			r.Name, r.ID, r.State, r.Raw, r.PID, r.ExecMode, r.Restarts, r.Unstable, code, r.StartedAt.Format(time.RFC3339), r.Memory>>20)
		if r.Message != "" {
			fmt.Fprintf(&b, "  %s\n", r.Message)
		}
		fmt.Fprintf(&b, "  script %s, in %s, output %s, errors %s\n", r.Script, r.Cwd, r.OutLog, r.ErrLog)
	}
	p.text = b.String()
	return p
}
