//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func init() {
	register(testCase{Name: "init", Seconds: 10, Run: testInit})
}

// testInit: what init writes on this machine makes evenkeel Healthy without an edit.
func testInit(w *world) {
	site := w.mustSite()
	file := filepath.Join(w.dir, "bbyatch.yaml")
	say := func(want int, args ...string) (string, string) {
		w.Helper()
		began := time.Now()
		out, errs, code := w.as("deploy", append([]string{w.binary}, args...)...)
		w.Logf("$ evenkeel %s   (exit %d, %.1f s)\n%s%s", strings.Join(args, " "), code, time.Since(began).Seconds(), out, errs)
		if code != want {
			w.Fatalf("evenkeel %s: exit %d, want %d", strings.Join(args, " "), code, want)
		}
		return out, errs
	}
	contains := func(text string, wanted ...string) {
		w.Helper()
		for _, want := range wanted {
			if !strings.Contains(text, want) {
				w.Errorf("%q is missing", want)
			}
		}
	}

	// PM2 also runs the shop, which serves HTTP too: it must be told which.
	_, errs := say(1, "init", "-o", file)
	contains(errs, "bbyatch", "shop", "evenkeel init bbyatch")

	began := time.Now()
	say(0, "init", "bbyatch", "-o", file)
	w.measure.add("init took %.1f s", time.Since(began).Seconds())
	text := w.read(file)
	w.Logf("%s:\n%s", file, text)
	secrets := 0
	for line := range strings.Lines(w.read(w.app(".env"))) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		if !ok || value == "" || strings.HasPrefix(w.env["PUBLIC_URL"], value) { // NEXTAUTH_URL is no secret
			continue
		}
		if secrets++; strings.Contains(text, value) {
			w.Errorf("the value of %s stands in the file", name)
		}
	}
	if secrets == 0 {
		w.Error(".env holds nothing that would have to be kept secret")
	}
	_, errs = say(1, "init", "bbyatch", "-o", file)
	contains(errs, "is there already", "--force")
	out, _ := say(0, "validate", "-f", file)
	contains(out, "bbyatch is right", w.env["PUBLIC_URL"], "ecosystem.config.js", w.env["APP_DIR"], "DATABASE_URL", ".next/cache")
	if printed, _ := say(0, "init", "bbyatch", "-o", "-"); printed == "" || !slices.Equal(settings(w, printed), settings(w, text)) {
		w.Errorf("printed is something else than written:\n%s", printed)
	}

	// As it stands: no edit, no shorter times.
	s := w.prepare("unused", w.defaults())
	s.File = file
	start := time.Now()
	s.begin()
	s.waitHealthy(60 * time.Second)
	w.measure.add("Healthy after %.1f s", time.Since(start).Seconds())
	app := s.get()
	for _, name := range sevenChecks {
		r, ok := app.Status.LastPass.Result(name)
		if !ok || r.Status != metav1.ConditionTrue {
			w.Errorf("check %s: %+v", name, r)
		}
	}
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s", site, now)
	}
}

// settings are the lines of a document without its comments, in a fixed order.
func settings(w *world, text string) []string {
	w.Helper()
	doc := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		w.Fatal(err)
	}
	plain, err := yaml.Marshal(doc)
	if err != nil {
		w.Fatal(err)
	}
	return strings.Split(string(plain), "\n")
}
