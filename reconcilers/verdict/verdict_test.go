package verdict

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

const (
	yes   = metav1.ConditionTrue
	no    = metav1.ConditionFalse
	maybe = metav1.ConditionUnknown
)

// world is one look, in which everything is well until a test changes it.
type world struct {
	status   map[string]metav1.ConditionStatus
	reason   map[string]string
	process  facts.Process
	port     facts.Port
	local    facts.HTTP
	public   facts.Public
	memory   facts.Memory
	database facts.Database
	deploy   facts.Deploy
	build    facts.Build
	disk     facts.Disk
	host     facts.Host
	workers  facts.Workers
}

func well() *world {
	w := &world{
		status: map[string]metav1.ConditionStatus{}, reason: map[string]string{},
		process: facts.Process{
			Runtime: "pm2", Home: "/home/deploy/.pm2", Daemon: true, DaemonPID: 10, State: string(runtime.Running), Life: "100:1", Age: time.Hour,
			Answered: true, Rows: []facts.Row{{ID: "0", State: "Running", PID: 100, Life: "100:1"}},
		},
		port:   facts.Port{Port: 3003, Listeners: []facts.Listener{{Addr: "[::]:3003", Whose: facts.Ours, PID: 100}}},
		local:  facts.HTTP{Class: facts.Answered, Status: 200},
		public: facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 200}, Proven: true},
		memory: facts.Memory{Total: 1 << 30, Available: 500 << 20, Wanted: 100 << 20, Tree: 200 << 20, Life: "100:1"},
		build:  facts.Build{Kind: "next", Present: true},
		disk:   facts.Disk{Volumes: []facts.Volume{{Path: "/srv/site", Holds: []string{"app"}, Size: 20 << 30, Free: 9 << 30, Want: 256 << 20}}},
		host:   facts.Host{CPUs: 2, Window: time.Second, Busy: 0.3, App: 0.2},
	}
	for _, c := range []string{"process", "port", "local", "public", "memory", "database", "workers", "deploy", "build", "disk", "host", "environment"} {
		w.status[c] = yes
	}
	return w
}

// gone lets the process be gone, in the runtime's words.
func (w *world) gone(state runtime.State) {
	w.process.State, w.process.Life, w.process.Age = string(state), "", 0
	w.process.Rows = []facts.Row{{ID: "0", State: string(state)}}
	w.port.Listeners = nil
	w.local = facts.HTTP{Class: facts.Refused}
	w.status["process"], w.status["port"], w.status["local"], w.status["public"], w.status["workers"] = no, no, no, no, no
}

// daemonGone lets PM2's daemon be killed; it can be brought back like this.
func (w *world) daemonGone(revival string) {
	w.gone(runtime.Missing)
	w.process.Daemon, w.process.DaemonPID, w.process.Rows, w.process.Leftover, w.process.Revival = false, 0, nil, true, revival
}

// short leaves so little room on the disk, of which the caches hold so much.
func (w *world) short(free, caches int64) {
	if len(w.disk.Volumes) == 0 {
		w.disk = well().disk
	}
	w.disk.Volumes[0].Free, w.disk.Caches, w.status["disk"] = free, caches, no
}

// fails lets it answer with a status; timesOut not at all in time.
func (w *world) fails(status int) {
	w.local.Class, w.local.Status = facts.Answered, status
	w.status["local"], w.status["public"] = no, no
}

func (w *world) timesOut() {
	w.local = facts.HTTP{Class: facts.Timeout}
	w.status["local"], w.status["public"] = no, no
}

// elsewhere lets it listen on other ports instead of its own.
func (w *world) elsewhere(ports ...int32) {
	w.deaf()
	for _, p := range ports {
		w.port.Elsewhere = append(w.port.Elsewhere, facts.Place{Addr: fmt.Sprintf("[::]:%d", p), Port: p, PID: 100})
	}
}

// databaseFailed lets it not have served at the look before, when nobody listened either.
func databaseFailed(c *pass.Case) {
	c.Recent[0] = well().deaf().asked(facts.DatabaseRefused).observation(c.Recent[0].At)
}

// deaf lets the application run, and nobody listen on its port.
func (w *world) deaf() *world {
	w.port.Listeners, w.local = nil, facts.HTTP{Class: facts.Refused}
	w.status["port"], w.status["local"], w.status["public"] = no, no, no
	return w
}

// listened lets a life be known that has listened on a port, with what it had opened beside.
func listened(port int32, life string, beside ...int32) func(c *pass.Case) {
	return func(c *pass.Case) {
		c.Record.Learned = &v1alpha1.Learned{Listened: &v1alpha1.Listened{Port: port, Incarnation: life, Beside: beside}}
	}
}

// unexpected lets it answer with a status, and not as the spec expects.
func (w *world) unexpected(status int) {
	w.fails(status)
	w.local.Wants, w.status["public"] = "mark", yes
}

// met lets an answer have been as it was expected, by a mark.
func met(mark string) func(c *pass.Case) {
	return func(c *pass.Case) { c.Record.Learned = &v1alpha1.Learned{LocalMet: mark} }
}

// unconfigured takes away the database's configuration.
func (w *world) unconfigured() {
	w.status["database"], w.database = no, facts.Database{Missing: []string{"DATABASE_URL"}}
}

// serves lets somebody answer on the port.
func (w *world) serves(l facts.Listener) {
	w.port.Listeners = []facts.Listener{l}
	w.local = facts.HTTP{Class: facts.Answered, Status: 200}
	w.status["local"], w.status["public"] = yes, yes
}

func (w *world) observation(at v1alpha1.Instant) v1alpha1.Observation {
	o := v1alpha1.Observation{At: at}
	for _, c := range []struct {
		name  string
		facts any
	}{
		{"build", w.build}, {"database", w.database}, {"deploy", w.deploy}, {"local", w.local}, {"memory", w.memory},
		{"port", w.port}, {"process", w.process}, {"public", w.public}, {"workers", w.workers},
		{"disk", w.disk}, {"host", w.host}, {"environment", facts.Environment{}},
	} {
		o.Results = append(o.Results, v1alpha1.CheckResult{
			Check: c.name, Status: w.status[c.name], Reason: w.reason[c.name], Message: c.name + " says so", At: at, Facts: facts.Raw(c.facts),
			Required: c.name != "deploy" && c.name != "build" && c.name != "host" && c.name != "environment", Leading: c.name == "local",
		})
	}
	slices.SortFunc(o.Results, func(a, b v1alpha1.CheckResult) int { return strings.Compare(a.Check, b.Check) })
	return o
}

func app() *v1alpha1.App {
	a := v1alpha1.NewApp()
	a.Name, a.Spec.Directory = "site", "/srv/site"
	a.Spec.Runtime.PM2 = &v1alpha1.PM2Runtime{Process: "site", Start: "ecosystem.config.js"}
	a.Spec.Checks.Public.URL = "https://www.example.test/"
	return a
}

func instant(d time.Duration) v1alpha1.Instant {
	wall := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC).Add(d)
	return v1alpha1.Instant{Wall: metav1.NewMicroTime(wall), Boot: metav1.Duration{Duration: time.Hour + d}, BootID: "b"}
}

// twice is a case in which the world was seen like this five seconds ago and is seen like this now.
func twice(w *world) *pass.Case {
	return &pass.Case{
		App: app(), Now: instant(5 * time.Second),
		Recent: []v1alpha1.Observation{w.observation(instant(0)), w.observation(instant(5 * time.Second))},
	}
}

func keptByEvenkeel(c *pass.Case) {
	c.App.Spec.Runtime = v1alpha1.RuntimeSpec{Exec: &v1alpha1.ExecRuntime{Command: []string{"node", "server.js"}}}
}

// TestNobodyIsSentToAProcessManagerThatIsNotThere: what is said of an application that evenkeel keeps itself names no PM2.
func TestNobodyIsSentToAProcessManagerThatIsNotThere(t *testing.T) {
	for _, change := range []func(w *world){
		func(w *world) { w.gone(runtime.Stopped) },
		func(w *world) { w.gone(runtime.Waiting) },
		func(w *world) { w.local = facts.HTTP{Class: facts.Timeout}; w.status["local"] = no },
		func(w *world) { w.process = facts.Process{}; w.status["process"], w.status["local"] = maybe, no },
		func(w *world) { w.process.Crashes, w.status["local"] = 5, no },
		func(w *world) { w.short(100<<20, 0) },
	} {
		w := well()
		w.process.Home = "/var/lib/evenkeel"
		change(w)
		w.process.Runtime, w.process.Output = v1alpha1.RuntimeExec, "/var/lib/evenkeel/site.output.log"
		c := twice(w)
		keptByEvenkeel(c)
		v := Diagnose(c)
		if said := v.Message + strings.Join(v.Next, "\n"); strings.Contains(strings.ToLower(said), "pm2") {
			t.Errorf("%s says: %s", v.Rule, said)
		}
	}
}

func TestVerdicts(t *testing.T) {
	stranger := facts.Listener{Addr: "[::]:3003", Whose: facts.Stranger, PID: 666, User: "other", Command: "nc -l", Folder: "/tmp"}
	orphan := facts.Listener{Addr: "[::]:3003", Whose: facts.OurOrphan, PID: 99, User: "deploy"}
	rivals := orphan
	rivals.Under = 88
	for _, tc := range []struct {
		name   string
		change func(w *world)
		edit   func(c *pass.Case)
		rule   string
		blame  v1alpha1.Blame
		remedy v1alpha1.Remedy
		plan   string
	}{
		{"all well", func(*world) {}, nil, "healthy", v1alpha1.BlameNone, v1alpha1.RemedyNone, ""},
		{"a check that cannot be asked breaks nothing", func(w *world) { w.status["process"] = maybe }, nil, "healthy", v1alpha1.BlameNone, v1alpha1.RemedyNone, ""},
		{"errored", func(w *world) { w.gone(runtime.Errored) }, nil, "process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"errored, and the database, the proxy and memory are down too", func(w *world) {
			w.gone(runtime.Errored)
			w.unconfigured()
			w.status["memory"] = no
			w.public.Class = facts.Refused
		}, nil, "process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"gone a moment ago", func(w *world) { w.gone(runtime.Stopped) }, func(c *pass.Case) { c.Recent = c.Recent[1:] },
			"process-going", v1alpha1.BlameApp, v1alpha1.RemedyWait, ""},
		{"PM2 waits before its own restart", func(w *world) { w.gone(runtime.Waiting) }, nil, "runtime-busy", v1alpha1.BlameRuntime, v1alpha1.RemedyWait, ""},
		{"stopped by hand", func(w *world) { w.gone(runtime.Stopped); w.process.StopOrdered = true }, nil,
			"operator-stop", v1alpha1.BlameOperator, v1alpha1.RemedyHold, ""},
		{"hung", func(w *world) {
			w.local = facts.HTTP{Class: facts.Timeout}
			w.status["local"], w.status["public"] = no, no
		}, nil, "hung", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"500", func(w *world) {
			w.local.Status = 500
			w.status["local"], w.status["public"] = no, no
		}, nil, "server-error", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"500, and the log names the database", func(w *world) {
			w.local.Status = 500
			w.process.Signs = []facts.Sign{facts.SignDatabase}
			w.status["local"], w.status["public"] = no, no
		}, nil, "database-down", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and it could not reach a database that nobody asks", func(w *world) {
			w.fails(500)
			w.process.Needs = []facts.Need{{Kind: facts.NeedName, End: facts.NeedNoName}, {Kind: facts.NeedDatabase, End: facts.NeedRefused, Port: 5432}}
		}, nil, "dependency-down", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and a name did not resolve", func(w *world) {
			w.fails(500)
			w.process.Needs = []facts.Need{{Kind: facts.NeedService, End: facts.NeedSilent}, {Kind: facts.NeedName, End: facts.NeedNoName}}
		}, nil, "dependency-down", v1alpha1.BlameDNS, v1alpha1.RemedyHold, ""},
		{"it waits for a service that does not answer", func(w *world) {
			w.timesOut()
			w.process.Needs = []facts.Need{{Kind: facts.NeedService, End: facts.NeedSilent, Port: 443}}
		}, nil, "dependency-down", v1alpha1.BlameNetwork, v1alpha1.RemedyHold, ""},
		{"it hangs, and could not reach a service before", func(w *world) {
			w.timesOut()
			w.port.Listeners[0].Waiting = 3
			w.process.Needs = []facts.Need{{Kind: facts.NeedService, End: facts.NeedSilent, Port: 443}}
		}, nil, "hung", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"500, it could not reach its database, and that serves", func(w *world) {
			w.fails(500)
			w.asked(facts.DatabaseReachable)
			w.process.Needs = []facts.Need{{Kind: facts.NeedDatabase, End: facts.NeedLogin}}
		}, nil, "server-error", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"500, its database serves, and it could not reach another", func(w *world) {
			w.fails(500)
			w.asked(facts.DatabaseReachable)
			w.process.Needs = []facts.Need{{Kind: facts.NeedDatabase, End: facts.NeedRefused, Port: 6379}}
		}, nil, "dependency-down", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"it is gone, and could not reach its database", func(w *world) {
			w.gone(runtime.Errored)
			w.process.Needs = []facts.Need{{Kind: facts.NeedDatabase, End: facts.NeedRefused, Port: 5432}}
		}, nil, "process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"it answers, and could not reach something that it can do without", func(w *world) {
			w.process.Needs = []facts.Need{{Kind: facts.NeedService, End: facts.NeedRefused, Port: 8080}}
		}, nil, "healthy", v1alpha1.BlameNone, v1alpha1.RemedyNone, ""},
		{"500, and the database's configuration is gone", func(w *world) {
			w.local.Status = 500
			w.unconfigured()
			w.status["local"], w.status["public"] = no, no
		}, nil, "database-configuration", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"nobody listens", func(w *world) { w.deaf() }, nil, "not-listening", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"nobody listens, and its database is not there: it may wait for that", func(w *world) { w.deaf().asked(facts.DatabaseRefused) }, nil,
			"database-refuses", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"nobody listens, and its log says what it waits for", func(w *world) {
			w.deaf().process.Needs = []facts.Need{{Kind: facts.NeedService, End: facts.NeedRefused, Port: 6380}}
		}, nil, "dependency-down", v1alpha1.BlameNetwork, v1alpha1.RemedyHold, ""},
		{"nobody listens any more, and its database is not there", func(w *world) { w.deaf().asked(facts.DatabaseRefused) }, listened(3003, "100:1"),
			"not-listening", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"nobody listens yet, and its database serves", func(w *world) { w.deaf().asked(facts.DatabaseReachable) }, listened(3003, "99:1"),
			"not-listening", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"nobody listens yet, and its database serves since a moment ago", func(w *world) { w.deaf().asked(facts.DatabaseReachable) }, databaseFailed,
			"database-just-back", v1alpha1.BlameDatabase, v1alpha1.RemedyWait, ""},
		{"nobody listens yet, and whether its database serves again is not known", func(w *world) { w.deaf() }, databaseFailed,
			"not-listening", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"it listens on another port", func(w *world) { w.elsewhere(3013) }, nil,
			"listens-elsewhere", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"it listens on another port, and a life before it did on its own", func(w *world) { w.elsewhere(3013) }, listened(3003, "99:1", 9464),
			"listens-elsewhere", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"it listens where it should have listened before spec.port was changed", func(w *world) { w.elsewhere(3013) }, listened(3013, "100:1"),
			"listens-elsewhere", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"it has lost its port, and another one is left", func(w *world) { w.elsewhere(3013) }, listened(3003, "100:1"),
			"not-listening", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"it shows its metrics as it did before, and its own port is not opened", func(w *world) { w.elsewhere(9464) }, listened(3003, "99:1", 9464),
			"not-listening", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"it listens where it showed its metrics before spec.port was changed", func(w *world) { w.elsewhere(9464) }, listened(3013, "99:1", 9464),
			"listens-elsewhere", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"it shows its metrics as it did before, and has moved", func(w *world) { w.elsewhere(9464, 3013) }, listened(3003, "99:1", 9464),
			"listens-elsewhere", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"it has opened another port, and is starting", func(w *world) {
			w.elsewhere(9464)
			w.process.Age, w.process.Answered = time.Second, false
			w.status["local"], w.reason["local"], w.status["port"] = maybe, "Starting", maybe
		}, nil, "starting", v1alpha1.BlameApp, v1alpha1.RemedyWait, ""},
		{"a stranger has its port, and it took another", func(w *world) {
			w.elsewhere(3004)
			w.port.Listeners = []facts.Listener{stranger}
		}, nil, "stranger-on-port", v1alpha1.BlamePort, v1alpha1.RemedyHold, ""},
		{"it has never answered as is expected", func(w *world) { w.unexpected(404) }, nil,
			"never-as-expected", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"it has never answered as is expected now", func(w *world) { w.unexpected(200) }, met("other"),
			"never-as-expected", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"it does not answer as is expected any more", func(w *world) { w.unexpected(200) }, met("mark"),
			"server-error", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"it has never answered as is expected, and answers 500", func(w *world) { w.unexpected(500) }, nil,
			"server-error", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"it has never answered as is expected, and hangs", func(w *world) { w.unexpected(0); w.timesOut(); w.local.Wants = "mark" }, nil,
			"hung", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"it has never answered as is expected, and is gone", func(w *world) { w.gone(runtime.Errored); w.local.Wants = "mark" }, nil,
			"process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"it has never answered as is expected, and its cache fills the disk", func(w *world) { w.unexpected(200); w.short(0, 4<<30) }, nil,
			"disk-cache", v1alpha1.BlameDisk, v1alpha1.RemedyRecover, PlanClean},
		{"an empty answer", func(w *world) {
			w.local = facts.HTTP{Class: facts.Closed}
			w.status["local"], w.status["public"] = no, no
		}, nil, "local-fails", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"starting", func(w *world) {
			w.process.Age, w.process.Answered = time.Second, false
			w.status["local"], w.reason["local"], w.status["public"] = maybe, "Starting", no
		}, nil, "starting", v1alpha1.BlameApp, v1alpha1.RemedyWait, ""},
		{"a stranger has the port, and answers 200", func(w *world) {
			w.port.Listeners, w.status["port"] = []facts.Listener{stranger}, no
		}, nil, "stranger-on-port", v1alpha1.BlamePort, v1alpha1.RemedyHold, ""},
		{"a stranger has the port of an application that is errored", func(w *world) {
			w.gone(runtime.Errored)
			w.port.Listeners = []facts.Listener{stranger}
		}, nil, "stranger-on-port", v1alpha1.BlamePort, v1alpha1.RemedyHold, ""},
		{"another PM2 daemon of the home runs what has the port", func(w *world) {
			w.port.Listeners, w.status["port"] = []facts.Listener{rivals}, no
		}, nil, "two-daemons", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"so does a daemon whose socket is gone", func(w *world) {
			w.daemonGone("")
			w.serves(rivals)
		}, nil, "two-daemons", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"our orphan has the port, and serves the old code", func(w *world) {
			w.port.Listeners, w.status["port"] = []facts.Listener{orphan}, no
		}, nil, "orphan-on-port", v1alpha1.BlamePort, v1alpha1.RemedyRecover, PlanPlain},
		{"somebody who cannot be seen has the port, and it does not come up", func(w *world) {
			w.gone(runtime.Errored)
			w.port.Listeners, w.status["port"] = []facts.Listener{{Addr: "[::]:3003", Whose: facts.CannotTell, User: "deploy"}}, maybe
			w.process.Signs = []facts.Sign{facts.SignAddressInUse}
		}, nil, "port-held-unseen", v1alpha1.BlamePort, v1alpha1.RemedyHold, ""},
		{"its log says that the port is in use, and nobody has it any more", func(w *world) {
			w.gone(runtime.Errored)
			w.process.Signs = []facts.Sign{facts.SignAddressInUse}
		}, nil, "process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"run by another PM2", func(w *world) {
			w.process.State, w.process.Life, w.process.Rows, w.status["process"] = string(runtime.Missing), "", nil, no
			w.port.Listeners[0].Whose, w.status["port"] = facts.CannotTell, maybe
		}, nil, "answers-elsewhere", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"not listed here, and a process of another user answers", func(w *world) {
			w.process.State, w.process.Life, w.process.Rows, w.status["process"] = string(runtime.Missing), "", nil, no
			w.port.Listeners, w.status["port"] = []facts.Listener{stranger}, no
		}, nil, "answers-elsewhere", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"no daemon in this home, which never ran it, and a process of another user answers", func(w *world) {
			w.process = facts.Process{Home: "/home/nobody/.pm2", State: string(runtime.Missing)}
			w.port.Listeners, w.status["process"], w.status["port"] = []facts.Listener{stranger}, no, no
		}, nil, "answers-elsewhere", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"no daemon in the home that ran it, and a stranger answers", func(w *world) {
			w.process = facts.Process{Home: "/home/deploy/.pm2", State: string(runtime.Missing)}
			w.port.Listeners, w.status["process"], w.status["port"] = []facts.Listener{stranger}, no, no
		}, func(c *pass.Case) { c.Record.Learned = &v1alpha1.Learned{Marks: []string{"m"}} },
			"stranger-on-port", v1alpha1.BlamePort, v1alpha1.RemedyHold, ""},
		{"not listed here, and a stranger on the port that answers nothing good", func(w *world) {
			w.gone(runtime.Missing)
			w.process.Rows, w.port.Listeners = nil, []facts.Listener{stranger}
		}, nil, "stranger-on-port", v1alpha1.BlamePort, v1alpha1.RemedyHold, ""},
		{"a stranger answers while PM2 tries to start the application", func(w *world) {
			w.gone(runtime.Waiting)
			w.port.Listeners, w.status["local"] = []facts.Listener{stranger}, yes
		}, nil, "stranger-on-port", v1alpha1.BlamePort, v1alpha1.RemedyHold, ""},
		{"PM2 gave up on it, and a stranger answers", func(w *world) {
			w.gone(runtime.Errored)
			w.port.Listeners, w.status["local"] = []facts.Listener{stranger}, yes
		}, nil, "stranger-on-port", v1alpha1.BlamePort, v1alpha1.RemedyHold, ""},
		{"the build is gone and so is the process", func(w *world) {
			w.gone(runtime.Errored)
			w.build, w.process.Signs = facts.Build{Kind: "next", Missing: ".next/BUILD_ID"}, []facts.Sign{facts.SignBuildMissing}
		}, nil, "build-missing", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"the build is gone while the old process still serves", func(w *world) {
			w.build, w.status["build"] = facts.Build{Kind: "next", Missing: ".next/BUILD_ID"}, no
		}, nil, "healthy", v1alpha1.BlameNone, v1alpha1.RemedyNone, ""},
		{"its folder is gone, and so is the process", func(w *world) { w.gone(runtime.Errored); w.process.FolderMissing = true }, nil,
			"folder-missing", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"its folder is gone, and an orphan of its own serves on", func(w *world) {
			w.process.FolderMissing, w.port.Listeners, w.status["port"] = true, []facts.Listener{orphan}, no
		}, nil, "anything-else", v1alpha1.BlameNone, v1alpha1.RemedyHold, ""},
		{"its folder is gone while the old process still serves", func(w *world) { w.process.FolderMissing = true }, nil,
			"healthy", v1alpha1.BlameNone, v1alpha1.RemedyNone, ""},
		{"the last start failed of a missing module", func(w *world) { w.gone(runtime.Errored); w.process.Cause = "a" }, faultOf("a"),
			"known-fault", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"the last start failed of a missing module, and modules were installed since", func(w *world) { w.gone(runtime.Errored); w.process.Cause = "b" }, faultOf("a"),
			"process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"a deploy is at work and the site fails", func(w *world) {
			w.gone(runtime.Errored)
			w.deploy.AtWork = []facts.Work{{PID: 5, What: "npm ci"}}
		}, nil, "deploy-at-work", v1alpha1.BlameDeploy, v1alpha1.RemedyHold, ""},
		{"it dies of its cache", func(w *world) { w.gone(runtime.Errored); w.process.Signs = []facts.Sign{facts.SignCache} }, nil,
			"cache-signature", v1alpha1.BlameCache, v1alpha1.RemedyRecover, PlanClean},
		{"five unplanned exits", func(w *world) {
			w.process.Crashes, w.process.Answered = 5, false
			w.status["local"], w.reason["local"] = maybe, "Starting"
		}, nil, "crash-loop", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"five unplanned exits, and it answers again", func(w *world) {
			w.process.Crashes, w.process.Age = 5, time.Second
			w.status["process"], w.reason["process"] = no, facts.ReasonCrashLoop
		}, nil, "outlives-its-crashes", v1alpha1.BlameApp, v1alpha1.RemedyWait, ""},
		{"a crash loop that answers at every look", func(w *world) {
			w.process.Crashes, w.process.Age = 5, time.Second
			w.status["process"], w.reason["process"] = no, facts.ReasonCrashLoop
		}, func(c *pass.Case) {
			for n, life := range []string{"1:1", "2:2"} {
				w := well()
				w.process.Life = life
				c.Recent = append([]v1alpha1.Observation{w.observation(instant(-time.Duration(n+1) * time.Minute))}, c.Recent...)
			}
		}, "crash-loop-answering", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"it is back, after a stranger had its port and answered in its place", func(w *world) {
			w.process.Crashes, w.process.Age = 15, time.Second
			w.status["process"], w.reason["process"] = no, facts.ReasonCrashLoop
		}, func(c *pass.Case) {
			for n, life := range []string{"11:1", "12:2", "13:3"} {
				w := well()
				w.process.Life = life
				w.port.Listeners = []facts.Listener{stranger}
				w.status["port"] = no
				c.Recent = append([]v1alpha1.Observation{w.observation(instant(-time.Duration(n+1) * 2 * time.Second))}, c.Recent...)
			}
		}, "outlives-its-crashes", v1alpha1.BlameApp, v1alpha1.RemedyWait, ""},
		{"PM2's daemon was killed, and can be brought back", func(w *world) { w.daemonGone("pm2 resurrect") }, nil,
			"runtime-gone", v1alpha1.BlameRuntime, v1alpha1.RemedyRecover, PlanPlain},
		{"PM2's daemon was killed, and cannot be brought back", func(w *world) { w.daemonGone("") }, nil,
			"runtime-lost", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"PM2's daemon was killed a moment ago", func(w *world) { w.daemonGone("pm2 resurrect") },
			func(c *pass.Case) { c.Recent = c.Recent[1:] }, "runtime-going", v1alpha1.BlameRuntime, v1alpha1.RemedyWait, ""},
		{"PM2's daemon has ended in good order a moment ago", func(w *world) { w.daemonGone("pm2 resurrect"); w.process.Leftover = false }, nil,
			"runtime-going", v1alpha1.BlameRuntime, v1alpha1.RemedyWait, ""},
		{"PM2's daemon was ended by hand", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.process.Leftover, w.process.StopOrdered = false, true
		}, nil, "operator-stop", v1alpha1.BlameOperator, v1alpha1.RemedyHold, ""},
		{"PM2's daemon was ended a moment ago, by hand or on its way to a newer version", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.process.Leftover, w.process.StopOrdered = false, true
		}, func(c *pass.Case) { c.Recent = c.Recent[1:] }, "runtime-going", v1alpha1.BlameRuntime, v1alpha1.RemedyWait, ""},
		{"PM2's daemon was killed after the application was stopped by hand", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.process.StopOrdered = true
		}, nil, "operator-stop", v1alpha1.BlameOperator, v1alpha1.RemedyHold, ""},
		{"PM2's daemon was killed, and the server below npm serves on", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.serves(orphan)
		}, nil, "orphan-of-runtime", v1alpha1.BlameRuntime, v1alpha1.RemedyRecover, PlanPlain},
		{"the same, and the application had been stopped by hand", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.serves(orphan)
			w.process.StopOrdered = true
		}, nil, "operator-stop", v1alpha1.BlameOperator, v1alpha1.RemedyHold, ""},
		{"the same, and its last start failed of what has not changed", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.serves(orphan)
		}, func(c *pass.Case) { c.Record.Learned = &v1alpha1.Learned{Fault: &v1alpha1.Fault{}} }, "runtime-lost", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"the same, and nothing could take its place", func(w *world) {
			w.daemonGone("")
			w.serves(orphan)
		}, nil, "runtime-lost", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"no daemon in this home, and the application is run by another", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.serves(facts.Listener{Addr: "[::]:3003", Whose: facts.CannotTell})
		}, nil, "answers-elsewhere", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"no daemon, and a stranger has the port", func(w *world) {
			w.daemonGone("pm2 resurrect")
			w.serves(stranger)
		}, func(c *pass.Case) { c.Record.Learned = &v1alpha1.Learned{Marks: []string{"m"}} },
			"stranger-on-port", v1alpha1.BlamePort, v1alpha1.RemedyHold, ""},
		{"not listed, and it is not known how to start it", func(w *world) { w.gone(runtime.Missing) },
			func(c *pass.Case) { c.App.Spec.Runtime.PM2.Start = "" }, "not-listed", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"not listed by a PM2 that has just come into being", func(w *world) { w.gone(runtime.Missing) }, func(c *pass.Case) {
			c.App.Spec.Runtime.PM2.Start = ""
			before := well()
			before.daemonGone("pm2 resurrect")
			c.Recent[0] = before.observation(c.Recent[0].At)
		}, "process-going", v1alpha1.BlameApp, v1alpha1.RemedyWait, ""},
		{"not listed, and it is known", func(w *world) { w.gone(runtime.Missing) }, nil, "process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"what evenkeel keeps itself is gone since a moment, and does not come back unless it says so",
			func(w *world) { w.gone(runtime.Stopped); w.process.Runtime = v1alpha1.RuntimeExec },
			func(c *pass.Case) { keptByEvenkeel(c); c.Recent = c.Recent[1:] }, "process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"what evenkeel keeps itself is about to be started again",
			func(w *world) { w.gone(runtime.Waiting); w.process.Runtime = v1alpha1.RuntimeExec },
			keptByEvenkeel, "runtime-busy", v1alpha1.BlameRuntime, v1alpha1.RemedyWait, ""},
		{"PM2 cannot be asked and nothing answers", func(w *world) {
			w.process = facts.Process{State: string(runtime.Unknown)}
			w.local = facts.HTTP{Class: facts.Timeout}
			w.status["process"], w.status["local"] = maybe, no
		}, nil, "cannot-see", v1alpha1.BlameHost, v1alpha1.RemedyHold, ""},
		{"the proxy is down", func(w *world) {
			w.public = facts.Public{HTTP: facts.HTTP{Class: facts.Refused}, Proxy: &facts.HTTP{Class: facts.Refused}, Proven: true}
			w.status["public"] = no
		}, nil, "proxy", v1alpha1.BlameProxy, v1alpha1.RemedyHold, ""},
		{"the proxy answers 502", func(w *world) {
			w.public = facts.Public{HTTP: facts.HTTP{Class: facts.Answered, Status: 502}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 502}}
			w.status["public"] = no
		}, nil, "proxy", v1alpha1.BlameProxy, v1alpha1.RemedyHold, ""},
		{"only the world cannot reach it", func(w *world) {
			w.public = facts.Public{HTTP: facts.HTTP{Class: facts.Timeout}, Proxy: &facts.HTTP{Class: facts.Answered, Status: 200}}
			w.status["public"] = no
		}, nil, "network", v1alpha1.BlameNetwork, v1alpha1.RemedyHold, ""},
		{"there is no proxy on this machine, and the world cannot reach it", func(w *world) {
			w.public = facts.Public{HTTP: facts.HTTP{Class: facts.Timeout}, Proxy: &facts.HTTP{Class: facts.NotAsked, Error: "nothing listens"}, Proven: true}
			w.status["public"] = no
		}, nil, "network", v1alpha1.BlameNetwork, v1alpha1.RemedyHold, ""},
		{"certificate", func(w *world) { w.public.Class = facts.Certificate; w.status["public"] = no }, nil,
			"certificate", v1alpha1.BlameCertificate, v1alpha1.RemedyHold, ""},
		{"DNS", func(w *world) { w.public.Class = facts.DNS; w.status["public"] = no }, nil, "dns", v1alpha1.BlameDNS, v1alpha1.RemedyHold, ""},
		{"memory is low since a moment", func(w *world) { w.memory.Available = 50 << 20; w.status["memory"] = no }, nil,
			"memory-low-briefly", v1alpha1.BlameMemory, v1alpha1.RemedyWait, ""},
		{"memory is low and the application grew", func(w *world) { w.memory.Available, w.memory.Tree, w.status["memory"] = 50<<20, 400<<20, no },
			lowFor(4 * time.Minute), "memory-app-grew", v1alpha1.BlameMemory, v1alpha1.RemedyRecover, PlanPlain},
		{"memory is low and another took it", func(w *world) { w.memory.Available, w.status["memory"] = 50<<20, no },
			lowFor(4 * time.Minute), "memory-hog", v1alpha1.BlameMemory, v1alpha1.RemedyHold, ""},
		{"memory is low, the application grew, and PM2 cannot be asked", func(w *world) {
			w.memory.Available, w.memory.Tree, w.status["memory"], w.status["process"] = 50<<20, 400<<20, no, maybe
		}, lowFor(4 * time.Minute), "memory-hog", v1alpha1.BlameMemory, v1alpha1.RemedyHold, ""},
		{"memory was low, has risen a little, and the application grew", func(w *world) {
			w.memory.Available, w.memory.Tree, w.memory.HogBytes, w.status["memory"] = 130<<20, 900<<20, 50<<20, no
		}, lowFor(4 * time.Minute), "memory-app-grew", v1alpha1.BlameMemory, v1alpha1.RemedyRecover, PlanPlain},
		{"memory was low, has risen a little, and the application grew by less than lacks", func(w *world) {
			w.memory.Available, w.memory.Tree, w.status["memory"] = 130<<20, 219<<20, no
		}, lowFor(4 * time.Minute), "memory-hog", v1alpha1.BlameMemory, v1alpha1.RemedyHold, ""},
		{"memory stalls, and the application has outgrown everybody else", func(w *world) {
			w.memory.Available, w.memory.Stalled, w.memory.Tree, w.status["memory"] = 500<<20, 60, 400<<20, no
		}, lowFor(4 * time.Minute), "memory-app-grew", v1alpha1.BlameMemory, v1alpha1.RemedyRecover, PlanPlain},
		{"memory stalls, and another is larger than the application", func(w *world) {
			w.memory.Available, w.memory.Stalled, w.memory.Tree, w.memory.HogBytes, w.status["memory"] = 130<<20, 60, 400<<20, 600<<20, no
		}, lowFor(4 * time.Minute), "memory-hog", v1alpha1.BlameMemory, v1alpha1.RemedyHold, ""},
		{"memory is low, the application grew by what is missing, and a backup took more", func(w *world) {
			w.memory.Available, w.memory.Tree, w.memory.HogBytes, w.status["memory"] = 60<<20, 250<<20, 90<<20, no
		}, lowFor(4 * time.Minute), "memory-hog", v1alpha1.BlameMemory, v1alpha1.RemedyHold, ""},
		{"memory is low, another took it, and the operator wants a restart all the same", func(w *world) { w.memory.Available, w.status["memory"] = 50<<20, no },
			func(c *pass.Case) {
				lowFor(4 * time.Minute)(c)
				c.App.Spec.Checks.Memory.Restart = v1alpha1.MemoryRestartAlways
			}, "memory-app-grew", v1alpha1.BlameMemory, v1alpha1.RemedyRecover, PlanPlain},
		{"memory was tried in this incident", func(w *world) { w.memory.Available, w.memory.Tree, w.status["memory"] = 50<<20, 400<<20, no },
			func(c *pass.Case) {
				lowFor(4 * time.Minute)(c)
				c.Record.Incident = &v1alpha1.Incident{Attempts: []v1alpha1.Attempt{{Reason: "AppGrew"}}}
			}, "memory-hog", v1alpha1.BlameMemory, v1alpha1.RemedyHold, ""},
		{"500, and the database: Refused", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseRefused) }, nil,
			"database-refuses", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and the database: NameNotResolved", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseNameNotResolved) }, nil,
			"database-out-of-reach", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and the database: Timeout", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseTimeout) }, nil,
			"database-silent", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and the database: Full", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseFull) }, nil,
			"database-full", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and the database: AuthFailed", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseAuthFailed) }, nil,
			"database-login", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and the database: StartingUp", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseStartingUp) }, nil,
			"database-starting", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and the database: FileMissing", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseFileMissing) }, nil,
			"database-file", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and the database: Error", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseError) }, nil,
			"database-unwell", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"500, and the database is back since a moment ago", func(w *world) { w.errs(facts.Answered).asked(facts.DatabaseReachable) },
			func(c *pass.Case) { c.Recent[0] = well().asked(facts.DatabaseRefused).observation(c.Recent[0].At) },
			"database-just-back", v1alpha1.BlameDatabase, v1alpha1.RemedyWait, ""},
		{"it answers, and its database does not", func(w *world) { w.asked(facts.DatabaseFull) }, nil,
			"database-while-well", v1alpha1.BlameDatabase, v1alpha1.RemedyHold, ""},
		{"the database's configuration is gone", func(w *world) { w.unconfigured() }, nil,
			"database-configuration", v1alpha1.BlameConfig, v1alpha1.RemedyHold, ""},
		{"nobody knows for ten minutes", func(w *world) { w.status["local"] = maybe }, unknownLong, "lead-unknown-long", v1alpha1.BlameHost, v1alpha1.RemedyHold, ""},
		{"nobody knows for ten minutes, since PM2 cannot be asked", func(w *world) { w.status["local"], w.status["process"] = maybe, maybe },
			unknownLong, "lead-unknown-long", v1alpha1.BlameRuntime, v1alpha1.RemedyHold, ""},
		{"nobody knows yet", func(w *world) { w.status["local"] = maybe }, nil, "lead-unknown", v1alpha1.BlameHost, v1alpha1.RemedyWait, ""},
		{"nobody knows yet, since PM2 cannot be asked", func(w *world) { w.status["local"], w.status["process"] = maybe, maybe }, nil,
			"lead-unknown", v1alpha1.BlameRuntime, v1alpha1.RemedyWait, ""},
		{"little room on the disk", func(w *world) { w.short(100<<20, 0) }, nil, "disk-short", v1alpha1.BlameDisk, v1alpha1.RemedyHold, ""},
		{"little room, and its caches hold more than that", func(w *world) { w.short(100<<20, 4<<30) }, nil,
			"disk-short", v1alpha1.BlameDisk, v1alpha1.RemedyHold, ""},
		{"no inodes", func(w *world) {
			v := &w.disk.Volumes[0]
			v.Inodes, v.FreeInodes, v.WantInodes, w.status["disk"] = 100000, 0, 1000, no
			w.disk.Caches = 4 << 30
		}, nil, "disk-short", v1alpha1.BlameDisk, v1alpha1.RemedyHold, ""},
		{"a full disk, and its caches hold what is missing", func(w *world) { w.short(1<<20, 4<<30) }, nil,
			"disk-cache", v1alpha1.BlameDisk, v1alpha1.RemedyRecover, PlanClean},
		{"a full disk, and its caches were emptied before", func(w *world) { w.short(1<<20, 4<<30) }, func(c *pass.Case) {
			c.Record.Incident = &v1alpha1.Incident{Attempts: []v1alpha1.Attempt{{Reason: "CacheFillsDisk"}}}
		}, "disk-short", v1alpha1.BlameDisk, v1alpha1.RemedyHold, ""},
		{"a full disk, and its caches hold too little", func(w *world) { w.short(1<<20, 300<<20) }, nil,
			"disk-short", v1alpha1.BlameDisk, v1alpha1.RemedyHold, ""},
		{"a full disk, and PM2 holds a log that was removed", func(w *world) {
			w.short(1<<20, 0)
			w.disk.Held, w.disk.HeldBy, w.disk.HeldDaemon = 600<<20, 10, true
		}, nil, "disk-log-held", v1alpha1.BlameDisk, v1alpha1.RemedyHold, ""},
		{"a full disk, and 500", func(w *world) { w.short(0, 0); w.fails(500) }, nil, "disk-full", v1alpha1.BlameDisk, v1alpha1.RemedyHold, ""},
		{"little room, and 500", func(w *world) { w.short(100<<20, 0); w.fails(500) }, nil, "server-error", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"errored, and the disk is full", func(w *world) { w.gone(runtime.Errored); w.short(0, 0) }, nil,
			"process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"errored, and its caches fill the disk", func(w *world) { w.gone(runtime.Errored); w.short(0, 4<<30) }, nil,
			"process-gone", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanClean},
		{"no answer, and others keep it from a processor", func(w *world) {
			w.timesOut()
			w.host = facts.Host{CPUs: 2, Window: time.Second, Busy: 0.98, App: 0.02, Waited: 0.9, Ran: 0.02}
		}, nil, "host-starved", v1alpha1.BlameHost, v1alpha1.RemedyHold, ""},
		{"no answer, and it keeps itself from a processor", func(w *world) {
			w.timesOut()
			w.host = facts.Host{CPUs: 2, Window: time.Second, Busy: 0.98, App: 0.9, Waited: 0.9, Ran: 0.02}
		}, nil, "hung", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"no answer on a busy machine that lets it work", func(w *world) {
			w.timesOut()
			w.host = facts.Host{CPUs: 2, Window: time.Second, Busy: 0.98, App: 0.01, Waited: 0.02, Ran: 0.01, CPU: 90}
		}, nil, "hung", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"no answer, and memory stands still for another's sake", func(w *world) {
			w.timesOut()
			w.memory.Stalled, w.memory.HogBytes, w.memory.HogName, w.status["memory"] = 60, 700<<20, "java", no
		}, nil, "host-starved", v1alpha1.BlameHost, v1alpha1.RemedyHold, ""},
		{"answers end at once, and it can open no more files", func(w *world) {
			w.fails(0)
			w.local.Class = facts.Closed
			w.workers.Processes = []facts.Worker{{PID: 100, Open: 1022, OpenLimit: 1024}}
		}, nil, "files-used-up", v1alpha1.BlameApp, v1alpha1.RemedyHold, ""},
		{"answers end at once, with files to spare", func(w *world) {
			w.fails(0)
			w.local.Class = facts.Closed
			w.workers.Processes = []facts.Worker{{PID: 100, Open: 102, OpenLimit: 1024}}
		}, nil, "local-fails", v1alpha1.BlameApp, v1alpha1.RemedyRecover, PlanPlain},
		{"something else", func(w *world) { w.status["workers"] = no }, nil, "anything-else", v1alpha1.BlameNone, v1alpha1.RemedyHold, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := well()
			tc.change(w)
			c := twice(w)
			if tc.edit != nil {
				tc.edit(c)
			}
			v := Diagnose(c)
			if v.Rule != tc.rule || v.Blame != tc.blame || v.Remedy != tc.remedy || v.Plan != tc.plan {
				t.Fatalf("got rule %s, blame %s, remedy %s, plan %q\nwant rule %s, blame %s, remedy %s, plan %q\n%s",
					v.Rule, v.Blame, v.Remedy, v.Plan, tc.rule, tc.blame, tc.remedy, tc.plan, v.Message)
			}
			if v.Message == "" {
				t.Fatal("there is no sentence for the operator")
			}
			if v.OwnFault != (v.Remedy == v1alpha1.RemedyRecover) {
				t.Fatalf("OwnFault = %v beside remedy %s", v.OwnFault, v.Remedy)
			}
			reached[v.Rule] = true
		})
	}
	for _, tc := range wayCases { // TestTheWayToTheWorld is about them
		reached[tc.rule] = true
	}
	for _, r := range Rules() {
		if !reached[r.Name] {
			t.Errorf("no case reaches rule %s", r.Name)
		}
	}
}

var reached = map[string]bool{}

// faultOf lets the last start have failed of a missing module.
func faultOf(cause string) func(*pass.Case) {
	return func(c *pass.Case) {
		c.Record.Learned = &v1alpha1.Learned{Fault: &v1alpha1.Fault{Sign: string(facts.SignModuleNotFound), Cause: cause}}
	}
}

// unknownLong lets it be unknown for ten minutes whether the application is well.
func unknownLong(c *pass.Case) {
	c.Record.Unknown = []v1alpha1.UnknownCheck{{Check: "local", Since: instant(-10 * time.Minute)}}
}

func lowFor(d time.Duration) func(*pass.Case) {
	return func(c *pass.Case) {
		since := instant(5*time.Second - d)
		c.Record.Learned = &v1alpha1.Learned{
			LowMemorySince: &since, Incarnation: "100:1",
			Baseline: &v1alpha1.Baseline{Incarnation: "100:1", Bytes: 200 << 20, Rest: 624 << 20, Settled: true},
		}
	}
}

func TestACrashLoopShowsInPidsAndCountsWhateverPM2Says(t *testing.T) {
	loop := func(lives int, count func(n int) int64) *pass.Case {
		c := &pass.Case{App: app()}
		for n := range lives {
			w := well()
			w.process.Life, w.process.Answered, w.process.Age = string(rune('a'+n))+":1", false, time.Second
			w.process.Rows[0].Restarts = count(n)
			w.status["local"], w.reason["local"], w.status["public"] = maybe, "Starting", no
			c.Now = instant(time.Duration(n) * 5 * time.Second)
			c.Recent = append(c.Recent, w.observation(c.Now))
		}
		return c
	}
	if v := Diagnose(loop(2, func(int) int64 { return 0 })); v.Rule != "starting" {
		t.Errorf("two lives: rule %s, want starting", v.Rule)
	}
	if v := Diagnose(loop(3, func(int) int64 { return 0 })); v.Rule != "crash-loop" {
		t.Errorf("three lives: rule %s, want crash-loop", v.Rule)
	}
	if v := Diagnose(loop(2, func(n int) int64 { return int64(3 * n) })); v.Rule != "crash-loop" {
		t.Errorf("two looks, three restarts between them: rule %s, want crash-loop", v.Rule)
	}
	healed := loop(3, func(int) int64 { return 0 })
	w := well()
	healed.Recent[1] = w.observation(healed.Recent[1].At)
	if v := Diagnose(healed); v.Rule != "starting" {
		t.Errorf("a good answer in between: rule %s, want starting", v.Rule)
	}
	recovered := loop(3, func(int) int64 { return 0 })
	recovered.Record.Recovery = &v1alpha1.Recovery{StartedAt: instant(8 * time.Second)}
	if v := Diagnose(recovered); v.Rule != "starting" {
		t.Errorf("what was before our recovery does not count: rule %s, want starting", v.Rule)
	}
}

func TestAnInBetweenStateHasAnEnd(t *testing.T) {
	w := well()
	w.gone(runtime.Stopping)
	w.process.Rows[0].Bound = 5 * time.Second
	c := &pass.Case{App: app()}
	for n := range 10 {
		c.Now = instant(time.Duration(n) * 2 * time.Second)
		c.Recent = append(c.Recent, w.observation(c.Now))
	}
	if v := Diagnose(c); v.Remedy == v1alpha1.RemedyWait {
		t.Fatalf("after %v still %s", 18*time.Second, v.Rule)
	}
}

func TestRulesAreReadable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules() {
		if seen[r.Name] {
			t.Errorf("rule %s stands twice", r.Name)
		}
		seen[r.Name] = true
		if r.Sees == "" || r.Reason == "" || r.Blame == "" {
			t.Errorf("rule %s does not say what it sees, its reason or whom it blames", r.Name)
		}
		if r.Remedy == v1alpha1.RemedyHold && r.AtLimit == "" {
			t.Errorf("rule %s holds and does not say what happens at its limit", r.Name)
		}
		if r.Limit > 0 && !r.Act && r.adjust == nil {
			t.Errorf("rule %s has a limit at which nothing happens", r.Name)
		}
		if r.Remedy == v1alpha1.RemedyHold && len(r.Next) == 0 && r.Name != "anything-else" {
			t.Errorf("rule %s holds and does not say what the operator can do", r.Name)
		}
	}
}

func TestALeadingProcessCheckThatIsUnknownIsTheRuntimesFault(t *testing.T) {
	w := well()
	c := twice(w)
	o := c.Latest()
	for n := range o.Results {
		r := &o.Results[n]
		if r.Leading = r.Check == v1alpha1.CheckProcess; r.Leading {
			r.Status = maybe
		}
	}
	c.Record.Unknown = []v1alpha1.UnknownCheck{{Check: v1alpha1.CheckProcess, Since: instant(-10 * time.Minute)}}
	if v := Diagnose(c); v.Rule != "lead-unknown-long" || v.Blame != v1alpha1.BlameRuntime || v.HoldLimit.Duration != 0 || v.ActAtLimit {
		t.Fatalf("%s, blame %s, limit %s, act %t", v.Rule, v.Blame, v.HoldLimit.Duration, v.ActAtLimit)
	}
}

func TestWhatCouldNotBeAskedIsSaidOnce(t *testing.T) {
	w := well()
	w.process, w.local = facts.Process{State: string(runtime.Unknown)}, facts.HTTP{Class: facts.Timeout}
	w.status["process"], w.status["local"] = maybe, no
	c := twice(w)
	for n := range c.Latest().Results {
		if r := &c.Latest().Results[n]; r.Check == v1alpha1.CheckProcess {
			r.Message = "PM2 could not be asked: it did not answer in time"
		}
	}
	v := Diagnose(c)
	if v.Rule != "cannot-see" || strings.Count(v.Message, "could not be asked") != 1 {
		t.Fatalf("%s: %s", v.Rule, v.Message)
	}
}

// Where nobody asks for answers the leading check stands for them: exits from before a recovery that worked are no crash loop.
func TestWithoutALocalCheckTheLeadingOneSpeaksForIt(t *testing.T) {
	w := well()
	w.process.Crashes, w.status["process"], w.reason["process"] = 15, no, facts.ReasonCrashLoop
	w.process.Age, w.process.Answered = 20*time.Second, false
	c := twice(w)
	for n := range c.Recent {
		kept := c.Recent[n].Results[:0]
		for _, r := range c.Recent[n].Results {
			if r.Check != v1alpha1.CheckLocal {
				r.Leading = r.Check == v1alpha1.CheckPort
				kept = append(kept, r)
			}
		}
		c.Recent[n].Results = kept
	}
	if v := Diagnose(c); v.Rule != "outlives-its-crashes" {
		t.Errorf("rule %s, want outlives-its-crashes", v.Rule)
	}
}
