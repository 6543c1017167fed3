package verdict

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/verdicts.md anew")

// TestDocumentationHoldsTheTable keeps docs/verdicts.md the same as the table of rules.
func TestDocumentationHoldsTheTable(t *testing.T) {
	const path = "../../docs/verdicts.md"
	var b strings.Builder
	b.WriteString(`# Who is to blame: the table of rules

This page is made from the table itself by ` + "`hack/generate`" + `; ` + "`evenkeel why --rules`" + ` prints it too.

Every pass of the checks ends with one verdict. The rules are asked in this order, and the first one that matches gives it.
*Recover* may act: after confirmation, cooldown and budget. *Hold* does nothing, costs no attempt, and says why. *Wait* is too
early to say. A rule marked *certain* needs no further looks; the others count only when a required check has failed
` + "`failureThreshold`" + ` times in a row.

| # | rule | what it sees | blame, reason | what follows | at its limit |
| --- | --- | --- | --- | --- | --- |
`)
	for n, r := range Rules() {
		follows := string(r.Remedy)
		if r.Plan != "" {
			follows += " (" + r.Plan + ")"
		}
		if r.Certain {
			follows += ", certain"
		}
		limit := r.AtLimit
		if r.Limit > 0 && limit != "" {
			limit = "after " + strings.TrimSuffix(r.Limit.String(), "0s") + ": " + limit
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s, %s | %s | %s |\n", n+1, r.Name, r.Sees, r.Blame, r.Reason, follows, limit)
	}
	b.WriteString("\n## What is warned of\n\nWhat is well now and will not stay so is told once, then once a day, and when it is over. It is no failure: it opens no\n" +
		"incident and holds nothing.\n\n| warning | what it sees | blame |\n| --- | --- | --- |\n")
	for _, w := range Warnings() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", w.Reason, w.Sees, w.Blame)
	}
	b.WriteString("\n## What each rule needs, and what the operator is told to look at\n\n" +
		"A rule applies where all that it needs is so; `evenkeel why` tells of the first thing that was not. `{log}` and `{errors}` are\n" +
		"`pm2 logs NAME --lines 50` (with `--err`) under PM2, `journalctl -n 50 -u UNIT` under systemd, and `tail -n 50 FILE` with the output\n" +
		"file under exec; `{list}` is `pm2 ls`, `systemctl status UNIT`, or `evenkeel status APP`; `{start}` is `pm2 start NAME` or\n" +
		"`systemctl start UNIT`.\n\n")
	for _, r := range Rules() {
		needs := strings.Join(r.Needs(), "; ")
		if needs == "" {
			needs = "nothing"
		}
		fmt.Fprintf(&b, "**%s** needs: %s.\n", r.Name, needs)
		for _, hint := range r.Next {
			fmt.Fprintf(&b, "- %s\n", hint)
		}
		b.WriteString("\n")
	}
	for _, w := range Warnings() {
		fmt.Fprintf(&b, "**%s** (a warning)\n- %s\n\n", w.Reason, strings.Join(w.Next, "\n- "))
	}
	want := strings.TrimRight(b.String(), "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Fatalf("%s is not what the table says; run: hack/generate", path)
	}
}
