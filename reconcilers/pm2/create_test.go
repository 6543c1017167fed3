//go:build linux

package pm2

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func manual(t *testing.T, w *world) {
	if p := w.untilState("manual", runtime.Stopped); !p.Unstartable {
		t.Errorf("row %+v", p)
	}
	if _, err := w.m.Start(t.Context(), w.app("manual"), v1alpha1.Instant{}); !errors.Is(err, runtime.ErrRefused) {
		t.Errorf("start: %v", err)
	}
	w.pm2("restart", "manual")
	if p := w.one("manual"); p.State != runtime.Stopped {
		t.Errorf("PM2 has learned to start it: %+v", p)
	}
}

func notListed(t *testing.T, w *world) {
	s := w.look("nobody")
	if len(s.Processes) != 0 || s.State() != runtime.Missing {
		t.Errorf("snapshot %+v", s.Processes)
	}
	if _, err := w.m.Stop(t.Context(), w.app("nobody"), time.Second); !errors.Is(err, runtime.ErrNotListed) || runtime.CouldNotAsk(err) {
		t.Errorf("stop: %v", err)
	}
	app := w.app("nobody")
	if _, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); !errors.Is(err, runtime.ErrNotListed) {
		t.Errorf("start: %v", err)
	}
	// An ecosystem file that does not name it: PM2 does nothing, with exit status 0.
	app.Spec.Runtime.PM2.Start = "all.config.js"
	if _, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); !errors.Is(err, runtime.ErrNotListed) {
		t.Errorf("start: %v", err)
	}
	app.Spec.Runtime.PM2.Start = "nothing.js"
	if _, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); err == nil || !strings.Contains(err.Error(), "nothing.js") {
		t.Errorf("start: %v", err)
	}
	app.Spec.Runtime.PM2.Start = "web.js"
	app.Spec.Runtime.PM2.Command = []string{"/nowhere/pm2"}
	if _, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); !errors.Is(err, runtime.ErrNoCommand) {
		t.Errorf("start: %v", err)
	}
}

func created(t *testing.T, w *world) {
	t.Setenv("EVENKEEL_SECRET", "leak")
	w.write("one.config.js", `module.exports = {apps: [{name: 'from-file', script: 'web.js', env: {FROM_FILE: 'kept'}}, {name: 'other', script: 'web.js'}]}`)
	for name, start := range map[string]string{"from-file": "one.config.js", "from script": "web.js"} {
		app := w.app(name)
		app.Spec.Runtime.PM2.Start = start
		r, err := w.m.Start(t.Context(), app, now(t))
		if err != nil || r.How != runtime.Created || len(r.IDs) != 1 {
			t.Fatalf("start %s: %+v, %v", name, r, err)
		}
		p := w.untilState(name, runtime.Running)
		env, err := procfs.Default().Environ(p.Identity, "EVENKEEL_SECRET", "PM2_NODE_OPTIONS", "HOME", "PATH", "TZ")
		if err != nil || env["EVENKEEL_SECRET"] != "" || env["PM2_NODE_OPTIONS"] != "" || env["PATH"] == "" || env["HOME"] == "" || env["TZ"] != "UTC" {
			t.Errorf("environment of %s: %v, %v", name, env, err)
		}
		if p.Cwd != w.dir {
			t.Errorf("%s works in %s", name, p.Cwd)
		}
		t.Logf("%s: created in %s", name, r.Took)
	}
	app := w.app("web other")
	app.Spec.Runtime.PM2.Start = "one.config.js"
	if _, err := w.m.Start(t.Context(), app, v1alpha1.Instant{}); !errors.Is(err, runtime.ErrRefused) {
		t.Errorf("a name that PM2 takes for two: %v", err)
	}
	if s := w.look("other"); len(s.Processes) != 0 {
		t.Error("another application of the file was started")
	}
}

// checkEnvironment: what the operator's shell and the file gave it survives; nothing of ours comes in.
func checkEnvironment(t *testing.T, p runtime.Process, fromFile string) {
	t.Helper()
	env, err := procfs.Default().Environ(p.Identity, "FIRST", "FROM_FILE", "EVENKEEL_SECRET", "PM2_NODE_OPTIONS", "NO_COLOR")
	if err != nil || env["FIRST"] != "survives" || env["FROM_FILE"] != fromFile {
		t.Errorf("its environment did not survive: %v, %v", env, err)
	}
	for _, name := range []string{"EVENKEEL_SECRET", "PM2_NODE_OPTIONS", "NO_COLOR"} {
		if v, leaked := env[name]; leaked {
			t.Errorf("%s=%s of ours came in", name, v)
		}
	}
}
