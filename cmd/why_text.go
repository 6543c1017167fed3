package cmd

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/keeper"
)

// timelineLength is how many lines of an incident's timeline are shown, and whyWidth how many columns are used.
const (
	timelineLength = 4
	whyWidth       = 100
)

// monitorLog is where the supervisor of a state folder writes its log, unless it was told otherwise.
func monitorLog(dir string) string { return filepath.Join(dir, "monitor.log") }

// whyText is what `why` prints: one screen, in plain words. events are those of the last incident, oldest first; with all,
// every check, every rule that was considered, every step and every event is told of.
func whyText(v *view, events []v1alpha1.Event, now v1alpha1.Instant, s style, all bool) string {
	var b strings.Builder
	b.WriteString(absent(v, now, s))
	b.WriteString(whyHead(v, now, s))
	section := func(title, text string) {
		if text == "" {
			return
		}
		if !all {
			text = fold(text, whyWidth)
		}
		b.WriteString("\n" + s.bold(title) + "\n" + text)
	}
	if v.well(now) && v.Status.Verdict == nil {
		section("The last incident", lastIncident(v, events, now, all))
		section("Worth knowing", worries(v, now, s))
		return b.String()
	}
	section("What is wrong", wrongText(v, s))
	section("What was seen", evidenceText(v, now, s, all))
	section("What else was considered, and what ruled it out", consideredText(v, s, all))
	section("What was done", doneText(v, events, now, s, all))
	section("What stands against the next action", againstText(v, now))
	section("What to do next", nextText(v))
	if v.Status.Phase == v1alpha1.PhaseFailed {
		section("Where to look", whereText(v, all))
	}
	section("Worth knowing", worries(v, now, s))
	return b.String()
}

func whyHead(v *view, now v1alpha1.Instant, s style) string {
	st := &v.Status
	if st.Phase == "" {
		return v.Name + ": nothing is known yet.\n"
	}
	since := ""
	if !st.Since.IsZero() {
		since = fmt.Sprintf(" for %s (since %s)", human(max(now.Wall.Sub(st.Since.Time), 0).Truncate(time.Second)), clockTime(st.Since.Time, now.Wall.Time))
	}
	is := "is"
	if st.Phase == v1alpha1.PhaseCooldown {
		is = "is in"
	}
	head := fmt.Sprintf("%s %s %s%s", s.bold(v.Name), is, s.phase(st.Phase), since)
	held, asked := tally(v.Pass)
	switch {
	case v.well(now) && st.Verdict == nil:
		head += fmt.Sprintf(": %d of %d checks hold", held, asked)
	case v.stale(now):
		age, _ := v.age(now)
		head += "; " + s.bad("no pass has been finished for "+human(age)+", though a supervisor runs; see "+monitorLog(v.Dir))
	}
	if v.observing() {
		head += "\n" + s.warn("Observing only: "+plain(observingText(v)))
	}
	if v.paused(now) {
		head += "\n" + s.warn("Paused "+plain(pauseText(v, now)))
	}
	return head + ".\n"
}

// wrongText says who is blamed, and the sentence.
func wrongText(v *view, s style) string {
	st := &v.Status
	verdict := st.Verdict
	if verdict == nil {
		switch {
		case v.Pass.Holds():
			return "  nothing at the moment; " + plain(st.Message) + "\n"
		case st.Message == "":
			return ""
		}
		return "  " + plain(st.Message) + "\n"
	}
	text := "  " + plain(verdict.Message) + "\n"
	text += fmt.Sprintf("  blame: %s (%s); ", s.bold(string(verdict.Blame)), verdict.Reason)
	switch verdict.Remedy {
	case v1alpha1.RemedyRecover:
		text += "a recovery could help"
	case v1alpha1.RemedyHold:
		text += "acting would not help, or would harm"
	case v1alpha1.RemedyWait:
		text += "it is too early to say"
	default:
		text += "nothing is to be done"
	}
	text += s.dim(" (rule "+verdict.Rule+")") + "\n"
	if st.Phase == v1alpha1.PhaseFailed && st.Message != "" {
		text += "  evenkeel has stopped acting: " + plain(st.Message) + "\n"
	}
	return text
}

// evidenceText is what the last pass saw, or where there is none what the verdict was made from. The checks that hold are
// only named, unless all is asked for.
func evidenceText(v *view, now v1alpha1.Instant, s style, all bool) string {
	switch {
	case v.Pass != nil && all:
		return checksText(v.Pass, now, s) + passLine(v, now, s)
	case v.Pass != nil:
		rest, hold := v.Pass.DeepCopy(), []string(nil)
		for _, r := range inOrder(v.Pass.Results) {
			if r.Status == metav1.ConditionTrue {
				hold = append(hold, r.Check)
			}
		}
		rest.Results = slices.DeleteFunc(rest.Results, func(r v1alpha1.CheckResult) bool { return r.Status == metav1.ConditionTrue })
		text := checksText(rest, now, s)
		if len(hold) > 0 {
			text += "  " + s.mark(metav1.ConditionTrue) + "  " + strings.Join(hold, ", ") + "\n"
		}
		return text + passLine(v, now, s)
	}
	if v.Status.Verdict == nil {
		return ""
	}
	var b strings.Builder
	for _, line := range v.Status.Verdict.Evidence {
		b.WriteString("  " + plain(line) + "\n")
	}
	return b.String()
}

// doneText is what was done in this incident. Steps are told of while they are taken, and otherwise if all is asked for.
func doneText(v *view, events []v1alpha1.Event, now v1alpha1.Instant, s style, all bool) string {
	st := &v.Status
	var b strings.Builder
	if i := st.Incident; i != nil {
		fmt.Fprintf(&b, "  incident %d began %s (%s); %d of %d attempts are spent\n", i.Number,
			ago(now.Since(i.StartedAt)), clockTime(i.StartedAt.Wall.Time, now.Wall.Time), i.Spent, v.maxAttempts())
		b.WriteString(attemptsText(i, now, s))
	}
	if r := st.Recovery; r != nil && (st.Incident == nil || !r.StartedAt.Before(st.Incident.StartedAt)) {
		head, steps := recoveryText(r, now, s)
		b.WriteString(head)
		if all || r.Open() {
			b.WriteString(steps)
		}
	}
	if w := st.Would; w != nil {
		b.WriteString("  nothing: it is only observed; evenkeel would have " + plain(wouldText(w, now)) + "\n")
	}
	if text := timeline(events, now, all); text != "" {
		b.WriteString("  in the journal:\n" + text)
	}
	if b.Len() == 0 {
		return "  nothing yet\n"
	}
	return b.String()
}

func attemptsText(i *v1alpha1.Incident, now v1alpha1.Instant, s style) string {
	var rows [][]cell
	for _, a := range i.Attempts {
		outcome, paint := strings.ToLower(string(a.Outcome)), s.warn
		switch a.Outcome {
		case v1alpha1.AttemptFailed:
			paint = s.bad
		case v1alpha1.AttemptHeld:
			paint = s.good
		case v1alpha1.AttemptPending:
			outcome = "not decided yet"
		}
		took := "-"
		if a.Took.Duration > 0 {
			took = "took " + human(a.Took.Duration)
		}
		why := a.Reason
		if a.Message != "" {
			why += ": " + plain(a.Message)
		}
		rows = append(rows, []cell{
			{fmt.Sprintf("attempt %d", a.Number), nil}, {clockTime(a.StartedAt.Wall.Time, now.Wall.Time), nil},
			{took, nil}, {outcome, paint}, {why, nil},
		})
	}
	return table("  ", rows)
}

// recoveryText tells of one recovery, and of its steps.
func recoveryText(r *v1alpha1.Recovery, now v1alpha1.Instant, s style) (head, steps string) {
	who := "evenkeel"
	if r.Trigger == v1alpha1.TriggerOperator {
		who = "the operator"
	}
	how := "is under way"
	if !r.Open() {
		how = "took " + human(r.FinishedAt.Since(r.StartedAt)) + ": "
		switch {
		case r.Message != "":
			how += plain(r.Message)
		case r.Verified:
			how += "verified"
		default:
			how += "not verified"
		}
	}
	head = fmt.Sprintf("  the last recovery, %s, begun by %s at %s, %s\n", r.ID, who, clockTime(r.StartedAt.Wall.Time, now.Wall.Time), how)
	var rows [][]cell
	row := func(at v1alpha1.Instant, plan, step, took, outcome, message string) {
		paint := func(text string) string { return text }
		if outcome == string(v1alpha1.StepFailed) {
			paint = s.bad
		}
		rows = append(rows, []cell{{at.Wall.In(now.Wall.Location()).Format(time.TimeOnly), s.dim}, {plan, nil}, {step, nil},
			{took, nil}, {outcome, paint}, {plain(message), nil}})
	}
	for _, done := range r.Steps {
		row(done.StartedAt, done.Plan, done.Step, human(done.Took.Duration), string(done.Outcome), done.Message)
	}
	if r.Step != "" && r.StepAt != nil {
		row(*r.StepAt, r.Plan, r.Step, human(now.Since(*r.StepAt)), "under way", "")
	}
	return head, table("    ", rows)
}

// told are the events that make a timeline.
var told = []string{
	v1alpha1.ReasonPhaseChanged, v1alpha1.ReasonRecoveryFinished, v1alpha1.ReasonRecoveryResumed, v1alpha1.ReasonAttemptSpent,
	v1alpha1.ReasonAttemptHeld, v1alpha1.ReasonHoldLimit, v1alpha1.ReasonOrderTaken, v1alpha1.ReasonOrderRefused,
	v1alpha1.ReasonPaused, v1alpha1.ReasonResumed, v1alpha1.ReasonObserving, v1alpha1.ReasonActing, v1alpha1.ReasonWouldRecover,
	v1alpha1.ReasonHealedWithoutUs, v1alpha1.ReasonStateRejected, v1alpha1.ReasonStateLost,
	v1alpha1.ReasonStateRestored,
}

// timeline are the last events; all of them, if that is asked for.
func timeline(events []v1alpha1.Event, now v1alpha1.Instant, all bool) string {
	events = slices.DeleteFunc(slices.Clone(events), func(e v1alpha1.Event) bool { return !slices.Contains(told, e.Reason) })
	if over := len(events) - timelineLength; over > 0 && !all {
		events = events[over:]
	}
	var rows [][]cell
	for _, e := range events {
		rows = append(rows, []cell{{clockTime(e.Time.Time, now.Wall.Time), nil}, {e.Reason, nil}, {plain(e.Message), nil}})
	}
	return table("    ", rows)
}

// againstText says what blocks the next action, and when that ends.
func againstText(v *view, now v1alpha1.Instant) string {
	st, wall := &v.Status, now.Wall.Time
	var lines []string
	if v.Holder == nil {
		lines = append(lines, "no supervisor runs")
	}
	if v.paused(now) {
		lines = append(lines, "it is paused "+pauseText(v, now))
	}
	if b := st.Blocked; b != nil && (b.Reason != "Paused" || !v.paused(now)) {
		text := b.Message
		if b.Until != nil {
			text += "; " + until(b.Until.Time, wall)
		}
		lines = append(lines, text)
	}
	if left := st.Cooldown.Left(now); left > 0 && (st.Blocked == nil || st.Blocked.Reason != "Cooldown") {
		lines = append(lines, "the cooldown after the last recovery; "+until(wall.Add(left), wall))
	}
	switch {
	case len(lines) > 0:
	case st.Recovery.Open():
		lines = append(lines, "nothing: "+recoveryUnderWay(st.Recovery, now))
	case st.Phase == v1alpha1.PhaseHealthy:
		lines = append(lines, "nothing; it has to be confirmed first, so that one slow answer is no outage")
	default:
		lines = append(lines, "nothing")
	}
	return "  " + strings.Join(apply(lines, plain), "\n  ") + "\n"
}

// nextLines are what the operator can do.
func nextLines(v *view) []string {
	var lines []string
	if verdict := v.Status.Verdict; verdict != nil {
		lines = append(lines, verdict.Next...)
	}
	if v.Status.Phase == v1alpha1.PhaseFailed {
		lines = append(lines, "when it is mended: evenkeel reset "+v.Name)
	}
	return lines
}

func nextText(v *view) string {
	lines := nextLines(v)
	if len(lines) == 0 {
		return ""
	}
	return "  - " + strings.Join(apply(lines, plain), "\n  - ") + "\n"
}

func whereText(v *view, all bool) string {
	list := places(v.Name, v.App, v.Dir, monitorLog(v.Dir))
	if !all { // in two lines, without what is to be done next anyway
		next := strings.Join(nextLines(v), "\n")
		var commands []string
		for _, place := range list[1:] {
			if !strings.Contains(next, place[1]) {
				commands = append(commands, place[1])
			}
		}
		return "  " + list[0][1] + "\n  " + strings.Join(commands, "; ") + "\n"
	}
	var rows [][]cell
	for _, place := range list {
		rows = append(rows, []cell{{place[0], nil}, {place[1], nil}})
	}
	return table("  ", rows)
}

// places are where somebody looks who has to mend an App himself: what there is to see, and how to see it.
func places(name string, app *v1alpha1.App, dir, log string) [][2]string {
	list := [][2]string{{"evenkeel's log", log}, {"everything that was done", "evenkeel events " + name}}
	switch {
	case app != nil && app.Spec.Runtime.Exec != nil:
		list = append(list, [2]string{"the application's output", "tail -n 50 " + plain(keeper.OutputIn(dir, name))})
	case app != nil && app.Spec.Runtime.Systemd != nil:
		systemd := app.Spec.Runtime.Systemd
		list = append(list, [2]string{"systemd's word", systemd.Program("systemctl") + " status " + plain(systemd.Unit)},
			[2]string{"the application's output", systemd.Program("journalctl") + " -n 50 -u " + plain(systemd.Unit)})
	default:
		process := name
		if app != nil {
			process = processOf(app)
		}
		list = append(list, [2]string{"PM2's list", "pm2 ls"}, [2]string{"PM2's log", "pm2 logs " + plain(process) + " --lines 50"})
	}
	return append(list, [2]string{"memory", "free -m"}, [2]string{"disk", "df -h"})
}

// lastIncident tells of the last incident of an App that is well.
func lastIncident(v *view, events []v1alpha1.Event, now v1alpha1.Instant, all bool) string {
	if v.Status.LastIncident == 0 {
		return "  there was none yet\n"
	}
	text := fmt.Sprintf("  incident %d", v.Status.LastIncident)
	if i := v.Status.Incident; i != nil {
		text += fmt.Sprintf(" began %s and was blamed on %s (%s); its attempts (%d of %d spent) are forgotten when the application has proven itself",
			ago(now.Since(i.StartedAt)), i.Blame, i.Reason, i.Spent, v.maxAttempts())
	} else if len(events) > 0 {
		first, last := events[0], events[len(events)-1]
		text += fmt.Sprintf(" began %s and was closed %s", ago(now.Wall.Sub(first.Time.Time)), ago(now.Wall.Sub(last.Time.Time)))
	}
	return text + "\n" + timeline(events, now, all)
}

func apply(list []string, f func(string) string) []string {
	out := make([]string, len(list))
	for n, s := range list {
		out[n] = f(s)
	}
	return out
}
