package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/alert"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/keeper"
	"github.com/evenkeel/evenkeel/state/desired"
)

func newValidateCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "validate -f FILE…",
		Short: "Say whether desired-state files are right, and what they mean",
		Long: `Validate reads desired-state files as strictly as a supervisor does, and prints every mistake with its file, line, column
and field, and what would be right; the exit code is 2 then. If all is right it prints the settings that would be in
force, with notes on what is probably not meant so. With -o yaml it prints each App with all its defaults,
and (hidden) in the place of what may be a secret.`,
		Example: examples("evenkeel validate -f site.yaml", "evenkeel validate /etc/evenkeel/*.yaml", "evenkeel validate -f site.yaml -o yaml"),
		RunE: func(_ *cobra.Command, args []string) error {
			files := append(append([]string(nil), g.Files...), args...)
			if len(files) == 0 {
				return usagef("validate needs a desired-state file: evenkeel validate -f FILE")
			}
			return g.validate(files)
		},
	}
	g.addFiles(c, "desired-state file, or a folder of them")
	g.addOutput(c, "json", "yaml")
	return c
}

func (g *globals) validate(files []string) error {
	set := desired.Load(files)
	if problems := set.Problems(); len(problems) > 0 {
		for _, p := range problems {
			if _, err := fmt.Fprintln(g.Stdout, plain(p.Error())); err != nil {
				return err
			}
		}
		fmt.Fprintf(g.Stderr, "evenkeel: %s; none of it comes into force like this\n", count(len(problems), "mistake"))
		return said(exitUsage)
	}
	now := g.clock()
	if g.Output != "" {
		list := v1alpha1.AppList{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion, Kind: v1alpha1.KindAppList}}
		for _, e := range set.Apps {
			list.Items = append(list.Items, *checks.WithFound(e.App).WithoutSecrets())
			for _, note := range notes(e.App, now, os.Stat) {
				fmt.Fprintf(g.Stderr, "evenkeel: %s: note: %s\n", e.App.Name, note)
			}
		}
		if len(list.Items) == 1 {
			return g.printObjects(list.Items[0])
		}
		return g.printObjects(list)
	}
	for n, e := range set.Apps {
		if n > 0 {
			fmt.Fprintln(g.Stdout)
		}
		text := settingsText(checks.WithFound(e.App), e.File, notes(e.App, now, os.Stat), styleFor(g.Stdout))
		if _, err := fmt.Fprint(g.Stdout, text); err != nil {
			return err
		}
	}
	return nil
}

// notes are what is probably not meant so, though it is right.
func notes(app *v1alpha1.App, now v1alpha1.Instant, stat func(string) (fs.FileInfo, error)) []string {
	var list []string
	spec := &app.Spec
	if info, err := stat(spec.Directory); err != nil || !info.IsDir() {
		list = append(list, "there is no folder "+spec.Directory+" that this user can see")
	} else if pm2 := spec.Runtime.PM2; pm2 != nil && pm2.Start != "" {
		if _, err := stat(filepath.Join(spec.Directory, pm2.Start)); errors.Is(err, fs.ErrNotExist) {
			list = append(list, "there is no "+pm2.Start+" in "+spec.Directory+" (spec.runtime.pm2.start)")
		}
	}
	if pm2 := spec.Runtime.PM2; pm2 != nil && pm2.Start == "" {
		list = append(list, "without spec.runtime.pm2.start evenkeel cannot start what PM2's list has lost")
	}
	if spec.Runtime.Exec != nil {
		if _, err := keeper.LookUp(app); err != nil {
			list = append(list, err.Error())
		}
	}
	if len(spec.Alerts) == 0 {
		list = append(list, "nobody would be told: spec.alerts is empty")
	}
	for n, a := range spec.Alerts {
		if a.Shoutrrr != "" {
			if err := alert.CheckShoutrrr(a.Shoutrrr); err != nil {
				list = append(list, fmt.Sprintf("spec.alerts[%d].shoutrrr: nobody would be told this way: %s", n, err))
			}
		}
		if len(a.Exec) == 0 {
			continue
		}
		if _, err := exec.LookPath(a.Exec[0]); err != nil {
			note := fmt.Sprintf("spec.alerts[%d].exec: there is no program %s that this user can run", n, a.Exec[0])
			if strings.Contains(a.Exec[0], " ") {
				note += "; each argument is an element of its own: [program, argument]"
			}
			list = append(list, note)
		}
	}
	if spec.Checks.Public.URL == "" {
		list = append(list, "there is no public check: spec.checks.public.url is not set")
	}
	if checks.WithFound(app).Spec.Checks.Database == nil {
		list = append(list, "there is no database check: no .env in the folder holds the address of a database, and spec.checks.database is not set")
	}
	if spec.Observes() {
		v := view{Name: app.Name, App: app}
		list = append(list, "it is only observed: "+observingText(&v))
	}
	if spec.Paused {
		v := view{Name: app.Name, App: app}
		list = append(list, "it is paused "+pauseText(&v, now))
	}
	return list
}

// settingsText is a short summary of an App's settings.
func settingsText(app *v1alpha1.App, file string, notes []string, s style) string {
	spec := &app.Spec
	var rows [][]cell
	add := func(name, format string, args ...any) {
		rows = append(rows, []cell{{name, s.dim}, {plain(fmt.Sprintf(format, args...)), nil}})
	}
	add("directory", "%s", spec.Directory)
	if pm2 := spec.Runtime.PM2; pm2 != nil {
		add("runtime", "PM2 process %q%s%s", pm2.Process, orEmpty(", started from ", pm2.Start), orEmpty(", in ", pm2.Home))
	}
	if systemd := spec.Runtime.Systemd; systemd != nil {
		whose := "the system's manager"
		if systemd.User {
			whose = "the manager of evenkeel's user"
		}
		add("runtime", "systemd service %s of %s", systemd.Unit, whose)
	}
	if run := spec.Runtime.Exec; run != nil {
		add("runtime", "started and kept by evenkeel: %s", strings.Join(run.Command, " "))
		if len(run.Env) > 0 { // values may be secrets
			add("environment", "%s", strings.Join(slices.Sorted(maps.Keys(run.Env)), ", "))
		}
	}
	add("port", "%d", spec.Port)
	add("checks", "every %s; a failure is asked again every %s and believed after %d in a row",
		brief(spec.Interval), brief(spec.ConfirmInterval), spec.FailureThreshold)
	for _, name := range checkOrder {
		if text := checkSettings(app, name); text != "" {
			add("  "+name, "%s", text)
		}
	}
	r := &spec.Recovery
	add("recovery", "%s, at least %s apart; %s to verify, %s to start up; forgotten after %s of health",
		count(int(r.MaxAttempts), "attempt"), brief(r.Cooldown), brief(r.Deadline), brief(r.StartupGrace), brief(r.ProvenAfter))
	add("caches", "%s", orNone(strings.Join(r.Caches, ", ")))
	for _, a := range spec.Alerts {
		switch {
		case a.Webhook != "":
			add("alert", "webhook %s", masked(a.Webhook))
		case a.Shoutrrr != "":
			add("alert", "shoutrrr %s", alert.MaskShoutrrr(a.Shoutrrr))
		default:
			add("alert", "exec %s", a.Exec[0]+hiddenArguments(a.Exec)) // they may be secrets
		}
	}
	if h := spec.Heartbeat; h != nil {
		add("heartbeat", "%s every %s", masked(h.URL), brief(h.Interval))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s is right (%s)\n", s.bold(app.Name), file)
	b.WriteString(table("  ", rows))
	for _, note := range notes {
		b.WriteString("  " + s.warn("note: "+plain(note)) + "\n")
	}
	return b.String()
}

// checkSettings says what one check does; empty where it is not asked, or is no condition of health.
func checkSettings(app *v1alpha1.App, name string) string {
	asked := false
	for _, enabled := range checks.Enabled(app) {
		asked = asked || enabled == name
	}
	if !asked || checks.IsFact(name) {
		return ""
	}
	c, set := &app.Spec.Checks, checks.Settings(app, name)
	text := "within " + brief(set.Timeout)
	switch name {
	case v1alpha1.CheckLocal:
		text = c.Local.Path + " " + text + expecting(c.Local.ExpectStatus, ", below 500")
	case v1alpha1.CheckPublic:
		text = c.Public.ShownURL() + " " + text + expecting(c.Public.ExpectStatus, "")
	case v1alpha1.CheckMemory:
		text = fmt.Sprintf("at least %s available; acts when low for %s (restart: %s)", c.Memory.MinAvailable, brief(c.Memory.For), c.Memory.Restart)
	case v1alpha1.CheckDisk:
		text = "at least 256Mi free, or a twentieth of a small file system"
		if c.Disk.MinFree != nil {
			text = fmt.Sprintf("at least %s free", c.Disk.MinFree)
		}
	case v1alpha1.CheckDatabase:
		text = fmt.Sprintf("%s in %s; asked %s", strings.Join(c.Database.Require, ", "), c.Database.EnvFile, map[v1alpha1.DatabaseConnect]string{
			v1alpha1.DatabaseConnectOnSuspicion: "on suspicion, within " + brief(set.Timeout),
			v1alpha1.DatabaseConnectAlways:      "in every look, within " + brief(set.Timeout),
			v1alpha1.DatabaseConnectNever:       "never",
		}[c.Database.Connect])
	}
	if d := set.Interval.Duration; d > 0 {
		text += ", every " + human(d)
	}
	if !set.IsRequired() {
		text += "; health does not need it"
	}
	return text
}

func expecting(status []int32, otherwise string) string {
	if len(status) == 0 {
		return otherwise
	}
	return ", expecting " + strings.Trim(strings.ReplaceAll(fmt.Sprint(status), " ", ", "), "[]")
}

// hiddenArguments says that there are some.
func hiddenArguments(command []string) string {
	if len(command) < 2 {
		return ""
	}
	return " " + v1alpha1.Hidden
}

// masked leaves the host of an address: the rest of a webhook's is often a secret.
func masked(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "…"
	}
	text := u.Scheme + "://" + u.Host
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		text += "/…"
	}
	return text
}

// brief writes a setting: 5m for 5m0s.
func brief(d metav1.Duration) string {
	if d.Duration%time.Second != 0 {
		return d.Duration.String()
	}
	return human(d.Duration)
}
