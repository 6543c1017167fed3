//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// Flags of a route, as in linux/route.h and linux/ipv6_route.h.
const (
	routeUp      = 0x1
	routeGateway = 0x2
	routeReject  = 0x200
)

// LeadsOut tells whether a route leads out of this machine: one to everywhere, or one through a gateway. Nothing is sent to
// find that out.
func (fs FS) LeadsOut() (bool, error) {
	found, err := parsed(fs, "net/route", func(b []byte) (bool, error) { return leadsOut4(b), nil })
	if err != nil || found {
		return found, err
	}
	found, err = parsed(fs, "net/ipv6_route", func(b []byte) (bool, error) { return leadsOut6(b), nil })
	if errors.Is(err, unix.ENOENT) {
		return false, nil // a kernel without IPv6
	}
	return found, err
}

// leadsOut4 reads lines such as "eth0 00000000 010200C0 0003 0 0 100 00000000 0 0 0" behind a heading.
func leadsOut4(b []byte) bool {
	for line := range bytes.Lines(b) {
		const interfaceAt, toAt, flagsAt, maskAt = 0, 1, 3, 7
		f := bytes.Fields(line)
		if len(f) <= maskAt || string(f[interfaceAt]) == "lo" {
			continue
		}
		flags, err := strconv.ParseUint(string(f[flagsAt]), 16, 32)
		if err != nil || flags&routeUp == 0 || flags&routeReject != 0 {
			continue
		}
		everywhere := string(f[toAt]) == "00000000" && string(f[maskAt]) == "00000000"
		if everywhere || flags&routeGateway != 0 {
			return true
		}
	}
	return false
}

// leadsOut6 reads lines of target, its length, source, its length, next hop, metric, two counts, flags and interface.
func leadsOut6(b []byte) bool {
	for line := range bytes.Lines(b) {
		const lengthAt, flagsAt, interfaceAt = 1, 8, 9
		f := bytes.Fields(line)
		if len(f) <= interfaceAt || string(f[interfaceAt]) == "lo" {
			continue
		}
		flags, err := strconv.ParseUint(string(f[flagsAt]), 16, 32)
		if err != nil || flags&routeUp == 0 || flags&routeReject != 0 {
			continue
		}
		if string(f[lengthAt]) == "00" || flags&routeGateway != 0 {
			return true
		}
	}
	return false
}
