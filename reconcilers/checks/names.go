package checks

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// lookupLimit bounds one question to the name servers. It is only asked where something is wrong, and they may be that.
const lookupLimit = 2 * time.Second

// lookUp asks what a URL's name stands for, and whether that is this machine.
func (p *Prober) lookUp(ctx context.Context, address string) *facts.Names {
	const most = 8
	f := &facts.Names{Outcome: facts.LookupUnknown}
	u, err := url.Parse(address)
	if err != nil {
		f.Error = err.Error()
		return f
	}
	f.Host = u.Hostname()
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	var means []netip.Addr
	if literal, err := netip.ParseAddr(f.Host); err == nil {
		means = []netip.Addr{literal}
	} else if means, err = p.resolver().LookupNetIP(ctx, "ip", f.Host); err != nil {
		f.Outcome, f.Error = lookupOf(err), bound(err.Error(), 300)
		return f
	}
	f.Outcome = facts.Resolved
	own, err := ownAddresses()
	for _, a := range means {
		a = a.Unmap()
		if len(f.Addrs) < most {
			f.Addrs = append(f.Addrs, a.String())
		}
		f.Own = f.Own || own(a)
	}
	if err != nil {
		f.Outcome, f.Error = facts.LookupUnknown, "this machine's own addresses: "+err.Error() // so that nobody takes it to be elsewhere
	}
	return f
}

func (p *Prober) resolver() *net.Resolver {
	if p.Resolver != nil {
		return p.Resolver
	}
	return net.DefaultResolver
}

// lookupOf says how a lookup failed.
func lookupOf(err error) facts.Lookup {
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		return facts.LookupUnknown
	}
	switch {
	case dns.IsNotFound:
		return facts.NotFound
	case dns.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return facts.LookupTooLate
	case strings.Contains(dns.Err, "server misbehaving"), strings.Contains(dns.Err, "lame referral"): // the package net has no values for them
		return facts.ServerFails
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH),
		strings.Contains(dns.Err, "connection refused"), strings.Contains(dns.Err, "unreachable"):
		return facts.NoServer
	}
	return facts.LookupUnknown
}

// ownAddresses tells which addresses are this machine's. Where that could not be asked, only those of the loopback are.
func ownAddresses() (own func(netip.Addr) bool, err error) {
	list, err := net.InterfaceAddrs()
	return func(a netip.Addr) bool {
		return a.IsLoopback() || a.IsUnspecified() || slices.ContainsFunc(list, func(n net.Addr) bool {
			ip, ok := n.(*net.IPNet)
			return ok && ip.IP.Equal(net.IP(a.AsSlice()))
		})
	}, err
}

// network says whether this machine has a network at all. Nothing is sent.
func (p *Prober) network() *facts.Network {
	const most = 8
	f := &facts.Network{}
	route, err := p.FS.LeadsOut()
	if err != nil {
		f.Error = err.Error()
		return f
	}
	all, err := net.Interfaces()
	if err != nil {
		f.Error = err.Error()
		return f
	}
	f.Known, f.Route = true, route
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagRunning == 0 || len(f.Up) >= most {
			continue
		}
		if addrs, err := i.Addrs(); err != nil || len(addrs) > 0 {
			f.Up = append(f.Up, i.Name)
		}
	}
	return f
}
