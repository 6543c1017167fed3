// Package alert tells somebody: it delivers alerts to the programs and webhooks that an App names under spec.alerts.
//
// Nobody waits for it. Each channel of each App has a bounded queue and, while there is something in it, a worker of its
// own, so that a receiver that hangs delays neither the engine nor another receiver. What waits is kept on disk too, until
// its receiver has acknowledged it, and is taken up again by the next run of evenkeel. What became of an alert is reported as
// an event.
package alert

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

const (
	// queueSize is how many alerts wait for one channel at most; beyond it the oldest is dropped.
	queueSize = 64
	// tries is how often a delivery is tried that is not kept on disk, and after how many that of one that is kept is told.
	// With the pauses below that takes about a minute, and the timeouts.
	tries      = 5
	firstPause = 4 * time.Second
	mostPause  = 32 * time.Second
	pauseGrows = 2
	jitter     = 0.2
	// longestPause is the most between two tries of one that is kept, and keptFor is for how long it is tried.
	longestPause = 5 * time.Minute
	keptFor      = 24 * time.Hour
	// lastMoment is how long a delivery that is broken off may take to end.
	lastMoment = 3 * time.Second
	// patience is the longest wait that a receiver may ask for with Retry-After.
	patience = time.Minute
)

// Options are what a Dispatcher needs.
type Options struct {
	// Report is told what became of each alert: ReasonAlertSent or ReasonAlertFailed. It is called by the channels'
	// workers, several at once, and may take its time. Required.
	Report func(v1alpha1.Event)
	// Log gets what is no matter of one alert. Required.
	Log logrus.FieldLogger
	// Host stands in alerts that do not say on which machine they were raised.
	Host string
	// Random spreads the pauses between two tries. Without it there is no spreading. It is used under a lock of ours only,
	// and must not be used by anybody else at the same time.
	Random *rand.Rand
	// Outbox keeps what waits for its receiver. Without one, what is not taken within about a minute is given up.
	Outbox Outbox
	// Courier is the program, with its arguments, that carries alerts by shoutrrr: it calls Carry with its standard input. It is
	// a process of its own because those libraries cannot be broken off. Without one there is no way by shoutrrr.
	Courier []string
}

// Dispatcher delivers alerts. Passes and events are no matter for it.
type Dispatcher struct {
	options Options
	client  *http.Client
	// newSender makes the channel that a spec names; tests put another in its place.
	newSender func(v1alpha1.AlertSpec) sender

	ctx     context.Context // of every delivery; ended when Close has waited long enough
	end     context.CancelFunc
	closing chan struct{} // closed when Close begins: nobody pauses any more
	workers sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	channels map[string]*channel
	dropped  uint64
	found    map[string][]string // by App: the letters that an earlier run has left
	earlier  map[string]bool     // the names of what an earlier run has delivered, or left in the outbox
}

// sender carries one alert to one receiver, once.
type sender interface {
	// send returns nil once the receiver has acknowledged. Its errors hold no secret.
	send(ctx context.Context, d *delivery) error
	// name says in a few words where to, without secrets.
	name() string
}

// channel is what waits for one receiver of one App. All of it is guarded by Dispatcher.mu.
type channel struct {
	key     string
	sender  sender
	random  *rand.Rand
	queue   []*delivery
	dropped int      // since the worker last said so
	gone    []string // letters of what was taken out of the queue
}

// delivery is one alert on its way to one receiver.
type delivery struct {
	letter
	body    []byte
	timeout time.Duration
	file    string // its name in the outbox; empty where it is not kept
}

// subject is an App that an alert is about.
type subject struct {
	App      string    `json:"app"`
	UID      types.UID `json:"uid,omitempty"`
	Incident int64     `json:"incident,omitempty"`
	// Alert names what is told of it to this receiver.
	Alert string `json:"alert,omitempty"`
}

// New makes a Dispatcher. Close it.
func New(options Options) *Dispatcher {
	d := &Dispatcher{
		options: options, client: newClient(), closing: make(chan struct{}), channels: map[string]*channel{},
		earlier: map[string]bool{},
	}
	d.ctx, d.end = context.WithCancel(context.Background())
	d.newSender = func(spec v1alpha1.AlertSpec) sender {
		switch {
		case len(spec.Exec) > 0:
			return program{args: spec.Exec}
		case spec.Shoutrrr != "":
			return courier{args: options.Courier, address: spec.Shoutrrr}
		}
		return webhook{url: spec.Webhook, client: d.client}
	}
	d.find()
	return d
}

// Pass takes up what an earlier run of evenkeel has left for the App's receivers.
func (d *Dispatcher) Pass(app *v1alpha1.App, _ *v1alpha1.Observation) { d.claim(app) }

// Event does nothing.
func (d *Dispatcher) Event(v1alpha1.Event) {}

// Alert queues an alert for every channel of the App, and returns when the outbox has it. A channel that stands twice in the
// spec is told once.
func (d *Dispatcher) Alert(app *v1alpha1.App, alert v1alpha1.Alert) {
	d.Joined([]Item{{App: app, Alert: alert}})
}

// Joined queues alerts of several Apps about one fault that they share, as one alert to each channel. A channel is told of
// those Apps that name it, and of no others; and of nothing that an earlier run of evenkeel has told it, or has left for it.
func (d *Dispatcher) Joined(items []Item) {
	seen := map[string]bool{}
	for n, first := range items {
		for _, spec := range first.App.Spec.Alerts {
			if key := keyOf("", spec); !seen[key] {
				seen[key] = true
				what := d.delivery(spec, items[n:])
				if what == nil {
					continue
				}
				d.keep(what)
				d.mu.Lock()
				if !d.closed {
					d.enqueue(what.App, spec, what)
				}
				d.mu.Unlock()
			}
		}
	}
}

// delivery is what one channel is told of those items whose Apps name it; nil where that is nothing.
func (d *Dispatcher) delivery(spec v1alpha1.AlertSpec, items []Item) *delivery {
	key := keyOf("", spec)
	theirs := slices.DeleteFunc(slices.Clone(items), func(i Item) bool {
		return !slices.ContainsFunc(i.App.Spec.Alerts, func(s v1alpha1.AlertSpec) bool { return keyOf("", s) == key }) ||
			d.toldEarlier(nameOf(i, spec))
	})
	if len(theirs) == 0 {
		return nil
	}
	alert := join(theirs)
	if alert.Host == "" {
		alert.Host = d.options.Host
	}
	alert.Evidence, alert.Next = slices.Clone(alert.Evidence), slices.Clone(alert.Next)
	l := letter{Time: time.Now(), App: theirs[0].App.Name, Channel: fingerprint(spec), Alert: alert}
	var names []string
	for _, i := range theirs {
		name := nameOf(i, spec)
		names = append(names, name)
		l.Of = append(l.Of, subject{i.App.Name, i.App.UID, i.Alert.Incident, name})
	}
	l.ID = nameOfAll(names)
	return l.delivery(spec)
}

// Dropped is how many alerts were dropped because a queue was full.
func (d *Dispatcher) Dropped() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dropped
}

// Close takes no further alerts. What is queued is tried once more each, without pauses, until the context ends; then what
// is under way is broken off. What was not delivered stays in the outbox; without one it is reported as failed. When it has
// returned, Report is called no more.
func (d *Dispatcher) Close(ctx context.Context) error {
	d.mu.Lock()
	already := d.closed
	d.closed = true
	d.mu.Unlock()
	if !already {
		close(d.closing)
	}
	done := make(chan struct{})
	go func() {
		d.workers.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("alerts were left undelivered: %w", context.Cause(ctx))
	}
	d.end()
	timer := time.NewTimer(lastMoment)
	defer timer.Stop()
	select {
	case <-done:
		return err
	case <-timer.C: // a program that not even SIGKILL ends, because the kernel holds it
		return errors.Join(err, errors.New("a delivery could not be broken off"))
	}
}

func (d *Dispatcher) report(what *delivery, kind, reason string, took time.Duration, message string) {
	for _, of := range what.Of {
		d.options.Report(v1alpha1.Event{
			Time: metav1.NowMicro(), Type: kind, Reason: reason, Message: message, App: of.App, UID: of.UID,
			Incident: of.Incident, Phase: what.Alert.Phase, Blame: what.Alert.Blame, Took: metav1.Duration{Duration: took},
			Alert: of.Alert,
		})
	}
}

func keyOf(app string, spec v1alpha1.AlertSpec) string {
	return strings.Join(append([]string{app, spec.Webhook, spec.Shoutrrr}, spec.Exec...), "\x00")
}
