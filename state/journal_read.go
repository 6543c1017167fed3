package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state/watch"
)

// Query says which events to read.
type Query struct {
	// Since leaves out what happened before it, by the clock on the wall. The zero time leaves out nothing.
	Since time.Time
	// Limit is how many events to give at most, the newest ones. 0 means all, and less means none.
	Limit int
}

// Read gives events, oldest first, from the journal and from those that were put aside. Lines that make no sense, such as
// one that a crash has torn, are passed over. An App without a journal has no events.
func (j *Journal) Read(q Query) ([]v1alpha1.Event, error) {
	parts, err := j.openAll()
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	defer closeAll(parts)
	events, err := newest(parts, q)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	return events, nil
}

// part is one file of the journal, up to where it is read.
type part struct {
	file *os.File
	info os.FileInfo
	end  int64
}

// openAll opens the journal's files, the newest first. A rotation at the same time leaves none out and gives none twice.
func (j *Journal) openAll() ([]part, error) {
	var parts []part
	for i := range journalOld + 1 {
		f, err := openRegular(j.generation(i), os.O_RDONLY)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			closeAll(parts)
			return nil, err
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			closeAll(parts)
			return nil, err
		}
		if slices.ContainsFunc(parts, func(p part) bool { return os.SameFile(p.info, info) }) {
			f.Close()
			continue
		}
		parts = append(parts, part{file: f, info: info, end: info.Size()})
	}
	return parts, nil
}

func closeAll(parts []part) {
	for _, p := range parts {
		p.file.Close()
	}
}

// newest reads backwards until there are enough events, and gives them oldest first.
func newest(parts []part, q Query) ([]v1alpha1.Event, error) {
	var events []v1alpha1.Event
	if q.Limit < 0 {
		return nil, nil
	}
	for _, p := range parts {
		err := backwards(p.file, p.end, func(line []byte) bool {
			if e, ok := parseEvent(line); ok && !e.Time.Time.Before(q.Since) {
				events = append(events, e)
			}
			return q.Limit == 0 || len(events) < q.Limit
		})
		if err != nil {
			return nil, err
		}
		if q.Limit > 0 && len(events) >= q.Limit {
			break
		}
	}
	slices.Reverse(events)
	return events, nil
}

// parseEvent reads one line; a line that is no event is not ok.
func parseEvent(line []byte) (v1alpha1.Event, bool) {
	var e v1alpha1.Event
	if len(bytes.TrimSpace(line)) == 0 || json.Unmarshal(line, &e) != nil || e.Reason == "" {
		return v1alpha1.Event{}, false
	}
	return e, true
}

// block is how much is read at once.
const block = 64 << 10

// backwards gives the lines of a file, the last one first, until yield returns false.
func backwards(r io.ReaderAt, end int64, yield func(line []byte) bool) error {
	var tail []byte // what has been read and not been given yet: the end of a line that begins further up
	for pos := end; pos > 0; {
		n := min(pos, block)
		pos -= n
		chunk := make([]byte, n, int(n)+len(tail))
		if _, err := r.ReadAt(chunk, pos); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		tail = append(chunk, tail...)
		for {
			i := bytes.LastIndexByte(tail, '\n')
			if i < 0 {
				break
			}
			if !yield(tail[i+1:]) {
				return nil
			}
			tail = tail[:i]
		}
	}
	if len(tail) > 0 {
		yield(tail)
	}
	return nil
}

// Follow gives the events that Read would give and then every new one as it is written, without a gap and none twice. The
// channel is closed when the context has ended. A slow reader blocks nobody. warn is told what stands in the way of
// watching or reading the journal from then on; it may be nil.
func (j *Journal) Follow(ctx context.Context, q Query, warn func(error)) (<-chan v1alpha1.Event, error) {
	if warn == nil {
		warn = func(error) {}
	}
	ctx, cancel := context.WithCancel(ctx)
	changes := watch.Options{Warn: warn}.Watch(ctx, j.path)
	f := &follower{path: j.path}
	known, err := f.begin(j, q)
	if err != nil {
		cancel()
		for range changes { // until the watcher has ended
		}
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	out := make(chan v1alpha1.Event)
	go func() {
		defer close(out)
		defer func() {
			cancel()
			for range changes {
			}
		}()
		defer f.close()
		for _, e := range known {
			if !send(ctx, out, e) {
				return
			}
		}
		for range changes {
			err := f.read(func(e v1alpha1.Event) bool { return send(ctx, out, e) })
			if err != nil {
				warn(fmt.Errorf("following the journal: %w", err))
			}
		}
	}()
	return out, nil
}

func send(ctx context.Context, out chan<- v1alpha1.Event, e v1alpha1.Event) bool {
	select {
	case out <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// follower reads a journal forwards as it grows.
type follower struct {
	path string
	file *os.File
	// at is up to where the file has been read; line is the beginning of a line whose end is not there yet.
	at   int64
	line []byte
}

// begin reads what is there, and stands at its end.
func (f *follower) begin(j *Journal, q Query) ([]v1alpha1.Event, error) {
	parts, err := j.openAll()
	if err != nil {
		return nil, err
	}
	defer func() { closeAll(parts) }()
	if len(parts) > 0 {
		// Stand after the last whole line; what comes after it is read when it is whole.
		end := parts[0].end
		err := backwards(parts[0].file, end, func(line []byte) bool {
			parts[0].end = end - int64(len(line))
			return false
		})
		if err != nil {
			return nil, err
		}
	}
	known, err := newest(parts, q)
	if err == nil && len(parts) > 0 {
		f.file, f.at = parts[0].file, parts[0].end
		parts = parts[1:]
	}
	return known, err
}

// read gives what has been added since the last time, also across a rotation.
func (f *follower) read(yield func(v1alpha1.Event) bool) error {
	if err := f.drain(yield); err != nil {
		return err
	}
	current, err := openRegular(f.path, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if f.file != nil {
		was, err1 := f.file.Stat()
		now, err2 := current.Stat()
		if err1 == nil && err2 == nil && os.SameFile(was, now) {
			return current.Close()
		}
		// It was put aside after the last look; what was added to it until then comes first.
		if err := f.drain(yield); err != nil {
			current.Close()
			return err
		}
		f.file.Close()
	}
	f.file, f.at, f.line = current, 0, nil
	return f.drain(yield)
}

// drain reads to the end of the file that is open.
func (f *follower) drain(yield func(v1alpha1.Event) bool) error {
	if f.file == nil {
		return nil
	}
	if info, err := f.file.Stat(); err == nil && info.Size() < f.at { // somebody has emptied it
		f.at, f.line = 0, nil
	}
	buf := make([]byte, block)
	for {
		n, err := f.file.ReadAt(buf, f.at)
		f.at += int64(n)
		f.line = append(f.line, buf[:n]...)
		for {
			line, rest, ok := bytes.Cut(f.line, []byte{'\n'})
			if !ok {
				break
			}
			f.line = rest
			if e, ok := parseEvent(line); ok && !yield(e) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			f.line = bytes.Clone(f.line)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (f *follower) close() {
	if f.file != nil {
		f.file.Close()
	}
}
