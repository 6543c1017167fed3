//go:build linux

package cachedir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Purge removes what [Clear] has moved away beside the listed folders, now or in an earlier run, and nothing else. It
// returns the names of what was removed, relative to the app's folder.
//
// It may take long, so the app should be running again; the context is asked between one trash folder and the next.
// What could not be removed is in the error, and is tried again by the next Purge.
func Purge(ctx context.Context, appDir string, folders []string) (removed []string, err error) {
	root, err := openApp(appDir)
	if err != nil {
		return nil, err
	}
	defer root.Close()

	var parents []string
	for _, folder := range folders {
		if path, err := check(folder); err == nil {
			parents = append(parents, filepath.Dir(path))
		}
	}
	slices.Sort(parents)
	var failed []error
	for _, parent := range slices.Compact(parents) {
		names, err := purgeIn(ctx, root, parent)
		for _, name := range names {
			removed = append(removed, filepath.Join(parent, name))
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("purge in %s: %w", parent, err))
		}
	}
	return removed, errors.Join(failed...)
}

func purgeIn(ctx context.Context, root *os.Root, path string) (removed []string, err error) {
	parent, err := root.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	trash, err := listTrash(parent)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, name := range trash {
		if err := ctx.Err(); err != nil {
			return removed, errors.Join(append(failed, err)...)
		}
		if err := parent.RemoveAll(name); err != nil {
			failed = append(failed, err)
			continue
		}
		removed = append(removed, name)
	}
	return removed, errors.Join(failed...)
}

func listTrash(parent *os.Root) ([]string, error) {
	dir, err := parent.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var trash []string
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if isTrash(name) {
				trash = append(trash, name)
			}
		}
		if err == io.EOF {
			return trash, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
