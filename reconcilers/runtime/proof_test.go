//go:build linux

package runtime

import (
	"os"
	"os/exec"
	"path"
	"slices"
	"testing"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// child is a process with a mark, which lives until the test ends.
func child(t *testing.T, mark string) procfs.Identity {
	t.Helper()
	c := exec.Command("sleep", "600")
	c.Env = append(os.Environ(), "INVOCATION_ID="+mark)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	p, err := procfs.Default().Process(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p.Identity
}

// A mark of systemd's counts only in the unit's own control group.
func TestABadgeOfAUnit(t *testing.T) {
	fs, id := procfs.Default(), child(t, "ab01")
	group, err := fs.ControlGroup(id)
	if err != nil {
		t.Fatal(err)
	}
	here := path.Base(group)
	for name, c := range map[string]struct {
		unit  string
		marks []string
		want  bool
	}{
		"another mark":     {here, []string{"ab02"}, false},
		"no mark is known": {here, nil, false},
		"another unit":     {"of-another.service", []string{"ab01"}, false},
		"both":             {here, []string{"ab02", "ab01"}, here != "/" && here != "."},
	} {
		if got := (Badge{MarkVar: "INVOCATION_ID", Unit: c.unit}).On(fs, id, c.marks); got != c.want {
			t.Errorf("%s: %v, in %s", name, got, group)
		}
	}
}

// What systemd counts to a unit is the application's, from whomever it descends.
func TestTheTreeHoldsTheFurtherMembers(t *testing.T) {
	main, member := child(t, "m"), child(t, "m")
	procs, err := procfs.Default().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	gone := member
	gone.StartTicks++ // its number, of another process
	row := Process{PID: main.PID, Identity: main, Members: []procfs.Identity{member, main, gone}}
	var pids []int
	for _, p := range row.Tree(&procs) {
		pids = append(pids, p.PID)
	}
	if !slices.Equal(pids, []int{main.PID, member.PID}) {
		t.Errorf("%v, want %d and %d", pids, main.PID, member.PID)
	}
}
