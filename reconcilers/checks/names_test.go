package checks

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// reply is what a name server says to every question.
type reply struct {
	code   dnsmessage.RCode
	addr   [4]byte
	silent bool
}

// answering is a resolver whose only name server says the same to every question.
func answering(t *testing.T, with reply) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || with.silent {
				continue
			}
			m.Response, m.RecursionAvailable, m.RCode, m.Additionals = true, true, with.code, nil
			if q := m.Questions[0]; with.code == dnsmessage.RCodeSuccess && q.Type == dnsmessage.TypeA && with.addr[0] != 0 {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type}, Body: &dnsmessage.AResource{A: with.addr},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(packed, from)
			}
		}
	}()
	// The resolver goes on asking after its caller has given up: what it asks over ends with the test.
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return &net.Resolver{PreferGo: true, Dial: func(_ context.Context, _, _ string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
		if err == nil {
			context.AfterFunc(ctx, func() { _ = c.Close() })
		}
		return c, err
	}}
}

func TestLookUp(t *testing.T) {
	for _, tc := range []struct {
		name    string
		url     string
		reply   reply
		outcome facts.Lookup
		addrs   []string
		own     bool
	}{
		{"this machine", "https://site.test./", reply{addr: [4]byte{127, 0, 0, 5}}, facts.Resolved, []string{"127.0.0.5"}, true},
		{"another one", "https://site.test./", reply{addr: [4]byte{192, 0, 2, 1}}, facts.Resolved, []string{"192.0.2.1"}, false},
		{"no such name", "https://site.test./", reply{code: dnsmessage.RCodeNameError}, facts.NotFound, nil, false},
		{"a name without an address", "https://site.test./", reply{}, facts.NotFound, nil, false},
		{"a name server that fails", "https://site.test./", reply{code: dnsmessage.RCodeServerFailure}, facts.ServerFails, nil, false},
		{"a name server that refuses", "https://site.test./", reply{code: dnsmessage.RCodeRefused}, facts.ServerFails, nil, false},
		{"a name server that is silent", "https://site.test./", reply{silent: true}, facts.LookupTooLate, nil, false},
		{"an address", "https://192.0.2.1:8443/", reply{}, facts.Resolved, []string{"192.0.2.1"}, false},
		{"an address of this machine", "https://[::1]/", reply{}, facts.Resolved, []string{"::1"}, true},
		{"no URL", ":", reply{}, facts.LookupUnknown, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &Prober{Resolver: answering(t, tc.reply)}
			ctx := t.Context()
			if tc.reply.silent {
				short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
				ctx = short
			}
			f := p.lookUp(ctx, tc.url)
			if f.Outcome != tc.outcome || !slices.Equal(f.Addrs, tc.addrs) || f.Own != tc.own || (f.Error == "") != (tc.outcome == facts.Resolved) {
				t.Errorf("%+v", f)
			}
		})
	}
	closed := reserve(t)
	p := &Prober{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(closed))))
	}}}
	if f := p.lookUp(t.Context(), "https://site.test./"); f.Outcome != facts.NoServer {
		t.Errorf("no name server: %+v", f)
	}
}

func TestNetwork(t *testing.T) {
	p := &Prober{FS: procfs.New(t.TempDir())}
	if f := p.network(); f.Known || f.Down() || f.Error == "" {
		t.Errorf("what cannot be asked: %+v", f)
	}
	p.FS = procfs.Default()
	if f := p.network(); !f.Known || f.Error != "" || slices.ContainsFunc(f.Up, func(n string) bool { return strings.HasPrefix(n, "lo") }) {
		t.Errorf("this machine: %+v", f)
	}
	for _, tc := range []struct {
		f    *facts.Network
		down bool
	}{
		{nil, false}, {&facts.Network{}, false}, {&facts.Network{Known: true, Route: true, Up: []string{"eth0"}}, false},
		{&facts.Network{Known: true, Up: []string{"eth0"}}, true}, {&facts.Network{Known: true, Route: true}, true},
	} {
		if tc.f.Down() != tc.down {
			t.Errorf("%+v: %v", tc.f, tc.f.Down())
		}
	}
}
