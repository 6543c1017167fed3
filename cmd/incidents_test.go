package cmd

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// pastIncidents are one that a recovery mended, and one that was somebody else's fault.
func pastIncidents() []*v1alpha1.IncidentReport {
	crash := reportOf("bbyatch", &v1alpha1.Incident{
		Number: 2, StartedAt: at(-5 * time.Hour), Blame: v1alpha1.BlameApp, Reason: "ProcessGone", Blames: []v1alpha1.Blame{v1alpha1.BlameApp},
		Attempts: []v1alpha1.Attempt{{Number: 1, StartedAt: at(-5 * time.Hour), Outcome: v1alpha1.AttemptHeld, Reason: "ProcessGone", Took: metav1.Duration{Duration: 6 * time.Second}}},
		Downtime: []v1alpha1.CheckDowntime{{Check: "local", Leading: true, Total: metav1.Duration{Duration: 9 * time.Second}}, {Check: "public", Total: metav1.Duration{Duration: 12 * time.Second}}},
		Mended:   &v1alpha1.Mended{At: at(-5*time.Hour + 9*time.Second), By: "recovery 2-1 (plan Plain)"},
	})
	crash.Status.ClosedAt, crash.Status.Closed = atp(-4*time.Hour), "the application has been well for 30m0s"
	held := reportOf("bbyatch", &v1alpha1.Incident{
		Number: 3, StartedAt: at(-2 * time.Hour), Blame: v1alpha1.BlameDatabase, Reason: "DatabaseDown", Blames: []v1alpha1.Blame{v1alpha1.BlameDatabase, v1alpha1.BlameProxy},
		Downtime: []v1alpha1.CheckDowntime{{Check: "local", Leading: true, Total: metav1.Duration{Duration: time.Hour}}},
		Mended:   &v1alpha1.Mended{At: at(-time.Hour), By: "its cause went away (Database); evenkeel held"},
	})
	held.Status.ClosedAt, held.Status.Closed = atp(-30*time.Minute), "the application has been well for 30m0s"
	return []*v1alpha1.IncidentReport{crash, held}
}

func evidenceOfCrash() *v1alpha1.Evidence {
	return &v1alpha1.Evidence{Recovery: "2-1", At: at(-5 * time.Hour), Parts: []v1alpha1.EvidencePart{
		{Name: "errors", Text: "Error: connect ECONNREFUSED\n    at \x1b[31mTCP\x1b[0m", Cut: true}, {Name: "answers", Error: "nobody listens"},
	}}
}

func TestIncidentTexts(t *testing.T) {
	past := pastIncidents()
	open := reportOf("bbyatch", failed(t).Status.Incident)
	golden(t, "incidents/list", incidentsText([]v1alpha1.IncidentReport{*past[0], *past[1], *open}, noon, style{}))
	past[0].Status.Timeline, past[0].Status.Evidence = incident(), []v1alpha1.Evidence{*evidenceOfCrash()}
	golden(t, "incidents/show", incidentText(past[0], noon, style{}))
	golden(t, "incidents/held", incidentText(past[1], noon, style{}))
}

func TestIncidentsAreShownWithAndWithoutASupervisor(t *testing.T) {
	b := newBench(t)
	b.supervise(b.desire(siteYAML))
	b.keep(failed(t))
	b.journal(incident()...)
	for _, r := range pastIncidents() {
		if err := state.WriteIncident(b.dir, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := state.WriteEvidence(b.dir, "bbyatch", evidenceOfCrash()); err != nil {
		t.Fatal(err)
	}
	b.wants(b.run(nil, "incidents"), exitWell, "mended: its cause went away (Database)", "Database, Proxy", "recovery 2-1 (plan Plain)")
	b.wants(b.run(nil, "incidents", "bbyatch", "-o", "yaml"), exitWell, "kind: IncidentList", "kind: Incident", "name: bbyatch-3", "- Proxy")
	b.wants(b.run(nil, "incidents", "show", "3"), exitWell, "its cause went away (Database)", "1h")
	b.wants(b.run(nil, "incidents", "show", "2", "bbyatch", "-o", "json"), exitWell, `"kind": "Incident"`, "ECONNREFUSED", `"name": "bbyatch-2"`)
	b.wants(b.run(nil, "incidents", "show", "99"), exitUsage, "incident 99 of bbyatch", "evenkeel incidents bbyatch")
	b.wants(b.run(nil, "incidents", "show", "first"), exitUsage, "no number of an incident")
	b.wants(b.run(nil, "incidents", "nobody"), exitUsage, "no App \"nobody\" is known")
	b.wants(b.run(nil, "incidents", "-o", "xml"), exitUsage, "-o xml is not known here")
}

func TestAnIncidentThatWasLeftOpenIsNotShownAsOpen(t *testing.T) {
	b := newBench(t)
	b.keep(healthy(t))
	r := pastIncidents()[0]
	r.Status.ClosedAt, r.Status.Closed, r.Status.Mended = nil, "", nil
	if err := state.WriteIncident(b.dir, r); err != nil {
		t.Fatal(err)
	}
	b.wants(b.run(nil, "incidents"), exitWell, "closed: its end was not written down")
}

func TestTheFilerWritesTheNewestStateWithItsTimeline(t *testing.T) {
	dir := t.TempDir()
	journal, err := state.NewJournal(dir, "bbyatch")
	if err != nil {
		t.Fatal(err)
	}
	long := event(-time.Minute, v1alpha1.ReasonPhaseChanged, strings.Repeat("ä", 1000))
	if err := journal.Append(append(incident(), long)...); err != nil {
		t.Fatal(err)
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	f := newFiler(dir, quiet)
	for n := range int32(50) {
		f.file(site(t), v1alpha1.Incident{Number: 4, StartedAt: at(-time.Hour), Spent: n}, "", noon, func() {})
	}
	kept := false
	f.file(site(t), v1alpha1.Incident{Number: 4, StartedAt: at(-time.Hour), Spent: 50}, "it was reset", noon, func() {
		kept = state.IncidentClosed(dir, "bbyatch", 4)
	})
	f.close()
	if !kept || state.IncidentClosed(dir, "bbyatch", 5) {
		t.Error("it is not told of as kept when it is on disk, and only then")
	}
	list, err := state.Incidents(dir, "bbyatch")
	if err != nil || len(list) != 1 {
		t.Fatalf("%d incidents, %v", len(list), err)
	}
	got := list[0].Status
	if got.Spent != 50 || got.Closed != "it was reset" || len(got.Timeline) != 4 {
		t.Errorf("spent %d, closed %q, %d events; want the last state, and the events that tell something", got.Spent, got.Closed, len(got.Timeline))
	}
	if last := got.Timeline[3].Message; len(last) > 610 || !strings.HasSuffix(last, "ä…") {
		t.Errorf("the long message has %d bytes", len(last))
	}
	if names, _ := os.ReadDir(filepath.Join(dir, "incidents", "bbyatch")); len(names) != 1 {
		t.Errorf("%v are left", names)
	}
}
