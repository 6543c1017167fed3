//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Meminfo is the machine's memory, in bytes.
type Meminfo struct {
	Total     uint64
	Available uint64 // the kernel's estimate of what can be had without swapping
	SwapTotal uint64
	SwapFree  uint64
}

// SwapUsed is how much has been swapped out.
func (m Meminfo) SwapUsed() uint64 { return m.SwapTotal - min(m.SwapFree, m.SwapTotal) }

// Meminfo reads /proc/meminfo.
func (fs FS) Meminfo() (Meminfo, error) {
	return parsed(fs, "meminfo", parseMeminfo)
}

func parseMeminfo(b []byte) (Meminfo, error) {
	var m Meminfo
	const all = 4
	seen := 0
	eachKiB(b, func(name []byte, bytes uint64) {
		var field *uint64
		switch string(name) {
		case "MemTotal":
			field = &m.Total
		case "MemAvailable":
			field = &m.Available
		case "SwapTotal":
			field = &m.SwapTotal
		case "SwapFree":
			field = &m.SwapFree
		default:
			return
		}
		*field = bytes
		seen++
	})
	if seen < all {
		return Meminfo{}, errors.New("MemTotal, MemAvailable, SwapTotal or SwapFree is missing")
	}
	return m, nil
}

// eachKiB reads lines such as "MemTotal:  16375544 kB". Others are skipped.
func eachKiB(b []byte, visit func(name []byte, bytes uint64)) {
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte{'\n'})
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			continue
		}
		word, rest := nextWord(line[colon+1:])
		unit, _ := nextWord(rest)
		if n, ok := number(word); ok && string(unit) == "kB" && n < 1<<54 {
			visit(line[:colon], n<<10)
		}
	}
}

// Swap is one swap area.
type Swap struct {
	Path     string
	Type     string // "partition" or "file"
	Size     uint64 // bytes
	Used     uint64 // bytes
	Priority int
}

// Swaps lists the swap areas in use; none where the kernel knows no swap.
func (fs FS) Swaps() ([]Swap, error) {
	swaps, err := parsed(fs, "swaps", parseSwaps)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return swaps, err
}

func parseSwaps(b []byte) ([]Swap, error) {
	var swaps []Swap
	for i, line := range strings.Split(string(b), "\n") {
		words := strings.Fields(line)
		if i == 0 || len(words) == 0 {
			continue
		}
		if len(words) != 5 {
			return nil, fmt.Errorf("line %d has %d fields, not 5", i+1, len(words))
		}
		size, okSize := number([]byte(words[2]))
		used, okUsed := number([]byte(words[3]))
		priority, err := strconv.Atoi(words[4])
		if !okSize || !okUsed || err != nil || size >= 1<<54 || used >= 1<<54 {
			return nil, fmt.Errorf("line %d: %w", i+1, errStat)
		}
		swaps = append(swaps, Swap{Path: unescape(words[0]), Type: words[1], Size: size << 10, Used: used << 10, Priority: priority})
	}
	return swaps, nil
}

// unescape undoes \040 and the like, which stand for blanks in paths.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// Resource is something that the kernel measures pressure of.
type Resource string

// The resources that every kernel with pressure information knows.
const (
	CPU    Resource = "cpu"
	IO     Resource = "io"
	RAM    Resource = "memory"
	maxPSI          = 100
)

// Stall is the share of time, in percent, in which work stood still for want of a resource.
type Stall struct {
	Avg10, Avg60, Avg300 float64
	Total                time.Duration // since boot
}

// Pressure tells how much some and how much all of the work stood still.
type Pressure struct {
	Some, Full Stall
}

// Pressure reads /proc/pressure. known is false where the kernel does not measure it (too old, or psi=0): no error.
func (fs FS) Pressure(of Resource) (p Pressure, known bool, err error) {
	p, err = parsed(fs, "pressure/"+string(of), parsePressure)
	switch {
	case err == nil:
		return p, true, nil
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.EOPNOTSUPP):
		return Pressure{}, false, nil
	default:
		return Pressure{}, false, err
	}
}

func parsePressure(b []byte) (Pressure, error) {
	var p Pressure
	some := false
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		var stall *Stall
		switch words[0] {
		case "some":
			stall, some = &p.Some, true
		case "full": // missing for cpu on older kernels
			stall = &p.Full
		default:
			continue
		}
		for _, word := range words[1:] {
			if err := stall.set(word); err != nil {
				return Pressure{}, fmt.Errorf("%s: %w", words[0], err)
			}
		}
	}
	if !some {
		return Pressure{}, errStat
	}
	return p, nil
}

func (s *Stall) set(word string) error {
	name, value, _ := strings.Cut(word, "=")
	var to *float64
	switch name {
	case "avg10":
		to = &s.Avg10
	case "avg60":
		to = &s.Avg60
	case "avg300":
		to = &s.Avg300
	case "total":
		us, ok := number([]byte(value))
		if !ok || us > uint64(1<<63-1)/1000 {
			return fmt.Errorf("%s: %w", word, errStat)
		}
		s.Total = time.Duration(us) * time.Microsecond
		return nil
	default:
		return nil
	}
	percent, err := strconv.ParseFloat(value, 64)
	if err != nil || !(percent >= 0 && percent <= maxPSI) {
		return fmt.Errorf("%s: %w", word, errStat)
	}
	*to = percent
	return nil
}

// Load is how many tasks wanted to run, on average, and how many there are now.
type Load struct {
	Avg1, Avg5, Avg15 float64
	Runnable, Tasks   int
}

// LoadAvg reads /proc/loadavg.
func (fs FS) LoadAvg() (Load, error) {
	return parsed(fs, "loadavg", parseLoad)
}

func parseLoad(b []byte) (Load, error) {
	words := strings.Fields(string(b))
	if len(words) < 4 {
		return Load{}, errStat
	}
	var l Load
	for i, to := range []*float64{&l.Avg1, &l.Avg5, &l.Avg15} {
		n, err := strconv.ParseFloat(words[i], 64)
		if err != nil || !(n >= 0 && n < 1e9) {
			return Load{}, fmt.Errorf("%q: %w", words[i], errStat)
		}
		*to = n
	}
	left, right, _ := strings.Cut(words[3], "/")
	runnable, okLeft := number([]byte(left))
	tasks, okRight := number([]byte(right))
	if !okLeft || !okRight || runnable > 1<<31-1 || tasks > 1<<31-1 {
		return Load{}, fmt.Errorf("%q: %w", words[3], errStat)
	}
	l.Runnable, l.Tasks = int(runnable), int(tasks)
	return l, nil
}

// BootID names the time since the last boot; another one means that the machine was started anew.
func (fs FS) BootID() (string, error) {
	return parsed(fs, "sys/kernel/random/boot_id", func(b []byte) (string, error) {
		id := string(bytes.TrimSpace(b))
		if len(id) != 36 {
			return "", fmt.Errorf("%q: %w", id, errStat)
		}
		return id, nil
	})
}

// OOMKills counts the processes that the kernel has killed for want of memory, cgroup limits included, since boot.
// known is false on kernels that do not count.
func (fs FS) OOMKills() (n uint64, known bool, err error) {
	n, err = parsed(fs, "vmstat", func(b []byte) (uint64, error) {
		for line := range bytes.SplitSeq(b, []byte{'\n'}) {
			if rest, ok := bytes.CutPrefix(line, []byte("oom_kill ")); ok {
				n, known = number(rest)
				break
			}
		}
		return n, nil
	})
	return n, known && err == nil, err
}

// parsed reads a file below the root.
func parsed[T any](fs FS, file string, parse func([]byte) (T, error)) (T, error) {
	var none T
	b, err := fs.read(file)
	if err != nil {
		return none, err
	}
	value, err := parse(b)
	if err != nil {
		return none, fmt.Errorf("%s/%s: %w", fs.root, file, err)
	}
	return value, nil
}

func (fs FS) read(file string) ([]byte, error) {
	path := fs.root + "/" + file
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	b, err := readAll(fd, 16<<20)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}
