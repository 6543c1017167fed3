package cmd

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/zombies"
)

// container is the keeper, as process 1 needs it.
type container interface {
	Shutdown(ctx context.Context) error
}

// shutdownLimit is how long the end of all applications may take: the longest stopTimeout, 10m, and a margin.
const shutdownLimit = 11 * time.Minute

// asProcessOne takes up the duties of process 1 of a container: it takes away the zombies for which nobody waits. What it
// gives is called at the end, when nothing is supervised any more: with process 1 everything ends, so the applications are
// asked to, each within its stopTimeout.
func asProcessOne(kept container, log logrus.FieldLogger) (end func()) {
	ctx, stop := context.WithCancel(context.Background())
	reaped := make(chan struct{})
	go func() {
		defer close(reaped)
		zombies.Reap(ctx, procfs.Default())
	}()
	return func() {
		limited, cancel := context.WithTimeout(context.Background(), shutdownLimit)
		defer cancel()
		if err := kept.Shutdown(limited); err != nil {
			log.WithError(err).Error("not every application could be ended before process 1 ends")
		} else {
			log.Info("applications have ended with process 1")
		}
		stop()
		<-reaped
	}
}
