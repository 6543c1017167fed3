package recovery

import (
	"context"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/cachedir"
)

// tidyLimit bounds one deletion of what was moved away; what is left is deleted the next time.
const tidyLimit = 10 * time.Minute

// Tidy deletes, in the background, what the caches step has moved away: now, or before evenkeel itself was ended. It is
// called at the end of every recovery and when the supervision of an App begins; where nothing was moved away it only looks.
// No step waits for it, since gigabytes take their time on a small disk, but for the one that has to make room on a full one.
// One that is under way already goes on alone.
func (h *Hands) Tidy(app *v1alpha1.App) { h.tidy(app) }

// roomWait is how long a start waits for the deletion of what was moved away, where the disk has no room for it.
const roomWait = 8 * time.Second

// makeRoom deletes at once, and says how far it came; what it has begun goes on.
func (h *Hands) makeRoom(ctx context.Context, app *v1alpha1.App) string {
	ctx, cancel := context.WithTimeout(ctx, roomWait)
	defer cancel()
	select {
	case <-h.tidy(app):
		return "deleted before the start, because there is no room on the disk"
	case <-ctx.Done():
		return "still being deleted, though there is no room on the disk"
	}
}

// tidy begins a deletion, or joins the one that is under way; what it gives is closed at its end.
func (h *Hands) tidy(app *v1alpha1.App) <-chan struct{} {
	dir := app.Spec.Directory
	h.mu.Lock()
	defer h.mu.Unlock()
	if over, ok := h.tidies[dir]; ok {
		return over
	}
	if h.tidies == nil {
		h.tidies = map[string]chan struct{}{}
	}
	over := make(chan struct{})
	h.tidies[dir] = over
	folders := app.Spec.Recovery.Caches
	name := app.Name
	h.tidying.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), tidyLimit)
		defer cancel()
		removed, err := cachedir.Purge(ctx, dir, folders)
		h.mu.Lock()
		delete(h.tidies, dir)
		h.mu.Unlock()
		close(over)
		if h.Log == nil {
			return
		}
		log := h.Log.WithField("app", name)
		if len(removed) > 0 {
			log.WithField("folders", removed).Info("caches that were moved away are deleted")
		}
		if err != nil {
			log.WithError(err).Warn("caches that were moved away could not all be deleted; it is tried again after the next recovery")
		}
	})
	return over
}
