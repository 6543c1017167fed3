package checks

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// logMark is how long a log was at a moment.
type logMark struct {
	at    v1alpha1.Instant
	inode uint64
	size  int64
}

// logBook keeps how long an application's error logs were at the looks of its present failure, so that what was written
// before it, or by a life before this one, is not read for what is so now.
type logBook struct {
	life  string
	marks map[string][]logMark
}

// needsKept bounds how many different failures are told.
const needsKept = 4

// ofOthers is what the application's log says of others that it could not reach.
type ofOthers struct {
	needs    []facts.Need
	database bool // it names the database
}

// others reads what the application's log says of others, since this failure began, in this life and lately. What it said
// while all was well is remembered, and is no reason later.
func (p *Prober) others(l *look, local metav1.ConditionStatus) ofOthers {
	var said ofOthers
	if l.app.Spec.Checks.Local.Disabled {
		return said
	}
	well := local == metav1.ConditionTrue
	var needs []facts.Need
	for _, data := range p.added(l, &p.logs, well) {
		said.database = said.database || namesTheDatabase(data)
		for _, need := range NeedsIn(data, int(l.app.Spec.Port)) {
			if !slices.Contains(needs, need) {
				needs = append(needs, need)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.noise[l.app.Name]
	if well {
		if n == nil {
			n = noise{}
			if p.noise == nil {
				p.noise = map[string]noise{}
			}
			p.noise[l.app.Name] = n
		}
		n.heard(needs, l.now)
		return ofOthers{}
	}
	if local == metav1.ConditionFalse {
		n.failed()
	}
	said.needs = n.without(needs)
	said.needs = said.needs[:min(len(said.needs), needsKept)]
	return said
}

// suspected tells whether the application's log has named the database lately, though all may be well.
func (p *Prober) suspected(l *look) bool {
	return slices.ContainsFunc(p.added(l, &p.seen, false), namesTheDatabase)
}

// added reads what was added to the application's error logs since the marks of a shelf of books, in this life and lately, and
// marks how long they are now. The first look that evenkeel takes only does that.
func (p *Prober) added(l *look, shelf *map[string]logBook, well bool) [][]byte {
	if l.life == "" {
		return nil
	}
	p.mu.Lock()
	book := (*shelf)[l.app.Name]
	p.mu.Unlock() // a file may keep whoever reads it waiting
	if book.life != l.life {
		book = logBook{life: l.life}
	}
	var found [][]byte
	next := map[string][]logMark{}
	for n := range l.snapshot.Processes {
		path := l.snapshot.Processes[n].ErrLog
		if path == "" || next[path] != nil {
			continue
		}
		marks := book.marks[path]
		data, now, ok := readSince(path, marks, l.now, recently(l.app))
		switch {
		case !ok:
			continue
		case well:
			next[path] = []logMark{now}
		default:
			next[path] = withMark(dated(marks, l.now, recently(l.app)), now)
		}
		if len(data) > 0 {
			found = append(found, data)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if *shelf == nil {
		*shelf = map[string]logBook{}
	}
	(*shelf)[l.app.Name] = logBook{life: l.life, marks: next}
	return found
}

// withMark adds a mark. Of marks that say the same the first and the last are enough.
func withMark(marks []logMark, now logMark) []logMark {
	same := func(m logMark) bool { return m.inode == now.inode && m.size == now.size }
	if n := len(marks); n > 1 && same(marks[n-1]) && same(marks[n-2]) {
		marks = marks[:n-1]
	}
	return append(marks, now)
}

// recently is how old what a log says may be: old enough to be from the look before this one.
func recently(app *v1alpha1.App) time.Duration {
	return max(signAge, 2*Interval(app, v1alpha1.CheckLocal))
}

// dated are the marks that are not too old, and the last one of the older ones if there is no other.
func dated(marks []logMark, now v1alpha1.Instant, age time.Duration) []logMark {
	for n := range marks {
		if now.Since(marks[n].at) <= age || n == len(marks)-1 {
			return slices.Clone(marks[n:])
		}
	}
	return nil
}

// readSince says how long a log is now, and reads what was added since the oldest of the marks that is not too old, the last
// signTail bytes of it at most. Without a mark nothing was. No line of it is kept: it may hold anything.
func readSince(path string, marks []logMark, now v1alpha1.Instant, age time.Duration) ([]byte, logMark, bool) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // the name may be that of a pipe
	if err != nil {
		return nil, logMark{}, false
	}
	defer func() { _ = f.Close() }()
	var info unix.Stat_t
	if unix.Fstat(int(f.Fd()), &info) != nil || info.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, logMark{}, false
	}
	mark := logMark{at: now, inode: info.Ino, size: info.Size}
	fresh := dated(marks, now, age)
	if len(fresh) == 0 {
		return nil, mark, true
	}
	from := fresh[0].size
	if last := fresh[len(fresh)-1]; last.inode != mark.inode || last.size > mark.size {
		from = 0 // another file has taken its place, or it was emptied
	}
	from = max(from, mark.size-signTail)
	if mark.size <= from {
		return nil, mark, true
	}
	data := make([]byte, mark.size-from)
	n, err := f.ReadAt(data, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, mark, true
	}
	return data[:n], mark, true
}

// needTexts are the words in which programs say that they could not reach somebody else, or were refused by him. Words that
// are also said of a caller who has left (ECONNRESET) are not among them, nor those of a pool of connections that is used up,
// which may be the program's own doing.
var needTexts = []struct {
	text string
	end  facts.NeedEnd
	kind facts.NeedKind // empty where the port tells
	port int            // where it stands for itself
}{
	{text: "connect ECONNREFUSED", end: facts.NeedRefused}, // Node
	{text: "connect ETIMEDOUT", end: facts.NeedSilent},
	{text: "connect EHOSTUNREACH", end: facts.NeedNoWay},
	{text: "connect ENETUNREACH", end: facts.NeedNoWay},
	{text: "connect ENOENT", end: facts.NeedRefused}, // a socket's file
	{text: "Connect Timeout Error", end: facts.NeedSilent},
	{text: "getaddrinfo ENOTFOUND", end: facts.NeedNoName, kind: facts.NeedName},
	{text: "getaddrinfo EAI_AGAIN", end: facts.NeedNoName, kind: facts.NeedName},
	{text: "no such host", end: facts.NeedNoName, kind: facts.NeedName}, // Go
	{text: "server misbehaving", end: facts.NeedNoName, kind: facts.NeedName},
	{text: "connect: connection refused", end: facts.NeedRefused},
	{text: "connect: no route to host", end: facts.NeedNoWay},
	{text: "connect: network is unreachable", end: facts.NeedNoWay},
	{text: "connect: connection timed out", end: facts.NeedSilent},
	{text: "Temporary failure in name resolution", end: facts.NeedNoName, kind: facts.NeedName}, // Python, PHP, Ruby
	{text: "Name or service not known", end: facts.NeedNoName, kind: facts.NeedName},
	{text: "could not translate host name", end: facts.NeedNoName, kind: facts.NeedName},
	{text: "ConnectionRefusedError", end: facts.NeedRefused},
	{text: "Errno::ECONNREFUSED", end: facts.NeedRefused},
	{text: "failed: Connection refused", end: facts.NeedRefused},
	{text: "[2002] Connection refused", end: facts.NeedRefused, kind: facts.NeedDatabase},
	{text: "UnknownHostException", end: facts.NeedNoName, kind: facts.NeedName}, // Java
	{text: "java.net.ConnectException", end: facts.NeedRefused},
	{text: "password authentication failed for user", end: facts.NeedLogin, kind: facts.NeedDatabase}, // PostgreSQL
	{text: "no pg_hba.conf entry", end: facts.NeedLogin, kind: facts.NeedDatabase},
	{text: "the database system is starting up", end: facts.NeedRefused, kind: facts.NeedDatabase},
	{text: "the database system is shutting down", end: facts.NeedRefused, kind: facts.NeedDatabase},
	{text: "ER_ACCESS_DENIED_ERROR", end: facts.NeedLogin, kind: facts.NeedDatabase}, // MySQL
	{text: "Access denied for user", end: facts.NeedLogin, kind: facts.NeedDatabase},
	{text: "MongoServerError: Authentication failed", end: facts.NeedLogin, kind: facts.NeedDatabase},
	{text: "WRONGPASS", end: facts.NeedLogin, kind: facts.NeedDatabase, port: 6379}, // Redis
	{text: "NOAUTH Authentication required", end: facts.NeedLogin, kind: facts.NeedDatabase, port: 6379},
}

// databasePorts are those at which databases usually listen; databaseWords name them in a line.
var (
	databasePorts = []int{5432, 5433, 6432, 3306, 3307, 33060, 27017, 6379, 1433, 1521, 26257, 9042}
	databaseWords = []string{"postgres", "pgsql", "psycopg", "mysql", "mariadb", "mongo", "redis"}
)

// NeedsIn finds what the end of a log says of others that could not be reached, or refused a login. Connections to the
// application's own port are its own matter. Nothing of a line is kept but a port.
func NeedsIn(log []byte, own int) []facts.Need {
	var found []facts.Need
	for line := range bytes.Lines(log) {
		for n := range needTexts {
			t := &needTexts[n]
			at := bytes.Index(line, []byte(t.text))
			if at < 0 {
				continue
			}
			need := facts.Need{Kind: t.kind, End: t.end, Port: t.port}
			if t.kind == "" {
				if need.Port = portIn(line, t.text, at); need.Port == own {
					break
				}
				need.Kind = facts.NeedService
				if slices.Contains(databasePorts, need.Port) || namesDatabase(line) {
					need.Kind = facts.NeedDatabase
				}
			}
			if !slices.Contains(found, need) {
				found = append(found, need)
			}
			break
		}
	}
	return found
}

// databaseTexts are words by which a log names the database that could not be reached, or had no room.
var databaseTexts = []string{
	"P1000", "P1001", "P1002", "P1003", "P1017", "P2037", // Prisma's codes: login refused, out of reach, silent, no such database, hung up, full
	"Can't reach database server", "too many clients already", "MongoServerSelectionError", "ER_CON_COUNT_ERROR",
}

// namesTheDatabase tells whether what was written to a log does so.
func namesTheDatabase(log []byte) bool {
	return slices.ContainsFunc(databaseTexts, func(text string) bool { return bytes.Contains(log, []byte(text)) })
}

func namesDatabase(line []byte) bool {
	lower := bytes.ToLower(line)
	return slices.ContainsFunc(databaseWords, func(w string) bool { return bytes.Contains(lower, []byte(w)) })
}

// portAddress is a port behind a host, or one that is named as such.
var portAddress = regexp.MustCompile(`(?:[\w\]]:|\bport[ =:"']+)(\d{2,5})(?:\D|$)`)

// portIn finds the port of the address that stands behind the words, or, as in Go and PostgreSQL's own, before them. It is 0
// where there is none.
func portIn(line []byte, text string, at int) int {
	port := 0
	if strings.HasPrefix(text, "connect: ") || strings.HasPrefix(text, "failed: ") {
		for _, m := range portAddress.FindAllSubmatch(line[:at], -1) {
			port, _ = strconv.Atoi(string(m[1]))
		}
	} else if m := portAddress.FindSubmatch(line[at+len(text):]); m != nil {
		port, _ = strconv.Atoi(string(m[1]))
	}
	return port
}
