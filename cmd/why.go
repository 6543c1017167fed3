package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

func newWhyCommand(g *globals) *cobra.Command {
	var rules, all bool
	c := &cobra.Command{
		Use:   "why [APP]",
		Short: "Say what is wrong, who is to blame, what was done, and what comes next",
		Long: `Why explains one App on one screen: what is wrong and who is blamed, what was seen, which other rules came near and what
ruled them out, what was done in this incident, what stands against the next action and when that ends, and what to do next.
With one App known, APP may be left out. It reads what the supervisor keeps on disk, whether one runs or not.

With --all it tells of every check, every rule that was asked, every step and every event. With --rules it prints the table of
rules by which blame is found; with --rules --all, also what each of them needs.

It exits as status does: 0 well, 1 not well, 3 no supervisor.`,
		Example: examples("evenkeel why", "evenkeel why my-site --all", "evenkeel why -o json | jq .verdict", "evenkeel why --rules"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if rules {
				return g.printRules(all)
			}
			found, err := g.find()
			if err != nil {
				return err
			}
			name, err := one(found, args)
			if err != nil {
				return err
			}
			v, now := seen(found, name), g.clock()
			events, err := incidentEvents(&v)
			if err != nil {
				v.Troubles = append(v.Troubles, err.Error())
			}
			if g.Output != "" {
				err = g.printObjects(explained(&v, events, now))
			} else {
				_, err = fmt.Fprint(g.Stdout, whyText(&v, events, now, styleFor(g.Stdout), all))
			}
			if err != nil {
				return err
			}
			return said(v.code(now))
		},
		ValidArgsFunction: g.completeApps,
	}
	c.Flags().BoolVar(&rules, "rules", false, "print the rules by which blame is found")
	c.Flags().BoolVarP(&all, "all", "a", false, "tell of every rule that was asked; with --rules, of what each needs")
	g.addOutput(c, "json", "yaml")
	return c
}

// incidentEvents are the journal's events of the last incident, oldest first.
func incidentEvents(v *view) ([]v1alpha1.Event, error) {
	number := v.Status.LastIncident
	if number == 0 {
		return nil, nil
	}
	journal, err := state.NewJournal(v.Dir, v.Name)
	if err != nil {
		return nil, err
	}
	all, err := journal.Read(state.Query{})
	if err != nil {
		return nil, fmt.Errorf("reading what was done: %w", err)
	}
	return ofIncident(all, number, v.Status.Incident), nil
}

// ofIncident picks the events of an incident. The one that opened it was written before it had a number.
func ofIncident(all []v1alpha1.Event, number int64, open *v1alpha1.Incident) []v1alpha1.Event {
	var events []v1alpha1.Event
	var opening *v1alpha1.Event
	for n := range all {
		e := &all[n]
		switch {
		case e.Incident == number:
			if opening != nil && len(events) == 0 {
				events = append(events, *opening)
			}
			events = append(events, *e)
		case e.Reason == v1alpha1.ReasonPhaseChanged && e.Incident == 0 && len(events) == 0:
			opening = e
		}
	}
	if len(events) == 0 && opening != nil && open != nil && !opening.Time.Time.Before(open.StartedAt.Wall.Time) {
		events = append(events, *opening)
	}
	return events
}
