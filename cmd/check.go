package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/keeper"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/desired"
)

func newCheckCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "check [-f FILE] [APP]",
		Short: "Look once, judge, and change nothing",
		Long: `Check asks every check of an App once, in this process, and says who is to blame if something does not hold. It needs no
supervisor, does nothing, and writes nothing. Without -f it takes the last good desired states of the state folder.

One look cannot tell what lasts: a supervisor looks several times before it believes a failure. Run it as the user who
runs the application, so that it sees the same PM2.

It exits with 0 if everything holds, with 1 if not.`,
		Example: examples("evenkeel check -f site.yaml", "evenkeel check my-site -o json"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			looks, err := g.toCheck(args)
			if err != nil {
				return err
			}
			domain := g.domain
			if domain == nil {
				// It keeps nothing: it only looks for what a supervisor keeps.
				domain = newDomain(g.clock, "", marksOf(g.keeperDir()), keeper.New(keeper.Options{Dir: g.keeperDir(), Clock: g.clock}), nil, nil)
			}
			var running sync.WaitGroup
			for n := range looks {
				running.Go(func() { looks[n].take(c.Context(), domain, g.clock) })
			}
			running.Wait()
			return g.printLooks(looks)
		},
		ValidArgsFunction: g.completeApps,
	}
	g.addFiles(c, "desired-state file, or a folder of them")
	g.addOutput(c, "json", "yaml")
	return c
}

// keeperDir is the folder of the supervisor that keeps the processes, or of the one that would.
func (g *globals) keeperDir() string {
	if found, err := g.find(); err == nil {
		return found.Dir
	}
	dir, err := state.Where(g.StateDir)
	if err != nil {
		return "/" // a folder of nobody's
	}
	return dir
}

// oneLook is an App that is looked at once.
type oneLook struct {
	view
	verdict v1alpha1.Verdict
}

// toCheck are the Apps that are to be looked at, with what is known of them already.
func (g *globals) toCheck(args []string) ([]oneLook, error) {
	found, findErr := g.find()
	if findErr != nil && !errors.Is(findErr, state.ErrNoState) && len(g.Files) == 0 {
		return nil, findErr
	}
	var looks []oneLook
	if len(g.Files) == 0 {
		if findErr != nil {
			return nil, usagef("nothing is known of any App (%v); say which desired state to check: evenkeel check -f FILE", findErr)
		}
		list, err := names(found, args)
		if err != nil {
			return nil, err
		}
		for _, name := range list {
			v := readView(found.Dir, name)
			if v.App == nil {
				return nil, fmt.Errorf("no good copy of the desired state of %s is kept in %s; say where it is: evenkeel check -f FILE", name, found.Dir)
			}
			looks = append(looks, oneLook{view: v})
		}
		return looks, nil
	}
	set := desired.Load(g.Files)
	if len(args) == 0 || set.App(args[0]) == nil {
		if err := set.Err(); err != nil {
			return nil, err
		}
	}
	for _, e := range set.Apps {
		if len(args) > 0 && e.App.Name != args[0] {
			continue
		}
		v := view{Name: e.App.Name}
		if findErr == nil {
			v = readView(found.Dir, e.App.Name)
		}
		v.App, v.Source = e.App, e.File
		looks = append(looks, oneLook{view: v})
	}
	if len(looks) == 0 {
		return nil, usagef("%s: %w %q", strings.Join(g.Files, ", "), desired.ErrNoApp, strings.Join(args, ""))
	}
	return looks, nil
}

// take looks, learns and judges, as a supervisor would at its first pass.
func (l *oneLook) take(ctx context.Context, domain pass.Domain, clock func() v1alpha1.Instant) {
	l.App = checks.WithFound(l.App)
	app := l.App.DeepCopy()
	app.Status = l.Status
	var due []string
	for _, check := range domain.Checks(app) {
		due = append(due, check.Name)
	}
	o := domain.Observe(ctx, app, due)
	c := pass.Case{App: app, Record: l.Status, Recent: []v1alpha1.Observation{o}, Now: clock()}
	learned := domain.Learn(&c)
	c.Record.Learned = &learned
	l.verdict, l.Pass = domain.Diagnose(&c), &o
}

func (g *globals) printLooks(looks []oneLook) error {
	now, code := g.clock(), exitWell
	views := make([]view, len(looks))
	for n := range looks {
		views[n] = looks[n].view
		views[n].Status.Verdict = &looks[n].verdict
		if !looks[n].Pass.Holds() {
			code = exitNotWell
		}
	}
	if g.Output != "" {
		if err := g.printObjects(objects(views, now)); err != nil {
			return err
		}
		return said(code)
	}
	for n := range looks {
		if n > 0 {
			fmt.Fprintln(g.Stdout)
		}
		if _, err := fmt.Fprint(g.Stdout, lookText(&looks[n], now, styleFor(g.Stdout))); err != nil {
			return err
		}
	}
	return said(code)
}

// lookText is what one look has found.
func lookText(l *oneLook, now v1alpha1.Instant, s style) string {
	held, asked := tally(l.Pass)
	head := s.good("well")
	if !l.Pass.Holds() {
		head = s.bad("not well")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s; %d of %d checks hold, asked in %s\n", s.bold(l.Name), head, held, asked, human(l.Pass.Took.Duration))
	b.WriteString(checksText(l.Pass, now, s))
	v := &l.verdict
	if v.Remedy == v1alpha1.RemedyNone {
		return b.String()
	}
	fmt.Fprintf(&b, "\n%s: %s (%s): %s\n", s.bold("blame"), v.Blame, v.Reason, plain(v.Message))
	what := "one look cannot tell; a supervisor would look again"
	switch v.Remedy {
	case v1alpha1.RemedyHold:
		what = "a supervisor would hold: acting would not help, or would harm"
	case v1alpha1.RemedyRecover:
		what = "a supervisor would recover it once that is confirmed, beginning with plan " + v.Plan
	}
	fmt.Fprintf(&b, "  %s %s\n", what, s.dim("(rule "+v.Rule+")"))
	for _, next := range v.Next {
		fmt.Fprintf(&b, "  - %s\n", plain(next))
	}
	return b.String()
}
