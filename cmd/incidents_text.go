package cmd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// incidentsText is the table of incidents.
func incidentsText(list []v1alpha1.IncidentReport, now v1alpha1.Instant, s style) string {
	rows := [][]cell{{{"APP", s.dim}, {"NO", s.dim}, {"BEGAN", s.dim}, {"BLAME", s.dim}, {"REASON", s.dim}, {"ATTEMPTS", s.dim}, {"DOWN", s.dim}, {"OUTCOME", s.dim}}}
	for n := range list {
		i := &list[n].Status
		rows = append(rows, []cell{
			{i.App, s.bold}, {strconv.FormatInt(i.Number, 10), nil}, {clockTime(i.StartedAt.Wall.Time, now.Wall.Time), nil},
			{blames(i), nil}, {i.Reason, nil}, {attemptsOf(i), nil}, {downFor(i, true, now), nil}, {plain(outcomeOf(i)), nil},
		})
	}
	return table("", rows)
}

// blames names all that were blamed, the first one first.
func blames(i *v1alpha1.IncidentStatus) string {
	list := []string{string(i.Blame)}
	for _, b := range i.Blames {
		if !slices.Contains(list, string(b)) {
			list = append(list, string(b))
		}
	}
	return strings.Join(list, ", ")
}

// attemptsOf counts the attempts: all, and those that are spent.
func attemptsOf(i *v1alpha1.IncidentStatus) string {
	n := 0
	if len(i.Attempts) > 0 {
		n = int(i.Attempts[len(i.Attempts)-1].Number)
	}
	if i.Spent == 0 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d (%d failed)", n, i.Spent)
}

// downFor is for how long the application itself was down, or, with leading false, every other check that was, by name.
func downFor(i *v1alpha1.IncidentStatus, leading bool, now v1alpha1.Instant) string {
	var parts []string
	for _, d := range i.Downtime {
		if d.Leading != leading {
			continue
		}
		total, going := d.Total.Duration, ""
		if d.Since != nil && i.Closed == "" {
			total, going = total+now.Since(*d.Since), ", and still"
		}
		text := human(total.Round(100*time.Millisecond)) + going
		if !leading {
			text = d.Check + " " + text
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, "; ")
}

// outcomeOf says how an incident stands, or ended.
func outcomeOf(i *v1alpha1.IncidentStatus) string {
	down := slices.ContainsFunc(i.Downtime, func(d v1alpha1.CheckDowntime) bool { return d.Since != nil })
	switch {
	case i.Closed == "" && (i.Mended == nil || down):
		return "open"
	case i.Closed == "":
		return "mended: " + i.Mended.By + "; has to prove itself"
	case i.Mended != nil:
		return "mended: " + i.Mended.By
	}
	return "closed: " + i.Closed
}

// incidentText shows one incident whole.
func incidentText(r *v1alpha1.IncidentReport, now v1alpha1.Instant, s style) string {
	i := &r.Status
	wall := now.Wall.Time
	var b strings.Builder
	fmt.Fprintf(&b, "%s, incident %d\n", s.bold(i.App), i.Number)
	rows := [][]cell{}
	add := func(name, text string) { rows = append(rows, []cell{{name, s.dim}, {plain(text), nil}}) }
	add("began", clockTime(i.StartedAt.Wall.Time, wall)+" ("+ago(now.Since(i.StartedAt))+")")
	add("blame", blames(i)+" ("+i.Reason+")")
	add("outcome", outcomeOf(i))
	if i.Mended != nil {
		add("well again", fmt.Sprintf("%s, %s after it began", clockTime(i.Mended.At.Wall.Time, wall), human(i.Mended.At.Since(i.StartedAt))))
	}
	if i.ClosedAt != nil {
		add("closed", clockTime(i.ClosedAt.Wall.Time, wall)+": "+i.Closed)
	}
	add("down for", downFor(i, true, now))
	if other := downFor(i, false, now); other != "-" {
		add("not holding", other)
	}
	add("attempts", attemptsOf(i))
	b.WriteString(table("  ", rows))
	b.WriteString(attemptsText(&i.Incident, now, s))
	section := func(title string) { b.WriteString("\n" + s.bold(title) + "\n") }
	if len(i.Timeline) > 0 {
		section("What happened")
		var lines [][]cell
		for _, e := range i.Timeline {
			lines = append(lines, []cell{{clockTime(e.Time.Time, wall), s.dim}, {e.Reason, nil}, {plain(e.Message), nil}})
		}
		b.WriteString(table("  ", lines))
	}
	for n := range i.Evidence {
		e := &i.Evidence[n]
		section(fmt.Sprintf("What was seen before recovery %s, at %s", e.Recovery, clockTime(e.At.Wall.Time, wall)))
		for _, part := range e.Parts {
			b.WriteString(partText(&part, s))
		}
	}
	if len(i.Evidence) == 0 && len(i.Attempts) > 0 {
		b.WriteString("\nthe evidence of its recoveries is not kept any more\n")
	}
	return b.String()
}

// partText shows one part of the evidence. Its text came from elsewhere: line by line, without what a terminal would obey.
func partText(p *v1alpha1.EvidencePart, s style) string {
	title := p.Name
	if p.Cut {
		title += " (cut)"
	}
	var b strings.Builder
	b.WriteString("  " + s.dim("-- "+title) + "\n")
	if p.Text != "" {
		for line := range strings.SplitSeq(p.Text, "\n") {
			indent := len(line) - len(strings.TrimLeft(line, " "))
			b.WriteString("  " + strings.Repeat(" ", indent) + plain(line) + "\n")
		}
	}
	if p.Error != "" {
		b.WriteString("  " + s.warn("could not be seen: "+plain(p.Error)) + "\n")
	}
	return b.String()
}
