package cmd

import (
	"context"
	"time"

	"github.com/evenkeel/evenkeel/state/watch"
)

// await looks whenever one of the files may have changed, until done says so, the limit is over or the context has ended.
// It tells whether it is done.
func await(ctx context.Context, limit time.Duration, paths []string, done func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	changes := watch.Options{Quiet: 10 * time.Millisecond, Limit: 100 * time.Millisecond, Sweep: time.Second}.Watch(ctx, paths...)
	defer func() {
		cancel()
		for range changes { // until the watcher has ended
		}
	}()
	for {
		if done() {
			return true
		}
		if _, ok := <-changes; !ok {
			return done()
		}
	}
}
