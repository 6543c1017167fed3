package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"unicode/utf8"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

const (
	// journalSize is the size at which a journal is put aside and a new one begun.
	journalSize = 4 << 20
	// journalOld is how many journals that were put aside are kept.
	journalOld = 2
	// maxMessage bounds the message of one event.
	maxMessage = 16 << 10
)

// Journal is what happened to one App: `<app>.journal.jsonl`, one event to a line. It is for people: nothing is decided
// from it but whether an earlier run has told something, and an event that could not be written is lost. It may be used by
// several goroutines; only the holder of the App's lock appends.
type Journal struct {
	path string
	// size is the size at which it is rotated.
	size int64
	// files is the file system, so that a test can let every operation fail.
	files journalFiles

	mu sync.Mutex
}

// journalFiles is what appending needs of a file system.
type journalFiles interface {
	// Open opens a journal for appending, and makes it if need be.
	Open(path string) (journalFile, error)
	Rename(from, to string) error
}

// journalFile is what appending needs of a file.
type journalFile interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Stat() (os.FileInfo, error)
}

// NewJournal gives the journal of an App; nothing is opened or made before the first event.
func NewJournal(dir, app string) (*Journal, error) {
	if err := CheckName(app); err != nil {
		return nil, err
	}
	return &Journal{path: filepath.Join(dir, app+".journal.jsonl"), size: journalSize, files: osJournal{}}, nil
}

type osJournal struct{}

func (osJournal) Open(path string) (journalFile, error) { return openJournal(path) }
func (osJournal) Rename(from, to string) error          { return os.Rename(from, to) }

func openJournal(path string) (journalFile, error) {
	return openRegular(path, os.O_RDWR|os.O_CREATE|os.O_APPEND)
}

// Append writes events at the end. It is not forced to disk: a loss of power may cost the last ones.
func (j *Journal) Append(events ...v1alpha1.Event) error {
	var lines []byte
	for _, e := range events {
		e.Message = shorten(e.Message, maxMessage)
		line, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("writing the journal: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if len(lines) == 0 {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.append(lines); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// append opens the file for each time anew: events are rare, and so it does not matter who rotates or removes it.
func (j *Journal) append(lines []byte) (err error) {
	f, err := j.files.Open(j.path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size > 0 && size+int64(len(lines)) > j.size {
		if err := j.rotate(); err != nil {
			return err
		}
		fresh, err := j.files.Open(j.path)
		if err != nil {
			return err
		}
		_ = f.Close()
		f, size = fresh, 0
	}
	if size > 0 {
		last := []byte{'\n'}
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' { // a line that was torn by a crash or a full disk does not take the next one with it
			lines = append([]byte{'\n'}, lines...)
		}
	}
	_, err = f.Write(lines)
	return err
}

// rotate puts the journal aside: from .1 to .2, and the current one to .1.
func (j *Journal) rotate() error {
	for i := journalOld; i > 0; i-- {
		err := j.files.Rename(j.generation(i-1), j.generation(i))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// generation is the file of the current journal (0) or of one that was put aside.
func (j *Journal) generation(i int) string {
	if i == 0 {
		return j.path
	}
	return fmt.Sprintf("%s.%d", j.path, i)
}

// shorten cuts a text that is too long, at the end of a character.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}
