package alone

import (
	"encoding/json"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sys/unix"
)

// place is a port on loopback that belongs to a test: until it is opened, whoever calls is refused.
type place struct {
	*testing.T
	fd      int
	address string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{T: t, fd: fd}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	p.address = fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
	return p
}

// open lets the port be listened on.
func (p *place) open() net.Listener {
	p.Helper()
	if err := unix.Listen(p.fd, 128); err != nil {
		p.Fatal(err)
	}
	own, err := unix.Dup(p.fd)
	if err != nil {
		p.Fatal(err)
	}
	file := os.NewFile(uintptr(own), p.address)
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = l.Close() })
	return l
}

// told is what a receiver was told: of which incident, what, under which name and in which thread; and in which words. Who gets it
// as JSON is told whose fault it was and how long it lasted, too.
type told struct {
	about, kind, id, thread string
	text                    string
	blame, lasted           string
}

// receiver is a webhook or a mail server. It is a backend of go-smtp's, and its session.
type receiver struct {
	*place
	mu   sync.Mutex
	took []told
}

func (r *receiver) take(what told) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, what)
}

func (r *receiver) taken() []told {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]told(nil), r.took...)
}

// answer is a webhook that takes everything, and answers with that code.
func (r *receiver) answer(code int) {
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		var a struct {
			ID, Thread, Kind, Text string
			Blame, Duration        string
			Incident               int64
		}
		if err := json.NewDecoder(request.Body).Decode(&a); err != nil || request.Header.Get("Idempotency-Key") != a.ID {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.take(told{about: fmt.Sprintf("incident %d", a.Incident), kind: a.Kind, id: a.ID, thread: a.Thread, text: a.Text, blame: a.Blame, lasted: a.Duration})
		w.WriteHeader(code)
	})}
	l := r.open()
	go func() { _ = server.Serve(l) }()
	r.Cleanup(func() { _ = server.Close() })
}

// receive is a mail server that takes everything.
func (r *receiver) receive() {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return r, nil }))
	l := r.open()
	go func() { _ = server.Serve(l) }()
	r.Cleanup(func() { _ = server.Close() })
}

func (r *receiver) Mail(string, *smtp.MailOptions) error { return nil }
func (r *receiver) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (r *receiver) Reset()                               {}
func (r *receiver) Logout() error                        { return nil }

// Data takes a mail: "site on HOST: incident 1" is its subject, "site on HOST: Degraded (…" its beginning.
func (r *receiver) Data(body io.Reader) error {
	m, err := mail.ReadMessage(body)
	if err != nil {
		return err
	}
	content := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		content = quotedprintable.NewReader(content)
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	_, about, _ := strings.Cut(m.Header.Get("Subject"), ": ")
	_, kind, _ := strings.Cut(string(text), ": ")
	kind, _, _ = strings.Cut(kind, " ")
	r.take(told{about: about, kind: kind, id: m.Header.Get("Message-Id"), thread: m.Header.Get("References"), text: string(text)})
	return nil
}

// hanging is a receiver that takes every call and never says a word.
func (p *place) hanging() (calls func() int) {
	var mu sync.Mutex
	var held []net.Conn
	l := p.open()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			held = append(held, c)
			mu.Unlock()
		}
	}()
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(held)
	}
	p.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range held {
			_ = c.Close()
		}
	})
	return count
}

// hookAt and mailAt are addresses of receivers, as spec.alerts has them.
func hookAt(p *place) string { return fmt.Sprintf("{webhook: 'http://%s/hook'", p.address) }

func mailAt(p *place) string {
	return fmt.Sprintf("{shoutrrr: 'smtp://%s/?auth=None&encryption=None&usestarttls=no&from=evenkeel@example.com&to=ops@example.com'", p.address)
}

// failing lets the application answer with 500, or be well again.
func (m *machine) failing(is bool) {
	m.Helper()
	text := ""
	if is {
		text = "error"
	}
	if err := os.WriteFile(m.env["FAULT"]+".new", []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
	if err := os.Rename(m.env["FAULT"]+".new", m.env["FAULT"]); err != nil {
		m.Fatal(err)
	}
}

// newTold is a machine whose application can fail, and which tells somebody; more stands under recovery.
func newTold(t *testing.T, alerts, more string) *machine {
	t.Helper()
	m := newMachine(t, map[string]string{"FAULT": filepath.Join(t.TempDir(), "fault")})
	m.failing(false)
	m.change = func(text string) string {
		return strings.Replace(text, "recovery: {", "recovery: {"+more, 1) + "  alerts: [" + alerts + "]\n"
	}
	m.more = []string{"--metrics", "unix:" + m.socket()}
	m.desire()
	return m
}

// logged is how many passes monitor.log holds.
func (m *machine) logged() int {
	m.Helper()
	text, err := os.ReadFile(filepath.Join(m.state, "monitor.log"))
	if err != nil {
		m.Fatal(err)
	}
	return strings.Count(string(text), " msg=pass ")
}

func (m *machine) socket() string { return filepath.Join(m.dir, "metrics.sock") }

// waiting is how many letters the outbox holds.
func (m *machine) waiting() int {
	files, _ := filepath.Glob(filepath.Join(m.state, "outbox", "*.json"))
	return len(files)
}

// ready waits until the evenkeel that was started last is.
func (m *machine) ready() {
	m.Helper()
	m.until("evenkeel is back", func() bool { return strings.Contains(m.said(), "evenkeel is ready") })
}
