package nginx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/bounded"
)

// Config is a configuration with its includes in their places.
type Config struct {
	// Directives are those of the main file.
	Directives []Directive
	// Files are those that were read, in that order.
	Files []string
	// Notes say what could not be read or understood, and where.
	Notes []string
	// base is the folder that files are named relative to.
	base string
}

// Load reads a main file and what it includes. The error is that of the main file; everything else is in Notes.
func Load(file string) (Config, error) {
	l := &loader{base: filepath.Dir(file), left: MaxDirectives}
	list, err := l.file(file, 0)
	if err != nil {
		return Config{}, err
	}
	l.config.Directives, l.config.base = list, l.base
	return l.config, nil
}

type loader struct {
	// base is the folder that includes are relative to: that of the main file, wherever the include stands.
	base   string
	left   int
	open   []string
	config Config
}

func (l *loader) note(format string, args ...any) {
	const most = 50
	if len(l.config.Notes) < most {
		l.config.Notes = append(l.config.Notes, fmt.Sprintf(format, args...))
	}
}

// file reads one file with its includes. A file that includes itself is an error, as it is to Nginx.
func (l *loader) file(path string, depth int) ([]Directive, error) {
	// What names the file are the folders and links that lead to it, not where they lead: that is what people know.
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	switch {
	case slices.Contains(l.open, target):
		return nil, fmt.Errorf("%s: includes itself", path)
	case len(l.config.Files) >= MaxFiles:
		return nil, fmt.Errorf("%s: not read: more than %d files", path, MaxFiles)
	}
	text, err := bounded.Read(path, MaxSize)
	if err != nil {
		return nil, err
	}
	l.config.Files = append(l.config.Files, path)
	l.open = append(l.open, target)
	defer func() { l.open = l.open[:len(l.open)-1] }()
	list, err := Parse(path, text)
	if err != nil {
		l.note("%v", err)
	}
	return l.expand(list, depth), nil
}

// expand puts in the place of each include what it includes.
func (l *loader) expand(list []Directive, depth int) []Directive {
	expanded := make([]Directive, 0, len(list))
	for _, d := range list {
		if l.left--; l.left < 0 {
			if l.left == -1 {
				l.note("%s: %v; the rest is left out", d.at(), errTooMany)
			}
			return expanded
		}
		switch {
		case d.Name == "include" && d.Block == nil && len(d.Args) == 1:
			if depth >= MaxDepth {
				l.note("%s: includes nest deeper than %d", d.at(), MaxDepth)
				continue
			}
			for _, path := range l.match(&d) {
				included, err := l.file(path, depth+1)
				if err != nil {
					l.note("%s", said(err, path))
					continue
				}
				expanded = append(expanded, included...)
			}
		case d.Block != nil:
			d.Block = l.expand(d.Block, depth)
			expanded = append(expanded, d)
		default:
			expanded = append(expanded, d)
		}
	}
	return expanded
}

// match gives the files that an include names. A pattern that nothing fits is no mistake; a plain name is.
func (l *loader) match(d *Directive) []string {
	pattern := d.arg(0)
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(l.base, pattern)
	}
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{pattern}
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		l.note("%s: include %s: %v", d.at(), d.arg(0), err)
		return nil
	}
	if folder := filepath.Dir(pattern); len(found) == 0 && !strings.ContainsAny(folder, "*?[") {
		// Glob tells nobody that it may not look.
		if _, err := os.ReadDir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.note("%s: include %s: %v", d.at(), d.arg(0), err)
		}
	}
	hidden := !strings.HasPrefix(filepath.Base(pattern), ".")
	return slices.DeleteFunc(found, func(path string) bool {
		return hidden && strings.HasPrefix(filepath.Base(path), ".")
	})
}

// said makes sure that an error names the file.
func said(err error, path string) string {
	text := err.Error()
	if !strings.Contains(text, path) {
		text = path + ": " + text
	}
	return text
}
