package cmd

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

func newIncidentsCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "incidents [APP…]",
		Short: "List what has gone wrong, and what came of it",
		Long: `Incidents lists the incidents of the Apps: when each began, whose fault it was, how many recoveries were tried, for how long
the application was down, and what mended it. What was somebody else's fault, and only waited for, is an incident too.

"evenkeel incidents show NUMBER" shows one, with its timeline and with the evidence that was kept before its recoveries.

It reads the state folder, so that it works whether a supervisor runs or not. The newest 100 incidents of each App are kept.`,
		Example: examples("evenkeel incidents", "evenkeel incidents my-site", "evenkeel incidents show 12 my-site",
			"evenkeel incidents -o json | jq '.items[].status.blames'"),
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := g.find()
			if err != nil {
				return err
			}
			apps, err := names(found, args)
			if err != nil {
				return err
			}
			return g.printIncidents(found.Dir, apps)
		},
		ValidArgsFunction: g.completeApps,
	}
	g.addOutput(c, "json", "yaml")
	show := &cobra.Command{
		Use:   "show NUMBER [APP]",
		Short: "Show one incident, with its timeline and its evidence",
		Long: `Show shows one incident: whose fault it was, what was tried and what came of that, for how long the application was down,
what mended it, what happened when, and what was seen just before a recovery ended the first process: the process tree,
sockets, memory, the last lines of the application's logs, the failing answer. Secrets in it are masked.

With one App known, APP may be left out.`,
		Example: examples("evenkeel incidents show 12", "evenkeel incidents show 12 my-site -o yaml"),
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			number, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || number < 1 {
				return usagef("%q is no number of an incident; see \"evenkeel incidents\"", args[0])
			}
			found, err := g.find()
			if err != nil {
				return err
			}
			name, err := one(found, args[1:])
			if err != nil {
				return err
			}
			return g.showIncident(found.Dir, name, number)
		},
	}
	g.addOutput(show, "json", "yaml")
	c.AddCommand(show)
	return c
}

// incidentsOf are an App's incidents, the oldest first: those that are kept, and the open one as the state file has it. One that
// is kept as open and is not the open one any more was closed when nothing could be written.
func incidentsOf(dir, app string) ([]v1alpha1.IncidentReport, error) {
	list, err := state.Incidents(dir, app)
	st, _ := state.ReadState(dir, app)
	for n := range list {
		r := &list[n]
		if r.Status.ClosedAt == nil && st != nil && (st.Incident == nil || st.Incident.Number != r.Status.Number) {
			r.Status.Closed = "its end was not written down"
		}
	}
	if st != nil && st.Incident != nil {
		open := reportOf(app, st.Incident)
		list = slices.DeleteFunc(list, func(r v1alpha1.IncidentReport) bool { return r.Status.Number == open.Status.Number })
		list = append(list, *open)
	}
	return list, err
}

func (g *globals) printIncidents(dir string, apps []string) error {
	list := v1alpha1.IncidentReportList{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion, Kind: v1alpha1.KindIncidentList}, Items: []v1alpha1.IncidentReport{},
	}
	for _, app := range apps {
		more, err := incidentsOf(dir, app)
		if err != nil { // the others are shown all the same
			fmt.Fprintln(g.Stderr, "evenkeel:", err)
		}
		list.Items = append(list.Items, more...)
	}
	slices.SortStableFunc(list.Items, func(a, b v1alpha1.IncidentReport) int {
		return a.Status.StartedAt.Wall.Compare(b.Status.StartedAt.Wall.Time)
	})
	if g.Output != "" {
		for n := range list.Items {
			list.Items[n].Status.Timeline = nil // show has it
		}
		return g.printObjects(list)
	}
	if len(list.Items) == 0 {
		_, err := fmt.Fprintln(g.Stdout, "there was no incident")
		return err
	}
	_, err := fmt.Fprint(g.Stdout, incidentsText(list.Items, g.clock(), styleFor(g.Stdout)))
	return err
}

func (g *globals) showIncident(dir, app string, number int64) error {
	list, err := incidentsOf(dir, app)
	n := slices.IndexFunc(list, func(r v1alpha1.IncidentReport) bool { return r.Status.Number == number })
	if n < 0 {
		if err != nil {
			return err
		}
		return usagef("incident %d of %s: %w; see \"evenkeel incidents %s\"", number, app, state.ErrNoIncident, app)
	}
	r := &list[n]
	if r.Status.Timeline == nil {
		if r.Status.Timeline, err = eventsOf(dir, r); err != nil {
			fmt.Fprintln(g.Stderr, "evenkeel:", err)
		}
	}
	if r.Status.Evidence, err = state.EvidenceOf(dir, app, number); err != nil {
		fmt.Fprintln(g.Stderr, "evenkeel:", err)
	}
	if g.Output != "" {
		return g.printObjects(r)
	}
	_, err = fmt.Fprint(g.Stdout, incidentText(r, g.clock(), styleFor(g.Stdout)))
	return err
}
