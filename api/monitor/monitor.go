// Package monitor writes monitor.log: a line for every pass with each check's outcome, and a line for every problem,
// decision, step, recovery, change of phase and alert. It is for people, with `tail -F` and grep.
//
// Nobody waits for it: lines are put into bounded queues, one for the file and one for the terminal or the journal, each
// with a writer of its own. What does not fit is dropped, counted and said.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// The formats of a line.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// The defaults of Options.
const (
	DefaultMaxSizeMB = 10
	DefaultFiles     = 5
)

// Options say where to write, and how much.
type Options struct {
	// Path is the file; without it there is none. It is made with mode 0600; one that is there keeps its mode.
	Path string
	// Format is FormatText (the default) or FormatJSON.
	Format string
	// MaxSizeMB is the size, in MiB, at which the file is put aside and a new one begun. Default 10.
	MaxSizeMB int
	// Files is how many files there are at most, the one that is written included: 2 or more, default 5. Together they take
	// MaxSizeMB times Files; while the oldest is being removed there is one more.
	Files int
	// Also gets every line too: the terminal, or what the journal reads. It may be nil.
	Also io.Writer
}

// Monitor writes monitor.log. It is a controller.Sink.
type Monitor struct {
	log      *logrus.Logger
	file     *outlet
	terminal *outlet
	closed   atomic.Bool

	mu     sync.Mutex
	phases map[string]v1alpha1.Phase // by App, as its last event told
}

// New begins to write. Its error is a warning: the Monitor works, but the file cannot be opened at this time; lines go to
// Also alone, and each further line tries the file again. Only an unknown format gives no Monitor.
func New(options Options) (*Monitor, error) {
	formatter, err := newFormatter(options.Format)
	if err != nil {
		return nil, err
	}
	m := &Monitor{phases: map[string]v1alpha1.Phase{}}
	m.log = newLogger(formatter, queues{m})
	if options.Also != nil {
		m.terminal = newOutlet(options.Also)
		m.terminal.dropped = func(n uint64) { m.say(options.Also).WithField("lines", n).Warn("log lines dropped") }
		go m.terminal.run()
	}
	if options.Path == "" {
		return m, nil
	}
	f := newFile(options)
	err = f.open()
	m.file = newOutlet(f)
	m.file.dropped = func(n uint64) { m.say(f).WithField("lines", n).Warn("log lines dropped") }
	m.file.failed = func(err error) {
		m.sayElsewhere(options.Path).WithField("error", err).Error("log file cannot be written")
	}
	m.file.mended = func(n uint64) {
		m.say(f).WithField("lines", n).Warn("log lines lost")
		m.sayElsewhere(options.Path).WithField("lines", n).Warn("log file is written again")
	}
	go m.file.run()
	if err != nil {
		return m, fmt.Errorf("monitor log: %w; going on without it", err)
	}
	return m, nil
}

// Logger is for what else is to stand in the log. It never blocks either.
func (m *Monitor) Logger() *logrus.Logger { return m.log }

// Dropped is how many lines were dropped because a writer was too slow.
func (m *Monitor) Dropped() uint64 {
	var n uint64
	for _, o := range m.outlets() {
		n += o.lost.Load()
	}
	return n
}

// Close writes what is queued, until the context ends, and closes the file. Lines that come later are lost.
func (m *Monitor) Close(ctx context.Context) error {
	if m.closed.Swap(true) {
		return nil
	}
	outlets := m.outlets()
	for _, o := range outlets {
		close(o.stop)
	}
	var errs []error
	for _, o := range outlets {
		select {
		case <-o.done:
			if c, ok := o.to.(io.Closer); ok && o == m.file {
				errs = append(errs, c.Close())
			}
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("monitor log: lines were left unwritten: %w", context.Cause(ctx)))
		}
	}
	return errors.Join(errs...)
}

func (m *Monitor) outlets() []*outlet {
	return slices.DeleteFunc([]*outlet{m.file, m.terminal}, func(o *outlet) bool { return o == nil })
}

// say gives an entry that goes to w alone, around the queues. Where w may block, it is for the goroutine that writes to w.
func (m *Monitor) say(w io.Writer) *logrus.Entry {
	return logrus.NewEntry(newLogger(m.log.Formatter, w))
}

// sayElsewhere gives an entry about the file for the terminal.
func (m *Monitor) sayElsewhere(path string) *logrus.Entry {
	if m.terminal == nil {
		return m.say(io.Discard).WithField("path", path)
	}
	return m.say(m.terminal).WithField("path", path)
}

// queues is what the logger writes to: every outlet's queue.
type queues struct{ m *Monitor }

// Write never blocks and never fails.
func (q queues) Write(line []byte) (int, error) {
	line = slices.Clone(line) // logrus uses its buffer again
	for _, o := range [...]*outlet{q.m.file, q.m.terminal} {
		if o != nil {
			o.put(line)
		}
	}
	return len(line), nil
}
