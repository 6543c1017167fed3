package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// someone is an environment that is not ours.
func someone(t *testing.T, root bool, env map[string]string) environment {
	base := t.TempDir()
	return environment{
		getenv:    func(name string) string { return env[name] },
		home:      func() (string, error) { return filepath.Join(base, "home"), nil },
		root:      root,
		systemDir: filepath.Join(base, "var"),
	}
}

func TestDirIsResolvedInOrder(t *testing.T) {
	xdg, unit, explicit := t.TempDir(), t.TempDir(), t.TempDir()
	all := map[string]string{"XDG_STATE_HOME": xdg, "STATE_DIRECTORY": unit + ":/other"}
	user := someone(t, false, nil)
	root := someone(t, true, nil)
	home, _ := user.home()
	tests := map[string]struct {
		who      environment
		env      map[string]string
		explicit string
		want     string
	}{
		"explicit":             {user, all, explicit, explicit},
		"of the unit":          {user, all, "", unit},
		"of the unit, as root": {root, all, "", unit},
		"root":                 {root, map[string]string{"XDG_STATE_HOME": xdg}, "", root.systemDir},
		"a user with XDG":      {user, map[string]string{"XDG_STATE_HOME": xdg}, "", filepath.Join(xdg, "evenkeel")},
		"a relative XDG":       {user, map[string]string{"XDG_STATE_HOME": "x"}, "", filepath.Join(home, ".local/state/evenkeel")},
		"a user":               {user, nil, "", filepath.Join(home, ".local/state/evenkeel")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.who.getenv = func(name string) string { return test.env[name] }
			got, err := test.who.dir(test.explicit)
			if err != nil || got != test.want {
				t.Fatalf("got %s, %v; want %s", got, err, test.want)
			}
			info, err := os.Stat(got)
			if err != nil || !info.IsDir() {
				t.Fatal(err)
			}
			if test.explicit == "" && test.env["STATE_DIRECTORY"] == "" && info.Mode().Perm() != 0o700 {
				t.Errorf("made with mode %v", info.Mode())
			}
		})
	}
}

func TestDirThatEverybodyMayWriteIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Dir(dir); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("got %v", err)
	}
}

func TestFind(t *testing.T) {
	user := someone(t, false, nil)
	userDir, err := user.dir("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := user.find(""); !errors.Is(err, ErrNoState) || !strings.Contains(err.Error(), userDir) || !strings.Contains(err.Error(), user.systemDir) {
		t.Fatalf("nothing anywhere: %v", err)
	}
	if err := os.MkdirAll(user.systemDir, 0o700); err != nil {
		t.Fatal(err)
	}
	// Not everything that ends in .yaml is a state file.
	for _, name := range []string{"shop.previous.yaml", "monitor.log", "shop.lock"} {
		if err := os.WriteFile(filepath.Join(userDir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(user.systemDir, "shop.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := user.find(""); err != nil || f.Dir != user.systemDir || f.Running() {
		t.Errorf("state files without a supervisor: %+v, %v", f, err)
	}

	mine, err := Acquire(userDir, "shop", "")
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Release()
	if f, err := user.find(""); err != nil || f.Dir != userDir || len(f.Holders) != 1 || f.Holders[0].App != "shop" {
		t.Errorf("one supervisor: %+v, %v", f, err)
	}
	theirs, err := Acquire(user.systemDir, "blog", "")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Release()
	if _, err := user.find(""); err == nil || !strings.Contains(err.Error(), userDir) || !strings.Contains(err.Error(), user.systemDir) {
		t.Errorf("two supervisors: %v", err)
	}
	if f, err := user.find(user.systemDir); err != nil || f.Dir != user.systemDir || !f.Running() {
		t.Errorf("an explicit one of two: %+v, %v", f, err)
	}
	if apps, err := Apps(user.systemDir); err != nil || len(apps) != 1 || apps[0] != "shop" {
		t.Errorf("%v, %v", apps, err)
	}
}

func TestFindSaysWhereItMayNotLook(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may look everywhere")
	}
	user := someone(t, false, nil)
	if err := os.MkdirAll(user.systemDir, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := user.find(""); !errors.Is(err, ErrNoState) || len(f.Unreadable) != 1 || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("%+v, %v", f, err)
	}
}
