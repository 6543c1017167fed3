package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

const (
	// incidentsKept is how many incidents of an App are kept, evidenceKept how many captures of evidence.
	incidentsKept = 100
	evidenceKept  = 20
	// maxIncident bounds the file of one, in bytes.
	maxIncident = 256 << 10
)

// MaxEvidence bounds the file of one capture of evidence, in bytes.
const MaxEvidence = 256 << 10

// The names of the files in `incidents/<app>/`. A recovery's ID is "<incident>-<n>".
var (
	incidentName = regexp.MustCompile(`^([1-9][0-9]{0,17})\.json$`)
	evidenceName = regexp.MustCompile(`^([1-9][0-9]{0,17})-([1-9][0-9]{0,8})\.evidence\.json$`)
)

// ErrNoIncident says that there is no incident of that number, or not any more.
var ErrNoIncident = errors.New("it is not kept, or not any more")

// WriteIncident keeps an incident: `incidents/<app>/<number>.json`. The oldest ones are removed. It is forced to disk only
// where the incident is closed.
func WriteIncident(dir string, r *v1alpha1.IncidentReport) error {
	name := fmt.Sprintf("%d.json", r.Status.Number)
	if err := keep(dir, r.Status.App, name, incidentName, incidentsKept, maxIncident, r, r.Status.ClosedAt != nil); err != nil {
		return fmt.Errorf("keeping incident %d of %s: %w", r.Status.Number, r.Status.App, err)
	}
	return nil
}

// WriteEvidence keeps what was seen before a recovery: `incidents/<app>/<recovery>.evidence.json`. The oldest is removed.
func WriteEvidence(dir, app string, e *v1alpha1.Evidence) error {
	if err := keep(dir, app, e.Recovery+".evidence.json", evidenceName, evidenceKept, MaxEvidence, e, false); err != nil {
		return fmt.Errorf("keeping the evidence of recovery %s of %s: %w", e.Recovery, app, err)
	}
	return nil
}

// HasEvidence tells whether evidence of a recovery is kept.
func HasEvidence(dir, app, recovery string) bool {
	_, err := os.Lstat(filepath.Join(incidentsDir(dir, app), recovery+".evidence.json"))
	return err == nil
}

func keep(dir, app, name string, kind *regexp.Regexp, most, limit int, what any, durable bool) error {
	if err := CheckName(app); err != nil {
		return err
	}
	if !kind.MatchString(name) {
		return fmt.Errorf("%q is no name for it", name)
	}
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false) // pages are among the evidence
	if err := enc.Encode(what); err != nil {
		return err
	}
	if data.Len() > limit {
		return fmt.Errorf("it has %d bytes, more than %d", data.Len(), limit)
	}
	folder, err := incidentsFolder(dir, app)
	if err != nil {
		return err
	}
	if err := replace(OS(), filepath.Join(folder, name), data.Bytes(), durable); err != nil {
		return err
	}
	names, err := listed(folder, kind)
	for ; err == nil && len(names) > most; names = names[1:] {
		err = os.Remove(filepath.Join(folder, names[0]))
	}
	return err
}

func incidentsDir(dir, app string) string { return filepath.Join(dir, "incidents", app) }

// incidentsFolder makes the folder of an App's incidents where it does not exist. Neither it nor the one above it may be a
// symbolic link, or somebody else's.
func incidentsFolder(dir, app string) (string, error) {
	folder := incidentsDir(dir, app)
	for _, path := range []string{filepath.Dir(folder), folder} {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return "", err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || ok && int(st.Uid) != os.Geteuid() {
			return "", fmt.Errorf("%s is no folder of %s's own; move it away", path, userName())
		}
	}
	return folder, nil
}

// listed lists the files of a kind, the oldest incident first.
func listed(folder string, kind *regexp.Regexp) ([]string, error) {
	all, err := OS().List(folder)
	if err != nil {
		return nil, err
	}
	number := func(name string, n int) int64 {
		m := kind.FindStringSubmatch(name)
		if n >= len(m) {
			return 0
		}
		v, _ := strconv.ParseInt(m[n], 10, 64)
		return v
	}
	names := slices.DeleteFunc(all, func(name string) bool { return !kind.MatchString(name) })
	slices.SortFunc(names, func(a, b string) int {
		for n := 1; n <= 2; n++ {
			if x, y := number(a, n), number(b, n); x != y {
				return int(max(min(x-y, 1), -1))
			}
		}
		return 0
	})
	return names, nil
}

// LastIncident is the number of the newest incident that is kept; 0 where there is none.
func LastIncident(dir, app string) int64 {
	names, err := listed(incidentsDir(dir, app), incidentName)
	if err != nil || len(names) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(incidentName.FindStringSubmatch(names[len(names)-1])[1], 10, 64)
	return n
}

// IncidentClosed tells whether an incident is kept as closed. One that cannot be read is not.
func IncidentClosed(dir, app string, number int64) bool {
	var r v1alpha1.IncidentReport
	err := readKept(filepath.Join(incidentsDir(dir, app), fmt.Sprintf("%d.json", number)), &r)
	return err == nil && r.Status.ClosedAt != nil
}

// Incidents reads the incidents of an App that are kept, the oldest first. Those that cannot be read are left out; their
// errors are joined. It needs no lock.
func Incidents(dir, app string) ([]v1alpha1.IncidentReport, error) {
	if err := CheckName(app); err != nil {
		return nil, err
	}
	folder := incidentsDir(dir, app)
	names, err := listed(folder, incidentName)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading the incidents of %s: %w", app, err)
	}
	var list []v1alpha1.IncidentReport
	var failed []error
	for _, name := range names {
		var r v1alpha1.IncidentReport
		if err := readKept(filepath.Join(folder, name), &r); err != nil {
			if !errors.Is(err, os.ErrNotExist) { // it was the oldest, just now
				failed = append(failed, fmt.Errorf("reading the incidents of %s: %w", app, err))
			}
			continue
		}
		list = append(list, r)
	}
	return list, errors.Join(failed...)
}

// EvidenceOf reads what is kept of an incident's recoveries, the oldest first. Errors are as in [Incidents].
func EvidenceOf(dir, app string, number int64) ([]v1alpha1.Evidence, error) {
	if err := CheckName(app); err != nil {
		return nil, err
	}
	folder := incidentsDir(dir, app)
	names, err := listed(folder, evidenceName)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading the evidence of incident %d of %s: %w", number, app, err)
	}
	var list []v1alpha1.Evidence
	var failed []error
	for _, name := range names {
		if evidenceName.FindStringSubmatch(name)[1] != strconv.FormatInt(number, 10) {
			continue
		}
		var e v1alpha1.Evidence
		if err := readKept(filepath.Join(folder, name), &e); err != nil {
			failed = append(failed, fmt.Errorf("reading the evidence of incident %d of %s: %w", number, app, err))
			continue
		}
		list = append(list, e)
	}
	return list, errors.Join(failed...)
}

func readKept(path string, into any) error {
	data, _, err := OS().Read(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
