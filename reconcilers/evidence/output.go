//go:build linux

package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
)

const (
	// tailRead is how much of the end of a log is read, in bytes; tailKept how much of it is kept once it is masked.
	tailRead = 64 << 10
	tailKept = 24 << 10
	// bodyRead and bodyKept are the same for the beginning of an answer's body.
	bodyRead = 16 << 10
	bodyKept = 6 << 10
	// answerTime is how long an answer is waited for.
	answerTime = time.Second
)

// output looks at the last lines of the application's log: of what it prints, or of its errors.
func (c *Collector) output(name string, errs bool) func(context.Context, *scene) part {
	return func(ctx context.Context, s *scene) part {
		p := part{name: name, limit: tailKept, keepEnd: true}
		var files []string
		for n := range s.snapshot.Processes {
			row := &s.snapshot.Processes[n]
			file := row.OutLog
			if errs {
				if file = row.ErrLog; file == row.OutLog {
					continue
				}
			}
			if file != "" && file != "/dev/null" && !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
		var b strings.Builder
		for _, file := range files {
			text, cut, err := tail(ctx, file, tailRead/len(files))
			if err != nil {
				p.err = errors.Join(p.err, fmt.Errorf("%s: %w", file, err))
				continue
			}
			if len(files) > 1 {
				fmt.Fprintf(&b, "== %s\n", file)
				text = s.masker.Part(text, cut, false)
			}
			p.head = p.head || cut
			b.WriteString(text)
		}
		p.text = b.String()
		return p
	}
}

// tail reads the end of a regular file, and tells whether there was more before it. No pipe is waited for.
func tail(ctx context.Context, path string, most int) (text string, cut bool, err error) {
	if err := ctx.Err(); err != nil {
		return "", false, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", false, err
	}
	if !info.Mode().IsRegular() {
		return "", false, errors.New("is no regular file")
	}
	b := make([]byte, min(info.Size(), int64(most)))
	n, err := f.ReadAt(b, info.Size()-int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	return string(b[:n]), info.Size() > int64(len(b)), nil
}

// shownHeaders are those that say something, and nothing of anybody.
var shownHeaders = []string{
	"Content-Type", "Content-Length", "Date", "Server", "X-Powered-By", "Location", "Retry-After", "Connection", "Cache-Control",
	"Via", "X-Nextjs-Cache", "X-Cache", "Transfer-Encoding",
}

// answers asks once more, and keeps what is answered: of the application on this machine, and of the public address where that
// did not hold.
func (c *Collector) answers(ctx context.Context, s *scene) part {
	p := part{name: "answers", limit: 2*bodyKept + 2<<10}
	var latest *v1alpha1.Observation
	if n := len(s.step.Recent); n > 0 {
		latest = &s.step.Recent[n-1]
	}
	checks := &s.app.Spec.Checks
	p.text = c.answer(ctx, s, "http://"+whereAsked(ctx, s, latest)+checks.Local.Path)
	if checks.Public.URL != "" && latest.Status(v1alpha1.CheckPublic) == metav1.ConditionFalse {
		p.text += "\n" + c.answer(ctx, s, checks.Public.URL)
	}
	return p
}

// whereAsked is where the local check has asked: others may listen on the same port at other addresses. Where it has not, it
// is where it would ask.
func whereAsked(ctx context.Context, s *scene, latest *v1alpha1.Observation) string {
	if local, _ := facts.Of[facts.HTTP](latest, v1alpha1.CheckLocal); local.Addr != "" {
		return local.Addr
	}
	found, _ := listeners.Listeners(ctx, uint16(s.app.Spec.Port))
	addr, ok := listeners.DialAddr(found)
	if !ok {
		addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(s.app.Spec.Port))
	}
	return addr.String()
}

// answer asks for an address, and gives what came: the status line, some headers, the beginning of the body.
func (c *Collector) answer(ctx context.Context, s *scene, address string) string {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "GET " + address + ": " + err.Error() + "\n"
	}
	req.Header.Set("User-Agent", "evenkeel")
	transport := &http.Transport{
		DialContext: (&net.Dialer{}).DialContext, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
	}
	client := http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	began := time.Now()
	res, err := client.Do(req)
	took := time.Since(began).Round(time.Millisecond)
	if err != nil {
		return fmt.Sprintf("GET %s: after %s: %v\n", address, took, err)
	}
	defer res.Body.Close()
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s: after %s\n%s %s\n", address, took, res.Proto, res.Status)
	for _, name := range shownHeaders {
		for _, value := range res.Header.Values(name) {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, bodyRead))
	text := s.masker.Part(printable(string(body)), false, len(body) == bodyRead)
	b.WriteString("\n" + shorten(text, bodyKept) + "\n")
	if err != nil {
		fmt.Fprintf(&b, "(the body broke off: %v)\n", err)
	}
	return b.String()
}
