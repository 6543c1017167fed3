//go:build linux

package procfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
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

func TestGroupNumbers(t *testing.T) {
	root, point := t.TempDir(), t.TempDir()
	fake(t, root, 100, "node", 1, 100)
	fake(t, root, 101, "node", 1, 101)
	web, away, gone := Identity{PID: 100, StartTicks: 100}, Identity{PID: 101, StartTicks: 101}, Identity{PID: 102, StartTicks: 102}
	group := filepath.Join(point, "system.slice/web.service")
	if err := os.MkdirAll(group, 0o700); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(group, &st); err != nil {
		t.Fatal(err)
	}
	write(t, root, "100/cgroup", "1:name=systemd:/else\n0::/system.slice/web.service\n")
	fsys := New(root)
	if _, err := fsys.GroupNumbers(web); err == nil {
		t.Error("no error without a list of mounts")
	}
	write(t, root, "self/mountinfo", "34 24 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n")
	if _, err := fsys.GroupNumbers(web); err == nil {
		t.Error("no error without the hierarchy that all share")
	}
	write(t, root, "self/mountinfo", "34 24 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n35 24 0:30 /docker /else rw - cgroup2 cgroup2 rw\n36 24 0:30 / "+point+" rw shared:9 - cgroup2 cgroup2 rw\n")
	got, err := fsys.GroupNumbers(web, gone)
	if err != nil || len(got) != 1 || got[web] != st.Ino {
		t.Errorf("%v, %v, want %d", got, err, st.Ino)
	}
	for _, file := range []string{"", "0::/../other\n", "0::/not.there\n", "4:cpu:/x\n"} {
		write(t, root, "101/cgroup", file)
		if got, err := fsys.GroupNumbers(web, away); err == nil {
			t.Errorf("%q: %v, want an error", file, got)
		}
	}
}
