package checks

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
	"github.com/evenkeel/evenkeel/reconcilers/runtime"
)

// away is reserved for documentation: no machine has it.
const away = "192.0.2.1"

func TestAskPublic(t *testing.T) {
	healthy := serve(t, "127.0.0.1:0", answer(200))
	broken := serve(t, "127.0.0.1:0", answer(502))
	elsewhere := serve(t, fmt.Sprintf("127.0.0.2:%d", reserve(t)), answer(200)) // as a proxy that is bound to the public address
	closed := reserve(t)
	url := func(host string, port uint16) string {
		return "http://" + net.JoinHostPort(host, strconv.Itoa(int(port))) + "/"
	}
	green := func(url string) *v1alpha1.Learned { return &v1alpha1.Learned{PublicGreenURL: facts.Marker{}.Mark(url)} }
	here := func(url string) *v1alpha1.Learned {
		return &v1alpha1.Learned{PublicGreenURL: facts.Marker{}.Mark(url), ProxyHereURL: facts.Marker{}.Mark(url)}
	}
	for _, tc := range []struct {
		name    string
		url     string
		learned *v1alpha1.Learned
		down    bool // the application itself
		status  metav1.ConditionStatus
		reason  string
		hop     facts.Class // empty: not needed
		code    int
		addr    string
		here    facts.Here
	}{
		{name: "it answers", url: url("127.0.0.1", healthy.Port()), status: yes, reason: "Answers", here: facts.HereYes},
		{name: "the proxy answers 502", url: url("127.0.0.1", broken.Port()), status: no, reason: "BadStatus", hop: facts.Answered, code: 502, addr: "127.0.0.1", here: facts.HereYes},
		{name: "the proxy is bound to another address, and answers there", url: url("127.0.0.1", elsewhere.Port()), learned: green(url("127.0.0.1", elsewhere.Port())),
			status: no, reason: "Refused", hop: facts.Answered, code: 200, addr: "127.0.0.2", here: facts.HereYes},
		{name: "the same, and it was never seen to answer", url: url("127.0.0.1", elsewhere.Port()),
			status: maybe, reason: "NeverSeen", hop: facts.Answered, code: 200, addr: "127.0.0.2", here: facts.HereYes},
		{name: "nothing listens here, and the name leads here", url: url("127.0.0.1", closed), status: no, reason: "Refused", hop: facts.Refused, here: facts.HereYes},
		{name: "nothing listens here, and the proxy was seen here", url: url(away, closed), learned: here(url(away, closed)), status: no, hop: facts.Refused, here: facts.HereYes},
		{name: "nothing listens here, and the proxy of another URL was", url: url(away, closed),
			learned: &v1alpha1.Learned{PublicGreenURL: facts.Marker{}.Mark(url(away, closed)), ProxyHereURL: facts.Marker{}.Mark("https://www.example.test/")}, status: no, hop: facts.NotAsked, here: facts.HereNo},
		{name: "the proxy is on another machine", url: url(away, closed), learned: green(url(away, closed)), status: no, hop: facts.NotAsked, here: facts.HereNo},
		{name: "the proxy is on another machine, and one for other sites fails here", url: url(away, broken.Port()), learned: green(url(away, broken.Port())),
			status: no, hop: facts.NotAsked, here: facts.HereNo},
		{name: "the name is not this machine's, and the proxy that was seen here fails", url: url(away, broken.Port()), learned: here(url(away, broken.Port())),
			status: no, hop: facts.Answered, code: 502, addr: "127.0.0.1", here: facts.HereYes},
		{name: "no hairpin NAT", url: url(away, healthy.Port()), status: maybe, reason: "NeverSeen", hop: facts.Answered, code: 200, addr: "127.0.0.1", here: facts.HereYes},
		{name: "the proxy is on another machine, and was never seen to answer", url: url(away, closed), status: maybe, reason: "NeverSeen", hop: facts.NotAsked, here: facts.HereNo},
		{name: "the application itself is down", url: url("127.0.0.1", broken.Port()), learned: green(url("127.0.0.1", broken.Port())), down: true,
			status: no, reason: "BadStatus", hop: facts.NotAsked},
		{name: "the application itself is down, and the site was never seen", url: url("127.0.0.1", broken.Port()), down: true,
			status: maybe, reason: "NeverSeen", hop: facts.NotAsked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			app := site("site")
			app.Spec.Checks.Public.URL = tc.url
			app.Spec.Checks.Public.Timeout.Duration = 5 * time.Second
			if strings.Contains(tc.url, away) {
				app.Spec.Checks.Public.Timeout.Duration = 300 * time.Millisecond
			}
			app.Status.Learned = tc.learned
			p := prober(t)
			p.FS = procfs.New(t.TempDir()) // with no Nginx of this machine
			r := p.askPublic(t.Context(), &look{app: app}, func() bool { return !tc.down })
			if r.Status != tc.status || tc.reason != "" && r.Reason != tc.reason || r.Message == "" {
				t.Fatalf("%s %s: %q, want %s %s", r.Status, r.Reason, r.Message, tc.status, tc.reason)
			}
			f := factsOf[facts.Public](t, r)
			if f.Here != tc.here {
				t.Errorf("here: %q, want %q", f.Here, tc.here)
			}
			switch {
			case tc.hop == "" && f.Proxy == nil:
			case f.Proxy == nil || f.Proxy.Class != tc.hop || f.Proxy.Status != tc.code || f.Proxy.Addr != tc.addr:
				t.Errorf("the hop: %+v, want %s %d at %q", f.Proxy, tc.hop, tc.code, tc.addr)
			}
			if tc.name == "no hairpin NAT" && !strings.Contains(r.Message, "hairpin") {
				t.Errorf("no hint: %s", r.Message)
			}
		})
	}
}

// nginxWith is a machine whose running Nginx has this configuration.
func nginxWith(t *testing.T, configuration string) procfs.FS {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nginx.conf")
	write(t, file, configuration)
	return machine(t, proc{pid: 80, parent: 1, comm: "nginx", args: []string{"nginx: master process nginx -c " + file}})
}

func TestTheProxysConfigurationTellsWhereItLeads(t *testing.T) {
	configuration := "http {\n server { listen 80; server_name site.test;\n location / { proxy_pass http://%s; } }\n server { listen 80 default_server; }\n}"
	for _, tc := range []struct {
		name, to, url string
		listens       string
		named, ours   bool
	}{
		{"to the application", "127.0.0.1:3003", "http://site.test/", "127.0.0.1:3003", true, true},
		{"to the application by name", "localhost:3003", "http://site.test/", "127.0.0.1:3003", true, true},
		{"to all addresses", "127.0.0.1:3003", "http://site.test/", "0.0.0.0:3003", true, true},
		{"to both families", "127.0.0.1:3003", "http://site.test/", "[::]:3003", true, true},
		{"to another port", "127.0.0.1:3999", "http://site.test/", "127.0.0.1:3003", true, false},
		{"to the other family", "127.0.0.1:3003", "http://site.test/", "[::1]:3003", true, false},
		{"to another machine", away + ":3003", "http://site.test/", "127.0.0.1:3003", true, false},
		{"another site", "127.0.0.1:3003", "http://other.test/", "127.0.0.1:3003", false, false},
		{"another port of the site", "127.0.0.1:3003", "http://site.test:8080/", "127.0.0.1:3003", false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := prober(t)
			p.FS = nginxWith(t, fmt.Sprintf(configuration, tc.to))
			l := &look{app: site("site"), listening: listenersAt(tc.listens)}
			f, _ := p.passes(l, tc.url)
			if f.Named != tc.named || f.Ours != tc.ours || f.Error != "" {
				t.Errorf("%+v", f)
			}
			if tc.named && (!strings.HasSuffix(f.At, "nginx.conf:3") || len(f.To) != 1 || f.To[0] != tc.to) {
				t.Errorf("%+v", f)
			}
		})
	}
	p := prober(t)
	p.FS = machine(t, proc{pid: 80, parent: 1, comm: "nginx", args: []string{"nginx: master process nginx -c /nowhere/n.conf"}})
	if f, _ := p.passes(&look{app: site("site")}, "http://site.test/"); f.Error == "" || f.Named {
		t.Errorf("what cannot be read: %+v", f)
	}
}

func TestWhetherTheProxyIsHereIsAskedOnceAnHour(t *testing.T) {
	asked := 0
	addr := serve(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { asked++ })
	app := site("site")
	app.Spec.Checks.Public.URL = "http://" + addr.String() + "/"
	p := prober(t)
	p.FS = procfs.New(t.TempDir())
	look := func() facts.Here {
		return factsOf[facts.Public](t, p.askPublic(t.Context(), &look{app: app}, func() bool { return true })).Here
	}
	if here := look(); here != facts.HereYes || asked != 2 {
		t.Errorf("the first time: %q, asked %d times", here, asked)
	}
	if here := look(); here != "" || asked != 3 {
		t.Errorf("the second time: %q, asked %d times", here, asked)
	}
	p.ways["site"].hereAt = time.Now().Add(-hereEvery)
	if here := look(); here != facts.HereYes || asked != 5 {
		t.Errorf("an hour later: %q, asked %d times", here, asked)
	}
	app.Spec.Checks.Public.URL += "other"
	if here := look(); here != facts.HereYes || asked != 7 {
		t.Errorf("another URL: %q, asked %d times", here, asked)
	}
}

const welcome = `<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>`

func TestWhatAnAnswerMustHold(t *testing.T) {
	page := func(text string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for n := 0; n < len(header); n += 2 {
				w.Header().Set(header[n], header[n+1])
			}
			_, _ = w.Write([]byte(text))
		}
	}
	for _, tc := range []struct {
		name   string
		h      http.HandlerFunc
		want   v1alpha1.Expectations
		local  facts.Page
		reason string
		says   string
	}{
		{"what it should", page("<h1>Yachts</h1>", "X-Powered-By", "Next.js"), v1alpha1.Expectations{ExpectBody: "Yachts", ExpectHeader: map[string]string{"x-powered-by": "Next"}}, "", "Answers", ""},
		{"another text", page("<h1>Boats</h1>"), v1alpha1.Expectations{ExpectBody: "Yachts"}, "", reasonUnmet, `do not hold "Yachts"`},
		{"another header", page("", "X-Powered-By", "PHP"), v1alpha1.Expectations{ExpectHeader: map[string]string{"X-Powered-By": "Next"}}, "", reasonUnmet, `does not hold "Next"`},
		{"no header", page(""), v1alpha1.Expectations{ExpectHeader: map[string]string{"X-Powered-By": ""}}, "", reasonUnmet, "no header X-Powered-By"},
		{"beyond what is read", page(strings.Repeat("a", bodyRead) + "Yachts"), v1alpha1.Expectations{ExpectBody: "Yachts"}, "", reasonUnmet, "first 64 KiB"},
		{"at the end of what is read", page(strings.Repeat("a", bodyRead-6) + "Yachts"), v1alpha1.Expectations{ExpectBody: "Yachts"}, "", "Answers", ""},
		{"packed although nobody asked", page("\x1f\x8b\x08", "Content-Encoding", "gzip"), v1alpha1.Expectations{ExpectBody: "Yachts"}, "", reasonUnmet, "comes as gzip"},
		{"Nginx's own page", page(welcome), v1alpha1.Expectations{}, "", "DefaultPage", "the page that Nginx comes with"},
		{"Nginx's own page, which is wanted", page(welcome), v1alpha1.Expectations{ExpectBody: "Welcome"}, "", "Answers", ""},
		{"Nginx's own page, from the application itself", page(welcome), v1alpha1.Expectations{}, facts.PageNginxDefault, "Answers", ""},
		{"a page about it", page("<title>How to begin</title><h1>Welcome to nginx!</h1>"), v1alpha1.Expectations{}, "", "Answers", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := serve(t, "127.0.0.1:0", tc.h)
			app := site("site")
			app.Spec.Port = int32(addr.Port())
			app.Spec.Checks.Public.URL = "http://" + addr.String() + "/"
			app.Spec.Checks.Public.Expectations, app.Spec.Checks.Local.Expectations = tc.want, tc.want
			p := prober(t)
			p.FS = procfs.New(t.TempDir())
			r := p.askPublic(t.Context(), &look{app: app, localPage: tc.local}, func() bool { return true })
			if r.Reason != tc.reason || !strings.Contains(r.Message, tc.says) || (r.Status == yes) != (tc.reason == "Answers") {
				t.Errorf("public: %s %s: %q", r.Status, r.Reason, r.Message)
			}
			l := p.askLocal(t.Context(), &look{app: app})
			if want := tc.reason != reasonUnmet; (l.Status == yes) != want {
				t.Errorf("local: %s %s: %q", l.Status, l.Reason, l.Message)
			}
		})
	}
}

func TestEachFamilyIsAskedWhereItListens(t *testing.T) {
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		t.Log("no IPv6 here: only IPv4 is asked")
	}
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		t.Run(at, func(t *testing.T) {
			network := "tcp"
			if strings.HasPrefix(at, "0.") {
				network = "tcp4"
			}
			l, err := net.Listen(network, at)
			if err != nil && strings.HasPrefix(at, "[") {
				return // no IPv6
			}
			if err != nil {
				t.Fatal(err)
			}
			s := &httptest.Server{Listener: l, Config: &http.Server{Handler: answer(204), ReadHeaderTimeout: time.Minute}}
			s.Start()
			t.Cleanup(s.Close)
			app := site("site")
			app.Spec.Port = int32(netip.MustParseAddrPort(l.Addr().String()).Port())
			p := prober(t)
			one := &look{app: app}
			p.listen(t.Context(), one)
			if r := p.askLocal(t.Context(), one); r.Status != yes {
				t.Errorf("%s: %s", r.Reason, r.Message)
			}
		})
	}
}

// newcomers closes every connection but the first one: an application that can open no more files.
type newcomers struct {
	net.Listener
	served bool
}

func (l *newcomers) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || !l.served {
			l.served = true
			return c, err
		}
		_ = c.Close()
	}
}

// TestWhoServesOnlyThoseWhoAreConnectedDoesNotAnswer pins a bug: evenkeel's own connection from an earlier look was served on,
// and the proxy was blamed for the clients who were not.
func TestWhoServesOnlyThoseWhoAreConnectedDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: answer(200), ReadHeaderTimeout: time.Minute}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(&newcomers{Listener: l}) })
	t.Cleanup(func() { _ = server.Close(); served.Wait() })

	app := site("site")
	app.Spec.Directory, app.Spec.Port = t.TempDir(), int32(l.Addr().(*net.TCPAddr).Port)
	app.Spec.Checks.Public.URL = "http://" + serve(t, "127.0.0.1:0", answer(502)).String() + "/"
	main := proc{pid: 100, parent: 1, comm: "node"}
	p := prober(t)
	p.FS, p.Clock = machine(t, main), func() v1alpha1.Instant { return moment(2 * time.Minute) }
	p.Runtime = &fakeRuntime{snapshot: runtime.Snapshot{Daemon: runtime.Daemon{Home: pm2Home, Reachable: true}, Processes: []runtime.Process{row("site", "m", main)}}}
	o := p.Observe(t.Context(), app, []string{v1alpha1.CheckLocal})
	if got := o.Status(v1alpha1.CheckLocal); got != yes {
		t.Fatalf("at first: %s", got)
	}
	o = p.Observe(t.Context(), app, []string{v1alpha1.CheckLocal, v1alpha1.CheckPublic})
	if r, _ := o.Result(v1alpha1.CheckLocal); r.Status != no || r.Reason != string(facts.Closed) {
		t.Errorf("%s %s: %s", r.Status, r.Reason, r.Message)
	}
}
