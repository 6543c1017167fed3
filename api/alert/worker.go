package alert

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pace"
)

// enqueue puts a delivery into an App's channel, and starts the channel's worker if it has none. d.mu is held.
func (d *Dispatcher) enqueue(app string, spec v1alpha1.AlertSpec, what *delivery) {
	key := keyOf(app, spec)
	c := d.channels[key]
	if c == nil {
		c = &channel{key: key, sender: d.newSender(*spec.DeepCopy())}
		if d.options.Random != nil {
			c.random = rand.New(rand.NewPCG(d.options.Random.Uint64(), d.options.Random.Uint64()))
		}
		d.channels[key] = c
		d.workers.Go(func() { d.work(c) })
	}
	c.queue = slices.DeleteFunc(c.queue, func(old *delivery) bool {
		if what.supersedes(old) {
			c.gone = append(c.gone, old.file)
			return true
		}
		return false
	})
	// What an earlier run has left comes first.
	n, _ := slices.BinarySearchFunc(c.queue, what, func(a, b *delivery) int { return a.Time.Compare(b.Time) })
	for n < len(c.queue) && c.queue[n].Time.Equal(what.Time) {
		n++
	}
	c.queue = slices.Insert(c.queue, n, what)
	if len(c.queue) > queueSize {
		c.gone = append(c.gone, c.queue[0].file)
		c.queue = slices.Delete(c.queue, 0, 1)
		c.dropped++
		d.dropped++
	}
}

// work delivers what is in a channel's queue, and ends when it is empty.
func (d *Dispatcher) work(c *channel) {
	for {
		d.mu.Lock()
		dropped, gone := c.dropped, c.gone
		c.dropped, c.gone = 0, nil
		if len(c.queue) == 0 {
			delete(d.channels, c.key)
			d.mu.Unlock()
			d.drop(gone...)
			return
		}
		next := c.queue[0]
		c.queue = slices.Delete(c.queue, 0, 1)
		d.mu.Unlock()
		d.drop(gone...)
		if dropped > 0 {
			d.sayDropped(c, next, dropped)
		}
		d.deliver(c, next)
	}
}

// sayDropped tells that alerts were dropped. The worker says it, not the caller, who must not wait for a log either.
func (d *Dispatcher) sayDropped(c *channel, next *delivery, dropped int) {
	d.options.Log.WithFields(logrus.Fields{
		"app": next.Alert.App, "channel": c.sender.name(), "dropped": dropped,
	}).Warn("alerts dropped")
	about := &delivery{letter: next.letter} // next is not one of them
	about.Of = slices.Clone(next.Of)
	for n := range about.Of {
		about.Of[n].Alert = ""
	}
	d.report(about, v1alpha1.EventWarning, v1alpha1.ReasonAlertFailed, 0, fmt.Sprintf(
		"%d alerts were dropped, the oldest first: %s did not take them, and %d were waiting", dropped, c.sender.name(), queueSize))
}

// deliver tries until the receiver has acknowledged, or the tries are used up, or the time for which a letter is kept.
func (d *Dispatcher) deliver(c *channel, what *delivery) {
	most := mostPause
	if what.file != "" {
		most = longestPause
	}
	pauses := pace.New(firstPause, most, pauseGrows, pace.WithJitter(jitter, c.random))
	began := time.Now()
	var err error
	try := 0
	for d.ctx.Err() == nil {
		last := d.isClosing()
		try++
		if err = d.attempt(c, what); err == nil {
			d.drop(what.file)
			d.report(what, v1alpha1.EventNormal, v1alpha1.ReasonAlertSent, time.Since(began),
				fmt.Sprintf("alert %s was taken by %s%s", what.Alert.Kind, c.sender.name(), atTry(try)))
			return
		}
		f, _ := errors.AsType[*failure](err)
		if f == nil {
			f = &failure{}
		}
		over := try >= tries
		if what.file != "" {
			over = time.Since(what.Time) >= keptFor
		}
		if over || f.permanent {
			d.drop(what.file)
			what.file = ""
			break
		}
		if last {
			break
		}
		if try == tries {
			d.report(what, v1alpha1.EventWarning, v1alpha1.ReasonAlertFailed, time.Since(began),
				fmt.Sprintf("alert %s was not taken by %s%s, and is kept and tried again for %.0f h: %s",
					what.Alert.Kind, c.sender.name(), atTry(try), keptFor.Hours(), err))
		}
		d.pause(max(pauses.Next(), f.retryAfter))
	}
	if what.file != "" {
		d.options.Log.WithFields(logrus.Fields{"app": what.Alert.App, "channel": c.sender.name(), "alert": what.Alert.Kind}).
			Info("alert was not taken yet; it is kept for the next start")
		return
	}
	why := "evenkeel was ended before it was tried"
	if err != nil {
		why = err.Error()
	}
	d.report(what, v1alpha1.EventWarning, v1alpha1.ReasonAlertFailed, time.Since(began),
		fmt.Sprintf("alert %s was not taken by %s%s: %s", what.Alert.Kind, c.sender.name(), atTry(try), why))
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

func atTry(try int) string {
	switch {
	case try < 2:
		return ""
	case try > 5:
		return fmt.Sprintf(" at try %d", try)
	}
	return fmt.Sprintf(" at the %s try", [...]string{"", "first", "second", "third", "fourth", "fifth"}[try])
}
