package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// scene is one way of breaking the site, and what has to come of it.
type scene struct {
	name, title string
	// play breaks the site, and waits until what follows has happened.
	play func(ctx context.Context, t *tour) error
	want wanted
}

// wanted is what a scene must come to.
type wanted struct {
	// phases are those that are entered, in order, as the journal tells.
	phases []v1alpha1.Phase
	// blame and reason are those of the first failure that is confirmed. Without a reason it may be any.
	blame  v1alpha1.Blame
	reason string
	// kept says that the site's process must be the same afterwards; else it must be another one.
	kept bool
	// recoveries are the automatic ones, spent the attempts that were spent.
	recoveries, spent int
	// alerts are what somebody is told, in order.
	alerts []v1alpha1.AlertKind
	// plans are those that the recoveries went through, in order.
	plans []string
	// cacheCleared says that the step caches must have cleared something, and else must not have been taken.
	cacheCleared bool
}

// sceneRecord is what happened in a scene.
type sceneRecord struct {
	broken, left  time.Time // when the site was broken, and when the cause was taken away by us
	before, after int       // the site's process
	events        []v1alpha1.Event
	alerts        []v1alpha1.Alert
	answers       []visit
}

// sceneReport is what is said of a scene at the end.
type sceneReport struct {
	name, blame, action string
	seen, mended        time.Duration // 0 where there is none
	since               bool          // mended is counted from the end of its cause
	kept                bool
	problems            []string
}

// phases are those that were entered.
func (r *sceneRecord) phases() []v1alpha1.Phase {
	var list []v1alpha1.Phase
	for n := range r.events {
		if r.events[n].Reason == v1alpha1.ReasonPhaseChanged {
			list = append(list, r.events[n].Phase)
		}
	}
	return list
}

// confirmed is the event with which the failure was confirmed; nil where none was.
func (r *sceneRecord) confirmed() *v1alpha1.Event {
	n := slices.IndexFunc(r.events, func(e v1alpha1.Event) bool {
		return e.Reason == v1alpha1.ReasonPhaseChanged && e.Phase == v1alpha1.PhaseDegraded
	})
	if n < 0 {
		return nil
	}
	return &r.events[n]
}

// reason is that of the last verdict before the failure was confirmed.
func (r *sceneRecord) reason() string {
	reason := ""
	for n := range r.events {
		e := &r.events[n]
		if e.Reason == v1alpha1.ReasonVerdict && e.Type == v1alpha1.EventWarning {
			if _, rest, ok := strings.Cut(e.Message, ": "); ok && strings.Contains(rest, " → ") {
				reason, _, _ = strings.Cut(rest, " → ")
			}
		}
		if e.Reason == v1alpha1.ReasonPhaseChanged && e.Phase == v1alpha1.PhaseDegraded {
			break
		}
	}
	return reason
}

// count counts events.
func (r *sceneRecord) count(so func(*v1alpha1.Event) bool) int {
	count := 0
	for n := range r.events {
		if so(&r.events[n]) {
			count++
		}
	}
	return count
}

func hasReason(reason string) func(*v1alpha1.Event) bool {
	return func(e *v1alpha1.Event) bool { return e.Reason == reason }
}

// plans are those that were gone through: the first of a recovery is in its first event, a further one in the verdict
// with which it goes on.
func (r *sceneRecord) plans() []string {
	var list []string
	for n := range r.events {
		e := &r.events[n]
		if e.Reason != v1alpha1.ReasonRecoveryStarted && (e.Reason != v1alpha1.ReasonVerdict || e.Recovery == "") {
			continue
		}
		what, _, _ := strings.Cut(e.Message, ": ")
		if _, plan, ok := strings.Cut(what, "with plan "); ok {
			list = append(list, plan)
		}
	}
	return list
}

// cleared tells whether a cache was cleared.
func (r *sceneRecord) cleared() bool {
	return r.count(func(e *v1alpha1.Event) bool {
		return e.Reason == v1alpha1.ReasonStepFinished && e.Step == "caches" && e.Outcome == string(v1alpha1.StepDone)
	}) > 0
}

// mendedAt is when the site first answered well again, by the process that it ends with: after the failure was seen, and
// after its cause was taken away where we did that.
func (r *sceneRecord) mendedAt() (time.Time, bool) {
	from := r.broken
	if e := r.confirmed(); e != nil && e.Time.After(from) {
		from = e.Time.Time
	}
	if r.left.After(from) {
		from = r.left
	}
	for _, v := range r.answers {
		if v.pid != 0 && v.pid == r.after && v.at.After(from) {
			return v.at, true
		}
	}
	return time.Time{}, false
}

// report compares what happened with what had to; it is pure.
func (r *sceneRecord) report(sc *scene) sceneReport {
	out := sceneReport{name: sc.name, blame: "-", kept: r.before == r.after, since: !r.left.IsZero(), action: r.action()}
	want := &sc.want
	wrong := func(format string, args ...any) { out.problems = append(out.problems, fmt.Sprintf(format, args...)) }
	differ := func(what string, got, want any) {
		if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
			wrong("%s: %s, and it should have been %s", what, orNone(strings.Trim(g, "[]")), orNone(strings.Trim(w, "[]")))
		}
	}
	differ("phases", r.phases(), want.phases)
	if e := r.confirmed(); e != nil {
		out.blame, out.seen = string(e.Blame), e.Time.Sub(r.broken)
		differ("blamed", e.Blame, want.blame)
		if want.reason != "" {
			differ("reason", r.reason(), want.reason)
		}
	} else if want.blame != "" {
		wrong("nobody was blamed, and it should have been %s", want.blame)
	}
	differ("recoveries", r.count(hasReason(v1alpha1.ReasonRecoveryStarted)), want.recoveries)
	differ("attempts spent", r.count(hasReason(v1alpha1.ReasonAttemptSpent)), want.spent)
	differ("plans", r.plans(), want.plans)
	differ("cache cleared", r.cleared(), want.cacheCleared)
	var told []v1alpha1.AlertKind
	for _, a := range r.alerts {
		told = append(told, a.Kind)
	}
	differ("alerts", told, want.alerts)
	switch {
	case r.before == 0 || r.after == 0:
		wrong("it is not known which process was the site's (before: %d, after: %d)", r.before, r.after)
	case out.kept && !want.kept:
		wrong("process %d is still the same", r.after)
	case !out.kept && want.kept:
		wrong("process %d has been replaced by process %d", r.before, r.after)
	}
	if at, ok := r.mendedAt(); ok {
		from := r.broken
		if out.since {
			from = r.left
		}
		out.mended = at.Sub(from)
	} else if failedFor := len(want.phases) > 0 && want.phases[len(want.phases)-1] == v1alpha1.PhaseFailed; !failedFor {
		wrong("no visitor got a good answer afterwards")
	}
	return out
}

// action says in words what was done.
func (r *sceneRecord) action() string {
	recoveries := r.count(hasReason(v1alpha1.ReasonRecoveryStarted))
	phases := r.phases()
	switch {
	case recoveries == 0 && len(phases) == 0 && r.before != r.after:
		return "started again by the runtime, at once"
	case recoveries == 0:
		return "held: told, and left alone"
	case phases[len(phases)-1] == v1alpha1.PhaseFailed:
		if recoveries == 1 {
			return "gave up after 1 recovery"
		}
		return fmt.Sprintf("gave up after %d recoveries", recoveries)
	case r.cleared():
		return "recovered: " + strings.Join(r.plans(), ", then ") + "; cache cleared"
	}
	return "recovered: " + strings.Join(r.plans(), ", then ")
}

// summary is a scene's outcome in a sentence.
func (r *sceneReport) summary() string {
	var parts []string
	if r.blame != "-" {
		parts = append(parts, r.blame+" blamed")
	}
	parts = append(parts, r.action)
	if r.seen > 0 {
		parts = append(parts, "seen after "+human(r.seen))
	}
	if r.mended > 0 {
		text := "answers after " + human(r.mended)
		if r.since {
			text = "answers " + human(r.mended) + " after its cause had gone"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// allWell tells whether every scene was run, and as it had to be.
func allWell(reports []sceneReport, scenes int) bool {
	return len(reports) == scenes && !slices.ContainsFunc(reports, func(r sceneReport) bool { return len(r.problems) > 0 })
}

// tourText is the table at the end of a tour, and what was wrong. clean says that nothing was left behind.
func tourText(reports []sceneReport, scenes int, took time.Duration, clean bool, s style) string {
	rows := [][]cell{{{"", nil}, {"SCENE", s.dim}, {"BLAMED", s.dim}, {"DONE", s.dim}, {"SEEN", s.dim}, {"ANSWERS", s.dim}, {"PROCESS", s.dim}}}
	note := false
	for n := range reports {
		r := &reports[n]
		mark, paint := "✓", s.good
		if len(r.problems) > 0 {
			mark, paint = "✗", s.bad
		}
		process := "another"
		if r.kept {
			process = "kept"
		}
		mended := span(r.mended)
		if r.since && r.mended > 0 {
			mended += " *"
			note = true
		}
		rows = append(rows, []cell{{mark, paint}, {r.name, s.bold}, {r.blame, nil}, {r.action, nil}, {span(r.seen), nil}, {mended, nil}, {process, nil}})
	}
	var b strings.Builder
	b.WriteString("\n" + table("", rows))
	if note {
		b.WriteString(s.dim("* after its cause was taken away; else after the site was broken. SEEN is when the failure was confirmed.") + "\n")
	}
	b.WriteString("\n")
	well := 0
	for n := range reports {
		if len(reports[n].problems) == 0 {
			well++
			continue
		}
		for _, p := range reports[n].problems {
			b.WriteString(s.bad("✗ "+reports[n].name) + ": " + p + "\n")
		}
	}
	text := fmt.Sprintf("%d of %s went as they must, in %s", well, count(scenes, "scene"), human(took))
	if clean {
		text += "; nothing is left behind"
	}
	if well == scenes && clean {
		b.WriteString(s.good(text+".") + "\n")
		return b.String()
	}
	b.WriteString(s.dim("To look closer: evenkeel demo --tour --dir FOLDER keeps its log, its journal and its state.") + "\n")
	b.WriteString(s.bad(text+".") + "\n")
	return b.String()
}

// span is a duration in a table; "-" where there is none.
func span(d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return human(d)
}
