package runtime

import (
	"context"
	"time"
)

// Pause waits, and tells whether it could wait the whole time: false where the context ended first.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
