// Package cmd is the command line. Each command has a file of its own; what they print is made by pure functions that are
// given what is known and the moment. It is the one place that may import everything, and nobody imports it but main.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
)

// globals are what every command shares.
type globals struct {
	// StateDir is --state-dir; empty means the usual places.
	StateDir string
	// Output is -o, where a command has it (see addOutput), and Files are -f (see addFiles).
	Output string
	Files  []string
	// Stdout and Stderr are where a command writes.
	Stdout, Stderr io.Writer
	// Version is this program's.
	Version string

	// clock tells the moment; await waits for files to change. Tests put their own here.
	clock func() v1alpha1.Instant
	await func(ctx context.Context, limit time.Duration, paths []string, done func() bool) bool
	// domain looks for check; nil means this machine.
	domain pass.Domain
	// survey looks for init; nil means this machine.
	survey func(ctx context.Context, process string) (survey.Facts, error)
	// installer is where install and uninstall work; nil means this machine.
	installer *installer
	// began says that arguments and flags were right, and that the command proper has begun.
	began bool
}

// Execute runs the command that the arguments of this process name, and gives the exit code.
func Execute() int {
	clock, err := newClock()
	if err != nil {
		fmt.Fprintln(os.Stderr, "evenkeel:", err)
		return exitNotWell
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends us at once
	g := &globals{Stdout: os.Stdout, Stderr: os.Stderr, Version: buildVersion().Version, clock: clock, await: await}
	return execute(ctx, g, os.Args[1:])
}

// execute runs one command.
func execute(ctx context.Context, g *globals, args []string) int {
	root := newRootCommand(g)
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitWell
	}
	if !g.began {
		err = &usageError{err}
	}
	var quiet *saidError
	if !errors.As(err, &quiet) {
		for line := range strings.SplitSeq(explain(err).Error(), "\n") { // all mistakes of a file stand one below the other
			fmt.Fprintln(g.Stderr, "evenkeel:", line)
		}
	}
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(g.Stderr, "See %s --help\n", command.CommandPath())
	}
	return exitCode(err)
}

func newRootCommand(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "evenkeel",
		Short: "Keep the web applications of this machine online",
		Long: `evenkeel keeps web applications online. Declare in a file what healthy means; evenkeel sees when it is not, finds out
which layer is at fault, does the least that mends it, stops before it makes things worse, and can always tell what it
saw, what it did and why.

Exit codes: 0 well, 1 not well or refused, 2 wrong usage or wrong file, 3 no supervisor reached.`,
		Example: examples(
			"evenkeel demo                    # watch it at work on a site of its own",
			"evenkeel init                    # look at this machine, and write the first file",
			"evenkeel check -f site.yaml      # one look, nothing is changed",
			"evenkeel run -f site.yaml        # supervise",
			"evenkeel status                  # how is everything?",
			"evenkeel why                     # what is wrong, and what is being done?"),
		SilenceUsage: true, SilenceErrors: true, Version: g.Version,
		PersistentPreRun: func(*cobra.Command, []string) { g.began = true },
	}
	root.SetOut(g.Stdout)
	root.SetErr(g.Stderr)
	root.SetVersionTemplate("evenkeel {{.Version}}\n")
	root.PersistentFlags().StringVar(&g.StateDir, "state-dir", "",
		"folder of the state files (default: $STATE_DIRECTORY, /var/lib/evenkeel for root, ~/.local/state/evenkeel)")
	root.AddGroup(&cobra.Group{ID: groupLook, Title: "Look:"}, &cobra.Group{ID: groupAct, Title: "Act:"},
		&cobra.Group{ID: groupFile, Title: "Files:"})
	for _, group := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{groupLook, []*cobra.Command{newStatusCommand(g), newWhyCommand(g), newEventsCommand(g), newIncidentsCommand(g), newCheckCommand(g), newDemoCommand(g)}},
		{groupAct, []*cobra.Command{newRunCommand(g), newPauseCommand(g), newResumeCommand(g), newDeployCommand(g), newResetCommand(g), newRecoverCommand(g)}},
		{groupFile, []*cobra.Command{newInitCommand(g), newValidateCommand(g), newAlertCommand(g), newInstallCommand(g), newUninstallCommand(g)}},
		{"", append(newDemoParts(g), newVersionCommand(g), newCourierCommand(g), newSwapHelperCommand(g))},
	} {
		for _, c := range group.commands {
			c.GroupID = group.id
			root.AddCommand(c)
		}
	}
	return root
}

// The groups of commands in the help.
const (
	groupLook = "look"
	groupAct  = "act"
	groupFile = "file"
)

// addFiles gives a command -f.
func (g *globals) addFiles(c *cobra.Command, usage string) {
	c.Flags().StringArrayVarP(&g.Files, "file", "f", nil, usage)
	_ = c.MarkFlagFilename("file", "yaml", "yml")
}

// addOutput gives a command -o with the formats that it knows, beside the plain one.
func (g *globals) addOutput(c *cobra.Command, formats ...string) {
	c.Flags().StringVarP(&g.Output, "output", "o", "", "output format: "+strings.Join(formats, ", "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	inner := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if g.Output != "" && !slices.Contains(formats, g.Output) {
			return usagef("-o %s is not known here; it takes %s", g.Output, strings.Join(formats, ", "))
		}
		if inner != nil {
			return inner(c, args)
		}
		return nil
	}
}

// examples writes the examples of a help text.
func examples(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
