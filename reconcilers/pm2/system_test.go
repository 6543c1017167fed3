//go:build linux

package pm2

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

func TestWhichServiceWeRunIn(t *testing.T) {
	for group, want := range map[string]string{
		"0::/system.slice/evenkeel.service\n":                                       "evenkeel.service",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/ek.service\n":   "ek.service",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/term-1.scope\n": "",
		"0::/user.slice/user-1000.slice/session-3.scope\n":                          "",
		"0::/\n": "",
		"0::/system.slice/evenkeel.service/worker\n":                                    "evenkeel.service",
		"12:memory:/docker/abc.service\n9:name=systemd:/system.slice/a.service\n0::/\n": "a.service",
		"": "",
	} {
		file := filepath.Join(t.TempDir(), "cgroup")
		if err := os.WriteFile(file, []byte(group), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := serviceIn(file); got != want {
			t.Errorf("%q: %q, want %q", group, got, want)
		}
	}
	if got := serviceIn("/nowhere"); got != "" {
		t.Errorf("no file: %q", got)
	}
}

// withSystemd puts a machine under a service manager of the test's own: systemctl does what the script says, systemd-run
// notes its arguments and runs what it is given.
func (w *world) withSystemd(inService bool, systemctl string) {
	w.t.Helper()
	run, units, bin := filepath.Join(w.dir, "run"), filepath.Join(w.dir, "units"), filepath.Join(w.dir, "bin")
	for _, dir := range []string{filepath.Join(run, "systemd/system"), units, bin} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	if uid := os.Geteuid(); uid != 0 {
		private := filepath.Join(run, "user", itoa(uid), "systemd/private")
		if err := os.MkdirAll(private, 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	w.write("bin/systemd-run", "#!/bin/sh\necho \"$@\" >>"+w.dir+"/units-made\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n")
	w.write("bin/systemctl", "#!/bin/sh\necho \"$@\" >>"+w.dir+"/asked\n"+systemctl+"\n")
	for _, name := range []string{"systemd-run", "systemctl"} {
		if err := os.Chmod(filepath.Join(bin, name), 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	w.m.system = system{units: []string{units}, run: run, cgroup: filepath.Join(w.dir, "cgroup"), path: []string{bin, "/usr/bin", "/bin"}}
	group := "0::/user.slice/user-0.slice/session-1.scope\n"
	if inService {
		group = "0::/system.slice/evenkeel.service\n"
	}
	w.write("cgroup", group)
}

// unit writes the unit file that `pm2 startup` would make.
func (w *world) unit(home string) {
	w.write("units/pm2-site.service", "[Service]\nType=forking\nEnvironment=PATH=/usr/bin\nEnvironment=PM2_HOME="+home+"\nExecStart=pm2 resurrect\n")
}

// noted is what a program of the test's own was given.
func (w *world) noted(file string) string {
	b, _ := os.ReadFile(filepath.Join(w.dir, file))
	return string(b)
}

// saved is a home with web saved, and no daemon.
func savedWorld(t *testing.T, inService bool, systemctl string) *world {
	w := newWorld(t)
	w.pm2("start", "web.js", "--name", "web")
	w.pm2("save")
	w.killDaemon()
	w.withSystemd(inService, systemctl)
	return w
}

func (w *world) startAgain() (runtime.StartResult, error) {
	return w.m.Start(w.t.Context(), w.app("web"), v1alpha1.Instant{})
}

func TestPM2sOwnServiceBringsItBack(t *testing.T) {
	w := savedWorld(t, true, "")
	w.unit(w.home)
	w.write("bin/systemctl", fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%s/asked\nHOME=%s PM2_HOME=%s PATH=%s setsid %s resurrect >/dev/null 2>&1 </dev/null\n",
		w.dir, w.dir, w.home, os.Getenv("PATH"), w.program))
	r, err := w.startAgain()
	if err != nil || r.How != runtime.Revived || !strings.Contains(r.Message, "pm2-site.service") {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := w.noted("asked"); got != "--no-ask-password start pm2-site.service\n" {
		t.Errorf("systemctl was given %q", got)
	}
	if got := w.noted("units-made"); got != "" {
		t.Errorf("a unit was made too: %q", got)
	}
	w.oneDaemon()
	w.untilState("web", runtime.Running)
}

func TestWithoutTheRightToStartItsServiceAUnitIsMade(t *testing.T) {
	w := savedWorld(t, true, `case "$*" in *start*) echo "Failed to start pm2-site.service: Interactive authentication required." >&2; exit 4;; esac; echo failed`)
	w.unit(w.home)
	r, err := w.startAgain()
	if err != nil || r.How != runtime.Revived || !strings.Contains(r.Message, "in a unit of its own") {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := w.noted("units-made"); strings.Contains(got, "--scope ") || !strings.Contains(got, "--service-type=forking") ||
		!strings.Contains(got, "--setenv=PM2_HOME="+w.home+" ") || !strings.HasSuffix(got, "resurrect\n") {
		t.Errorf("systemd-run was given %q", got)
	}
	w.oneDaemon()
	w.untilState("web", runtime.Running)
}

func TestNothingIsDoneBesideAServiceThatIsJustBeingStarted(t *testing.T) {
	w := savedWorld(t, false, `case "$*" in *start*) echo "Access denied" >&2; exit 4;; esac; echo activating`)
	w.unit(w.home)
	// As its service would: it takes a while.
	back := make(chan struct{})
	go func() {
		defer close(back)
		eventually(t, "somebody asks whether it is being started", func() bool { return strings.Contains(w.noted("asked"), "show") })
		w.pm2("resurrect")
	}()
	r, err := w.startAgain()
	<-back
	if err != nil || !strings.Contains(r.Message, "its own service") {
		t.Errorf("%+v, %v", r, err)
	}
	w.oneDaemon()
}

func TestAnotherHomesServiceIsLeftAlone(t *testing.T) {
	w := savedWorld(t, false, "exit 1")
	w.unit("/home/somebody/.pm2")
	r, err := w.startAgain()
	if err != nil || r.How != runtime.Revived || w.noted("asked") != "" || w.noted("units-made") != "" {
		t.Errorf("%+v, %v; systemctl was given %q, systemd-run %q", r, err, w.noted("asked"), w.noted("units-made"))
	}
}

func TestInAServiceWithoutSystemdRunNoneIsBroughtBack(t *testing.T) {
	w := savedWorld(t, true, "exit 1")
	if err := os.Remove(filepath.Join(w.dir, "bin/systemd-run")); err != nil {
		t.Fatal(err)
	}
	w.m.system.path = []string{filepath.Join(w.dir, "bin")}
	s, err := w.m.Look(t.Context(), w.app("web"))
	if !errors.Is(err, runtime.ErrNoDaemon) || s.Daemon.Revival.How != "" || !strings.Contains(s.Daemon.Revival.Why, "evenkeel.service") {
		t.Errorf("%+v, %v", s.Daemon, err)
	}
	if _, err := w.startAgain(); !errors.Is(err, runtime.ErrNoDaemon) {
		t.Errorf("start: %v", err)
	}
	if d := w.daemons(); len(d) != 0 {
		t.Errorf("a daemon was born: %v", d)
	}
}
