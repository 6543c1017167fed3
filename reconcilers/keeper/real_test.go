//go:build linux && vps

package keeper

import (
	"context"
	"os"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime/runtimetest"
	"github.com/evenkeel/evenkeel/reconcilers/systemd"
)

// On the machine of hack/vps, where hack/service runs these tests in a service, every process that the keeper makes is moved out of it.
func init() {
	if os.Getenv("EK_VPS") == "" {
		return
	}
	apart = func(ctx context.Context, unit, description string, pids []int) error {
		m := systemd.New() // for this one, so that no test leaves a connection behind
		defer m.Close()
		return m.Apart(ctx, unit, description, pids)
	}
}

func TestALifeLeavesTheServiceForReal(t *testing.T) {
	w := newWorld(t)
	if w.k.apart == nil {
		t.Fatal("this test is for a service: go test -tags vps ./hack/service")
	}
	app := w.app("web", "web")
	if _, err := w.k.Start(t.Context(), app, v1alpha1.Instant{}); err != nil {
		t.Fatal(err)
	}
	row := w.running(app)
	group := ""
	runtimetest.Eventually(t, "it is moved", func() bool {
		group, _ = procfs.Default().ControlGroup(row.Identity)
		return group != "" && !w.k.within(row.Identity)
	})
	t.Log(group)
	w.signal(row.Identity, 9)
	runtimetest.Eventually(t, "its end is noted", func() bool { return len(w.exits(app)) > 0 })
	if e := w.exits(app)[0]; e.Signal != "SIGKILL" {
		t.Errorf("how it ended is not known: %+v", e)
	}
}
