package monitor

import (
	"io"
	"sync/atomic"
)

// queueSize is how many lines wait for one writer at most. At a line a second and app that is a quarter of an hour.
const queueSize = 1024

// outlet writes lines to one place, in its own goroutine, from a bounded queue.
type outlet struct {
	to    io.Writer
	queue chan []byte
	stop  chan struct{} // closed once, by Close
	done  chan struct{}
	lost  atomic.Uint64 // all lines that were dropped

	// dropped, failed and mended are told, in the outlet's goroutine, what happened to lines; each may be nil.
	dropped func(lines uint64)
	failed  func(err error)
	mended  func(lines uint64)
}

// newOutlet makes an outlet; whoever makes it also starts its run.
func newOutlet(to io.Writer) *outlet {
	return &outlet{to: to, queue: make(chan []byte, queueSize), stop: make(chan struct{}), done: make(chan struct{})}
}

// put queues a line, or drops and counts it.
func (o *outlet) put(line []byte) {
	select {
	case o.queue <- line:
	default:
		o.lost.Add(1)
	}
}

// Write queues a line.
func (o *outlet) Write(line []byte) (int, error) {
	o.put(append([]byte(nil), line...))
	return len(line), nil
}

// run writes until it is stopped, and then what is left in the queue.
func (o *outlet) run() {
	defer close(o.done)
	var told, missed uint64
	for stopped := false; !stopped || len(o.queue) > 0; {
		select {
		case line := <-o.queue:
			missed = o.write(line, missed)
		case <-o.stop:
			stopped = true
			if len(o.queue) > 0 {
				missed = o.write(<-o.queue, missed)
			}
		}
		if lost := o.lost.Load(); lost > told && missed == 0 && o.dropped != nil {
			o.dropped(lost - told)
			told = lost
		}
	}
}

// write writes one line, and tells when writing begins to fail and when it works again. It returns how many lines have
// been missed since it began to fail.
func (o *outlet) write(line []byte, missed uint64) uint64 {
	_, err := o.to.Write(line)
	switch {
	case err != nil && missed == 0 && o.failed != nil:
		o.failed(err)
		return 1
	case err != nil:
		return missed + 1
	case missed > 0 && o.mended != nil:
		o.mended(missed)
	}
	return 0
}
