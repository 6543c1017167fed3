package cmd

import (
	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/state/desired"
)

func newResumeCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "resume [APP]",
		Short: "End a pause",
		Long: `Resume sets "paused: false" in the desired-state file, takes the pause's reason and end away, and leaves every other byte
as it is. It edits the file that the supervisor reads, or the one that -f names, and waits until the supervisor has taken
that. The exit code is 3 if none runs; then it counts when one starts. With one App known, APP may be left out.`,
		Example: examples("evenkeel resume my-site"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return g.editPause(c.Context(), args, false, desired.Resume)
		},
		ValidArgsFunction: g.completeApps,
	}
	g.addFiles(c, "desired-state file to edit (default: the one that the supervisor reads)")
	return c
}
