package alert

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Outbox keeps letters until they are delivered; *state.Outbox is one.
type Outbox interface {
	// Keep writes one, so that it is on disk when it returns.
	Keep(name string, data []byte) error
	// Drop removes one; one that is not there is no error.
	Drop(name string) error
	// Kept are all of them, in the order of their names.
	Kept() (names []string, data [][]byte, err error)
}

// letter is what is kept of a delivery: all but the address, which is a secret and stands in the desired file.
type letter struct {
	// ID is the same at every try, and in every run of evenkeel, so that a receiver can tell a second copy.
	ID string `json:"id"`
	// Time is when it was queued.
	Time time.Time `json:"time"`
	// App and Channel say whose receiver it is for: a fingerprint of the spec.
	App     string         `json:"channelOf"`
	Channel string         `json:"channel"`
	Alert   v1alpha1.Alert `json:"alert"`
	Of      []subject      `json:"of"`
}

// delivery is a letter for the receiver that a spec names.
func (l letter) delivery(spec v1alpha1.AlertSpec) *delivery {
	timeout := spec.Timeout.Duration
	if timeout <= 0 {
		timeout = v1alpha1.DefaultTimeout
	}
	return &delivery{letter: l, body: encode(&l), timeout: timeout}
}

// supersedes tells whether an alert that still waits says nothing any more beside this one: an older reminder of the same.
func (l *letter) supersedes(old *delivery) bool {
	switch l.Alert.Kind {
	case v1alpha1.AlertReminder, v1alpha1.AlertFlapping:
		return l.Alert.Kind == old.Alert.Kind && l.Alert.Reason == old.Alert.Reason &&
			slices.EqualFunc(l.Of, old.Of, func(a, b subject) bool { a.Alert, b.Alert = "", ""; return a == b })
	}
	return false
}

// fingerprint tells one receiver from another without saying which.
func fingerprint(spec v1alpha1.AlertSpec) string {
	sum := sha256.Sum256([]byte(keyOf("", spec)))
	return hex.EncodeToString(sum[:])
}

// rand16 are 16 random hexadecimal digits.
func rand16() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// keep writes a delivery into the outbox. Where that fails it goes on in memory.
func (d *Dispatcher) keep(what *delivery) {
	if d.options.Outbox == nil {
		return
	}
	data, err := json.Marshal(what.letter)
	name := fmt.Sprintf("%019d-%s.json", max(what.Time.UnixNano(), 0), what.ID)
	if err == nil {
		err = d.options.Outbox.Keep(name, data)
	}
	if err != nil {
		d.options.Log.WithError(err).WithField("app", what.App).Warn("alert is sent, but would be forgotten at a restart")
		return
	}
	what.file = name
}

func (d *Dispatcher) drop(files ...string) {
	for _, file := range files {
		if file == "" {
			continue
		}
		if err := d.options.Outbox.Drop(file); err != nil {
			d.options.Log.WithError(err).Warn("alert was delivered, and may be sent once more after a restart")
		}
	}
}

// find notes what earlier runs have left. It is taken up when its App is supervised: another evenkeel may work on the same
// state folder with other Apps.
func (d *Dispatcher) find() {
	if d.options.Outbox == nil {
		return
	}
	names, data, err := d.options.Outbox.Kept()
	if err != nil {
		d.options.Log.WithError(err).Warn("what earlier alerts wait cannot be seen")
	}
	d.found = map[string][]string{}
	for n, name := range names {
		var l letter
		if json.Unmarshal(data[n], &l) == nil && l.App != "" && l.ID != "" {
			d.found[l.App] = append(d.found[l.App], name)
			for _, of := range l.Of {
				d.Earlier(of.Alert)
			}
		}
	}
}

// claim queues what an earlier run has left for the receivers of an App, away from the caller.
func (d *Dispatcher) claim(app *v1alpha1.App) {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := d.found[app.Name]
	if len(files) == 0 || d.closed {
		return
	}
	delete(d.found, app.Name)
	name, specs := app.Name, app.DeepCopy().Spec.Alerts
	d.workers.Go(func() { d.takeUp(name, specs, files) })
}

func (d *Dispatcher) takeUp(app string, specs []v1alpha1.AlertSpec, files []string) {
	names, data, err := d.options.Outbox.Kept()
	if err != nil {
		d.options.Log.WithError(err).Warn("what earlier alerts wait cannot be read")
		return
	}
	for n, name := range names {
		var l letter
		if !slices.Contains(files, name) || json.Unmarshal(data[n], &l) != nil {
			continue
		}
		i := slices.IndexFunc(specs, func(s v1alpha1.AlertSpec) bool { return fingerprint(s) == l.Channel })
		if i < 0 {
			d.drop(name)
			d.report(&delivery{letter: l}, v1alpha1.EventWarning, v1alpha1.ReasonAlertFailed, 0, fmt.Sprintf(
				"alert %s of %s is not sent any more: its receiver does not stand in spec.alerts now", l.Alert.Kind, l.Time.Format(time.DateTime)))
			continue
		}
		what := l.delivery(specs[i])
		what.file = name
		d.mu.Lock()
		d.enqueue(app, specs[i], what) // while Close waits, it is tried once, or stays in the outbox
		d.mu.Unlock()
	}
}
