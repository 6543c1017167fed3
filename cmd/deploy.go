package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/reconcilers/keeper"
	"github.com/evenkeel/evenkeel/state/desired"
)

const (
	// deployFor is how long the pause of a deploy lasts at most, where nothing else is said.
	deployFor = 30 * time.Minute
	// deployWell is how long the application may take after it to be well.
	deployWell = 2 * time.Minute
	// deployLook is the time between two looks.
	deployLook = 2 * time.Second
	// deployGood is how many looks in a row must find everything well: what comes up may fall over.
	deployGood = 2
	// exitSignal is added to the number of a signal that has ended the command, as shells do.
	exitSignal = 128
)

type deployFlags struct{ pause, well time.Duration }

func newDeployCommand(g *globals) *cobra.Command {
	var pause, well string
	c := &cobra.Command{
		Use:   "deploy [APP] -- COMMAND [ARGUMENT…]",
		Short: "Run a command while evenkeel is paused, and see whether the application is well afterwards",
		Long: `Deploy pauses the App with an end written into the desired-state file first, so that the pause ends by itself whatever
becomes of this command. Then it runs COMMAND in the current folder, looks until everything holds (two looks in a row), and
ends the pause. There is no shell between; for one, write: -- sh -c '…'.

It exits with the command's own code; or, if that was 0, with 1 if the application is not well afterwards. Either way evenkeel
acts again then. A pause of yours that is in force already stays as it is. On Ctrl-C and SIGTERM the command is ended first; if
deploy itself is killed, or its terminal goes, the pause ends at its time.`,
		Example: examples("evenkeel deploy my-site -- ./deploy.sh", "evenkeel deploy --for 1h -- sh -c 'git pull && npm ci && npm run build && pm2 restart my-site'"),
		Args: func(c *cobra.Command, args []string) error {
			switch n := c.ArgsLenAtDash(); {
			case n < 0 || n == len(args):
				return errors.New("which command? write it after --: evenkeel deploy my-site -- ./deploy.sh")
			case n > 1:
				return fmt.Errorf("before -- stands one App at most, not %d", n)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var flags deployFlags
			for _, f := range []struct {
				name, text string
				to         *time.Duration
			}{{"--for", pause, &flags.pause}, {"--well-within", well, &flags.well}} {
				d, err := parseDuration(f.text)
				if err != nil || d <= 0 || d > 7*24*time.Hour {
					return usagef("%s %s: want a duration such as 90s, 20m or 2h, at most 7d", f.name, f.text)
				}
				*f.to = d
			}
			n := c.ArgsLenAtDash()
			return g.deploy(c.Context(), args[:n], args[n:], flags)
		},
		ValidArgsFunction: g.completeApps,
	}
	c.Flags().StringVar(&pause, "for", human(deployFor), "when the pause ends by itself, at the latest")
	c.Flags().StringVar(&well, "well-within", human(deployWell), "how long the application may take to be well after the command")
	g.addFiles(c, "desired-state file to edit (default: the one that the supervisor reads)")
	return c
}

func (g *globals) deploy(ctx context.Context, args, command []string, flags deployFlags) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return usagef("%s cannot be run: %w", command[0], err)
	}
	t, err := g.toEdit(args)
	if err != nil {
		return err
	}
	if g.domain == nil { // made before anything is paused
		g.domain = newDomain(g.clock, "", marksOf(g.keeperDir()), keeper.New(keeper.Options{Dir: g.keeperDir(), Clock: g.clock}), nil, nil)
	}
	resume, err := g.pauseForDeploy(ctx, &t, command[0], flags.pause)
	if err != nil {
		return err
	}
	code, runErr := runDeploy(ctx, path, command)
	well := true
	if runErr == nil && code == exitWell {
		well = g.becomesWell(ctx, &t, flags.well)
	}
	err = resume()
	switch {
	case runErr != nil:
		return errors.Join(fmt.Errorf("running %s: %w", command[0], runErr), err)
	case err != nil:
		return err
	case code != exitWell:
		fmt.Fprintf(g.Stderr, "evenkeel: %s ended with %d\n", command[0], code)
		return said(code)
	case !well:
		return said(exitNotWell)
	}
	return nil
}

// pauseForDeploy pauses the App, and gives what ends that pause. A pause of the operator's own is left alone.
func (g *globals) pauseForDeploy(ctx context.Context, t *target, command string, lasts time.Duration) (resume func() error, err error) {
	entry := desired.Load([]string{t.file}).App(t.name)
	if entry == nil {
		return nil, fmt.Errorf("%w %q in %s that is right; see: evenkeel validate -f %s", desired.ErrNoApp, t.name, t.file, t.file)
	}
	now := g.clock().Wall.Time
	if entry.App.Spec.PausedAt(now) {
		fmt.Fprintf(g.Stderr, "evenkeel: %s is paused already, and stays so\n", t.name)
		return func() error { return nil }, nil
	}
	until := now.Add(lasts).Truncate(time.Second)
	reason := "deploy: " + filepath.Base(command) // its arguments may hold secrets
	if u, err := user.Current(); err == nil {
		reason += ", by " + u.Username
	}
	if err := desired.Pause(t.file, t.name, reason, until); err != nil {
		return nil, fmt.Errorf("pausing %s in %s: %w", t.name, t.file, err)
	}
	resume = func() error {
		entry := desired.Load([]string{t.file}).App(t.name)
		if entry == nil {
			return fmt.Errorf("%s is paused until %s: %s cannot be read any more; see: evenkeel validate -f %s", t.name, until.Format(time.TimeOnly), t.file, t.file)
		}
		spec := &entry.App.Spec
		if !spec.Paused || spec.PauseReason != reason || spec.PausedUntil == nil || !spec.PausedUntil.Time.Equal(until) {
			fmt.Fprintf(g.Stderr, "evenkeel: the pause of %s was changed meanwhile, and is left as it is\n", t.name)
			return nil
		}
		if err := desired.Resume(t.file, t.name); err != nil {
			return fmt.Errorf("ending the pause of %s in %s, which ends by itself at %s: %w", t.name, t.file, until.Format(time.TimeOnly), err)
		}
		fmt.Fprintf(g.Stderr, "evenkeel: %s is no longer paused\n", t.name)
		return nil
	}
	fmt.Fprintf(g.Stderr, "evenkeel: %s is paused until %s at the latest (%s)\n", t.name, until.Format(time.TimeOnly), t.file)
	if t.before.Holder == nil {
		fmt.Fprintf(g.Stderr, "evenkeel: no supervisor runs for %s\n", t.name)
		return resume, nil
	}
	var after view
	if !g.await(ctx, pauseWait, []string{stateFile(&t.before)}, func() bool {
		after = readView(t.before.Dir, t.name)
		return tookPause(&t.before, &after, true, false)
	}) {
		return nil, errors.Join(notTaken(t, &after, "paused"), resume())
	}
	return resume, nil
}

// runDeploy runs the command and gives its exit code. It gets what the terminal gives; when the context ends, it is ended.
func runDeploy(ctx context.Context, path string, command []string) (int, error) {
	cmd := exec.CommandContext(ctx, path)
	cmd.Args = command
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return 0, err
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return exitSignal + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// becomesWell looks until everything holds at enough looks in a row, or the time is over, and says what the last look saw.
func (g *globals) becomesWell(ctx context.Context, t *target, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	good := 0
	for {
		look, err := g.lookAt(ctx, t)
		switch {
		case err != nil:
			fmt.Fprintf(g.Stderr, "evenkeel: whether %s is well cannot be seen: %v\n", t.name, err)
			return false
		case ctx.Err() == nil && look.Pass.Holds():
			good++
		default:
			good = 0
		}
		if good >= deployGood {
			fmt.Fprintf(g.Stderr, "evenkeel: %s is well\n", t.name)
			return true
		}
		timer := time.NewTimer(deployLook)
		select {
		case <-timer.C:
			continue
		case <-ctx.Done():
			timer.Stop()
		}
		fmt.Fprintf(g.Stderr, "evenkeel: %s is not well within %s\n", t.name, human(within))
		fmt.Fprint(g.Stderr, lookText(look, g.clock(), styleFor(g.Stderr)))
		return false
	}
}

// lookAt takes one look, as check does.
func (g *globals) lookAt(ctx context.Context, t *target) (*oneLook, error) {
	entry := desired.Load([]string{t.file}).App(t.name)
	if entry == nil {
		return nil, fmt.Errorf("%w %q in %s", desired.ErrNoApp, t.name, t.file)
	}
	look := oneLook{view: t.before}
	if t.found {
		look.view = readView(t.before.Dir, t.name)
	}
	look.App = entry.App
	look.take(ctx, g.domain, g.clock)
	return &look, nil
}
