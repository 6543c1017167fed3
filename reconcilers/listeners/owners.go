//go:build linux

package listeners

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// Owner is a listening socket with the process that has it open.
type Owner struct {
	Listener
	// Known is false where it cannot be told whose the socket is; then all that follows is empty but for Why, Unseen,
	// Hidden and User, the one who opened the socket.
	Known bool   `json:"known"`
	Why   string `json:"why,omitempty"` // why it cannot be told
	// Unseen are the living processes that could not be looked into: one of them has it open, unless Hidden says that there are
	// more of whom not even that is known. Both are empty where Known.
	Unseen []procfs.Process `json:"-"`
	Hidden bool             `json:"-"`

	Process   procfs.Identity `json:"process,omitzero"`
	UID       uint32          `json:"ownerUID"`
	User      string          `json:"user"` // by name where /etc/passwd knows one
	Comm      string          `json:"comm,omitempty"`
	Cmdline   string          `json:"cmdline,omitempty"` // one line, shortened; may hold secrets like any command line
	Cwd       string          `json:"cwd,omitempty"`     // empty where it may not be read
	StartedAt time.Duration   `json:"startedAt,omitempty"`
}

const shortCmdline = 160

// Owners asks who listens on the port. The preferred processes are asked first; with last time's owner among them the
// others are left alone. A socket that several processes share is listed once for each of them.
func Owners(ctx context.Context, fs procfs.FS, port uint16, prefer ...int) ([]Owner, error) {
	found, err := Listeners(ctx, port)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return Join(fs, found, prefer...)
}

// Join finds the processes that have these sockets open. See [Owners].
func Join(fs procfs.FS, listeners []Listener, prefer ...int) ([]Owner, error) {
	var inodes []uint64
	for _, l := range listeners {
		if l.Inode != 0 {
			inodes = append(inodes, l.Inode)
		}
	}
	holders, err := fs.InodeOwners(inodes, prefer)
	if err != nil {
		return nil, fmt.Errorf("whose sockets: %w", err)
	}
	users := userNames{}
	var owners []Owner
	for _, l := range listeners {
		known := false
		for _, id := range holders.ByInode[l.Inode] {
			if o, ok := describe(fs, l, id, users); ok {
				owners, known = append(owners, o), true
			}
		}
		if !known {
			owners = append(owners, Owner{
				Listener: l, UID: l.UID, User: users.name(l.UID), Why: why(l, holders), Unseen: holders.Unseen, Hidden: holders.Hidden,
			})
		}
	}
	return owners, nil
}

func describe(fs procfs.FS, l Listener, id procfs.Identity, users userNames) (Owner, bool) {
	p, err := fs.Check(id)
	if errors.Is(err, procfs.ErrGone) {
		return Owner{}, false // ended since; its socket may be another one's already
	}
	o := Owner{Listener: l, Known: true, Process: id, UID: l.UID, StartedAt: id.StartedAt()}
	if err == nil {
		o.UID, o.Comm = p.UID, p.Comm
	}
	o.User = users.name(o.UID)
	// Both are for people only: what may not be read stays empty.
	if args, err := fs.Cmdline(id); err == nil {
		o.Cmdline = procfs.Short(args, shortCmdline)
	}
	o.Cwd, _ = fs.Cwd(id)
	return o, true
}

func why(l Listener, h procfs.Holders) string {
	switch {
	case l.Inode == 0:
		return "no process has the socket open any more"
	case h.Denied == 1:
		return "1 process could not be looked into"
	case h.Denied > 1:
		return strconv.Itoa(h.Denied) + " processes could not be looked into"
	default:
		return "no process that can be seen has the socket open: it has just ended, or runs in another pid namespace"
	}
}

// userNames looks users up in /etc/passwd, read at most once. Not os/user: with cgo that asks directories over the
// network, and waits for them.
type userNames map[uint32]string

func (u userNames) name(uid uint32) string {
	if len(u) == 0 {
		if b, err := os.ReadFile("/etc/passwd"); err == nil {
			u.read(b)
		}
		u[^uint32(0)] = "" // read, even if there is nothing in it; this uid stands for "none"
	}
	if name := u[uid]; name != "" {
		return name
	}
	return "uid " + strconv.FormatUint(uint64(uid), 10)
}

func (u userNames) read(passwd []byte) {
	for line := range bytes.Lines(passwd) {
		fields := strings.SplitN(string(line), ":", 4)
		if len(fields) < 4 || fields[0] == "" {
			continue
		}
		uid, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			continue
		}
		if _, doubled := u[uint32(uid)]; !doubled {
			u[uint32(uid)] = fields[0]
		}
	}
}
