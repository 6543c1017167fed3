package watch

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// target is one path that is watched.
type target struct {
	// given is the path as the caller gave it, and path the absolute one.
	given, path string
	// seen is what it was like at the last look.
	seen string
}

// newTarget makes a target. A path that cannot be made absolute (the working directory is gone) is taken as it is.
func newTarget(given string) *target {
	path, err := filepath.Abs(given)
	if err != nil {
		path = filepath.Clean(given)
	}
	return &target{given: given, path: path}
}

// entry is a name in a folder; the folder's path holds no symbolic link.
type entry struct{ dir, name string }

// isPattern tells whether the last element of a path stands for many files.
func isPattern(name string) bool { return strings.HasPrefix(name, "*") }

// matches tells whether a file's name is one of those for which a pattern stands.
func matches(pattern, name string) bool {
	return !strings.HasPrefix(name, ".") && strings.HasSuffix(name, pattern[1:])
}

// trail is the set of directory entries on which it depends what is found at the target: the file itself, each symbolic
// link on the way to it, or, where the way ends early, the first entry that is missing.
func (t *target) trail() map[entry]bool {
	trail := map[entry]bool{}
	dir, ok := follow(t.path, trail)
	if !ok {
		return trail
	}
	// For a pattern the links in the folder lead to further files.
	pattern := filepath.Base(t.path)
	listing, err := os.ReadDir(dir)
	if err != nil {
		return trail
	}
	for _, e := range listing {
		if e.Type()&fs.ModeSymlink != 0 && matches(pattern, e.Name()) {
			follow(filepath.Join(dir, e.Name()), trail)
		}
	}
	return trail
}

// maxLinks bounds how many symbolic links are followed on one way, as the kernel does.
const maxLinks = 40

// follow walks to a path and adds to the trail. For a pattern in a folder that exists it gives the folder and true.
func follow(path string, trail map[entry]bool) (folder string, pattern bool) {
	dir := "/"
	rest := strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch {
		case name == "" || name == ".":
			continue
		case name == "..":
			dir = filepath.Dir(dir)
			continue
		}
		here := entry{dir, name}
		if len(rest) == 0 && isPattern(name) {
			trail[here] = true
			return dir, true
		}
		full := filepath.Join(dir, name)
		info, err := os.Lstat(full)
		switch {
		case err == nil && info.IsDir() && len(rest) > 0:
			dir = full
		case err == nil && info.Mode()&fs.ModeSymlink != 0:
			trail[here] = true
			to, err := os.Readlink(full)
			if links++; err != nil || links > maxLinks {
				return "", false
			}
			if filepath.IsAbs(to) {
				dir = "/"
			}
			rest = append(strings.Split(to, "/"), rest...)
		default: // it is the file, or is missing, or is no folder although it should be
			trail[here] = true
			return "", false
		}
	}
	return "", false
}

// look looks at the target's files, and tells whether they look different from the last time.
func (t *target) look() bool {
	var now string
	if dir, name := filepath.Split(t.path); isPattern(name) {
		listing, _ := os.ReadDir(dir)
		var all []string
		for _, e := range listing {
			if matches(name, e.Name()) {
				all = append(all, e.Name()+" "+fingerprint(filepath.Join(dir, e.Name())))
			}
		}
		slices.Sort(all)
		now = strings.Join(all, "\n")
	} else {
		now = fingerprint(t.path)
	}
	changed := now != t.seen
	t.seen = now
	return changed
}

// fingerprint sums up what stat says of a file; a change of its mode alone does not show.
func fingerprint(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "missing"
	}
	id := identityOf(info)
	return fmt.Sprintf("%d:%d %d %d", id.dev, id.ino, info.Size(), info.ModTime().UnixNano())
}
