//go:build linux

package procfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The files of /proc are read with bare system calls: os.Open would offer each of them to the poller in vain, and
// wrapping names in strings costs more than the kernel's own work.

// openat opens a path that ends in a NUL byte.
func openat(dir int, path []byte, flags int) (int, error) {
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(&path[0])),
			uintptr(flags|unix.O_CLOEXEC), 0, 0, 0)
		switch errno {
		case 0:
			return int(fd), nil
		case unix.EINTR:
			continue
		default:
			return -1, errno
		}
	}
}

// readlinkat reads the link whose name (ending in a NUL byte) is given.
func readlinkat(dir int, name []byte, buf []byte) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func read(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// readSmall fills buf from a file that is known to fit; the kernel hands such files out in one piece, yet not always
// in one read.
func readSmall(fd int, buf []byte) ([]byte, error) {
	filled := 0
	for filled < len(buf) {
		n, err := read(fd, buf[filled:])
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		filled += n
	}
	return buf[:filled], nil
}

// readLine is readSmall for a file of one line: what ends like one has no more.
func readLine(fd int, buf []byte) ([]byte, error) {
	n, err := read(fd, buf)
	if err != nil || n > 0 && n < len(buf) && buf[n-1] == '\n' {
		return buf[:n], err
	}
	more, err := readSmall(fd, buf[n:])
	return buf[:n+len(more)], err
}

var errTooLong = errors.New("longer than expected")

// readAll reads to the end, but not past limit bytes.
func readAll(fd int, limit int) ([]byte, error) {
	buf := make([]byte, 0, 4096)
	for {
		n, err := read(fd, buf[len(buf):cap(buf)])
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return buf, nil
		}
		if buf = buf[:len(buf)+n]; len(buf) > limit {
			return nil, errTooLong
		}
		if len(buf) == cap(buf) {
			// Not append: what it leaves behind may hold secrets that the caller wants to wipe.
			next := make([]byte, len(buf), 2*cap(buf))
			copy(next, buf)
			clear(buf)
			buf = next
		}
	}
}

// entries calls visit for each entry of an open folder. The name ends in a NUL byte and is valid during the call only.
func entries(fd int, buf []byte, visit func(name []byte) error) error {
	const header = 19 // linux_dirent64: inode 8, offset 8, length 2, type 1
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		for rest := buf[:n]; len(rest) > 0; {
			if len(rest) < header {
				return io.ErrUnexpectedEOF
			}
			length := int(binary.NativeEndian.Uint16(rest[16:]))
			if length <= header || length > len(rest) {
				return fmt.Errorf("directory entry of %d bytes: %w", length, io.ErrUnexpectedEOF)
			}
			name := rest[header:length]
			rest = rest[length:]
			for i, c := range name {
				if c == 0 {
					name = name[:i+1]
					break
				}
			}
			if err := visit(name); err != nil {
				return err
			}
		}
	}
}

// number reads decimal digits, and nothing else, without allocating.
func number(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
