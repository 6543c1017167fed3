//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FlockHeld says whether somebody holds a flock(2) on the file, and which pid took it (0 where the kernel does not
// say). It takes no lock itself: that would disturb a build that starts at this moment. A file that is not there is
// not locked; one that is there means nothing by itself.
func (fs FS) FlockHeld(path string) (held bool, pid int, err error) {
	// O_PATH: no right to read is needed, and a FIFO does not block.
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, 0, fmt.Errorf("stat %s: %w", path, err)
	}
	locks, err := parsed(fs, "locks", parseFlocks)
	if err != nil {
		return false, 0, err
	}

	file := fileID{unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino}
	for _, l := range locks {
		if l.file == file {
			return true, l.pid, nil
		}
	}
	// On btrfs and overlayfs stat(2) shows other numbers than the kernel uses among its own.
	file, err = kernelID(fd, file)
	if err != nil {
		return false, 0, fmt.Errorf("%s: %w", path, err)
	}
	for _, l := range locks {
		if l.file == file {
			return true, l.pid, nil
		}
	}
	return false, 0, nil
}

type fileID struct {
	major, minor uint32
	inode        uint64
}

// flock is one held lock of /proc/locks.
type flock struct {
	pid  int
	file fileID
}

// parseFlocks keeps the flock(2) locks that are held, not those waited for ("1: -> FLOCK ...").
func parseFlocks(b []byte) ([]flock, error) {
	var locks []flock
	for line := range bytes.SplitSeq(b, []byte{'\n'}) {
		words := bytes.Fields(line)
		if len(words) < 6 || string(words[1]) != "FLOCK" {
			continue
		}
		id, err := parseFileID(string(words[5]))
		if err != nil {
			return nil, err
		}
		pid, _ := strconv.Atoi(string(words[4]))
		locks = append(locks, flock{pid: max(pid, 0), file: id})
	}
	return locks, nil
}

// parseFileID reads "fd:01:131075": the device in hexadecimal, the inode in decimal.
func parseFileID(s string) (fileID, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return fileID{}, fmt.Errorf("%q: %w", s, errStat)
	}
	major, err1 := strconv.ParseUint(parts[0], 16, 32)
	minor, err2 := strconv.ParseUint(parts[1], 16, 32)
	inode, err3 := strconv.ParseUint(parts[2], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fileID{}, fmt.Errorf("%q: %w", s, errStat)
	}
	return fileID{uint32(major), uint32(minor), inode}, nil
}

// kernelID asks for the numbers that the kernel itself uses: the inode from the descriptor, the device from the mount
// it was reached by. What an older kernel does not tell stays as stat(2) gave it.
func kernelID(fd int, id fileID) (fileID, error) {
	info, err := Default().read("self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return id, err
	}
	mount := -1
	for line := range strings.Lines(string(info)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		n, ok := number([]byte(strings.TrimSpace(value)))
		switch {
		case ok && name == "mnt_id" && n < 1<<31:
			mount = int(n)
		case ok && name == "ino":
			id.inode = n
		}
	}
	mounts, err := Default().Mounts()
	if err != nil {
		return id, err
	}
	for _, m := range mounts {
		if m.ID == mount {
			id.major, id.minor = m.Major, m.Minor
		}
	}
	return id, nil
}
