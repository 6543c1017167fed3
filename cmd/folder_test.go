package cmd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/alert"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

// machine is a domain in which applications are well or not, as a test says, and a recovery mends them.
type machine struct {
	mu     sync.Mutex
	wrong  map[string]v1alpha1.Verdict // by App; what is not there is well
	deeds  []string                    // steps, as "begin a stop", "end a stop"
	looked map[string]int
}

func (m *machine) Checks(app *v1alpha1.App) []pass.Check {
	return []pass.Check{{Name: v1alpha1.CheckLocal, Interval: app.Spec.Interval.Duration}, {Name: v1alpha1.CheckPublic, Interval: app.Spec.Interval.Duration}}
}

func (m *machine) Observe(_ context.Context, app *v1alpha1.App, _ []string) v1alpha1.Observation {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looked[app.Name]++
	status := map[string]metav1.ConditionStatus{v1alpha1.CheckLocal: metav1.ConditionTrue, v1alpha1.CheckPublic: metav1.ConditionTrue}
	switch v, is := m.wrong[app.Name]; {
	case is && v.Remedy == v1alpha1.RemedyRecover:
		status[v1alpha1.CheckLocal], status[v1alpha1.CheckPublic] = metav1.ConditionFalse, metav1.ConditionFalse
	case is:
		status[v1alpha1.CheckPublic] = metav1.ConditionFalse
	}
	now := realNow()
	o := v1alpha1.Observation{At: now}
	for _, name := range []string{v1alpha1.CheckLocal, v1alpha1.CheckPublic} {
		o.Results = append(o.Results, v1alpha1.CheckResult{
			Check: name, Status: status[name], At: now, Required: true, Leading: name == v1alpha1.CheckLocal, Message: name + " says so",
		})
	}
	return o
}

func (m *machine) Diagnose(c *pass.Case) v1alpha1.Verdict {
	if c.Latest().Holds() {
		return v1alpha1.Verdict{Rule: "healthy", Blame: v1alpha1.BlameNone, Reason: "AllHold", Remedy: v1alpha1.RemedyNone}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wrong[c.App.Name]
}

func (m *machine) Learn(*pass.Case) v1alpha1.Learned { return v1alpha1.Learned{} }
func (m *machine) Warn(*pass.Case) []pass.Warning    { return nil }

func (m *machine) Plan(_ *pass.Case, _ *v1alpha1.Verdict, failed *v1alpha1.Recovery) (pass.Plan, bool) {
	return pass.Plan{Name: "Plain", Steps: []string{"stop", "start", "verify"}}, failed == nil
}

func (m *machine) Step(_ *v1alpha1.App, name string) pass.StepTraits {
	return pass.StepTraits{Stops: name == "stop", Starts: name == "start", Proves: name == "verify", Timeout: time.Minute}
}

func (m *machine) Act(_ context.Context, app *v1alpha1.App, step pass.Step) pass.StepResult {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deeds = append(m.deeds, app.Name+" "+step.Name)
	if step.Name == "start" {
		delete(m.wrong, app.Name)
	}
	return pass.StepResult{Step: step.Name, Outcome: v1alpha1.StepDone}
}

func (m *machine) breaks(v v1alpha1.Verdict, apps ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range apps {
		m.wrong[a] = v
	}
}

func (m *machine) mend(apps ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range apps {
		delete(m.wrong, a)
	}
}

var began = time.Now()

func realNow() v1alpha1.Instant {
	return v1alpha1.Instant{Wall: metav1.NowMicro(), Boot: metav1.Duration{Duration: time.Hour + time.Since(began)}, BootID: "b"}
}

var (
	crashed   = v1alpha1.Verdict{Rule: "crashed", Blame: v1alpha1.BlameApp, Reason: "Crashed", Message: "it crashed", Remedy: v1alpha1.RemedyRecover, OwnFault: true, Certain: true, Down: true}
	proxyDown = v1alpha1.Verdict{Rule: "proxy", Blame: v1alpha1.BlameProxy, Reason: "ProxyFails", Message: "the proxy is down", Remedy: v1alpha1.RemedyHold}
)

// folder is a folder of desired files, and what supervises it.
type folder struct {
	t       *testing.T
	dir     string
	state   string
	machine *machine
	log     lockedBuffer
	ended   chan error
	stop    context.CancelFunc

	mu     sync.Mutex
	events []v1alpha1.Event
	told   [][]alert.Item
	joint  *joint
}

// lockedBuffer is written by many.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newFolder(t *testing.T) *folder {
	f := &folder{t: t, dir: t.TempDir(), state: t.TempDir(), machine: &machine{wrong: map[string]v1alpha1.Verdict{}, looked: map[string]int{}}}
	f.joint = newJoint(realNow, func(items []alert.Item) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.told = append(f.told, items)
	})
	return f
}

// desire writes the file of an App, with a port of its own, as an editor does.
func (f *folder) desire(file, name string, port int) {
	f.write(file, fmt.Sprintf("apiVersion: evenkeel.dev/v1alpha1\nkind: App\nmetadata: {name: %s}\nspec:\n  directory: /srv/%d\n"+
		"  runtime: {pm2: {process: p%d}}\n  port: %d\n  interval: 60s\n  confirmInterval: 100ms\n", name, port, port, port))
}

func (f *folder) write(file, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, file)
	if err := os.WriteFile(path+"~", []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) remove(file string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, file)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) supervise() {
	log := logrus.New()
	log.SetOutput(&f.log)
	ready := make(chan struct{})
	ctx, stop := context.WithCancel(f.t.Context())
	f.stop, f.ended = stop, make(chan error, 1)
	s := &supervisor{
		dir: f.state, paths: []string{f.dir}, domain: f.machine, clock: realNow, log: log, ready: func() { close(ready) }, idle: func() {},
		sink: func(app string, journal *state.Journal) controller.Sink {
			f.joint.supervised(app, journal != nil)
			return (*folderSink)(f)
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.ended <- s.run(ctx)
	}()
	f.t.Cleanup(func() {
		stop()
		<-done
		f.joint.close()
	})
	select {
	case <-ready:
	case <-done:
	}
}

type folderSink folder

func (f *folderSink) Pass(*v1alpha1.App, *v1alpha1.Observation) {}

func (f *folderSink) Event(e v1alpha1.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, e)
}

func (f *folderSink) Alert(app *v1alpha1.App, a v1alpha1.Alert, kept func()) {
	f.joint.alert(app, a, kept)
}

// began and over count how often supervision of an App began and ended.
func (f *folder) count(app, reason string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, e := range f.events {
		if e.App == app && e.Reason == reason {
			n++
		}
	}
	return n
}

// alerts are what was told, as "a+b Kind Reason".
func (f *folder) alerts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, items := range f.told {
		var names []string
		for _, i := range items {
			names = append(names, i.App.Name)
		}
		slices.Sort(names)
		list = append(list, fmt.Sprintf("%s %s %s", strings.Join(names, "+"), items[0].Alert.Kind, items[0].Alert.Reason))
	}
	return list
}

// until waits for a fact.
func (f *folder) until(what string, is func() bool) {
	f.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(40 * time.Second)
	defer limit.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-limit.C:
			f.t.Fatalf("not in time: %s\nalerts: %q\n%s", what, f.alerts(), f.log.String())
		}
	}
}

func (f *folder) untilSupervised(apps ...string) {
	f.t.Helper()
	for _, a := range apps {
		f.until(a+" is supervised", func() bool {
			return f.count(a, v1alpha1.ReasonStarted) == f.count(a, v1alpha1.ReasonStopped)+1
		})
	}
}

func TestAppsComeAndGoWithTheirFiles(t *testing.T) {
	f := newFolder(t)
	f.desire("a.yaml", "a", 4001)
	f.supervise()
	f.untilSupervised("a")
	f.desire("b.yml", "b", 4002)
	f.untilSupervised("b")
	f.remove("a.yaml")
	f.until("a is left", func() bool { return f.count("a", v1alpha1.ReasonStopped) == 1 })
	f.desire("b.yml", "c", 4002) // a new name for the same application
	f.untilSupervised("c")
	f.mu.Lock()
	var order []string
	for _, e := range f.events {
		if (e.App == "b" || e.App == "c") && (e.Reason == v1alpha1.ReasonStarted || e.Reason == v1alpha1.ReasonStopped) {
			order = append(order, e.App+" "+e.Reason)
		}
	}
	f.mu.Unlock()
	if want := []string{"b " + v1alpha1.ReasonStarted, "b " + v1alpha1.ReasonStopped, "c " + v1alpha1.ReasonStarted}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q: one application has two supervisors", order, want)
	}
}

func TestABrokenFileDoesNotStopTheOthers(t *testing.T) {
	f := newFolder(t)
	f.desire("a.yaml", "a", 4001)
	f.write("broken.yaml", "apiVersion: evenkeel.dev/v1alpha1\nkind: App\nmetadata: {name: broken}\nspec: {prot: 1}\n")
	f.supervise() // at the start, with nothing kept of the broken one
	f.untilSupervised("a")
	f.until("the broken one is told", func() bool { return strings.Contains(f.log.String(), "broken.yaml:4:8: spec.prot: unknown key") })
	f.desire("broken.yaml", "broken", 4002)
	f.untilSupervised("broken")
	f.write("broken.yaml", "kind: [")
	f.until("its owner is told", func() bool { return slices.Contains(f.alerts(), "broken SpecRejected Invalid") })
	f.desire("c.yaml", "c", 4003)
	f.untilSupervised("a", "broken", "c")
	// What the broken file's App has, by its last good spec, nobody else gets; and that is told.
	f.desire("d.yaml", "d", 4002)
	f.until("d is refused", func() bool { return slices.Contains(f.alerts(), "d SpecRejected NotSupervised") })
	if f.count("d", v1alpha1.ReasonStarted) != 0 || f.count("broken", v1alpha1.ReasonStopped) != 0 {
		t.Error("two Apps have one port")
	}
}

func TestTwoFilesOfOneNameAreToldAndTheOldSpecStays(t *testing.T) {
	f := newFolder(t)
	f.desire("a.yaml", "a", 4001)
	f.supervise()
	f.untilSupervised("a")
	f.desire("b.yaml", "a", 4002)
	f.until("it is told", func() bool {
		log := f.log.String()
		return slices.Contains(f.alerts(), "a SpecRejected Invalid") && strings.Contains(log, "a.yaml:3:1: metadata.name") && strings.Contains(log, "b.yaml:3:1: metadata.name")
	})
	f.untilSupervised("a")
}

func TestOneThatIsLockedDoesNotStopTheOthers(t *testing.T) {
	f := newFolder(t)
	lock, err := state.Acquire(f.state, "a", "elsewhere.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f.desire("a.yaml", "a", 4001)
	f.desire("b.yaml", "b", 4002)
	f.supervise()
	f.untilSupervised("b")
	f.until("it is told", func() bool { return slices.Contains(f.alerts(), "a SpecRejected NotSupervised") })
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	f.untilSupervised("a")
}

func TestTwoFailAtOnceAndAreMendedOneAfterTheOther(t *testing.T) {
	f := newFolder(t)
	for n, name := range []string{"a", "b", "c"} {
		f.desire(name+".yaml", name, 4001+n)
	}
	f.machine.breaks(crashed, "a", "b")
	f.supervise()
	done := func(app string) bool {
		f.machine.mu.Lock()
		defer f.machine.mu.Unlock()
		return slices.Contains(f.machine.deeds, app+" verify")
	}
	f.until("both are mended", func() bool { return done("a") && done("b") })
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	first, second := f.machine.deeds[0][:1], "b"
	if first == "b" {
		second = "a"
	}
	var want []string
	for _, app := range []string{first, second} {
		for _, step := range []string{"stop", "start", "verify"} {
			want = append(want, app+" "+step)
		}
	}
	if !slices.Equal(f.machine.deeds, want) {
		t.Errorf("deeds %q, want %q", f.machine.deeds, want)
	}
}

func TestAFaultThatAllShareIsToldOnce(t *testing.T) {
	f := newFolder(t)
	for n, name := range []string{"a", "b", "c"} {
		f.desire(name+".yaml", name, 4001+n)
	}
	f.supervise()
	f.untilSupervised("a", "b", "c")
	f.until("all have been looked at", func() bool {
		f.machine.mu.Lock()
		defer f.machine.mu.Unlock()
		return f.machine.looked["a"] > 0 && f.machine.looked["b"] > 0 && f.machine.looked["c"] > 0
	})
	f.machine.breaks(proxyDown, "a", "b", "c")
	f.touch("a.yaml", 2) // one App looks now; the others would in up to a minute
	f.until("it is told", func() bool { return len(f.alerts()) > 0 })
	if got := f.alerts(); !slices.Equal(got, []string{"a+b+c Degraded ProxyFails"}) {
		t.Errorf("told %q", got)
	}
	f.machine.mend("a", "b", "c")
	f.touch("a.yaml", 4)
	f.until("the end is told", func() bool { return len(f.alerts()) > 1 })
	if got := f.alerts(); got[1] != "a+b+c Resolved ProxyFails" {
		t.Errorf("told %q", got)
	}
}

// touch changes a number that does not matter here, and so makes the App of a file look.
func (f *folder) touch(file string, threshold int) {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join(f.dir, file))
	if err != nil {
		f.t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(b), "  failureThreshold")
	f.write(file, text+fmt.Sprintf("  failureThreshold: %d\n", threshold))
}
