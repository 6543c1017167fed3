package checks

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
)

// askPublic asks for the site as the world does, and, where that fails although the application itself is not known to
// fail, for the same through the proxy on this machine: then it matters at which hop it is lost.
func (p *Prober) askPublic(ctx context.Context, l *look, appMayBeWell func() bool) v1alpha1.CheckResult {
	spec := l.app.Spec.Checks.Public
	limit := timeout(l.app, v1alpha1.CheckPublic)
	p.public.renew(time.Now())
	f := facts.Public{HTTP: ask(ctx, p.public.Client, spec.URL, limit), Listens: listensFor(ctx, spec.URL)}
	learned := l.app.Status.Learned
	f.Proven = learned != nil && learned.PublicGreenURL == spec.URL
	good := func(h *facts.HTTP) bool {
		return h.Class == facts.Answered && slices.Contains(spec.ExpectStatus, int32(h.Status))
	}
	r := v1alpha1.CheckResult{Took: metav1.Duration{Duration: f.Took}}
	if good(&f.HTTP) {
		r.Status, r.Reason = metav1.ConditionTrue, "Answers"
		r.Message = fmt.Sprintf("%d in %s", f.Status, f.Took.Round(time.Millisecond))
		r.Facts = facts.Raw(f)
		return r
	}
	hop := facts.HTTP{URL: shown(spec.URL), Class: facts.NotAsked, Error: "the application itself does not answer"}
	if appMayBeWell() {
		here := learned != nil && learned.ProxyHereURL == spec.URL
		hop = p.askProxy(ctx, spec.URL, limit, func() bool { return here || leadsHere(ctx, spec.URL) })
	}
	f.Proxy = &hop
	r.Facts = facts.Raw(f)
	r.Status, r.Reason = metav1.ConditionFalse, string(f.Class)
	if f.Class == facts.Answered {
		r.Reason = "BadStatus"
		r.Message = fmt.Sprintf("answered %d, expected %v", f.Status, spec.ExpectStatus)
	} else {
		r.Message = f.Error
	}
	if !f.Proven && (good(&hop) || hop.Class == facts.NotAsked) {
		r.Status, r.Reason = metav1.ConditionUnknown, "NeverSeen"
		r.Message = "has never answered as expected since this URL was configured; is the URL right? " + r.Message
	}
	return r
}

// askProxy sends the same request to this machine, whatever the name resolves to: to the address at which something
// listens on the URL's port. Where nothing does, the proxy that is known to be here is down; where none is known to be
// here, it is on another machine, and there is no such hop.
func (p *Prober) askProxy(ctx context.Context, address string, limit time.Duration, here func() bool) facts.HTTP {
	to, err := listenerOn(ctx, portOf(address))
	if err != nil && !here() {
		return facts.HTTP{URL: shown(address), Class: facts.NotAsked, Error: err.Error() + ", and no proxy is known to be on it"}
	}
	transport := publicTransport(p.Roots, DialHere)
	defer transport.CloseIdleConnections()
	f := ask(ctx, &http.Client{Transport: transport}, address, limit)
	if err == nil {
		f.Addr = to.Addr().String()
	}
	return f
}

// DialHere connects to this machine, whatever the name, at the address where something listens on the port that is asked
// for. Redirects may lead to another one.
func DialHere(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	to, err := listenerOn(ctx, port)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, network, to.String())
}

// listenerOn is where to ask whoever listens on a port of this machine. Where the kernel cannot be asked, it is the usual
// address.
func listenerOn(ctx context.Context, port string) (netip.AddrPort, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q: %w", port, err)
	}
	found, err := listeners.Listeners(ctx, uint16(n))
	if err != nil {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(n)), nil
	}
	to, ok := listeners.DialAddr(found)
	if !ok {
		return to, nobodyListens(port)
	}
	return to, nil
}

// nobodyListens is the error of a port on which nothing on this machine listens. It is a refused connection.
type nobodyListens string

func (e nobodyListens) Error() string { return "nothing on this machine listens on port " + string(e) }
func (nobodyListens) Unwrap() error   { return syscall.ECONNREFUSED }

func listensFor(ctx context.Context, address string) bool {
	n, err := strconv.ParseUint(portOf(address), 10, 16)
	if err != nil {
		return false
	}
	found, err := listeners.Listeners(ctx, uint16(n))
	return err == nil && len(found) > 0
}

// portOf is the port that a URL leads to.
func portOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return ""
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// leadsHere tells whether a URL's name stands for an address of this machine.
func leadsHere(ctx context.Context, address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	const limit = 2 * time.Second // only asked where something is wrong, and name servers may be that
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	means, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(means, func(a netip.Addr) bool {
		return a.IsLoopback() || slices.ContainsFunc(own, func(n net.Addr) bool {
			ip, ok := n.(*net.IPNet)
			return ok && ip.IP.Equal(net.IP(a.AsSlice()))
		})
	})
}
