package cmd

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/alert"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/state"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == courierName { // evenkeel runs itself, and here that is this test
		os.Exit(Execute())
	}
	os.Exit(m.Run())
}

// receivers are an SMTP server and a webhook on loopback.
type receivers struct {
	mu       sync.Mutex
	subjects []string // of the mails, with the message that they refer to
	threads  []string // of the webhook's
	kinds    []string
	hooked   chan struct{} // one for each that the webhook took
}

// Data takes a mail.
func (r *receivers) Data(body io.Reader) error {
	m, err := mail.ReadMessage(body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.subjects = append(r.subjects, m.Header.Get("Subject")+" "+m.Header.Get("References"))
	return nil
}

func (r *receivers) Mail(string, *smtp.MailOptions) error { return nil }
func (r *receivers) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (r *receivers) Reset()                               {}
func (r *receivers) Logout() error                        { return nil }

func (r *receivers) hook(_ http.ResponseWriter, request *http.Request) {
	var a struct{ Thread, Kind, Subject string }
	_ = json.NewDecoder(request.Body).Decode(&a)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.threads, r.kinds = append(r.threads, a.Thread+" "+a.Subject), append(r.kinds, a.Kind)
	r.hooked <- struct{}{}
}

// flap lets an App fail and be mended n times, every so often, through the engine's own brain, and gives what it tells.
func flap(t *testing.T, app *v1alpha1.App, n int, every time.Duration) (told []v1alpha1.Alert) {
	t.Helper()
	domain := &machine{wrong: map[string]v1alpha1.Verdict{app.Name: {
		Rule: "crashed", Blame: v1alpha1.BlameApp, Reason: "ProcessGone", Message: "it crashed", Remedy: v1alpha1.RemedyRecover, OwnFault: true, Certain: true, Down: true,
	}}, looked: map[string]int{}}
	var record v1alpha1.AppStatus
	var recent []v1alpha1.Observation
	now := at(0)
	var step func(in controller.Input)
	step = func(in controller.Input) {
		status, commands, _ := controller.Step(domain, pass.Case{App: app, Record: record, Recent: recent, Now: now}, in)
		record = status
		for _, c := range commands {
			switch c := c.(type) {
			case controller.Tell:
				told = append(told, c.Alert)
			case controller.Act:
				now = now.Add(time.Second)
				defer step(controller.Input{Done: &pass.StepResult{Step: c.Step.Name, Outcome: v1alpha1.StepDone}})
			}
		}
	}
	look := func(is metav1.ConditionStatus) {
		o := v1alpha1.Observation{At: now, Results: []v1alpha1.CheckResult{
			{Check: v1alpha1.CheckLocal, Status: is, At: now, Required: true, Leading: true, Reason: "Test"},
			{Check: v1alpha1.CheckPublic, Status: is, At: now, Required: true, Reason: "Test"},
		}}
		recent = controller.Remember(recent, o, domain.Checks(app))
		step(controller.Input{Observed: true})
	}
	for range n {
		look(metav1.ConditionFalse)
		for end := now.Add(every); now.Before(end); now = now.Add(time.Minute) {
			look(metav1.ConditionTrue)
		}
	}
	if record.LastIncident != 1 {
		t.Fatalf("%d incidents", record.LastIncident)
	}
	return told
}

func TestTwoHundredFlapsMakeOneThread(t *testing.T) {
	r := &receivers{hooked: make(chan struct{}, 1000)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return r, nil }))
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	hook := httptest.NewServer(http.HandlerFunc(r.hook))
	defer hook.Close()

	app := site(t)
	app.UID = "u-1"
	app.Spec.Alerts = []v1alpha1.AlertSpec{
		{Webhook: hook.URL}, {Shoutrrr: "smtp://" + l.Addr().String() + "/?auth=None&from=evenkeel@example.com&to=ops@example.com"},
	}
	v1alpha1.SetDefaults(app)
	app.Spec.Paused, app.Spec.Recovery.ProvenAfter.Duration = true, 24*time.Hour // else it gives up, or each is an incident of its own
	told := flap(t, app, 200, 20*time.Minute)
	// 67 hours: one Flapping in an hour at most, and its end; and the pause is recalled.
	if len(told) < 20 || len(told) > 140 {
		t.Fatalf("200 flaps were told %d times", len(told))
	}

	log := logrus.New()
	log.SetOutput(io.Discard)
	box, err := state.OpenOutbox(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := alert.New(alert.Options{Report: func(v1alpha1.Event) {}, Log: log, Host: "web1", Courier: (&globals{}).courier(), Outbox: box})
	hooked := app.DeepCopy()
	hooked.Spec.Alerts = hooked.Spec.Alerts[:1]
	for n, a := range told { // all of them, one after the other, so that none waits and is superseded
		d.Alert(hooked, a)
		select {
		case <-r.hooked:
		case <-time.After(30 * time.Second):
			t.Fatalf("the webhook has not taken alert %d of %d", n, len(told))
		}
	}
	all := len(told)
	told = append(told[:6:6], told[len(told)-6:]...) // each mail is a process; a dozen shows it
	for _, a := range told {
		d.Alert(app, a)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, list := range map[string][]string{"webhook": r.threads, "mail": r.subjects} {
		if len(list) == 0 {
			t.Errorf("%s: none", name)
		}
		for _, thread := range list {
			if thread != list[0] || !strings.Contains(thread, "bbyatch on web1: incident 1") {
				t.Errorf("%s: %q beside %q", name, thread, list[0])
			}
		}
	}
	// Of what says the same again and waits behind a slower receiver, only the newest is sent.
	if len(r.threads) < all+3 || len(r.subjects) < 3 || len(r.subjects) > len(told) || r.kinds[0] != string(told[0].Kind) {
		t.Errorf("%d were told, by webhook %q, %d mails", all, r.kinds, len(r.subjects))
	}
}
