package database

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// MongoDB is asked by its hello, the one question that every driver begins with, and that wants no login. The driver would
// be larger than all the rest of evenkeel.

const (
	opMsg       = 2013
	maxDocument = 1 << 20 // a hello's answer has about a kilobyte
)

var errNotMongo = errors.New("not an answer of MongoDB")

// askMongoDB tries its hosts in their order until one answers.
func (t *Target) askMongoDB(ctx context.Context) Answer {
	places := t.Hosts
	if t.seeds != "" {
		_, records, err := net.DefaultResolver.LookupSRV(ctx, "mongodb", "tcp", t.seeds)
		if err != nil || len(records) == 0 {
			return Answer{Class: facts.DatabaseNameNotResolved}
		}
		for _, r := range records {
			places = append(places, net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port))))
		}
	}
	network := "tcp"
	if t.Socket != "" {
		network, places = "unix", []string{t.Socket}
	}
	var a Answer
	for _, place := range places {
		if a = t.helloAt(ctx, network, place); a.Class == facts.DatabaseReachable {
			break
		}
	}
	return a
}

func (t *Target) helloAt(ctx context.Context, network, place string) Answer {
	d := &dialer{}
	conn, err := d.dial(ctx, network, place)
	if err != nil {
		return Answer{Class: d.classify(err)}
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if network == "tcp" && (t.security == required || t.security == verified) {
		host, _, _ := net.SplitHostPort(place)
		secure, err := t.tls(host)
		if err != nil {
			return Answer{Class: facts.DatabaseCannotBeAsked}
		}
		over := tls.Client(conn, secure)
		if err := over.HandshakeContext(ctx); err != nil {
			return Answer{Class: d.classify(first2(ctx.Err(), err))}
		}
		conn = over
	}
	doc, err := hello(conn)
	switch {
	case errors.Is(err, errNotMongo):
		return Answer{Class: facts.DatabaseError}
	case err != nil:
		return Answer{Class: d.classify(first2(ctx.Err(), err))}
	case doc.ok != 1:
		return Answer{Class: facts.DatabaseError, Code: doc.code}
	}
	return Answer{Class: facts.DatabaseReachable, ReadOnly: doc.readOnly}
}

func first2(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// reply is what matters of a hello's answer.
type reply struct {
	ok       float64
	code     string
	readOnly bool
}

// hello asks {hello: 1, $db: "admin"} and reads the answer.
func hello(conn io.ReadWriter) (reply, error) {
	doc := []byte("\x00\x00\x00\x00\x10hello\x00\x01\x00\x00\x00\x02$db\x00\x06\x00\x00\x00admin\x00\x00")
	binary.LittleEndian.PutUint32(doc, uint32(len(doc)))
	message := make([]byte, 0, 21+len(doc))
	for _, n := range []uint32{uint32(21 + len(doc)), 1, 0, opMsg, 0} { // length, request, response to, kind, flags
		message = binary.LittleEndian.AppendUint32(message, n)
	}
	message = append(append(message, 0), doc...) // section kind 0: one document
	if _, err := conn.Write(message); err != nil {
		return reply{}, err
	}
	header := make([]byte, 16)
	if _, err := io.ReadFull(conn, header); err != nil {
		return reply{}, err
	}
	length := binary.LittleEndian.Uint32(header)
	if binary.LittleEndian.Uint32(header[12:]) != opMsg || length < 16+5+5 || length > maxDocument {
		return reply{}, errNotMongo
	}
	body := make([]byte, length-16)
	if _, err := io.ReadFull(conn, body); err != nil {
		return reply{}, err
	}
	if body[4] != 0 {
		return reply{}, errNotMongo
	}
	return readReply(body[5:])
}

// readReply reads a BSON document as far as it is needed.
func readReply(b []byte) (reply, error) {
	var r reply
	if len(b) < 5 {
		return r, errNotMongo
	}
	b = b[4:]
	for len(b) > 0 && b[0] != 0 {
		kind := b[0]
		end := bytes.IndexByte(b[1:], 0)
		if end < 0 {
			return r, errNotMongo
		}
		name := string(b[1 : 1+end])
		b = b[2+end:]
		size := sizeOf(kind, b)
		if size < 0 || size > len(b) {
			return r, errNotMongo
		}
		value := b[:size]
		b = b[size:]
		switch {
		case name == "ok" && kind == 0x01:
			r.ok = math.Float64frombits(binary.LittleEndian.Uint64(value))
		case name == "ok" && kind == 0x10:
			r.ok = float64(int32(binary.LittleEndian.Uint32(value)))
		case name == "code" && kind == 0x10:
			r.code = strconv.Itoa(int(int32(binary.LittleEndian.Uint32(value))))
		case name == "readOnly" && kind == 0x08:
			r.readOnly = value[0] != 0
		}
	}
	return r, nil
}

// sizeOf is the length of a BSON value, or -1 where it is not known.
func sizeOf(kind byte, b []byte) int {
	long := func(extra int) int {
		if len(b) < 4 {
			return -1
		}
		n := binary.LittleEndian.Uint32(b)
		if n > maxDocument {
			return -1
		}
		return int(n) + extra
	}
	switch kind {
	case 0x01, 0x09, 0x11, 0x12: // double, date, timestamp, int64
		return 8
	case 0x02, 0x0d, 0x0e: // strings
		return long(4)
	case 0x03, 0x04: // document, array
		return long(0)
	case 0x05: // binary
		return long(5)
	case 0x07: // object id
		return 12
	case 0x08: // boolean
		return 1
	case 0x0a, 0x06: // null, undefined
		return 0
	case 0x10: // int32
		return 4
	case 0x13: // decimal
		return 16
	}
	return -1
}
