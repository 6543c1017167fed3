package checks

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// FuzzAnswer lets a server answer every connection with any bytes. Asking ends, holds no more than its bounds, and says what
// kind of answer it was.
func FuzzAnswer(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, seed := range []string{
		"", "\x15\x03\x01\x00\x02\x02\x28", "SSH-2.0-OpenSSH\r\n", ok + "\r\n", ok + "Content-Length: 5\r\n\r\nhello", ok + "Content-Length: 99\r\n\r\nhello",
		ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		ok + "Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00", ok + "Content-Length: -1\r\n\r\n", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"HTTP/1.1 302 Found\r\nLocation: /a\r\n\r\n", "HTTP/1.1 301 x\r\nLocation: //\x00evil\r\n\r\n", "HTTP/1.1 307 x\r\nLocation: https://127.0.0.1:1/\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: file:///etc/shadow\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: http://u:secret@h/?token=secret\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
		"HTTP/1.1 999 x\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 200\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n",
		ok + "Server: \xff\xfe" + strings.Repeat("s", 300) + "\r\n\r\n<title>Welcome to nginx!</title><h1>Welcome to nginx!</h1>", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 50),
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	classes := []facts.Class{facts.Answered, facts.Refused, facts.Timeout, facts.Closed, facts.Certificate, facts.DNS, facts.Unreachable,
		facts.Redirects, facts.Protocol, facts.Garbage, facts.NotAsked}
	f.Fuzz(func(t *testing.T, answer []byte, follow bool) {
		dialed := 0
		transport := publicTransport(nil, func(context.Context, string, string) (net.Conn, error) {
			dialed++
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				if _, err := http.ReadRequest(bufio.NewReader(there)); err != nil {
					return
				}
				_, _ = io.Copy(there, bytes.NewReader(answer))
			}()
			return here, nil
		})
		defer transport.CloseIdleConnections()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := ask(t.Context(), &http.Client{Transport: transport}, question{
			url: "http://127.0.0.1:3003/", limit: 5 * time.Second, follow: follow,
			want: &v1alpha1.Expectations{ExpectBody: "hello", ExpectHeader: map[string]string{"server": "n"}},
		})
		runtime.ReadMemStats(&after)
		switch {
		case !slices.Contains(classes, got.Class):
			t.Fatalf("class %q", got.Class)
		case got.Class == facts.Timeout && got.Took < time.Second:
			t.Fatalf("it speaks of a timeout after %s", got.Took)
		case len(got.Error) > 400 || len(got.Server) > 70 || len(got.Unmet) > 1500 || len(got.Final) > 260 || len(got.CDN) > 20:
			t.Fatalf("without bounds: %+v", got)
		case len(got.Hops) > maxRedirects+1 || slices.ContainsFunc(got.Hops, func(h string) bool { return len(h) > 140 }):
			t.Fatalf("hops: %q", got.Hops)
		case !follow && len(got.Hops) > 0:
			t.Fatalf("it was sent on without being told to follow: %q", got.Hops)
		case dialed > 3*(maxRedirects+2):
			t.Fatalf("%d connections", dialed)
		case !utf8.ValidString(got.Server) && len(got.Server) > 64:
			t.Fatalf("cut within a letter: %q", got.Server)
		case after.TotalAlloc-before.TotalAlloc > 16<<20:
			t.Fatalf("%d bytes of memory for %d bytes of answer", after.TotalAlloc-before.TotalAlloc, len(answer))
		case got.Class == facts.Answered && (got.Status < 100 || got.Status > 999):
			t.Fatalf("status %d", got.Status)
		}
		for _, h := range append(got.Hops, got.Final) {
			_, after, _ := strings.Cut(h, "://")
			if host, _, _ := strings.Cut(after, "/"); strings.Contains(host, "@") || strings.Contains(h, "?") {
				t.Fatalf("an address is shown with its secrets: %q", h)
			}
		}
	})
}
