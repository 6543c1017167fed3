//go:build linux

package cachedir

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// Cleared says what became of one listed folder.
type Cleared struct {
	Folder string // as it was listed
	// TrashName is what the folder is called now, relative to the app's folder; empty if it was not moved.
	TrashName string
	Bytes     int64 // on disk
	Files     int   // all that is not a folder
	Partial   bool  // it holds more than was counted: counting must not keep the app down
	// Skipped says why nothing was removed. Where the folder was just not there, Missing is set as well.
	Skipped string
	Missing bool
}

const (
	trashPrefix = ".evenkeel-trash-"
	idBytes     = 8
	// countTime bounds the counting of all folders together, since the app is down meanwhile.
	countTime = 300 * time.Millisecond
)

// Clear moves the listed folders, given relative to the app's folder, out of the way. The app must be stopped, since it
// would go on to use what it has open; the folders are not made anew, since the app does that with the right owner.
//
// What cannot or must not be cleared is told in its Skipped, never by an error: the others are cleared all the same.
// An error means that the app's folder itself could not be opened, or that the context had ended.
func Clear(ctx context.Context, appDir string, folders []string) ([]Cleared, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := openApp(appDir)
	if err != nil {
		return nil, err
	}
	defer root.Close()

	all := make([]Cleared, 0, len(folders))
	for _, folder := range folders {
		all = append(all, clearOne(root, folder))
	}
	// All are out of the way before the first is counted.
	until := time.Now().Add(countTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	for i := range all {
		if all[i].TrashName != "" {
			all[i].count(ctx, root, until)
		}
	}
	return all, nil
}

func openApp(appDir string) (*os.Root, error) {
	if !filepath.IsAbs(appDir) || filepath.Clean(appDir) == "/" {
		return nil, fmt.Errorf("app folder %q: must be an absolute path, and not the root of the machine", appDir)
	}
	root, err := os.OpenRoot(appDir)
	if err != nil {
		return nil, fmt.Errorf("app folder: %w", err)
	}
	return root, nil
}

func clearOne(root *os.Root, folder string) Cleared {
	c := Cleared{Folder: folder}
	path, err := check(folder)
	if err != nil {
		c.Skipped = err.Error()
		return c
	}
	c.move(root, path)
	return c
}

const nothing = "; nothing removed"

// move renames the folder to a trash name. The parent is opened first and everything happens relative to it, so
// whatever is done to the path meanwhile, it is that one folder's entry which is looked at and renamed.
func (c *Cleared) move(root *os.Root, path string) {
	parent, err := root.OpenRoot(filepath.Dir(path))
	if err != nil {
		if link := firstLink(root, filepath.Dir(path)); link != "" && !errors.Is(err, fs.ErrNotExist) {
			c.Skipped = fmt.Sprintf("%s is a symbolic link that does not stay inside the app's folder%s", link, nothing)
			return
		}
		c.skip("", err)
		return
	}
	defer parent.Close()
	name := filepath.Base(path)
	if !c.isFolder(parent, name) {
		return
	}
	if point := mountedAt(parent, name); point != "" {
		c.Skipped = "a file system is mounted at " + point + nothing
		return
	}
	trash := trashName()
	if err := parent.Rename(name, trash); err != nil {
		c.skip("rename", err)
		return
	}
	// A rename takes what is there: if that was swapped for a link since the look at it, it goes back.
	if !c.isFolder(parent, trash) {
		if err := parent.Rename(trash, name); err != nil {
			c.Skipped += "; it could not be put back: " + err.Error()
		}
		return
	}
	c.TrashName = filepath.Join(filepath.Dir(path), trash)
}

// isFolder looks at the entry itself, not where it leads, and notes what else it is.
func (c *Cleared) isFolder(parent *os.Root, name string) bool {
	info, err := parent.Lstat(name)
	switch {
	case err != nil:
		c.skip("", err)
	case info.Mode()&fs.ModeSymlink != 0:
		c.Skipped = "is a symbolic link" + nothing
	case !info.IsDir():
		c.Skipped = "is not a folder" + nothing
	default:
		return true
	}
	return false
}

func (c *Cleared) skip(doing string, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Skipped, c.Missing = "is not there", true
	default:
		if doing != "" {
			doing += ": "
		}
		c.Skipped = doing + err.Error() + nothing
	}
}

// firstLink is the first part of the path that is a symbolic link.
func firstLink(root *os.Root, path string) string {
	prefix := ""
	for part := range strings.SplitSeq(path, "/") {
		prefix = filepath.Join(prefix, part)
		info, err := root.Lstat(prefix)
		if err != nil {
			return ""
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return prefix
		}
	}
	return ""
}

// mountedAt finds a file system that is mounted at the folder or below it. A bind mount, like a link, can show folders
// from anywhere, and unlike a link it would be emptied. Where the mounts cannot be read it finds none; the kernel itself
// refuses to rename a mount point.
func mountedAt(parent *os.Root, name string) string {
	dir, err := parent.Open(".")
	if err != nil {
		return ""
	}
	defer dir.Close()
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	if err != nil {
		return ""
	}
	path = filepath.Join(path, name)
	mounts, err := procfs.Default().Mounts()
	if err != nil {
		return ""
	}
	for _, m := range mounts {
		if m.Point == path || strings.HasPrefix(m.Point, path+"/") {
			return m.Point
		}
	}
	return ""
}

// check returns the cleaned path of a listed folder, or why it is not one that may be cleared.
func check(folder string) (string, error) {
	switch {
	case folder == "":
		return "", errors.New("is empty" + nothing)
	case strings.ContainsRune(folder, 0):
		return "", errors.New("has a NUL character in its name" + nothing)
	case filepath.IsAbs(folder):
		return "", errors.New("is an absolute path, not one inside the app's folder" + nothing)
	}
	for part := range strings.SplitSeq(folder, "/") {
		if part == ".." {
			return "", errors.New("has '..' in its path" + nothing)
		}
		if isTrash(part) {
			return "", errors.New("is evenkeel's own trash, which is removed anyway" + nothing)
		}
	}
	path := filepath.Clean(folder)
	if path == "." {
		return "", errors.New("is the app's folder itself" + nothing)
	}
	return path, nil
}

func trashName() string {
	var id [idBytes]byte
	_, _ = rand.Read(id[:]) // never fails
	return trashPrefix + hex.EncodeToString(id[:])
}

// isTrash knows names that trashName made, and no others.
func isTrash(name string) bool {
	id, ok := strings.CutPrefix(name, trashPrefix)
	if !ok || len(id) != 2*idBytes {
		return false
	}
	return strings.Trim(id, "0123456789abcdef") == ""
}
