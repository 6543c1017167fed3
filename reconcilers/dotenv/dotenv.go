//go:build linux

package dotenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/bounded"
)

// NextFiles are the files that Next.js reads in production. What an earlier one defines, no later one changes.
func NextFiles() []string {
	return []string{".env.production.local", ".env.local", ".env.production", ".env"}
}

// MaxSize bounds a file. Real ones have a few kilobytes.
const MaxSize = 1 << 20

// ErrTooLarge says that a file is larger than [MaxSize].
var ErrTooLarge = errors.New("larger than 1 MiB")

// Problem is something in a file that its author will not have meant. It makes no variable undefined by itself.
type Problem struct {
	File    string
	Line    int
	Message string // without any value
}

// String is "file:line: message".
func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message) }

// File is one file that was read.
type File struct {
	Name string
	// Vars holds every variable the file defines; false for one whose value is empty or blank.
	Vars     map[string]bool
	Problems []Problem
}

// Set is what several files define together.
type Set struct {
	// Vars is as in [File]. The first file that defines a variable decides, also if it makes it empty.
	Vars map[string]bool
	// Source names the file that decided.
	Source map[string]string
	// Files are those that exist, in the order given.
	Files []File
}

// Problems are those of all files.
func (s Set) Problems() []Problem {
	var all []Problem
	for _, f := range s.Files {
		all = append(all, f.Problems...)
	}
	return all
}

// Load reads the files of a folder, [NextFiles] if none are named, the deciding one first. A file that does not exist
// is left out; one that exists and cannot be read is an error, since what the app sees then cannot be told. All errors
// of all files are joined, and the Set holds what could be read.
func Load(dir string, files ...string) (Set, error) {
	if len(files) == 0 {
		files = NextFiles()
	}
	set := Set{Vars: map[string]bool{}, Source: map[string]string{}}
	var failed []error
	for _, name := range files {
		content, err := read(place(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		f := Parse(name, content)
		clear(content)
		set.Files = append(set.Files, f)
		for v, filled := range f.Vars {
			if _, decided := set.Vars[v]; !decided {
				set.Vars[v], set.Source[v] = filled, name
			}
		}
	}
	return set, errors.Join(failed...)
}

// Lookup returns the value of one variable and the file that decided it. ok is false where no file defines it.
func Lookup(dir, variable string, files ...string) (value Secret, file string, ok bool, err error) {
	if len(files) == 0 {
		files = NextFiles()
	}
	for _, name := range files {
		content, err := read(place(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return Secret{}, "", false, err
		}
		entries, _ := parse(content)
		clear(content)
		for _, e := range entries {
			if e.name == variable { // within one file the last one counts
				value, file, ok = Secret{e.value}, name, true
			}
		}
		if ok {
			return value, file, true, nil
		}
	}
	return Secret{}, "", false, nil
}

// Parse reads the content of a file; the name is for its problems only. Nothing is a syntax error to dotenv: what it
// does not understand it leaves out, and Parse notes it as a problem.
func Parse(name string, content []byte) File {
	entries, ignored := parse(content)
	f := File{Name: name, Vars: make(map[string]bool, len(entries))}
	for _, line := range ignored {
		f.problem(line, "is not NAME=value; Next.js ignores this line")
	}
	first := map[string]int{}
	for _, e := range entries {
		f.Vars[e.name] = strings.TrimFunc(e.value, blank) != ""
		if e.open != 0 {
			f.problem(e.line, fmt.Sprintf("the value of %s begins with %c, which is not closed where the value ends", e.name, e.open))
		}
		if line, doubled := first[e.name]; doubled {
			f.problem(e.line, fmt.Sprintf("%s is defined in line %d already; this one counts", e.name, line))
		} else {
			first[e.name] = e.line
		}
	}
	return f
}

func (f *File) problem(line int, message string) {
	const most = 20 // a file that is no .env at all has one in every line
	if len(f.Problems) < most {
		f.Problems = append(f.Problems, Problem{File: f.Name, Line: line, Message: message})
	}
}

func place(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// read follows links, since .env often is one.
func read(path string) ([]byte, error) {
	content, err := bounded.Read(path, MaxSize)
	if errors.Is(err, bounded.ErrTooLarge) {
		return nil, fmt.Errorf("%s: %w", path, ErrTooLarge)
	}
	return content, err
}
