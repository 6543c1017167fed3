package database

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// impostor answers each connection with the same bytes, whatever is asked.
type impostor struct {
	listener net.Listener
	mu       sync.Mutex
	says     []byte
}

func newImpostor(tb testing.TB) *impostor {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &impostor{listener: l}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { s.serve(c) })
		}
	})
	tb.Cleanup(func() { _ = l.Close(); served.Wait() })
	return s
}

func (s *impostor) serve(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	says := s.says
	s.mu.Unlock()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.Copy(c, bytes.NewReader(says))
	if tcp, ok := c.(*net.TCPConn); ok { // what is asked is read to its end, so that the answer is not lost by a reset
		_ = tcp.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, c)
}

// mostMemory is what asking may cost, whoever answers.
const mostMemory = 64 << 20

func (s *impostor) ask(tb testing.TB, kind string, says []byte) Answer {
	tb.Helper()
	s.mu.Lock()
	s.says = says
	s.mu.Unlock()
	target, err := Parse(fmt.Sprintf("%s://user:%s@%s/site?sslmode=disable&tls=false", kind, marked, s.listener.Addr()), "/app")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Second)
	defer cancel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	a := target.Ask(ctx)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	if took > 2*time.Second+goodbye+2*time.Second {
		tb.Fatalf("%s took %s", kind, took)
	}
	if after.TotalAlloc-before.TotalAlloc > mostMemory {
		tb.Fatalf("%s: %d bytes of memory for %d bytes of answer", kind, after.TotalAlloc-before.TotalAlloc, len(says))
	}
	return a
}

var kinds = []string{"postgresql", "mysql", "mongodb"}

// FuzzHandshake lets anything answer where the database should. Asking ends, in time and within bounds, and says nothing that
// the server has said but its code.
func FuzzHandshake(f *testing.F) {
	for kind := range kinds {
		for _, says := range impostors {
			f.Add(byte(kind), []byte(says))
		}
	}
	s := newImpostor(f)
	classes := []facts.DatabaseClass{facts.DatabaseReachable, facts.DatabaseRefused, facts.DatabaseTimeout, facts.DatabaseClosed,
		facts.DatabaseUnreachable, facts.DatabaseError, facts.DatabaseAuthFailed, facts.DatabaseTLS, facts.DatabaseNoSuchDatabase, facts.DatabaseFull,
		facts.DatabaseStartingUp, facts.DatabaseDiskFull, facts.DatabaseBlocked, facts.DatabaseCannotBeAsked, facts.DatabaseNameNotResolved}
	f.Fuzz(func(t *testing.T, kind byte, says []byte) {
		a := s.ask(t, kinds[int(kind)%len(kinds)], says)
		if len(a.Code) > 16 {
			t.Fatalf("code %q", a.Code)
		}
		if !slices.Contains(classes, a.Class) {
			t.Fatalf("class %q", a.Class)
		}
	})
}

// impostors are what may answer at a database's port.
var impostors = map[string]string{
	"nothing":                    "",
	"a web server":               "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n",
	"ssh":                        "SSH-2.0-OpenSSH_9.2p1\r\n",
	"TLS's alert":                "\x15\x03\x01\x00\x02\x02\x28",
	"PostgreSQL, no login asked": "R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I",
	"PostgreSQL, a password asked for in plain":  "R\x00\x00\x00\x08\x00\x00\x00\x03",
	"PostgreSQL, an error without an end":        "E\x00\x00\x10\x00SERROR\x00C28P01\x00M",
	"PostgreSQL, an error":                       "E\x00\x00\x00\x1bSFATAL\x00C28P01\x00Mno\x00\x00\x00\x00\x00\x00\x00\x00",
	"PostgreSQL, a row of a gigabyte":            "D\x3f\xff\xff\xff\x00\x01",
	"PostgreSQL, an answer of less than nothing": "R\x00\x00\x00\x00",
	"PostgreSQL, SASL without a mechanism":       "R\x00\x00\x00\x09\x00\x00\x00\x0a\x00",
	"PostgreSQL, SCRAM of billions of rounds": "R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00" +
		"R\x00\x00\x00\x30\x00\x00\x00\x0br=x,s=QUFBQUFBQUFBQUFBQUFBQQ==,i=2000000000",
	"MySQL's greeting":          "\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xf7\x21\x02\x00\xff\x81\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00abcdefghijkl\x00mysql_native_password\x00",
	"MySQL, an old greeting":    "\x05\x00\x00\x00\x09abc\x00",
	"MySQL, an error":           "\x10\x00\x00\x00\xff\x15\x04#28000denied",
	"MySQL, a packet of 16 MiB": "\xff\xff\xff\x00\x0a",
	"MySQL, an empty packet":    "\x00\x00\x00\x00",
	"MongoDB, a huge document":  "\xff\xff\xff\x7f\x01\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00\x00\x00\x00\x00\x00",
	"MongoDB, its own length 0": "\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\xdd\x07\x00\x00",
}

// TestWhoeverAnswersInTheDatabasesPlace asks each of them as each kind of database.
func TestWhoeverAnswersInTheDatabasesPlace(t *testing.T) {
	s := newImpostor(t)
	for name, says := range impostors {
		for _, kind := range kinds {
			if a := s.ask(t, kind, []byte(says)); a.Class == facts.DatabaseReachable {
				t.Errorf("%s is taken for a %s that can be reached", name, kind)
			}
		}
	}
}
