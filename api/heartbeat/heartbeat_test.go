package heartbeat

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is where heartbeats go.
type service struct {
	mu     sync.Mutex
	at     []time.Duration
	began  time.Time
	code   int
	err    error
	hangs  bool
	events []v1alpha1.Event
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Since(s.began))
	if s.hangs {
		s.mu.Unlock()
		<-r.Context().Done()
		s.mu.Lock()
		return nil, r.Context().Err()
	}
	if s.err != nil {
		return nil, s.err
	}
	return &http.Response{StatusCode: s.code, Body: io.NopCloser(strings.NewReader("OK")), Request: r}, nil
}

func (s *service) report(e v1alpha1.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func beater(s *service) *Beater {
	s.began, s.code = time.Now(), 200
	log := logrus.New()
	log.SetOutput(io.Discard)
	b := New(Options{Report: s.report, Log: log})
	b.client.Transport = s
	return b
}

func app() *v1alpha1.App {
	a := v1alpha1.NewApp()
	a.Name, a.Spec.Heartbeat = "site", &v1alpha1.HeartbeatSpec{URL: "https://hc.example.com/s3cr3t"}
	v1alpha1.SetDefaults(a)
	return a
}

// passes lets passes finish, one every so often.
func passes(b *Beater, n int, every time.Duration) {
	for range n {
		b.Pass(app())
		synctest.Wait()
		time.Sleep(every) // of virtual time
	}
}

func TestAHeartbeatFollowsAFinishedPassAndKeepsItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		b := beater(s)
		passes(b, 61, 10*time.Second)
		if len(s.at) != 11 || s.at[1] != time.Minute {
			t.Errorf("in ten minutes of a pass every ten seconds: %v", s.at)
		}
		time.Sleep(time.Hour) // no pass finishes
		if len(s.at) != 11 {
			t.Error("there was a heartbeat without a pass")
		}
		passes(b, 10, 59*time.Second)
		if len(s.at) != 21 {
			t.Errorf("of ten passes a little early: %d", len(s.at)-11)
		}
		b.Close(t.Context())
		b.Pass(app())
		if len(s.at) != 21 || len(s.events) != 0 {
			t.Errorf("%d after the end, %+v", len(s.at)-21, s.events)
		}
	})
}

func TestAServiceThatHangsDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{hangs: true}
		b := beater(s)
		began := time.Now()
		for range 100 {
			b.Pass(app())
		}
		if time.Since(began) != 0 {
			t.Error("the caller waited")
		}
		synctest.Wait()
		if len(s.at) != 1 {
			t.Errorf("%d at once", len(s.at))
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if len(s.events) != 1 || !strings.Contains(s.events[0].Message, "https://hc.example.com/…: no answer within 10s") {
			t.Errorf("%+v", s.events)
		}
		time.Sleep(time.Minute)
		b.Pass(app())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		b.Close(ctx)
		if took := time.Since(began); took != time.Second {
			t.Errorf("the end took %s", took)
		}
	})
}

func TestAFailureIsToldOnceAndItsEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		b := beater(s)
		s.code = 404
		passes(b, 5, time.Minute)
		s.err = errors.New("dial tcp: connection refused")
		passes(b, 5, time.Minute)
		s.err, s.code = nil, 200
		passes(b, 5, time.Minute)
		b.Close(t.Context())
		if len(s.events) != 2 || s.events[0].Reason != v1alpha1.ReasonHeartbeatFailed || s.events[1].Reason != v1alpha1.ReasonHeartbeatBack ||
			!strings.Contains(s.events[0].Message, "answered 404") || !strings.Contains(s.events[1].Message, "after 10m0s") {
			t.Errorf("%+v", s.events)
		}
		for _, e := range s.events {
			if strings.Contains(e.Message, "s3cr3t") || e.App != "site" {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestWithoutAnAddressThereIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		b := beater(s)
		a := app()
		a.Spec.Heartbeat = nil
		b.Pass(a)
		b.Close(t.Context())
		if len(s.at) != 0 {
			t.Error("there was one")
		}
	})
}

// TestNothingOfWhatTheServiceSaysIsQuoted, be it what is no HTTP, or the words beside a status: it may be the address.
func TestNothingOfWhatTheServiceSaysIsQuoted(t *testing.T) {
	for _, answer := range []string{
		"s3cr3t\r\n\r\n", "HTTP/1.1 s3cr3t\r\n\r\n", "HTTP/1.1 404 s3cr3t\r\nContent-Length: 6\r\n\r\ns3cr3t",
		"HTTP/1.1 302 Found\r\nLocation: /s3cr3t\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: s3cr3t\r\n\r\n", "",
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if connection, err := listener.Accept(); err == nil {
				_, _ = http.ReadRequest(bufio.NewReader(connection))
				_, _ = io.WriteString(connection, answer)
				_ = connection.Close()
			}
		}()
		log := logrus.New()
		log.SetOutput(io.Discard)
		b := New(Options{Log: log})
		err = b.beat(v1alpha1.HeartbeatSpec{URL: "http://" + listener.Addr().String() + "/s3cr3t", Timeout: metav1.Duration{Duration: 10 * time.Second}})
		b.Close(t.Context())
		_ = listener.Close()
		<-done
		if err == nil || strings.Contains(err.Error(), "s3cr3t") || len(err.Error()) > 200 {
			t.Errorf("%q gave %v", answer, err)
		}
	}
}
