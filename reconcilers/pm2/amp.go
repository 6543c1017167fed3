//go:build linux

package pm2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// An AMP message is one byte, version<<4 | number of arguments, and then each argument: its length in four bytes, most
// significant first, and the bytes. PM2 marks what an argument is by its first two: "j:" is JSON, "s:" is text.

const (
	ampVersion  = 1
	ampMaxArgs  = 15
	maxFrame    = 32 << 20 // 1 000 applications with 30 KB of environment each
	firstBuffer = 64 << 10
)

// errFrame says that the bytes are not an AMP message.
var errFrame = errors.New("not in PM2's message format")

// appendFrame appends a message.
func appendFrame(to []byte, args ...[]byte) []byte {
	to = append(to, ampVersion<<4|byte(len(args)))
	for _, arg := range args {
		to = binary.BigEndian.AppendUint32(to, uint32(len(arg)))
		to = append(to, arg...)
	}
	return to
}

// frame is one message. Its arguments lie in one buffer, which may be used again, and holds secrets.
type frame struct {
	buf  []byte
	args [ampMaxArgs][2]int
	n    int
}

// arg is the i-th argument, valid until the next read.
func (f *frame) arg(i int) []byte { return f.buf[f.args[i][0]:f.args[i][1]] }

// wipe forgets the message. What a program keeps in memory stands in its core dumps.
func (f *frame) wipe() {
	clear(f.buf[:cap(f.buf)])
	f.buf = f.buf[:0]
	if cap(f.buf) > 1<<20 { // one huge answer is no reason to stay huge
		f.buf = nil
	}
	f.n = 0
}

// read reads one message. Lengths are not believed before the bytes are there: memory grows with what really arrived,
// so that a broken peer cannot make us allocate what it announces.
func (f *frame) read(r io.Reader, limit int) error {
	f.buf, f.n = f.buf[:0], 0
	var head [4]byte
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return err
	}
	if head[0]>>4 != ampVersion {
		return fmt.Errorf("version %d: %w", head[0]>>4, errFrame)
	}
	for range int(head[0] & ampMaxArgs) {
		if _, err := io.ReadFull(r, head[:4]); err != nil {
			return unexpected(err)
		}
		size := int64(binary.BigEndian.Uint32(head[:4]))
		if size > int64(limit-len(f.buf)) {
			return fmt.Errorf("more than %d bytes: %w", limit, errFrame)
		}
		start := len(f.buf)
		if err := f.fill(r, int(size)); err != nil {
			return unexpected(err)
		}
		f.args[f.n] = [2]int{start, len(f.buf)}
		f.n++
	}
	return nil
}

// fill appends size bytes from r, growing as they come.
func (f *frame) fill(r io.Reader, size int) error {
	for size > 0 {
		if len(f.buf) == cap(f.buf) {
			grown := make([]byte, len(f.buf), max(2*cap(f.buf), firstBuffer))
			copy(grown, f.buf)
			clear(f.buf)
			f.buf = grown
		}
		piece := min(size, cap(f.buf)-len(f.buf))
		n, err := io.ReadFull(r, f.buf[len(f.buf):len(f.buf)+piece])
		f.buf = f.buf[:len(f.buf)+n]
		size -= n
		if err != nil {
			return err
		}
	}
	return nil
}

// unexpected: an end inside a message is not an orderly end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
