package checks

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pace"
	"github.com/evenkeel/evenkeel/reconcilers/database"
	"github.com/evenkeel/evenkeel/reconcilers/dotenv"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

const (
	// refusedFirst and refusedMost are for how long a database that refused the login is not asked again: some lock an account
	// after a few refusals, and MySQL a whole machine.
	refusedFirst = 10 * time.Second
	refusedMost  = 10 * time.Minute
)

// databases remembers what the databases said. What is in it is lost without harm.
type databases struct {
	mu   sync.Mutex
	last map[string]*saidBefore // by App
	busy map[string]chan struct{}
}

// saidBefore is what an App's database said when it was last asked.
type saidBefore struct {
	at     v1alpha1.Instant
	print  [sha256.Size]byte // of the address, so that another one is asked at once
	answer database.Answer
	unwell bool // the application did not answer then
	pace   *pace.Pace
	wait   time.Duration
}

// only holds one place for whoever asks there: there is never more than one connection of evenkeel's. It is false where ctx
// ends first.
func (d *databases) only(ctx context.Context, place string) (release func(), ok bool) {
	d.mu.Lock()
	if d.busy == nil {
		d.busy = map[string]chan struct{}{}
	}
	turn := d.busy[place]
	if turn == nil {
		turn = make(chan struct{}, 1)
		d.busy[place] = turn
	}
	d.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, true
	case <-ctx.Done():
		return nil, false
	}
}

// failing tells whether the App's database did not serve when it was last asked.
func (d *databases) failing(app string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.last[app]
	return s != nil && s.answer.Class.Fails()
}

// before gives what is still good of what the database said: a refused login, for a while.
func (d *databases) before(l *look, mark [sha256.Size]byte, well bool) (database.Answer, time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.last[l.app.Name]
	if s == nil || s.print != mark || s.wait == 0 || s.unwell && well {
		return database.Answer{}, 0, false
	}
	ago := l.now.Since(s.at)
	return s.answer, ago, ago < s.wait
}

func (d *databases) note(l *look, mark [sha256.Size]byte, a database.Answer, well bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil {
		d.last = map[string]*saidBefore{}
	}
	s := d.last[l.app.Name]
	if s == nil || s.print != mark {
		s = &saidBefore{print: mark, pace: pace.New(refusedFirst, refusedMost, 2)}
		d.last[l.app.Name] = s
	}
	s.at, s.answer, s.unwell, s.wait = l.now, a, !well, 0
	switch a.Class {
	case facts.DatabaseAuthFailed, facts.DatabaseBlocked:
		s.wait = s.pace.Next()
	case facts.DatabaseReachable:
		s.pace.Reset()
	}
}

// surroundings are what else a look has found that bears on the database.
type surroundings struct{ local, public metav1.ConditionStatus }

// databaseResult says whether the database's configuration is there, by names only, and, where it is to be asked, whether it
// serves.
func (p *Prober) databaseResult(ctx context.Context, l *look, around surroundings) v1alpha1.CheckResult {
	spec := l.app.Spec.Checks.Database
	c := p.configured(l)
	r, f := c.result()
	if r.Status == metav1.ConditionTrue && p.isToAsk(l, spec.Connect, around) {
		if p.askDatabase(ctx, l, c, &f, around.local == metav1.ConditionTrue) {
			judgeDatabase(&r, &f)
		}
	}
	r.Facts = facts.Raw(f)
	return r
}

// isToAsk says whether the database is asked in this look.
func (p *Prober) isToAsk(l *look, connect v1alpha1.DatabaseConnect, around surroundings) bool {
	switch connect {
	case v1alpha1.DatabaseConnectNever:
		return false
	case v1alpha1.DatabaseConnectAlways:
		return true
	}
	if around.local == metav1.ConditionFalse || around.public == metav1.ConditionFalse || p.databases.failing(l.app.Name) {
		return true
	}
	if v := l.app.Status.Verdict; v != nil && v.Blame == v1alpha1.BlameDatabase {
		return true // so that its return is seen
	}
	return p.suspected(l)
}

// askDatabase fills in what the database said. It is false where no address is known to be asked.
func (p *Prober) askDatabase(ctx context.Context, l *look, c *configuration, f *facts.Database, well bool) bool {
	address, ok := c.address()
	if !ok {
		return false
	}
	f.Source, f.From = address.variable, address.from
	folders, sure := schemaFolders(l.app.Spec.Directory)
	target, err := database.Parse(address.value, folders...)
	if err != nil {
		f.Class, f.Error = facts.DatabaseBadURL, strings.ReplaceAll(err.Error(), "\n", ": ")
		return true
	}
	f.Kind, f.Where, f.User = string(target.Kind), target.Where(), target.User
	mark := sha256.Sum256([]byte(address.value))
	if a, ago, ok := p.databases.before(l, mark, well); ok {
		f.Class, f.Code, f.ReadOnly, f.Ago = a.Class, a.Code, a.ReadOnly, ago
		return true
	}
	if target.Why != "" {
		f.Class, f.Error = facts.DatabaseCannotBeAsked, target.Why
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, timeout(l.app, v1alpha1.CheckDatabase))
	defer cancel()
	release, ok := p.databases.only(ctx, f.Where)
	if !ok {
		f.Class, f.Error = facts.DatabaseCannotBeAsked, "another look was asking it"
		return true
	}
	a := target.Ask(ctx)
	release()
	if target.Kind == database.SQLite {
		a, f.Error = ownEyes(l, a, sure || strings.HasPrefix(address.value, "file:/"))
	}
	p.databases.note(l, mark, a, well)
	f.Class, f.Code, f.ReadOnly = a.Class, a.Code, a.ReadOnly
	return true
}

// ownEyes takes back what only evenkeel itself cannot see of a file.
func ownEyes(l *look, a database.Answer, sure bool) (database.Answer, string) {
	other := l.life != "" && l.main.UID != l.uid
	switch {
	case a.Class == facts.DatabaseFileNotReadable && other:
		return database.Answer{Class: facts.DatabaseCannotBeAsked}, "its file is another user's"
	case a.Class == facts.DatabaseFileMissing && !sure:
		return database.Answer{Class: facts.DatabaseCannotBeAsked}, "it is not known from which folder its path starts"
	}
	a.ReadOnly = a.ReadOnly && !other
	return a, ""
}

// judgeDatabase makes a status and a sentence of what the database said.
func judgeDatabase(r *v1alpha1.CheckResult, f *facts.Database) {
	r.Reason = string(f.Class)
	switch {
	case f.Class.Fails():
		r.Status = metav1.ConditionFalse
	case f.Class != facts.DatabaseReachable:
		r.Status = metav1.ConditionUnknown
	}
	r.Message = DatabaseSentence(f)
	if f.Ago > 0 {
		r.Message += fmt.Sprintf("; that was %s ago, and it is not asked again at once, so that no account is locked", f.Ago.Round(time.Second))
	}
}

// DatabaseSentence says what a database said, with where it is and who asked; never more of its address.
func DatabaseSentence(f *facts.Database) string {
	who := f.Kind
	if f.Where != "" {
		who += " at " + f.Where
	}
	as := ""
	if f.User != "" {
		as = fmt.Sprintf(" (user %s)", f.User)
	}
	code := ""
	if f.Code != "" {
		code = ", code " + f.Code
	}
	switch f.Class {
	case facts.DatabaseReachable:
		if f.ReadOnly {
			return who + " serves, but takes no changes: it is read-only" + as
		}
		return who + " serves" + as
	case facts.DatabaseRefused:
		return who + " refuses: nobody listens there"
	case facts.DatabaseUnreachable:
		return who + " cannot be reached: there is no way to it, or nobody takes the call"
	case facts.DatabaseTimeout:
		return who + " takes the call and never answers"
	case facts.DatabaseClosed:
		return who + " takes the call and hangs up"
	case facts.DatabaseNameNotResolved:
		return who + " cannot be found: its name does not resolve"
	case facts.DatabaseTLS:
		return who + " and its address do not agree on TLS, or its certificate is not valid"
	case facts.DatabaseAuthFailed:
		return who + " refuses the login" + as + code
	case facts.DatabaseNoSuchDatabase:
		return who + " has no database of that name" + as + code
	case facts.DatabaseFull:
		return who + " is full: it has no connection left" + as + code
	case facts.DatabaseBlocked:
		return who + " blocks this machine after too many broken connects" + code
	case facts.DatabaseStartingUp:
		return who + " is starting up or shutting down" + code
	case facts.DatabaseDiskFull:
		return who + " has no disk space left" + code
	case facts.DatabaseFileMissing:
		return "the file of SQLite is missing: " + f.Where
	case facts.DatabaseFileNotReadable:
		return "the file of SQLite may not be read: " + f.Where
	case facts.DatabaseNotADatabase:
		return "the file of SQLite is no database: " + f.Where
	case facts.DatabaseBadURL:
		return f.Source + " in " + f.From + " cannot be read: " + f.Error
	case facts.DatabaseCannotBeAsked:
		if f.Error == "" {
			return who + " cannot be asked from here"
		}
		return who + " cannot be asked: " + f.Error
	}
	return who + " refuses" + as + code
}

// schemaFolders are the folders from which a relative path of Prisma's may start; sure says that a schema was found in one.
func schemaFolders(directory string) (folders []string, sure bool) {
	for _, schema := range []string{"prisma/schema.prisma", "prisma/schema", "schema.prisma"} {
		if info, err := os.Stat(directory + "/" + schema); err == nil {
			folder := directory + "/" + schema
			if !info.IsDir() {
				folder = folder[:strings.LastIndexByte(folder, '/')]
			}
			folders, sure = append(folders, folder), true
		}
	}
	if !slices.Contains(folders, directory) {
		folders = append(folders, directory)
	}
	return folders, sure
}

// configuration is where the database's configuration may stand.
type configuration struct {
	p     *Prober
	l     *look
	files []string
	set   dotenv.Set
	err   error
	env   map[string]string // of the required names, as the application's process has them; nil where that cannot be read
}

func (p *Prober) configured(l *look) *configuration {
	spec := l.app.Spec.Checks.Database
	c := &configuration{p: p, l: l, files: []string{spec.EnvFile}}
	if spec.EnvFile == ".env" {
		c.files = dotenv.NextFiles()
	}
	c.set, c.err = dotenv.Load(l.app.Spec.Directory, c.files...)
	if l.life != "" {
		env, err := p.FS.Environ(l.main.Identity, spec.Require...)
		if err == nil {
			c.env = env
		}
		if errors.Is(err, os.ErrPermission) && c.err == nil && !c.allSet() {
			c.err = errors.New("not all of " + strings.Join(spec.Require, ", ") + " stand in a file, and the environment of another user's process may not be read")
		}
	}
	return c
}

func (c *configuration) allSet() bool {
	return !slices.ContainsFunc(c.l.app.Spec.Checks.Database.Require, func(n string) bool { return !c.has(n) })
}

// has tells whether a variable is there and not blank. What the process was given wins, as Next.js has it.
func (c *configuration) has(name string) bool {
	if value, given := c.env[name]; given {
		return strings.TrimSpace(value) != ""
	}
	return c.set.Vars[name]
}

func (c *configuration) result() (v1alpha1.CheckResult, facts.Database) {
	var r v1alpha1.CheckResult
	var f facts.Database
	if c.err != nil {
		f.Error = c.err.Error()
		r.Status, r.Reason, r.Message = metav1.ConditionUnknown, "CouldNotRead", f.Error
		return r, f
	}
	spec, directory := c.l.app.Spec.Checks.Database, c.l.app.Spec.Directory
	for _, file := range c.set.Files {
		f.Files = append(f.Files, file.Name)
	}
	given := false
	for _, name := range spec.Require {
		if !c.has(name) {
			f.Missing = append(f.Missing, name)
		}
		_, ok := c.env[name]
		given = given || ok
	}
	if len(f.Missing) > 0 {
		r.Status, r.Reason = metav1.ConditionFalse, "Missing"
		r.Message = fmt.Sprintf("%s missing or empty in %s, of %s", strings.Join(f.Missing, ", "), strings.Join(f.Files, ", "), directory)
		if len(f.Files) == 0 {
			r.Message = fmt.Sprintf("%s missing: %s holds no %s", strings.Join(f.Missing, ", "), directory, strings.Join(c.files, ", "))
		}
		return r, f
	}
	where := f.Files
	if given {
		where = append([]string{"its process"}, where...)
	}
	r.Status, r.Reason = metav1.ConditionTrue, "Configured"
	r.Message = strings.Join(spec.Require, ", ") + " set in " + strings.Join(where, ", ")
	return r, f
}

// address is a database's address and where it was found. The value is secret.
type address struct{ variable, value, from string }

// address finds the first required variable that holds the address of a database.
func (c *configuration) address() (address, bool) {
	for _, name := range c.l.app.Spec.Checks.Database.Require {
		if value := c.env[name]; database.Known(value) {
			return address{name, value, "the process"}, true
		}
		value, from, ok, err := dotenv.Lookup(c.l.app.Spec.Directory, name, c.files...)
		if err != nil || !ok {
			continue
		}
		if whole := dotenv.Expand(value.Reveal(), c.lookUp); database.Known(whole) {
			return address{name, whole, from}, true
		}
	}
	return address{}, false
}

// lookUp gives a variable that another one refers to.
func (c *configuration) lookUp(name string) string {
	if c.l.life != "" {
		if env, err := c.p.FS.Environ(c.l.main.Identity, name); err == nil && env[name] != "" {
			return env[name]
		}
	}
	value, _, _, err := dotenv.Lookup(c.l.app.Spec.Directory, name, c.files...)
	if err != nil {
		return ""
	}
	return value.Reveal()
}
