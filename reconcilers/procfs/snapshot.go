//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Snapshot is all processes as one pass over /proc found them. It is not of one instant: what forks or ends during the
// pass may be missing, and who lost its parent during it hangs below another one.
type Snapshot struct {
	Processes []Process // in ascending order of pid, zombies and kernel threads included
	Denied    int       // how many were there but could not be read
	index     map[int]int
}

// Processes reads all processes that may be seen, in ascending order of pid.
func (fs FS) Processes() ([]Process, error) {
	s, err := fs.Snapshot()
	return s.Processes, err
}

// Snapshot reads all processes, for several questions about one moment.
func (fs FS) Snapshot() (Snapshot, error) {
	s := Snapshot{Processes: make([]Process, 0, 256)}
	buf, path := make([]byte, 2048), make([]byte, 0, 32)
	err := fs.numbers(func(root, pid int, name []byte) error {
		var p Process
		path = append(append(path[:0], name[:len(name)-1]...), "/stat\x00"...)
		switch err := statAt(root, pid, path, &p, buf); {
		case err == nil:
			s.Processes = append(s.Processes, p)
		case errors.Is(err, os.ErrPermission):
			s.Denied++
		case !errors.Is(err, ErrGone):
			return err
		}
		return nil
	})
	if err != nil {
		return Snapshot{}, err
	}
	slices.SortFunc(s.Processes, func(a, b Process) int { return a.PID - b.PID })
	s.index = make(map[int]int, len(s.Processes))
	for i, p := range s.Processes {
		s.index[p.PID] = i
	}
	return s, nil
}

// Tree takes a snapshot and returns root and its descendants, parents before children. [ErrGone] if root is not there.
func (fs FS) Tree(root int) ([]Process, error) {
	s, err := fs.Snapshot()
	if err != nil {
		return nil, err
	}
	tree := s.Tree(root)
	if tree == nil {
		_, err := fs.Process(root)
		if err == nil { // born after the look at its place
			err = fmt.Errorf("process %d: %w", root, ErrGone)
		}
		return nil, err
	}
	return tree, nil
}

// Children takes a snapshot and returns the children of pid.
func (fs FS) Children(pid int) ([]Process, error) {
	s, err := fs.Snapshot()
	if err != nil {
		return nil, err
	}
	return s.Children(pid), nil
}

// Get returns one process.
func (s Snapshot) Get(pid int) (Process, bool) {
	i, ok := s.index[pid]
	if !ok {
		return Process{}, false
	}
	return s.Processes[i], true
}

// Tree is root and its descendants, parents before children; nil if root is not there.
func (s Snapshot) Tree(root int) []Process {
	first, ok := s.Get(root)
	if !ok {
		return nil
	}
	tree := []Process{first}
	for i := 0; i < len(tree); i++ {
		tree = s.appendChildren(tree, tree[i])
	}
	return tree
}

// Children are the children of pid, in ascending order of pid.
func (s Snapshot) Children(pid int) []Process {
	parent, ok := s.Get(pid)
	if !ok {
		return nil
	}
	return s.appendChildren(nil, parent)
}

// Ancestors are the parents of pid, nearest first. They end where a parent cannot be seen.
func (s Snapshot) Ancestors(pid int) []Process {
	var line []Process
	for p, ok := s.Get(pid); ok; {
		parent, found := s.Get(p.PPID)
		if !found || !parentOf(parent, p) || len(line) > len(s.Processes) {
			return line
		}
		line = append(line, parent)
		p = parent
	}
	return line
}

func (s Snapshot) appendChildren(to []Process, parent Process) []Process {
	for _, p := range s.Processes {
		if p.PPID == parent.PID && parentOf(parent, p) {
			to = append(to, p)
		}
	}
	return to
}

// parentOf guards against a pid that was given away again during the pass: nobody is older than their parent. Pid and
// parent are never the same, so a tree has an end.
func parentOf(parent, child Process) bool {
	return parent.StartTicks <= child.StartTicks && parent.PID != child.PID
}

// each opens every process in turn.
func (fs FS) each(visit func(h handle) error) error {
	return fs.numbers(func(root, pid int, name []byte) error {
		fd, err := openat(root, name, unix.O_PATH|unix.O_DIRECTORY)
		if missing(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("process %d: %w", pid, err)
		}
		h, err := fs.handle(fd, pid)
		if errors.Is(err, ErrGone) {
			return nil
		}
		if err != nil {
			return err
		}
		defer h.close()
		return visit(h)
	})
}

// numbers hands over the pid of every process in turn, with the name of its folder, which ends in a NUL byte, in the open
// folder root.
func (fs FS) numbers(visit func(root, pid int, name []byte) error) error {
	root, err := unix.Open(fs.root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", fs.root, err)
	}
	defer unix.Close(root)
	err = entries(root, make([]byte, 32<<10), func(name []byte) error {
		pid, ok := number(name[:len(name)-1])
		if !ok || pid == 0 || pid > 1<<31-1 {
			return nil
		}
		return visit(root, int(pid), name)
	})
	if err != nil {
		return fmt.Errorf("list %s: %w", fs.root, err)
	}
	return nil
}
