package cmd

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/api/alert"
	"github.com/evenkeel/evenkeel/state/desired"
)

func newAlertCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "alert",
		Short: "See whether alerts arrive",
		Long: `Alerts tell somebody what is wrong: programs, webhooks, and, by shoutrrr, chat programs, push services and mailboxes
(spec.alerts of the desired-state file).`,
		Example: examples("evenkeel alert test my-site"),
		Args:    cobra.NoArgs,
	}
	test := &cobra.Command{
		Use:   "test [APP]",
		Short: "Send a test alert to every receiver of an App",
		Long: `Test sends one alert of the kind Test to every receiver under spec.alerts, now and from this process, and says of each
whether it has taken it. The exit code is 1 if one has not. The App is read from the file that the supervisor reads, or that
-f names. Run it as the user that evenkeel runs as, and where it runs: programs and the network may be others elsewhere.`,
		Example: examples("evenkeel alert test my-site", "evenkeel alert test -f site.yaml"),
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return g.alertTest(c.Context(), args) },

		ValidArgsFunction: g.completeApps,
	}
	g.addFiles(test, "desired-state file (default: the one that the supervisor reads)")
	c.AddCommand(test)
	return c
}

func (g *globals) alertTest(ctx context.Context, args []string) error {
	t, err := g.toEdit(args)
	if err != nil {
		return err
	}
	set := desired.Load([]string{t.file})
	entry := set.App(t.name)
	if entry == nil {
		if err := set.Err(); err != nil {
			return err
		}
		return fmt.Errorf("%w %q in %s", desired.ErrNoApp, t.name, t.file)
	}
	app := entry.App
	if len(app.Spec.Alerts) == 0 {
		fmt.Fprintf(g.Stdout, "%s: nobody would be told: spec.alerts in %s is empty\n", t.name, t.file)
		return said(exitNotWell)
	}
	app.UID = t.before.Meta.UID
	app.Status.Phase = t.before.Status.Phase
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	code := exitWell
	for _, tried := range alert.Try(ctx, app, g.courier(), host) {
		if tried.Err != nil {
			code = exitNotWell
		}
		if _, err := fmt.Fprintln(g.Stdout, plain(tried.String())); err != nil {
			return err
		}
	}
	return said(code)
}
