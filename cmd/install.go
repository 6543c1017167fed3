package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/cmd/unit"
	"github.com/evenkeel/evenkeel/reconcilers/survey"
)

// installLimit bounds an installation. systemctl waits until evenkeel says that it is ready.
const installLimit = 3 * time.Minute

type installFlags struct {
	user, pm2, print, force bool
	runAs                   string
	// swap is whether the swap helper is wanted, where swapSaid says that one was told; else it stays as it is.
	swap, swapSaid bool
}

func newInstallCommand(g *globals) *cobra.Command {
	var flags installFlags
	c := &cobra.Command{
		Use:   "install -f FILE",
		Short: "Install evenkeel as a service that starts with the machine",
		Long: `Install writes a systemd unit for evenkeel, switches it on and starts it. The service runs as the user to whom the
applications' folders belong, not as root; finds the operator's pm2 and node, also where nvm, volta or an npm prefix have put
them, and writes them down; is started again whenever it ends, and by its watchdog when no pass finishes any more. Attempts and
cooldowns live in /var/lib/evenkeel. Installing again changes only what is different.

With --user it becomes a unit of your own service manager, which goes on without a login (linger); no root is needed. With --pm2
it becomes one more process of PM2. With --print what would be written and run is shown, and nothing is done.

Clearing swap, a step of a recovery that is about memory, needs root. With --with-swap-helper two more units are installed: a
socket that only the service's user may write to, and a service of root's that clears swap where what is swapped fits into memory
with a margin, once in a minute at most, and does nothing else. Without it that step is skipped, and says so. A helper that is
installed stays until --with-swap-helper=false, or uninstall.

It refuses while another watchdog restarts the application, or another evenkeel supervises it. It warns where PM2 would not come
back after a reboot, and says the command that helps. It never changes PM2 or what PM2 has saved. Where the application is a
service of the system's (spec.runtime.systemd), polkit has to let evenkeel start and stop it: --print shows the rule.

It exits with 0 if evenkeel runs, with 1 if something stands against it.`,
		Example: examples("sudo evenkeel install -f site.yaml", "sudo evenkeel install -f /etc/evenkeel --print", "sudo evenkeel install -f site.yaml --with-swap-helper",
			"evenkeel install -f site.yaml --user", "evenkeel install -f site.yaml --pm2"),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), installLimit)
			defer cancel()
			flags.swapSaid = c.Flags().Changed("with-swap-helper")
			return g.install(ctx, flags)
		},
	}
	g.addFiles(c, "desired-state file to supervise, or a folder of them")
	c.Flags().BoolVar(&flags.user, "user", false, "a unit of your own service manager, without root")
	c.Flags().BoolVar(&flags.pm2, "pm2", false, "a process of PM2's, without systemd")
	c.Flags().BoolVar(&flags.print, "print", false, "show what would be written and run, and do nothing")
	c.Flags().BoolVar(&flags.force, "force", false, "install though another watchdog is at work, or over a unit that is not evenkeel's own")
	c.Flags().StringVar(&flags.runAs, "run-as", "", "user that the service runs as (default: to whom the applications' folders belong)")
	c.Flags().BoolVar(&flags.swap, "with-swap-helper", false, "install a helper that clears swap as root, and does nothing else")
	return c
}

func (g *globals) install(ctx context.Context, flags installFlags) error {
	if len(g.Files) == 0 {
		return usagef("install needs -f: the desired-state file, or a folder of them; \"evenkeel init\" writes one")
	}
	switch {
	case flags.user && flags.pm2:
		return usagef("--user or --pm2, not both")
	case flags.runAs != "" && (flags.user || flags.pm2):
		return usagef("--run-as is for a unit of the machine; with --user and --pm2 it is you")
	case flags.swap && (flags.user || flags.pm2):
		return usagef("--with-swap-helper is for a unit of the machine; with --user and --pm2 swap is never cleared")
	case g.StateDir != "":
		return usagef("--state-dir is not for install: the unit's own folder is used (/var/lib/evenkeel)")
	}
	in := g.installer
	if in == nil {
		var err error
		if in, err = thisMachine(); err != nil {
			return err
		}
	}
	p, err := in.plan(ctx, g.Files, flags)
	if err != nil {
		return err
	}
	st := styleFor(g.Stdout)
	if flags.print {
		fmt.Fprint(g.Stderr, p.saidText(styleFor(g.Stderr)))
		_, err := fmt.Fprint(g.Stdout, p.printText())
		return errors.Join(err, p.refusal())
	}
	if err := p.refusal(); err != nil {
		fmt.Fprint(g.Stderr, p.saidText(styleFor(g.Stderr)))
		return err
	}
	done, err := in.apply(ctx, p)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(g.Stdout, p.doneText(done, st))
	return err
}

// installation is what is to be done, and what is to be said about it.
type installation struct {
	kind kind
	// Where the unit lies, its text, and the text that lies there now; without a unit in PM2's case.
	path, text, before string
	files              []string
	owner              owner
	apps               []*v1alpha1.App
	tools              tools
	swap               *swapHelper
	// lingers says that the owner's service manager has to go on without a login, and does not yet.
	lingers bool
	// ruled are the units of the system's that evenkeel is to start and stop as an ordinary user: polkit has to allow it.
	ruled []string
	// against stands against it; warnings and notes are only said.
	against, warnings, notes []string
	self                     string
}

// kind is how evenkeel is kept.
type kind string

// The kinds.
const (
	systemUnit kind = "system"
	userUnit   kind = "user"
	pm2Process kind = "pm2"
)

// refusal is what stands against the installation, if anything.
func (p *installation) refusal() error {
	if len(p.against) == 0 {
		return nil
	}
	return fmt.Errorf("not installed: %s", strings.Join(p.against, "; and "))
}

// commands are those that are run after the unit was written, as an operator would type them.
func (p *installation) commands() [][]string {
	var list [][]string
	systemctl := func(args ...string) {
		if p.kind == userUnit {
			args = append([]string{"--user"}, args...)
		}
		list = append(list, append([]string{"systemctl"}, args...))
	}
	switch p.kind {
	case pm2Process:
		args := []string{p.tools.pm2, "start", p.self, "--name", pm2Name, "--interpreter", "none", "--", "run"}
		for _, f := range p.files {
			args = append(args, "-f", f)
		}
		return [][]string{args}
	case systemUnit:
		if p.lingers {
			list = append(list, []string{"loginctl", "enable-linger", p.owner.Name})
		}
	case userUnit:
		if p.lingers {
			list = append(list, []string{"loginctl", "enable-linger"})
		}
	}
	systemctl("daemon-reload")
	systemctl("enable", unit.Name)
	if p.text == p.before {
		systemctl("start", unit.Name)
	} else {
		systemctl("restart", unit.Name)
	}
	return append(list, p.swap.commands()...)
}

// pm2Name is the name of evenkeel's own PM2 process.
const pm2Name = "evenkeel"

// apply does what is planned, and says whether anything had to be done.
func (in *installer) apply(ctx context.Context, p *installation) (changed bool, err error) {
	if p.kind == pm2Process {
		return in.applyPM2(ctx, p)
	}
	if p.text == p.before && in.active(ctx, p.kind) && p.swap.same() && in.swapActive(ctx, p) {
		return false, nil
	}
	if p.swap.goes() {
		if _, _, err := in.removeSwap(ctx, true); err != nil { // what is not ours stands against the installation already
			return false, err
		}
	}
	for _, u := range append(p.swap.units(), unitFile{p.path, p.text, p.before}) {
		if u.text == u.before || u.text == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(u.path), 0o755); err != nil {
			return false, err
		}
		if err := replaceFile(u.path, u.text); err != nil {
			return false, err
		}
	}
	for _, c := range p.commands() {
		if out, err := in.run(ctx, c[0], c[1:]...); err != nil {
			switch {
			case c[0] == "loginctl": // the service runs all the same, while somebody is logged in
				p.lingers = false
				p.warnings = append(p.warnings, fmt.Sprintf("%s: %v: %s; without it the service ends with your last login: sudo loginctl enable-linger %s", strings.Join(c, " "), err, oneLine(out), p.owner.Name))
				continue
			case strings.HasPrefix(c[len(c)-1], "evenkeel-swap"):
				return false, fmt.Errorf("evenkeel runs, but its swap helper is not ready (%s: %w: %s); see systemctl status %s", strings.Join(c, " "), err, oneLine(out), unit.SwapSocket)
			case c[len(c)-2] == "start" || c[len(c)-2] == "restart":
				return false, fmt.Errorf("%s is written, and does not start (%s: %w: %s); see %s -n 30", p.path, strings.Join(c, " "), err, oneLine(out), journalOf(p.kind))
			}
			return false, fmt.Errorf("%s: %w: %s", strings.Join(c, " "), err, oneLine(out))
		}
	}
	return true, nil
}

// applyPM2 lets PM2 keep evenkeel. One that is there already is started anew with what is wanted now.
func (in *installer) applyPM2(ctx context.Context, p *installation) (bool, error) {
	if _, err := in.run(ctx, p.tools.pm2, "describe", pm2Name); err == nil {
		if out, err := in.run(ctx, p.tools.pm2, "delete", pm2Name); err != nil {
			return false, fmt.Errorf("pm2 delete %s: %w: %s", pm2Name, err, oneLine(out))
		}
	}
	c := p.commands()[0]
	if out, err := in.run(ctx, c[0], c[1:]...); err != nil {
		return false, fmt.Errorf("%s: %w: %s", strings.Join(c, " "), err, oneLine(out))
	}
	return true, nil
}

// replaceFile writes a file so that there is the old one or the new one.
func replaceFile(path, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}

// watchdogsText says who else is at work on an application.
func watchdogsText(app *v1alpha1.App, found []survey.Watchdog) (sure, unsure []string) {
	for _, w := range found {
		text := fmt.Sprintf("%s (%s) restarts %s too", w.What, w.Where, app.Name)
		if !w.Sure {
			unsure = append(unsure, strings.Replace(text, "restarts "+app.Name+" too", "restarts something; see that it is not "+app.Name, 1))
			continue
		}
		sure = append(sure, text+"; two watchdogs work against each other: switch it off, or take --force")
	}
	return sure, unsure
}

// oneLine is the end of what a program said, in one line.
func oneLine(out string) string {
	text := strings.Join(strings.Fields(out), " ")
	const most = 400
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return plain(text)
}

func journalOf(k kind) string {
	switch k {
	case userUnit:
		return "journalctl --user -u evenkeel"
	case pm2Process:
		return "pm2 logs evenkeel"
	}
	return "journalctl -u evenkeel"
}
