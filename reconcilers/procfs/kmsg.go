//go:build linux

package procfs

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// Kill is what the kernel says of a process that it killed for want of memory.
type Kill struct {
	PID  int
	At   time.Duration // since boot
	Line string
}

// killed is the kernel's line: "Out of memory: Killed process 812 (node) total-vm:…", with "Memory cgroup" before it where a
// limit was the reason.
var killed = regexp.MustCompile(`Killed process (\d+) \(`)

// OOMLines reads from the kernel's log who was killed for want of memory, oldest first. Many systems show that log to root
// only; the error then matches [os.ErrPermission].
func OOMLines(path string) ([]Kill, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var list []Kill
	buf := make([]byte, 8192)
	const most = 100_000 // records; the kernel's ring holds fewer
	for range most {
		n, err := unix.Read(fd, buf) // one record each
		switch {
		case err == unix.EINTR, err == unix.EPIPE: // EPIPE: it was overwritten meanwhile
			continue
		case err != nil || n == 0:
			return list, nil
		}
		if k, ok := parseKill(buf[:n]); ok {
			list = append(list, k)
		}
	}
	return list, nil
}

// parseKill reads a record such as "4,812,5140900,-;Out of memory: Killed process 812 (node) …".
func parseKill(record []byte) (Kill, bool) {
	const maxLine = 300
	head, text, ok := bytes.Cut(record, []byte{';'})
	fields := bytes.Split(head, []byte{','})
	if !ok || len(fields) < 3 {
		return Kill{}, false
	}
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	m := killed.FindSubmatch(line)
	if m == nil {
		return Kill{}, false
	}
	pid, err := strconv.Atoi(string(m[1]))
	us, fits := number(fields[2])
	if err != nil || !fits || us > uint64(1<<63-1)/1000 {
		return Kill{}, false
	}
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(line[:min(len(line), maxLine)]))
	return Kill{PID: pid, At: time.Duration(us) * time.Microsecond, Line: clean}, true
}
