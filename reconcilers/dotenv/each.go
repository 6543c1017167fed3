//go:build linux

package dotenv

import (
	"errors"
	"os"
)

// Each hands over every value that the files of a folder define, [NextFiles] if none are named: also those that no
// application sees because an earlier file decides. Values are secrets. A file that does not exist is left out; the errors
// of those that cannot be read are joined.
func Each(dir string, visit func(name, value string), files ...string) error {
	if len(files) == 0 {
		files = NextFiles()
	}
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
		entries, _ := parse(content)
		clear(content)
		for _, e := range entries {
			visit(e.name, e.value)
		}
	}
	return errors.Join(failed...)
}
