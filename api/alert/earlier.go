package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// What an earlier run of evenkeel was killed over is handed over once more. Each alert to each receiver has a name that is the
// same in every run, so that nobody is told twice what he was told, or what waits for him in the outbox.

// nameOf is the name of one alert to one receiver.
func nameOf(i Item, spec v1alpha1.AlertSpec) string {
	a := &i.Alert
	message := string([]rune(a.Message)) // as JSON has it
	parts := []string{
		string(i.App.UID), i.App.Name, string(a.Kind), strconv.FormatInt(a.Incident, 10), strconv.FormatInt(a.Time.UnixMicro(), 10),
		string(a.Phase), string(a.Blame), a.Reason, message[:min(len(message), partOfMessage)], fingerprint(spec),
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// nameOfAll is the name of what was joined.
func nameOfAll(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(names)), " ")))
	return hex.EncodeToString(sum[:8])
}

// partOfMessage is as much of a message, in bytes, as tells two alerts of one kind and one moment apart.
const partOfMessage = 500

// Names gives the names of an alert of an App, one for each receiver. AlertSent and AlertFailed bear them.
func Names(app *v1alpha1.App, alert v1alpha1.Alert) []string {
	var names []string
	for _, spec := range app.Spec.Alerts {
		if name := nameOf(Item{App: app, Alert: alert}, spec); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Earlier notes the names of what an earlier run has delivered, or given up: it is not delivered any more.
func (d *Dispatcher) Earlier(names ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		if name != "" {
			d.earlier[name] = true
		}
	}
}

func (d *Dispatcher) toldEarlier(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.earlier[name]
}

// Owed tells whether there is a receiver of the App whom no earlier run has told this, and for whom it is not in the outbox.
func (d *Dispatcher) Owed(app *v1alpha1.App, alert v1alpha1.Alert) bool {
	return slices.ContainsFunc(Names(app, alert), func(name string) bool { return !d.toldEarlier(name) })
}
