package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/cmd/unit"
)

type uninstallFlags struct{ user, pm2, purge, force bool }

func newUninstallCommand(g *globals) *cobra.Command {
	var flags uninstallFlags
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Take away the service that install has made",
		Long: `Uninstall stops evenkeel and takes its unit away, with the swap helper if there is one, or with --pm2 its PM2 process. The applications run on. What evenkeel
knows (attempts, cooldowns, journals, monitor.log) is left, unless --purge is given; desired-state files are always left.`,
		Example: examples("sudo evenkeel uninstall", "evenkeel uninstall --user --purge"),
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), installLimit)
			defer cancel()
			return g.uninstall(ctx, flags)
		},
	}
	c.Flags().BoolVar(&flags.user, "user", false, "the unit of your own service manager")
	c.Flags().BoolVar(&flags.pm2, "pm2", false, "the process of PM2's")
	c.Flags().BoolVar(&flags.purge, "purge", false, "remove what evenkeel knows too: attempts, cooldowns, journals, logs")
	c.Flags().BoolVar(&flags.force, "force", false, "remove a unit that is not evenkeel's own too")
	return c
}

func (g *globals) uninstall(ctx context.Context, flags uninstallFlags) error {
	if flags.user && flags.pm2 {
		return usagef("--user or --pm2, not both")
	}
	in := g.installer
	if in == nil {
		var err error
		if in, err = thisMachine(); err != nil {
			return err
		}
	}
	k := systemUnit
	switch {
	case flags.pm2:
		k = pm2Process
	case flags.user:
		k = userUnit
	}
	if k == systemUnit && !in.root {
		return errors.New("a unit of the machine wants root: sudo evenkeel uninstall; or take --user")
	}
	o, err := in.lookup(in.uid)
	if err != nil {
		return err
	}
	data := in.systemState
	if k != systemUnit {
		data = filepath.Join(o.Home, ".local/state/evenkeel")
	}
	path := in.unitPath(k, o)
	what, left := []string{path}, []string(nil)
	if k == pm2Process {
		err = in.removePM2(ctx, o)
	} else {
		what, left, err = in.removeUnit(ctx, k, path, flags.force)
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(data); err != nil {
		data = ""
	}
	if flags.purge && data != "" {
		if err := os.RemoveAll(data); err != nil {
			return fmt.Errorf("removing %s: %w", data, err)
		}
	}
	_, err = fmt.Fprint(g.Stdout, uninstalledText(k, what, data, flags.purge, left, styleFor(g.Stdout)))
	return err
}

// removeUnit stops the service and takes its unit away, and the swap helper with it. It says what it has removed, and what of
// the operator's own is left.
func (in *installer) removeUnit(ctx context.Context, k kind, path string, force bool) (removed, left []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	there := err == nil
	if there && !unit.Ours(string(text)) && !force {
		return nil, nil, fmt.Errorf("%s was not written by evenkeel install, and is left as it is; --force removes it", path)
	}
	systemctl := func(args ...string) error {
		if k == userUnit {
			args = append([]string{"--user"}, args...)
		}
		if out, err := in.run(ctx, "systemctl", args...); err != nil {
			return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, oneLine(out))
		}
		return nil
	}
	if k == systemUnit { // first: it is root's
		if removed, left, err = in.removeSwap(ctx, force); err != nil {
			return nil, nil, err
		}
	}
	if there {
		if err := systemctl("disable", "--now", unit.Name); err != nil {
			return nil, nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, nil, err
		}
		removed = append([]string{path}, removed...)
		if _, err := os.Stat(settingsOf(path)); err == nil {
			left = append(left, settingsOf(path))
		}
	}
	if len(removed) == 0 {
		return nil, nil, nothingInstalled(k, path)
	}
	return removed, left, systemctl("daemon-reload")
}

// removePM2 takes evenkeel out of PM2's list.
func (in *installer) removePM2(ctx context.Context, o owner) error {
	p := &installation{kind: pm2Process, owner: o}
	in.findTools(ctx, p)
	if p.tools.pm2 == "" {
		return errors.New(strings.Join(p.against, "; "))
	}
	if !in.managed(ctx, p) {
		return nothingInstalled(pm2Process, "")
	}
	if out, err := in.run(ctx, p.tools.pm2, "delete", pm2Name); err != nil {
		return fmt.Errorf("pm2 delete %s: %w: %s", pm2Name, err, oneLine(out))
	}
	return nil
}
