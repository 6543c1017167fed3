package cmd

import (
	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func newResetCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "reset [APP]",
		Short: "Declare an incident closed: all attempts are available again",
		Long: `Reset leads from Failed, Degraded or Cooldown to Healthy: the incident is closed, all attempts are available again, and
the cooldown is over. It is what to do after you have mended something by hand.

It changes the line "phase:" of the state file to Healthy, as you could with an editor, and waits until the supervisor has
taken that. Without a supervisor the order stands in the file and counts when evenkeel starts; the exit code is 3 then. It
is 1 if the order is refused, such as while a recovery is under way. With one App known, APP may be left out.`,
		Example: examples("evenkeel reset my-site"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return g.order(c.Context(), args, v1alpha1.PhaseHealthy, false)
		},
		ValidArgsFunction: g.completeApps,
	}
}
