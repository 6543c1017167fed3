package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/swap"
	"github.com/evenkeel/evenkeel/state"
	"github.com/evenkeel/evenkeel/state/desired"
)

// view is all that the state folder tells of one App at one moment.
type view struct {
	Name, Dir string
	// App has the spec in force, from the last good copy; nil where there is none. Source is where that came from.
	App    *v1alpha1.App
	Source string
	// Meta and Status are what evenkeel knows; Status is empty where it could not be read.
	Meta   metav1.ObjectMeta
	Status v1alpha1.AppStatus
	// Pass is the last finished pass; nil where there is none. Before are those before it that were kept, oldest first.
	Pass   *v1alpha1.Observation
	Before []v1alpha1.Observation
	// Holder is the supervisor; nil where none runs.
	Holder *state.Holder
	// Ordered is an order in the state file that was not taken yet; empty where there is none.
	Ordered v1alpha1.Phase
	// Troubles say what could not be read.
	Troubles []string
	// Swap says how the supervisor may have swap cleared, or why it may not; empty where nobody can tell, or wants to.
	Swap string
	// Unseen are places in which there may be another supervisor, and into which this user may not look.
	Unseen []string
}

// readView reads what there is. It changes nothing and never fails: what could not be read is said.
func readView(dir, name string) view {
	v := view{Name: name, Dir: dir}
	trouble := func(err error) {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			v.Troubles = append(v.Troubles, err.Error())
		}
	}
	st, err := state.ReadState(dir, name)
	trouble(err)
	if st != nil {
		v.Meta, v.Status = st.ObjectMeta, st.AppStatus
	}
	passes, err := state.ReadPasses(dir, name)
	trouble(err)
	if n := len(passes); n > 0 {
		v.Pass, v.Before = &passes[n-1], passes[:n-1]
	}
	kept, err := state.ReadDesired(dir, name)
	trouble(err)
	if err == nil {
		v.Source = kept.Source
		if entry := desired.Parse(kept.Document, kept.Source).App(name); entry != nil {
			v.App = entry.App
		} else {
			v.Troubles = append(v.Troubles, "the last good copy of what is desired holds no App that this version of evenkeel takes")
		}
	}
	holder, held, err := state.HolderOf(dir, name)
	trouble(err)
	if held {
		v.Holder = &holder
	}
	if data, err := os.ReadFile(filepath.Join(dir, name+".yaml")); err == nil {
		v.Ordered = orderIn(data)
	}
	return v
}

var phaseLine = regexp.MustCompile(`(?m)^(observedPhase|phase):[ \t]*["']?([A-Za-z]*)`)

// orderIn is the phase that a state file asks for, where it is not the one that evenkeel last wrote.
func orderIn(data []byte) v1alpha1.Phase {
	found := map[string]string{}
	for _, m := range phaseLine.FindAllStringSubmatch(string(data), -1) {
		found[m[1]] = m[2]
	}
	if found["phase"] == found["observedPhase"] {
		return ""
	}
	return v1alpha1.Phase(found["phase"])
}

// seen is readView for those who want to know whether a supervisor runs anywhere.
func seen(found state.Found, name string) view {
	v := readView(found.Dir, name)
	v.Unseen = found.Unreadable
	if h := v.Holder; h != nil && h.PID > 0 && (v.App == nil || !v.App.Spec.Checks.Memory.Disabled) {
		v.Swap = swapText(procfs.Default(), h.PID, swap.Socket)
	}
	return v
}

// find finds the state folder.
func (g *globals) find() (state.Found, error) {
	found, err := state.Find(g.StateDir)
	if err != nil && len(found.Unreadable) > 0 {
		err = fmt.Errorf("%w: %w", err, os.ErrPermission)
	}
	return found, err
}

// names are the Apps of a state folder that are asked for: all where none is named. A name that is not known is an error.
func names(found state.Found, wanted []string) ([]string, error) {
	known, err := state.Apps(found.Dir)
	if err != nil {
		return nil, fmt.Errorf("looking into %s: %w", found.Dir, err)
	}
	for _, holder := range found.Holders { // its first state is perhaps not written yet
		if !slices.Contains(known, holder.App) {
			known = append(known, holder.App)
		}
	}
	slices.Sort(known)
	if len(wanted) == 0 {
		return known, nil
	}
	for _, name := range wanted {
		if !slices.Contains(known, name) {
			return nil, usagef("no App %q is known in %s; known: %s", name, found.Dir, orNone(strings.Join(known, ", ")))
		}
	}
	return wanted, nil
}

// one is the App that a command is about: the one that is named, or the only one there is.
func one(found state.Found, args []string) (string, error) {
	list, err := names(found, args)
	switch {
	case err != nil:
		return "", err
	case len(list) == 0:
		return "", noSupervisorf("no App is known in %s", found.Dir)
	case len(list) > 1:
		return "", usagef("which App? %s", strings.Join(list, ", "))
	}
	return list[0], nil
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// age is how old the last pass is.
func (v *view) age(now v1alpha1.Instant) (time.Duration, bool) {
	if v.Pass == nil {
		return 0, false
	}
	return now.Since(v.Pass.At.Add(v.Pass.Took.Duration)), true
}

// stale tells whether a supervisor runs and has not finished a pass for much longer than it should take.
func (v *view) stale(now v1alpha1.Instant) bool {
	age, ok := v.age(now)
	if !ok || v.Holder == nil || v.Status.Recovery.Open() {
		return false
	}
	return age > 3*v.interval()+time.Minute
}

func (v *view) interval() time.Duration {
	if v.App == nil {
		return v1alpha1.DefaultInterval
	}
	return v.App.Spec.Interval.Duration
}

// well tells whether the App is Healthy, and everything held at the last pass, which is not old.
func (v *view) well(now v1alpha1.Instant) bool {
	return v.Status.Phase == v1alpha1.PhaseHealthy && v.Pass.Holds() && !v.stale(now)
}

// code is the exit code that the App stands for.
func (v *view) code(now v1alpha1.Instant) int {
	switch {
	case v.Holder == nil:
		return exitNoSupervisor
	case v.well(now):
		return exitWell
	}
	return exitNotWell
}

// paused tells whether the App is paused, by the supervisor's word if one runs, else by the last spec.
func (v *view) paused(now v1alpha1.Instant) bool {
	if v.Holder != nil {
		return meta.IsStatusConditionTrue(v.Status.Conditions, v1alpha1.ConditionPaused)
	}
	if v.App == nil || !v.App.Spec.Paused {
		return false
	}
	end := v.App.Spec.PausedUntil
	return end == nil || now.Wall.Time.Before(end.Time)
}

// observing tells whether evenkeel only observes the App, by the supervisor's word if one runs, else by the last spec.
func (v *view) observing() bool {
	if v.Holder != nil {
		return meta.IsStatusConditionTrue(v.Status.Conditions, v1alpha1.ConditionObserving)
	}
	return v.App != nil && v.App.Spec.Observes()
}

// observingText says what it is to be observed only, and how that ends.
func observingText(v *view) string {
	text := "nothing is done, only said"
	if v.App != nil && !v.App.Spec.Observes() {
		return text + "; the supervisor was started with --dry-run"
	}
	text += "; to let it act: spec.mode: Active"
	if v.App != nil && v.App.Spec.Runtime.Exec != nil {
		text += "; the application is neither started nor brought back"
	}
	return text
}

// wouldText says what would have been done.
func wouldText(w *v1alpha1.Would, now v1alpha1.Instant) string {
	if len(w.Steps) == 0 {
		return fmt.Sprintf("given up %s (%s: %s)", ago(now.Since(w.At)), w.Blame, w.Reason)
	}
	return fmt.Sprintf("begun a recovery %s with plan %s: %s (%s: %s)", ago(now.Since(w.At)), w.Plan, strings.Join(w.Steps, ", "), w.Blame, w.Reason)
}

// maxAttempts is the budget of an incident.
func (v *view) maxAttempts() int32 {
	if v.App == nil {
		return v1alpha1.DefaultMaxAttempts
	}
	return v.App.Spec.Recovery.MaxAttempts
}

// spent is how many attempts of the incident are spent.
func (v *view) spent() int32 {
	if v.Status.Incident == nil {
		return 0
	}
	return v.Status.Incident.Spent
}

// processOf is the name under which the App's process manager knows it.
func processOf(app *v1alpha1.App) string {
	return runtime.NameOf(app)
}
