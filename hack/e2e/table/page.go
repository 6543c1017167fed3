package table

import (
	"fmt"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

const head = `# What goes wrong, and what evenkeel does

This page is made by ` + "`hack/generate`" + ` from the table that the end-to-end tests run (hack/e2e/table). A row with faults
(` + "`hack/stack fault NAME`" + `) is injected by them into a real machine with Next.js under PM2 behind Nginx, with PostgreSQL, and the test
asks for what the row says. A row without them has a test of its own on that machine, which breaks things in its own way, and asks
for what the row says too: who is blamed, what is done and told, what becomes of the process; and those at the end of this page,
over recorded facts, cannot be injected there. Nothing but the application's own processes ever loses its process: PM2's daemon, another application in the same PM2,
Nginx and its workers, PostgreSQL, a stray Node process of the same user and one of another user are the same before and
after, but for those that the failure itself ends.

- **evenkeel** says what it does: *nothing* costs no attempt and tells of no failure (of some things it warns); *hold* tells whose fault it is, does nothing, and tells
  the end; a *plain* or *clean* recovery is one, and mends it; *attempts, then Failed* are as many as there are, and then an
  operator's reset.
- **process** says whether the application's own process is kept.
- **within** is the limit from the injection until the verdict stands, at an interval of 2 s (1 s where the row is watched for
  thirty passes); none where nothing is confirmed, and at a test of its own, which has its own limits.
- **test** is its name: ` + "`go test -tags e2e ./hack/e2e -run 'TestE2E/NAME$'`" + `.
`

// Page is docs/failures.md.
func Page() string {
	var b strings.Builder
	b.WriteString(head)
	for _, g := range Groups() {
		fmt.Fprintf(&b, "\n## %s\n\n| failure | blame: rule | evenkeel | process | within | test |\n| --- | --- | --- | --- | --- | --- |\n", g.Title)
		for n := range g.Rows {
			g.Rows[n].line(&b)
		}
	}
	b.WriteString("\n## What cannot be injected there\n\n")
	for _, r := range Rows() {
		if r.Why != "" {
			_, test, _ := strings.Cut(r.Proof, " ")
			fmt.Fprintf(&b, "- %s: %s (`%s`).\n", r.Failure, r.Why, test)
		}
	}
	return b.String()
}

func (r *Row) line(b *strings.Builder) {
	blame := "-"
	if len(r.Blame) > 0 {
		blame = names(r.Blame) + ": `" + strings.Join(r.Rules, "` or `") + "`"
	}
	does := string(r.Action)
	if r.Starts {
		does += "; once it is over, one plain recovery if PM2 has given up"
	}
	if len(r.MayHold) > 0 {
		does += ", or held and told for " + names(r.MayHold)
	}
	within := "-"
	if r.Injected() && r.Action != Nothing {
		within = fmt.Sprintf("%.0f s", r.ConfirmedWithin().Seconds())
	}
	failure := r.Failure
	if made := append(append([]string(nil), r.Before...), r.Faults...); len(made) > 0 && r.Injected() {
		failure += " (`" + strings.ReplaceAll(strings.Join(made, "`, `"), "|", "\\|") + "`)"
	}
	test := "`" + r.Name + "`"
	if r.Case != "" {
		test = "`" + r.Case + "`"
	} else if r.Why != "" {
		_, name, _ := strings.Cut(r.Proof, " ")
		test = "over recorded facts: `" + name + "`"
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", failure, blame, does, r.App, within, test)
}

func names(blames []v1alpha1.Blame) string {
	var list []string
	for _, b := range blames {
		list = append(list, string(b))
	}
	return strings.Join(list, " or ")
}
