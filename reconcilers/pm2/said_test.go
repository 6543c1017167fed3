//go:build linux

package pm2

import (
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestSaid(t *testing.T) {
	const file = "/srv/site/eco.config.js"
	for name, tc := range map[string]struct{ printed, want string }{
		"nothing":               {"", ""},
		"PM2's own words":       {"\x1b[31m[PM2][ERROR] \x1b[39mno, never\n", "[PM2][ERROR] no, never"},
		"twice the same":        {"[PM2] no\n[PM2] no\n", "[PM2] no"},
		"a program is missing":  {"/usr/bin/env: 'node': No such file or directory\n", "/usr/bin/env: 'node': No such file or directory"},
		"a scope is refused":    {"Failed to start transient scope unit: Access denied\n", "Failed to start transient scope unit: Access denied"},
		"options are passed on": {"[PM2][ERROR] Error: Script not found: /srv/site/web.js --key abc\n", "[PM2][ERROR] Error: Script not found: /srv/site/web.js …"},
		"an object":             {"[PM2][ERROR] Process config loading failed { env: { A: 'abc' } }\n", "[PM2][ERROR] Process config loading failed …"},
		"what looks like a secret": {
			"[PM2][ERROR] Error: Script not found: postgres://u:hunter2xyz@h/d\n",
			"[PM2][ERROR] Error: Script not found: postgres://[masked]@h/d",
		},
		"an error's class, and its code": {
			"Error: Cannot find module '/srv/abc'\n    at x (y:1:2) {\n  code: 'MODULE_NOT_FOUND',\n  requireStack: []\n}\n",
			"Error; MODULE_NOT_FOUND; " + unsaid,
		},
		"a code beside the class": {"Error [ERR_REQUIRE_ESM]: require() of abc\n", "Error ERR_REQUIRE_ESM; " + unsaid},
		"its place": {
			"[PM2][ERROR] File " + file + " malformated\n" + file + ":12\nconst key = 'abc'\n      ^^^\n\nSyntaxError: Unexpected identifier 'abc'\n",
			"[PM2][ERROR] File " + file + " malformated; in line 12; SyntaxError; " + unsaid,
		},
		"another file's place": {"/srv/site/other.js:12\nTypeError: abc\n", "TypeError; " + unsaid},
		"YAML":                 {"YAMLException: unknown tag !<abc> (3:7)\n\n 1 | apps:\n", "YAMLException at 3:7; " + unsaid},
		"a second class":       {"TypeError: abc\nabcError: no\nRangeError: x\n", "TypeError; " + unsaid},
		"all else":             {"abc\n  at Error: abc\n", unsaid},
		"no text":              {"\xff\xfe\x00\n", unsaid},
	} {
		t.Run(name, func(t *testing.T) {
			if got := said([]byte(tc.printed), file); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	if got := said([]byte(strings.Repeat("[PM2] é\n[PM2] è\n", 1000)), ""); len(got) > tailSize+len("…") {
		t.Errorf("%d bytes", len(got))
	}
	if got := firstLine("process name not found\n    at abc"); got != "process name not found" {
		t.Errorf("the daemon's error is shown as %q", got)
	}
}

// FuzzSaid: nothing of a line that is not PM2's own comes through, whatever it is.
func FuzzSaid(f *testing.F) {
	f.Add("DATABASE_URL: ", "\n")
	f.Add("Error: ", "")
	f.Add("YAMLException: x", "(1:1)")
	f.Add("/f:", "")
	f.Fuzz(func(t *testing.T, before, behind string) {
		const secret = "s3cr3t-0f-th3-f1l3"
		for line := range strings.Lines(colours.ReplaceAllString(before, "")) {
			if ownWord.MatchString(strings.TrimSpace(line)) {
				return // PM2's own words are shown
			}
		}
		if got := said([]byte(before+secret+behind), "/f"); strings.Contains(got, secret) {
			t.Errorf("%q", got)
		}
	})
}

// malformed are ecosystem files that PM2 cannot read, or that cannot be run, with secrets in them.
var malformed = map[string]struct{ text, want string }{
	"bad.yml": {"apps:\n  - name: nobody\n    script: web.js\n    env:\n      DATABASE_URL: postgres://shop:pw-of-the-shop@db/shop\n" +
		"      NEXTAUTH_SECRET: \"auth-of-the-shop\n      X: y\n", "YAMLException at 8:1"},
	"bad.json": {`{"apps":[{"name":"nobody","script":"web.js","env":{"DATABASE_URL":"postgres://shop:pw-of-the-shop@db/shop" "NEXTAUTH_SECRET":"auth-of-the-shop"}}]}`,
		"malformated"},
	"bad.config.js": {"module.exports = {apps: [\n{name: 'nobody', script: 'web.js', env: {DATABASE_URL: 'postgres://shop:pw-of-the-shop@db/shop' NEXTAUTH_SECRET: 'auth-of-the-shop'}}]}",
		"in line 2; SyntaxError"},
	"throws.config.js": {"const env = {DATABASE_URL: 'postgres://shop:pw-of-the-shop@db/shop', NEXTAUTH_SECRET: 'auth-of-the-shop'};\nthrow Object.assign(new Error('no: ' + env.DATABASE_URL), env)", "malformated; Error"},
}

// quotesNothing: a file that PM2 refuses is not shown.
func quotesNothing(t *testing.T, w *world) {
	for name, file := range malformed {
		w.write(name, file.text)
		app := w.app("nobody")
		app.Spec.Runtime.PM2.Start = name
		r, err := w.m.Start(t.Context(), app, v1alpha1.Instant{})
		if err == nil {
			t.Errorf("%s: it was started", name)
			continue
		}
		text := err.Error() + r.Message
		for _, secret := range []string{"of-the-shop", "DATABASE_URL", "NEXTAUTH_SECRET"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %s came through: %s", name, secret, text)
			}
		}
		if !strings.Contains(text, name) || !strings.Contains(text, file.want) {
			t.Errorf("%s: it does not say %q: %s", name, file.want, text)
		}
	}
}
