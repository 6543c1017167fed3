package state

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDead = errors.New("the process is dead")

// node is a file of the simulated file system. Contents that were not synced may be lost.
type node struct {
	data, synced []byte
	stamp        Stamp
}

// simFS is a file system in which every operation can fail, and the power can go at any instant. Operations on names
// become durable in their order, at the latest by SyncDir.
type simFS struct {
	names, durable map[string]*node
	pending        []func(map[string]*node)
	clock          uint64
	plain          bool // it cannot exchange

	// ops counts the operations that change something; log names them.
	ops int
	log []string
	// before is asked before each: an error makes it fail. after is asked afterwards: an error is returned although it
	// was done.
	before, after func(n int, op string) error
}

func newSim() *simFS {
	return &simFS{names: map[string]*node{}, durable: map[string]*node{}}
}

func (s *simFS) step(op string, do func() error) error {
	s.ops++
	s.log = append(s.log, op)
	n := s.ops
	if s.before != nil {
		if err := s.before(n, op); err != nil {
			return err
		}
	}
	if err := do(); err != nil {
		return err
	}
	if s.after != nil {
		return s.after(n, op)
	}
	return nil
}

// rename does something to the names, now and, in its turn, durably.
func (s *simFS) rename(do func(map[string]*node)) {
	do(s.names)
	s.pending = append(s.pending, do)
}

func (s *simFS) newStamp() Stamp {
	s.clock++
	return Stamp{Inode: s.clock, Modified: time.Unix(int64(s.clock), 0)}
}

func (s *simFS) Read(path string) ([]byte, Stamp, error) {
	n, ok := s.names[path]
	if !ok {
		return nil, Stamp{}, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	return bytes.Clone(n.data), n.stamp, nil
}

type simFile struct {
	fs *simFS
	n  *node
}

func (s *simFS) Create(path string) (File, error) {
	f := &simFile{fs: s, n: &node{stamp: s.newStamp()}}
	err := s.step("create "+filepath.Base(path), func() error {
		if _, ok := s.names[path]; ok {
			return os.ErrExist
		}
		s.rename(func(names map[string]*node) { names[path] = f.n })
		return nil
	})
	return f, err
}

func (f *simFile) Write(p []byte) (int, error) {
	err := f.fs.step("write", func() error {
		f.n.data = append(f.n.data, p...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *simFile) Sync() error {
	return f.fs.step("sync", func() error {
		f.n.synced = bytes.Clone(f.n.data)
		return nil
	})
}

func (f *simFile) Close() error { return f.fs.step("close", func() error { return nil }) }

func (s *simFS) Rename(from, to string) error {
	return s.step("rename "+filepath.Base(from)+" "+filepath.Base(to), func() error {
		if _, ok := s.names[from]; !ok {
			return os.ErrNotExist
		}
		s.rename(func(names map[string]*node) {
			names[to] = names[from]
			delete(names, from)
		})
		return nil
	})
}

func (s *simFS) Exchange(a, b string) error {
	if s.plain {
		return errors.ErrUnsupported
	}
	return s.step("exchange "+filepath.Base(a)+" "+filepath.Base(b), func() error {
		if s.names[a] == nil || s.names[b] == nil {
			return os.ErrNotExist
		}
		s.rename(func(names map[string]*node) { names[a], names[b] = names[b], names[a] })
		return nil
	})
}

func (s *simFS) Remove(path string) error {
	if _, ok := s.names[path]; !ok {
		return os.ErrNotExist
	}
	return s.step("remove "+filepath.Base(path), func() error {
		s.rename(func(names map[string]*node) { delete(names, path) })
		return nil
	})
}

func (s *simFS) SyncDir(string) error {
	return s.step("sync folder", func() error {
		s.durable = maps.Clone(s.names)
		s.pending = nil
		return nil
	})
}

func (s *simFS) List(dir string) ([]string, error) {
	var names []string
	for path := range s.names {
		if filepath.Dir(path) == dir {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names, nil
}

// save is an editor that saves a file, durably.
func (s *simFS) save(path, content string) {
	n := &node{data: []byte(content), synced: []byte(content), stamp: s.newStamp()}
	s.names[path] = n
	s.pending = append(s.pending, func(names map[string]*node) { names[path] = n })
}

// reboots gives every file system that may be found after the power went now.
func (s *simFS) reboots() []*simFS {
	var all []*simFS
	for done := range len(s.pending) + 1 {
		names := maps.Clone(s.durable)
		for _, do := range s.pending[:done] {
			do(names)
		}
		for _, kept := range []func(n *node) []byte{
			func(n *node) []byte { return n.synced },
			func(n *node) []byte {
				if bytes.Equal(n.synced, n.data) {
					return n.data
				}
				return n.data[:len(n.data)/2]
			},
			func(n *node) []byte { return n.data },
		} {
			fresh := newSim()
			fresh.plain = s.plain
			fresh.clock = s.clock
			for path, n := range names {
				if n == nil {
					continue
				}
				data := bytes.Clone(kept(n))
				fresh.names[path] = &node{data: data, synced: data, stamp: n.stamp}
			}
			fresh.durable = maps.Clone(fresh.names)
			all = append(all, fresh)
		}
	}
	return all
}

// content is what a file holds; nothing when there is none.
func (s *simFS) content(path string) string {
	if n := s.names[path]; n != nil {
		return string(n.data)
	}
	return ""
}

var testNow = time.Date(2026, 11, 23, 3, 12, 41, 0, time.UTC)

// open makes a store over a simulated file system. Nobody waits: settle does what the test wants, or nothing.
func open(t testing.TB, fs FS, settle func()) *Store {
	t.Helper()
	if settle == nil {
		settle = func() {}
	}
	s, err := NewStore("/state", "shop", Options{FS: fs, Settle: settle, Now: func() time.Time { return testNow }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	current  = "/state/shop.yaml"
	previous = "/state/shop.previous.yaml"
	rejected = "/state/shop.rejected.yaml"
)

// edit replaces text in the state file as an operator would.
func edit(t testing.TB, fs *simFS, from, to string) {
	t.Helper()
	was := fs.content(current)
	if !strings.Contains(was, from) {
		t.Fatalf("the state file does not hold %q:\n%s", from, was)
	}
	fs.save(current, strings.Replace(was, from, to, 1))
}
