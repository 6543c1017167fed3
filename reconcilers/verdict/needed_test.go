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

// TestWhatNeedsNothingHolds: a condition that says nothing stands against no rule.
func TestWhatNeedsNothingHolds(t *testing.T) {
	if none := (condition{}); !none.met(look(twice(well()))) {
		t.Error("it does not hold")
	}
}

// TestABuildIsMissedOnlyWhereOneIsNeeded: of a known kind, not there, and it was there before or is asked for.
func TestABuildIsMissedOnlyWhereOneIsNeeded(t *testing.T) {
	gone := facts.Build{Kind: "next", Missing: ".next/BUILD_ID"}
	for _, tc := range []struct {
		name  string
		build facts.Build
		seen  bool
		signs []facts.Sign
		rule  string
		says  string
	}{
		{"it was there before", gone, true, nil, "build-missing", ".next/BUILD_ID is missing"},
		{"it was cut short", facts.Build{Kind: "next", Broken: ".next"}, true, nil, "build-missing", ".next was cut short"},
		{"its log asks for one", gone, false, []facts.Sign{facts.SignBuildMissing}, "build-missing", ""},
		{"none was ever there", gone, false, nil, "process-gone", ""},
		{"it is there", facts.Build{Kind: "next", Present: true}, true, nil, "process-gone", ""},
		{"it is not known how it is built", facts.Build{}, true, nil, "process-gone", ""},
	} {
		w := well()
		w.gone(runtime.Errored)
		w.build, w.process.Signs = tc.build, tc.signs
		c := lasting(w, time.Minute)
		c.Record.Learned = &v1alpha1.Learned{BuildSeen: tc.seen}
		if v := Diagnose(c); v.Rule != tc.rule || !strings.Contains(v.Message, tc.says) {
			t.Errorf("%s: rule %s says %q, want %s and %q", tc.name, v.Rule, v.Message, tc.rule, tc.says)
		}
	}
}

// TestNobodyLosesTheLastGoodEnvironment, of whom it is known that it serves or lives.
func TestNobodyLosesTheLastGoodEnvironment(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(w *world)
		rule   string
	}{
		{"it answers, and PM2 could not be asked", func(w *world) { w.status["process"] = maybe }, "database-configuration"},
		{"its memory is low, too", func(w *world) { w.status["memory"], w.memory.Available = no, 50<<20 }, "memory-low-briefly"},
		{"it is being stopped for too long, and answers with errors", func(w *world) {
			w.fails(500)
			w.process.State, w.process.Life, w.status["process"] = string(runtime.Stopping), "", no
		}, "server-error"},
	} {
		w := well()
		w.unconfigured()
		tc.change(w)
		if v := Diagnose(lasting(w, time.Minute)); v.Rule != tc.rule {
			t.Errorf("%s: rule %s, want %s", tc.name, v.Rule, tc.rule)
		}
	}
}

// TestWhoTakesNoCallsHangs, whatever his database does; who cannot be told from others is asked by the same sign.
func TestWhoTakesNoCallsHangs(t *testing.T) {
	other := func(waiting uint32) facts.Listener { return facts.Listener{Whose: facts.CannotTell, Waiting: waiting} }
	for _, tc := range []struct {
		name      string
		listeners []facts.Listener
		rule      string
	}{
		{"whose socket it is cannot be told", []facts.Listener{other(0)}, "database-refuses"},
		{"calls queue up at it", []facts.Listener{other(1)}, "hung"},
		{"calls queue up at the second of its sockets", []facts.Listener{other(0), other(1)}, "hung"},
		{"nobody is known to listen", nil, "hung"},
	} {
		w := well().errs(facts.Timeout).asked(facts.DatabaseRefused)
		w.port.Listeners = tc.listeners
		if v := Diagnose(twice(w)); v.Rule != tc.rule {
			t.Errorf("%s: rule %s, want %s", tc.name, v.Rule, tc.rule)
		}
	}
}

// TestAPauseIsNoHang: while its database is silent, calls that wait at a single look say nothing; at two in a row they do,
// and one look that is carried on is one look.
func TestAPauseIsNoHang(t *testing.T) {
	silent := func(waiting uint32, at time.Duration) v1alpha1.Observation {
		w := well().errs(facts.Timeout).asked(facts.DatabaseTimeout)
		w.port.Listeners[0].Waiting = waiting
		return w.observation(instant(at))
	}
	for name, tc := range map[string]struct {
		recent []v1alpha1.Observation
		rule   string
	}{
		"it took calls before":            {[]v1alpha1.Observation{silent(0, 0), silent(1, 5*time.Second)}, "database-silent"},
		"it takes calls again":            {[]v1alpha1.Observation{silent(1, 0), silent(0, 5*time.Second)}, "database-silent"},
		"it takes none":                   {[]v1alpha1.Observation{silent(0, 0), silent(1, 5*time.Second), silent(1, 10*time.Second)}, "hung"},
		"the one look at it is kept":      {[]v1alpha1.Observation{silent(0, 0), silent(1, 5*time.Second), silent(1, 5*time.Second)}, "database-silent"},
		"it takes none at the first look": {[]v1alpha1.Observation{silent(1, 0)}, "hung"},
		"it was not asked in between":     {[]v1alpha1.Observation{silent(1, 0), {At: instant(5 * time.Second)}, silent(1, 10*time.Second)}, "hung"},
	} {
		if v := Diagnose(&pass.Case{App: app(), Now: instant(10 * time.Second), Recent: tc.recent}); v.Rule != tc.rule {
			t.Errorf("%s: rule %s, want %s", name, v.Rule, tc.rule)
		}
	}
}

// TestTheDatabaseIsNamedByItsKind: its service, who holds its connections, where it is, and where that stands.
func TestTheDatabaseIsNamedByItsKind(t *testing.T) {
	for _, tc := range []struct {
		database facts.Database
		want     string
	}{
		{facts.Database{Kind: "PostgreSQL", Where: "10.0.0.1:5432", Source: "DATABASE_URL", From: ".env"}, "10.0.0.1 postgresql pg_stat_activity DATABASE_URL of .env."},
		{facts.Database{Kind: "MySQL", Where: "[::1]:3306", Source: "DATABASE_URL"}, "::1 mariadb processlist DATABASE_URL."},
		{facts.Database{Kind: "MongoDB", Where: "db.test", Source: "MONGO_URL"}, "db.test mongod serverStatus MONGO_URL."},
	} {
		v := look(twice(well()))
		v.database = tc.database
		got := expand([]string{"{dbHost} {dbService} {dbConnections} {dbSource}."}, v)[0]
		for word := range strings.FieldsSeq(tc.want) {
			if !strings.Contains(got, word) {
				t.Errorf("%s: %q lacks %q", tc.database.Kind, got, word)
			}
		}
	}
}
