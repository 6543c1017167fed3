// Package alert tells somebody: it delivers alerts to the programs and webhooks that an App names under spec.alerts.
//
// Nobody waits for it. Each channel of each App has a bounded queue and, while there is something in it, a worker of its
// own, so that a receiver that hangs delays neither the engine nor another receiver. What became of an alert is reported
// as an event.
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
	"github.com/evenkeel/evenkeel/controller/pace"
)

const (
	// queueSize is how many alerts wait for one channel at most; beyond it the oldest is dropped.
	queueSize = 64
	// tries is how often a delivery is tried. With the pauses below that takes about a minute, and the timeouts.
	tries      = 5
	firstPause = 4 * time.Second
	mostPause  = 32 * time.Second
	pauseGrows = 2
	jitter     = 0.2
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
}

// Dispatcher delivers alerts. It is a controller.Sink, for which passes and events are no matter.
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
	dropped int // since the worker last said so
}

// delivery is one alert on its way to one receiver.
type delivery struct {
	alert   v1alpha1.Alert
	body    []byte
	of      []subject
	timeout time.Duration
}

// subject is an App that an alert is about.
type subject struct {
	app      string
	uid      types.UID
	incident int64
}

// New makes a Dispatcher. Close it.
func New(options Options) *Dispatcher {
	d := &Dispatcher{
		options: options, client: newClient(), closing: make(chan struct{}), channels: map[string]*channel{},
	}
	d.ctx, d.end = context.WithCancel(context.Background())
	d.newSender = func(spec v1alpha1.AlertSpec) sender {
		if len(spec.Exec) > 0 {
			return program{args: spec.Exec}
		}
		return webhook{url: spec.Webhook, client: d.client}
	}
	return d
}

// Pass does nothing.
func (d *Dispatcher) Pass(*v1alpha1.App, *v1alpha1.Observation) {}

// Event does nothing.
func (d *Dispatcher) Event(v1alpha1.Event) {}

// Alert queues an alert for every channel of the App, and returns at once. A channel that stands twice in the spec is told
// once.
func (d *Dispatcher) Alert(app *v1alpha1.App, alert v1alpha1.Alert) { d.Joined([]Item{{app, alert}}) }

// Joined queues alerts of several Apps about one fault that they share, as one alert to each channel. A channel is told of
// those Apps that name it, and of no others.
func (d *Dispatcher) Joined(items []Item) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	seen := map[string]bool{}
	for n, first := range items {
		for _, spec := range first.App.Spec.Alerts {
			if key := keyOf("", spec); !seen[key] {
				seen[key] = true
				d.enqueue(keyOf(first.App.Name, spec), spec, d.delivery(spec, items[n:]))
			}
		}
	}
}

// delivery is what one channel is told of those items whose Apps name it.
func (d *Dispatcher) delivery(spec v1alpha1.AlertSpec, items []Item) *delivery {
	key := keyOf("", spec)
	theirs := slices.DeleteFunc(slices.Clone(items), func(i Item) bool {
		return !slices.ContainsFunc(i.App.Spec.Alerts, func(s v1alpha1.AlertSpec) bool { return keyOf("", s) == key })
	})
	alert := join(theirs)
	if alert.Host == "" {
		alert.Host = d.options.Host
	}
	alert.Evidence, alert.Next = slices.Clone(alert.Evidence), slices.Clone(alert.Next)
	timeout := spec.Timeout.Duration
	if timeout <= 0 {
		timeout = v1alpha1.DefaultTimeout
	}
	what := &delivery{alert: alert, body: encode(&alert), timeout: timeout}
	for _, i := range theirs {
		what.of = append(what.of, subject{i.App.Name, i.App.UID, i.Alert.Incident})
	}
	return what
}

// Dropped is how many alerts were dropped because a queue was full.
func (d *Dispatcher) Dropped() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dropped
}

// Close takes no further alerts. What is queued is tried once more each, without pauses, until the context ends; then what
// is under way is broken off, and what was not delivered is reported as failed. When it has returned, Report is called no
// more.
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

// enqueue puts a delivery into its channel, and starts the channel's worker if it has none. d.mu is held.
func (d *Dispatcher) enqueue(key string, spec v1alpha1.AlertSpec, what *delivery) {
	c := d.channels[key]
	if c == nil {
		c = &channel{key: key, sender: d.newSender(*spec.DeepCopy())}
		if d.options.Random != nil {
			c.random = rand.New(rand.NewPCG(d.options.Random.Uint64(), d.options.Random.Uint64()))
		}
		d.channels[key] = c
		d.workers.Go(func() { d.work(c) })
	}
	if len(c.queue) == queueSize {
		c.queue[0] = nil
		c.queue = c.queue[1:]
		c.dropped++
		d.dropped++
	}
	c.queue = append(c.queue, what)
}

// work delivers what is in a channel's queue, and ends when it is empty.
func (d *Dispatcher) work(c *channel) {
	for {
		d.mu.Lock()
		dropped := c.dropped
		c.dropped = 0
		if len(c.queue) == 0 {
			delete(d.channels, c.key)
			d.mu.Unlock()
			return
		}
		next := c.queue[0]
		c.queue[0] = nil
		c.queue = c.queue[1:]
		d.mu.Unlock()
		if dropped > 0 {
			d.sayDropped(c, next, dropped)
		}
		d.deliver(c, next)
	}
}

// sayDropped tells that alerts were dropped. The worker says it, not the caller, who must not wait for a log either.
func (d *Dispatcher) sayDropped(c *channel, next *delivery, dropped int) {
	d.options.Log.WithFields(logrus.Fields{
		"app": next.alert.App, "channel": c.sender.name(), "dropped": dropped,
	}).Warn("alerts dropped")
	d.report(next, v1alpha1.EventWarning, v1alpha1.ReasonAlertFailed, 0, fmt.Sprintf(
		"%d alerts were dropped, the oldest first: %s did not take them, and %d were waiting", dropped, c.sender.name(), queueSize))
}

// deliver tries until the receiver has acknowledged, or the tries are used up.
func (d *Dispatcher) deliver(c *channel, what *delivery) {
	pauses := pace.New(firstPause, mostPause, pauseGrows, pace.WithJitter(jitter, c.random))
	began := time.Now()
	var err error
	try := 0
	for try < tries {
		if d.ctx.Err() != nil {
			break
		}
		last := d.isClosing()
		try++
		if err = d.attempt(c, what); err == nil {
			d.report(what, v1alpha1.EventNormal, v1alpha1.ReasonAlertSent, time.Since(began),
				fmt.Sprintf("alert %s was taken by %s%s", what.alert.Kind, c.sender.name(), atTry(try)))
			return
		}
		f, _ := errors.AsType[*failure](err)
		if f == nil {
			f = &failure{}
		}
		if last || try == tries || f.permanent {
			break
		}
		d.pause(max(pauses.Next(), f.retryAfter))
	}
	why := "evenkeel was ended before it was tried"
	if err != nil {
		why = err.Error()
	}
	d.report(what, v1alpha1.EventWarning, v1alpha1.ReasonAlertFailed, time.Since(began),
		fmt.Sprintf("alert %s was not taken by %s%s: %s", what.alert.Kind, c.sender.name(), atTry(try), why))
}

// attempt tries once, within the channel's timeout. A panic in it is a failure like any other.
func (d *Dispatcher) attempt(c *channel, what *delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(d.ctx, what.timeout)
	defer cancel()
	err = c.sender.send(ctx, what)
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case d.ctx.Err() != nil:
		return errors.New("evenkeel was ended while it was under way")
	}
	return fmt.Errorf("no answer within %s: %w", what.timeout, err)
}

// pause waits between two tries; Close ends every pause.
func (d *Dispatcher) pause(how time.Duration) {
	timer := time.NewTimer(how)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.closing:
	}
}

func (d *Dispatcher) isClosing() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

func (d *Dispatcher) report(what *delivery, kind, reason string, took time.Duration, message string) {
	for _, of := range what.of {
		d.options.Report(v1alpha1.Event{
			Time: metav1.NowMicro(), Type: kind, Reason: reason, Message: message, App: of.app, UID: of.uid,
			Incident: of.incident, Phase: what.alert.Phase, Blame: what.alert.Blame, Took: metav1.Duration{Duration: took},
		})
	}
}

func keyOf(app string, spec v1alpha1.AlertSpec) string {
	return strings.Join(append([]string{app, spec.Webhook}, spec.Exec...), "\x00")
}

func atTry(try int) string {
	if try < 2 {
		return ""
	}
	return fmt.Sprintf(" at the %s try", [...]string{"", "first", "second", "third", "fourth", "fifth"}[try])
}
