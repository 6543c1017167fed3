//go:build linux

package procfs

import (
	"bytes"
	"errors"
)

var errPortRange = errors.New("not two ports")

// LocalPorts is the range from which the kernel chooses a port for who asks for any, both ends included.
func (fs FS) LocalPorts() (first, last uint16, err error) {
	both, err := parsed(fs, "sys/net/ipv4/ip_local_port_range", parsePortRange)
	return both[0], both[1], err
}

func parsePortRange(b []byte) (both [2]uint16, err error) {
	fields := bytes.Fields(b)
	if len(fields) != len(both) {
		return both, errPortRange
	}
	for n, f := range fields {
		port, ok := number(f)
		if !ok || port > 1<<16-1 {
			return [2]uint16{}, errPortRange
		}
		both[n] = uint16(port) // #nosec G115 -- looked at above
	}
	return both, nil
}
