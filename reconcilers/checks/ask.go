package checks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

const (
	userAgent = "evenkeel"
	// bodyRead bounds how much of an answer is read: enough to give the connection back, never an endless body. What comes
	// compressed is not unpacked.
	bodyRead    = 64 << 10
	headerLimit = 64 << 10
	// maxRedirects is that of net/http.
	maxRedirects = 10
)

var (
	errRedirects = fmt.Errorf("stopped after %d redirects", maxRedirects)
	errCircle    = errors.New("the redirects lead in a circle")
)

// question is one GET and what is wanted of its answer.
type question struct {
	url    string
	limit  time.Duration
	follow bool // redirects, at most ten of them
	want   *v1alpha1.Expectations
	// host is the name that is asked for, and forwarded the scheme by which the world asks, where they are not the URL's.
	host, forwarded string
	// problem says what is wrong with the certificate that was shown, where the client does not refuse it itself.
	problem *facts.Problem
}

// ask sends it and says how it ended. Whatever answers is taken to be hostile: the time, the headers, the redirects and
// the body are bounded.
func ask(ctx context.Context, client *http.Client, q question) facts.HTTP {
	f := facts.HTTP{URL: shown(q.url)}
	ctx, cancel := context.WithTimeout(ctx, q.limit)
	defer cancel()
	began := time.Now()
	defer func() { f.Took = time.Since(began) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url, nil)
	if err != nil {
		f.Class, f.Error = facts.NotAsked, "there is a mistake in its address" // the error quotes it
		return f
	}
	req.Header.Set("User-Agent", userAgent)
	if q.host != "" {
		req.Host = q.host
		req.Header.Set("X-Forwarded-Proto", q.forwarded)
	}
	one := *client
	var way route
	one.CheckRedirect = way.led
	if !q.follow {
		one.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	resp, err := one.Do(req)
	if err != nil {
		f.Class = classify(err)
		f.Error = short(f.Class, err)
		f.Certificate = refused(err)
		if resp != nil { // one redirect too many
			f.Status, f.Server, f.CDN = resp.StatusCode, bound(resp.Header.Get("Server"), 64), cdnOf(resp.Header)
		}
		f.Hops, f.Loop = way.hops, errors.Is(err, errCircle)
		f.Took = time.Since(began)
		return f
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < http.StatusContinue {
		f.Class, f.Error = facts.Garbage, fmt.Sprintf("an answer of status %03d, which HTTP does not have", resp.StatusCode)
		return f
	}
	f.Class, f.Status, f.Server = facts.Answered, resp.StatusCode, bound(resp.Header.Get("Server"), 64)
	f.CDN, f.Hops = cdnOf(resp.Header), way.hops
	if len(way.hops) > 0 {
		if final := shown(resp.Request.URL.String()); final != f.URL {
			f.Final = bound(final, 256)
		}
	}
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		leaf := resp.TLS.PeerCertificates[0]
		f.Certificate = &facts.Cert{NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter}
		if q.problem != nil && *q.problem != "" {
			f.Certificate = described(leaf, *q.problem)
		}
	}
	if err := readBody(resp, &q, &f); err != nil {
		f.Class = classify(err)
		f.Error = "the answer broke off: " + short(f.Class, err)
	}
	f.Took = time.Since(began)
	return f
}

// route is the way that redirects lead.
type route struct{ hops []string }

// led is the client's CheckRedirect. Without cookies, an address that was asked before answers as before.
func (r *route) led(req *http.Request, via []*http.Request) error {
	r.hops = append(r.hops, bound(shown(req.URL.String()), 128))
	if len(via) >= maxRedirects {
		return errRedirects
	}
	to := req.URL.String()
	if slices.ContainsFunc(via, func(v *http.Request) bool { return v.URL.String() == to }) {
		return errCircle
	}
	return nil
}

var bodies = sync.Pool{New: func() any { return new([bodyRead]byte) }}

// readBody reads the beginning of the body, and looks for what is wanted and for what is known.
func readBody(resp *http.Response, q *question, f *facts.HTTP) error {
	buffer := bodies.Get().(*[bodyRead]byte)
	defer bodies.Put(buffer)
	var body []byte
	for len(body) < len(buffer) {
		n, err := resp.Body.Read(buffer[len(body):])
		body = buffer[:len(body)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	f.Page = pageOf(resp, body)
	if q.want != nil {
		f.Unmet = unmet(q.want, resp, body)
		if q.want.ExpectBody != "" && f.Unmet == "" {
			f.Page = "" // it is what is wanted, whatever it is
		}
	}
	return nil
}

// pageOf recognises a page that is certain to be nobody's site.
func pageOf(resp *http.Response, body []byte) facts.Page {
	const top = 1024 // both stand at the very beginning
	body = body[:min(len(body), top)]
	switch {
	case resp.StatusCode == http.StatusOK && bytes.Contains(body, []byte("<title>Welcome to nginx!</title>")) &&
		bytes.Contains(body, []byte("<h1>Welcome to nginx!</h1>")):
		return facts.PageNginxDefault
	case resp.StatusCode == http.StatusBadRequest && bytes.Contains(body, []byte("plain HTTP request was sent to HTTPS port")):
		return facts.PagePlainToTLS
	}
	return ""
}

// unmet says what is wanted of an answer and is not there. It shows nothing of the answer.
func unmet(want *v1alpha1.Expectations, resp *http.Response, body []byte) string {
	for _, name := range slices.Sorted(maps.Keys(want.ExpectHeader)) {
		values, text := resp.Header.Values(name), want.ExpectHeader[name]
		switch {
		case len(values) == 0:
			return "the answer has no header " + name
		case !slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }):
			return fmt.Sprintf("the answer's header %s does not hold %q", name, text)
		}
	}
	switch coding := resp.Header.Get("Content-Encoding"); {
	case want.ExpectBody == "" || bytes.Contains(body, []byte(want.ExpectBody)):
		return ""
	case coding != "" && coding != "identity":
		return fmt.Sprintf("the answer comes as %s although that was not asked for, so that %q was not looked for in it", bound(coding, 32), want.ExpectBody)
	}
	return fmt.Sprintf("the first %d KiB of the answer do not hold %q", bodyRead>>10, want.ExpectBody)
}

// cdnOf names the content delivery network that an answer comes from, by what each of them puts into its answers.
func cdnOf(h http.Header) string {
	server := strings.ToLower(h.Get("Server"))
	switch {
	case server == "cloudflare", h.Get("Cf-Ray") != "":
		return "Cloudflare"
	case h.Get("X-Amz-Cf-Id") != "", server == "cloudfront":
		return "CloudFront"
	case strings.HasPrefix(server, "akamai"):
		return "Akamai"
	case strings.HasPrefix(server, "bunnycdn"):
		return "bunny.net"
	case strings.HasPrefix(h.Get("X-Served-By"), "cache-"):
		return "Fastly"
	}
	return ""
}

// shown is an address as it may be shown: without user, password and query.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// classify says what kind of failure an error of the HTTP client is.
func classify(err error) facts.Class {
	var dns *net.DNSError
	var unknownAuthority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns):
		return facts.DNS
	case errors.As(err, &unknownAuthority), errors.As(err, &invalid), errors.As(err, &hostname), errors.As(err, &verify):
		return facts.Certificate
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return facts.Timeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return facts.Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE),
		strings.Contains(err.Error(), closedUnasked):
		return facts.Closed
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETDOWN):
		return facts.Unreachable
	case errors.Is(err, errRedirects), errors.Is(err, errCircle):
		return facts.Redirects
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record), strings.Contains(err.Error(), tlsAlert):
		return facts.Protocol
	}
	return facts.Garbage
}

// tlsAlert is how net/http, which has no value for it, speaks of an answer in TLS to a question in plain HTTP.
const tlsAlert = `malformed HTTP response "\x15\x03`

// closedUnasked is how net/http, which has no value for it either, speaks of one that hung up before the question was sent.
const closedUnasked = "server closed idle connection"

// short says an error of the HTTP client, whose kind is known, in a few words: without the method and the address, which are
// known already, and without what was answered, which net/http quotes.
func short(class facts.Class, err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var number syscall.Errno
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case class == facts.Protocol:
		return "plain HTTP is spoken where TLS should be, or TLS where plain HTTP should be"
	case class != facts.Garbage:
		return bound(text, 300)
	case errors.As(err, &number):
		return number.Error()
	case strings.Contains(text, "headers exceeded"):
		return "the answer's headers are too many or too long"
	case strings.Contains(text, "Location header"), strings.Contains(text, "unsupported protocol scheme"):
		return "a redirect leads to what is no address of a site"
	}
	return "the answer is no proper HTTP"
}

func bound(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
