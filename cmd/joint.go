package cmd

import (
	"sync"
	"time"

	"github.com/evenkeel/evenkeel/api/alert"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// joinWait is how long an alert of a fault that other Apps may share waits for theirs. The Apps look at the same time as
// soon as one of them suspects such a fault, and confirm it at the same pace.
const joinWait = 5 * time.Second

// joint keeps the alerts that wait to be joined, and the timer that sends them.
type joint struct {
	clock func() v1alpha1.Instant
	tell  func([]alert.Item)

	mu     sync.Mutex
	joiner alert.Joiner
	apps   map[string]bool // supervised now
	timer  *time.Timer
}

func newJoint(clock func() v1alpha1.Instant, tell func([]alert.Item)) *joint {
	return &joint{clock: clock, tell: tell, joiner: alert.Joiner{Wait: joinWait}, apps: map[string]bool{}}
}

// supervised notes that an App is supervised, or is no longer.
func (j *joint) supervised(app string, is bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.apps, app)
	if is {
		j.apps[app] = true
	}
}

// alert takes an alert, and calls kept once it has been told: while it waits it is in memory only.
func (j *joint) alert(app *v1alpha1.App, a v1alpha1.Alert, kept func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.send(j.joiner.Add(j.clock(), alert.Item{App: app.DeepCopy(), Alert: a, Kept: kept}, len(j.apps)))
	j.wait()
}

// wait sends what is due and sets the timer for the rest. j.mu is held.
func (j *joint) wait() {
	groups, next := j.joiner.Due(j.clock())
	j.send(groups)
	switch {
	case next == 0:
	case j.timer == nil:
		j.timer = time.AfterFunc(next, j.due)
	default:
		j.timer.Reset(next)
	}
}

func (j *joint) due() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wait()
}

func (j *joint) send(groups [][]alert.Item) {
	for _, g := range groups {
		j.tell(g)
		for _, item := range g {
			if item.Kept != nil {
				item.Kept()
			}
		}
	}
}

// close sends what still waits.
func (j *joint) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.timer != nil {
		j.timer.Stop()
	}
	j.send(j.joiner.All())
}
