//go:build linux

package listeners

import (
	"net"
	"testing"
)

func TestConnectionsAreCountedByTheirState(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	for range 3 {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
	}
	counts, err := Count(t.Context(), port)
	if err != nil {
		t.Fatal(err)
	}
	if len(counts) != 1 || counts["ESTAB"] != 3 {
		t.Fatalf("%v, want 3 that are established", counts)
	}
	if found, err := Listeners(t.Context(), port); err != nil || len(found) != 1 {
		t.Fatalf("%v, %v; want the one that listens", found, err)
	}
}
