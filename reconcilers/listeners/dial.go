//go:build linux

package listeners

import "net/netip"

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

// DialAddr is where a client on this machine should ask: 127.0.0.1 if one of the listeners takes it, else ::1, else a
// specific address. Hand it the listeners of the one app only: beside a stranger's the answer would be the stranger's.
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
