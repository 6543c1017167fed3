// Package crashpoint lets one operation of a file system fail, tear or be the last one, for the tests of what keeps files: they
// go through all operations in turn, and ask what is on disk after each.
package crashpoint

import (
	"errors"
	"io"
	"syscall"
)

// ErrDead is what every operation of a process answers that has died at its point.
var ErrDead = errors.New("the process is dead")

// How is what happens at a point.
type How string

// The ways in which an operation can end badly. A write tears where a part of it is there.
const (
	Fails           How = "fails"
	FailsThoughDone How = "fails though done"
	Dies            How = "dies"
	Tears           How = "tears"
	DiesInTheMidst  How = "dies in the midst"
)

// All are the ways, in the order in which they are tried.
func All() []How { return []How{Fails, FailsThoughDone, Dies, Tears, DiesInTheMidst} }

// Torn says that it leaves a part of what is written.
func (h How) Torn() bool { return h == Tears || h == DiesInTheMidst }

// Point is the K-th operation, counted from 1, and what happens at it. It is used by one goroutine.
type Point struct {
	K   int
	How How
	// Keep is how many bytes of a write are there that tears.
	Keep int
	// Hit is the operation that was met; empty where there were fewer. Log are all that were begun.
	Hit string
	Log []string

	dead bool
}

// Do does an operation, unless its turn has come. It gives [ErrDead] from the death on, and EIO for a failure.
func (p *Point) Do(op string, do func() error) error {
	if p.dead {
		return ErrDead
	}
	p.Log = append(p.Log, op)
	if len(p.Log) != p.K {
		return do()
	}
	p.Hit = op
	switch p.How {
	case Dies:
		p.dead = true
		return ErrDead
	case FailsThoughDone:
		_ = do()
	case Fails, Tears, DiesInTheMidst:
	}
	return syscall.EIO
}

// Write is the operation "write". Where it tears, the first Keep bytes are there, and the error is ENOSPC.
func (p *Point) Write(to io.Writer, data []byte) (n int, err error) {
	torn := len(p.Log)+1 == p.K && p.How.Torn()
	err = p.Do("write", func() (err error) { n, err = to.Write(data); return err })
	if torn {
		n, _ = to.Write(data[:min(p.Keep, len(data))])
		p.dead = p.How == DiesInTheMidst
		return n, syscall.ENOSPC
	}
	return n, err
}

// Counts says that the point was met, and that it is another one than an ordinary failure of the same operation.
func (p *Point) Counts() bool { return p.Hit != "" && (!p.How.Torn() || p.Hit == "write") }
