package recovery

import (
	"context"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/cachedir"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
	"github.com/evenkeel/evenkeel/reconcilers/swap"
)

// caches moves the listed cache folders away, only while the application is stopped. What was moved is deleted after the
// start; before it where the disk is full, since the start would find no more room than there was.
func (h *Hands) caches(ctx context.Context, app *v1alpha1.App, _ pass.Step) outcome {
	snapshot, err := h.Runtime.Look(ctx, app)
	if err != nil && runtime.CouldNotAsk(err) {
		return skipped("it cannot be told whether the application is stopped: %v", err)
	}
	for n := range snapshot.Processes {
		if snapshot.Processes[n].Alive() {
			return skipped("the application runs; caches are cleared only while it is stopped")
		}
	}
	o := h.Looker.Observe(ctx, app, []string{v1alpha1.CheckDeploy, v1alpha1.CheckDisk})
	if r, _ := o.Result(v1alpha1.CheckDeploy); r.Status == metav1.ConditionFalse {
		return skipped("a deploy is at work in the folder: %s", r.Message)
	}
	if r, _ := o.Result(v1alpha1.CheckDisk); r.Reason == "CouldNotAsk" && r.Facts == nil {
		return skipped("the caches are left alone: %s", r.Message) // one that hangs would hold up the start
	}
	list, err := cachedir.Clear(ctx, app.Spec.Directory, app.Spec.Recovery.Caches)
	if err != nil {
		return failed("%v", err)
	}
	var said []string
	cleared := false
	for _, c := range list {
		switch {
		case c.TrashName != "":
			cleared = true
			said = append(said, fmt.Sprintf("%s: %d files, %s", c.Folder, c.Files, size(c.Bytes)))
		case c.Missing:
			said = append(said, c.Folder+": not there")
		default:
			said = append(said, c.Folder+": left alone: "+c.Skipped)
		}
	}
	message := strings.Join(said, "; ")
	if !cleared {
		return skipped("%s", message)
	}
	if r, _ := o.Result(v1alpha1.CheckDisk); r.Status == metav1.ConditionFalse {
		message += "; " + h.makeRoom(ctx, app)
	}
	return done("%s", message)
}

func size(bytes int64) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

// Switcher has swap cleared; *swap.Switcher is one.
type Switcher interface {
	// Allowed says whether there is a way to, and if not, why.
	Allowed() (bool, string)
	// Clear switches the areas that are used off and on again. A *swap.LeftError says that they were left as they are.
	Clear(ctx context.Context, areas []procfs.Swap) error
}

// memory reads the machine's memory, and clears swap where that is needed, safe and allowed.
func (h *Hands) memory(ctx context.Context, app *v1alpha1.App, step pass.Step) outcome {
	info, err := h.FS.Meminfo()
	if err != nil {
		return skipped("the machine's memory could not be read: %v", err)
	}
	areas, err := h.FS.Swaps()
	if err != nil {
		return skipped("%d MiB available; the swap areas could not be read: %v", info.Available>>20, err)
	}
	if step.Recovery.Blame != v1alpha1.BlameMemory {
		return skipped("%d MiB available; swap is left alone: this is not about memory", info.Available>>20)
	}
	wanted := uint64(app.Spec.Checks.Memory.MinAvailable.Value())
	allowed, why := false, "clearing swap is off"
	if h.Swap != nil {
		allowed, why = h.Swap.Allowed()
	}
	fits, reason := swap.Decide(info, areas, wanted, allowed, why)
	if !fits {
		return skipped("%d MiB available; swap is left alone: %s", info.Available>>20, reason)
	}
	var left *swap.LeftError
	switch err := h.Swap.Clear(ctx, areas); {
	case errors.As(err, &left):
		return skipped("%d MiB available; %v", info.Available>>20, err)
	case err != nil:
		return failed("%d MiB available; %v", info.Available>>20, err)
	}
	after, err := h.FS.Meminfo()
	if err != nil {
		return done("%s", reason)
	}
	return done("%s; %d MiB available now", reason, after.Available>>20)
}
