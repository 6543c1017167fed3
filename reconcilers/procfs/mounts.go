//go:build linux

package procfs

import (
	"strconv"
	"strings"
)

// Mount is one mounted file system as this process sees it.
type Mount struct {
	ID           int
	Major, Minor uint32
	Point        string
}

// Mounts lists what is mounted in this process's view, bind mounts included. Lines it does not understand are left out.
func (fs FS) Mounts() ([]Mount, error) {
	return parsed(fs, "self/mountinfo", func(b []byte) ([]Mount, error) { return parseMounts(string(b)), nil })
}

// parseMounts reads lines such as "24 30 0:22 / /proc rw,relatime ...". Device numbers are decimal here.
func parseMounts(mountinfo string) []Mount {
	var mounts []Mount
	for line := range strings.Lines(mountinfo) {
		words := strings.Fields(line)
		if len(words) < 5 {
			continue
		}
		left, right, _ := strings.Cut(words[2], ":")
		id, err1 := strconv.Atoi(words[0])
		major, err2 := strconv.ParseUint(left, 10, 32)
		minor, err3 := strconv.ParseUint(right, 10, 32)
		if err1 != nil || err2 != nil || err3 != nil {
			continue
		}
		mounts = append(mounts, Mount{ID: id, Major: uint32(major), Minor: uint32(minor), Point: unescape(words[4])})
	}
	return mounts
}
