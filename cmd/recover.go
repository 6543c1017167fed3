package cmd

import (
	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func newRecoverCommand(g *globals) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "recover [APP]",
		Short: "Recover an App now",
		Long: `Recover begins a recovery at once: stop, clean up, start and verify. It spends no attempt and waits for no cooldown, and
works while evenkeel is paused. A deploy that is under way in the application's folder still holds it, unless --force is
given; a stranger on the port holds it in any case.

It changes the line "phase:" of the state file to Recovering, as you could with an editor, and waits until the supervisor
has taken that. Without a supervisor the order stands in the file and counts when evenkeel starts; the exit code is 3 then.
It is 1 if the order is refused. With one App known, APP may be left out.`,
		Example: examples("evenkeel recover my-site", "evenkeel recover my-site --force   # even in the face of a deploy"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return g.order(c.Context(), args, v1alpha1.PhaseRecovering, force)
		},
		ValidArgsFunction: g.completeApps,
	}
	c.Flags().BoolVar(&force, "force", false, "overrule a deploy that is under way")
	return c
}
