//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Holders says which processes hold which sockets open.
type Holders struct {
	ByInode map[uint64][]Identity
	// Denied is how many living processes could not be looked into. While it is not 0, an inode without a holder means
	// "cannot tell", not "nobody".
	Denied int
	// Unseen are those of them of whom at least is known who they are. Hidden says that there are, or may be, others.
	Unseen []Process
	Hidden bool
}

// Missing returns those of the inodes that no holder was found for.
func (h Holders) Missing(inodes ...uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(inodes), func(inode uint64) bool { return len(h.ByInode[inode]) > 0 })
}

// InodeOwners finds who holds these sockets open. It asks the preferred processes first, and no others if every socket
// is accounted for by them: with last time's holders preferred, the usual look costs one process, not all. Otherwise it
// asks every process, and finds all holders of a shared socket.
//
// A socket may have no holder that can be seen although Denied is 0: it can be in another pid namespace, or just gone.
func (fs FS) InodeOwners(inodes []uint64, prefer []int) (Holders, error) {
	// Which of them could not be asked is counted below.
	found := Holders{ByInode: fs.Held(inodes, prefer)}
	if len(found.Missing(inodes...)) == 0 {
		return found, nil
	}

	clear(found.ByInode)
	search := newSearch(inodes)
	err := fs.each(func(h handle) error {
		switch err := search.in(h, &found); {
		case err == nil, errors.Is(err, ErrGone):
			return nil
		case !errors.Is(err, os.ErrPermission):
			return err
		}
		// Neither kernel threads nor zombies hold sockets, yet both refuse to be looked into.
		switch p, err := h.process(); {
		case err == nil && (p.Kernel || !p.Alive()), errors.Is(err, ErrGone):
			return nil
		case err == nil:
			found.Unseen = append(found.Unseen, p)
		default:
			found.Hidden = true
		}
		found.Denied++
		return nil
	})
	if err != nil {
		return Holders{}, err
	}
	// With hidepid=2 the others are not even listed, the first process of all included.
	if _, err := fs.Process(1); errors.Is(err, os.ErrPermission) {
		found.Hidden = true
		found.Denied = max(found.Denied, 1)
	}
	return found, nil
}

// Held finds which of these sockets the processes hold open, and asks no other one. What could not be looked into holds none.
func (fs FS) Held(inodes []uint64, by []int) map[uint64][]Identity {
	found := Holders{ByInode: make(map[uint64][]Identity, len(inodes))}
	if len(inodes) == 0 {
		return found.ByInode
	}
	search := newSearch(inodes)
	for _, pid := range by {
		if h, err := fs.open(pid); err == nil {
			_ = search.in(h, &found)
			h.close()
		}
	}
	return found.ByInode
}

var (
	fdName       = []byte("fd\x00")
	socketPrefix = []byte("socket:[")
)

// search looks for sockets among the descriptors of one process after the other.
type search struct {
	wanted []uint64
	dents  []byte
	link   [64]byte
}

func newSearch(inodes []uint64) *search {
	return &search{wanted: inodes, dents: make([]byte, 8192)}
}

func (s *search) in(h handle, found *Holders) error {
	fd, err := openat(h.fd, fdName, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return h.fail("fd", err)
	}
	defer unix.Close(fd)
	var self Identity
	err = entries(fd, s.dents, func(name []byte) error {
		if name[0] == '.' {
			return nil
		}
		n, err := readlinkat(fd, name, s.link[:])
		if missing(err) {
			return nil // closed since
		}
		if err != nil {
			return err
		}
		inode, ok := socketInode(s.link[:n])
		if !ok || !slices.Contains(s.wanted, inode) {
			return nil
		}
		if self.PID == 0 {
			p, err := h.process()
			if err != nil {
				return err
			}
			self = p.Identity
		}
		if !slices.Contains(found.ByInode[inode], self) {
			found.ByInode[inode] = append(found.ByInode[inode], self)
		}
		return nil
	})
	if err != nil {
		return h.fail("fd", err)
	}
	return nil
}

// socketInode reads "socket:[12345]".
func socketInode(link []byte) (uint64, bool) {
	rest, ok := bytes.CutPrefix(link, socketPrefix)
	if !ok || len(rest) == 0 || rest[len(rest)-1] != ']' {
		return 0, false
	}
	return number(rest[:len(rest)-1])
}
