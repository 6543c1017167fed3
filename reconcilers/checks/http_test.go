package checks

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
)

// serve answers on an address of this machine, as this handler does, until the test ends.
func serve(t *testing.T, address string, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}}
	s.Start()
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(l.Addr().String())
}

// reserve takes a port of 127.0.0.1 without listening on it, until the test ends: it is refused there, and nobody else gets it.
func reserve(t *testing.T) uint16 {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(name.(*unix.SockaddrInet4).Port)
}

func prober(t *testing.T) *Prober {
	t.Helper()
	p := &Prober{}
	p.once.Do(p.setUp)
	t.Cleanup(func() {
		p.local.CloseIdleConnections()
		p.public.CloseIdleConnections()
	})
	return p
}

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func factsOf[T any](t *testing.T, r v1alpha1.CheckResult) T {
	t.Helper()
	r.Check = "check"
	o := v1alpha1.Observation{Results: []v1alpha1.CheckResult{r}}
	f, ok := facts.Of[T](&o, "check")
	if !ok {
		t.Fatalf("no facts in %+v", r)
	}
	return f
}

func TestAskLocal(t *testing.T) {
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		expect  []int32
		status  metav1.ConditionStatus
		reason  string
		says    string
	}{
		{"200", answer(200), nil, yes, "Answers", "200 in"},
		{"404 is alive", answer(404), nil, yes, "Answers", "404 in"},
		{"a redirect is alive and is not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusPermanentRedirect)
		}, nil, yes, "Answers", "308 in"},
		{"500", answer(500), nil, no, "BadStatus", "answered 500"},
		{"404 where 200 is expected", answer(404), []int32{200}, no, "BadStatus", "answered 404"},
		{"503 where it is expected is a failure all the same", answer(503), []int32{503}, no, "BadStatus", "answered 503"},
		{"no answer in time", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil, no, "Timeout", "no answer in time"},
		{"an empty answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, no, "Closed", "EOF"},
		{"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
		}, nil, no, "Closed", "broke off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := serve(t, "127.0.0.1:0", tc.handler)
			app := site("site")
			app.Spec.Port = int32(addr.Port())
			app.Spec.Checks.Local.ExpectStatus = tc.expect
			app.Spec.Checks.Local.Timeout.Duration = 5 * time.Second
			if tc.reason == "Timeout" {
				app.Spec.Checks.Local.Timeout.Duration = 30 * time.Millisecond
			}
			r := prober(t).askLocal(t.Context(), &look{app: app})
			if r.Status != tc.status || r.Reason != tc.reason || !strings.Contains(r.Message, tc.says) {
				t.Errorf("%s %s: %q, want %s %s: %q", r.Status, r.Reason, r.Message, tc.status, tc.reason, tc.says)
			}
			if f := factsOf[facts.HTTP](t, r); f.Addr != addr.String() || f.Took <= 0 {
				t.Errorf("facts %+v", f)
			}
		})
	}
}

func TestAskLocalAsksWhereTheApplicationListens(t *testing.T) {
	addr := serve(t, fmt.Sprintf("127.0.0.2:%d", reserve(t)), answer(200))
	app := site("site")
	app.Spec.Port = int32(addr.Port())
	found, err := listeners.Listeners(t.Context(), addr.Port())
	if err != nil {
		t.Fatal(err)
	}
	p := prober(t)
	if r := p.askLocal(t.Context(), &look{app: app, listening: found}); r.Status != yes {
		t.Errorf("%s: %s", r.Status, r.Message)
	}
	if r := p.askLocal(t.Context(), &look{app: app}); r.Reason != "Refused" {
		t.Errorf("nobody is seen to listen: %s %s, want Refused at the usual address", r.Reason, r.Message)
	}
}

func TestTheProxyIsAskedForTheSameHostAndFollowedToOtherPorts(t *testing.T) {
	host := make(chan string, 1)
	last := serve(t, "127.0.0.2:0", func(w http.ResponseWriter, r *http.Request) { host <- r.Host })
	first := serve(t, "127.0.0.3:0", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://www.example.test:"+strconv.Itoa(int(last.Port()))+"/", http.StatusMovedPermanently)
	})
	f := prober(t).askProxy(t.Context(), question{url: "http://www.example.test:" + strconv.Itoa(int(first.Port())) + "/", limit: 5 * time.Second, follow: true})
	if f.Class != facts.Answered || f.Status != 200 || f.Addr != "127.0.0.3" {
		t.Fatalf("%+v", f)
	}
	if got := <-host; !strings.HasPrefix(got, "www.example.test:") {
		t.Errorf("asked for host %q", got)
	}
}

func TestPortOf(t *testing.T) {
	for url, want := range map[string]string{
		"https://www.example.test/": "443", "http://www.example.test": "80", "https://www.example.test:8443/x": "8443", "http://[::1]:81/": "81", ":": "",
	} {
		if got := portOf(url); got != want {
			t.Errorf("portOf(%q) = %q, want %q", url, got, want)
		}
	}
}
