package cmd

import (
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/cmd/unit"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/swap"
)

// newSwapHelperCommand is for the unit of root's that clears swap: it answers on the socket that systemd hands it.
func newSwapHelperCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: unit.SwapCommand, Short: "Clear swap, for evenkeel itself", Hidden: true, Args: cobra.NoArgs,
		Long:    "Clear swap where it fits into memory, when evenkeel asks for it. " + unit.SwapSocket + " runs it; it is told nothing.",
		Example: examples("evenkeel " + unit.SwapCommand + "    # by " + unit.SwapService),
		RunE: func(c *cobra.Command, _ []string) error {
			listeners, err := activation.Listeners()
			if err != nil {
				return fmt.Errorf("taking over the socket from systemd: %w", err)
			}
			if len(listeners) != 1 {
				return usagef("%s is run by %s, and not by hand; sudo evenkeel install -f FILE --with-swap-helper", unit.SwapCommand, unit.SwapSocket)
			}
			l, ok := listeners[0].(*net.UnixListener)
			if !ok {
				return usagef("%s gave a socket of another kind: %s", unit.SwapSocket, listeners[0].Addr().Network())
			}
			defer l.Close()
			log := logrus.New()
			log.SetOutput(g.Stderr)
			log.SetFormatter(&logrus.TextFormatter{DisableColors: true, DisableTimestamp: os.Getenv("JOURNAL_STREAM") != ""})
			h := swap.Helper{FS: procfs.Default(), Clearer: swap.Direct{}, Log: log, Idle: swap.Rest}
			return h.Serve(c.Context(), l)
		},
	}
}

// swapText says how a supervisor may have swap cleared, or why it may not; empty where that cannot be told.
func swapText(proc procfs.FS, pid int, socket string) string {
	way, why, err := swap.WayOf(proc, pid, socket)
	if err != nil {
		return ""
	}
	text := "never cleared: " + why
	switch way {
	case swap.Directly:
		text = "cleared where it fits: evenkeel has the right to"
	case swap.ByHelper:
		text = "cleared where it fits, by " + unit.SwapService
	}
	if areas, err := proc.Swaps(); err == nil && len(areas) == 0 {
		text += "; there is none now"
	}
	return text
}
