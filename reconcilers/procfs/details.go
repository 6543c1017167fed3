//go:build linux

package procfs

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	maxEnviron = 4 << 20 // the kernel's own limit for arguments and environment is a quarter of the stack limit
	maxCmdline = 64 << 10
)

// Cmdline is the process's arguments. Programs may overwrite them: Next.js makes it one argument, "next-server
// (v16.4.6)", whose padding is cut off here. Kernel threads have none. Arguments can hold secrets.
func (fs FS) Cmdline(id Identity) ([]string, error) {
	b, err := fs.contents(id, "cmdline\x00", maxCmdline)
	if err != nil {
		return nil, err
	}
	var args []string
	for arg := range bytes.SplitSeq(bytes.TrimRight(b, "\x00 "), []byte{0}) {
		args = append(args, string(arg))
	}
	if len(args) == 1 && args[0] == "" {
		return nil, nil
	}
	return args, nil
}

// Short joins a command line for people: one line, nothing unprintable, at most limit characters.
func Short(args []string, limit int) string {
	var out strings.Builder
	length := 0
	for i, arg := range args {
		if i > 0 {
			arg = " " + arg
		}
		for _, r := range arg {
			if length == limit {
				return strings.TrimRight(out.String(), " ") + "…"
			}
			if r == utf8.RuneError || !unicode.IsPrint(r) {
				r = '?'
			}
			out.WriteRune(r)
			length++
		}
	}
	return out.String()
}

// Exe is the program's file. It ends in " (deleted)" where that was replaced or removed since the start. Other users'
// programs cannot be asked without rights: [os.ErrPermission].
func (fs FS) Exe(id Identity) (string, error) { return fs.link(id, "exe\x00") }

// Cwd is the folder the process works in, with " (deleted)" behind it if that was removed. The same rights are needed
// as for [FS.Exe].
func (fs FS) Cwd(id Identity) (string, error) { return fs.link(id, "cwd\x00") }

// WorksElsewhere tells whether the folder that the process works in is certainly not the one that has its path here: a
// process in a mount namespace of its own, such as a container's, may work in a folder of the same path.
func (fs FS) WorksElsewhere(id Identity, cwd string) bool {
	h, err := fs.openSame(id)
	if err != nil {
		return false
	}
	defer h.close()
	var its, ours unix.Stat_t
	if unix.Fstatat(h.fd, "cwd", &its, 0) != nil || unix.Stat(cwd, &ours) != nil {
		return false
	}
	return its.Dev != ours.Dev || its.Ino != ours.Ino
}

// Environ returns those of the named variables that stood in the process's environment at its start. The rest is wiped
// before this returns. The same rights are needed as for [FS.Exe].
func (fs FS) Environ(id Identity, names ...string) (map[string]string, error) {
	b, err := fs.contents(id, "environ\x00", maxEnviron)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	found := make(map[string]string, len(names))
	for entry := range bytes.SplitSeq(b, []byte{0}) {
		for _, name := range names {
			if len(entry) > len(name) && entry[len(name)] == '=' && string(entry[:len(name)]) == name {
				if _, doubled := found[name]; !doubled { // getenv, too, takes the first
					found[name] = string(entry[len(name)+1:])
				}
			}
		}
	}
	return found, nil
}

// Contained says that a process lives in a container of this machine: in a pid namespace below the one in which we live. All
// that it says of itself, its folders and its user, may mean something else than it does here. Anybody may ask.
func (fs FS) Contained(id Identity) (bool, error) {
	b, err := fs.contents(id, "status\x00", 64<<10)
	if err != nil {
		return false, err
	}
	own, err := fs.read("self/status")
	if err != nil {
		return false, err
	}
	return levels(b) > levels(own), nil
}

// levels counts the pid namespaces in which a process has a pid, from the one to which /proc belongs downwards; see NSpid in
// proc(5). A kernel without them says nothing: 0.
func levels(status []byte) int {
	for line := range bytes.Lines(status) {
		if pids, ok := bytes.CutPrefix(line, []byte("NSpid:")); ok {
			return len(bytes.Fields(pids))
		}
	}
	return 0
}

// Memory is what a process weighs, in bytes.
type Memory struct {
	RSS     uint64
	PSS     uint64 // shared pages divided by the number of those who share them
	SwapPSS uint64
}

// Memory measures a process. The kernel walks all its pages for this (about a millisecond for a Node process); for a
// look at every pass [Process.RSS] is enough. The same rights are needed as for [FS.Exe].
func (fs FS) Memory(id Identity) (Memory, error) {
	b, err := fs.contents(id, "smaps_rollup\x00", 64<<10)
	if err != nil {
		return Memory{}, err
	}
	var m Memory
	eachKiB(b, func(name []byte, bytes uint64) {
		switch string(name) {
		case "Rss":
			m.RSS = bytes
		case "Pss":
			m.PSS = bytes
		case "SwapPss":
			m.SwapPSS = bytes
		}
	})
	return m, nil
}

// Descriptors are a process's open files and the limit on them.
type Descriptors struct {
	Open  int
	Limit uint64 // soft; the highest number there is where it is unlimited
}

// Descriptors counts a process's open files. The same rights are needed as for [FS.Exe].
func (fs FS) Descriptors(id Identity) (Descriptors, error) {
	h, err := fs.openSame(id)
	if err != nil {
		return Descriptors{}, err
	}
	defer h.close()
	b, err := h.contents("limits\x00", 64<<10)
	if err != nil {
		return Descriptors{}, err
	}
	limit, ok := parseOpenFiles(b)
	if !ok {
		return Descriptors{}, fmt.Errorf("process %s: limits: %w", id, errStat)
	}
	d := Descriptors{Limit: limit}
	fd, err := openat(h.fd, fdName, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return Descriptors{}, h.fail("fd", err)
	}
	defer unix.Close(fd)
	err = entries(fd, make([]byte, 8192), func(name []byte) error {
		if name[0] != '.' {
			d.Open++
		}
		return nil
	})
	if err != nil {
		return Descriptors{}, h.fail("fd", err)
	}
	return d, nil
}

func parseOpenFiles(b []byte) (soft uint64, ok bool) {
	for line := range bytes.SplitSeq(b, []byte{'\n'}) {
		if rest, found := bytes.CutPrefix(line, []byte("Max open files")); found {
			word, _ := nextWord(rest)
			if string(word) == "unlimited" {
				return 1<<64 - 1, true
			}
			return number(word)
		}
	}
	return 0, false
}

func (fs FS) contents(id Identity, file string, limit int) ([]byte, error) {
	h, err := fs.openSame(id)
	if err != nil {
		return nil, err
	}
	defer h.close()
	b, err := h.contents(file, limit)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 { // a process that ends loses its memory first and its entry last
		if p, err := h.process(); err == nil && !p.Alive() {
			err = ErrGone
			return nil, fmt.Errorf("process %s: %w", id, err)
		} else if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// contents reads a file of the process; the name ends in a NUL byte.
func (h handle) contents(file string, limit int) ([]byte, error) {
	name := file[:len(file)-1]
	fd, err := openat(h.fd, []byte(file), unix.O_RDONLY)
	if err != nil {
		return nil, h.fail(name, err)
	}
	b, err := readAll(fd, limit)
	_ = unix.Close(fd)
	if err != nil {
		return nil, h.fail(name, err)
	}
	return b, nil
}

func (fs FS) link(id Identity, file string) (string, error) {
	h, err := fs.openSame(id)
	if err != nil {
		return "", err
	}
	defer h.close()
	buf := make([]byte, unix.PathMax+16)
	n, err := readlinkat(h.fd, []byte(file), buf)
	if err != nil {
		if p, again := h.process(); again == nil && p.Alive() {
			return "", fmt.Errorf("process %s: %s: %w", id, file[:len(file)-1], err)
		}
		return "", h.fail(file[:len(file)-1], unix.ESRCH)
	}
	return string(buf[:n]), nil
}
