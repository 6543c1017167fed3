//go:build linux

package procfs

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Deleted is a file that has no name any more and takes space as long as somebody holds it open.
type Deleted struct {
	Dev, Inode uint64
	Bytes      int64
}

var deletedSuffix = []byte(" (deleted)")

// DeletedFiles lists the regular files that a process holds open and that were removed. The same rights are needed as for
// [FS.Exe].
func (fs FS) DeletedFiles(id Identity) ([]Deleted, error) {
	h, err := fs.openSame(id)
	if err != nil {
		return nil, err
	}
	defer h.close()
	fd, err := openat(h.fd, fdName, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, h.fail("fd", err)
	}
	defer unix.Close(fd)
	var list []Deleted
	buf := make([]byte, unix.PathMax+16)
	err = entries(fd, make([]byte, 8192), func(name []byte) error {
		if name[0] == '.' {
			return nil
		}
		n, err := readlinkat(fd, name, buf)
		if err != nil || !bytes.HasSuffix(buf[:n], deletedSuffix) {
			return nil
		}
		var st unix.Stat_t
		err = unix.Fstatat(fd, string(name[:len(name)-1]), &st, 0)
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 0 {
			list = append(list, Deleted{Dev: st.Dev, Inode: st.Ino, Bytes: st.Blocks * 512})
		}
		return nil
	})
	if err != nil {
		return nil, h.fail("fd", err)
	}
	return list, nil
}
