package watch

import (
	"errors"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// notifier is what the watcher needs of fsnotify, so that a test can play it.
type notifier struct {
	add, remove func(dir string) error
	// close ends the notifier and waits for everything it has started.
	close func()
	// queue holds what it has to say.
	queue *queue
}

// newInotify asks the kernel for a notifier.
func newInotify() (*notifier, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	q := newQueue()
	var pump sync.WaitGroup
	pump.Go(func() { q.fill(n) })
	return &notifier{add: n.Add, remove: n.Remove, queue: q, close: func() {
		_ = n.Close()
		pump.Wait()
	}}, nil
}

// maxQueue bounds the queue; what is more is an overflow, like the kernel's own.
const maxQueue = 4096

// errEnded says that the notifier has ended by itself.
var errEnded = errors.New("the notifier has ended")

// notice is an event or an error.
type notice struct {
	event fsnotify.Event
	err   error
}

// queue stands between fsnotify and the watcher's loop. fsnotify may wait for the reader of its errors while it holds the
// lock that Add needs (when a watched folder was moved and then removed), so that a loop which reads and adds by turns
// would hang. Therefore somebody always reads.
type queue struct {
	// wake says that the queue is not empty.
	wake chan struct{}

	mu      sync.Mutex
	notices []notice
}

// newQueue makes an empty queue.
func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// fill reads everything that fsnotify has to say until it is closed.
func (q *queue) fill(n *fsnotify.Watcher) {
	events, failures := n.Events, n.Errors
	for events != nil || failures != nil {
		select {
		case event, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			q.put(notice{event: event})
		case err, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			q.put(notice{err: err})
		}
	}
	q.put(notice{err: errEnded})
}

// put adds a notice; it never blocks.
func (q *queue) put(n notice) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.notices) >= maxQueue {
		q.notices = []notice{{err: fsnotify.ErrEventOverflow}}
	}
	q.notices = append(q.notices, n)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (q *queue) take() []notice {
	q.mu.Lock()
	defer q.mu.Unlock()
	notices := q.notices
	q.notices = nil
	return notices
}
