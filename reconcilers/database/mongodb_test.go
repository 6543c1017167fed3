package database

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// mongo is a server that answers every message with the same document, or says nothing where there is none.
func mongo(t *testing.T, doc string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveMongo(t, c, doc)
		}
	}()
	return l.Addr().String()
}

func serveMongo(t *testing.T, c net.Conn, doc string) {
	defer func() { _ = c.Close() }()
	head := make([]byte, 16)
	if _, err := io.ReadFull(c, head); err != nil {
		return
	}
	body := make([]byte, binary.LittleEndian.Uint32(head)-16)
	if _, err := io.ReadFull(c, body); err != nil {
		return
	}
	asked := body[5:]
	if binary.LittleEndian.Uint32(head[12:]) != opMsg || int(binary.LittleEndian.Uint32(asked)) != len(asked) || string(asked[5:10]) != "hello" {
		t.Errorf("asked %q", body)
	}
	if doc == "" {
		_, _ = io.Copy(io.Discard, c) // says nothing until it is hung up on
		return
	}
	reply := []byte("\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + doc + "\x00")
	binary.LittleEndian.PutUint32(reply[5:], uint32(len(reply)-5))
	var out []byte
	for _, n := range []uint32{uint32(16 + len(reply)), 7, 1, opMsg} {
		out = binary.LittleEndian.AppendUint32(out, n)
	}
	_, _ = c.Write(append(out, reply...))
}

const (
	isOK    = "\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0\x3f"
	primary = "\x08isWritablePrimary\x00\x01\x03topologyVersion\x00\x05\x00\x00\x00\x00\x09localTime\x0012345678"
)

func TestMongoDB(t *testing.T) {
	dead := "127.0.0.1:" + freePort(t)
	for _, c := range []struct {
		what, hosts string
		want        Answer
	}{
		{"well", mongo(t, primary+isOK), Answer{Class: facts.DatabaseReachable}},
		{"read-only", mongo(t, "\x08readOnly\x00\x01"+isOK), Answer{Class: facts.DatabaseReachable, ReadOnly: true}},
		{"the second host", dead + "," + mongo(t, primary+isOK), Answer{Class: facts.DatabaseReachable}},
		{"refuses", mongo(t, "\x10ok\x00\x00\x00\x00\x00\x10code\x00\x0d\x00\x00\x00"), Answer{Class: facts.DatabaseError, Code: "13"}},
		{"nobody listens", dead, Answer{Class: facts.DatabaseRefused}},
		{"says nothing", mongo(t, ""), Answer{Class: facts.DatabaseTimeout}},
		{"says nonsense", mongo(t, "\x7fnonsense\x00"), Answer{Class: facts.DatabaseError}},
		{"no such name", "nothing.invalid", Answer{Class: facts.DatabaseNameNotResolved}},
	} {
		if a := ask(t, parse(t, "mongodb://u:%s@%s/x", marked, c.hosts), time.Second); a != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, a, c.want)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00" + primary + isOK + "\x00"))
	f.Add([]byte("\x00\x00\x00\x00\x02a\x00\xff\xff\xff\x7f"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = readReply(b) })
}
