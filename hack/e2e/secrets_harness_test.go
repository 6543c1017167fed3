//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// secrets are the values of the site's .env that nobody may ever see, by their name: each is random, so that wherever it
// stands it has come from there.
func (w *world) secrets() map[string]string {
	w.Helper()
	found := maps.Clone(w.planted)
	if found == nil {
		found = map[string]string{}
	}
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

// plant makes known what a test has put into the desired document and nobody may see.
func (w *world) plant(what, secret string) {
	if w.planted == nil {
		w.planted = map[string]string{}
	}
	w.planted[what] = secret
}

// holdsDesired tells a desired document, and the copy that evenkeel keeps of it: what stands there is meant to.
func (w *world) holdsDesired(path string) bool {
	return strings.HasSuffix(path, ".desired.yaml") || slices.ContainsFunc(w.runs, func(s *supervisor) bool { return s.File == path }) ||
		strings.Contains(w.read(path), "\nkind: App\n")
}

// keptSecrets searches everything that evenkeel has written, told and printed in this test for the site's secrets: the state
// folder with monitor.log, the journal and the evidence, its output, the alerts, and what its commands say.
func (w *world) keptSecrets() {
	if len(w.runs) == 0 {
		return
	}
	secrets := w.secrets()
	if len(secrets) < len(w.planted)+2 {
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
		if err == nil && d.Type().IsRegular() && !w.holdsDesired(path) {
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
		for _, args := range s.tellers() {
			out, errs, code := s.cli(args...)
			command := "evenkeel " + strings.Join(args, " ")
			if code == 2 && args[0] != "check" { // whose file a test may have broken
				w.Errorf("%s is refused, so that nothing was searched: %s", command, errs)
			}
			search(command, out+errs)
		}
	}
}

// tellers are the commands that tell of what evenkeel knows, as far as they say something now.
func (s *supervisor) tellers() [][]string {
	s.Helper()
	var list [][]string
	if s.running() {
		list = append(list, []string{"status"}, []string{"status", "-o", "yaml"}, []string{"check", "-f", s.File}, []string{"check", "-f", s.File, "-o", "json"})
	}
	if s.state().Name == "" { // it has never come so far
		return list
	}
	list = append(list, []string{"why", s.App}, []string{"why", s.App, "-o", "json"}, []string{"events"}, []string{"events", "-o", "json"},
		[]string{"incidents"}, []string{"incidents", "-o", "json"})
	if newest := s.newestIncident(); newest > 0 {
		show := []string{"incidents", "show", strconv.FormatInt(newest, 10), s.App}
		list = append(list, show, append(slices.Clone(show), "-o", "json"))
	}
	return list
}

// newestIncident is the number of the App's newest incident; 0 where there was none.
func (s *supervisor) newestIncident() (newest int64) {
	s.Helper()
	out, errs, _ := s.cli("incidents", s.App, "-o", "json")
	var list v1alpha1.IncidentReportList
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		s.Errorf("evenkeel incidents -o json: %v\n%s%s", err, out, errs)
	}
	for n := range list.Items {
		newest = max(newest, list.Items[n].Status.Number)
	}
	return newest
}
