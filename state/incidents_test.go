package state

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func reportOf(app string, number int64) *v1alpha1.IncidentReport {
	r := &v1alpha1.IncidentReport{}
	r.Status.App, r.Status.Number = app, number
	return r
}

func TestIncidentsAreKeptAndBounded(t *testing.T) {
	dir := t.TempDir()
	for n := range int64(incidentsKept + 5) {
		r := reportOf("site", n+1)
		if n%2 == 0 {
			r.Status.ClosedAt = &v1alpha1.Instant{}
		}
		if err := WriteIncident(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	list, err := Incidents(dir, "site")
	if err != nil || len(list) != incidentsKept || list[0].Status.Number != 6 || list[incidentsKept-1].Status.Number != incidentsKept+5 {
		t.Fatalf("%d incidents, %v; want the newest %d, the oldest first", len(list), err, incidentsKept)
	}
	if n := LastIncident(dir, "site"); n != incidentsKept+5 {
		t.Errorf("the last is %d", n)
	}
	for n := range evidenceKept + 3 {
		for m := range 2 {
			if err := WriteEvidence(dir, "site", &v1alpha1.Evidence{Recovery: fmt.Sprintf("%d-%d", n+1, m+9)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if kept, err := EvidenceOf(dir, "site", evidenceKept+3); err != nil || len(kept) != 2 || !strings.HasSuffix(kept[1].Recovery, "-10") {
		t.Errorf("%v, %v; want both of the newest, in order", kept, err)
	}
	if kept, _ := EvidenceOf(dir, "site", 1); len(kept) != 0 {
		t.Errorf("the oldest evidence is still there")
	}
	names, err := os.ReadDir(filepath.Join(dir, "incidents", "site"))
	if err != nil || len(names) != incidentsKept+evidenceKept {
		t.Errorf("%d files, %v; want %d", len(names), err, incidentsKept+evidenceKept)
	}
	for path, want := range map[string]os.FileMode{"incidents": 0o700, "incidents/site": 0o700, "incidents/site/50.json": 0o600, "incidents/site/23-9.evidence.json": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info, err, want)
		}
	}
}

func TestIncidentsLeadNowhereElse(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "incidents")); err != nil {
		t.Fatal(err)
	}
	if err := WriteIncident(dir, reportOf("site", 1)); err == nil {
		t.Error("a link was followed")
	}
	if err := os.Remove(filepath.Join(dir, "incidents")); err != nil {
		t.Fatal(err)
	}
	if err := WriteIncident(dir, reportOf("site", 1)); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(elsewhere, "2.json")
	if err := os.WriteFile(secret, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "incidents", "site", "2.json")); err != nil {
		t.Fatal(err)
	}
	if list, err := Incidents(dir, "site"); err == nil || len(list) != 1 {
		t.Errorf("%d incidents, %v; want the one, and word of the link", len(list), err)
	}
	for _, name := range []string{"../site", "1-1/../../x", "x-1", "0-1", ""} {
		if err := WriteEvidence(dir, "site", &v1alpha1.Evidence{Recovery: name}); err == nil {
			t.Errorf("recovery %q is taken for a name", name)
		}
	}
	if err := WriteIncident(dir, reportOf("../site", 1)); err == nil {
		t.Error("../site is taken for an App")
	}
	big := &v1alpha1.Evidence{Recovery: "1-1", Parts: []v1alpha1.EvidencePart{{Text: strings.Repeat("x", MaxEvidence)}}}
	if err := WriteEvidence(dir, "site", big); err == nil || HasEvidence(dir, "site", "1-1") {
		t.Error("what is too large is kept")
	}
}

func TestABrokenIncidentHidesNoOther(t *testing.T) {
	dir := t.TempDir()
	for n := range int64(3) {
		if err := WriteIncident(dir, reportOf("site", n+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "incidents", "site", "2.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := Incidents(dir, "site"); len(list) != 2 || err == nil {
		t.Errorf("%d incidents, %v; want the other two, and word of it", len(list), err)
	}
	if list, err := Incidents(dir, "other"); len(list) != 0 || err != nil {
		t.Errorf("%d incidents, %v; want none of an App without", len(list), err)
	}
}
