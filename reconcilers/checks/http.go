package checks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
)

const (
	userAgent = "evenkeel"
	// bodyRead bounds how much of an answer is read: enough to give the connection back, never an endless body.
	bodyRead    = 64 << 10
	headerLimit = 64 << 10
	// keptFor is how long the public check may reuse a connection: DNS, certificate and listener are to be met anew from
	// time to time.
	keptFor = time.Minute
	// maxRedirects is that of net/http.
	maxRedirects = 10
)

// errRedirects reads like net/http's own, which is no value.
var errRedirects = fmt.Errorf("stopped after %d redirects", maxRedirects)

func newLocalClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{}).DialContext,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        4 * time.Second, // Node closes its side after 5 s
			MaxResponseHeaderBytes: headerLimit,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// publicClient asks as the world does. It drops its connections from time to time.
type publicClient struct {
	roots *x509.CertPool
	*http.Client
	mu    sync.Mutex
	fresh time.Time
}

func newPublicClient(roots *x509.CertPool) *publicClient {
	return &publicClient{roots: roots, Client: &http.Client{Transport: publicTransport(roots, nil)}}
}

func publicTransport(roots *x509.CertPool, dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        keptFor,
		MaxResponseHeaderBytes: headerLimit,
		DisableCompression:     true,
	}
}

// renew drops connections that have been kept for long enough.
func (c *publicClient) renew(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.fresh) >= keptFor {
		c.CloseIdleConnections()
		c.fresh = now
	}
}

// askLocal asks the application itself, on the address on which it listens.
func (p *Prober) askLocal(ctx context.Context, l *look) v1alpha1.CheckResult {
	spec := l.app.Spec.Checks.Local
	addr, ok := listeners.DialAddr(l.listening)
	if !ok {
		addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(l.app.Spec.Port))
	}
	f := ask(ctx, p.local, "http://"+addr.String()+spec.Path, timeout(l.app, v1alpha1.CheckLocal))
	f.Addr = addr.String()
	r := v1alpha1.CheckResult{Took: metav1.Duration{Duration: f.Took}, Facts: facts.Raw(f)}
	switch {
	case f.Class != facts.Answered:
		r.Status, r.Reason, r.Message = metav1.ConditionFalse, string(f.Class), fmt.Sprintf("no answer from %s: %s", addr, f.Error)
	case len(spec.ExpectStatus) > 0 && !slices.Contains(spec.ExpectStatus, int32(f.Status)), f.Status >= 500:
		r.Status, r.Reason = metav1.ConditionFalse, "BadStatus"
		r.Message = fmt.Sprintf("%s answered %d in %s", addr, f.Status, f.Took.Round(time.Millisecond))
	default:
		r.Status, r.Reason = metav1.ConditionTrue, "Answers"
		r.Message = fmt.Sprintf("%d in %s", f.Status, f.Took.Round(time.Millisecond))
	}
	return r
}

// Question is one GET outside the passes.
type Question struct {
	URL string
	// Follow says that redirects are followed, at most ten of them.
	Follow bool
	// Dial makes the connection; nil does as the world does. See [DialHere].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Roots are the certification authorities that are trusted; nil for the machine's.
	Roots *x509.CertPool
	// Timeout bounds it.
	Timeout time.Duration
}

// Ask asks once, over a connection of its own, and tells which addresses it was sent on to.
func Ask(ctx context.Context, q Question) (answer facts.HTTP, hops []string) {
	transport := publicTransport(q.Roots, q.Dial)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if !q.Follow {
			return http.ErrUseLastResponse
		}
		hops = append(hops, shown(req.URL.String()))
		if len(via) >= maxRedirects {
			return errRedirects
		}
		return nil
	}}
	answer = ask(ctx, client, q.URL, q.Timeout)
	return answer, hops
}

// ask sends one GET and says how it ended.
func ask(ctx context.Context, client *http.Client, address string, limit time.Duration) facts.HTTP {
	f := facts.HTTP{URL: shown(address)}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	defer func() { f.Took = time.Since(began) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		f.Class, f.Error = facts.NotAsked, err.Error()
		return f
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := client.Do(req)
	if err != nil {
		f.Class, f.Error = classify(err), short(err)
		f.Took = time.Since(began)
		return f
	}
	defer func() { _ = resp.Body.Close() }()
	f.Class, f.Status, f.Server = facts.Answered, resp.StatusCode, bound(resp.Header.Get("Server"), 64)
	if final := shown(resp.Request.URL.String()); final != f.URL {
		f.Final = bound(final, 256)
	}
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		f.Expires = time.Until(resp.TLS.PeerCertificates[0].NotAfter)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, bodyRead); err != nil && !errors.Is(err, io.EOF) {
		f.Class, f.Error = classify(err), "the answer broke off: "+short(err)
	}
	f.Took = time.Since(began)
	return f
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
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return facts.Closed
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return facts.Unreachable
	case strings.Contains(err.Error(), "stopped after 10 redirects"): // net/http has no value for it
		return facts.Redirects
	}
	return facts.Garbage
}

// short takes the method and the address off an error of the HTTP client: they are known already.
func short(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return bound(err.Error(), 300)
}

func bound(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
