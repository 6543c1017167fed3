package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/evenkeel/evenkeel/state"
)

// errFull is what a full disk answers.
var errFull = errors.New("no space left on device")

// node is a file. Contents that were not synced may be lost with the power.
type node struct {
	data, synced []byte
	stamp        state.Stamp
}

// disk is the simulated file system under the real state.Store: every operation on it is a point at which evenkeel may be
// killed, it can be full, and the power can go at any instant. Names become durable in their order, at the latest by SyncDir.
type disk struct {
	names, durable map[string]*node
	pending        []func(map[string]*node)
	clock          uint64
	full           bool
	// point is called before every operation that changes something; it may kill evenkeel (by a panic).
	point func(op string)
}

var _ state.FS = (*disk)(nil)

func newDisk() *disk {
	return &disk{names: map[string]*node{}, durable: map[string]*node{}, point: func(string) {}}
}

func (d *disk) rename(do func(map[string]*node)) {
	do(d.names)
	d.pending = append(d.pending, do)
}

func (d *disk) newStamp() state.Stamp {
	d.clock++
	return state.Stamp{Inode: d.clock, Modified: time.Unix(int64(d.clock), 0)}
}

// Read reads a file.
func (d *disk) Read(path string) ([]byte, state.Stamp, error) {
	n := d.names[path]
	if n == nil {
		return nil, state.Stamp{}, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}
	return bytes.Clone(n.data), n.stamp, nil
}

type diskFile struct {
	d *disk
	n *node
}

// Create makes a file.
func (d *disk) Create(path string) (state.File, error) {
	d.point("create")
	if d.full {
		return nil, errFull
	}
	if d.names[path] != nil {
		return nil, os.ErrExist
	}
	f := &diskFile{d: d, n: &node{stamp: d.newStamp()}}
	d.rename(func(names map[string]*node) { names[path] = f.n })
	return f, nil
}

func (f *diskFile) Write(p []byte) (int, error) {
	f.d.point("write")
	if f.d.full {
		return 0, errFull
	}
	f.n.data = append(f.n.data, p...)
	return len(p), nil
}

func (f *diskFile) Sync() error {
	f.d.point("sync")
	f.n.synced = bytes.Clone(f.n.data)
	return nil
}

func (f *diskFile) Close() error { return nil }

// Rename gives a file another name.
func (d *disk) Rename(from, to string) error {
	d.point("rename")
	if d.names[from] == nil {
		return os.ErrNotExist
	}
	d.rename(func(names map[string]*node) {
		names[to] = names[from]
		delete(names, from)
	})
	return nil
}

// Exchange swaps two names.
func (d *disk) Exchange(a, b string) error {
	d.point("exchange")
	if d.names[a] == nil || d.names[b] == nil {
		return os.ErrNotExist
	}
	d.rename(func(names map[string]*node) { names[a], names[b] = names[b], names[a] })
	return nil
}

// Remove removes a file.
func (d *disk) Remove(path string) error {
	if d.names[path] == nil {
		return os.ErrNotExist
	}
	d.point("remove")
	d.rename(func(names map[string]*node) { delete(names, path) })
	return nil
}

// SyncDir makes the names durable.
func (d *disk) SyncDir(string) error {
	d.point("sync folder")
	d.durable = maps.Clone(d.names)
	d.pending = nil
	return nil
}

// List lists the names in a folder.
func (d *disk) List(dir string) ([]string, error) {
	var names []string
	for path, n := range d.names {
		if n != nil && filepath.Dir(path) == dir {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names, nil
}

// save is an editor that saves a file, durably.
func (d *disk) save(path string, data []byte) {
	n := &node{data: bytes.Clone(data), synced: bytes.Clone(data), stamp: d.newStamp()}
	d.names[path] = n
	d.pending = append(d.pending, func(names map[string]*node) { names[path] = n })
}

// remove is somebody who removes a file.
func (d *disk) remove(path string) {
	d.rename(func(names map[string]*node) { delete(names, path) })
}

func (d *disk) content(path string) []byte {
	if n := d.names[path]; n != nil {
		return n.data
	}
	return nil
}

// losePower leaves what a loss of power may leave: of the changes of names that are not yet durable the first few, and of
// contents that are not synced all, a half or nothing, both by choice.
func (d *disk) losePower(choice uint64) {
	names := maps.Clone(d.durable)
	for _, do := range d.pending[:choice%uint64(len(d.pending)+1)] {
		do(names)
	}
	for path, n := range names {
		if n == nil {
			delete(names, path)
			continue
		}
		data := n.synced
		if !bytes.Equal(n.synced, n.data) {
			switch choice / 7 % 3 {
			case 1:
				data = n.data[:len(n.data)/2]
			case 2:
				data = n.data
			}
		}
		names[path] = &node{data: bytes.Clone(data), synced: bytes.Clone(data), stamp: n.stamp}
	}
	d.names, d.durable, d.pending = names, maps.Clone(names), nil
}
