package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state/watch"
)

func newStatusCommand(g *globals) *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:   "status [APP…]",
		Short: "Show how the Apps are",
		Long: `Status shows the phase of each App, why it is what it is, what each check last said, which attempts are spent, and what
stands against the next action. It reads what the supervisor keeps on disk and asks nobody.

It exits with 0 if all Apps that are shown are Healthy and everything holds, with 1 if not, and with 3 if for one of them
no supervisor runs.`,
		Example: examples("evenkeel status", "evenkeel status my-site --watch", "evenkeel status -o json | jq '.items[].status.phase'"),
		RunE: func(c *cobra.Command, args []string) error {
			found, err := g.find()
			if err != nil {
				return err
			}
			if _, err := names(found, args); err != nil {
				return err
			}
			read := func() []view {
				list, _ := names(found, args)
				views := make([]view, 0, len(list))
				for _, name := range list {
					views = append(views, seen(found, name))
				}
				return views
			}
			if follow {
				return g.watchStatus(c.Context(), found.Dir, read, len(args) > 0 || g.Output == "wide")
			}
			return g.printStatus(read(), len(args) > 0 || g.Output == "wide")
		},
	}
	c.ValidArgsFunction = g.completeApps
	c.Flags().BoolVarP(&follow, "watch", "w", false, "go on showing it until interrupted")
	g.addOutput(c, "wide", "json", "yaml")
	return c
}

// printStatus prints the Apps once.
func (g *globals) printStatus(views []view, detail bool) error {
	now, code := g.clock(), exitWell
	for n := range views {
		code = max(code, views[n].code(now))
	}
	if g.Output == "json" || g.Output == "yaml" {
		if err := g.printObjects(objects(views, now)); err != nil {
			return err
		}
		return said(code)
	}
	if len(views) == 0 {
		return noSupervisorf("no App is known")
	}
	if _, err := fmt.Fprint(g.Stdout, statusText(views, now, styleFor(g.Stdout), detail)); err != nil {
		return err
	}
	return said(code)
}

// conditionSupervised is added to what is printed: whether a supervisor runs.
const conditionSupervised = "Supervised"

// objects makes Apps with their status.
func objects(views []view, now v1alpha1.Instant) v1alpha1.AppList {
	list := v1alpha1.AppList{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion, Kind: v1alpha1.KindAppList}, Items: []v1alpha1.App{},
	}
	for n := range views {
		v := &views[n]
		app := v1alpha1.App{}
		if v.App != nil {
			app = *v.App.WithoutSecrets()
		}
		app.APIVersion, app.Kind, app.Name = v1alpha1.GroupVersion, v1alpha1.KindApp, v.Name
		app.UID, app.ResourceVersion = v.Meta.UID, v.Meta.ResourceVersion
		app.Generation, app.CreationTimestamp = v.Meta.Generation, v.Meta.CreationTimestamp
		app.Status = *v.Status.DeepCopy()
		app.Status.LastPass = v.Pass
		supervised := metav1.Condition{
			Type: conditionSupervised, Status: metav1.ConditionFalse, Reason: "NoSupervisor", Message: "no supervisor runs",
			LastTransitionTime: metav1.NewTime(now.Wall.Truncate(time.Second)),
		}
		if h := v.Holder; h != nil {
			supervised.Status, supervised.Reason = metav1.ConditionTrue, "Running"
			supervised.Message = fmt.Sprintf("process %d%s", h.PID, orEmpty(" of ", h.User))
			supervised.LastTransitionTime = metav1.NewTime(h.Since)
		}
		meta.SetStatusCondition(&app.Status.Conditions, supervised)
		list.Items = append(list.Items, app)
	}
	return list
}

// printObjects prints an object as -o wants it.
func (g *globals) printObjects(object any) error {
	data, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		return fmt.Errorf("writing as %s: %w", g.Output, err)
	}
	if g.Output == "yaml" {
		if data, err = yaml.JSONToYAML(data); err != nil {
			return fmt.Errorf("writing as yaml: %w", err)
		}
	}
	_, err = fmt.Fprintln(g.Stdout, strings.TrimRight(string(data), "\n"))
	return err
}

// watchStatus prints the Apps anew whenever something changes, until the context ends.
func (g *globals) watchStatus(ctx context.Context, dir string, read func() []view, detail bool) error {
	ctx, cancel := context.WithCancel(ctx)
	changes := watch.Watch(ctx, filepath.Join(dir, "*.yaml"), filepath.Join(dir, "*.pass.json"), filepath.Join(dir, "*.lock"))
	defer func() {
		cancel()
		for range changes { // until the watcher has ended
		}
	}()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var last string
	draw := func() error {
		next, err := g.redraw(read(), detail, last)
		last = next
		return err
	}
	if err := draw(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-changes:
			if !ok {
				return nil
			}
		case <-ticker.C:
		}
		if err := draw(); err != nil {
			return err
		}
	}
}

// redraw shows the Apps: on a terminal in place; elsewhere it appends, and only if something other than the time has
// changed. It gives what is to be compared next time.
func (g *globals) redraw(views []view, detail bool, last string) (string, error) {
	now := g.clock()
	key := substance(views, now)
	inPlace := isTerminal(g.Stdout) && g.Output != "json" && g.Output != "yaml"
	if !inPlace && key == last {
		return last, nil
	}
	if g.Output == "json" || g.Output == "yaml" {
		if g.Output == "yaml" && last != "" {
			fmt.Fprintln(g.Stdout, "---")
		}
		return key, g.printObjects(objects(views, now))
	}
	text := statusText(views, now, styleFor(g.Stdout), detail)
	head := now.Wall.Format(time.DateTime)
	if inPlace {
		text = inPlaceText(head + "  (end with Ctrl-C)\n\n" + text)
	} else {
		text = head + "\n" + text + "\n"
	}
	_, err := fmt.Fprint(g.Stdout, text)
	return key, err
}

// inPlaceText draws a text over the one before: from the top left, clearing behind each line and below the last.
func inPlaceText(text string) string {
	return "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
}

// substance is what makes a new picture worth appending.
func substance(views []view, now v1alpha1.Instant) string {
	var b strings.Builder
	for n := range views {
		v := &views[n]
		fmt.Fprintln(&b, v.Name, v.Meta.ResourceVersion, v.Holder != nil, v.Ordered, v.stale(now), v.paused(now), v.observing(), v.Troubles)
		if v.Pass != nil {
			for _, r := range v.Pass.Results {
				fmt.Fprintln(&b, r.Check, r.Status, r.Reason)
			}
		}
	}
	return b.String()
}

// completeApps completes the names of Apps.
func (g *globals) completeApps(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	found, err := g.find()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, _ := names(found, nil)
	return list, cobra.ShellCompDirectiveNoFileComp
}
