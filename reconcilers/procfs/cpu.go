//go:build linux

package procfs

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTimes is what all processors together have done since boot.
type CPUTimes struct {
	Busy   time.Duration // for programs and for the kernel
	Stolen time.Duration // taken by the machine below this one
	Idle   time.Duration // nothing to do, or waiting for a disk
}

// Total is all of it.
func (c CPUTimes) Total() time.Duration { return c.Busy + c.Stolen + c.Idle }

// CPUTimes reads the first line of /proc/stat.
func (fs FS) CPUTimes() (CPUTimes, error) { return parsed(fs, "stat", parseCPUTimes) }

func parseCPUTimes(b []byte) (CPUTimes, error) {
	const user, nice, system, idle, iowait, irq, softirq, steal, all = 0, 1, 2, 3, 4, 5, 6, 7, 8
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	word, rest := nextWord(line)
	if string(word) != "cpu" {
		return CPUTimes{}, errStat
	}
	var fields [all]time.Duration
	for i := range fields {
		word, rest = nextWord(rest)
		n, ok := number(word)
		if !ok || n > uint64(1<<63-1)/uint64(tick) {
			return CPUTimes{}, fmt.Errorf("field %d: %w", i+1, errStat)
		}
		fields[i] = time.Duration(n) * tick
	}
	return CPUTimes{
		Busy:   fields[user] + fields[nice] + fields[system] + fields[irq] + fields[softirq],
		Stolen: fields[steal], Idle: fields[idle] + fields[iowait],
	}, nil
}

// Waiting is how long the first thread of a process has had a processor, and how long it has wanted one and not got it.
type Waiting struct {
	Ran, Waited time.Duration
}

// Waiting reads /proc/<pid>/schedstat. known is false where the kernel does not keep count.
func (fs FS) Waiting(id Identity) (w Waiting, known bool, err error) {
	b, err := fs.contents(id, "schedstat\x00", 4096)
	if err != nil || len(b) == 0 {
		return Waiting{}, false, err
	}
	ran, rest := nextWord(b)
	waited, _ := nextWord(rest)
	r, okRan := number(ran)
	n, okWaited := number(waited)
	if !okRan || !okWaited || r > 1<<63-1 || n > 1<<63-1 {
		return Waiting{}, false, fmt.Errorf("process %s: schedstat: %w", id, errStat)
	}
	return Waiting{Ran: time.Duration(r), Waited: time.Duration(n)}, r > 0, nil
}

// ThreadCPU is the processor time that the calling thread has used.
func ThreadCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
