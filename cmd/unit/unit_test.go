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
			golden := filepath.Join("testdata", name+".service")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("not what %s holds; with -update it is written anew:\n%s", golden, got)
			}
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
