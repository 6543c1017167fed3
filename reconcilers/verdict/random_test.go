package verdict

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// A random case is a world that is well, with some troubles in it, seen several times, with a record of what was before. One
// in four is made implausible: facts that contradict each other, and fields filled with anything.
//
// Whoever adds a rule adds here what it looks at, if it is not reached (property_test.go tells).

// trouble changes a world that is looked at; it may be several at once.
type trouble func(r *rand.Rand, w *world)

func oneOf[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// fail lets checks be False, or now and then not to be asked.
func (w *world) fail(r *rand.Rand, checks ...string) {
	for _, c := range checks {
		w.status[c] = oneOf(r, no, no, no, maybe)
	}
}

// databaseAskedTrouble: the database was asked, and the application may fail for it.
func databaseAskedTrouble(r *rand.Rand, w *world) {
	w.database = facts.Database{Kind: "PostgreSQL", Where: "127.0.0.1:5432", User: "site", Class: oneOf(r, databaseClasses...)}
	w.status["database"] = yes
	if w.database.Class.Fails() {
		w.fail(r, "database")
	}
	switch r.IntN(3) {
	case 0, 1:
		w.local = facts.HTTP{Class: oneOf(r, facts.Answered, facts.Timeout), Status: 500}
		w.fail(r, "local", "public")
	case 2:
		for n := range w.port.Listeners {
			w.port.Listeners[n].Waiting = uint32(r.IntN(3))
		}
	}
}

var databaseClasses = []facts.DatabaseClass{
	facts.DatabaseReachable, facts.DatabaseReachable, facts.DatabaseReachable, facts.DatabaseRefused, facts.DatabaseUnreachable,
	facts.DatabaseTimeout, facts.DatabaseClosed, facts.DatabaseNameNotResolved, facts.DatabaseTLS, facts.DatabaseAuthFailed,
	facts.DatabaseNoSuchDatabase, facts.DatabaseFull, facts.DatabaseBlocked, facts.DatabaseStartingUp, facts.DatabaseDiskFull,
	facts.DatabaseError, facts.DatabaseFileMissing, facts.DatabaseFileNotReadable, facts.DatabaseNotADatabase,
	facts.DatabaseBadURL, facts.DatabaseCannotBeAsked,
}

var troubles = []trouble{
	// the process
	func(r *rand.Rand, w *world) {
		w.gone(oneOf(r, runtime.Stopped, runtime.Errored, runtime.Waiting, runtime.Stopping, runtime.Missing))
		w.process.StopOrdered = r.IntN(4) == 0
		if w.process.State == string(runtime.Missing) {
			w.process.Rows = nil
		}
	},
	func(r *rand.Rand, w *world) {
		w.daemonGone(oneOf(r, "", "pm2 resurrect"))
		w.process.Leftover, w.process.StopOrdered = r.IntN(2) == 0, r.IntN(4) == 0
	},
	func(r *rand.Rand, w *world) {
		w.process = facts.Process{State: string(runtime.Unknown), Runtime: "pm2"}
		w.status["process"], w.status["workers"] = maybe, maybe
	},
	func(r *rand.Rand, w *world) {
		w.process.Life, w.process.Age, w.process.Answered = oneOf(r, "101:5", "102:6", "103:7", "104:8"), time.Second, false
		w.status["local"], w.reason["local"] = maybe, "Starting"
	},
	func(r *rand.Rand, w *world) { w.process.Crashes = r.IntN(8) },
	func(r *rand.Rand, w *world) {
		w.process.Crashes, w.process.Life, w.process.Age = 5, oneOf(r, "101:5", "102:6", "103:7", "104:8"), time.Second
		w.status["process"], w.reason["process"] = no, facts.ReasonCrashLoop
	},
	func(r *rand.Rand, w *world) {
		w.process.Signs = append(w.process.Signs, oneOf(r, facts.SignAddressInUse, facts.SignBuildMissing, facts.SignModuleNotFound,
			facts.SignCache, facts.SignOutOfMemory, facts.SignDatabase))
	},
	// what it answers
	func(r *rand.Rand, w *world) {
		w.local = facts.HTTP{Class: oneOf(r, facts.Timeout, facts.Refused, facts.Closed, facts.Garbage), Error: "no answer"}
		w.fail(r, "local", "public")
	},
	func(r *rand.Rand, w *world) {
		w.local.Class, w.local.Status = facts.Answered, 500
		w.fail(r, "local", "public")
	},
	func(r *rand.Rand, w *world) { w.unexpected(oneOf(r, 200, 404, 500)) },
	func(r *rand.Rand, w *world) { // as where its database is down
		w.local.Class, w.local.Status, w.process.Signs = facts.Answered, 500, []facts.Sign{facts.SignDatabase}
		w.fail(r, "local", "public")
	},
	func(r *rand.Rand, w *world) { // as where something else that it needs is down
		w.local.Class, w.local.Status = facts.Answered, 500
		w.process.Needs = []facts.Need{{Kind: oneOf(r, facts.NeedDatabase, facts.NeedName, facts.NeedService), End: facts.NeedRefused, Port: oneOf(r, 0, 5432, 6379)}}
		w.fail(r, "local", "public")
	},
	func(r *rand.Rand, w *world) { w.status["local"] = maybe },
	// who listens
	func(r *rand.Rand, w *world) {
		if r.IntN(4) == 0 { // as the server below npm, which outlives PM2
			w.daemonGone("pm2 resurrect")
		}
		w.port.Listeners = []facts.Listener{{Whose: oneOf(r, facts.Stranger, facts.OurOrphan, facts.CannotTell), PID: 9, User: "other", Command: "nc -l"}}
		w.status["port"] = no
		if r.IntN(4) == 0 { // as a child of another PM2 daemon
			w.port.Listeners[0].Under = 88
		}
		if r.IntN(2) == 0 { // and it answers
			w.serves(w.port.Listeners[0])
		}
	},
	func(r *rand.Rand, w *world) { // it does not come up, and who has the port cannot be seen
		w.gone(runtime.Errored)
		w.port.Listeners = []facts.Listener{{Whose: facts.CannotTell, User: "deploy"}}
		w.process.Signs, w.status["port"] = []facts.Sign{facts.SignAddressInUse}, maybe
	},
	func(r *rand.Rand, w *world) {
		w.port.Listeners = nil
		w.fail(r, "port", "local", "public")
		w.local = facts.HTTP{Class: facts.Refused}
	},
	func(r *rand.Rand, w *world) { w.elsewhere(oneOf[int32](r, 3013, 9464)) },
	// what is in the folder
	func(r *rand.Rand, w *world) {
		w.gone(runtime.Errored)
		w.process.Cause, w.process.Signs = oneOf(r, "a", "b"), []facts.Sign{oneOf(r, facts.SignModuleNotFound, facts.SignInterpreter)}
	},
	func(r *rand.Rand, w *world) { w.process.FolderMissing = true; w.fail(r, "local") },
	func(r *rand.Rand, w *world) { w.deploy.AtWork = []facts.Work{{PID: r.IntN(9), What: "npm ci"}} },
	func(r *rand.Rand, w *world) {
		w.build, w.status["build"] = facts.Build{Kind: "next", Missing: ".next/BUILD_ID"}, no
	},
	// the machine
	func(r *rand.Rand, w *world) { w.short(int64(r.IntN(200))<<20, int64(r.IntN(8))<<30) },
	func(r *rand.Rand, w *world) {
		w.short(int64(r.IntN(2))<<20, int64(r.IntN(8))<<30)
		w.disk.Held, w.disk.HeldBy, w.disk.HeldDaemon = int64(r.IntN(600))<<20, 10, r.IntN(2) == 0
	},
	func(r *rand.Rand, w *world) {
		w.host = facts.Host{CPUs: 2, Window: time.Second, Busy: r.Float64(), App: r.Float64() / 2, Waited: r.Float64(), Ran: r.Float64() / 2,
			IO: r.Float64() * 60, Halted: r.IntN(8) == 0}
		w.timesOut()
	},
	func(r *rand.Rand, w *world) {
		w.workers.Processes = []facts.Worker{{PID: 100, Open: r.IntN(1100), OpenLimit: 1024}}
		w.fails(0)
		w.local.Class = facts.Closed
	},
	// what is around it
	func(r *rand.Rand, w *world) {
		w.memory.Available, w.memory.Tree, w.status["memory"] = int64(r.IntN(200))<<20, int64(100+r.IntN(400))<<20, no
		w.memory.Life = oneOf(r, "100:1", "101:5")
		w.memory.HogPID, w.memory.HogName, w.memory.HogBytes = r.IntN(2), "java", int64(r.IntN(600))<<20
	},
	func(r *rand.Rand, w *world) { // its configuration is not complete
		w.database = facts.Database{Missing: []string{"DATABASE_URL"}}
		w.fail(r, "database")
	},
	databaseAskedTrouble, databaseAskedTrouble, databaseAskedTrouble, databaseAskedTrouble, // it has many ends
	func(r *rand.Rand, w *world) { w.fail(r, "workers") },
	func(r *rand.Rand, w *world) {
		class := func() facts.Class {
			return oneOf(r, facts.Certificate, facts.DNS, facts.Refused, facts.Timeout, facts.Unreachable, facts.Redirects, facts.Answered)
		}
		w.public.Class, w.public.Status = class(), 502
		switch r.IntN(3) {
		case 0:
			w.public.Proxy = &facts.HTTP{Class: class(), Status: oneOf(r, 200, 502)}
		case 1:
			w.public.Proxy = &facts.HTTP{Class: facts.NotAsked, Error: "nothing listens"}
		}
		w.fail(r, "public")
	},
}

// The way to the world breaks at any of its hops; now and then what was asked beside it is missing.
func init() {
	broken := func(r *rand.Rand, w *world) {
		w.public = wayCases[r.IntN(len(wayCases))].public
		switch r.IntN(8) {
		case 0:
			w.public.Names = nil
		case 1:
			w.public.Certificate = nil
		case 2:
			w.public.Proxy, w.public.App = nil, nil
		}
		w.fail(r, "public")
	}
	troubles = append(troubles, broken, broken)
}

// records change what is known from before, and what is desired.
var records = []func(r *rand.Rand, c *pass.Case){
	func(_ *rand.Rand, c *pass.Case) { c.Record.Learned.Marks = []string{"m"} },
	func(_ *rand.Rand, c *pass.Case) { c.Record.Learned.BuildSeen = true },
	func(_ *rand.Rand, c *pass.Case) { c.Record.Learned.LocalMet = "mark" },
	func(r *rand.Rand, c *pass.Case) {
		c.Record.Learned.Listened = &v1alpha1.Listened{Port: 3003, Incarnation: oneOf(r, "100:1", "99:1"), Beside: []int32{9464}}
	},
	func(_ *rand.Rand, c *pass.Case) {
		c.Record.Learned.Fault = &v1alpha1.Fault{Sign: "ModuleNotFound", Cause: "a"}
	},
	func(r *rand.Rand, c *pass.Case) {
		since := c.Now.Add(-time.Duration(r.IntN(600)) * time.Second)
		c.Record.Learned.LowMemorySince = &since
		c.Record.Learned.Baseline = &v1alpha1.Baseline{Incarnation: "100:1", Bytes: 200 << 20, Rest: int64(r.IntN(800)) << 20, Settled: true}
	},
	func(r *rand.Rand, c *pass.Case) {
		for _, check := range []string{"process", "port", "local"} {
			c.Record.Unknown = append(c.Record.Unknown, v1alpha1.UnknownCheck{Check: check, Since: c.Now.Add(-time.Duration(r.IntN(20)) * time.Minute)})
		}
	},
	func(r *rand.Rand, c *pass.Case) {
		c.Record.Recovery = &v1alpha1.Recovery{StartedAt: c.Now.Add(-time.Duration(r.IntN(600)) * time.Second)}
	},
	func(r *rand.Rand, c *pass.Case) {
		c.Record.Incident = &v1alpha1.Incident{Attempts: []v1alpha1.Attempt{{Reason: oneOf(r, "AppGrew", reasonCacheFillsDisk)}}}
	},
	func(_ *rand.Rand, c *pass.Case) { c.App.Spec.Runtime.PM2.Start = "" },
	func(_ *rand.Rand, c *pass.Case) { c.App.Spec.Checks.Memory.Restart = v1alpha1.MemoryRestartAlways },
	func(_ *rand.Rand, c *pass.Case) { keptByEvenkeel(c) },
}

// randomCase is the case of a seed, and the world as it was at the last look.
func randomCase(seed uint64) (*pass.Case, *world) {
	r := rand.New(rand.NewPCG(seed, 2026))
	chosen := func(list []trouble) trouble { return list[r.IntN(len(list))] }
	w := well()
	implausible := r.IntN(4) == 0
	c := &pass.Case{App: app(), Now: instant(time.Hour)}
	c.Record.Learned = &v1alpha1.Learned{}
	for range r.IntN(4) {
		chosen(troubles)(r, w)
	}
	step := oneOf(r, 500*time.Millisecond, 2*time.Second, 5*time.Second, time.Minute)
	looks := 1 + r.IntN(7)
	for n := range looks {
		switch {
		case n > 0 && r.IntN(4) == 0: // another trouble
			chosen(troubles)(r, w)
		case w.database.Class.Fails() && r.IntN(2) == 0: // the database is back, and the rest stays
			w.database.Class, w.status["database"] = facts.DatabaseReachable, yes
		case n > 0 && r.IntN(8) == 0: // all is over, for a moment at least
			w = well()
		}
		if implausible {
			w.scramble(r)
		}
		o := w.observation(c.Now.Add(-time.Duration(looks-1-n) * step))
		c.Recent = append(c.Recent, o)
	}
	for range r.IntN(4) {
		change := records[r.IntN(len(records))]
		if c.App.Spec.Runtime.PM2 == nil {
			break
		}
		change(r, c)
	}
	if r.IntN(8) == 0 {
		leadBy(c, oneOf(r, v1alpha1.CheckPort, v1alpha1.CheckProcess))
	}
	return c, w
}

// leadBy lets another check lead, as where the local one is disabled.
func leadBy(c *pass.Case, lead string) {
	for n := range c.Recent {
		o := &c.Recent[n]
		kept := make([]v1alpha1.CheckResult, 0, len(o.Results))
		for _, res := range o.Results {
			if res.Check == v1alpha1.CheckLocal || lead == v1alpha1.CheckProcess && res.Check == v1alpha1.CheckPort {
				continue
			}
			res.Leading = res.Check == lead
			kept = append(kept, res)
		}
		o.Results = kept
	}
}

// scramble lets checks say anything, and fills one of the facts with anything.
func (w *world) scramble(r *rand.Rand) {
	for _, c := range slices.Sorted(maps.Keys(w.status)) { // in one order, or a seed would not be one case
		if r.IntN(3) == 0 {
			w.status[c] = oneOf(r, yes, no, maybe)
			w.reason[c] = oneOf(r, "", "Starting", facts.ReasonCrashLoop)
		}
	}
	fields := reflect.ValueOf(w).Elem()
	var all []reflect.Value
	for n := range fields.NumField() {
		if f := fields.Field(n); f.Kind() == reflect.Struct {
			all = append(all, f)
		}
	}
	for range 1 + r.IntN(2) {
		anything(r, reflect.NewAt(all[0].Type(), all[0].Addr().UnsafePointer()).Elem(), 0)
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
}

// words are what a field of text may hold; a state, a class or a sign among them is read as one.
var words = strings.Fields("x pm2 exec 100:1 7:7 next online Running Stopped Errored Waiting Starting Missing Unknown Stopping " +
	"Answered Timeout Refused Closed Certificate DNS NotAsked Ours OurOrphan Stranger CannotTell Cache Database BuildMissing")

// anything fills a value with anything that its type allows.
func anything(r *rand.Rand, v reflect.Value, deep int) {
	if r.IntN(3) == 0 || deep > 4 {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(oneOf(r, 0, 1, 3, 5, 16, 500, 3003, int64(time.Second), int64(time.Hour), 100<<20, -1)) // #nosec G115 -- anything
	case reflect.Uint32:
		v.SetUint(uint64(r.IntN(9)))
	case reflect.Float64:
		v.SetFloat(r.Float64() * 100)
	case reflect.String:
		v.SetString(oneOf(r, words...))
	case reflect.Struct:
		for n := range v.NumField() {
			if f := v.Field(n); f.CanSet() {
				anything(r, f, deep+1)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		list := reflect.MakeSlice(v.Type(), r.IntN(3), 3)
		for n := range list.Len() {
			anything(r, list.Index(n), deep+1)
		}
		v.Set(list)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		anything(r, v.Elem(), deep+1)
	}
}
