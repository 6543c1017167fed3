package checks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
)

// keptFor is how long the public check may reuse a connection: DNS, certificate and listener are to be met anew from time
// to time.
const keptFor = time.Minute

func newLocalClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:            (&net.Dialer{}).DialContext,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        4 * time.Second, // Node closes its side after 5 s
		MaxResponseHeaderBytes: headerLimit,
		DisableCompression:     true,
	}}
}

// publicClient asks as the world does. It drops its connections from time to time.
type publicClient struct {
	*http.Client
	mu    sync.Mutex
	fresh time.Time
}

func newPublicClient(roots *x509.CertPool, dialer *net.Dialer) *publicClient {
	return &publicClient{Client: &http.Client{Transport: publicTransport(roots, dialer.DialContext)}}
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

// localAddr is where the application is asked: the address on which it listens, else the usual one.
func (l *look) localAddr() netip.AddrPort {
	if l.own.IsValid() {
		return l.own
	}
	addr, ok := listeners.DialAddr(l.listening)
	if !ok {
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(l.app.Spec.Port))
	}
	return addr
}

// askLocal asks the application itself, on the address on which it listens.
func (p *Prober) askLocal(ctx context.Context, l *look) v1alpha1.CheckResult {
	spec := l.app.Spec.Checks.Local
	addr := l.localAddr()
	l.askedAt = addr
	f := ask(ctx, p.local, question{
		url: "http://" + addr.String() + spec.Path, limit: timeout(l.app, v1alpha1.CheckLocal), want: &spec.Expectations,
	})
	f.Addr, f.Wants, l.localPage = addr.String(), p.Marks.Expectations(&spec), f.Page
	r := v1alpha1.CheckResult{Took: metav1.Duration{Duration: f.Took}, Facts: facts.Raw(f)}
	switch {
	case f.Class != facts.Answered:
		r.Status, r.Reason, r.Message = metav1.ConditionFalse, string(f.Class), fmt.Sprintf("no answer from %s: %s", addr, f.Error)
	case len(spec.ExpectStatus) > 0 && !slices.Contains(spec.ExpectStatus, int32(f.Status)), f.Status >= 500:
		r.Status, r.Reason = metav1.ConditionFalse, "BadStatus"
		r.Message = fmt.Sprintf("%s answered %d in %s", addr, f.Status, f.Took.Round(time.Millisecond))
		if f.Status < 500 {
			r.Message += fmt.Sprintf(", expected %v", spec.ExpectStatus)
		}
	case f.Unmet != "":
		r.Status, r.Reason = metav1.ConditionFalse, reasonUnmet
		r.Message = fmt.Sprintf("%s answered %d in %s, but %s", addr, f.Status, f.Took.Round(time.Millisecond), f.Unmet)
	default:
		r.Status, r.Reason = metav1.ConditionTrue, "Answers"
		r.Message = fmt.Sprintf("%d in %s", f.Status, f.Took.Round(time.Millisecond))
	}
	return r
}

// reasonUnmet is the reason of an answer whose status is right, and whose body or headers are not.
const reasonUnmet = "NotAsExpected"

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
	answer = ask(ctx, &http.Client{Transport: transport}, question{url: q.URL, limit: q.Timeout, follow: q.Follow})
	hops, answer.Hops = answer.Hops, nil
	return answer, hops
}
