package cmd

import (
	"fmt"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// filer keeps the incidents of all Apps in the state folder, away from the loops. Of an incident that changes while another
// is being written only the newest state is written.
type filer struct {
	dir string
	log logrus.FieldLogger

	mu      sync.Mutex
	waiting []filed // at most one for each incident
	wake    chan struct{}
	ended   bool
	running sync.WaitGroup
}

// filed is a report that waits to be written, and whom to tell when it is.
type filed struct {
	report *v1alpha1.IncidentReport
	kept   func()
}

func newFiler(dir string, log logrus.FieldLogger) *filer {
	f := &filer{dir: dir, log: log, wake: make(chan struct{}, 1)}
	f.running.Go(f.run)
	return f
}

// file is called by a loop when there is something new to tell of an incident; closed says why it was closed. kept is called when
// the report is written.
func (f *filer) file(app *v1alpha1.App, incident v1alpha1.Incident, closed string, now v1alpha1.Instant, kept func()) {
	r := reportOf(app.Name, &incident)
	if closed != "" {
		r.Status.ClosedAt, r.Status.Closed = &now, closed
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = slices.DeleteFunc(f.waiting, func(old filed) bool { return old.report.Name == r.Name })
	f.waiting = append(f.waiting, filed{r, kept})
	poke(f.wake)
}

// reportOf makes a report of an incident.
func reportOf(app string, i *v1alpha1.Incident) *v1alpha1.IncidentReport {
	return &v1alpha1.IncidentReport{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion, Kind: v1alpha1.KindIncident},
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-%d", app, i.Number), CreationTimestamp: metav1.NewTime(i.StartedAt.Wall.Time),
			Labels: map[string]string{v1alpha1.Group + "/app": app},
		},
		Status: v1alpha1.IncidentStatus{App: app, Incident: *i},
	}
}

func (f *filer) run() {
	for range f.wake {
		f.write()
	}
	f.write()
}

// write writes what waits.
func (f *filer) write() {
	f.mu.Lock()
	list := f.waiting
	f.waiting = nil
	f.mu.Unlock()
	for _, one := range list {
		r := one.report
		if r.Status.ClosedAt != nil {
			// The journal forgets in time; the incident does not.
			r.Status.Timeline = f.timeline(r)
		}
		if err := state.WriteIncident(f.dir, r); err != nil {
			f.log.WithError(err).WithField("app", r.Status.App).Warn("incident was not kept")
			continue
		}
		one.kept()
	}
}

// timelineKept bounds the timeline of an incident that is kept, in events.
const timelineKept = 200

func (f *filer) timeline(r *v1alpha1.IncidentReport) []v1alpha1.Event {
	events, err := eventsOf(f.dir, r)
	if err != nil {
		f.log.WithError(err).WithField("app", r.Status.App).Warn("incident is kept without its timeline")
	}
	return events
}

// eventsOf are the journal's events of an incident that make its timeline.
func eventsOf(dir string, r *v1alpha1.IncidentReport) ([]v1alpha1.Event, error) {
	journal, err := state.NewJournal(dir, r.Status.App)
	if err != nil {
		return nil, err
	}
	all, err := journal.Read(state.Query{})
	events := slices.DeleteFunc(ofIncident(all, r.Status.Number, &r.Status.Incident), func(e v1alpha1.Event) bool {
		return !slices.Contains(told, e.Reason) && e.Reason != v1alpha1.ReasonStepFinished && e.Reason != v1alpha1.ReasonVerdict
	})
	if over := len(events) - timelineKept; over > 0 {
		events = events[over:]
	}
	for n := range events {
		events[n].Message = shortened(events[n].Message, 600)
	}
	return events, err
}

// shortened cuts a text that is too long, at the end of a character.
func shortened(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && text[limit]&0xc0 == 0x80 {
		limit--
	}
	return text[:limit] + "…"
}

// close writes what still waits. Nothing may be filed any more.
func (f *filer) close() {
	f.mu.Lock()
	if !f.ended {
		f.ended = true
		close(f.wake)
	}
	f.mu.Unlock()
	f.running.Wait()
}
