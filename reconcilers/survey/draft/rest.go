package draft

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func (d *drafter) database() {
	e := &d.f.Env
	vars := required(e.Database)
	switch {
	case len(vars) > 0:
		d.line(4, "database: {envFile: .env, require: ["+strings.Join(vars, ", ")+"]}", "named in "+list(e.Files)+"; that it is there, not what it says")
	case e.Error != "":
		d.comment(4, "NOT FOUND OUT: the database's variables; "+e.Error)
		d.verbatim(4, "database: {envFile: .env, require: [DATABASE_URL]}")
	case e.Main:
		d.line(4, "database: {disabled: true}", ".env names no database; without this line DATABASE_URL would be asked for")
	default:
		d.comment(4, "No database check: the folder holds no .env that names one.")
	}
	if e.Error != "" {
		d.unknown("what an environment file names: %s; evenkeel could not read it either, if it runs as %s", e.Error, d.f.User)
	}
	if len(e.Empty) > 0 {
		d.noticed("%s in %s is empty", list(e.Empty), list(e.Files))
	}
}

// required are the variables without which there is no database: DATABASE_URL where there is one, else all.
func required(vars []string) []string {
	if slices.Contains(vars, "DATABASE_URL") {
		return []string{"DATABASE_URL"}
	}
	return vars
}

func (d *drafter) recovery() {
	d.line(2, "recovery:", "")
	d.line(4, "cooldown: 5m", "at least, between the starts of two recoveries")
	d.line(4, "maxAttempts: 3", "then an alert, and nothing until you reset it: evenkeel reset "+d.draft.Name)
	if d.f.Next {
		d.line(4, "caches: [.next/cache, node_modules/.cache]", "emptied only where a plain start has not helped")
	} else {
		d.line(4, "caches: []", "no build of Next.js is here; name folders that may be emptied, if there are any")
	}
}

// alerts cannot be found out.
func (d *drafter) alerts() {
	d.comment(2, "Nobody is told yet (the condition AlertsConfigured will be False). Uncomment one, or both:")
	for _, text := range []string{
		"alerts:",
		"  - webhook: https://chat.example.com/hook   # a POST of JSON, for Slack, Discord and the like",
		"  - exec: [/usr/local/bin/tell-me]           # a program, with the same JSON on its standard input",
	} {
		d.verbatim(2, text)
	}
	d.noticed("nobody would be told: set spec.alerts, a webhook or a program")
}

// plain is text that YAML takes for text without quotes, wherever it stands; plainURL likewise.
var (
	plain    = regexp.MustCompile(`^[A-Za-z/.][A-Za-z0-9_./-]*$`)
	plainURL = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9_./~-]*)?$`)
)

// quote writes text as YAML. Go's quoting is YAML's, too.
func quote(text string) string {
	switch strings.ToLower(text) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", ".inf", ".nan", ".":
		return strconv.Quote(text)
	}
	if plain.MatchString(text) || plainURL.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}
