package alone

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// precious is a file of somebody else's, to which links lead.
const precious = "not evenkeel's"

// damage is what may become of a state file.
type damage struct {
	what string
	do   func(m *machine, path string) error
	// kept says that what was found is kept for the operator, and told as an event, when it happens while evenkeel runs.
	kept bool
}

// damages are the table: whatever becomes of the state file, nothing is forgotten, the application is left alone, the loss
// is told, and the file is there again.
var damages = []damage{
	{"deleted", func(_ *machine, path string) error { return os.Remove(path) }, false},
	{"emptied", func(_ *machine, path string) error { return os.Truncate(path, 0) }, true},
	{"cut off", func(_ *machine, path string) error { return os.Truncate(path, 700) }, true},
	{"noise", func(_ *machine, path string) error {
		noise := make([]byte, 8<<10)
		_, _ = rand.Read(noise)
		return os.WriteFile(path, noise, 0o600)
	}, true},
	{"another application's", rewritten("\n  name: site\n", "\n  name: shop\n"), true},
	{"another version's", rewritten("v1alpha1", "v7"), true},
	{"a folder", instead(func(_ *machine, path string) error { return os.Mkdir(path, 0o700) }), true},
	{"a folder with something in it", instead(func(_ *machine, path string) error {
		return os.MkdirAll(filepath.Join(path, "x", "y"), 0o700)
	}), true},
	{"a symbolic link", instead(func(m *machine, path string) error { return os.Symlink(m.dir+"/precious", path) }), true},
	{"a symbolic link to nowhere", instead(func(m *machine, path string) error { return os.Symlink(m.dir+"/nowhere", path) }), true},
	{"a pipe", instead(func(_ *machine, path string) error { return unix.Mkfifo(path, 0o600) }), true},
	{"a socket", instead(func(_ *machine, path string) error {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		return l.Close()
	}), true},
	{"unreadable", func(_ *machine, path string) error {
		// A mode tells no watcher; an editor that makes such a file replaces it.
		if err := os.Chmod(path, 0); err != nil {
			return err
		}
		if err := os.Rename(path, path+".moved"); err != nil {
			return err
		}
		return os.Rename(path+".moved", path)
	}, true},
	{"larger than any state", func(_ *machine, path string) error { return os.Truncate(path, state.MaxSize+1) }, true},
}

func rewritten(from, to string) func(*machine, string) error {
	return func(_ *machine, path string) error {
		was, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Contains(was, []byte(from)) {
			return fmt.Errorf("%s holds no %q", path, from)
		}
		return os.WriteFile(path, bytes.Replace(was, []byte(from), []byte(to), 1), 0o600)
	}
}

func instead(put func(*machine, string) error) func(*machine, string) error {
	return func(m *machine, path string) error {
		if err := os.Remove(path); err != nil {
			return err
		}
		return put(m, path)
	}
}

// withAnAttempt is a machine whose evenkeel runs as an ordinary user, has mended one hang, and knows of it.
func withAnAttempt(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t, nil)
	m.asUser()
	if err := os.WriteFile(m.dir+"/precious", []byte(precious), 0o600); err != nil {
		t.Fatal(err)
	}
	m.own()
	m.run()
	m.well()
	m.hang()
	m.until("the attempt is remembered", func() bool { return m.attempts() == 1 && m.phase() == "Healthy" })
	return m
}

// seenWell waits until evenkeel has seen the application well: before that it would give it the time to start.
func (m *machine) seenWell() {
	m.Helper()
	m.until("evenkeel has seen it well", func() bool {
		pass, err := state.ReadLastPass(m.state, "site")
		return err == nil && slices.ContainsFunc(pass.Results, func(r v1alpha1.CheckResult) bool {
			return r.Check == v1alpha1.CheckLocal && r.Status == metav1.ConditionTrue
		})
	})
}

// hang stops the application, which evenkeel has seen well, and waits until another one answers.
func (m *machine) hang() {
	m.Helper()
	m.seenWell()
	was := m.only()
	m.signal(was, syscall.SIGSTOP)
	m.until("another one answers", func() bool { pid := m.answers(); return pid != 0 && pid != was.PID })
}

// attempts is how many attempts of the open incident the state file tells of; -1 where it is no good.
func (m *machine) attempts() int {
	st, err := state.ReadState(m.state, "site")
	if err != nil || st.Incident == nil {
		return -1
	}
	return len(st.Incident.Attempts)
}

// told is how many events of a reason there are.
func (m *machine) told(reason string) int {
	data, err := os.ReadFile(filepath.Join(m.state, "site.journal.jsonl"))
	if err != nil {
		m.Fatal(err)
	}
	return bytes.Count(data, []byte(`"`+reason+`"`))
}

// holds waits until the state file is evenkeel's own again, with all that was known, and the application is the same one.
func (m *machine) holds(app int) {
	m.Helper()
	path := filepath.Join(m.state, "site.yaml")
	m.until("the state file is there again, for its owner alone, with the attempt", func() bool {
		info, err := os.Lstat(path)
		return err == nil && info.Mode() == 0o600 && m.attempts() == 1 && m.phase() == "Healthy"
	})
	if now := m.only(); now.PID != app {
		m.Errorf("the application is process %d, was %d", now.PID, app)
	}
	if m.told(string(v1alpha1.ReasonRecoveryStarted)) != 1 {
		m.Error("another recovery was begun")
	}
	if content, err := os.ReadFile(m.dir + "/precious"); err != nil || string(content) != precious {
		m.Errorf("what a link led to is %q, %v", content, err)
	}
	if _, err := os.Lstat(m.dir + "/nowhere"); err == nil {
		m.Error("a file was made where a link led")
	}
}

// keptThings are all that is kept of what was rejected or found broken.
func (m *machine) keptThings(pattern string) []string {
	names, err := filepath.Glob(filepath.Join(m.state, pattern))
	if err != nil {
		m.Fatal(err)
	}
	return names
}

func TestWhateverBecomesOfTheStateFileWhileItRuns(t *testing.T) {
	t.Parallel()
	m := withAnAttempt(t)
	app := m.only().PID
	path := filepath.Join(m.state, "site.yaml")
	for _, d := range damages {
		told := m.told(v1alpha1.ReasonStateRejected)
		if err := d.do(m, path); err != nil {
			t.Fatalf("%s: %v", d.what, err)
		}
		if d.kept {
			m.until(d.what+": it is told", func() bool { return m.told(v1alpha1.ReasonStateRejected) == told+1 })
		}
		m.holds(app)
		if d.kept && len(m.keptThings("site.rejected*.yaml")) == 0 {
			t.Errorf("%s: it was not kept", d.what)
		}
		if t.Failed() {
			t.Fatalf("the state file was %s", d.what)
		}
	}
	if m.told(v1alpha1.ReasonStateLost) != 0 {
		t.Error("something was lost")
	}
}

func TestWhateverBecomesOfTheStateFileWhileItIsDown(t *testing.T) {
	t.Parallel()
	m := withAnAttempt(t)
	app := m.only().PID
	path := filepath.Join(m.state, "site.yaml")
	for _, d := range damages {
		told := m.told(v1alpha1.ReasonStateRestored)
		m.end()
		if err := d.do(m, path); err != nil {
			t.Fatalf("%s: %v", d.what, err)
		}
		m.own()
		m.run()
		m.until(d.what+": it is told", func() bool { return m.told(v1alpha1.ReasonStateRestored) == told+1 })
		m.holds(app)
		if t.Failed() {
			t.Fatalf("the state file was %s", d.what)
		}
	}
	if broken := m.keptThings("site.broken-*.yaml"); len(broken) == 0 || len(broken) > 3 {
		t.Errorf("%d broken ones are kept, want the newest three at most", len(broken))
	}
	if m.told(v1alpha1.ReasonStateLost) != 0 {
		t.Error("something was lost")
	}
}

// TestWithoutAnyGoodCopyOneAttemptIsLeft breaks the state file and the copy before it.
func TestWithoutAnyGoodCopyOneAttemptIsLeft(t *testing.T) {
	t.Parallel()
	m := withAnAttempt(t)
	app := m.only().PID
	for _, d := range []string{"emptied", "noise", "a pipe", "a folder"} {
		do := damages[slices.IndexFunc(damages, func(other damage) bool { return other.what == d })].do
		told := m.told(v1alpha1.ReasonStateLost)
		m.end()
		for _, name := range []string{"site.yaml", "site.previous.yaml"} {
			if err := do(m, filepath.Join(m.state, name)); err != nil {
				t.Fatalf("%s: %v", d, err)
			}
		}
		m.own()
		m.run()
		m.until(d+": the loss is told", func() bool { return m.told(v1alpha1.ReasonStateLost) == told+1 })
		m.until(d+": there is a state again", func() bool {
			st, err := state.ReadState(m.state, "site")
			return err == nil && st.Incident != nil && st.Incident.Spent == 19 // of the 20 in its desired state
		})
		if now := m.only(); now.PID != app {
			t.Fatalf("%s: the application is process %d, was %d", d, now.PID, app)
		}
		// There has to be a copy before it for the next round.
		m.paused = true
		m.desire()
		m.until("it is paused", func() bool { _, err := os.Stat(filepath.Join(m.state, "site.previous.yaml")); return err == nil })
		m.paused = false
		m.desire()
	}
}

// TestAFolderThatNothingCanBeWrittenToStopsNoHealing takes the right to write away, and lets the application hang.
func TestAFolderThatNothingCanBeWrittenToStopsNoHealing(t *testing.T) {
	t.Parallel()
	m := withAnAttempt(t)
	m.hangsUnwritten(func() error { return os.Chmod(m.state, 0o500) }, func() error { return os.Chmod(m.state, 0o700) }) // #nosec G302 -- it is a folder
}

// TestAFullDiskStopsNoHealing fills a small file system of the state folder's own, and lets the application hang.
func TestAFullDiskStopsNoHealing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("a file system of its own needs root; state's tests have a disk that is full, simulated")
		return
	}
	m := newMachine(t, nil)
	m.asUser()
	m.ownDisk("1m")
	m.own()
	m.run()
	m.well()
	m.hang()
	m.until("the attempt is remembered", func() bool { return m.attempts() == 1 && m.phase() == "Healthy" })
	filler := filepath.Join(m.state, "filler")
	m.hangsUnwritten(func() error {
		f, err := os.Create(filler)
		if err != nil {
			return err
		}
		defer f.Close()
		for block := make([]byte, 512); ; {
			if _, err := f.Write(block); err != nil {
				return nil // it is full now
			}
		}
	}, func() error { return os.Remove(filler) })
}

// hangsUnwritten lets the application hang while the state cannot be written.
func (m *machine) hangsUnwritten(begin, end func() error) {
	m.Helper()
	if err := begin(); err != nil {
		m.Fatal(err)
	}
	m.hang()
	m.until("that nothing can be written is told", func() bool { return strings.Contains(m.said(), "the state file cannot be written") })
	if err := end(); err != nil {
		m.Fatal(err)
	}
	m.until("all is written when it can be", func() bool {
		st, err := state.ReadState(m.state, "site")
		return err == nil && st.Phase == v1alpha1.PhaseHealthy && st.Incident != nil && len(st.Incident.Attempts) == 2 && isPersisted(st)
	})
	m.only()
}

func isPersisted(st *v1alpha1.AppState) bool {
	for _, c := range st.Conditions {
		if c.Type == v1alpha1.ConditionStatePersisted {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

var (
	year   = regexp.MustCompile(`(?m)^(\s*-?\s*wall: ")(\d{4})-`)
	bootID = regexp.MustCompile(`(?m)^(\s*-?\s*bootID: ).*$`)
)

// TestAWaitIsNeverLongerThanItsLength moves all that the state file knows a year away, in another boot, while evenkeel is
// down in the middle of a cooldown: as if the clock had been set.
func TestAWaitIsNeverLongerThanItsLength(t *testing.T) {
	t.Parallel()
	for what, years := range map[string]int{"the clock was set back a year": 1, "the clock was set forward a year": -1} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			const cooldown = 6 * time.Second
			m := newMachine(t, nil)
			m.cooldown = cooldown
			m.desire()
			m.run()
			m.well()
			m.hang()
			m.until("the cooldown has begun", func() bool { return m.phase() == "Cooldown" })
			m.kill()
			was, err := os.ReadFile(filepath.Join(m.state, "site.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			moved := year.ReplaceAllFunc(was, func(found []byte) []byte {
				parts := year.FindSubmatch(found)
				var n int
				_, _ = fmt.Sscan(string(parts[2]), &n)
				return fmt.Appendf(nil, "%s%d-", parts[1], n+years)
			})
			moved = bootID.ReplaceAll(moved, []byte("${1}another"))
			if bytes.Equal(moved, was) || !bytes.Contains(moved, []byte("another")) {
				t.Fatalf("there is no time in the state file:\n%s", was)
			}
			if err := os.WriteFile(filepath.Join(m.state, "site.yaml"), moved, 0o600); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			m.run()
			m.until("it is Healthy", func() bool { return m.phase() == "Healthy" })
			// One pass more than the cooldown, and what a busy machine takes.
			if took := time.Since(began); took > cooldown+10*time.Second {
				t.Errorf("it took %s, the whole cooldown is %s", took, cooldown)
			}
			if m.attempts() != 1 {
				t.Errorf("%d attempts are known, want 1", m.attempts())
			}
		})
	}
}

// TestOnlyTheOwnerMayReadWhatIsWritten looks at every file and folder that a supervisor with an incident has made.
func TestOnlyTheOwnerMayReadWhatIsWritten(t *testing.T) {
	t.Parallel()
	m := withAnAttempt(t)
	m.end()
	seen := 0
	err := filepath.WalkDir(m.state, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		seen++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || seen < 6 {
		t.Errorf("%d files, %v", seen, err)
	}
}
