//go:build linux

package procfs

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

func TestTheControlGroupIsTheOneThatSystemdMeans(t *testing.T) {
	for file, want := range map[string]string{
		"0::/system.slice/web.service\n":                                          "/system.slice/web.service",
		"12:memory:/docker/abc\n1:name=systemd:/user.slice/a.service\n0::/else\n": "/user.slice/a.service",
		"0::/else\n1:name=systemd:/user.slice/a.service\n":                        "/user.slice/a.service",
		"4:cpu:/x\n": "", "": "", "nonsense\n": "",
	} {
		if got := systemdGroup(file); got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}

func TestInUnit(t *testing.T) {
	for _, c := range []struct {
		group, unit string
		want        bool
	}{
		{"/system.slice/web.service", "web.service", true},
		{"/system.slice/web.service/worker", "web.service", true},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", "web.service", true},
		{"/system.slice/other-web.service", "web.service", false},
		{"/", "web.service", false}, {"", "web.service", false}, {"/system.slice", "", false},
	} {
		if got := InUnit(c.group, c.unit); got != c.want {
			t.Errorf("%s in %s: %v", c.unit, c.group, got)
		}
	}
}

func TestTheServiceOfAControlGroup(t *testing.T) {
	for group, want := range map[string]struct {
		unit    string
		manager int
	}{
		"/system.slice/web.service":                                                {"web.service", SystemManager},
		"/system.slice/system-site.slice/site@blue.service":                        {"site@blue.service", SystemManager},
		"/system.slice/web.service/worker":                                         {"web.service", SystemManager},
		"/own.slice/own-web.slice/web.service":                                     {"web.service", SystemManager},
		"/user.slice/user-1000.slice/user@1000.service/app.slice/web.service":      {"web.service", 1000},
		"/user.slice/user-1000.slice/user@1000.service/app.slice/a.service/b.sub":  {"a.service", 1000},
		"/user.slice/user-1000.slice/user@1000.service/init.scope":                 {"", 1000},
		"/user.slice/user-1000.slice/user@1000.service/app.slice/tmux-spawn.scope": {"", 1000},
		"/user.slice/user-1000.slice/session-3.scope":                              {"", SystemManager},
		"/system.slice/docker-0123.scope":                                          {"", SystemManager},
		"/system.slice/__web.service":                                              {"_web.service", SystemManager},
		"/system.slice/user@name.service":                                          {"user@name.service", SystemManager},
		"/init.scope":                                                              {"", SystemManager}, "/": {"", SystemManager}, "": {"", SystemManager}, "/docker/0123": {"", SystemManager},
	} {
		if unit, manager := Service(group); unit != want.unit || manager != want.manager {
			t.Errorf("%s: %q of %d, want %+v", group, unit, manager, want)
		}
	}
}

func TestOutputsAreWhereAProcessWrites(t *testing.T) {
	self, err := Default().Process(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.Readlink("/proc/self/fd/1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Default().Outputs(self.Identity); err != nil || got[0] != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	gone := self.Identity
	gone.StartTicks++
	if _, err := Default().Outputs(gone); !errors.Is(err, ErrGone) && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of one that is gone: %v", err)
	}
	if _, err := Default().ControlGroup(gone); err == nil {
		t.Error("one that is gone is in a control group")
	}
}
