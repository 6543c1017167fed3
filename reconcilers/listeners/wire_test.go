//go:build linux

package listeners

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	testSequence = 7
	testReceiver = 4711
	testPort     = 3003
)

func message(kind, flags uint16, sequence, receiver uint32, body []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(body))
	binary.NativeEndian.PutUint32(b[0:], uint32(headerSize+len(body)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], flags)
	binary.NativeEndian.PutUint32(b[8:], sequence)
	binary.NativeEndian.PutUint32(b[12:], receiver)
	b = append(b, body...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func ours(kind uint16, body []byte) []byte { return message(kind, 2, testSequence, testReceiver, body) }

func number(n int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

func socket(family, state uint8, addr string, attrs ...byte) []byte {
	b := make([]byte, socketSize)
	b[0], b[1] = family, state
	to := netip.MustParseAddrPort(addr)
	binary.BigEndian.PutUint16(b[4:], to.Port())
	copy(b[8:24], to.Addr().AsSlice())
	for at, n := range map[int]uint32{56: 3, 60: 511, 64: 1000, 68: 123456} {
		binary.NativeEndian.PutUint32(b[at:], n)
	}
	return append(b, attrs...)
}

func attr(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(attrSize+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

var (
	done = ours(unix.NLMSG_DONE, number(0))
	v4   = ours(unix.SOCK_DIAG_BY_FAMILY, socket(unix.AF_INET, listenState, "127.0.0.1:3003"))
	v6   = ours(unix.SOCK_DIAG_BY_FAMILY, socket(unix.AF_INET6, listenState, "[::]:3003",
		slices.Concat(attr(8, 0), attr(attrV6Only, 1), attr(attrGroup, binary.NativeEndian.AppendUint64(nil, 4321)...))...))
	short     = ours(unix.SOCK_DIAG_BY_FAMILY, socket(unix.AF_INET, listenState, "127.0.0.1:3003", attr(attrGroup, 1, 2, 3, 4)...))
	mapped    = ours(unix.SOCK_DIAG_BY_FAMILY, socket(unix.AF_INET6, listenState, "[::ffff:127.0.0.1]:3003"))
	elsewhere = ours(unix.SOCK_DIAG_BY_FAMILY, socket(unix.AF_INET, listenState, "127.0.0.1:80"))
	connected = ours(unix.SOCK_DIAG_BY_FAMILY, socket(unix.AF_INET, 1, "127.0.0.1:3003"))
	stale     = message(unix.SOCK_DIAG_BY_FAMILY, 2, testSequence-1, testReceiver, socket(unix.AF_INET, listenState, "127.0.0.9:3003"))
)

func TestParse(t *testing.T) {
	d := dump{sequence: testSequence, receiver: testReceiver, port: testPort}
	if err := d.parse(slices.Concat(v4, elsewhere, stale, connected)); err != nil || d.done {
		t.Fatalf("%+v, %v", d, err)
	}
	if err := d.parse(slices.Concat(v6, done, []byte("what comes after the end does not count"))); err != nil || !d.done {
		t.Fatalf("%+v, %v", d, err)
	}
	want := []Listener{
		{Addr: netip.MustParseAddrPort("127.0.0.1:3003"), UID: 1000, Inode: 123456, RecvQ: 3, Backlog: 511},
		{Addr: netip.MustParseAddrPort("[::]:3003"), UID: 1000, Inode: 123456, RecvQ: 3, Backlog: 511, V6Only: true, Group: 4321},
	}
	if !slices.Equal(d.found, want) || d.interrupted {
		t.Errorf("%+v", d)
	}
}

func TestParseRefuses(t *testing.T) {
	long := slices.Clone(v4)
	binary.NativeEndian.PutUint32(long, uint32(len(long)+1))
	short := slices.Clone(v4)
	binary.NativeEndian.PutUint32(short, headerSize-1)
	huge := slices.Clone(v4)
	binary.NativeEndian.PutUint32(huge, 1<<32-1)
	badAttr := ours(unix.SOCK_DIAG_BY_FAMILY, socket(unix.AF_INET6, listenState, "[::]:3003", 200, 0, 11, 0))
	zeroAttr := ours(unix.SOCK_DIAG_BY_FAMILY, socket(unix.AF_INET6, listenState, "[::]:3003", 0, 0, 11, 0))
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"half a header":        {v4[:10], errMalformed},
		"longer than it is":    {long, errMalformed},
		"shorter than header":  {short, errMalformed},
		"four gigabytes":       {huge, errMalformed},
		"cut off":              {v4[:len(v4)-4], errMalformed},
		"half a socket":        {ours(unix.SOCK_DIAG_BY_FAMILY, v4[headerSize:60]), errMalformed},
		"attribute too long":   {badAttr, errMalformed},
		"attribute of nothing": {zeroAttr, errMalformed},
		"empty error":          {ours(unix.NLMSG_ERROR, nil), errMalformed},
		"refused":              {ours(unix.NLMSG_ERROR, number(-int32(unix.EPERM))), unix.EPERM},
		"no such handler":      {ours(unix.NLMSG_ERROR, number(-int32(unix.ENOENT))), unix.ENOENT},
		"failed at the end":    {ours(unix.NLMSG_DONE, number(-int32(unix.ENOMEM))), unix.ENOMEM},
		"overrun":              {ours(unix.NLMSG_OVERRUN, nil), errInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			d := dump{sequence: testSequence, receiver: testReceiver, port: testPort}
			if err := d.parse(c.in); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestParseNotesInterruption(t *testing.T) {
	d := dump{sequence: testSequence, receiver: testReceiver, port: testPort}
	flagged := message(unix.SOCK_DIAG_BY_FAMILY, 2|interruptFlag, testSequence, testReceiver, v4[headerSize:])
	if err := d.parse(slices.Concat(flagged, done)); err != nil || !d.interrupted || !d.done {
		t.Errorf("%+v, %v", d, err)
	}
}

// A socket of IPv6 that is bound to an IPv4 address is asked over IPv4.
func TestParseMapped(t *testing.T) {
	d := dump{sequence: testSequence, receiver: testReceiver, port: testPort}
	if err := d.parse(mapped); err != nil || len(d.found) != 1 || d.found[0].Addr != netip.MustParseAddrPort("127.0.0.1:3003") {
		t.Errorf("%+v, %v", d, err)
	}
}

// What is shorter than a control group's number is none.
func TestParseShortGroup(t *testing.T) {
	d := dump{sequence: testSequence, receiver: testReceiver, port: testPort}
	if err := d.parse(short); err != nil || len(d.found) != 1 || d.found[0].Group != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range [][]byte{v4, v6, done, slices.Concat(v4, v6, elsewhere, stale, done), v4[:50],
		ours(unix.NLMSG_ERROR, number(-1)), ours(unix.SOCK_DIAG_BY_FAMILY, socket(unix.AF_INET6, listenState, "[fe80::1]:3003"))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := dump{sequence: testSequence, receiver: testReceiver, port: testPort}
		_ = d.parse(b)
		if len(d.found) > len(b)/socketSize {
			t.Fatalf("%d sockets in %d bytes", len(d.found), len(b))
		}
		for _, l := range d.found {
			if !l.Addr.IsValid() || l.Addr.Port() != testPort {
				t.Fatalf("%+v", l)
			}
		}
		DialAddr(d.found)
	})
}
