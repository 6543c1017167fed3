package swap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/evenkeel/evenkeel/reconcilers/procfs"
)

// Rest is the least time between two clearings of the helper, and how long it stays to remember the last one.
const Rest = time.Minute

// headroom is what the helper leaves available beside a tenth of the memory. An App's own checks.memory.minAvailable is looked
// at by evenkeel before it asks; the helper is told nothing of it.
const headroom = 100 << 20

// Outcome is what came of a question to the helper.
type Outcome string

// The outcomes.
const (
	Cleared   Outcome = "Cleared"
	LeftAlone Outcome = "LeftAlone"
	Failed    Outcome = "Failed"
)

// Answer is what the helper writes to whoever connects, as one line of JSON.
type Answer struct {
	Outcome Outcome `json:"outcome"`
	// Message says what was done or why not.
	Message string `json:"message"`
}

// Helper clears swap for whoever may connect to its socket. It reads nothing of what they send.
type Helper struct {
	// FS is the proc file system, Clearer switches swap, Log is told of every question.
	FS      procfs.FS
	Clearer interface {
		Clear(ctx context.Context, areas []procfs.Swap) error
	}
	Log logrus.FieldLogger
	// Idle is how long it stays when nobody asks. It must be no shorter than Rest, for which it has to remember.
	Idle time.Duration

	began time.Time // when swap was last begun to be cleared
}

// Serve answers one after the other, and ends when nobody asks for Idle, or the context ends.
func (h *Helper) Serve(ctx context.Context, l *net.UnixListener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for ctx.Err() == nil {
		if err := l.SetDeadline(time.Now().Add(h.Idle)); err != nil {
			return fmt.Errorf("waiting for a question: %w", err)
		}
		if ctx.Err() != nil { // it ended before the deadline was set anew
			return nil
		}
		conn, err := l.AcceptUnix()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("waiting for a question: %w", err)
		}
		h.serve(ctx, conn)
	}
	return nil
}

func (h *Helper) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	a := h.answer(ctx, time.Now())
	log := h.Log.WithField("outcome", a.Outcome)
	if pid, uid, err := peer(conn); err == nil {
		log = log.WithFields(logrus.Fields{"pid": pid, "uid": uid})
	}
	log.Info(a.Message)
	data, err := json.Marshal(a)
	if err != nil {
		return
	}
	// A line fits into the socket's buffer; whoever does not read it holds up nobody.
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(append(data, '\n'))
}

// answer looks, decides and acts.
func (h *Helper) answer(ctx context.Context, now time.Time) Answer {
	info, err := h.FS.Meminfo()
	if err != nil {
		return Answer{Failed, fmt.Sprintf("the machine's memory could not be read: %v", err)}
	}
	areas, err := h.FS.Swaps()
	if err != nil {
		return Answer{Failed, fmt.Sprintf("the swap areas could not be read: %v", err)}
	}
	fits, reason := Decide(info, areas, headroom, true, "")
	if !fits {
		return Answer{LeftAlone, reason}
	}
	if rested := now.Sub(h.began); !h.began.IsZero() && rested < Rest {
		return Answer{LeftAlone, fmt.Sprintf("the helper clears it once in %s, and did so %s ago", human(Rest), human(rested))}
	}
	h.began = now
	if err := h.Clearer.Clear(ctx, areas); err != nil {
		return Answer{Failed, err.Error()}
	}
	return Answer{Cleared, reason}
}

func human(d time.Duration) string { return fmt.Sprintf("%.0fs", d.Seconds()) }

// peer is who has connected.
func peer(conn *net.UnixConn) (pid int32, uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	if controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); controlErr != nil || err != nil {
		return 0, 0, errors.Join(controlErr, err)
	}
	return cred.Pid, cred.Uid, nil
}

// askLimit is how long the helper may take: it has to be started, and to switch swap off and on.
const askLimit = Limit + 5*time.Second

// ask has the helper clear swap.
func ask(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("asking the swap helper: %w; see systemctl status evenkeel-swap.socket", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	data, err := io.ReadAll(io.LimitReader(conn, 4<<10))
	if err != nil {
		return fmt.Errorf("waiting for the swap helper: %w; see journalctl -u evenkeel-swap", errors.Join(err, ctx.Err()))
	}
	var a Answer
	if err := json.Unmarshal(data, &a); err != nil {
		return errors.New("the swap helper ended without an answer; see journalctl -u evenkeel-swap")
	}
	switch a.Outcome {
	case Cleared:
		return nil
	case LeftAlone:
		return &LeftError{Why: a.Message}
	}
	return fmt.Errorf("the swap helper: %s", a.Message)
}
