//go:build linux

package listeners

import (
	"net/netip"
	"slices"
)

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	second4   = netip.AddrFrom4([4]byte{127, 0, 0, 2})
	loopback6 = netip.IPv6Loopback()
)

// DialAddr is where a client on this machine should ask: 127.0.0.1 if one of the listeners takes it, else ::1, else a
// specific address. Hand it the listeners of the one app only: beside a stranger's the answer may be the stranger's. Where both
// listen, DialBeside tells.
// ok is false where there is no listener.
//
// A socket at [::] is one of two kinds. Node's default takes IPv4 too and is asked at 127.0.0.1 although no IPv4
// socket exists; one that is V6Only refuses that.
func DialAddr(listeners []Listener) (addr netip.AddrPort, ok bool) {
	best := 0
	for _, l := range listeners {
		to, rank := l.local()
		if rank > best || rank == best && to.Less(addr.Addr()) {
			best, addr = rank, netip.AddrPortFrom(to, l.Addr.Port())
		}
	}
	return addr, best > 0
}

// DialBeside is where a client on this machine reaches one of ours, and none of the others that listen on the same port at
// other addresses. A socket at one address wins over one at all of them; who listens at all of IPv4 is reached at 127.0.0.2
// too. ok is false where only the others, or nobody, can be reached for certain.
func DialBeside(ours, others []Listener) (addr netip.AddrPort, ok bool) {
	best := 0
	for _, l := range ours {
		for n, to := range l.reached() {
			taken := slices.ContainsFunc(others, func(o Listener) bool { return o.takes(to, l) })
			if rank := 10*l.rank() - n; !taken && rank > best {
				best, addr = rank, netip.AddrPortFrom(to, l.Addr.Port())
			}
		}
	}
	return addr, best > 0
}

// reached are the addresses at which a local client may reach the listener, the best one first.
func (l Listener) reached() []netip.Addr {
	switch addr := l.Addr.Addr(); {
	case addr == netip.IPv4Unspecified():
		return []netip.Addr{loopback4, second4}
	case addr == netip.IPv6Unspecified() && !l.V6Only:
		return []netip.Addr{loopback4, second4, loopback6}
	case addr == netip.IPv6Unspecified():
		return []netip.Addr{loopback6}
	default:
		return []netip.Addr{addr}
	}
}

// takes tells whether a connection to an address may end here and not at ours.
func (l Listener) takes(to netip.Addr, ours Listener) bool {
	at := l.Addr.Addr()
	switch {
	case at == to, at == ours.Addr.Addr():
		return true
	case ours.Addr.Addr() == to:
		return false // it is more specific than any that listens everywhere
	}
	return at == netip.IPv4Unspecified() && to.Is4() || at == netip.IPv6Unspecified() && (to.Is6() || !l.V6Only)
}

func (l Listener) rank() int {
	_, rank := l.local()
	return rank
}

// local is the address at which a local client reaches the listener, and how much it is to be preferred.
func (l Listener) local() (addr netip.Addr, rank int) {
	addr = l.Addr.Addr()
	switch {
	case !addr.IsValid():
		return addr, 0
	case addr == netip.IPv4Unspecified(), addr == netip.IPv6Unspecified() && !l.V6Only, addr == loopback4:
		return loopback4, 5
	case addr == netip.IPv6Unspecified(), addr == loopback6:
		return loopback6, 4
	case addr.IsLoopback():
		return addr, 3
	case addr.Is4():
		return addr, 2
	default:
		return addr, 1
	}
}
