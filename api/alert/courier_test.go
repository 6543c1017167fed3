package alert

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/nicholas-fedor/shoutrrr/pkg/router"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

// post office: an SMTP server that keeps what it takes.
type postOffice struct {
	address string
	mu      sync.Mutex
	mails   []*mail.Message
	bodies  []string
	to      [][]string
	refuse  error // what it says to a recipient
}

type session struct {
	office *postOffice
	to     []string
}

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Reset()                               { s.to = nil }
func (s *session) Logout() error                        { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	return s.office.refuse
}

func (s *session) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	s.office.mu.Lock()
	defer s.office.mu.Unlock()
	s.office.mails, s.office.bodies = append(s.office.mails, m), append(s.office.bodies, string(body))
	s.office.to = append(s.office.to, slices.Clone(s.to))
	return nil
}

// open opens a post office at an address; port 0 is any that is free.
func open(t *testing.T, address string) *postOffice {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	office := &postOffice{address: l.Addr().String()}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{office: office}, nil }))
	server.Domain = "mail.example.com"
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return office
}

func (o *postOffice) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.mails)
}

func mailbox(address string) v1alpha1.AlertSpec {
	return v1alpha1.AlertSpec{Shoutrrr: "smtp://" + address + "/?auth=None&from=evenkeel@example.com&to=ops@example.com,owner@example.com"}
}

// byCourier makes a dispatcher whose courier is this test's own program.
func byCourier(t *testing.T, r *reports, box Outbox) *Dispatcher {
	t.Helper()
	t.Setenv(courierMark, "1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Report: r.take, Log: quiet(), Host: "web1", Courier: []string{self}, Outbox: box})
}

func end(t *testing.T, d *Dispatcher, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_ = d.Close(ctx)
}

func TestAllMailsOfAnIncidentMakeOneThread(t *testing.T) {
	office, r := open(t, "127.0.0.1:0"), newReports()
	d := byCourier(t, r, nil)
	for _, kind := range []v1alpha1.AlertKind{v1alpha1.AlertDegraded, v1alpha1.AlertFailed, v1alpha1.AlertResolved} {
		a := failed()
		a.Kind, a.Message = kind, "größer als\r\nBcc: everybody@example.com"
		d.Alert(app(mailbox(office.address)), a)
	}
	other := failed()
	other.Incident = 8
	d.Alert(app(mailbox(office.address)), other)
	for range 4 {
		if <-r.came; t.Failed() {
			break
		}
	}
	end(t, d, time.Minute)
	for _, e := range r.all() {
		if e.Reason != v1alpha1.ReasonAlertSent || !strings.Contains(e.Message, "by shoutrrr smtp") {
			t.Errorf("reported %+v", e)
		}
	}
	if office.count() != 4 {
		t.Fatalf("%d mails", office.count())
	}
	seen := map[string]bool{}
	for n, m := range office.mails {
		if got := fmt.Sprint(office.to[n]); got != "[ops@example.com owner@example.com]" {
			t.Errorf("it went to %s", got)
		}
		if id := m.Header.Get("Message-Id"); id == "" || seen[id] {
			t.Errorf("message ID %q", id)
		} else {
			seen[id] = true
		}
		same := m.Header.Get("References") == office.mails[0].Header.Get("References") && m.Header.Get("Subject") == office.mails[0].Header.Get("Subject")
		if same != (n < 3) || m.Header.Get("Bcc") != "" || m.Header.Get("In-Reply-To") != m.Header.Get("References") {
			t.Errorf("mail %d: %+v", n, m.Header)
		}
	}
	if got := office.mails[0].Header.Get("Subject"); got != "bbyatch on web1: incident 7" {
		t.Errorf("subject %q", got)
	}
	for _, want := range []string{"What was seen:", "  port: False", "What to do:", "  pm2 logs bbyatch", "It has lasted 16m0s"} {
		if !strings.Contains(office.bodies[0], want) {
			t.Errorf("no %q in\n%s", want, office.bodies[0])
		}
	}
}

func TestAMailServerThatWasDownAndEvenkeelRestartedMeanwhile(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	outbox := func() Outbox {
		box, err := state.OpenOutbox(dir)
		if err != nil {
			t.Fatal(err)
		}
		return box
	}
	site, r := app(mailbox(address)), newReports()
	d := byCourier(t, r, outbox())
	for n := range 3 {
		d.Alert(site, numbered(n))
	}
	end(t, d, 10*time.Second)
	if files, _ := filepath.Glob(filepath.Join(dir, "outbox", "*.json")); len(files) != 3 {
		t.Fatalf("%d are kept", len(files))
	}
	office := open(t, address)
	for range 2 {
		d = byCourier(t, r, outbox())
		d.Pass(site, nil)
		end(t, d, 30*time.Second)
	}
	if office.count() != 3 || !strings.Contains(office.bodies[0], "alert 0") || !strings.Contains(office.bodies[2], "alert 2") {
		t.Errorf("%d mails: %q", office.count(), office.bodies)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "outbox", "*")); len(files) != 0 {
		t.Errorf("%d are kept still", len(files))
	}
}

func TestAMailServerThatRefusesForGoodIsNotAskedAgain(t *testing.T) {
	office, r := open(t, "127.0.0.1:0"), newReports()
	office.refuse = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	d := byCourier(t, r, nil)
	d.Alert(app(mailbox(office.address)), failed())
	e := r.one(t)
	end(t, d, time.Minute)
	if e.Reason != v1alpha1.ReasonAlertFailed || !strings.Contains(e.Message, "no such user") || strings.Contains(e.Message, "try") {
		t.Errorf("reported %+v", e)
	}
}

// TestAServerThatNeverAnswers is broken off, by mail and by a service over HTTP.
func TestAServerThatNeverAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, address := range []string{mailbox(l.Addr().String()).Shoutrrr, "generic+http://" + l.Addr().String() + "/s3cr3tpath"} {
		r := newReports()
		d := byCourier(t, r, nil)
		spec := v1alpha1.AlertSpec{Shoutrrr: address}
		spec.Timeout.Duration = time.Second
		began := time.Now()
		for range 200 {
			d.Alert(app(spec), failed())
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the caller waited for %v", took)
		}
		end(t, d, 3*time.Second)
		for _, e := range r.all() {
			if e.Reason != v1alpha1.ReasonAlertFailed || strings.Contains(e.Message, "s3cr3t") {
				t.Errorf("reported %+v", e)
			}
		}
	}
}

func TestNoErrorOfAServiceShowsItsAddress(t *testing.T) {
	for _, address := range []string{
		"telegram://123456:s3cr3tTOKEN@telegram?chats=@channel", "smtp://me:s3cr3tPASSWORD@127.0.0.1:1/?from=a@b.example&to=c@d.example",
		"discord://s3cr3tTOKEN@s3cr3tID?bad=s3cr3tvalue", "slack://s3cr3t:token@channel", "ntfy://me:s3cr3tpass@127.0.0.1:1/s3cr3ttopic?scheme=http",
		"gotify://127.0.0.1:1/s3cr3tAbcdefgh?disabletls=yes", "generic+http://127.0.0.1:1/s3cr3tpath?@X-Key=s3cr3tkey", "no address s3cr3t",
		"pushover://shoutrrr:s3cr3tTOKEN@s3cr3tUSER/?devices=s3cr3tDEVICE&priority=x",
	} {
		var out bytes.Buffer
		fmt.Fprint(&out, CheckShoutrrr(address), courier{address: address}.name(), MaskShoutrrr(address))
		if !strings.HasPrefix(address, "telegram") { // that one would ask the world
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			body := fmt.Sprintf(`{"address":%q,"id":"1","thread":"x","alert":{"app":"site","kind":"Failed","phase":"Failed","message":"m"}}`, address)
			if CheckShoutrrr(address) != nil || strings.Contains(address, "127.0.0.1:1") {
				if code := Carry(ctx, strings.NewReader(body), &out); code == 0 {
					t.Errorf("%s: delivered", address)
				}
			}
			cancel()
		}
		if strings.Contains(out.String(), "s3cr3t") {
			t.Errorf("%s", out.String())
		}
	}
}

func TestTheServicesThatValidateKnowsAreThoseThatThereAre(t *testing.T) {
	got := slices.DeleteFunc((&router.ServiceRouter{}).ListServices(), func(s string) bool { return s == "logger" })
	slices.Sort(got)
	if !slices.Equal(got, v1alpha1.ShoutrrrServices) {
		t.Errorf("shoutrrr knows\n%q\nvalidation\n%q", got, v1alpha1.ShoutrrrServices)
	}
	if u, _ := url.Parse("logger://"); CheckShoutrrr(u.String()) == nil {
		t.Error("logger is taken")
	}
}
