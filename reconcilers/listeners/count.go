//go:build linux

package listeners

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// stateNames are the states of a TCP socket, as the kernel numbers them and ss names them.
var stateNames = []string{
	"", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN",
	"CLOSING", "NEW-SYN-RECV",
}

// Count tells how many connections there are on the port, by their state: those of clients to the application, seen from the
// application's end. The sockets that listen are not among them. There are none that could be asked for in mid-change: the
// numbers are those of one moment, more or less.
func Count(ctx context.Context, port uint16) (map[string]int, error) {
	counts := map[string]int{}
	const all = 1<<13 - 1
	err := each(ctx, func() *dump { return &dump{port: port, states: all &^ (1 << listenState), counts: counts} }, func(*dump) {})
	if err != nil && !errors.Is(err, errInterrupted) {
		return nil, err
	}
	return counts, nil
}

// count takes one socket into account.
func (d *dump) count(b []byte) error {
	if len(b) < socketSize {
		return fmt.Errorf("%w: socket of %d bytes", errMalformed, len(b))
	}
	state := int(b[1])
	if binary.BigEndian.Uint16(b[4:]) != d.port || state >= len(stateNames) || state == listenState {
		return nil
	}
	d.counts[stateNames[state]]++
	return nil
}
