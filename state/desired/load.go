// Package desired reads the desired state from its files, and edits those files without touching anything but the field
// that is meant.
package desired

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/api/strict"
	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// Set is what the files of a desired state hold.
type Set struct {
	// Apps are those that are right, in the order of their files and of their places in them.
	Apps []*Entry
	// Rejected are the documents that are not.
	Rejected []*Rejected
	// Files are all the files that were looked at, those that could not be read too.
	Files []*File
}

// Entry is one App with the place that it was read from.
type Entry struct {
	// App has its defaults and is valid. It has no status.
	App *v1alpha1.App
	// File is the path of the file, as Load found it.
	File string
	// Line is where metadata.name stands.
	Line int
	// Start and End are the first byte of the App's document in the file and the one behind its last. Apps in one List
	// share a document.
	Start, End int
	// Raw is that document.
	Raw []byte
}

// Rejected is one document, or the entry of a List, that is not in force as it stands.
type Rejected struct {
	// Name is the App's, where it could be read. A document that is no YAML at all has none.
	Name string
	// File is the path of the file.
	File string
	// Problems say why.
	Problems strict.Problems
}

// File is one file that was looked at.
type File struct {
	// Path of the file, as Load found it.
	Path string
	// Data is what was read.
	Data []byte
	// Problems are all the mistakes in it.
	Problems strict.Problems
	// Err is why the file could not be read; then Problems says so too.
	Err error
}

// App returns the entry with that name, or nil.
func (s *Set) App(name string) *Entry {
	for _, e := range s.Apps {
		if e.App.Name == name {
			return e
		}
	}
	return nil
}

// Problems are the mistakes of all files.
func (s *Set) Problems() strict.Problems {
	var all strict.Problems
	for _, f := range s.Files {
		all = append(all, f.Problems...)
	}
	return all
}

// Err is nil where there is no mistake in any file.
func (s *Set) Err() error { return s.Problems().Err() }

// Load reads files and folders. Of a folder it takes the *.yaml and *.yml that are not hidden, in the order of their
// names, and none of the folders in it. It never fails as a whole: what is wrong stands in the Set, beside what is right.
func Load(paths []string) *Set {
	set := &Set{}
	var seen []os.FileInfo
	for _, path := range paths {
		for _, file := range expand(path) {
			info, err := os.Stat(file.Path)
			if err == nil && slices.ContainsFunc(seen, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
				continue
			}
			if err == nil {
				seen = append(seen, info)
			}
			if len(file.Problems) == 0 {
				file.read()
			}
			set.add(file)
		}
	}
	set.refuseDoubled()
	return set
}

// Parse is Load for one file whose content is at hand.
func Parse(data []byte, file string) *Set {
	set := &Set{}
	set.add(&File{Path: file, Data: data})
	set.refuseDoubled()
	return set
}

// expand is the files that a path names.
func expand(path string) []*File {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []*File{{Path: path}}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return []*File{unreadable(path, err)}
	}
	var files []*File
	for _, entry := range entries {
		name := entry.Name()
		if ext := filepath.Ext(name); strings.HasPrefix(name, ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		full := filepath.Join(path, name)
		if info, err := os.Stat(full); err == nil && info.IsDir() {
			continue
		}
		files = append(files, &File{Path: full})
	}
	if len(files) == 0 {
		return []*File{{Path: path, Problems: strict.Problems{{File: path, Message: "the folder holds no *.yaml and no *.yml",
			Remedy: "want a file with an App in it"}}}}
	}
	return files
}

func unreadable(path string, err error) *File {
	message, remedy := err.Error(), ""
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		message = pathErr.Err.Error()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		message, remedy = "there is no such file", "want the path of a file or a folder"
	case errors.Is(err, fs.ErrPermission):
		message, remedy = "the file may not be read by this user", "want it readable for the user that evenkeel runs as"
	}
	return &File{Path: path, Err: err, Problems: strict.Problems{{File: path, Message: message, Remedy: remedy}}}
}

// read fills in the file's data, or why there is none.
func (f *File) read() {
	data, err := readRegular(f.Path)
	if err != nil {
		*f = *unreadable(f.Path, err)
		return
	}
	f.Data = data
}

// readTries bounds how often a file that changes while it is read is read again.
const readTries = 10

// errUnsettled says that a file never was the same at two looks in a row.
var errUnsettled = errors.New("it changes while it is read; it is read again when it rests")

// readRegular reads a file until it is the same twice in a row: what is half an old file and half a new one is nobody's.
func readRegular(path string) ([]byte, error) {
	return readCalm(func() ([]byte, error) { return readOnce(path) })
}

func readCalm(read func() ([]byte, error)) ([]byte, error) {
	last, err := read()
	for range readTries {
		if err != nil {
			return nil, err
		}
		was := last
		if last, err = read(); err == nil && bytes.Equal(was, last) {
			return last, nil
		}
	}
	return nil, errUnsettled
}

// readOnce reads a file, but no more of it than strict.Parse needs to see that it is too large. What is no file is neither
// waited for nor read from, also where it took the file's place just now.
func readOnce(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		if errors.Is(err, unix.ENXIO) {
			return nil, errIrregular
		}
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errIrregular
	}
	data, err := io.ReadAll(io.LimitReader(f, strict.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	return data, nil
}

var errIrregular = errors.New("it is no regular file")
