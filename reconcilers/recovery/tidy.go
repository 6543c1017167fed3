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
// No step waits for it, since gigabytes take their time on a small disk. One that is under way already goes on alone.
func (h *Hands) Tidy(app *v1alpha1.App) {
	dir := app.Spec.Directory
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tidies[dir] {
		return
	}
	if h.tidies == nil {
		h.tidies = map[string]bool{}
	}
	h.tidies[dir] = true
	folders := app.Spec.Recovery.Caches
	name := app.Name
	h.tidying.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), tidyLimit)
		defer cancel()
		removed, err := cachedir.Purge(ctx, dir, folders)
		h.mu.Lock()
		delete(h.tidies, dir)
		h.mu.Unlock()
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
}
