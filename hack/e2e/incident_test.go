//go:build e2e

package e2e

import (
	"crypto/rand"
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "incident-evidence", Seconds: 30, Run: testIncidentEvidence})
	register(testCase{Name: "secrets-of-files", Seconds: 60, Run: testSecretsOfFiles})
	register(testCase{Name: "shadow-mode", Seconds: 40, Run: testShadowMode})
}

// testIncidentEvidence: a site that writes its secrets into its log crashes for good. What was seen before the recovery is kept
// and shown, with and without a supervisor. That no secret is in it, nor anywhere else, is searched for after every test.
func testIncidentEvidence(w *world) {
	d := w.reference()
	w.inbox(d)
	s := w.supervise(d)
	since := w.unseen("crash-errored", "telling")
	s.waitEvent(time.Minute, since, "the recovery ends", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryFinished })
	s.waitHealthy(time.Minute)
	if code := s.term(); code != 0 {
		w.Errorf("exit code %d after SIGTERM", code)
	}
	out, errs, code := s.cli("incidents")
	if code != 0 || !strings.Contains(out, "ProcessGone") || !strings.Contains(out, "mended: recovery 1-1") {
		w.Errorf("incidents: exit code %d\n%s%s", code, out, errs)
	}
	out, errs, code = s.cli("incidents", "show", "1", "-o", "json")
	var r v1alpha1.IncidentReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		w.Fatalf("incidents show: exit code %d, %v\n%s%s", code, err, out, errs)
	}
	i := &r.Status
	if len(i.Attempts) != 1 || len(i.Timeline) == 0 || len(i.Downtime) == 0 || i.Downtime[0].Total.Duration <= 0 {
		w.Errorf("incident: %d attempts, %d events, downtime %v", len(i.Attempts), len(i.Timeline), i.Downtime)
	}
	if len(i.Evidence) != 1 {
		w.Fatalf("evidence of %d recoveries is kept, want one", len(i.Evidence))
	}
	parts, masked := map[string]string{}, false
	for _, p := range i.Evidence[0].Parts {
		parts[p.Name] = p.Text
		masked = masked || strings.Contains(p.Text, "[masked]")
		if p.Error != "" {
			w.note("%s: %s", p.Name, p.Error)
		}
	}
	for name, want := range map[string]string{
		"verdict": "ProcessGone", "observations": "process False", "runtime": "errored", "processes": "no process",
		"sockets": "nobody listens", "memory": "available", "answers": "refused",
	} {
		if !strings.Contains(parts[name], want) {
			w.Errorf("%s: want %q in it:\n%s", name, want, parts[name])
		}
	}
	if !masked || parts["output"]+parts["errors"] == "" {
		w.Errorf("of the log in which the site told its secrets nothing is kept, or nothing is masked:\n%s%s", parts["output"], parts["errors"])
	}
	if out, _, code := s.cli("incidents", "show", "1"); code != 0 || !strings.Contains(out, "What was seen before recovery 1-1") {
		w.Errorf("incidents show: exit code %d\n%s", code, out)
	}
	if took := i.Evidence[0].Took.Duration; took > 2*time.Second {
		w.Errorf("the evidence took %s", took)
	} else {
		w.measure.add("gathered in %.0f ms", took.Seconds()*1000)
	}
}

// testShadowMode: in mode Observe a site that fails is left alone. What would have been done is journalled, and that it healed
// without it; nothing of it counts. Saved as Active in the midst of the next failure, it is mended.
func testShadowMode(w *world) {
	d := w.reference().Set("spec.mode", "Observe")
	in := w.inbox(d)
	s := w.supervise(d)
	site := w.mustSite()
	since := w.fault("http-500-forever")
	would := s.waitEvent(time.Minute, since, "it would recover", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonWouldRecover })
	if !strings.Contains(would.Message, "stop, linger, port, memory, start, verify") {
		w.Errorf("it does not say what it would do: %s", would.Message)
	}
	s.waitPasses(5, time.Minute)
	if out, errs, code := s.cli("recover"); code != 1 || !strings.Contains(out+errs, "only observes") {
		w.Errorf("recover: exit code %d\n%s%s", code, out, errs)
	}
	for _, command := range []string{"status", "why"} {
		if out, _, _ := s.cli(command); !strings.Contains(strings.ToLower(out), "observing only") {
			w.Errorf("%s does not say that it observes only:\n%s", command, out)
		}
	}
	w.clear("http-500-forever")
	s.waitEvent(time.Minute, since, "it healed without us", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonHealedWithoutUs })
	s.waitHealthy(time.Minute)
	if now := w.site(); now != site {
		w.Errorf("the site was %s and is %s", site, now)
	}
	if did := s.events(since, v1alpha1.ReasonRecoveryStarted, v1alpha1.ReasonStepStarted, v1alpha1.ReasonAttemptSpent); len(did) > 0 {
		w.Errorf("something was done: %v", did)
	}
	st := s.state()
	if st.Cooldown != nil || st.Recovery != nil || st.Incident != nil && (len(st.Incident.Attempts) > 0 || st.Incident.Spent > 0) {
		w.Errorf("something counts: cooldown %v, recovery %v, incident %+v", st.Cooldown, st.Recovery, st.Incident)
	}
	if list := in.byProgram(); len(list) == 0 || !list[0].Observing {
		w.Errorf("alerts: %v, want some that are marked", words(list))
	}

	since = w.fault("http-500")
	s.waitEvent(time.Minute, since, "it would recover again", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonWouldRecover })
	saved := time.Now()
	w.write(s.File, d.Set("spec.mode", "Active").Text(), 0o644)
	begun := s.waitEvent(10*time.Second, saved, "it acts", func(e v1alpha1.Event) bool { return e.Reason == v1alpha1.ReasonRecoveryStarted })
	s.waitHealthy(time.Minute)
	w.measure.add("acted %.1f s after it was let", begun.Time.Sub(saved).Seconds())
}

// testSecretsOfFiles: PM2 has lost the site, and the ecosystem file that is to bring it back cannot be read; PM2 prints it then,
// with the site's secrets in it. The public address holds a password and a token. That none of it is anywhere is searched for
// after every test.
func testSecretsOfFiles(w *world) {
	const file = "ecosystem.yml"
	site, err := url.Parse(w.env["PUBLIC_URL"])
	if err != nil {
		w.Fatal(err)
	}
	password, token := rand.Text(), rand.Text()
	w.plant("the password in the public address", password)
	w.plant("the token in the public address", token)
	site.User, site.RawQuery = url.UserPassword("evenkeel", password), "token="+token
	d := w.reference().Set("spec.runtime.pm2.start", file).Set("spec.checks.public.url", site.String()).Set("spec.recovery.respectStop", "2s")
	w.inbox(d)
	text := "apps:\n  - name: bbyatch\n    script: server.js\n    env:\n"
	for line := range strings.Lines(w.read(w.app(".env"))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			text += "      " + name + ": \"" + strings.Trim(value, `"`) + "\"\n"
		}
	}
	path := w.app(file)
	w.write(path, text+"      BROKEN: \"no end\n", 0o644)
	w.Cleanup(func() { _ = os.Remove(path) })
	s := w.supervise(d)
	since := w.unseen("pm2-delete")
	failed := s.waitEvent(time.Minute, since, "the start fails", func(e v1alpha1.Event) bool {
		return e.Reason == v1alpha1.ReasonStepFinished && strings.Contains(e.Message, file)
	})
	if !strings.Contains(failed.Message, "YAMLException at ") {
		w.Errorf("it does not say what is wrong with the file: %s", failed.Message)
	}
	w.note("%s", failed.Message)
	if err := os.Remove(path); err != nil {
		w.Fatal(err)
	}
	w.pm2("start", w.app("ecosystem.config.js"))
	s.waitHealthy(2 * time.Minute)
}
