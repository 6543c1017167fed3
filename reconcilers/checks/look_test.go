package checks

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// moment is a time of the made-up machine: a process of pid N was born N hundredths of a second after its boot.
func moment(d time.Duration) v1alpha1.Instant {
	return v1alpha1.Instant{Wall: metav1.NewMicroTime(time.Unix(1_800_000_000, 0).Add(d)), Boot: metav1.Duration{Duration: d}, BootID: "b"}
}

func TestDeployResult(t *testing.T) {
	dir, away := t.TempDir(), t.TempDir()
	at := func(pid, parent int, cwd, comm string, args ...string) proc {
		return proc{pid: pid, parent: parent, comm: comm, args: args, cwd: cwd}
	}
	for _, tc := range []struct {
		name string
		list []proc
		want string
	}{
		{"nothing", nil, ""},
		{"a checkout", []proc{at(200, 1, dir, "git", "git", "pull")}, "git pull"},
		{"an install in a folder of it", []proc{at(200, 1, filepath.Join(dir, "sub"), "npm ci", "npm ci")}, "npm ci"},
		{"a checkout elsewhere", []proc{at(200, 1, away, "git", "git", "pull")}, ""},
		{"a lone fetch", []proc{at(200, 1, dir, "git", "git", "fetch")}, ""},
		{"an editor", []proc{at(200, 1, dir, "vim", "vim", "build")}, ""},
		{"the application builds itself", []proc{at(101, 100, dir, "npm run build", "npm run build")}, ""},
		{"one that has ended", []proc{{pid: 200, parent: 1, comm: "git", args: []string{"git", "pull"}, cwd: dir, state: "Z"}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			write(t, filepath.Join(dir, "sub", "file"), "")
			main := at(100, 1, dir, "npm start", "npm start")
			app := site("site")
			app.Spec.Directory = dir
			p := &Prober{FS: machine(t, append([]proc{main}, tc.list...)...), Runtime: &fakeRuntime{snapshot: runtime.Snapshot{
				Processes: []runtime.Process{row("site", "m", main)},
			}}}
			l := &look{app: app, now: moment(time.Minute)}
			p.lookAround(t.Context(), l)
			r := p.deployResult(l)
			f := factsOf[facts.Deploy](t, r)
			switch {
			case tc.want == "" && (r.Status != yes || len(f.AtWork) > 0):
				t.Errorf("%s: %q", r.Status, r.Message)
			case tc.want != "" && (r.Status != no || f.AtWork[0].What != tc.want || f.AtWork[0].PID != 200 || f.AtWork[0].Since != 58*time.Second):
				t.Errorf("%s: %+v, want %s", r.Status, f.AtWork, tc.want)
			}
		})
	}
	l := &look{app: site("site"), procsErr: procfs.ErrGone}
	if r := (&Prober{}).deployResult(l); r.Status != maybe || r.Reason != "CouldNotAsk" {
		t.Errorf("what cannot be looked at: %s %s", r.Status, r.Reason)
	}
}

func TestNoteStop(t *testing.T) {
	now := moment(time.Hour)
	stop := func(ago time.Duration) *runtime.Order {
		return &runtime.Order{At: now.Wall.Add(-ago), Cause: runtime.CauseOrder, Standing: true}
	}
	began, ended := moment(time.Hour-time.Minute), moment(time.Hour-30*time.Second)
	steps := []v1alpha1.StepRecord{{Step: "stop", StartedAt: began, Took: metav1.Duration{Duration: 20 * time.Second}}}
	for _, tc := range []struct {
		name     string
		stop     *runtime.Order
		recovery *v1alpha1.Recovery
		want     bool
	}{
		{"none", nil, nil, false},
		{"by somebody", stop(40 * time.Second), nil, true},
		{"and started since", &runtime.Order{At: now.Wall.Time, Cause: runtime.CauseOrder}, nil, false},
		{"for its memory", &runtime.Order{At: now.Wall.Time, Cause: runtime.CauseMemory, Standing: true}, nil, false},
		{"nobody knows when", &runtime.Order{Cause: runtime.CauseOrder, Standing: true}, nil, false},
		{"in our own recovery", stop(40 * time.Second), &v1alpha1.Recovery{StartedAt: began, FinishedAt: &ended, Steps: steps}, false},
		{"in our own recovery, which goes on", stop(40 * time.Second), &v1alpha1.Recovery{StartedAt: began, Steps: steps}, false},
		{"at its very start, by notes of whole seconds", stop(61 * time.Second), &v1alpha1.Recovery{StartedAt: began, Steps: steps}, false},
		{"before it", stop(2 * time.Minute), &v1alpha1.Recovery{StartedAt: began, FinishedAt: &ended, Steps: steps}, true},
		{"after it", stop(10 * time.Second), &v1alpha1.Recovery{StartedAt: began, FinishedAt: &ended, Steps: steps}, true},
	} {
		app := site("site")
		app.Status.Recovery = tc.recovery
		l := &look{app: app, now: now, history: runtime.History{LastStop: tc.stop}}
		var f facts.Process
		noteStop(l, &f)
		if f.StopOrdered != tc.want || tc.want && f.StopOrderedFor != now.Wall.Sub(tc.stop.At) {
			t.Errorf("%s: %t for %s, want %t", tc.name, f.StopOrdered, f.StopOrderedFor, tc.want)
		}
	}
}

func TestReadSigns(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "error.log")
	const sign = "Error: listen EADDRINUSE: address already in use :::3003\n"
	for _, tc := range []struct {
		name string
		text string
		late time.Duration // how much later it is read
		want bool
	}{
		{"at the end", sign, 0, true},
		{"at the end of a long one", strings.Repeat("a line\n", signTail) + sign, 0, true},
		{"long ago in a long one", sign + strings.Repeat("a line\n", signTail), 0, false},
		{"in one that nobody writes to any more", sign, signAge + time.Minute, false},
		{"an empty one", "", 0, false},
	} {
		write(t, log, tc.text)
		got := readSigns(log, time.Now().Add(tc.late), nil)
		if slices.Contains(got, facts.SignAddressInUse) != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	for _, path := range []string{"", dir, filepath.Join(dir, "none")} {
		if got := readSigns(path, time.Now(), nil); got != nil {
			t.Errorf("%q: %v", path, got)
		}
	}
}

func TestProcessResult(t *testing.T) {
	main := proc{pid: 100, parent: 1, comm: "node"}
	code := 1
	for _, tc := range []struct {
		name   string
		rows   []runtime.Process
		err    error
		status metav1.ConditionStatus
		reason string
		says   string
	}{
		{"it runs", []runtime.Process{row("site", "m", main)}, nil, yes, "Running", "PM2 says online (id 0, 0 restarts), pid 100, up 59s"},
		{"errored", []runtime.Process{{ID: "0", State: runtime.Errored, Raw: "errored", ExitCode: &code}}, nil, no, "Errored", "last exit code 1"},
		{"the best of several rows", []runtime.Process{{ID: "1", State: runtime.Errored, Raw: "errored"}, row("site", "m", main)}, nil, yes, "Running", "online (id 0"},
		{"PM2 lies", []runtime.Process{{ID: "0", State: runtime.Stopped, Raw: "online", Lying: true, Message: "pid 7 is dead"}}, nil, no, "Stopped", "but pid 7 is dead"},
		{"starting", []runtime.Process{{ID: "0", State: runtime.Starting, Raw: "launching"}}, nil, maybe, "Starting", "launching"},
		{"waiting for its next life", []runtime.Process{{ID: "0", State: runtime.Waiting, Raw: "waiting restart"}}, nil, no, "Waiting", "waiting restart"},
		{"not listed", nil, nil, no, "NotListed", "lists no process"},
		{"no daemon", nil, runtime.ErrNoDaemon, no, "NoDaemon", "no PM2 daemon runs in " + pm2Home},
		{"no right to ask", nil, runtime.ErrPermission, maybe, "CouldNotAsk", "PM2 could not be asked: no right"},
	} {
		p := &Prober{FS: machine(t, main), Runtime: &fakeRuntime{err: tc.err, snapshot: runtime.Snapshot{
			Daemon: runtime.Daemon{Home: pm2Home, Reachable: tc.err == nil}, Processes: tc.rows,
		}}}
		l := &look{app: site("site"), now: moment(time.Minute)}
		p.lookAround(t.Context(), l)
		r := processResult(l, ofStart{})
		if r.Status != tc.status || r.Reason != tc.reason || !strings.Contains(r.Message, tc.says) {
			t.Errorf("%s: %s %s: %q, want %s %s: %q", tc.name, r.Status, r.Reason, r.Message, tc.status, tc.reason, tc.says)
		}
		if f := factsOf[facts.Process](t, r); f.Home != pm2Home || f.Daemon != (tc.err == nil) {
			t.Errorf("%s: facts %+v", tc.name, f)
		}
	}
}

// roundTrip makes a transport of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What one check dies of would end evenkeel, and with it the watch over every site, if it were another goroutine's panic.
func TestAPanicInOneCheckIsOneOfTheWholeLook(t *testing.T) {
	app := site("site")
	app.Spec.Directory, app.Spec.Checks.Public.URL = t.TempDir(), "https://www.example.org/"
	p := prober(t)
	p.FS, p.Runtime, p.Clock = machine(t), &fakeRuntime{}, func() v1alpha1.Instant { return moment(time.Minute) }
	p.public.Transport = roundTrip(func(*http.Request) (*http.Response, error) { panic("seven bytes of nonsense") })
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "seven bytes of nonsense") {
			t.Errorf("it ended with %v", r)
		}
	}()
	p.Observe(t.Context(), app, []string{v1alpha1.CheckPublic})
}

func TestObserveAsksWhatIsDueAndSortsIt(t *testing.T) {
	addr := serve(t, "127.0.0.1:0", answer(200))
	app := site("site")
	app.Spec.Directory, app.Spec.Port = t.TempDir(), int32(addr.Port())
	main := proc{pid: 100, parent: 1, comm: "node", args: []string{"node", "server.js"}}
	p := prober(t)
	rt := &fakeRuntime{snapshot: runtime.Snapshot{Daemon: runtime.Daemon{Home: pm2Home, Reachable: true}, Processes: []runtime.Process{row("site", "m", main)}}}
	p.FS, p.Runtime, p.Clock = machine(t, main), rt, func() v1alpha1.Instant { return moment(2 * time.Second) }
	status := func(o v1alpha1.Observation) string {
		var list []string
		for _, r := range o.Results {
			list = append(list, r.Check+"="+string(r.Status)+" "+r.Reason)
		}
		return strings.Join(list, ", ")
	}

	o := p.Observe(t.Context(), app, []string{v1alpha1.CheckWorkers, v1alpha1.CheckLocal, v1alpha1.CheckProcess, v1alpha1.CheckBuild})
	if got, want := status(o), "build=True NotKnown, local=True Answers, process=True Running, workers=True Alive"; got != want {
		t.Fatalf("%s\nwant %s", got, want)
	}
	if lead, ok := o.Leading(); !ok || lead.Check != v1alpha1.CheckLocal || !lead.Required {
		t.Errorf("the leading check: %+v", lead)
	}
	if f, _ := facts.Of[facts.Process](&o, v1alpha1.CheckProcess); !f.Answered || f.Life != "100:100" || f.Age != time.Second {
		t.Errorf("the process: %+v", f)
	}

	// Another life, which does not answer: it is starting, and after its grace it has failed.
	second := proc{pid: 150, parent: 1, comm: "node"}
	p.FS, rt.snapshot.Processes = machine(t, second), []runtime.Process{row("site", "m", second)}
	app.Spec.Port = int32(reserve(t))
	if got := status(p.Observe(t.Context(), app, []string{v1alpha1.CheckLocal, v1alpha1.CheckPort})); got != "local=Unknown Starting, port=Unknown Starting" {
		t.Errorf("young: %s", got)
	}
	p.Clock = func() v1alpha1.Instant { return moment(2 * time.Minute) }
	if got := status(p.Observe(t.Context(), app, []string{v1alpha1.CheckLocal, v1alpha1.CheckPort})); got != "local=False Refused, port=False NotListening" {
		t.Errorf("old: %s", got)
	}
}
