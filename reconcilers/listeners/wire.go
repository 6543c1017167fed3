//go:build linux

package listeners

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// See linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
const (
	listenState   = 10 // TCP_LISTEN
	attrV6Only    = 11 // INET_DIAG_SKV6ONLY
	attrGroup     = 21 // INET_DIAG_CGROUP_ID, which comes without being asked for
	headerSize    = unix.SizeofNlMsghdr
	requestSize   = 56 // inet_diag_req_v2
	socketSize    = 72 // inet_diag_msg
	attrSize      = unix.SizeofRtAttr
	interruptFlag = 0x10 // NLM_F_DUMP_INTR
	maxListeners  = 1 << 14
)

var (
	errInterrupted = errors.New("sockets changed while sock_diag listed them")
	errMalformed   = errors.New("answer of sock_diag is malformed")
)

// request asks for all TCP sockets of a family that are in one of the states, given as bits.
func request(family uint8, sequence, states uint32) []byte {
	b := make([]byte, headerSize+requestSize)
	order := binary.NativeEndian
	order.PutUint32(b[0:], uint32(len(b)))
	order.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	order.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	order.PutUint32(b[8:], sequence)
	body := b[headerSize:]
	body[0] = family
	body[1] = unix.IPPROTO_TCP
	order.PutUint32(body[4:], states)
	return b
}

// dump gathers the answer to one request, which may come in several datagrams.
type dump struct {
	sequence, receiver uint32
	port               uint16         // anyPort for all
	states             uint32         // asked for, as bits
	counts             map[string]int // of connections by their state; nil where listeners are asked for
	found              []Listener
	done, interrupted  bool
}

// parse reads one datagram. Nothing in it is trusted to be as long as it says.
func (d *dump) parse(b []byte) error {
	order := binary.NativeEndian
	for len(b) > 0 && !d.done {
		if len(b) < headerSize {
			return fmt.Errorf("%w: header of %d bytes", errMalformed, len(b))
		}
		length := int64(order.Uint32(b))
		kind, flags := order.Uint16(b[4:]), order.Uint16(b[6:])
		if length < headerSize || length > int64(len(b)) {
			return fmt.Errorf("%w: message of %d bytes in %d", errMalformed, length, len(b))
		}
		ours := order.Uint32(b[8:]) == d.sequence && order.Uint32(b[12:]) == d.receiver
		body := b[headerSize:length]
		b = b[min(align(int(length)), len(b)):]
		if !ours {
			continue // left over from an earlier request
		}
		d.interrupted = d.interrupted || flags&interruptFlag != 0

		switch kind {
		case unix.NLMSG_DONE:
			d.done = true
			if len(body) >= 4 {
				return failure(int32(order.Uint32(body)))
			}
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return fmt.Errorf("%w: error of %d bytes", errMalformed, len(body))
			}
			// Number 0 would be an acknowledgement, which was not asked for.
			return failure(int32(order.Uint32(body)))
		case unix.NLMSG_OVERRUN:
			return errInterrupted
		case unix.SOCK_DIAG_BY_FAMILY:
			if d.counts != nil {
				if err := d.count(body); err != nil {
					return err
				}
				continue
			}
			l, ok, err := parseSocket(body)
			if err != nil {
				return err
			}
			if ok && (d.port == anyPort || l.Addr.Port() == d.port) {
				if len(d.found) == maxListeners {
					return fmt.Errorf("more than %d listeners", maxListeners)
				}
				d.found = append(d.found, l)
			}
		}
	}
	return nil
}

func failure(number int32) error {
	if number >= 0 {
		return nil
	}
	return fmt.Errorf("sock_diag refused: %w", unix.Errno(-int64(number)))
}

// parseSocket reads an inet_diag_msg with its attributes. ok is false for a socket that does not listen.
func parseSocket(b []byte) (l Listener, ok bool, err error) {
	if len(b) < socketSize {
		return Listener{}, false, fmt.Errorf("%w: socket of %d bytes", errMalformed, len(b))
	}
	order := binary.NativeEndian
	family, state := b[0], b[1]
	if state != listenState {
		return Listener{}, false, nil
	}
	var addr netip.Addr
	switch family {
	case unix.AF_INET:
		addr = netip.AddrFrom4([4]byte(b[8:12]))
	case unix.AF_INET6:
		addr = netip.AddrFrom16([16]byte(b[8:24])).Unmap()
		if device := order.Uint32(b[40:]); device != 0 && addr.IsLinkLocalUnicast() && addr.Is6() {
			addr = addr.WithZone(strconv.FormatUint(uint64(device), 10))
		}
	default:
		return Listener{}, false, nil
	}
	l = Listener{
		Addr:    netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[4:])),
		RecvQ:   order.Uint32(b[56:]),
		Backlog: order.Uint32(b[60:]),
		UID:     order.Uint32(b[64:]),
		Inode:   uint64(order.Uint32(b[68:])),
	}

	for b = b[socketSize:]; len(b) >= attrSize; {
		length, kind := int(order.Uint16(b)), order.Uint16(b[2:])
		if length < attrSize || length > len(b) {
			return Listener{}, false, fmt.Errorf("%w: attribute of %d bytes in %d", errMalformed, length, len(b))
		}
		if kind == attrV6Only && length > attrSize {
			l.V6Only = b[attrSize] != 0
		}
		if kind == attrGroup && length >= attrSize+8 {
			l.Group = order.Uint64(b[attrSize:])
		}
		b = b[min(align(length), len(b)):]
	}
	return l, true, nil
}

// align rounds up to four bytes, as netlink does between messages and between attributes.
func align(n int) int { return (n + 3) &^ 3 }
