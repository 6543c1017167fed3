package checks

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// raw answers each connection with what a function writes.
func raw(t *testing.T, write func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				_, _ = http.ReadRequest(bufio.NewReader(c))
				write(c)
			}()
		}
	}()
	return l.Addr().String()
}

// forever writes a text until nobody reads it any more, and says how much was taken.
func forever(c net.Conn, text string) (taken int) {
	for {
		n, err := c.Write([]byte(text))
		if taken += n; err != nil {
			return taken
		}
	}
}

// Whatever answers may mean harm. Each answer here would never end, or be as large as it likes.
func TestAHostileAnswerCostsNoMoreThanItsTimeAndItsSize(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 64<<20))
	_ = z.Close()
	taken := make(chan int, 1)
	for _, tc := range []struct {
		name    string
		answer  func(net.Conn)
		class   facts.Class
		patient bool // it ends long before the time does
		want    string
	}{
		{"no answer", func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }, facts.Timeout, false, ""},
		{"a header, a letter at a time", func(c net.Conn) {
			_, _ = c.Write([]byte(head + "X-A: "))
			for {
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
				_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
				_, _ = c.Read(make([]byte, 1))
			}
		}, facts.Timeout, false, ""},
		{"a header without an end", func(c net.Conn) {
			_, _ = c.Write([]byte(head + "X-A: "))
			forever(c, strings.Repeat("a", 4096))
		}, facts.Garbage, true, ""},
		{"headers without an end", func(c net.Conn) {
			_, _ = c.Write([]byte(head))
			forever(c, "X-A: "+strings.Repeat("a", 1024)+"\r\n")
		}, facts.Garbage, true, ""},
		{"early hints without an end", func(c net.Conn) { forever(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") }, facts.Garbage, true, ""},
		{"a body without an end", func(c net.Conn) {
			_, _ = c.Write([]byte(head + "\r\n"))
			taken <- forever(c, strings.Repeat("a", 64<<10))
		}, facts.Answered, true, ""},
		{"a body, a letter at a time", func(c net.Conn) {
			_, _ = c.Write([]byte(head + "Content-Length: 1000000\r\n\r\n"))
			for {
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
				_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
				_, _ = c.Read(make([]byte, 1))
			}
		}, facts.Timeout, false, ""},
		{"chunks without an end", func(c net.Conn) {
			_, _ = c.Write([]byte(head + "Transfer-Encoding: chunked\r\n\r\n"))
			forever(c, "1\r\na\r\n")
		}, facts.Answered, true, ""},
		{"a bomb in a small packet", func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", head, bomb.Len())
			_, _ = c.Write(bomb.Bytes())
		}, facts.Answered, true, "comes as gzip"},
		{"no HTTP at all", func(c net.Conn) { forever(c, "SSH-2.0-OpenSSH_9.2p1\r\n") }, facts.Garbage, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			limit := 200 * time.Millisecond
			if tc.patient {
				limit = 20 * time.Second
			}
			addr := raw(t, tc.answer)
			p := prober(t)
			f := ask(t.Context(), p.public.Client, question{url: "http://" + addr + "/", limit: limit, follow: true, want: &v1alpha1.Expectations{ExpectBody: "yachts"}})
			if f.Class != tc.class || tc.patient && f.Took > limit/2 || !strings.Contains(f.Unmet, tc.want) {
				t.Errorf("%+v", f)
			}
			if tc.name == "a body without an end" {
				// What it may send is what was read and what lay in the buffers of two sockets.
				if n := <-taken; n > 32<<20 {
					t.Errorf("%d bytes were taken", n)
				}
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	to := func(path, target string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "nginx")
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusFound)
			_, _ = w.Write(make([]byte, 1<<20)) // a body that nobody wants
		})
	}
	to("/once", "/")
	to("/circle", "/circle?x=1")
	mux.HandleFunc("/self", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/self", http.StatusFound) })
	to("/long", "https://user:secret@www.example.test/"+strings.Repeat("a", 20<<10))
	to("/file", "file:///etc/passwd")
	mux.HandleFunc("/on/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {})
	p := prober(t)
	for _, tc := range []struct {
		path  string
		class facts.Class
		hops  int
		loop  bool
		code  int
		final string
	}{
		{"/", facts.Answered, 0, false, 200, ""},
		{"/once", facts.Answered, 1, false, 200, s.URL + "/"},
		{"/self", facts.Redirects, 1, true, 302, ""},
		{"/circle", facts.Redirects, 2, true, 302, ""},
		{"/on/", facts.Redirects, 10, false, 302, ""},
		{"/file", facts.Garbage, 1, false, 0, ""},
	} {
		f := ask(t.Context(), p.public.Client, question{url: s.URL + tc.path, limit: 5 * time.Second, follow: true})
		if f.Class != tc.class || len(f.Hops) != tc.hops || f.Loop != tc.loop || f.Status != tc.code || f.Final != tc.final {
			t.Errorf("%s: %+v", tc.path, f)
		}
	}
	p.Resolver = &net.Resolver{PreferGo: true, Dial: refuse}
	p.public = newPublicClient(nil, p.dialer())
	f := ask(t.Context(), p.public.Client, question{url: s.URL + "/long", limit: 5 * time.Second, follow: true})
	if f.Class != facts.DNS || len(f.Hops) != 1 || len(f.Hops[0]) > 140 || strings.Contains(fmt.Sprint(f), "secret") {
		t.Errorf("a long one to a name that does not resolve: %+v", f)
	}
}

// TestNothingOfAnAnswerIsQuoted: net/http's own errors do.
func TestNothingOfAnAnswerIsQuoted(t *testing.T) {
	const secret = "s3cr3t"
	for name, answer := range map[string]string{
		"a header without a colon":  "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n",
		"a status line":             "HTTP/1.1 " + secret + "\r\n\r\n",
		"no HTTP":                   secret + "\r\n\r\n",
		"a version":                 "HTTP/9." + secret + " 200 OK\r\n\r\n",
		"a length":                  "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"two lengths":               "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8" + secret + "\r\n\r\n",
		"a transfer encoding":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
		"a chunk":                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
		"a trailer":                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\n" + secret + "\r\n\r\n",
		"a redirect":                "HTTP/1.1 302 Found\r\nLocation: http://[::1/?token=" + secret + "\r\nContent-Length: 0\r\n\r\n",
		"a redirect to a scheme":    "HTTP/1.1 302 Found\r\nLocation: shop:x?token=" + secret + "\r\nContent-Length: 0\r\n\r\n",
		"an alert of TLS, and more": "\x15\x03\x01\x00\x02" + secret + "\r\n\r\n",
	} {
		for _, follow := range []bool{true, false} {
			addr := raw(t, func(c net.Conn) { _, _ = c.Write([]byte(answer)) })
			f := ask(t.Context(), prober(t).public.Client, question{url: "http://" + addr + "/", limit: 5 * time.Second, follow: follow})
			if f.Class != facts.Answered && f.Error == "" || strings.Contains(f.Error+strings.Join(f.Hops, ""), secret) {
				t.Errorf("%s: %s: %q", name, f.Class, f.Error)
			}
		}
	}
	if f := ask(t.Context(), prober(t).public.Client, question{url: "http://%zz" + secret, limit: time.Second}); f.Class != facts.NotAsked || strings.Contains(f.Error, secret) {
		t.Errorf("%+v", f)
	}
}

func TestTheWrongProtocolIsNamed(t *testing.T) {
	plain := serve(t, "127.0.0.1:0", answer(200))
	secure := httptest.NewUnstartedServer(answer(200))
	secure.Config.ErrorLog = discard
	secure.TLS = &tls.Config{}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	nginx := raw(t, func(c net.Conn) {
		const page = "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"
		_, _ = fmt.Fprintf(c, "HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(page), page)
	})
	alert := raw(t, func(c net.Conn) { _, _ = c.Write([]byte("\x15\x03\x01\x00\x02\x02\x46")) })
	p := prober(t)
	asked := func(url string) facts.HTTP {
		return ask(t.Context(), p.public.Client, question{url: url, limit: 5 * time.Second, follow: true})
	}
	if f := asked("https://" + plain.String() + "/"); f.Class != facts.Protocol {
		t.Errorf("HTTPS to a plain port: %+v", f)
	}
	if f := asked("http://" + strings.TrimPrefix(secure.URL, "https://") + "/"); f.Class != facts.Answered || f.Status != 400 {
		t.Errorf("HTTP to Go's own HTTPS: %+v", f)
	}
	if f := asked("http://" + nginx + "/"); f.Class != facts.Answered || f.Page != facts.PagePlainToTLS {
		t.Errorf("HTTP to Nginx's HTTPS port: %+v", f)
	}
	if f := asked("http://" + alert + "/"); f.Class != facts.Protocol {
		t.Errorf("HTTP to others' HTTPS port: %+v", f)
	}
}

func TestWhoDeliversTheSiteIsNamed(t *testing.T) {
	for want, header := range map[string][2]string{
		"Cloudflare": {"Server", "cloudflare"}, "CloudFront": {"X-Amz-Cf-Id", "x"}, "Akamai": {"Server", "AkamaiGHost"},
		"bunny.net": {"Server", "BunnyCDN-DE1-1"}, "Fastly": {"X-Served-By", "cache-fra-1"}, "": {"Server", "nginx/1.22.1"},
	} {
		h := http.Header{}
		h.Set(header[0], header[1])
		if got := cdnOf(h); got != want {
			t.Errorf("%v: %q, want %q", header, got, want)
		}
	}
}
