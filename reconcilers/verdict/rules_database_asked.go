package verdict

import (
	"net"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// The database, where it was asked itself. A restart never mends it, and adds one more storm of connects; so whatever it
// says, a process that is alive is held. What the database says of the login or of its name is blamed on the database, too:
// whether the address or the server was changed cannot be told from here, and the process may still hold good connections.

// databaseGrace is for how long a database must have served again before the application that still fails is to blame: it
// finds its way back by itself, when its next connects succeed.
const databaseGrace = 15 * time.Second

var (
	configurationMissing = condition{
		yes: "it is its configuration that does not hold", no: "its configuration is not what does not hold",
		holds: func(v *view) bool {
			return v.is(v1alpha1.CheckDatabase, metav1.ConditionFalse) && !v.database.Class.Fails()
		},
	}
	databaseFails = condition{
		yes: "the database was asked, and does not serve", no: "the database was not asked, or serves, or could not be asked",
		holds: func(v *view) bool { return v.database.Class.Fails() },
		seen:  func(v *view) string { return string(v.database.Class) },
	}
	databaseServes = condition{
		yes: "the database was asked, and serves", no: "the database is not known to serve",
		holds: func(v *view) bool { return v.database.Class == facts.DatabaseReachable },
	}
	databaseFailedJustNow = condition{
		yes: "a moment ago it did not serve", no: "it has served for a while, as far as it was asked",
		holds: (*view).databaseFailedLately,
	}
	// A process that hangs takes no calls, so that they queue up; one that waits for its database takes them, or is not yet
	// so far as to listen.
	failsForAnother = condition{
		yes:   "it answers with errors, takes calls and has no answer to give in time, or has not begun to listen",
		no:    "it neither answers with errors nor takes calls without an answer, and has listened before",
		holds: (*view).failsForAnother,
		seen:  func(v *view) string { return string(v.local.Class) },
	}
	waitsForAnother = condition{
		yes:   "its process has not begun to listen, and what it may wait for does not serve, or serves since a moment ago",
		no:    "its process has listened before, or nothing is known that it may wait for",
		holds: func(v *view) bool { return v.neverListened() && v.another() },
	}
)

// neverListened says that nobody listens, and that this life of the application was never seen to.
func (v *view) neverListened() bool {
	return v.local.Class == facts.Refused && noListener.holds(v) && !hasListened.holds(v)
}

// another says that something fails for which an application may wait.
func (v *view) another() bool {
	return v.database.Class.Fails() || len(v.lacks()) > 0 || (databaseServes.holds(v) && v.databaseFailedLately())
}

func (v *view) failsForAnother() bool {
	if v.local.Class == facts.Answered || v.neverListened() {
		return true
	}
	return v.local.Class == facts.Timeout && len(v.port.Listeners) > 0 && v.takesCalls()
}

// takesCalls says that no call waited to be taken at one of the last two looks at the port: whoever takes calls may pause for
// a moment, to collect garbage say, and that is no hang.
func (v *view) takesCalls() bool {
	looks, last := 0, v1alpha1.Instant{}
	for n := len(v.c.Recent) - 1; n >= 0 && looks < 2; n-- {
		o := &v.c.Recent[n]
		r, _ := o.Result(v1alpha1.CheckPort)
		port, ok := facts.Of[facts.Port](o, v1alpha1.CheckPort)
		if !ok || r.At == last {
			continue
		}
		if !slices.ContainsFunc(port.Listeners, func(l facts.Listener) bool { return l.Waiting > 0 }) {
			return true
		}
		looks, last = looks+1, r.At
	}
	return false
}

// databaseFailedLately says that the database was found not to serve within the grace.
func (v *view) databaseFailedLately() bool {
	return slices.ContainsFunc(v.c.Recent, func(o v1alpha1.Observation) bool {
		r, _ := o.Result(v1alpha1.CheckDatabase)
		d, _ := facts.Of[facts.Database](&o, v1alpha1.CheckDatabase)
		return d.Class.Fails() && v.c.Now.Since(r.At) < databaseGrace
	})
}

// databaseSays is one of those ends of asking it.
func databaseSays(words string, classes ...facts.DatabaseClass) condition {
	return condition{
		yes: "the database " + words, no: "the database was not asked, or does not say that it " + words,
		holds: func(v *view) bool { return slices.Contains(classes, v.database.Class) },
		seen:  func(v *view) string { return string(v.database.Class) },
	}
}

// databaseRule is a rule for an application that fails while its database was asked and does not serve.
func databaseRule(name, reason, sees string, says condition, next ...string) Rule {
	return Rule{
		Name: name, Sees: "the application's process runs and fails, and the database " + sees,
		Blame: v1alpha1.BlameDatabase, Reason: reason, Remedy: v1alpha1.RemedyHold,
		Limit: holdLimit, AtLimit: "one plain recovery", Act: true, Next: next,
		When: []condition{says, fails(v1alpha1.CheckLocal), failsForAnother, running},
		says: func(v *view) string {
			return v.message(v1alpha1.CheckDatabase) + "; the application fails: " + v.message(v1alpha1.CheckLocal)
		},
	}
}

var (
	ruleDatabaseRefuses = databaseRule("database-refuses", "DatabaseRefused", "is not there: nobody listens",
		databaseSays("is not there", facts.DatabaseRefused),
		"see why it ended, and start it: systemctl status {dbService}", "on another port? the address stands in {dbSource}")
	ruleDatabaseOutOfReach = databaseRule("database-out-of-reach", "DatabaseOutOfReach", "cannot be reached, or its name does not resolve",
		databaseSays("cannot be reached", facts.DatabaseUnreachable, facts.DatabaseNameNotResolved),
		"see whether there is a way to it: getent ahosts {dbHost}; ip route get $(getent ahosts {dbHost} | head -1 | cut -d' ' -f1)",
		"a firewall, or a database that its provider has paused?")
	ruleDatabaseSilent = databaseRule("database-silent", "DatabaseSilent", "takes calls and never answers, or hangs up",
		databaseSays("takes calls and never answers, or hangs up", facts.DatabaseTimeout, facts.DatabaseClosed),
		"see what keeps it: systemctl status {dbService}; ps -eo pid,stat,pcpu,wchan:20,comm | grep -iE 'postgres|maria|mysql|mongo'",
		"is its disk full or slow? df -h; its log: journalctl -u {dbService} -n 50")
	ruleDatabaseFull = databaseRule("database-full", "DatabaseFull", "has no connection left",
		databaseSays("has no connection left", facts.DatabaseFull),
		"see who holds its connections: {dbConnections}", "bound each application's: connection_limit in {dbSource}")
	ruleDatabaseLogin = databaseRule("database-login", "DatabaseLoginRefused", "refuses the login, or has no database of that name",
		databaseSays("refuses the login, or has no database of that name", facts.DatabaseAuthFailed, facts.DatabaseNoSuchDatabase),
		"was a password changed, or a database renamed? compare the server with {dbSource}",
		"a corrected file is in force after: evenkeel recover {app}")
	ruleDatabaseStarting = databaseRule("database-starting", "DatabaseStarting", "is starting up or shutting down",
		databaseSays("is starting up or shutting down", facts.DatabaseStartingUp),
		"wait for it, or see what takes so long: journalctl -u {dbService} -n 50")
	ruleDatabaseFile = databaseRule("database-file", "DatabaseFileUnfit", "is a file that is missing, may not be read or is none",
		databaseSays("is a file that is missing, may not be read or is none", facts.DatabaseFileMissing, facts.DatabaseFileNotReadable, facts.DatabaseNotADatabase),
		"see the file: ls -l {dbWhere}", "put it back from your backup, or correct {dbSource}")
	ruleDatabaseUnwell = databaseRule("database-unwell", "DatabaseUnwell", "was asked and does not serve, for another reason",
		databaseFails,
		"see its log: journalctl -u {dbService} -n 50", "the address stands in {dbSource}")
)

// databaseAsked are those rules, by what the database says; the last one takes all that is left.
var databaseAsked = []*Rule{
	&ruleDatabaseRefuses, &ruleDatabaseOutOfReach, &ruleDatabaseSilent, &ruleDatabaseFull, &ruleDatabaseLogin,
	&ruleDatabaseStarting, &ruleDatabaseFile, &ruleDatabaseUnwell,
}

var ruleDatabaseJustBack = Rule{
	Name: "database-just-back", Sees: "the application still fails, and the database serves again since a moment ago",
	Blame: v1alpha1.BlameDatabase, Reason: "DatabaseJustBack", Remedy: v1alpha1.RemedyWait, Look: settleTime,
	When: []condition{databaseServes, databaseFailedJustNow, fails(v1alpha1.CheckLocal), failsForAnother, running},
	says: func(v *view) string {
		return v.message(v1alpha1.CheckDatabase) + " again since a moment ago, and the application has time to find its way back: " + v.message(v1alpha1.CheckLocal)
	},
}

var ruleDatabaseWhileWell = Rule{
	Name: "database-while-well", Sees: "the application answers, and the database was asked and does not serve",
	Blame: v1alpha1.BlameDatabase, Reason: "DatabaseDown", Remedy: v1alpha1.RemedyHold, AtLimit: "no limit: the application answers, and a restart would not mend the database",
	Next: []string{"what helps depends on what it says, as in the rules before"},
	When: []condition{fails(v1alpha1.CheckDatabase), answers},
	says: func(v *view) string {
		return "the application answers, but what needs its database will not work: " + v.message(v1alpha1.CheckDatabase)
	},
	adjust: func(v *view, out *v1alpha1.Verdict) {
		for _, rule := range databaseAsked {
			if rule.When[0].met(v) {
				out.Reason, out.Next = rule.Reason, expand(rule.Next, v)
				return
			}
		}
	},
}

// databaseWords are what stands for the database in a hint.
func (v *view) databaseWords() []string {
	d := &v.database
	host, _, err := net.SplitHostPort(d.Where)
	if err != nil {
		host = d.Where
	}
	service, connections := "postgresql", `sudo -u postgres psql -c "select usename, state, count(*) from pg_stat_activity group by 1, 2"`
	switch d.Kind {
	case "MySQL":
		service, connections = "mariadb", `mysql -e "show processlist"`
	case "MongoDB":
		service, connections = "mongod", `mongosh --eval "db.serverStatus().connections"`
	}
	source := d.Source
	if d.From != "" {
		source += " of " + d.From
	}
	return []string{"{dbWhere}", d.Where, "{dbHost}", host, "{dbService}", service, "{dbConnections}", connections, "{dbSource}", source}
}
