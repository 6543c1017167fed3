package checks

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/listeners"
	"github.com/evenkeel/evenkeel/reconcilers/nginx"
)

// askProxy sends the same request to this machine, whatever the name resolves to: to the address at which something
// listens on the URL's port. A certificate that is not good is noted, and the answer read all the same.
func (p *Prober) askProxy(ctx context.Context, q question) facts.HTTP {
	to, err := listenerOn(ctx, portOf(q.url))
	var problem facts.Problem
	var chain []*x509.Certificate
	transport := publicTransport(p.Roots, p.dialSite(q.url))
	p.lenient(transport, &problem, &chain)
	defer transport.CloseIdleConnections()
	q.problem = &problem
	f := ask(ctx, &http.Client{Transport: transport}, q)
	if err == nil {
		f.Addr = to.Addr().String()
	}
	if f.Certificate == nil && problem != "" && len(chain) > 0 {
		f.Certificate = described(chain[0], problem)
	}
	return f
}

// dialSite connects to this machine for the site's own name, with and without www., and as the world does for others to which
// it may send its visitors.
func (p *Prober) dialSite(address string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	bare := func(host string) string { return strings.TrimPrefix(strings.ToLower(host), "www.") }
	site := ""
	if u, err := url.Parse(address); err == nil {
		site = bare(u.Hostname())
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(addr); err == nil && bare(host) != site {
			return p.dialer().DialContext(ctx, network, addr)
		}
		return DialHere(ctx, network, addr)
	}
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

// passes reads in Nginx's configuration where it leads the site's visitors, and which certificate it shows them. It is read
// where something is wrong, and once an hour where nothing is.
func (p *Prober) passes(l *look, address string) (f *facts.Passes, certificate string) {
	limit := timeout(l.app, v1alpha1.CheckPublic)
	read := p.proxies.ask(l.question(address), limit, func() passing {
		f, certificate := p.readPasses(l, address)
		return passing{f, certificate}
	})
	if read == nil {
		return &facts.Passes{Error: hangs("where Nginx's configuration lies", limit)}, ""
	}
	return read.passes, read.certificate
}

// passing is what Nginx's configuration tells of a site.
type passing struct {
	passes      *facts.Passes
	certificate string
}

func (p *Prober) readPasses(l *look, address string) (f *facts.Passes, certificate string) {
	f = &facts.Passes{}
	u, err := url.Parse(address)
	if err != nil {
		f.Error = "there is a mistake in the public address"
		return f, ""
	}
	port, _ := strconv.Atoi(portOf(address))
	var sites []nginx.Site
	files, optional := nginx.Files(p.FS)
	for _, file := range files {
		c, err := nginx.Load(file)
		if err == nil {
			sites = append(sites, c.Sites()...)
		} else if !optional {
			f.Error = err.Error()
		}
	}
	site, named, ok := nginx.For(sites, u.Hostname(), port)
	if !ok || !named {
		return f, ""
	}
	f.Named = true
	by, ours := site.LeadsTo(int(l.app.Spec.Port), func(host string) bool { return l.reachedAt(host) })
	if !ours {
		if len(site.Proxies) == 0 {
			return f, site.Certificate
		}
		by = site.Proxies[0]
	}
	f.Ours, f.At = ours, fmt.Sprintf("%s:%d", by.File, by.Line)
	for _, t := range by.Targets {
		const most = 4
		if len(f.To) < most {
			f.To = append(f.To, net.JoinHostPort(t.Host, strconv.Itoa(t.Port)))
		}
	}
	return f, site.Certificate
}

// reachedAt tells whether the application is reached at that host of a proxy's configuration. Where it was not looked who
// listens, any name of this machine does.
func (l *look) reachedAt(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nginx.Loopback(host)
	}
	own, _ := ownAddresses()
	if !own(addr) {
		return false
	}
	return len(l.listening) == 0 || slices.ContainsFunc(l.listening, func(s listeners.Listener) bool {
		at := s.Addr.Addr()
		switch {
		case at.IsUnspecified() && at.Is4():
			return addr.Is4()
		case at.IsUnspecified():
			return addr.Is6() || !s.V6Only
		}
		return at == addr
	})
}

// elsewhere says why the proxy on this machine has no part in it.
func elsewhere(n *facts.Names, port string) string {
	return fmt.Sprintf("%s stands for %s, which is no address of this machine; what listens on port %s here is not known to serve it",
		n.Host, strings.Join(n.Addrs, ", "), port)
}
