//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// secrets are the values of the site's .env that nobody may ever see, by their name: each is random, so that wherever it
// stands it has come from there.
func (w *world) secrets() map[string]string {
	w.Helper()
	found := map[string]string{}
	for _, name := range []string{".env", ".env.away"} { // a test may have put it away
		data, err := os.ReadFile(w.app(name))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			value = strings.Trim(value, `"`)
			switch key {
			case "DATABASE_URL":
				if u, err := url.Parse(value); err == nil {
					if password, ok := u.User.Password(); ok {
						found["the password in DATABASE_URL"] = password
					}
				}
			case "NEXTAUTH_SECRET":
				found[key] = value
			}
		}
	}
	return found
}

// keptSecrets searches everything that evenkeel has written, told and printed in this test for the site's secrets: the state
// folder with monitor.log, the journal and the evidence, its output, the alerts, and what its commands say.
func (w *world) keptSecrets() {
	if len(w.runs) == 0 {
		return
	}
	secrets := w.secrets()
	if len(secrets) < 2 {
		w.Errorf("the site has no secrets to look for: %d", len(secrets))
	}
	search := func(where, text string) {
		for name, secret := range secrets {
			// also a half of it, and as it would stand in a header
			for _, part := range []string{secret[:len(secret)/2], secret[len(secret)/2:], base64.StdEncoding.EncodeToString([]byte(secret))} {
				if strings.Contains(text, part) {
					w.Errorf("%s holds %s", where, name)
					break
				}
			}
		}
	}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			search(path, w.read(path))
		}
		return nil
	})
	if err != nil {
		w.Error(err)
	}
	for _, in := range w.inboxes {
		text, _ := json.Marshal(in.byWebhook())
		search("an alert to the webhook", string(text))
	}
	for _, s := range w.runs {
		if !s.running() {
			continue
		}
		for _, args := range [][]string{{"status"}, {"status", "-o", "yaml"}, {"why"}, {"events"}, {"events", "-o", "json"}, {"check", "-f", s.File}} {
			out, errs, _ := s.cli(args...)
			search("evenkeel "+strings.Join(args, " "), out+errs)
		}
	}
}
