package cmd

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/api/alert"
)

// courierName is the command by which evenkeel runs itself to carry an alert.
const courierName = "carry-alert"

// courierLimit ends a courier whose evenkeel has died without ending it.
const courierLimit = 5 * time.Minute

// courier is this very program, also where its file has been replaced since.
func (g *globals) courier() []string { return []string{"/proc/self/exe", courierName} }

// newCourierCommand is for evenkeel itself: it carries one alert by shoutrrr.
func newCourierCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: courierName, Short: "Carry one alert, for evenkeel itself", Hidden: true, Args: cobra.NoArgs,
		Long:    "Carry one alert by shoutrrr. evenkeel calls it for each such alert, so that a library that hangs can be ended.",
		Example: examples("evenkeel " + courierName + " <alert.json"),
		RunE: func(c *cobra.Command, _ []string) error {
			time.AfterFunc(courierLimit, func() { os.Exit(exitNotWell) }) // a library hangs that cannot be broken off
			ctx, cancel := context.WithTimeout(c.Context(), courierLimit)
			defer cancel()
			if code := alert.Carry(ctx, os.Stdin, g.Stderr); code != 0 {
				return said(code)
			}
			return nil
		},
	}
}
