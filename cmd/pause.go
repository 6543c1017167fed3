package cmd

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state/desired"
)

// pauseWait is how long a pause waits for the supervisor to take it.
const pauseWait = 3 * time.Second

func newPauseCommand(g *globals) *cobra.Command {
	var reason, end, lasts string
	c := &cobra.Command{
		Use:   "pause [APP]",
		Short: "Let evenkeel watch and alert, but begin nothing by itself",
		Long: `Pause sets "paused: true" in the desired-state file and leaves every other byte as it is, as you could with an editor. A
paused App is still observed, recorded and alerted about; no recovery is begun but your own (evenkeel recover).

It edits the file that the supervisor reads, or the one that -f names, and waits until the supervisor has taken that. The
exit code is 3 if none runs; then it counts when one starts. With one App known, APP may be left out.`,
		Example: examples("evenkeel pause my-site --for 20m --reason 'moving the database'",
			"evenkeel pause my-site --until 2026-11-23T18:00:00Z"),
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			now := g.clock().Wall.Time
			var until time.Time
			switch {
			case lasts != "" && end != "":
				return usagef("--for and --until both say when the pause ends; want one of them")
			case lasts != "":
				d, err := parseDuration(lasts)
				if err != nil || d <= 0 {
					return usagef("--for %s: want a duration such as 20m, 2h or 1d", lasts)
				}
				until = now.Add(d)
			case end != "":
				var err error
				if until, err = parseMoment(end, now, 1); err != nil {
					return usagef("--until %s: %w", end, err)
				}
				if !until.After(now) {
					return usagef("--until %s: it is in the past", end)
				}
			}
			return g.editPause(c.Context(), args, true, func(file, app string) error {
				return desired.Pause(file, app, reason, until)
			})
		},
		ValidArgsFunction: g.completeApps,
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is shown wherever the pause is")
	c.Flags().StringVar(&lasts, "for", "", "for how long, such as 20m, 2h or 1d; then it ends by itself")
	c.Flags().StringVar(&end, "until", "", "when it ends by itself: a duration such as 2h or 1d, or a time such as 2026-11-23T18:00:00Z")
	g.addFiles(c, "desired-state file to edit (default: the one that the supervisor reads)")
	return c
}

// target is the App whose desired-state file is edited.
type target struct {
	name, file string
	// before is what is known of it; found says that there is a state folder at all.
	before view
	found  bool
}

// toEdit finds the App and its desired-state file.
func (g *globals) toEdit(args []string) (target, error) {
	found, findErr := g.find()
	if len(g.Files) > 0 {
		set := desired.Load(g.Files)
		name := ""
		switch {
		case len(args) > 0:
			name = args[0]
		case len(set.Apps) == 1:
			name = set.Apps[0].App.Name
		case set.Err() != nil:
			return target{}, set.Err()
		default:
			return target{}, usagef("which App? the files hold %d", len(set.Apps))
		}
		entry := set.App(name)
		if entry == nil {
			if err := set.Err(); err != nil {
				return target{}, err
			}
			return target{}, fmt.Errorf("%w %q in the files that -f names", desired.ErrNoApp, name)
		}
		t := target{name: name, file: entry.File, before: view{Name: name}}
		if findErr == nil {
			t.before, t.found = readView(found.Dir, name), true
		}
		return t, nil
	}
	if findErr != nil {
		return target{}, findErr
	}
	name, err := one(found, args)
	if err != nil {
		return target{}, err
	}
	t := target{name: name, before: readView(found.Dir, name), found: true}
	places := []string{t.before.Source}
	if h := t.before.Holder; h != nil {
		places = append(places, h.Desired)
	}
	for _, place := range places {
		if place == "" {
			continue
		}
		if entry := desired.Load([]string{place}).App(name); entry != nil {
			t.file = entry.File
			return t, nil
		}
		if t.file == "" {
			t.file = place
		}
	}
	if t.file == "" {
		return target{}, usagef("it is not known which file holds the desired state of %s; name it with -f", name)
	}
	return t, nil
}

// editPause edits the desired state, and says whether the supervisor took it.
func (g *globals) editPause(ctx context.Context, args []string, want bool, edit func(file, app string) error) error {
	t, err := g.toEdit(args)
	if err != nil {
		return err
	}
	old := desired.Load([]string{t.file}).App(t.name)
	if err := edit(t.file, t.name); err != nil {
		return fmt.Errorf("editing %s in %s: %w", t.name, t.file, err)
	}
	entry := desired.Load([]string{t.file}).App(t.name)
	if entry == nil || old == nil {
		return fmt.Errorf("editing %s in %s: it was changed at the same time; try again", t.name, t.file)
	}
	what := "resumed"
	if want {
		what = "paused"
	}
	if t.before.Holder == nil {
		return noSupervisorf("%s is %s in %s; no supervisor runs for it: it counts when one starts", t.name, what, t.file)
	}
	same := apiequality.Semantic.DeepEqual(old.App.Spec, entry.App.Spec)
	var after view
	taken := g.await(ctx, pauseWait, []string{stateFile(&t.before)}, func() bool {
		after = readView(t.before.Dir, t.name)
		return tookPause(&t.before, &after, want, same)
	})
	if !taken {
		return notTaken(&t, &after, what)
	}
	after.App = entry.App
	_, err = fmt.Fprintln(g.Stdout, pauseSaid(&after, t.file, want, same, g.clock()))
	return err
}

func stateFile(v *view) string { return filepath.Join(v.Dir, v.Name+".yaml") }

// tookPause tells whether the supervisor has the pause in force, or its end. Where the spec was changed, the generation
// in force is another one then.
func tookPause(before, after *view, want, same bool) bool {
	if meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionPaused) != want {
		return false
	}
	return same || after.Status.ObservedGeneration != before.Status.ObservedGeneration
}

func notTaken(t *target, after *view, what string) error {
	why := "see " + monitorLog(after.Dir)
	c := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionSpecAccepted)
	switch {
	case after.Holder == nil:
		return noSupervisorf("%s is %s in %s; its supervisor has just ended: it counts when one starts", t.name, what, t.file)
	case c != nil && c.Status == metav1.ConditionFalse:
		why = "the desired state is not in force: " + plain(c.Message)
	case after.Status.Recovery.Open():
		why = "a recovery is under way; it takes effect after that"
	}
	return fmt.Errorf("%s is %s in %s, but the supervisor (process %d) has not taken it within %s; %s",
		t.name, what, t.file, after.Holder.PID, human(pauseWait), why)
}

// pauseSaid is what is said when the supervisor has taken it.
func pauseSaid(v *view, file string, want, same bool, now v1alpha1.Instant) string {
	switch {
	case !want && same:
		return v.Name + " was not paused"
	case !want:
		return v.Name + " is no longer paused (" + file + "); evenkeel acts again"
	}
	already := ""
	if same {
		already = " already"
	}
	return fmt.Sprintf("%s is paused%s %s (%s)\nevenkeel goes on watching and alerting, and begins nothing by itself",
		v.Name, already, plain(pauseText(v, now)), file)
}
