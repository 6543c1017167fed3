//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func init() {
	register(testCase{Name: "incident-evidence", Seconds: 30, Run: testIncidentEvidence})
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
