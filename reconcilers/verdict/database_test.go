package verdict

import (
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// asked is what the database said.
func (w *world) asked(class facts.DatabaseClass) *world {
	w.database = facts.Database{
		Class: class, Kind: "PostgreSQL", Where: "127.0.0.1:5432", User: "site", Source: "DATABASE_URL", From: ".env",
	}
	w.status["database"] = yes
	if class.Fails() {
		w.status["database"] = no
	}
	return w
}

func (w *world) errs(class facts.Class) *world {
	w.local = facts.HTTP{Class: class, Status: 500}
	w.status["local"], w.status["public"] = no, no
	return w
}

// TestTheDatabaseWasAsked: an application that is alive is held for it, each end of asking with its own sentence and its own
// next commands; one that does not run is started all the same.
func TestTheDatabaseWasAsked(t *testing.T) {
	for class, want := range map[facts.DatabaseClass]struct{ rule, next string }{
		facts.DatabaseRefused:         {"database-refuses", "systemctl status postgresql"},
		facts.DatabaseUnreachable:     {"database-out-of-reach", "getent ahosts 127.0.0.1"},
		facts.DatabaseNameNotResolved: {"database-out-of-reach", "getent ahosts 127.0.0.1"},
		facts.DatabaseTimeout:         {"database-silent", "journalctl -u postgresql"},
		facts.DatabaseClosed:          {"database-silent", "df -h"},
		facts.DatabaseFull:            {"database-full", "pg_stat_activity"},
		facts.DatabaseAuthFailed:      {"database-login", "DATABASE_URL of .env"},
		facts.DatabaseNoSuchDatabase:  {"database-login", "evenkeel recover site"},
		facts.DatabaseStartingUp:      {"database-starting", "journalctl"},
		facts.DatabaseFileMissing:     {"database-file", "ls -l 127.0.0.1:5432"},
		facts.DatabaseNotADatabase:    {"database-file", "backup"},
		facts.DatabaseFileNotReadable: {"database-file", "ls -l"},
		facts.DatabaseTLS:             {"database-unwell", "journalctl"},
		facts.DatabaseBlocked:         {"database-unwell", "DATABASE_URL of .env"},
		facts.DatabaseDiskFull:        {"database-unwell", "journalctl"},
		facts.DatabaseError:           {"database-unwell", "journalctl"},
	} {
		for _, end := range []facts.Class{facts.Answered, facts.Timeout} {
			v := Diagnose(twice(well().errs(end).asked(class)))
			if v.Rule != want.rule || v.Blame != v1alpha1.BlameDatabase || v.Remedy != v1alpha1.RemedyHold || !v.ActAtLimit || v.HoldLimit.Duration != 30*time.Minute {
				t.Errorf("%s, %s: %s, %s, %s", class, end, v.Rule, v.Blame, v.Remedy)
			}
			if next := strings.Join(v.Next, "\n"); !strings.Contains(next, want.next) || strings.Contains(next, "{") && class != facts.DatabaseUnreachable && class != facts.DatabaseNameNotResolved {
				t.Errorf("%s: next %q", class, next)
			}
		}
		v := Diagnose(twice(well().asked(class)))
		if v.Rule != "database-while-well" || v.Remedy != v1alpha1.RemedyHold || v.ActAtLimit || v.HoldLimit.Duration != 0 || !strings.Contains(strings.Join(v.Next, "\n"), want.next) {
			t.Errorf("%s while it answers: %s, %s, %q", class, v.Rule, v.Remedy, v.Next)
		}
		gone := well().asked(class)
		gone.gone(runtime.Errored)
		if v := Diagnose(twice(gone)); v.Rule != "process-gone" || v.Remedy != v1alpha1.RemedyRecover {
			t.Errorf("%s, and it does not run: %s, %s", class, v.Rule, v.Remedy)
		}
	}
}

// TestTheDatabaseIsNotToBlame: what serves, and what could not be asked, holds nothing; nor does one that is down excuse a
// process that hangs by itself.
func TestTheDatabaseIsNotToBlame(t *testing.T) {
	hung := well().errs(facts.Timeout).asked(facts.DatabaseRefused)
	hung.port.Listeners[0].Waiting = 1
	refused := well().errs(facts.Refused).asked(facts.DatabaseRefused)
	named := well().errs(facts.Answered).asked(facts.DatabaseReachable)
	named.process.Signs = []facts.Sign{facts.SignDatabase}
	unasked := well().errs(facts.Answered).asked(facts.DatabaseCannotBeAsked)
	unasked.process.Signs = []facts.Sign{facts.SignDatabase}
	for name, tc := range map[string]struct {
		w    *world
		rule string
	}{
		"calls queue up":                     {hung, "hung"},
		"it does not even take calls":        {refused, "local-fails"},
		"it serves":                          {well().errs(facts.Answered).asked(facts.DatabaseReachable), "server-error"},
		"the log names it, and it serves":    {named, "server-error"},
		"it cannot be asked":                 {well().errs(facts.Answered).asked(facts.DatabaseCannotBeAsked), "server-error"},
		"its address cannot be read":         {well().errs(facts.Answered).asked(facts.DatabaseBadURL), "server-error"},
		"it cannot be asked, the log names":  {unasked, "database-down"},
		"it serves, and all is well":         {well().asked(facts.DatabaseReachable), "healthy"},
		"it cannot be asked, and all's well": {well().asked(facts.DatabaseCannotBeAsked), "healthy"},
	} {
		if v := Diagnose(twice(tc.w)); v.Rule != tc.rule {
			t.Errorf("%s: %s, want %s", name, v.Rule, tc.rule)
		}
	}
}

// TestTheDatabaseIsBack: the application has a moment to find its way back, and then it is to blame itself.
func TestTheDatabaseIsBack(t *testing.T) {
	down, back := well().errs(facts.Answered).asked(facts.DatabaseRefused), well().errs(facts.Answered).asked(facts.DatabaseReachable)
	for after, rule := range map[time.Duration]string{
		time.Second: "database-just-back", databaseGrace - time.Millisecond: "database-just-back", databaseGrace: "server-error",
	} {
		c := &pass.Case{App: app(), Now: instant(after), Recent: []v1alpha1.Observation{down.observation(instant(0)), back.observation(instant(after))}}
		v := Diagnose(c)
		if v.Rule != rule {
			t.Errorf("after %s: %s, want %s", after, v.Rule, rule)
		}
		if rule == "database-just-back" && v.LookAgain.Duration != 2*time.Second {
			t.Errorf("it is looked at again after %s", v.LookAgain)
		}
	}
	c := &pass.Case{App: app(), Now: instant(time.Second), Recent: []v1alpha1.Observation{down.observation(instant(0)), well().asked(facts.DatabaseReachable).observation(instant(time.Second))}}
	if v := Diagnose(c); v.Rule != "healthy" {
		t.Errorf("both are back: %s", v.Rule)
	}
}
