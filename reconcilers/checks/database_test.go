package checks

import (
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

const markedPassword = "marked-s3cret"

// refusing is a PostgreSQL that refuses every login with that code, and counts them.
func refusing(t *testing.T, code string) (string, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	logins := &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				head := make([]byte, 8)
				if _, err := io.ReadFull(c, head); err != nil {
					return
				}
				if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head))-8); err != nil {
					return
				}
				logins.Add(1)
				said := "SFATAL\x00VFATAL\x00C" + code + "\x00Mno entry for user site, password " + markedPassword + "\x00\x00"
				_, _ = c.Write(append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(len(said)+4)), said...))
			}()
		}
	}()
	return l.Addr().String(), logins
}

// asker looks at an App whose database is at that address, again and again.
type asker struct {
	t   *testing.T
	p   *Prober
	app *v1alpha1.App
	now time.Duration
}

func newAsker(t *testing.T, url string, connect v1alpha1.DatabaseConnect) *asker {
	t.Helper()
	a := &asker{t: t, p: &Prober{}, app: site("site")}
	a.app.Spec.Directory = t.TempDir()
	a.app.Spec.Checks.Database = &v1alpha1.DatabaseCheck{Connect: connect}
	v1alpha1.SetDefaults(a.app)
	a.put(url)
	return a
}

func (a *asker) put(url string) {
	write(a.t, filepath.Join(a.app.Spec.Directory, ".env"), "PASSWORD="+markedPassword+"\nDATABASE_URL="+url+"\n")
}

func (a *asker) look(local metav1.ConditionStatus) (v1alpha1.CheckResult, facts.Database) {
	a.t.Helper()
	now := v1alpha1.Instant{Boot: metav1.Duration{Duration: time.Hour + a.now}, BootID: "b"}
	r := a.p.databaseResult(a.t.Context(), &look{app: a.app, now: now}, surroundings{local: local, public: yes})
	o := v1alpha1.Observation{Results: []v1alpha1.CheckResult{r}}
	o.Results[0].Check = v1alpha1.CheckDatabase
	f, _ := facts.Of[facts.Database](&o, v1alpha1.CheckDatabase)
	if shown := r.Message + string(r.Facts); strings.Contains(shown, markedPassword) {
		a.t.Errorf("the password is shown: %s", shown)
	}
	return r, f
}

// TestTheDatabaseIsAskedOnSuspicion, and only then, unless it is wanted otherwise.
func TestTheDatabaseIsAskedOnSuspicion(t *testing.T) {
	address, logins := refusing(t, "53300")
	a := newAsker(t, "postgresql://site:$PASSWORD@"+address+"/site?schema=public", v1alpha1.DatabaseConnectOnSuspicion)
	step := func(what string, local, status metav1.ConditionStatus, asked int64) {
		t.Helper()
		r, f := a.look(local)
		if r.Status != status || logins.Load() != asked {
			t.Errorf("%s: %s, %s (%+v), asked %d times, want %s and %d", what, r.Status, r.Message, f, logins.Load(), status, asked)
		}
	}
	step("all is well", yes, yes, 0)
	step("local fails", no, no, 1)
	step("local is well again, and it did not serve", yes, no, 2)
	a.put("sqlserver://site")
	step("it cannot be asked", no, maybe, 2)
	a.put("postgresql://site:" + markedPassword + "@" + address + ":x/site")
	step("its address cannot be read", no, maybe, 2)
	a.put("something-else-" + markedPassword)
	step("no address of a database", no, yes, 2)

	a = newAsker(t, "postgresql://site:x@"+address+"/site", v1alpha1.DatabaseConnectOnSuspicion)
	a.app.Status.Verdict = &v1alpha1.Verdict{Blame: v1alpha1.BlameDatabase}
	step("it was blamed", yes, no, 3)
	a = newAsker(t, "postgresql://site:x@"+address+"/site", v1alpha1.DatabaseConnectAlways)
	step("always", yes, no, 4)
	a = newAsker(t, "postgresql://site:x@"+address+"/site", v1alpha1.DatabaseConnectNever)
	step("never", no, yes, 4)
}

// TestARefusedLoginIsNotTriedAgainAtOnce: no account is locked, and a changed address is tried at once.
func TestARefusedLoginIsNotTriedAgainAtOnce(t *testing.T) {
	address, logins := refusing(t, "28P01")
	a := newAsker(t, "postgresql://site:$PASSWORD@"+address+"/site", v1alpha1.DatabaseConnectAlways)
	for _, step := range []struct {
		at    time.Duration
		local metav1.ConditionStatus
		asked int64
	}{
		{0, no, 1}, {refusedFirst - time.Second, no, 1}, {refusedFirst, no, 2}, {2 * refusedFirst, no, 2}, {3 * refusedFirst, no, 3},
		{3*refusedFirst + time.Second, yes, 4}, // the application is well again, so that it may be over
		{3*refusedFirst + 2*time.Second, yes, 4},
	} {
		a.now = step.at
		r, f := a.look(step.local)
		if r.Status != no || f.Class != facts.DatabaseAuthFailed || f.Code != "28P01" || f.User != "site" || f.Where != address || logins.Load() != step.asked {
			t.Errorf("at %s: %s (%+v), asked %d times, want %d", step.at, r.Message, f, logins.Load(), step.asked)
		}
	}
	a.put("postgresql://other:x@" + address + "/site")
	if _, f := a.look(no); f.User != "other" || logins.Load() != 5 {
		t.Errorf("a changed address: %+v, asked %d times", f, logins.Load())
	}
}

// TestWhatIsFoundInAFolder: the check is made where there is a database, and not for every environment file.
func TestWhatIsFoundInAFolder(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"an address":           {map[string]string{".env": "DATABASE_URL=postgres://u:p@h/x\nOTHER_URL=mysql://u:p@h/x\n"}, "DATABASE_URL"},
		"one of another name":  {map[string]string{".env.local": "MONGODB_URI=mongodb://h/x\n"}, "MONGODB_URI"},
		"no address":           {map[string]string{".env": "NEXTAUTH_URL=https://example.com\nNEXT_PUBLIC_X=postgres://u:p@h/x\n"}, ""},
		"nothing":              {nil, ""},
		"Prisma, and no file":  {map[string]string{"node_modules/@prisma/client/package.json": "{}"}, ""},
		"Prisma, and it lacks": {map[string]string{"node_modules/@prisma/client/package.json": "{}", ".env": "A=1\n"}, "DATABASE_URL"},
	} {
		app := site("site")
		app.Spec.Directory, app.Spec.Checks.Database = t.TempDir(), nil
		for file, text := range tc.files {
			write(t, filepath.Join(app.Spec.Directory, file), text)
		}
		got := ""
		if d := WithFound(app).Spec.Checks.Database; d != nil {
			got = strings.Join(d.Require, ",")
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
