package alert

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Tried is what became of one alert that was sent for a test.
type Tried struct {
	// Name says where to, without secrets.
	Name string
	// Took is how long it took.
	Took time.Duration
	// Err says why the receiver has not taken it; nil where it has.
	Err error
}

// Try sends a test alert to every receiver of an App, side by side and once, and waits for what becomes of it, each within its
// timeout. courier and host are as in Options. The results are in the order of spec.alerts.
func Try(ctx context.Context, app *v1alpha1.App, courier []string, host string) []Tried {
	d := New(Options{Courier: courier, Host: host, Report: func(v1alpha1.Event) {}})
	defer d.end()
	results := make([]Tried, len(app.Spec.Alerts))
	stop := context.AfterFunc(ctx, d.end)
	defer stop()
	var all sync.WaitGroup
	for n, spec := range app.Spec.Alerts {
		all.Go(func() {
			a := v1alpha1.Alert{
				Time: metav1.NowMicro(), Kind: v1alpha1.AlertTest, App: app.Name, Host: host, Phase: app.Status.Phase, Reason: "AskedFor",
				Message: "this is a test of evenkeel's alerts; nothing is wrong",
				Next:    []string{"nothing: whoever reads this is told when something is wrong with " + app.Name},
			}
			l := letter{ID: rand16(), Time: time.Now(), App: app.Name, Alert: a, Of: []subject{{App: app.Name, UID: app.UID}}}
			c := &channel{sender: d.newSender(spec)}
			began := time.Now()
			err := d.attempt(c, l.delivery(spec))
			results[n] = Tried{Name: c.sender.name(), Took: time.Since(began), Err: err}
		})
	}
	all.Wait()
	return slices.Clip(results)
}

// String says it in a line.
func (t Tried) String() string {
	if t.Err != nil {
		return fmt.Sprintf("%s: %v", t.Name, t.Err)
	}
	return fmt.Sprintf("%s: taken in %s", t.Name, t.Took.Round(time.Millisecond))
}
