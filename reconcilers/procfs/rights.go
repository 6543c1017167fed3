//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// Rights are what the kernel lets a process do.
type Rights struct {
	UID   int  // effective
	Admin bool // CAP_SYS_ADMIN is in force
}

// Rights reads the rights of a process. Everybody may read them of everybody.
func (fs FS) Rights(pid int) (Rights, error) {
	return parsed(fs, strconv.Itoa(pid)+"/status", parseRights)
}

func parseRights(b []byte) (r Rights, err error) {
	uid, caps := false, false
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		name, rest, _ := bytes.Cut(line, []byte{':'})
		words := bytes.Fields(rest)
		switch {
		case string(name) == "Uid" && len(words) == 4: // real, effective, saved, file system
			r.UID, err = strconv.Atoi(string(words[1]))
			uid = err == nil
		case string(name) == "CapEff" && len(words) == 1:
			bits, err := strconv.ParseUint(string(words[0]), 16, 64)
			caps = err == nil
			r.Admin = bits&(1<<unix.CAP_SYS_ADMIN) != 0
		}
	}
	if !uid || !caps {
		return Rights{}, errors.New("Uid or CapEff is missing")
	}
	return r, nil
}
