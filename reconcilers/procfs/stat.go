//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

var (
	errStat  = errors.New("not in the kernel's format")
	pageSize = uint64(os.Getpagesize())
	minus    = []byte("-")
)

const kernelThread = 0x00200000 // PF_KTHREAD

// parseStat reads a line of /proc/<pid>/stat. The command's name stands in brackets and may itself hold brackets,
// blanks and newlines ("next-server (v1" has one bracket too many), but nothing after it can: so the last bracket ends it.
func parseStat(b []byte, p *Process) error {
	first, last := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if first < 2 || last < first {
		return errStat
	}
	pid, ok := number(bytes.TrimSpace(b[:first]))
	if !ok || pid > 1<<31-1 {
		return fmt.Errorf("pid: %w", errStat)
	}

	// Counted from the state on; proc(5) calls these fields 3 to 24.
	const (
		state, ppid, pgrp, session, flags = 0, 1, 2, 3, 6
		utime, stime, threads, start, rss = 11, 12, 17, 19, 21
	)
	var fields [rss + 1]uint64
	var letter State
	rest := b[last+1:]
	for i := range fields {
		var word []byte
		word, rest = nextWord(rest)
		if i == state {
			if len(word) != 1 {
				return fmt.Errorf("state: %w", errStat)
			}
			letter = State(word[0])
			continue
		}
		// Some fields may be negative, none of those that are kept.
		n, ok := number(bytes.TrimPrefix(word, minus))
		if !ok {
			return fmt.Errorf("field %d: %w", i+3, errStat)
		}
		fields[i] = n
	}

	*p = Process{
		Identity: Identity{PID: int(pid), StartTicks: fields[start]},
		PPID:     int(fields[ppid] & (1<<31 - 1)),
		PGID:     int(fields[pgrp] & (1<<31 - 1)),
		SID:      int(fields[session] & (1<<31 - 1)),
		Comm:     string(b[first+1 : last]),
		State:    letter,
		Threads:  int(fields[threads] & (1<<31 - 1)),
		CPU:      time.Duration(min(fields[utime]+fields[stime], 1<<63/uint64(tick)-1)) * tick,
		RSS:      fields[rss] * pageSize,
		Kernel:   fields[flags]&kernelThread != 0,
	}
	return nil
}

// nextWord cuts off the first word. Blank and newline part words.
func nextWord(b []byte) (word, rest []byte) {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n') {
		i++
	}
	j := i
	for j < len(b) && b[j] != ' ' && b[j] != '\t' && b[j] != '\n' {
		j++
	}
	return b[i:j], b[j:]
}
