package unit

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func pm2() *Unit {
	return &Unit{
		User: "deploy", Group: "deploy", Program: "/usr/bin/evenkeel", Files: []string{"/home/deploy/site.yaml"},
		Path: []string{"/home/deploy/.nvm/versions/node/v20.20.2/bin", "/usr/local/bin", "/usr/bin", "/bin"}, After: []string{"pm2-deploy.service"},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not what %s holds; with -update it is written anew:\n%s", file, got)
	}
}

func TestTheUnit(t *testing.T) {
	user := pm2()
	user.User, user.Group, user.After = "", "", nil
	keeps := pm2()
	keeps.Keeps, keeps.After, keeps.Path = true, nil, []string{"/usr/local/bin", "/usr/bin", "/bin"}
	odd := pm2()
	odd.Program, odd.Files, odd.Path = "/opt/even keel/evenkeel", []string{`/srv/100% "mine"/$HOME\site.yaml`, "/etc/evenkeel"}, []string{"/opt/50%/bin", "/opt/a b"}
	for name, u := range map[string]*Unit{"pm2": pm2(), "user": user, "exec": keeps, "odd": odd} {
		t.Run(name, func(t *testing.T) {
			got, err := u.Text()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".service", got)
			if files, ours := Files(got); !ours || !slices.Equal(files, u.Files) {
				t.Errorf("read back: %q, ours %t, want %q", files, ours, u.Files)
			}
		})
	}
}

func TestAUnitOfSomebodyElse(t *testing.T) {
	if files, ours := Files("[Service]\nExecStart=/usr/bin/evenkeel run -f /site.yaml\n"); ours || files != nil {
		t.Errorf("%q, ours %t", files, ours)
	}
}

func TestWhatNoUnitCanSay(t *testing.T) {
	u := pm2()
	u.Files = []string{"/srv/a\nExecStartPre=/bin/sh"}
	if text, err := u.Text(); err == nil || !strings.Contains(err.Error(), "control character") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestTheUnitsOfTheSwapHelper(t *testing.T) {
	s := &Swap{Program: "/opt/even keel/evenkeel", User: "deploy", Socket: "/run/evenkeel-swap.sock"}
	service, socket, err := s.Texts()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "swap.service", service)
	golden(t, "swap.socket", socket)
	// What it switches on would be kept by the paths of a view of its own.
	for _, gives := range []string{"ProtectSystem", "ProtectHome", "ProtectKernel", "ProtectProc", "ProtectControlGroups", "PrivateTmp", "PrivateDevices",
		"PrivateNetwork", "PrivateMounts", "ReadOnlyPaths", "ReadWritePaths", "InaccessiblePaths", "RootDirectory", "DynamicUser", "ProcSubset", "ProtectClock"} {
		if strings.Contains(service, "\n"+gives) {
			t.Errorf("%s= gives it another view of the file system, or of the devices", gives)
		}
	}
	if !Ours(service) || !Ours(socket) || Ours("[Socket]\n") {
		t.Error("it does not know its own")
	}
	s.User = "a\nSocketMode=0666"
	if _, _, err := s.Texts(); err == nil {
		t.Error("a control character was written")
	}
}
