package alone

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// faults are what is injected into the system calls by which a file is edited: death at its beginning, and errors.
var faults = map[string]map[string]string{
	"dies":  {"write": "signal=SIGKILL", "fsync": "signal=SIGKILL", "fchmod": "signal=SIGKILL", "renameat": "signal=SIGKILL", "renameat2": "signal=SIGKILL", "unlinkat": "signal=SIGKILL"},
	"fails": {"openat": "error=EMFILE", "write": "error=ENOSPC", "fsync": "error=EIO", "fchmod": "error=EPERM", "renameat": "error=ENOSPC", "renameat2": "error=EIO", "unlinkat": "error=EROFS"},
}

// edit is a command that edits one file.
type edit struct {
	name    string
	command []string
	// lay puts the file there anew, and gives its path.
	lay func(t *testing.T, dir string) string
}

var edits = []edit{
	{"pause", []string{"pause", "-f", "DIR/site.yaml", "--reason", "a test"}, func(t *testing.T, dir string) string {
		path := filepath.Join(dir, "site.yaml")
		text := "apiVersion: evenkeel.dev/v1alpha1\nkind: App\nmetadata: {name: site}\nspec: # kept\n  directory: " + dir + "\n  runtime: {pm2: {process: site}}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}},
	{"reset", []string{"reset"}, func(t *testing.T, dir string) string {
		store, err := state.NewStore(dir, "site", state.Options{Settle: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		store.Load()
		now := v1alpha1.Instant{Wall: metav1.NowMicro(), BootID: "boot"}
		if err := store.Write(v1alpha1.AppStatus{Phase: v1alpha1.PhaseFailed, Since: metav1.Now(), LastIncident: 1,
			Incident: &v1alpha1.Incident{Number: 1, Spent: 3, StartedAt: now}}, 1); err != nil {
			t.Fatal(err)
		}
		return store.Path()
	}},
}

// TestAnEditIsWholeWhateverFails runs the commands that edit a file under strace, and lets each system call that changes
// something die or fail in turn. Afterwards the file is the old or the new one, to the byte; what was reported as done is the
// new one; no such call is left out.
func TestAnEditIsWholeWhateverFails(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("%v: hack/test installs it", err)
	}
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			x := &injector{T: t, strace: strace, bin: bin, dir: t.TempDir(), edit: e}
			was, is, there, _ := x.try("")
			if was == is || len(there) < 3 {
				t.Fatalf("without a fault the file did not change, or too few calls were seen: %v", there)
			}
			for kind, calls := range faults {
				hit := map[string]bool{}
				runs := 0
				// strace counts the calls of each thread by itself: where the second fsync comes on another thread than the first,
				// it is not reached in this round, but in one of the next.
				for round := 0; round == 0 || round < 20 && len(x.left(there, hit, calls)) > 0; round++ {
					for _, call := range slices.Sorted(maps.Keys(calls)) {
						for n := 1; n < 200; n++ {
							old, now, _, struck := x.try(call + ":" + calls[call] + ":when=" + strconv.Itoa(n))
							if struck == "" {
								break
							}
							runs++
							hit[struck] = true
							if now != x.like(old, was) && now != x.like(old, is) {
								t.Fatalf("%s at %s: the file is neither the old nor the new one:\n%s", kind, struck, now)
							}
						}
					}
				}
				for _, point := range x.left(there, hit, calls) {
					t.Errorf("%s: not reached: %s", kind, point)
				}
				t.Logf("%s %s at %d calls, all that change its files among them: the file was the old or the new one each time", e.name, kind, runs)
			}
		})
	}
}

// injector runs one command again and again.
type injector struct {
	*testing.T
	strace, bin, dir string
	edit             edit
	round            int
}

// left are the calls that change something and were not struck yet. To open changes nothing.
func (x *injector) left(there, hit map[string]bool, calls map[string]string) (left []string) {
	for point := range there {
		call, _, _ := strings.Cut(point, " ")
		if call != "openat" && calls[call] != "" && !hit[point] {
			left = append(left, point)
		}
	}
	return left
}

// like is a content of the first round as it would be in another one, whose file began otherwise: only ids and times differ.
func (x *injector) like(old, of string) string {
	if x.edit.name == "pause" {
		return of
	}
	if strings.Contains(of, "\nphase: Healthy\n") {
		return strings.Replace(old, "\nphase: Failed\n", "\nphase: Healthy\n", 1)
	}
	return old
}

var (
	digits = regexp.MustCompile(`\.[0-9]+\.|[0-9]{6,}|[0-9]+<`)
	called = regexp.MustCompile(`^(?:\[pid +\d+\] |\d+ +)?([a-z0-9]+)\((.*)$`)
)

// try lays the file anew, runs the command with a fault, and gives the file before and after it, the calls that touched the
// folder, and the call that was struck; empty where the fault never came.
func (x *injector) try(fault string) (was, is string, touched map[string]bool, struck string) {
	x.Helper()
	names, err := os.ReadDir(x.dir)
	if err != nil {
		x.Fatal(err)
	}
	for _, n := range names {
		if err := os.RemoveAll(filepath.Join(x.dir, n.Name())); err != nil {
			x.Fatal(err)
		}
	}
	path := x.edit.lay(x.T, x.dir)
	before, err := os.ReadFile(path)
	if err != nil {
		x.Fatal(err)
	}
	x.round++
	log := filepath.Join(x.TempDir(), "strace")
	args := []string{"-f", "-y", "-qq", "-s", "0", "-o", log, "-e", "trace=openat,write,fsync,fchmod,renameat,renameat2,unlinkat"}
	if fault != "" {
		args = append(args, "-e", "inject="+fault)
	}
	args = append(args, filepath.Join(x.bin, "evenkeel"))
	for _, a := range x.edit.command {
		args = append(args, strings.ReplaceAll(a, "DIR", x.dir))
	}
	cmd := exec.CommandContext(x.Context(), x.strace, append(args, "--state-dir", x.dir)...) // #nosec G204 -- a test's own program
	cmd.Env = append(os.Environ(), "GOMAXPROCS=8", "GOGC=off")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		x.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		x.Fatalf("%s: the file is gone: %v\n%s", fault, err, out)
	}
	const done = 3 // nobody supervises; the edit counts when somebody does
	if code := cmd.ProcessState.ExitCode(); code == done && bytes.Equal(after, before) {
		x.Fatalf("%s: reported as done, and the file is the old one\n%s", fault, out)
	} else if fault == "" && code != done {
		x.Fatalf("without a fault: exit code %d\n%s", code, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		x.Fatal(err)
	}
	touched, struck = x.calls(string(text), fault)
	return string(before), string(after), touched, struck
}

// calls reads strace's log.
func (x *injector) calls(log, fault string) (touched map[string]bool, struck string) {
	touched = map[string]bool{}
	name, _, _ := strings.Cut(fault, ":")
	last := ""
	for line := range strings.Lines(log) {
		m := called.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		what, _, _ := strings.Cut(m[2], ")")
		what, _, _ = strings.Cut(what, " <unfinished")
		point := fmt.Sprintf("%s %s", m[1], digits.ReplaceAllString(strings.ReplaceAll(what, x.dir, "DIR"), "#"))
		if strings.Contains(point, "DIR") {
			touched[point] = true
		}
		if m[1] == name {
			last = point
		}
		if strings.Contains(line, "(INJECTED)") {
			struck = point
		}
	}
	if struck == "" && strings.Contains(log, "+++ killed by SIGKILL") {
		struck = last
	}
	return touched, struck
}
