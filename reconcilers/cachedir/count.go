//go:build linux

package cachedir

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// count adds up what the trash holds, until time is over.
func (c *Cleared) count(ctx context.Context, root *os.Root, until time.Time) {
	top, err := root.Open(c.TrashName)
	if err != nil {
		c.Partial = true
		return
	}
	n := counter{over: func() bool { return ctx.Err() != nil || time.Now().After(until) }}
	n.walk(top, 0)
	c.Bytes, c.Files, c.Partial = n.bytes, n.files, n.partial
}

// counter walks relative to open folders and follows no link, so it cannot be led elsewhere.
type counter struct {
	bytes   int64
	files   int
	partial bool
	over    func() bool
}

const (
	maxDepth = 100 // each level keeps a folder open
	batch    = 256
)

// walk counts an open folder and closes it.
func (n *counter) walk(dir *os.File, depth int) {
	defer dir.Close()
	for !n.partial {
		names, err := dir.Readdirnames(batch)
		if len(names) == 0 {
			n.partial = n.partial || err != nil && err != io.EOF
			return
		}
		for _, name := range names {
			n.entry(dir, name, depth)
		}
		n.partial = n.partial || n.over()
	}
}

func (n *counter) entry(dir *os.File, name string, depth int) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return // gone since
	}
	n.bytes += st.Blocks * 512
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		n.files++
		return
	}
	if depth == maxDepth || n.over() {
		n.partial = true
		return
	}
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		n.partial = true
		return
	}
	n.walk(os.NewFile(uintptr(fd), name), depth+1)
}
