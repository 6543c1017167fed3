package main

import (
	"container/heap"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// epoch is when every simulated world begins.
var epoch = time.Date(2027, 1, 4, 3, 0, 0, 0, time.UTC)

// forever is a moment that does not come.
const forever = time.Duration(1<<63 - 1)

// clock is true time, which nobody in the world can read, and the two clocks that they can: the one on the wall, which
// may be set, and the one since boot.
type clock struct {
	now    time.Duration // true time since the epoch
	wallBy time.Duration // how far the clock on the wall is off
	bootAt time.Duration
	boots  int
	queue  queue
	seq    int
}

func (c *clock) instant() v1alpha1.Instant { return c.instantAt(c.now) }

func (c *clock) instantAt(t time.Duration) v1alpha1.Instant {
	return v1alpha1.Instant{
		Wall:   metav1.NewMicroTime(epoch.Add(t + c.wallBy)),
		Boot:   metav1.Duration{Duration: t - c.bootAt},
		BootID: fmt.Sprintf("boot-%d", c.boots),
	}
}

// truly is when an instant was in truth. Of one in an earlier boot no more is known than that it was before this one.
func (c *clock) truly(i v1alpha1.Instant) time.Duration {
	if i.BootID != c.instant().BootID {
		return c.bootAt - 1
	}
	return c.bootAt + i.Boot.Duration
}

func (c *clock) wall() time.Time { return epoch.Add(c.now + c.wallBy) }

// event is something that will happen in the world.
type event struct {
	at  time.Duration
	seq int
	do  func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push is for package heap.
func (q *queue) Push(x any) { *q = append(*q, x.(event)) }

// Pop is for package heap.
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// in lets something happen after a while.
func (c *clock) in(d time.Duration, do func()) {
	c.seq++
	heap.Push(&c.queue, event{c.now + max(d, 0), c.seq, do})
}

// upcoming is when the next thing happens.
func (c *clock) upcoming() time.Duration {
	if len(c.queue) == 0 {
		return forever
	}
	return c.queue[0].at
}

// happen lets everything happen that is due.
func (c *clock) happen() {
	for len(c.queue) > 0 && c.queue[0].at <= c.now {
		heap.Pop(&c.queue).(event).do()
	}
}
