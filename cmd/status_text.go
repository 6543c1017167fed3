package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
)

// statusText is what `status` prints: a table of the Apps, and what is to be known of each that is not well. With detail,
// or if there is one App only, each is shown in full.
func statusText(views []view, now v1alpha1.Instant, s style, detail bool) string {
	rows := [][]cell{{{"APP", s.dim}, {"PHASE", s.dim}, {"FOR", s.dim}, {"CHECKS", s.dim}, {"WHY", s.dim}}}
	for n := range views {
		rows = append(rows, summaryRow(&views[n], now, s))
	}
	var b strings.Builder
	b.WriteString(table("", rows))
	for n := range views {
		v := &views[n]
		if len(views) > 1 && !detail && v.code(now) == exitWell {
			if text := worries(v, now, s); text != "" {
				b.WriteString("\n" + s.bold(v.Name) + "\n" + text)
			}
			continue
		}
		b.WriteString("\n")
		if len(views) > 1 {
			b.WriteString(s.bold(v.Name) + "\n")
		}
		b.WriteString(absent(v, now, s) + checksText(v.Pass, now, s) + passLine(v, now, s) + factsText(v, now, s) + worries(v, now, s))
		if v.Status.Phase != "" && !v.well(now) {
			b.WriteString("  " + s.dim("what was done, and what to do: evenkeel why "+v.Name) + "\n")
		}
	}
	return b.String()
}

func summaryRow(v *view, now v1alpha1.Instant, s style) []cell {
	phase := cell{"-", nil}
	if v.Status.Phase != "" {
		phase = cell{string(v.Status.Phase), func(string) string { return s.phase(v.Status.Phase) }}
	}
	since := "-"
	if !v.Status.Since.IsZero() {
		since = human(max(now.Wall.Sub(v.Status.Since.Time), 0).Truncate(time.Second))
	}
	held, asked := tally(v.Pass)
	checks := "-"
	if asked > 0 {
		checks = fmt.Sprintf("%d/%d", held, asked)
	}
	return []cell{{v.Name, s.bold}, phase, {since, nil}, {checks, nil}, {plain(sentence(v, now)), nil}}
}

// tally counts the required checks, and those of them that hold.
func tally(o *v1alpha1.Observation) (held, asked int) {
	if o == nil {
		return 0, 0
	}
	for _, r := range o.Results {
		if !r.Required {
			continue
		}
		asked++
		if r.Status == metav1.ConditionTrue {
			held++
		}
	}
	return held, asked
}

// sentence is the one line of why.
func sentence(v *view, now v1alpha1.Instant) string {
	st := &v.Status
	blamed := func(message string) string {
		if st.Verdict == nil || st.Verdict.Blame == v1alpha1.BlameNone || st.Verdict.Blame == "" {
			return message
		}
		return string(st.Verdict.Blame) + ": " + message
	}
	text := st.Message
	switch {
	case v.Status.Phase == "":
		text = "nothing is known yet"
	case st.Recovery.Open():
		text = recoveryUnderWay(st.Recovery, now)
	case st.Phase == v1alpha1.PhaseHealthy && st.Verdict != nil:
		text = "not confirmed yet: " + blamed(st.Verdict.Message)
	case st.Phase == v1alpha1.PhaseHealthy && v.Pass.Holds():
		text = "everything holds"
	case st.Phase == v1alpha1.PhaseDegraded && st.Verdict != nil:
		text = blamed(st.Verdict.Message)
	case st.Phase == v1alpha1.PhaseCooldown && st.Verdict != nil:
		text = "after a recovery, still: " + blamed(st.Verdict.Message)
	case st.Phase == v1alpha1.PhaseCooldown && v.Pass.Holds():
		text = "everything holds after a recovery, which has to prove itself"
	case st.Phase == v1alpha1.PhaseFailed && v.Pass.Holds():
		text = "everything holds, but nobody protects it until a reset; " + st.Message
	}
	if v.paused(now) {
		text = "paused; " + text
	}
	if v.observing() {
		text = "observing only; " + text
	}
	return text
}

func recoveryUnderWay(r *v1alpha1.Recovery, now v1alpha1.Instant) string {
	text := fmt.Sprintf("recovery %s is under way (plan %s)", r.ID, r.Plan)
	if r.Step != "" {
		text += ": " + r.Step
		if r.StepAt != nil {
			text += ", for " + human(now.Since(*r.StepAt))
		}
	}
	return text
}

// absent says that no supervisor runs.
func absent(v *view, now v1alpha1.Instant, s style) string {
	if v.Holder != nil {
		return ""
	}
	old := "nothing was ever seen"
	if age, ok := v.age(now); ok {
		old = "what is shown is " + human(age.Truncate(time.Second)) + " old"
	}
	run := "evenkeel run -f FILE"
	if v.Source != "" {
		run = "evenkeel run -f " + v.Source
	}
	text := s.bad("! no supervisor runs for "+v.Name+": nobody protects it; "+old) +
		"\n  start one: systemctl start evenkeel, or " + plain(run) + "\n"
	if len(v.Unseen) > 0 {
		text += "  unless one runs where this user may not look: " + strings.Join(v.Unseen, ", ") + "; try it with sudo\n"
	}
	return text + "\n"
}

// checkOrder is the order in which checks are shown: from the process outwards.
var checkOrder = []string{v1alpha1.CheckProcess, v1alpha1.CheckPort, v1alpha1.CheckLocal, v1alpha1.CheckPublic,
	v1alpha1.CheckMemory, v1alpha1.CheckDisk, v1alpha1.CheckDatabase, v1alpha1.CheckWorkers, v1alpha1.CheckDeploy, v1alpha1.CheckBuild,
	v1alpha1.CheckEnvironment, v1alpha1.CheckHost}

// inOrder gives results in the order in which checks are told of.
func inOrder(results []v1alpha1.CheckResult) []v1alpha1.CheckResult {
	place := func(r v1alpha1.CheckResult) int {
		if n := slices.Index(checkOrder, r.Check); n >= 0 {
			return n
		}
		return len(checkOrder)
	}
	return slices.SortedStableFunc(slices.Values(results), func(a, b v1alpha1.CheckResult) int { return cmp.Compare(place(a), place(b)) })
}

// checksText is the table of the checks of a pass.
func checksText(o *v1alpha1.Observation, now v1alpha1.Instant, s style) string {
	if o == nil {
		return "  no pass has been finished yet\n"
	}
	var rows [][]cell
	for _, r := range inOrder(o.Results) {
		message := plain(r.Message)
		if o.At.Since(r.At) > time.Second {
			message += " (asked " + ago(now.Since(r.At)) + ")"
		}
		if !r.Required && r.Status != metav1.ConditionTrue {
			message += " (health does not need it)"
		}
		paint := func(text string) string { return text }
		if r.Status == metav1.ConditionFalse {
			paint = s.bad
		}
		rows = append(rows, []cell{
			{markOf(r.Status), func(string) string { return s.mark(r.Status) }}, {r.Check, paint}, {r.Reason, nil}, {message, nil},
		})
	}
	return table("  ", rows)
}

func markOf(status metav1.ConditionStatus) string { return style{}.mark(status) }

// passLine says how old the last pass is.
func passLine(v *view, now v1alpha1.Instant, s style) string {
	age, ok := v.age(now)
	if !ok {
		return ""
	}
	text := fmt.Sprintf("last pass %s, took %s; every %s", ago(age), human(v.Pass.Took.Duration), human(v.interval()))
	if v.stale(now) {
		return "  " + s.bad(text+": it is overdue; see "+monitorLog(v.Dir)) + "\n"
	}
	return "  " + s.dim(text) + "\n"
}

// factsText is what else there is to know: attempts, cooldown, hold, pause, recovery, supervisor.
func factsText(v *view, now v1alpha1.Instant, s style) string {
	st, wall := &v.Status, now.Wall.Time
	var rows [][]cell
	add := func(name, text string) { rows = append(rows, []cell{{name, s.dim}, {plain(text), nil}}) }
	if i := st.Incident; i != nil {
		text := fmt.Sprintf("%d of %d spent, in incident %d, which began %s", i.Spent, v.maxAttempts(), i.Number, ago(now.Since(i.StartedAt)))
		if i.Flaps > 0 {
			text += fmt.Sprintf("; %d of its recoveries held only for a while", i.Flaps)
		}
		add("attempts", text)
	} else if st.Phase != "" {
		add("attempts", fmt.Sprintf("all %d available", v.maxAttempts()))
	}
	if left := st.Cooldown.Left(now); left > 0 {
		add("cooldown", until(wall.Add(left), wall))
	}
	if h := st.Hold; h != nil {
		add("held", heldText(v, h, now))
	}
	if v.observing() {
		add("observing", observingText(v))
	}
	if w := st.Would; w != nil {
		add("would have", wouldText(w, now))
	}
	if v.paused(now) {
		add("paused", pauseText(v, now))
	}
	if b := st.Blocked; b != nil && st.Hold == nil && !v.paused(now) && !v.observing() && st.Cooldown.Left(now) == 0 {
		add("blocked", b.Message)
	}
	if st.Demand != nil {
		add("demanded", "a recovery was asked for "+ago(now.Since(st.Demand.At))+"; it begins after the next look")
	}
	if v.Ordered != "" {
		add("ordered", fmt.Sprintf("phase %s stands in the state file, and was not taken yet", v.Ordered))
	}
	if h := v.Holder; h != nil {
		add("supervisor", fmt.Sprintf("process %d%s, for %s", h.PID, orEmpty(" of ", h.User), human(max(wall.Sub(h.Since), 0))))
	}
	if v.Swap != "" {
		add("swap", v.Swap)
	}
	if v.Source != "" {
		add("desired", v.Source)
	}
	return table("  ", rows)
}

// heldText says for whom the App is held, what ends that, and when.
func heldText(v *view, h *v1alpha1.Hold, now v1alpha1.Instant) string {
	verdict := v.Status.Verdict
	if verdict != nil && verdict.Rule != h.Rule { // the hold was for another reason than the last look's
		verdict = nil
	}
	left := v.Status.Incident == nil || v.spent() < v.maxAttempts()
	text := fmt.Sprintf("for %s (%s), since %s; %s", h.Blame, h.Reason, human(now.Since(h.Since)), controller.HoldEnds(h, verdict, left))
	if h.Until != nil {
		text += "; " + until(h.Until.Time, now.Wall.Time)
	}
	return text
}

// pauseText says why the App is paused, and until when.
func pauseText(v *view, now v1alpha1.Instant) string {
	if v.App == nil {
		return "by the operator"
	}
	text := "by the operator"
	if v.App.Spec.PauseReason != "" {
		text += ": " + v.App.Spec.PauseReason
	}
	if end := v.App.Spec.PausedUntil; end != nil {
		return text + "; " + until(end.Time, now.Wall.Time)
	}
	return text + "; until: evenkeel resume " + v.Name
}

func orEmpty(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// worries lists the conditions that are not as they should be, and what could not be read.
func worries(v *view, now v1alpha1.Instant, s style) string {
	var b strings.Builder
	line := func(text string) { b.WriteString("  " + s.warn("! "+text) + "\n") }
	for _, known := range []struct{ condition, text string }{
		{v1alpha1.ConditionSpecAccepted, "the desired state as it is saved is not in force: "},
		{v1alpha1.ConditionStatePersisted, "what evenkeel knew was not on disk: "},
		{v1alpha1.ConditionEditAccepted, "the last edit of the state file was not taken: "},
		{v1alpha1.ConditionAlertsConfigured, ""},
	} {
		if c := meta.FindStatusCondition(v.Status.Conditions, known.condition); c != nil && c.Status == metav1.ConditionFalse {
			for n, text := range strings.Split(strings.TrimSpace(c.Message), "\n") {
				if n == 0 {
					text = known.text + text
				}
				line(plain(text))
			}
		}
	}
	for n := range v.Status.Warnings {
		if w := &v.Status.Warnings[n]; w.EndedAt == nil {
			line(plain(strings.Join(append([]string{w.Message}, w.Next...), "; ")))
		}
	}
	for _, u := range v.Status.Unknown {
		if d := now.Since(u.Since); d >= time.Minute {
			line(fmt.Sprintf("the check %q could not be asked for %s", u.Check, human(d)))
		}
	}
	for _, text := range v.Troubles {
		line(plain(text))
	}
	return b.String()
}
